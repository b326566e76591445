//! How another model becomes the reference.

use super::{Models, preferences};
use crate::engine::protocol::Loaded;
use klimb_align::language::upload;
use klimb_network::backend::Kernels;
use klimb_network::model::{Checkpoint, CheckpointError, Expectation};

impl<K: Kernels> Models<K> {
    /// Makes these parameters, which SFT came to after `step` steps, the reference.
    pub fn adopt_trained(&mut self, k: &mut K, parameters: Vec<f32>, step: u64) {
        (self.sft.parameters, self.sft.step) = (parameters, step);
        self.adopt(k);
    }

    /// Makes the SFT model the reference; pairs and optimum start over.
    pub fn adopt(&mut self, k: &mut K) {
        self.reference = upload(k, &self.sft.parameters);
        self.data = preferences::data(k, &self.network, &self.settings, self.given.as_deref());
        self.optimum.adopt(&self.sft);
    }

    /// Replaces the SFT model by the one in a file; [`Models::adopt`] then makes it the reference. Answers with
    /// what it is: something else, whatever it is, where it takes the place of a model in training.
    pub fn load_sft(&mut self, bytes: &[u8], is_training: bool) -> Result<Loaded, CheckpointError> {
        let vocabulary_fingerprint = self.world.vocabulary().fingerprint();
        let expected = Expectation { config: Some(self.base.config), vocabulary_fingerprint, head: false };
        let read = Checkpoint::from_bytes(bytes, Some(&expected))?;
        let is_same = !is_training && read == self.sft;
        let loaded = Loaded::Model { stage: read.stage.clone(), step: read.step, is_same };
        self.sft = read;
        Ok(loaded)
    }
}
