//! The reward model's recipe: pairs, epochs, validation, and the best of what was seen.

mod report;
mod split;

use serde::{Deserialize, Serialize};
use thiserror::Error;

use super::limits;
use klimb_align::algorithms::{RewardModel, RewardModelSettings, ScoredPair};
use klimb_align::language::{Generation, GenerationSettings, Judge, Schedule, Sequence, upload, with_scores_shifted};
use klimb_network::backend::network::Network;
use klimb_network::backend::{BackendError, Kernels, SequenceSize};
use klimb_network::model::ModelConfig;
use klimb_numerics::rng::Generator;
use klimb_numerics::stats::{mean, standard_deviation};
use klimb_text::{ConfigError, Message, display_message, message};
use klimb_world::preferences::Pair;
use klimb_world::{MAX_SEQUENCE, Vocabulary, World};

pub use report::{ReliabilityBin, RewardModelReport, Share};
pub use split::{PairSplit, instances_by_prompt};

/// Completions generated or judged at a time.
const PIECE: usize = 256;
/// Completions of the reference that its mean score is taken over.
const REFERENCE_SAMPLES: usize = 2048;

/// How a reward model is trained.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct RewardModelRecipe {
    /// The algorithm; its schedule's steps follow from pairs and epochs.
    pub training: RewardModelSettings,
    /// How often each pair is learned from.
    pub epochs: u64,
    /// Share of the prompt instances that are held back for validation.
    pub validation_share: f64,
    /// Steps between two validations; the last step is always followed by one.
    pub validate_every: u64,
    /// τ of the labels, which says what a score should be worth; 0 counts as 0.1.
    pub temperature: f64,
    /// Whether scores are also divided by their standard deviation under the reference. **This changes what β means**:
    /// KL is then paid for in deviations of this reward model's, and no longer in the reward that labels follow, so a β
    /// aims elsewhere than DPO's and the optimum's.
    pub whiten: bool,
}

impl Default for RewardModelRecipe {
    fn default() -> Self {
        Self {
            training: RewardModelSettings::default(),
            epochs: 2,
            validation_share: 0.1,
            validate_every: 50,
            temperature: 0.1,
            whiten: false,
        }
    }
}

impl RewardModelRecipe {
    /// The recipe, or all settings that cannot be used.
    ///
    /// # Errors
    /// The setting by name.
    pub fn validated(self) -> Result<Self, ConfigError> {
        let is_share = self.validation_share > 0.0 && self.validation_share < 1.0;
        let share = if is_share {
            Ok(())
        } else {
            Err(ConfigError::new("validation_share", message!("{} is not between 0 and 1", self.validation_share)))
        };
        ConfigError::all([
            limits::rate(self.training.schedule.peak),
            limits::count("batch", self.training.pairs as u64, limits::MOST_BATCH, limits::IN_MEMORY),
            limits::count("epochs", self.epochs, limits::MOST_EPOCHS, limits::TOO_LONG),
            limits::count("validate every", self.validate_every, u64::MAX, limits::TOO_LONG),
            share,
        ])?;
        Ok(self)
    }

    /// Optimiser steps for this many pairs, at least one.
    fn steps(&self, pairs: usize) -> u64 {
        (self.epochs * pairs as u64 / self.training.pairs as u64).max(1)
    }
}

