//! What every method on preference pairs has in common, so that whoever trains one need not know which it is.

use std::future::Future;
use std::pin::Pin;

use super::{Dpo, DpoSettings, PairBatch, PairOutcome, PreferredFt, SftSettings, Unlikelihood, UnlikelihoodSettings};
use crate::language::{Learner, TokenComparison};
use klimb_metrics::{Method, MetricRow};
use klimb_network::backend::network::Network;
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

    /// What its loss makes of a pair, as the row of the method says
    /// ([`MethodInfo::pair_loss`](klimb_metrics::MethodInfo::pair_loss)).
    fn loss_terms(&self) -> LossTerms<'_, K>;

    /// Changes what can change in the midst of a run, from the next step on. Where nothing can, another setting is another
    /// run.
    fn configure(&mut self, settings: &PairSettings);
}

/// What the loss of a method makes of a pair, for a reader who wants to follow a step.
pub enum LossTerms<'a, K: Kernels> {
    /// It is of the margin between the implicit rewards of chosen and rejected, of which the method can tell.
    Margin(&'a dyn MarginTerms<K>),
    /// It is of the likelihoods: −log π(y_w) + α·log π(y_l).
    Likelihood {
        /// α, the weight of pushing the rejected down; 0 where they play no part.
        alpha: f64,
    },
}

/// What a method with implicit rewards tells of its last step.
pub trait MarginTerms<K: Kernels> {
    /// What each pair contributed, as it was before the update.
    ///
    /// # Errors
    /// As any read of the backend: `DeviceLost` or `Readback`.
    fn outcomes(&self, k: &mut K) -> Reading<Vec<PairOutcome>>;

    /// What each token adds to the implicit reward of its completion.
    fn shares(&self, numbers: &TokenComparison) -> Vec<f64>;

    /// β of the step.
    fn beta(&self) -> f64;

    /// The share of labels that the step took to be wrong, ε.
    fn label_smoothing(&self) -> f64;

    /// In what the step was not what the method's paper has, in words; empty where it was.
    fn variant(&self) -> String;
}

/// The trait's first four functions by an algorithm's own of the same names, its metrics as rows; what an algorithm has beyond
/// them follows.
macro_rules! pair_trainer {
    ($algorithm:ident, $metrics:ident $(, $more:item)*) => {
        impl<K: Kernels> $crate::algorithms::PairTrainer<K> for $algorithm<K> {
            fn learner(&self) -> &Learner<K> {
                self.learner()
            }

            fn step(&mut self, k: &mut K, pairs: &PairBatch) {
                self.step(k, pairs);
            }

            fn rows(&mut self, k: &mut K) -> $crate::algorithms::Reading<Vec<klimb_metrics::MetricRow>> {
                let metrics = self.metrics(k);
                Box::pin(async move { Ok(metrics.await?.iter().map($metrics::row).collect()) })
            }

            fn resume(&mut self, k: &mut K, parameters: &[f32], steps: u64) {
                self.resume(k, parameters, steps);
            }

            $($more)*
        }
    };
}
pub(super) use pair_trainer;

/// Everything that a method on pairs can be set to. Each takes what it has use for.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct PairSettings {
    /// Pairs a step, learning rate and optimiser, which all have; β, and what is made of a margin, which those have that
    /// look at the reference.
    pub dpo: DpoSettings,
    /// α, the weight of pushing the rejected down, 0 to 1.
    pub alpha: f64,
}

/// A policy that begins to learn from pairs by a method, from `parameters`; sequences have at most `length` + 1 tokens. `None`
/// if the method does not learn from pairs.
pub fn start_on_pairs<K: Kernels>(
    k: &mut K,
    method: Method,
    network: Network,
    parameters: &[f32],
    length: usize,
    settings: &PairSettings,
) -> Option<Box<dyn PairTrainer<K>>> {
    let DpoSettings { pairs, schedule, adamw, .. } = settings.dpo;
    match method {
        Method::Dpo => Some(Box::new(Dpo::new(k, network, parameters, length, settings.dpo))),
        Method::Unlikelihood => {
            let settings = UnlikelihoodSettings { alpha: settings.alpha, pairs, schedule, adamw };
            Some(Box::new(Unlikelihood::new(k, network, parameters, length, settings)))
        }
        Method::PreferredFt => {
            let settings = SftSettings { batch: pairs, schedule, adamw };
            Some(Box::new(PreferredFt::new(k, network, parameters, length, settings)))
        }
        Method::Base
        | Method::BaseCued
        | Method::Sft
        | Method::Ppo
        | Method::PpoGt
        | Method::PpoGtPtx
        | Method::BestOfN
        | Method::BestOfNScore => None,
    }
}
