//! A policy that learns from preference pairs, whichever its objective.

use super::{LiveRun, Slice, SliceOrder, Work};
use crate::engine::protocol::Inside;
use crate::engine::session::models::{Models, TOLD};
use crate::engine::session::reports::SeenPairs;
use crate::engine::settings::Settings;
use klimb_align::algorithms::{PairBatch, PairTrainer, Reading};
use klimb_align::language::Learner;
use klimb_lab::{PairOrder, PreferenceData};
use klimb_metrics::MetricRow;
use klimb_network::backend::{BackendError, Kernels};

/// What the session asks of a method on pairs, beyond training by it.
pub(super) trait ShownPairTrainer<K: Kernels>: PairTrainer<K> {
    /// Takes over what can be set in the midst of a run. Where that is nothing, new settings start the run over.
    fn configure(&mut self, settings: &Settings);

    /// One step on `batch`, with its numbers in the terms of the method.
    fn step_in_full<'a>(
        &'a mut self,
        k: &'a mut K,
        models: &'a mut Models<K>,
        batch: PairBatch,
    ) -> Work<'a, (Inside, Vec<MetricRow>)>;
}

/// A step on pairs, with the pairs as they were under the policy before the update and are after it. These forward passes
/// are for the reader; training itself has no need of them. `step` takes the step and reads what it came to.
pub(super) async fn seen_step<K: Kernels, T: ShownPairTrainer<K> + ?Sized, R>(
    k: &mut K,
    models: &mut Models<K>,
    trainer: &mut T,
    batch: &PairBatch,
    step: impl AsyncFnOnce(&mut K, &mut T) -> Result<R, BackendError>,
) -> Result<(SeenPairs, R), BackendError> {
    let all: Vec<_> = batch.sequences().cloned().collect();
    let told = SeenPairs::told(batch, TOLD);
    let policy = &trainer.learner().parameters;
    let numbers = models.scorer.compare(k, policy, &models.reference, &told).await?;
    let before = models.scorer.token_logprobs(k, policy, &all).await?;
    trainer.step(k, batch);
    let read = step(k, trainer).await?;
    let after = models.scorer.token_logprobs(k, &trainer.learner().parameters, &all).await?;
    Ok((SeenPairs::new(batch, numbers, &before, &after), read))
}

/// A policy that learns from pairs, and how far it is through them.
pub(super) struct PairRun<K: Kernels> {
    trainer: Box<dyn ShownPairTrainer<K>>,
    order: PairOrder,
    /// The pairs that the policy writes itself, where it does; otherwise it learns from the session's.
    own: Option<PreferenceData<K>>,
}

impl<K: Kernels> PairRun<K> {
    /// A run at its first pair.
    pub fn new(trainer: Box<dyn ShownPairTrainer<K>>) -> Self {
        Self { trainer, order: PairOrder::default(), own: None }
    }

    /// The same on pairs that the policy writes itself, if there are to be any.
    pub fn writing_pairs(self, own: Option<PreferenceData<K>>) -> Self {
        Self { own, ..self }
    }

    async fn make_pairs(&mut self, k: &mut K, models: &mut Models<K>) -> Result<(), BackendError> {
        let Some(own) = &mut self.own else { return models.extend_pairs(k).await };
        own.extend_by(k, &models.world, &self.trainer.learner().parameters, &models.reference).await
    }

    fn next_batch(&mut self, models: &Models<K>) -> PairBatch {
        self.own.as_ref().unwrap_or(&models.data).next_batch_in(&mut self.order, models.settings.batch_size)
    }

    async fn take_slice(
        &mut self,
        k: &mut K,
        models: &mut Models<K>,
        order: SliceOrder,
    ) -> Result<Slice, BackendError> {
        let every = models.settings.evaluate_every;
        let (rows, inside) = if order.tells_inside {
            let batch = self.next_batch(models);
            let (inside, rows) = self.trainer.step_in_full(k, models, batch).await?;
            (rows, Some(inside))
        } else {
            let done = self.learner().steps() as usize;
            for _ in 0..order.most_steps.min(every - done % every) {
                if self.wants_pairs(models) {
                    self.make_pairs(k, models).await?;
                }
                let batch = self.next_batch(models);
                self.trainer.step(k, &batch);
                k.finished().await?;
            }
            (self.trainer.rows(k).await?, None)
        };
        let is_due = self.learner().steps().is_multiple_of(every as u64);
        Ok(Slice { rows, inside, is_whole: true, is_due })
    }
}

impl<K: Kernels> LiveRun<K> for PairRun<K> {
    fn learner(&self) -> &Learner<K> {
        self.trainer.learner()
    }

    fn wants_pairs(&self, models: &Models<K>) -> bool {
        self.own.as_ref().unwrap_or(&models.data).wants_more_for(&self.order, models.settings.batch_size)
    }

    fn extend_pairs<'a>(&'a mut self, k: &'a mut K, models: &'a mut Models<K>) -> Work<'a, ()> {
        Box::pin(self.make_pairs(k, models))
    }

    fn train<'a>(&'a mut self, k: &'a mut K, models: &'a mut Models<K>, order: SliceOrder) -> Work<'a, Slice> {
        Box::pin(self.take_slice(k, models, order))
    }

    fn read_policy(&self, k: &mut K) -> Reading<Vec<f32>> {
        Box::pin(self.learner().read_parameters(k))
    }

    fn resume(&mut self, k: &mut K, parameters: &[f32], steps: u64) {
        self.trainer.resume(k, parameters, steps);
    }

    fn configure(&mut self, settings: &Settings) {
        self.trainer.configure(settings);
    }
}
