//! The models that a session began with or made, as files, and which of the shipped ones they go with.

use super::Session;
use crate::engine::protocol::Checkpoints;
use crate::engine::settings::Breadth;
use klimb_network::backend::Kernels;

/// Of the models there are, which a session has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ModelKind {
    /// Of base and reference.
    pub width: usize,
    /// Of the text they are of.
    pub breadth: Breadth,
}

impl<K: Kernels> Session<K> {
    /// Base and reference as files.
    pub fn checkpoints(&self) -> Checkpoints {
        self.models.checkpoints()
    }

    /// Which models they are.
    pub fn model_kind(&self) -> ModelKind {
        ModelKind { width: self.models.network.config().width, breadth: self.models.settings.breadth }
    }
}
