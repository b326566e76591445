//! The model that policies start from and are compared with.

use klimb_network::backend::network::Network;

/// A reference: the SFT model that a policy starts from, and from which its KL is measured.
#[derive(Debug, Clone, Copy)]
pub struct Reference<'a> {
    /// Its sizes.
    pub network: &'a Network,
    /// Its parameters, flat.
    pub parameters: &'a [f32],
}
