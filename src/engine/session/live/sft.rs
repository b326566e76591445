//! SFT from the base model, live. What it has learned becomes the reference when the session adopts it.

use super::{LiveRun, Pace, Slice, SliceEnd, SliceFuture, SliceOrder, Standing, Told};
use crate::engine::protocol::{Inside, Work};
use crate::engine::session::models::{Models, TOLD};
use crate::engine::session::reports;
use klimb_align::algorithms::{Sft, SftMetrics};
use klimb_lab::{SFT_STEPS, TextSource, sft_settings};
use klimb_metrics::MetricRow;
use klimb_network::backend::{BackendError, Kernels};
use klimb_network::model::Checkpoint;
use klimb_world::MAX_SEQUENCE;

/// Live SFT, with its supply of reviews.
pub(in crate::engine::session) struct SftRun<K: Kernels> {
    trainer: Sft<K>,
    text: TextSource,
    /// Steps that the reference already has.
    adopted: u64,
}

impl<K: Kernels> SftRun<K> {
    /// Begins from the base model. The reference stays what it was until this is adopted.
    pub fn new(k: &mut K, models: &Models<K>) -> Self {
        let settings = sft_settings(SFT_STEPS);
        let trainer = Sft::new(k, models.network.clone(), &models.base.parameters, MAX_SEQUENCE - 1, settings);
        let text = TextSource::reviews(u64::from(models.settings.seed));
        Self { trainer, text, adopted: 0 }
    }

    /// Optimiser steps.
    pub fn steps(&self) -> u64 {
        self.trainer.learner().steps()
    }

    /// Whether it has all of its steps.
    pub fn is_over(&self) -> bool {
        self.steps() >= SFT_STEPS
    }

    /// Whether it has taken steps that the reference does not have.
    pub fn has_news(&self) -> bool {
        self.steps() > self.adopted
    }

    /// The parameters that become the reference's; `None` if they are not finite, and so are of no use.
    pub async fn adopt(&mut self, k: &mut K) -> Result<Option<Vec<f32>>, BackendError> {
        let parameters = self.trainer.learner().read_parameters(k).await?;
        if !parameters.iter().all(|parameter| parameter.is_finite()) {
            return Ok(None);
        }
        self.adopted = self.steps();
        Ok(Some(parameters))
    }

    /// The model as it is, as a checkpoint of the reference's kind.
    pub async fn checkpoint(&self, k: &mut K, models: &Models<K>) -> Result<Checkpoint, BackendError> {
        let parameters = self.trainer.learner().read_parameters(k).await?;
        Ok(models.checkpoint_of(parameters, self.steps(), &models.sft.stage))
    }

    async fn take_slice(
        &mut self,
        k: &mut K,
        models: &mut Models<K>,
        order: SliceOrder,
    ) -> Result<Slice, BackendError> {
        let mut told = Vec::new();
        let timed_steps = if order.tells_inside {
            let (inside, rows) = self.step_in_full(k, models).await?;
            told.extend([Told::Inside(inside), Told::Metrics(rows)]);
            0
        } else {
            for _ in 0..order.most_steps {
                let reviews = self.text.batch(&models.world, self.trainer.learner().size().batch);
                self.trainer.step(k, &reviews);
                k.finished().await?;
            }
            told.push(Told::Metrics(self.trainer.metrics(k).await?.iter().map(SftMetrics::row).collect()));
            order.most_steps
        };
        let done = self.steps().min(SFT_STEPS) as usize;
        told.push(Told::Progress(Standing { work: Work::Sft, done, total: SFT_STEPS as usize, pace: Pace::Steps }));
        Ok(Slice { told, timed_steps, end: SliceEnd::Whole { is_due: false }, is_over: self.is_over() })
    }

    /// One step with its first reviews token by token, before the update and after it.
    async fn step_in_full(
        &mut self,
        k: &mut K,
        models: &mut Models<K>,
    ) -> Result<(Inside, Vec<MetricRow>), BackendError> {
        let Self { trainer, text, .. } = self;
        let reviews = text.batch(&models.world, trainer.learner().size().batch);
        let learning_rate = trainer.settings().schedule.at(trainer.learner().steps());
        trainer.step(k, &reviews);
        let before = trainer.outcomes(k).await?;
        let metrics = trainer.metrics(k).await?;
        let after = models.scorer.token_logprobs(k, &trainer.learner().parameters, &reviews).await?;
        let logprobs = (before.as_slice(), after.as_slice());
        let batch = reports::sft_batch(&models.world, &reviews, TOLD, logprobs, learning_rate, metrics.last());
        Ok((Inside::Sft(batch), metrics.iter().map(SftMetrics::row).collect()))
    }
}

impl<K: Kernels> LiveRun<K> for SftRun<K> {
    fn advance<'a>(&'a mut self, k: &'a mut K, models: &'a mut Models<K>, order: SliceOrder) -> SliceFuture<'a> {
        Box::pin(self.take_slice(k, models, order))
    }
}
