//! SFT from the base model, live, and how what it has learned becomes the reference.

use super::{Models, TOLD, preferences};
use crate::engine::protocol::{Loaded, SftBatch};
use crate::engine::session::reports;
use klimb_align::algorithms::{Sft, SftMetrics};
use klimb_align::language::upload;
use klimb_lab::{SFT_STEPS, TextSource, sft_settings};
use klimb_metrics::MetricRow;
use klimb_network::backend::{BackendError, Kernels};
use klimb_network::model::{Checkpoint, CheckpointError, Expectation};
use klimb_world::MAX_SEQUENCE;

/// Live SFT, with its supply of reviews.
pub(super) struct LiveSft<K: Kernels> {
    pub(super) trainer: Sft<K>,
    text: TextSource,
    /// Steps that the reference already has.
    adopted: u64,
}

impl<K: Kernels> Models<K> {
    /// Begins SFT from the base model. The reference stays what it was until it is adopted.
    pub fn begin_sft(&mut self, k: &mut K) {
        let settings = sft_settings(SFT_STEPS);
        let trainer = Sft::new(k, self.network.clone(), &self.base.parameters, MAX_SEQUENCE - 1, settings);
        let text = TextSource::reviews(u64::from(self.settings.seed));
        self.live_sft = Some(LiveSft { trainer, text, adopted: 0 });
    }

    pub fn sft_is_live(&self) -> bool {
        self.live_sft.is_some()
    }

    pub fn sft_steps(&self) -> u64 {
        self.live_sft.as_ref().map_or(self.sft.step, |live| live.trainer.learner().steps())
    }

    pub fn sft_progress(&self) -> (usize, usize) {
        (self.sft_steps().min(SFT_STEPS) as usize, SFT_STEPS as usize)
    }

    /// Whether live SFT has taken steps that the reference does not have.
    pub fn sft_has_news(&self) -> bool {
        self.live_sft.as_ref().is_some_and(|live| live.trainer.learner().steps() > live.adopted)
    }

    /// Takes `steps` optimiser steps of SFT, with one submit in flight at a time.
    pub async fn train_sft(&mut self, k: &mut K, steps: usize) -> Result<Vec<MetricRow>, BackendError> {
        let Some(live) = &mut self.live_sft else { return Ok(Vec::new()) };
        for _ in 0..steps {
            let reviews = live.text.batch(&self.world, live.trainer.learner().size().batch);
            live.trainer.step(k, &reviews);
            k.finished().await?;
        }
        Ok(live.trainer.metrics(k).await?.iter().map(SftMetrics::row).collect())
    }

    /// One optimiser step of SFT with its first reviews token by token, before the update and after it; `None` unless it
    /// is live.
    pub async fn step_sft_in_full(&mut self, k: &mut K) -> Result<Option<(SftBatch, Vec<MetricRow>)>, BackendError> {
        let Some(LiveSft { trainer, text, .. }) = &mut self.live_sft else { return Ok(None) };
        let reviews = text.batch(&self.world, trainer.learner().size().batch);
        let learning_rate = trainer.settings().schedule.at(trainer.learner().steps());
        trainer.step(k, &reviews);
        let before = trainer.outcomes(k).await?;
        let metrics = trainer.metrics(k).await?;
        let after = self.scorer.token_logprobs(k, &trainer.learner().parameters, &reviews).await?;
        let logprobs = (before.as_slice(), after.as_slice());
        let batch = reports::sft_batch(&self.world, &reviews, TOLD, logprobs, learning_rate, metrics.last());
        Ok(Some((batch, metrics.iter().map(SftMetrics::row).collect())))
    }

    /// Makes the SFT model, live if there is one, the reference; pairs and optimum start over. A live one whose parameters
    /// are not finite is given up, which leaves everything as it was; answers whether there is a new reference.
    pub async fn adopt(&mut self, k: &mut K) -> Result<bool, BackendError> {
        if let Some(live) = &mut self.live_sft {
            let parameters = live.trainer.learner().read_parameters(k).await?;
            if !parameters.iter().all(|parameter| parameter.is_finite()) {
                self.live_sft = None;
                return Ok(false);
            }
            self.sft.parameters = parameters;
            live.adopted = live.trainer.learner().steps();
            self.sft.step = live.adopted;
        }
        self.reference = upload(k, &self.sft.parameters);
        self.data = preferences::data(k, &self.network, &self.settings, self.given.as_deref());
        self.optimum.adopt(&self.sft);
        Ok(true)
    }

    /// Replaces the SFT model by the one in a file; [`Models::adopt`] then makes it the reference. Answers with what it is.
    pub fn load_sft(&mut self, bytes: &[u8]) -> Result<Loaded, CheckpointError> {
        let vocabulary_fingerprint = self.world.vocabulary().fingerprint();
        let expected = Expectation { config: Some(self.base.config), vocabulary_fingerprint, head: false };
        let read = Checkpoint::from_bytes(bytes, Some(&expected))?;
        let is_same = self.live_sft.is_none() && read == self.sft;
        let loaded = Loaded::Model { stage: read.stage.clone(), step: read.step, is_same };
        self.sft = read;
        self.live_sft = None;
        Ok(loaded)
    }
}