/// Why there is no reward model.
#[derive(Debug, Error)]
pub enum RewardModelError {
    /// The engine failed.
    Backend(#[from] BackendError),
    /// Training broke down.
    Diverged {
        /// The step.
        step: u64,
    },
}

impl RewardModelError {
    /// What is wrong, as a clause.
    pub fn message(&self) -> Message {
        match self {
            Self::Backend(error) => error.message(),
            Self::Diverged { step } => message!(
                "the reward model's loss was not a finite number at step {}; a lower learning rate is steadier",
                step
            ),
        }
    }
}

display_message!(RewardModelError);

/// A reward model ready for use.
#[derive(Debug, Clone, PartialEq)]
pub struct TrainedRewardModel {
    /// Its parameters, with a head whose scores have mean 0 under the reference.
    pub parameters: Vec<f32>,
    /// What validation said of it; its step is the best one's.
    pub report: RewardModelReport,
    /// The mean score under the reference before the shift.
    pub reference_mean: f64,
    /// The standard deviation of scores under the reference: 1 after whitening, else unchanged.
    pub reference_deviation: f64,
}

/// A reward model in training, step by step, with its pairs and the best it has been.
pub struct RewardModelTraining<K: Kernels> {
    config: ModelConfig,
    recipe: RewardModelRecipe,
    seed: u64,
    algorithm: RewardModel<K>,
    judge: Judge<K>,
    pairs: Vec<(Sequence, Sequence)>,
    validation: Vec<Vec<Pair>>,
    /// Chosen, rejected, chosen, …, of the validation.
    validated: Vec<Sequence>,
    order: Vec<usize>,
    /// The pairs of the last step.
    stepped: Vec<usize>,
    epoch: u64,
    /// Scores of the validation that is under way.
    judged: Vec<f64>,
    best: Option<Validated>,
}

/// A reward model as a validation saw it.
struct Validated {
    report: RewardModelReport,
    /// Flat.
    parameters: Vec<f32>,
}

impl<K: Kernels> RewardModelTraining<K> {
    /// Starts from the trunk of the `reference`, a language model of these sizes. `seed` names the head and the order of the pairs.
    ///
    /// # Panics
    /// If the split has no pair to learn from.
    pub fn new(
        k: &mut K,
        config: ModelConfig,
        reference: &[f32],
        split: PairSplit,
        seed: u64,
        recipe: RewardModelRecipe,
    ) -> Self {
        assert!(!split.train.is_empty(), "RewardModelTraining: no pair to learn from");
        let steps = recipe.steps(split.train.len());
        let schedule = recipe.training.schedule;
        let schedule = Schedule { steps, warm_up: schedule.warm_up.min(steps / 4), ..schedule };
        let training = RewardModelSettings { schedule, ..recipe.training };
        let both =
            |pair: &Pair| (Sequence::new(&pair.prompt, &pair.chosen), Sequence::new(&pair.prompt, &pair.rejected));
        let validated = split.validation.iter().flatten().map(both).flat_map(|(chosen, rejected)| [chosen, rejected]);
        Self {
            config,
            recipe,
            seed,
            algorithm: RewardModel::new(k, config, reference, seed, MAX_SEQUENCE, training),
            judge: Judge::new(k, config, SequenceSize { batch: PIECE, length: MAX_SEQUENCE }),
            pairs: split.train.iter().map(both).collect(),
            validated: validated.collect(),
            validation: split.validation,
            order: Vec::new(),
            stepped: Vec::new(),
            epoch: 0,
            judged: Vec::new(),
            best: None,
        }
    }

    /// The algorithm with its learner, for metrics and outcomes.
    pub fn algorithm(&mut self) -> &mut RewardModel<K> {
        &mut self.algorithm
    }

    /// Steps taken.
    pub fn steps(&self) -> u64 {
        self.algorithm.learner().steps()
    }

    /// Steps there will be.
    pub fn total_steps(&self) -> u64 {
        self.algorithm.settings().schedule.steps
    }

    /// Takes one step on the next pairs, and validates where that is due; the report, if it was.
    ///
    /// # Errors
    /// As [`RewardModelTraining::validate`].
    pub async fn advance(&mut self, k: &mut K) -> Result<Option<RewardModelReport>, RewardModelError> {
        self.step(k);
        if self.is_due() { self.validate(k).await.map(Some) } else { Ok(None) }
    }

    /// Takes one step on the next pairs: every epoch shuffles them anew.
    pub fn step(&mut self, k: &mut K) {
        let count = self.recipe.training.pairs;
        while self.order.len() < count {
            let mut order: Vec<usize> = (0..self.pairs.len()).collect();
            Generator::numbered(self.seed, "reward model's pairs", self.epoch).shuffle(&mut order);
            self.order.extend(order);
            self.epoch += 1;
        }
        self.stepped = self.order.drain(..count).collect();
        let pairs: Vec<&(Sequence, Sequence)> = self.stepped.iter().map(|&index| &self.pairs[index]).collect();
        self.algorithm.step(k, pairs.iter().map(|pair| &pair.0), pairs.iter().map(|pair| &pair.1));
    }

    /// Chosen and rejected of the last step's pairs, in the order of [`RewardModel::outcomes`].
    pub fn stepped(&self) -> impl Iterator<Item = &(Sequence, Sequence)> {
        self.stepped.iter().map(|&index| &self.pairs[index])
    }

    /// Whether [`RewardModelTraining::validate`] is due.
    pub fn is_due(&self) -> bool {
        self.steps().is_multiple_of(self.recipe.validate_every) || self.steps() == self.total_steps()
    }

