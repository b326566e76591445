//! Unlikelihood (Rafailov et al. 2023, section 6): up with the chosen, down with the rejected, and no leash.

use std::any::Any;
use std::future::Future;

use serde::{Deserialize, Serialize};

use super::pairs::{PairBatch, PairLearner, PairSize};
use super::trainer::{Budget, LossTerms, PairSettings, PairTrainer, pair_trainer};
use crate::language::{Adamw, Learner, MetricLine, Schedule};
use klimb_metrics::{Method, MetricRow, Setting};
use klimb_network::backend::network::Network;
use klimb_network::backend::{BackendError, Kernels, kernels};
use klimb_numerics::real::Real;
use klimb_text::{ConfigError, message};

/// Settings of unlikelihood.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct UnlikelihoodSettings {
    /// Weight of pushing the rejected down, 0 to 1; 0 is Preferred-FT, but for how tokens are weighed.
    pub alpha: f64,
    /// Pairs a step.
    pub pairs: usize,
    /// Learning rate over the run.
    pub schedule: Schedule,
    /// The optimiser's constants.
    pub adamw: Adamw,
}

impl Default for UnlikelihoodSettings {
    fn default() -> Self {
        let Budget { pairs, schedule, adamw } = Budget::default();
        Self { alpha: 0.1, pairs, schedule, adamw }
    }
}

impl PairSettings for UnlikelihoodSettings {
    const METHOD: Method = Method::Unlikelihood;

    fn budget(&self) -> Budget {
        let Self { pairs, schedule, adamw, .. } = *self;
        Budget { pairs, schedule, adamw }
    }

    fn with_budget(self, Budget { pairs, schedule, adamw }: Budget) -> Self {
        Self { pairs, schedule, adamw, ..self }
    }

    fn setting(&self) -> Setting {
        Setting::Number(self.alpha)
    }

    fn with_setting(self, alpha: f64) -> Self {
        Self { alpha, ..self }
    }

    fn check(&self) -> Result<(), ConfigError> {
        let alpha = self.alpha;
        if (0.0..=1.0).contains(&alpha) {
            Ok(())
        } else {
            Err(ConfigError::new("alpha", message!("{} is outside 0 to 1", alpha)))
        }
    }

    fn start<K: Kernels>(
        self,
        k: &mut K,
        network: Network,
        parameters: &[f32],
        length: usize,
    ) -> Box<dyn PairTrainer<K>> {
        Box::new(Unlikelihood::new(k, network, parameters, length, self))
    }
}

/// Metrics of one step; means over its pairs.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct UnlikelihoodMetrics {
    /// Steps taken, from 1.
    pub step: u64,
    /// `unlikelihood/loss`, nats a pair.
    pub loss: f64,
    /// `unlikelihood/accuracy`: how often the chosen completion is the likelier.
    pub accuracy: f64,
    /// `logps/chosen`: log π(chosen).
    pub chosen_logprobs: f64,
    /// `logps/rejected`.
    pub rejected_logprobs: f64,
    /// L2 norm of the gradient before clipping.
    pub gradient_norm: f64,
}

impl UnlikelihoodMetrics {
    /// The step by the field's names.
    pub fn row(&self) -> MetricRow {
        MetricRow::new(
            self.step,
            &[
                ("unlikelihood/loss", self.loss),
                ("unlikelihood/accuracy", self.accuracy),
                ("logps/chosen", self.chosen_logprobs),
                ("logps/rejected", self.rejected_logprobs),
                ("optimiser/gradient_norm", self.gradient_norm),
            ],
        )
    }
}

/// What one pair contributed to the last step, as it was before the update.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct UnlikelihoodOutcome {
    /// −log π(chosen) + α·log π(rejected).
    pub loss: f64,
    /// log π(chosen).
    pub chosen_logprob: f64,
    /// log π(rejected).
    pub rejected_logprob: f64,
}

/// Statistics the objective reports.
const COLUMNS: usize = 4;

/// A policy in unlikelihood training.
pub struct Unlikelihood<K: Kernels> {
    learner: PairLearner<K>,
    settings: UnlikelihoodSettings,
}

