//! Direct preference optimisation (Rafailov et al. 2023, equation 7): the policy is its own reward model.

use std::any::Any;
use std::future::Future;

use serde::{Deserialize, Serialize};

use super::pairs::{PairBatch, PairLearner, PairOutcome, PairSize};
use super::trainer::{Budget, LossTerms, MarginTerms, PairSettings, PairTrainer, Reading, pair_trainer};
use crate::language::{Adamw, Learner, MetricLine, Schedule, TokenComparison};
use crate::limits;
use klimb_metrics::{Method, MetricRow, Setting};
use klimb_network::backend::network::Network;
use klimb_network::backend::{At, BackendError, Kernels, kernels};
use klimb_network::objectives::DpoLoss;
use klimb_numerics::real::Real;
use klimb_text::message::Separator;
use klimb_text::words::key;
use klimb_text::{ConfigError, Message, message};

/// Settings of DPO.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct DpoSettings {
    /// Strength of the leash to the reference: **high β, short leash**.
    pub beta: f64,
    /// Probability with which a label is taken to be wrong (cDPO; 0 is the paper).
    pub label_smoothing: f64,
    /// How a margin becomes a loss; the paper's is `Sigmoid`.
    #[serde(default)]
    pub loss: DpoLoss,
    /// Whether log-probabilities are means over a completion's tokens instead of sums, so that length earns nothing.
    #[serde(default)]
    pub length_normalised: bool,
    /// Whether log π_ref is left out, as if every completion were equally likely under the reference: no leash. With
    /// `length_normalised` this is SimPO without its target margin (Meng et al. 2024).
    #[serde(default)]
    pub reference_free: bool,
    /// Pairs a step.
    pub pairs: usize,
    /// Learning rate over the run.
    pub schedule: Schedule,
    /// The optimiser's constants.
    pub adamw: Adamw,
}

impl Default for DpoSettings {
    fn default() -> Self {
        let Budget { pairs, schedule, adamw } = Budget::default();
        Self {
            beta: 0.3,
            label_smoothing: 0.0,
            loss: DpoLoss::Sigmoid,
            length_normalised: false,
            reference_free: false,
            pairs,
            schedule,
            adamw,
        }
    }
}

impl DpoSettings {
    /// In what this is not the paper's DPO, in words; empty where it is.
    pub fn variant(&self) -> Message {
        let loss = match self.loss {
            DpoLoss::Sigmoid => None,
            DpoLoss::Hinge => Some(key("hinge loss")),
            DpoLoss::Ipo => Some("IPO"),
        };
        let length = self.length_normalised.then_some(key("length-normalised"));
        let reference = self.reference_free.then_some(key("reference-free"));
        Message::list([loss, length, reference].into_iter().flatten().map(Message::named).collect(), Separator::Comma)
    }
}

impl PairSettings for DpoSettings {
    const METHOD: Method = Method::Dpo;

    fn budget(&self) -> Budget {
        let Self { pairs, schedule, adamw, .. } = *self;
        Budget { pairs, schedule, adamw }
    }

    fn with_budget(self, Budget { pairs, schedule, adamw }: Budget) -> Self {
        Self { pairs, schedule, adamw, ..self }
    }

    fn setting(&self) -> Setting {
        Setting::Number(self.beta)
    }

    fn with_setting(self, beta: f64) -> Self {
        Self { beta, ..self }
    }

    fn check(&self) -> Result<(), ConfigError> {
        let label_smoothing = self.label_smoothing;
        let smoothing = if (0.0..0.5).contains(&label_smoothing) {
            Ok(())
        } else {
            let reason = message!("{} is outside 0 to 0.5 (not included)", label_smoothing);
            Err(ConfigError::new("label smoothing", reason))
        };
        ConfigError::all([limits::positive("beta", self.beta), smoothing])
    }

    fn start<K: Kernels>(
        self,
        k: &mut K,
        network: Network,
        parameters: &[f32],
        length: usize,
    ) -> Box<dyn PairTrainer<K>> {
        Box::new(Dpo::new(k, network, parameters, length, self))
    }
}

/// Metrics of one step; means over its pairs.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct DpoMetrics {
    /// Steps taken, from 1.
    pub step: u64,
    /// `dpo/loss`: ln 2 at the first step (hinge: 1; IPO: 1/(4β²)), unless reference-free.
    pub loss: f64,
    /// `rewards/chosen`: β·log(π/π_ref) of the chosen.
    pub chosen_rewards: f64,
    /// `rewards/rejected`.
    pub rejected_rewards: f64,
    /// `rewards/accuracies`: how often the chosen one's implicit reward is higher.
    pub accuracies: f64,
    /// `logps/chosen`: log π(chosen), a token if length-normalised.
    pub chosen_logprobs: f64,
    /// `logps/rejected`.
    pub rejected_logprobs: f64,
    /// L2 norm of the gradient before clipping.
    pub gradient_norm: f64,
}

impl DpoMetrics {
    /// The step by the field's names.
    pub fn row(&self) -> MetricRow {
        MetricRow::new(
            self.step,
            &[
                ("dpo/loss", self.loss),
                ("rewards/chosen", self.chosen_rewards),
                ("rewards/rejected", self.rejected_rewards),
                ("rewards/accuracies", self.accuracies),
                ("rewards/margins", self.chosen_rewards - self.rejected_rewards),
                ("logps/chosen", self.chosen_logprobs),
                ("logps/rejected", self.rejected_logprobs),
                ("optimiser/gradient_norm", self.gradient_norm),
            ],
        )
    }
}

/// Statistics the objective reports.
const COLUMNS: usize = 6;

