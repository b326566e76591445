//! A point of the frontier: fresh samples on held-out prompts, their gold reward, and their exact KL to the reference.
//!
//! The same protocol for every method: temperature 1, fixed coins, KL exact over the vocabulary at each position and
//! summed along the sampled completion, 95 % intervals over samples.

use std::collections::HashSet;

use serde::{Deserialize, Serialize};

use super::limits;
use klimb_align::language::{Generation, GenerationSettings, Scorer, Sequence, TokenComparison};
use klimb_metrics::{FrontierPoint, Method, Setting};
use klimb_network::backend::network::Network;
use klimb_network::backend::{BackendError, Kernels, SequenceSize};
use klimb_network::objectives::{k1, k2, k3};
use klimb_numerics::rng::Generator;
use klimb_numerics::stats::{half_width, mean};
use klimb_text::ConfigError;
use klimb_world::{MAX_SEQUENCE, Vocabulary, World};

/// How a point is measured.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct EvaluationSettings {
    /// Samples; prompts take turns.
    pub samples: usize,
    /// Names the coins, which are the same for every policy.
    pub seed: u64,
    /// Sampling temperature; the frontier is defined at 1.
    pub temperature: f64,
}

impl Default for EvaluationSettings {
    fn default() -> Self {
        Self { samples: 512, seed: 1, temperature: 1.0 }
    }
}

impl EvaluationSettings {
    /// The settings, or the first one that cannot be used.
    pub fn validated(self) -> Result<Self, ConfigError> {
        limits::interval("samples", self.samples as u64, limits::MOST_SAMPLES)?;
        Ok(self)
    }
}

/// What a point of the frontier is called.
#[derive(Debug, Clone, PartialEq)]
pub struct PointKey {
    /// How it was made.
    pub method: Method,
    /// The method's setting, for DPO β.
    pub setting: Setting,
    /// The run's seed.
    pub seed: u64,
    /// Optimiser updates done.
    pub step: u64,
    /// Training time so far.
    pub seconds: f64,
}

impl PointKey {
    /// The setting of the reference's own point.
    pub fn reference() -> Setting {
        Setting::Label("reference".into())
    }
}

/// A completion with everything measured about it.
#[derive(Debug, Clone, PartialEq)]
pub struct Sample {
    /// Prompt and completion.
    pub sequence: Sequence,
    /// Log-probabilities and exact KL, token by token.
    pub tokens: TokenComparison,
    /// What the world says of it.
    pub gold_reward: f64,
}

impl Sample {
    /// Σ_t KL(π(·|y_<t) ‖ π_ref(·|y_<t)) along this completion, nats.
    pub fn kl(&self) -> f64 {
        self.tokens.kl_per_token.iter().sum()
    }
}

/// A measured policy.
#[derive(Debug, Clone, PartialEq)]
pub struct Evaluation {
    /// Mean gold reward.
    pub gold_reward: f64,
    /// Half-width of its 95 % interval.
    pub gold_reward_half_width: f64,
    /// Mean exact KL, nats a sequence.
    pub kl_per_sequence: f64,
    /// Half-width of its 95 % interval.
    pub kl_half_width: f64,
    /// The estimators of the same KL that see only the sampled tokens: k1, k2, k3 (Schulman 2020).
    pub estimators: [f64; 3],
    /// Distinct completions / samples.
    pub diversity: f64,
    /// Mean entropy of the next token, nats.
    pub entropy: f64,
    /// Share of completions that ended by themselves.
    pub ended: f64,
    /// The samples themselves.
    pub samples: Vec<Sample>,
}

/// Samples and scores a policy against its reference, piece by piece so that a page stays alive meanwhile.
pub struct Evaluator<K: Kernels> {
    settings: EvaluationSettings,
    coins: Vec<f32>,
    generation: Generation<K>,
    scorer: Scorer<K>,
    samples: Vec<Sample>,
}

impl<K: Kernels> Evaluator<K> {
    /// Room to work on `piece` samples at a time.
    pub fn new(k: &mut K, network: &Network, piece: usize, settings: EvaluationSettings) -> Self {
        let size = SequenceSize { batch: piece, length: MAX_SEQUENCE - 1 };
        Self {
            settings,
            coins: Generator::new(settings.seed, "evaluation").coins(settings.samples * MAX_SEQUENCE),
            generation: Generation::new(k, network.clone(), piece, MAX_SEQUENCE),
            scorer: Scorer::new(k, network.clone(), size),
            samples: Vec::new(),
        }
    }

