//! What networks say of tokens that lie on the device.

use klimb_network::backend::network::{Activations, Network};
use klimb_network::backend::{At, Kernels, LogitsSize, SequenceSize, kernels};

/// A batch of sequences on the device, and the language model that reads it, under whichever parameters.
pub(super) struct DeviceTokens<'a, K: Kernels> {
    pub network: &'a Network,
    pub size: SequenceSize,
    /// (B, T): what is read.
    pub inputs: At<'a, K::Integers>,
    /// (B, T): what follows each of it.
    pub targets: At<'a, K::Integers>,
}

impl<K: Kernels> DeviceTokens<'_, K> {
    fn logits_size(&self) -> LogitsSize {
        LogitsSize { rows: self.size.batch * self.size.length, vocabulary: self.network.config().vocabulary }
    }

    /// The logits under `parameters`, and of them logprobs | entropies | logsumexps (3, rows), the numbers.
    pub fn logprobs(
        &self,
        k: &mut K,
        parameters: &K::Floats,
        activations: &mut Activations<K>,
        numbers: &mut K::Floats,
    ) {
        self.network.forward(k, self.size, parameters, self.inputs, activations);
        let (size, targets) = (self.logits_size(), self.targets);
        kernels::LogprobsForward { size, logits: &activations.logits, targets, numbers }.run(k);
    }

    /// The exact KL at each token, from the logits of both.
    pub fn kl(&self, k: &mut K, policy: &Activations<K>, reference: &Activations<K>, kl_per_token: &mut K::Floats) {
        kernels::KlForward {
            size: self.logits_size(),
            policy_logits: &policy.logits,
            reference_logits: &reference.logits,
            kl_per_token,
        }
        .run(k);
    }
}
