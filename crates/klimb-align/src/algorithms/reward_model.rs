//! The reward model: the SFT model's trunk with a scalar head, trained on preferences (Ouyang et al. 2022, section 3.5,
//! step 2, equation 1; Rafailov et al. 2023, equation 2).

use std::future::Future;

use serde::{Deserialize, Serialize};

use crate::language::{Adamw, Learner, MetricLine, Schedule, Sequence, TokenBatch, last_token_mask};
use klimb_network::backend::network::Network;
use klimb_network::backend::{At, BackendError, Kernels, SequenceSize, kernels};
use klimb_network::model::{ModelConfig, with_random_head};
use klimb_network::objectives::{in_order, log_sigmoid, preference_probability};
use klimb_numerics::real::Real;

/// Settings of the reward model's training.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct RewardModelSettings {
    /// Pairs a step.
    pub pairs: usize,
    /// Learning rate over the run.
    pub schedule: Schedule,
    /// The optimiser's constants.
    pub adamw: Adamw,
}

impl Default for RewardModelSettings {
    fn default() -> Self {
        Self {
            pairs: 64,
            schedule: Schedule { peak: 4e-3, floor: 1e-5, warm_up: 20, steps: 625 },
            adamw: Adamw::default(),
        }
    }
}

/// Metrics of one step; means over its pairs.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct RewardModelMetrics {
    /// Steps taken, from 1.
    pub step: u64,
    /// `reward_model/loss`: −log σ(chosen − rejected), about ln 2 at the first step.
    pub loss: f64,
    /// r(x, y_w). Only differences of scores mean anything until they are shifted.
    pub chosen_score: f64,
    /// r(x, y_l).
    pub rejected_score: f64,
    /// How often the chosen one's score is higher, in this step's own pairs.
    pub accuracy: f64,
    /// L2 norm of the gradient before clipping.
    pub gradient_norm: f64,
}

/// What the reward model says of one pair, and what the pair asks of it.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct ScoredPair {
    /// r(x, y_w).
    pub chosen_score: f64,
    /// r(x, y_l).
    pub rejected_score: f64,
}

impl ScoredPair {
    /// r(x, y_w) − r(x, y_l).
    pub fn margin(&self) -> f64 {
        self.chosen_score - self.rejected_score
    }

    /// Whether the scores are in the pair's order: 1, 0, or ½ for a tie.
    pub fn in_order(&self) -> f64 {
        in_order(self.margin(), self.chosen_score.abs() + self.rejected_score.abs())
    }

    /// −log σ(margin), nats.
    pub fn loss(&self) -> f64 {
        -log_sigmoid(self.margin())
    }

    /// σ(−margin), the probability the model gives to the label's opposite. The pair pulls its two scores apart with
    /// this weight: most where they are in the wrong order.
    pub fn weight(&self) -> f64 {
        preference_probability(self.rejected_score, self.chosen_score)
    }
}

/// Statistics the objective reports.
const COLUMNS: usize = 4;

/// A reward model in training.
pub struct RewardModel<K: Kernels> {
    learner: Learner<K>,
    settings: RewardModelSettings,
    scores: K::Floats,
    dscores: K::Floats,
}

impl<K: Kernels> RewardModel<K> {
    /// Starts from the trunk of `parameters`, a language model's of these sizes, with a random head that `seed` names
    /// ([`with_random_head`]). Sequences have at most `length` tokens, prompt and end token included.
    pub fn new(
        k: &mut K,
        config: ModelConfig,
        parameters: &[f32],
        seed: u64,
        length: usize,
        settings: RewardModelSettings,
    ) -> Self {
        let size = SequenceSize { batch: 2 * settings.pairs, length };
        let headed = with_random_head(&config, parameters, seed);
        let network = Network::with_head(config);
        Self {
            learner: Learner::new(k, network, &headed, size, 0, COLUMNS, settings.adamw),
            settings,
            scores: k.floats("scores", 2 * settings.pairs),
            dscores: k.floats("dscores", 2 * settings.pairs),
        }
    }