impl<K: Kernels> Unlikelihood<K> {
    /// Starts from `parameters`; sequences have at most `length` + 1 tokens.
    pub fn new(k: &mut K, network: Network, parameters: &[f32], length: usize, settings: UnlikelihoodSettings) -> Self {
        let size = PairSize { pairs: settings.pairs, length, extra: 0, columns: COLUMNS };
        Self { learner: PairLearner::new(k, network, parameters, size, settings.adamw), settings }
    }

    /// The policy and its optimiser.
    pub fn learner(&self) -> &Learner<K> {
        &self.learner.learner
    }

    /// Goes on from the policy of another run after its `steps` steps, with new moments. No step may have been taken.
    pub fn resume(&mut self, k: &mut K, parameters: &[f32], steps: u64) {
        self.learner.learner.resume(k, parameters, steps);
    }

    /// One update on exactly `settings.pairs` pairs. Their references' log-probabilities play no part.
    ///
    /// # Panics
    /// If there are not exactly that many pairs, or a sequence is too long.
    pub fn step(&mut self, k: &mut K, pairs: &PairBatch) {
        let UnlikelihoodSettings { alpha, schedule, .. } = self.settings;
        let batch = self.learner.tokens(pairs);
        let learning_rate = schedule.at(self.learner().steps());
        self.learner.learner.load(k, &batch, &batch.completion_mask, learning_rate, &[]);

        // log π(y|x) of every completion, prompt masked
        self.learner.forward(k);

        // −log π(y_w) + α·log π(y_l) and its gradient
        let PairLearner { learner, sequence_logprobs, dsequence_logprobs, .. } = &mut self.learner;
        let pairs = self.settings.pairs;
        kernels::Unlikelihood {
            pairs,
            alpha,
            sequence_logprobs,
            dsequence_logprobs,
            statistics: &mut learner.statistics,
        }
        .run(k);

        // back to tokens, logits, parameters
        self.learner.backward(k);
        k.submit();
    }

    /// The metrics of the steps since the last call (see [`Learner::read_metrics`]).
    ///
    /// # Errors
    /// As any read of the backend: `DeviceLost` or `Readback`.
    pub fn metrics(
        &mut self,
        k: &mut K,
    ) -> impl Future<Output = Result<Vec<UnlikelihoodMetrics>, BackendError>> + 'static + use<K> {
        let read = self.learner.learner.read_metrics(k);
        let share = 1.0 / self.settings.pairs as f64;
        async move {
            let line = |MetricLine { step, sums, gradient_norm }: MetricLine| UnlikelihoodMetrics {
                step,
                loss: sums[0] * share,
                accuracy: sums[1] * share,
                chosen_logprobs: sums[2] * share,
                rejected_logprobs: sums[3] * share,
                gradient_norm,
            };
            Ok(read.await?.lines.into_iter().map(line).collect())
        }
    }

    /// What each pair of the last step contributed.
    ///
    /// # Errors
    /// As any read of the backend: `DeviceLost` or `Readback`.
    pub fn outcomes(
        &self,
        k: &mut K,
    ) -> impl Future<Output = Result<Vec<UnlikelihoodOutcome>, BackendError>> + 'static + use<K> {
        let pairs = self.settings.pairs;
        let read = k.read_floats(&self.learner().statistics, 0..COLUMNS * pairs);
        async move {
            let columns = read.await?;
            let outcome = |pair| {
                let [loss, chosen_logprob, rejected_logprob] =
                    [0, 2, 3].map(|c| K::Real::to_f64(columns[c * pairs + pair]));
                UnlikelihoodOutcome { loss, chosen_logprob, rejected_logprob }
            };
            Ok((0..pairs).map(outcome).collect())
        }
    }
}

pair_trainer!(
    Unlikelihood,
    UnlikelihoodMetrics,
    fn loss_terms(&self) -> LossTerms<'_, K> {
        LossTerms::Likelihood { alpha: self.settings.alpha }
    },
    fn configure(&mut self, _settings: &dyn Any) {}
);