/// A policy in DPO.
pub struct Dpo<K: Kernels> {
    learner: PairLearner<K>,
    settings: DpoSettings,
}

impl<K: Kernels> Dpo<K> {
    /// Starts from `parameters`, which are the reference's too; sequences have at most `length` + 1 tokens.
    pub fn new(k: &mut K, network: Network, parameters: &[f32], length: usize, settings: DpoSettings) -> Self {
        let size = PairSize { pairs: settings.pairs, length, extra: 1, columns: COLUMNS };
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

    /// The settings, as they will be at the next step.
    pub fn settings(&self) -> &DpoSettings {
        &self.settings
    }

    /// One update on exactly `settings.pairs` pairs.
    ///
    /// # Panics
    /// If there are not exactly that many pairs, or a sequence is too long.
    pub fn step(&mut self, k: &mut K, pairs: &PairBatch) {
        let DpoSettings { beta, label_smoothing, loss, schedule, .. } = self.settings;
        let batch = self.learner.tokens(pairs);
        let (weights, references) = self.weigh(pairs, &batch.completion_mask);
        let learning_rate = schedule.at(self.learner().steps());
        let learner = &mut self.learner.learner;
        learner.load(k, &batch, &weights, learning_rate, &references);

        // log π(y|x) of every completion, prompt masked
        self.learner.forward(k);

        // −log σ(β·(log π(y_w)/π_ref(y_w) − log π(y_l)/π_ref(y_l))) and its gradient
        let PairLearner { learner, sequence_logprobs, dsequence_logprobs, .. } = &mut self.learner;
        let references = At::new(&learner.floats, learner.extra_offset());
        let pairs = self.settings.pairs;
        kernels::Dpo {
            pairs,
            loss,
            beta,
            label_smoothing,
            sequence_logprobs,
            references,
            dsequence_logprobs,
            statistics: &mut learner.statistics,
        }
        .run(k);

        // back to tokens, logits, parameters
        self.learner.backward(k);
        k.submit();
    }

    /// What each token counts, (2·P, T), and log π_ref of each completion, as the variant has them.
    fn weigh(&self, pairs: &PairBatch, completion_mask: &[f32]) -> (Vec<f32>, Vec<f32>) {
        let DpoSettings { length_normalised, reference_free, .. } = self.settings;
        let share = |tokens: usize| if length_normalised { 1.0 / tokens.max(1) as f64 } else { 1.0 };
        let shares: Vec<f64> = pairs.sequences().map(|sequence| share(sequence.completion().len())).collect();
        let rows = completion_mask.chunks_exact(self.learner().size().length).zip(&shares);
        let weights = rows.flat_map(|(row, share)| row.iter().map(move |counts| counts * *share as f32)).collect();
        let references = pairs.reference_chosen.iter().chain(&pairs.reference_rejected).zip(&shares);
        let reference = |logprob: f64, share: f64| if reference_free { 0.0 } else { (logprob * share) as f32 };
        (weights, references.map(|(&logprob, &share)| reference(logprob, share)).collect())
    }

    /// The metrics of the steps since the last call (see [`Learner::read_metrics`]).
    ///
    /// # Errors
    /// As any read of the backend: `DeviceLost` or `Readback`.
    pub fn metrics(
        &mut self,
        k: &mut K,
    ) -> impl Future<Output = Result<Vec<DpoMetrics>, BackendError>> + 'static + use<K> {
        let read = self.learner.learner.read_metrics(k);
        let share = 1.0 / self.settings.pairs as f64;
        async move {
            let line = |MetricLine { step, sums, gradient_norm }: MetricLine| DpoMetrics {
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
        let DpoSettings { pairs, loss, beta, label_smoothing, .. } = self.settings;
        let read = k.read_floats(&self.learner().statistics, 0..3 * pairs);
        async move {
            let columns = read.await?;
            let outcome = |pair| {
                let [found, chosen_reward, rejected_reward] =
                    [0, 1, 2].map(|c| K::Real::to_f64(columns[c * pairs + pair]));
                let (_, weight) = loss.of(beta, label_smoothing, chosen_reward - rejected_reward);
                PairOutcome { loss: found, chosen_reward, rejected_reward, weight }
            };
            Ok((0..pairs).map(outcome).collect())
        }
    }
}

pair_trainer!(
    Dpo,
    DpoMetrics,
    fn loss_terms(&self) -> LossTerms<'_, K> {
        LossTerms::Margin(self)
    },
    // Everything but the pairs a step and the optimiser.
    fn configure(&mut self, settings: &dyn Any) {
        let settings: &DpoSettings = settings.downcast_ref().expect("Dpo: settings of another method");
        let DpoSettings { pairs, adamw, .. } = self.settings;
        self.settings = DpoSettings { pairs, adamw, ..*settings };
    }
);

impl<K: Kernels> MarginTerms<K> for Dpo<K> {
    fn outcomes(&self, k: &mut K) -> Reading<Vec<PairOutcome>> {
        Box::pin(self.outcomes(k))
    }

    fn shares(&self, numbers: &TokenComparison) -> Vec<f64> {
        let DpoSettings { beta, length_normalised, reference_free, .. } = self.settings;
        let tokens = numbers.logprobs.len().max(1) as f64;
        let weight = beta / if length_normalised { tokens } else { 1.0 };
        let logs = if reference_free { numbers.logprobs.clone() } else { numbers.log_ratios() };
        logs.into_iter().map(|log| weight * log).collect()
    }

    fn beta(&self) -> f64 {
        self.settings.beta
    }

    fn label_smoothing(&self) -> f64 {
        self.settings.label_smoothing
    }

    fn variant(&self) -> Message {
        self.settings.variant()
    }
}
