//! Direct preference optimisation (Rafailov et al. 2023, equation 7): the policy is its own reward model.

use std::future::Future;

use serde::{Deserialize, Serialize};

use crate::backend::network::Network;
use crate::backend::{At, BackendError, Kernels, SequenceSize};
use crate::language::{Adamw, Learner, OBJECTIVE_SETTINGS, Schedule, Sequence, TokenBatch};

/// Settings of DPO.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct DpoSettings {
    /// Strength of the leash to the reference: **high β, short leash**.
    pub beta: f64,
    /// Probability with which a label is taken to be wrong (cDPO; 0 is the paper).
    pub label_smoothing: f64,
    /// Pairs a step.
    pub pairs: usize,
    /// Learning rate over the run.
    pub schedule: Schedule,
    /// The optimiser's constants.
    pub adamw: Adamw,
}

impl Default for DpoSettings {
    fn default() -> Self {
        Self {
            beta: 0.3,
            label_smoothing: 0.0,
            pairs: 128,
            schedule: Schedule { peak: 1e-3, floor: 5e-5, warm_up: 20, steps: 400 },
            adamw: Adamw { weight_decay: 0.0, ..Adamw::default() },
        }
    }
}

/// The pairs of one step with their references' log-probabilities, summed over the completion.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct PairBatch {
    /// Preferred completions.
    pub chosen: Vec<Sequence>,
    /// The others, in the same order.
    pub rejected: Vec<Sequence>,
    /// log π_ref(chosen).
    pub reference_chosen: Vec<f64>,
    /// log π_ref(rejected).
    pub reference_rejected: Vec<f64>,
}

/// Metrics of one step; means over its pairs.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct DpoMetrics {
    /// Steps taken, from 1.
    pub step: u64,
    /// `dpo/loss`: ln 2 at the first step.
    pub loss: f64,
    /// `rewards/chosen`: β·log(π/π_ref) of the chosen.
    pub chosen_rewards: f64,
    /// `rewards/rejected`.
    pub rejected_rewards: f64,
    /// `rewards/accuracies`: how often the chosen one's implicit reward is higher.
    pub accuracies: f64,
    /// `logps/chosen`: log π(chosen).
    pub chosen_logprobs: f64,
    /// `logps/rejected`.
    pub rejected_logprobs: f64,
    /// L2 norm of the gradient before clipping.
    pub gradient_norm: f64,
}

/// What one pair contributed to the last step, for a reader who wants to follow it.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct PairOutcome {
    /// −log σ(margin), or its smoothed form.
    pub loss: f64,
    /// β·log(π/π_ref) of the chosen.
    pub chosen_reward: f64,
    /// β·log(π/π_ref) of the rejected.
    pub rejected_reward: f64,
}

/// Statistics the objective reports.
const COLUMNS: usize = 6;

/// A policy in DPO.
pub struct Dpo<K: Kernels> {
    learner: Learner<K>,
    settings: DpoSettings,
    sequence_logprobs: K::Floats,
    dsequence_logprobs: K::Floats,
}

impl<K: Kernels> Dpo<K> {
    /// Starts from `parameters`, which are the reference's too; sequences have at most `length` + 1 tokens.
    pub fn new(k: &mut K, network: Network, parameters: &[f32], length: usize, settings: DpoSettings) -> Self {
        let size = SequenceSize { batch: 2 * settings.pairs, length };
        let learner = Learner::new(k, network, parameters, size, 2 * settings.pairs, COLUMNS, settings.adamw);
        Self {
            learner,
            settings,
            sequence_logprobs: k.floats("sequence_logprobs", 2 * settings.pairs),
            dsequence_logprobs: k.floats("dsequence_logprobs", 2 * settings.pairs),
        }
    }

    /// The policy and its optimiser.
    pub fn learner(&self) -> &Learner<K> {
        &self.learner
    }

    /// Goes on from the policy of another run after its `steps` steps, with new moments. No step may have been taken.
    pub fn resume(&mut self, k: &mut K, parameters: &[f32], steps: u64) {
        self.learner.resume(k, parameters, steps);
    }

    /// The settings, as they will be at the next step.
    pub fn settings(&self) -> &DpoSettings {
        &self.settings
    }

    /// Changes what can change in mid-run, from the next step on.
    pub fn configure(&mut self, beta: f64, label_smoothing: f64, schedule: Schedule) {
        self.settings = DpoSettings { beta, label_smoothing, schedule, ..self.settings };
    }

    /// One update on exactly `settings.pairs` pairs.
    ///
    /// # Panics
    /// If there are not exactly that many pairs, or a sequence is too long.
    pub fn step(&mut self, k: &mut K, pairs: &PairBatch) {
        let DpoSettings { beta, label_smoothing, schedule, .. } = self.settings;
        let learner = &mut self.learner;
        let batch = TokenBatch::new(learner.size().length, pairs.chosen.iter().chain(&pairs.rejected));
        let references: Vec<f32> =
            pairs.reference_chosen.iter().chain(&pairs.reference_rejected).map(|&logprob| logprob as f32).collect();
        let learning_rate = schedule.at(learner.steps());
        learner.load(k, &batch, &batch.completion_mask, learning_rate, &[beta, label_smoothing], &references);

        // log π(y|x) of every completion, prompt masked
        learner.logprobs(k);
        let mask = At::new(&learner.floats, learner.mask_offset());
        k.sequence_logprobs_forward(batch.size, &learner.numbers, mask, &mut self.sequence_logprobs);

        // −log σ(β·(log π(y_w)/π_ref(y_w) − log π(y_l)/π_ref(y_l))) and its gradient
        let references = At::new(&learner.floats, learner.extra_offset());
        let objective = At::new(&learner.floats, OBJECTIVE_SETTINGS);
        let (dsequence, statistics) = (&mut self.dsequence_logprobs, &mut learner.statistics);
        k.dpo(self.settings.pairs, &self.sequence_logprobs, references, objective, dsequence, statistics);

        // back to tokens, logits, parameters
        let mask = At::new(&learner.floats, learner.mask_offset());
        k.sequence_logprobs_backward(batch.size, &self.dsequence_logprobs, mask, &mut learner.dnumbers);
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
    ) -> impl Future<Output = Result<Vec<DpoMetrics>, BackendError>> + 'static + use<K> {
        let read = self.learner.read_metrics(k);
        let share = 1.0 / self.settings.pairs as f64;
        async move {
            let line = |(step, sums, gradient_norm): (u64, Vec<f64>, f64)| DpoMetrics {
                step,
                loss: sums[0] * share,
                chosen_rewards: sums[1] * share,
                rejected_rewards: sums[2] * share,
                accuracies: sums[3] * share,
                chosen_logprobs: sums[4] * share,
                rejected_logprobs: sums[5] * share,
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
    ) -> impl Future<Output = Result<Vec<PairOutcome>, BackendError>> + 'static + use<K> {
        let pairs = self.settings.pairs;
        let read = k.read_floats(&self.learner.statistics, 0..3 * pairs);
        async move {
            let columns = read.await?;
            let at = |column: usize, pair: usize| crate::real::Real::to_f64(columns[column * pairs + pair]);
            let outcome =
                |pair| PairOutcome { loss: at(0, pair), chosen_reward: at(1, pair), rejected_reward: at(2, pair) };
            Ok((0..pairs).map(outcome).collect())
        }
    }
}