    /// The reward model and its optimiser.
    pub fn learner(&self) -> &Learner<K> {
        &self.learner
    }

    /// The settings.
    pub fn settings(&self) -> &RewardModelSettings {
        &self.settings
    }

    /// One update on exactly `settings.pairs` pairs: `chosen[i]` was preferred to `rejected[i]`.
    ///
    /// # Panics
    /// If there are not exactly that many pairs, or a sequence is too long.
    pub fn step<'a>(
        &mut self,
        k: &mut K,
        chosen: impl IntoIterator<Item = &'a Sequence>,
        rejected: impl IntoIterator<Item = &'a Sequence>,
    ) {
        let learner = &mut self.learner;
        let sequences: Vec<&Sequence> = chosen.into_iter().chain(rejected).collect();
        let length = learner.size().length;
        let batch = TokenBatch::new(length, sequences.iter().copied());
        let last_tokens = last_token_mask(length, sequences);
        let learning_rate = self.settings.schedule.at(learner.steps());
        learner.load(k, &batch, &last_tokens, learning_rate, &[]);

        // r(x, y): the head's value where the last token has been read
        learner.values(k);
        let last_tokens = At::new(&learner.floats, learner.mask_offset());
        kernels::SequenceLogprobsForward {
            size: batch.size,
            logprobs: &learner.values,
            completion_mask: last_tokens,
            sequence_logprobs: &mut self.scores,
        }
        .run(k);

        // −log σ(r(x, y_w) − r(x, y_l)) and its gradient
        kernels::BradleyTerry {
            pairs: self.settings.pairs,
            scores: &self.scores,
            dscores: &mut self.dscores,
            statistics: &mut learner.statistics,
        }
        .run(k);

        // back to tokens, trunk, parameters
        let last_tokens = At::new(&learner.floats, learner.mask_offset());
        kernels::SequenceLogprobsBackward {
            size: batch.size,
            dsequence_logprobs: &self.dscores,
            completion_mask: last_tokens,
            dlogprobs: &mut learner.dvalues,
        }
        .run(k);
        learner.update(k, self.settings.pairs);
        k.submit();
    }

    /// The metrics of the steps since the last call (see [`Learner::read_metrics`]).
    ///
    /// # Errors
    /// As any read of the backend: `DeviceLost` or `Readback`.
    pub fn metrics(
        &mut self,
        k: &mut K,
    ) -> impl Future<Output = Result<Vec<RewardModelMetrics>, BackendError>> + 'static + use<K> {
        let read = self.learner.read_metrics(k);
        let share = 1.0 / self.settings.pairs as f64;
        async move {
            let line = |MetricLine { step, sums, gradient_norm }: MetricLine| RewardModelMetrics {
                step,
                loss: sums[0] * share,
                chosen_score: sums[1] * share,
                rejected_score: sums[2] * share,
                accuracy: sums[3] * share,
                gradient_norm,
            };
            Ok(read.await?.lines.into_iter().map(line).collect())
        }
    }

    /// The scores that each pair of the last step had before its update.
    ///
    /// # Errors
    /// As any read of the backend: `DeviceLost` or `Readback`.
    pub fn outcomes(
        &self,
        k: &mut K,
    ) -> impl Future<Output = Result<Vec<ScoredPair>, BackendError>> + 'static + use<K> {
        let pairs = self.settings.pairs;
        let read = k.read_floats(&self.scores, 0..2 * pairs);
        async move {
            let scores = read.await?;
            let (chosen, rejected) = scores.split_at(pairs);
            let pair = |(chosen, rejected): (&K::Real, &K::Real)| ScoredPair {
                chosen_score: chosen.to_f64(),
                rejected_score: rejected.to_f64(),
            };
            Ok(chosen.iter().zip(rejected).map(pair).collect())
        }
    }
}
