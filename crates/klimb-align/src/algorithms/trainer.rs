//! What every method on preference pairs has in common, so that whoever trains one need not know which it is.

use std::any::Any;
use std::future::Future;
use std::pin::Pin;

use serde::{Deserialize, Serialize};

use super::pairs::{PairBatch, PairOutcome};
use crate::language::{Adamw, Learner, Schedule, TokenComparison};
use klimb_metrics::{Method, MetricRow, Setting};
use klimb_network::backend::network::Network;
use klimb_network::backend::{BackendError, Kernels};
use klimb_text::ConfigError;
use klimb_text::Message;

/// What every algorithm on pairs may spend, so that none is tuned better than another.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Budget {
    /// Pairs a step.
    pub pairs: usize,
    /// Learning rate over the run, and the run's steps.
    pub schedule: Schedule,
    /// The optimiser's constants.
    pub adamw: Adamw,
}

impl Default for Budget {
    fn default() -> Self {
        Self {
            pairs: 128,
            schedule: Schedule { peak: 1e-3, floor: 5e-5, warm_up: 20, steps: 400 },
            adamw: Adamw { weight_decay: 0.0, ..Adamw::default() },
        }
    }
}

impl Budget {
    /// The default budget over `steps`, with the warm-up of a short run.
    pub fn of_steps(steps: u64) -> Self {
        let budget = Self::default();
        let warm_up = budget.schedule.warm_up.min(steps / 4);
        Self { schedule: Schedule { steps, warm_up, ..budget.schedule }, ..budget }
    }
}

/// The settings of a method on pairs. By default they are those of a run of which nobody says otherwise.
pub trait PairSettings: Copy + Default + 'static {
    /// Which method they are of.
    const METHOD: Method;

    /// What a run may spend.
    fn budget(&self) -> Budget;

    /// The same with another budget.
    fn with_budget(self, budget: Budget) -> Self;

    /// What distinguishes the method's runs: β, α, or nothing.
    fn setting(&self) -> Setting;

    /// The same with another β or α. A method that has neither keeps its settings.
    fn with_setting(self, number: f64) -> Self;

    /// Refuses what cannot be used, the budget aside.
    ///
    /// # Errors
    /// All fields that cannot be used, with the reasons.
    fn check(&self) -> Result<(), ConfigError>;

    /// A policy that begins to learn, from `parameters`; sequences have at most `length` + 1 tokens.
    fn start<K: Kernels>(
        self,
        k: &mut K,
        network: Network,
        parameters: &[f32],
        length: usize,
    ) -> Box<dyn PairTrainer<K>>;
}

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
    /// run. `settings` are its method's [`PairSettings`].
    ///
    /// # Panics
    /// If something can change, and the settings are another method's.
    fn configure(&mut self, settings: &dyn Any);
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
    fn variant(&self) -> Message;
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
