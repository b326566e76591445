//! What every method on preference pairs has in common, so that whoever trains one need not know which it is.

use std::future::Future;
use std::pin::Pin;

use super::{Dpo, DpoMetrics, PairBatch, PreferredFt, SftMetrics, Unlikelihood, UnlikelihoodMetrics};
use crate::language::Learner;
use klimb_metrics::MetricRow;
use klimb_network::backend::{BackendError, Kernels};

/// What is read back of a device, once it is there.
pub type Reading<T> = Pin<Box<dyn Future<Output = Result<T, BackendError>>>>;

/// A policy in training on batches of preference pairs.
pub trait PairTrainer<K: Kernels> {
    /// The policy and its optimiser.
    fn learner(&self) -> &Learner<K>;

    /// One update on exactly as many pairs as its settings name.
    ///
    /// # Panics
    /// If there are not exactly that many pairs, or a sequence is too long.
    fn step(&mut self, k: &mut K, pairs: &PairBatch);

    /// The metrics of the steps since the last call (see [`Learner::read_metrics`]), by the names of
    /// [`klimb_metrics::DEFINITIONS`].
    ///
    /// # Errors
    /// As any read of the backend: `DeviceLost` or `Readback`.
    fn rows(&mut self, k: &mut K) -> Reading<Vec<MetricRow>>;

    /// Goes on from the policy of another run after its `steps` steps, with new moments. No step may have been taken.
    fn resume(&mut self, k: &mut K, parameters: &[f32], steps: u64);
}

/// The trait by an algorithm's own functions of the same names, its metrics as rows.
macro_rules! pair_trainer {
    ($algorithm:ident, $metrics:ident) => {
        impl<K: Kernels> PairTrainer<K> for $algorithm<K> {
            fn learner(&self) -> &Learner<K> {
                self.learner()
            }

            fn step(&mut self, k: &mut K, pairs: &PairBatch) {
                self.step(k, pairs);
            }

            fn rows(&mut self, k: &mut K) -> Reading<Vec<MetricRow>> {
                let metrics = self.metrics(k);
                Box::pin(async move { Ok(metrics.await?.iter().map($metrics::row).collect()) })
            }

            fn resume(&mut self, k: &mut K, parameters: &[f32], steps: u64) {
                self.resume(k, parameters, steps);
            }
        }
    };
}

pair_trainer!(Dpo, DpoMetrics);
pair_trainer!(Unlikelihood, UnlikelihoodMetrics);
pair_trainer!(PreferredFt, SftMetrics);