    /// Judges the validation pairs, and keeps the reward model if none before had a lower loss there. (The loss, not the
    /// accuracy: it sees a wrong scale too, and the scale is what β relies on.)
    ///
    /// # Errors
    /// `Backend` if a read fails, `Diverged` if the loss is not finite.
    pub async fn validate(&mut self, k: &mut K) -> Result<RewardModelReport, RewardModelError> {
        loop {
            if let Some(report) = self.advance_validation(k).await? {
                return Ok(report);
            }
        }
    }

    /// The next piece of [`RewardModelTraining::validate`], with its report once it is the last. No step may come
    /// between.
    ///
    /// # Errors
    /// As [`RewardModelTraining::validate`].
    pub async fn advance_validation(&mut self, k: &mut K) -> Result<Option<RewardModelReport>, RewardModelError> {
        let (step, first) = (self.steps(), self.judged.len());
        let piece = &self.validated[first..(first + PIECE).min(self.validated.len())];
        self.judged.extend(self.judge.scores(k, &self.algorithm.learner().parameters, piece).await?);
        if self.judged.len() < self.validated.len() {
            return Ok(None);
        }
        let scores = std::mem::take(&mut self.judged);
        let pair = |scores: &[f64; 2]| ScoredPair { chosen_score: scores[0], rejected_score: scores[1] };
        let scored: Vec<ScoredPair> = scores.as_chunks().0.iter().map(pair).collect();
        let report = RewardModelReport::new(step, &self.validation, &scored, self.recipe.temperature);
        if !report.loss.is_finite() {
            return Err(RewardModelError::Diverged { step });
        }
        if self.best.as_ref().is_none_or(|best| report.loss < best.report.loss) {
            let parameters = self.algorithm.learner().read_parameters(k).await?;
            self.best = Some(Validated { report: report.clone(), parameters });
        }
        Ok(Some(report))
    }

    /// The best reward model so far (validates the present one if none was), its scores shifted to mean 0 under
    /// `references`, completions of the reference, and never rescaled but by `whiten`.
    ///
    /// # Errors
    /// As [`RewardModelTraining::validate`].
    ///
    /// # Panics
    /// If there are fewer than two references.
    pub async fn finish(mut self, k: &mut K, references: &[Sequence]) -> Result<TrainedRewardModel, RewardModelError> {
        if self.best.is_none() {
            self.validate(k).await?;
        }
        let Validated { report, parameters } = self.best.expect("validation keeps the first it sees");
        let uploaded = upload(k, &parameters);
        let scores = self.judge.scores(k, &uploaded, references).await?;
        let (reference_mean, deviation) = (mean(&scores), standard_deviation(&scores));
        assert!(references.len() >= 2, "finish: {} completions have no spread", references.len());
        if !deviation.is_finite() {
            return Err(RewardModelError::Diverged { step: report.step });
        }
        let scale = if self.recipe.whiten && deviation > 0.0 { 1.0 / deviation } else { 1.0 };
        Ok(TrainedRewardModel {
            parameters: with_scores_shifted(&self.config, &parameters, reference_mean, scale),
            report,
            reference_mean,
            reference_deviation: deviation * scale,
        })
    }
}

/// Completions of the reference at temperature 1, training prompts in turn: what scores are centred on.
///
/// # Errors
/// As any read of the backend: `DeviceLost` or `Readback`.
pub async fn reference_completions<K: Kernels>(
    k: &mut K,
    world: &World,
    network: &Network,
    reference: &K::Floats,
    seed: u64,
) -> Result<Vec<Sequence>, BackendError> {
    let mut generation = Generation::new(k, network.clone(), PIECE, MAX_SEQUENCE);
    let settings = GenerationSettings { temperature: 1.0, end: Vocabulary::END, padding: Vocabulary::PADDING };
    let mut coins = Generator::new(seed, "reference completions");
    let mut prompts = world.train_prompts().iter().map(Vec::as_slice).cycle();
    let mut completions = Vec::with_capacity(REFERENCE_SAMPLES);
    while completions.len() < REFERENCE_SAMPLES {
        let prompts: Vec<&[u32]> = prompts.by_ref().take(PIECE).collect();
        let coins = coins.coins(generation.coins());
        completions.extend(generation.generate(k, reference, &prompts, &coins, settings).await?);
    }
    Ok(completions)
}