    /// Samples taken since the last [`Evaluator::finish`].
    pub fn done(&self) -> usize {
        self.samples.len()
    }

    /// Samples a point takes.
    pub fn total(&self) -> usize {
        self.settings.samples
    }

    /// Takes the next piece. The policy must not change between the pieces of one point.
    ///
    /// # Errors
    /// As any read of the backend: `DeviceLost` or `Readback`.
    pub async fn advance(
        &mut self,
        k: &mut K,
        world: &World,
        policy: &K::Floats,
        reference: &K::Floats,
    ) -> Result<(), BackendError> {
        let first = self.samples.len();
        let count = self.generation.batch().min(self.settings.samples - first);
        let prompts = world.held_out_prompts();
        let prompts: Vec<&[u32]> = (first..first + count).map(|i| prompts[i % prompts.len()].as_slice()).collect();
        let coins = &self.coins[first * MAX_SEQUENCE..(first + count) * MAX_SEQUENCE];
        let temperature = self.settings.temperature;
        let settings = GenerationSettings { temperature, end: Vocabulary::END, padding: Vocabulary::PADDING };
        let sequences = self.generation.generate(k, policy, &prompts, coins, settings).await?;
        let comparison = self.scorer.compare(k, policy, reference, &sequences).await?;
        self.samples.extend(sequences.into_iter().zip(comparison).map(|(sequence, tokens)| {
            let gold_reward = world.gold_reward(&sequence.tokens);
            Sample { sequence, tokens, gold_reward }
        }));
        Ok(())
    }

    /// Forgets the pieces of an unfinished point.
    pub fn abandon(&mut self) {
        self.samples.clear();
    }

    /// The point, once [`Evaluator::done`] has reached [`Evaluator::total`].
    pub fn finish(&mut self) -> Evaluation {
        Evaluation::new(std::mem::take(&mut self.samples))
    }

    /// All pieces and the point.
    ///
    /// # Errors
    /// As any read of the backend: `DeviceLost` or `Readback`.
    pub async fn evaluate(
        &mut self,
        k: &mut K,
        world: &World,
        policy: &K::Floats,
        reference: &K::Floats,
    ) -> Result<Evaluation, BackendError> {
        self.abandon();
        while self.done() < self.total() {
            self.advance(k, world, policy, reference).await?;
        }
        Ok(self.finish())
    }
}

impl Evaluation {
    /// The point that `samples` (at least one) make.
    pub fn new(samples: Vec<Sample>) -> Self {
        assert!(!samples.is_empty(), "an evaluation needs samples");
        let of = |number: fn(&Sample) -> f64| samples.iter().map(number).collect::<Vec<f64>>();
        let (gold, kl) = (of(|sample| sample.gold_reward), of(Sample::kl));
        let distinct: HashSet<&[u32]> = samples.iter().map(|sample| sample.sequence.tokens.as_slice()).collect();
        let entropies: Vec<f64> = samples.iter().flat_map(|sample| sample.tokens.entropies.iter().copied()).collect();
        let log_ratios = |sample: &Sample| {
            let TokenComparison { logprobs, reference_logprobs, .. } = &sample.tokens;
            reference_logprobs.iter().zip(logprobs).map(|(reference, policy)| reference - policy).collect::<Vec<f64>>()
        };
        let estimator = |estimator: fn(f64) -> f64| {
            let each = samples.iter().map(|sample| log_ratios(sample).into_iter().map(estimator).sum());
            mean(&each.collect::<Vec<f64>>())
        };
        Self {
            gold_reward: mean(&gold),
            gold_reward_half_width: half_width(&gold),
            kl_per_sequence: mean(&kl),
            kl_half_width: half_width(&kl),
            estimators: [k1, k2, k3].map(estimator),
            diversity: distinct.len() as f64 / samples.len() as f64,
            entropy: mean(&entropies),
            ended: mean(&of(|sample| f64::from(sample.sequence.tokens.last() == Some(&Vocabulary::END)))),
            samples,
        }
    }

    /// The evaluation as a point of the frontier: the one way from samples to what charts, tables and files show.
    pub fn point(&self, place: PointKey) -> FrontierPoint {
        let PointKey { method, setting, seed, step, seconds } = place;
        FrontierPoint {
            method,
            setting,
            seed,
            step,
            kl_per_sequence: self.kl_per_sequence,
            kl_half_width: self.kl_half_width,
            gold_reward: self.gold_reward,
            gold_reward_half_width: self.gold_reward_half_width,
            samples: self.samples.len() as u64,
            seconds,
            diversity: Some(self.diversity),
        }
    }
}
