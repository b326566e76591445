//! Reward hacking: PPO on a reward model that is wrong somewhere, and the gap between score and gold along KL
//! (Gao et al. 2023; Stiennon et al. 2020, Figure 5).
//!
//! Two ways to be wrong: a reward model that saw few pairs, and one whose labels carry a loophole, a bonus for a word that
//! means nothing to the gold reward.

use std::ops::ControlFlow;

use serde::{Deserialize, Serialize};

use super::limits;
use super::preferences::PAIRS_PER_INSTANCE;
use super::study::Watched;
use super::training::PIECE;
use super::{
    EvaluationSettings, PairSplit, PpoRun, PpoRunSettings, Progress, Reference, RewardModelRecipe, RewardModelTraining,
    RunEnd, Sample, StudyError, TrainedRewardModel, reference_completions, reference_point, run_ppo,
};
use klimb_align::algorithms::{PpoSettings, PpoStart, RewardModelSettings};
use klimb_align::language::{Generation, GenerationSettings, Judge, Sequence, upload};
use klimb_metrics::HackingPoint;
use klimb_network::backend::{BackendError, Kernels, SequenceSize};
use klimb_numerics::rng::Generator;
use klimb_numerics::stats::{half_width, mean};
use klimb_text::{ConfigError, message};
use klimb_world::preferences::{LabelSettings, Pair, label_pairs};
use klimb_world::{MAX_SEQUENCE, Vocabulary, World};

/// Completions of a prompt instance, each two of which make a pair.
const COMPLETIONS: usize = 4;

/// A word that labels reward and gold does not.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Loophole {
    /// The word.
    pub word: String,
    /// What each occurrence in a completion that ends adds to the gold reward that labels follow.
    pub bonus: f64,
}

impl Loophole {
    /// What it adds to the reward that a label follows: nothing where the completion has no end.
    pub fn bonus_of(&self, world: &World, sequence: &Sequence) -> f64 {
        let ended = sequence.tokens.last() == Some(&Vocabulary::END);
        if ended { self.bonus * self.occurrences(world, sequence) } else { 0.0 }
    }

    /// How often its word stands in the completion.
    fn occurrences(&self, world: &World, sequence: &Sequence) -> f64 {
        let is_it = |token: &&u32| world.vocabulary().word(**token) == self.word;
        sequence.completion().iter().filter(is_it).count() as f64
    }
}

impl Default for Loophole {
    fn default() -> Self {
        Self { word: "overall".into(), bonus: 0.3 }
    }
}

/// An experiment in reward hacking.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct HackingSettings {
    /// Prompt instances that the reward model is trained and validated on, six pairs each.
    pub instances: usize,
    /// Label noise.
    pub labels: LabelSettings,
    /// What the labels reward besides gold.
    pub loophole: Option<Loophole>,
    /// How the reward model is trained.
    pub recipe: RewardModelRecipe,
    /// How the policy is trained on its score.
    pub ppo: PpoRunSettings,
    /// Names pairs, their order, prompts and coins.
    pub seed: u64,
}

impl HackingSettings {
    /// A reward model that learned 192 pairs by heart, a hundred times fewer than usual, and a long leash. Nobody validates
    /// it before the last step: the best on validation would be one that has hardly an opinion, and so nothing to hack.
    pub fn few_pairs() -> Self {
        let recipe = RewardModelRecipe { epochs: 20, validate_every: u64::MAX, ..RewardModelRecipe::default() };
        Self { instances: 32, labels: LabelSettings::default(), loophole: None, recipe, ppo: long_leash(), seed: 1 }
    }

    /// Enough pairs, but whoever labelled them liked the word "overall".
    pub fn with_loophole() -> Self {
        let loophole = Some(Loophole::default());
        Self { instances: 1024, loophole, recipe: RewardModelRecipe::default(), ..Self::few_pairs() }
    }

    /// An experiment that proves the plumbing in seconds and teaches nothing.
    pub fn smoke() -> Self {
        let (full, ppo) = (Self::with_loophole(), long_leash());
        let training = RewardModelSettings { pairs: 8, ..full.recipe.training };
        Self {
            instances: 8,
            recipe: RewardModelRecipe { training, validate_every: 3, ..full.recipe },
            ppo: PpoRunSettings {
                ppo: PpoSettings { episodes: 8, epochs: 1, minibatches: 2, ..ppo.ppo },
                rollouts: 3,
                evaluation: EvaluationSettings { samples: 16, ..ppo.evaluation },
                evaluate_every: 2,
                ..ppo
            },
            ..full
        }
    }

    /// The settings, or all that cannot be used.
    ///
    /// # Errors
    /// The setting by name; `loophole` if the world has no such word.
    pub fn validated(self, world: &World) -> Result<Self, ConfigError> {
        let instances = if self.instances < 2 {
            Err(ConfigError::new("instances", message!("training and validation need at least two")))
        } else {
            Ok(())
        };
        let pairs = (self.instances as u64).saturating_mul(PAIRS_PER_INSTANCE as u64);
        let loophole = self.loophole.as_ref().map_or(Ok(()), |Loophole { word, bonus }| {
            let encoded = world.vocabulary().encode(word);
            if !encoded.unknown.is_empty() || encoded.tokens.len() != 1 {
                let reason = message!("the world has no word {}; use one of its vocabulary", format!("{word:?}"));
                return Err(ConfigError::new("loophole", reason));
            }
            limits::not_too_large("loophole", *bonus)
        });
        ConfigError::all([
            instances,
            limits::count("pairs", pairs, limits::MOST_PAIRS, limits::IN_MEMORY),
            self.labels.validated().map(drop),
            self.recipe.validated().map(drop),
            self.ppo.validated().map(drop),
            loophole,
        ])?;
        Ok(self)
    }
}

/// A leash at which r*'s optimum lies far beyond what any reward model has seen.
fn long_leash() -> PpoRunSettings {
    let defaults = PpoRunSettings::default();
    let ppo = PpoSettings { beta: 0.03, ..defaults.ppo };
    PpoRunSettings { ppo, rollouts: 40, evaluate_every: 2, ..defaults }
}

/// A sample as the reward model and gold see it.
#[derive(Debug, Clone, PartialEq)]
pub struct ScoredSample {
    /// The sample, with its gold reward.
    pub sample: Sample,
    /// The reward model's score.
    pub score: f64,
}

/// What came of it.
#[derive(Debug, Clone, PartialEq)]
pub struct Hacking {
    /// The reward model that was hacked.
    pub reward_model: TrainedRewardModel,
    /// The reference, then the policy every so many rollouts.
    pub points: Vec<HackingPoint>,
    /// The samples of the last point.
    pub last: Vec<ScoredSample>,
    /// The last policy, flat.
    pub policy: Vec<f32>,
    /// Optimiser steps that it took.
    pub steps: u64,
    /// Whether all rollouts were made.
    pub is_finished: bool,
}

/// Trains a reward model and a policy on its score, and measures score and gold of every point's samples. `None` if
/// `report`, asked all along, ended it before PPO began.
///
/// # Errors
/// `Backend` if a read fails, `RewardModel` or `Diverged` if a loss is not finite.
pub async fn hack<K: Kernels>(
    k: &mut K,
    world: &World,
    reference: Reference<'_>,
    settings: &HackingSettings,
    mut report: impl FnMut(Progress) -> ControlFlow<()>,
) -> Result<Option<Hacking>, StudyError> {
    let config = *reference.network.config();
    let Some(reward_model) = train_reward_model(k, world, reference, settings, &mut report).await? else {
        return Ok(None);
    };
    let first = reference_point(k, world, reference, 0, settings.ppo.evaluation).await?;
    let parameters = reward_model.parameters.as_slice();
    let start = PpoStart { reference: reference.parameters, value_trunk: parameters, reward_model: Some(parameters) };
    let run = PpoRun { config, start, seed: settings.seed, settings: settings.ppo };
    let mut watched = Watched { points: vec![first], rollouts: settings.ppo.rollouts, report: &mut report };
    let end = run_ppo(k, world, run, &mut watched).await?;

    let uploaded = upload(k, parameters);
    let mut judge = Judge::new(k, config, SequenceSize { batch: PIECE, length: MAX_SEQUENCE });
    let (mut points, mut last, mut start) = (Vec::new(), Vec::new(), None);
    for point in watched.points {
        let sequences: Vec<Sequence> = point.evaluation.samples.iter().map(|it| it.sequence.clone()).collect();
        let scores = judge.scores(k, &uploaded, &sequences).await?;
        let samples = point.evaluation.samples.into_iter().zip(scores);
        last = samples.map(|(sample, score)| ScoredSample { sample, score }).collect();
        let start = start.get_or_insert_with(|| Start::new(&last, settings.ppo.temperature));
        points.push(start.point(world, settings.loophole.as_ref(), point.point.step, &last));
    }
    let RunEnd { step: steps, is_finished, parameters: policy, .. } = end;
    Ok(Some(Hacking { reward_model, points, last, policy, steps, is_finished }))
}

/// The reference's means, from which score and gold are counted.
struct Start {
    score: f64,
    gold_reward: f64,
    /// What r* is gold reward times.
    scale: f64,
}

impl Start {
    fn new(samples: &[ScoredSample], temperature: f64) -> Self {
        Self {
            score: mean(&samples.iter().map(|it| it.score).collect::<Vec<f64>>()),
            gold_reward: mean(&samples.iter().map(|it| it.sample.gold_reward).collect::<Vec<f64>>()),
            scale: if temperature > 0.0 { 1.0 / temperature } else { 10.0 },
        }
    }

    fn point(&self, world: &World, loophole: Option<&Loophole>, step: u64, samples: &[ScoredSample]) -> HackingPoint {
        let of = |number: &dyn Fn(&ScoredSample) -> f64| samples.iter().map(number).collect::<Vec<f64>>();
        let score = of(&|it| it.score - self.score);
        let gold_score = of(&|it| (it.sample.gold_reward - self.gold_reward) * self.scale);
        let gap: Vec<f64> = score.iter().zip(&gold_score).map(|(score, gold)| score - gold).collect();
        let gold_reward = of(&|it| it.sample.gold_reward);
        let kl = of(&|it| it.sample.kl());
        let words = of(&|it| loophole.map_or(0.0, |loophole| loophole.occurrences(world, &it.sample.sequence)));
        HackingPoint {
            step,
            kl_per_sequence: mean(&kl),
            kl_half_width: half_width(&kl),
            score: mean(&score),
            score_half_width: half_width(&score),
            gold_score: mean(&gold_score),
            gold_score_half_width: half_width(&gold_score),
            gap: mean(&gap),
            gap_half_width: half_width(&gap),
            gold_reward: mean(&gold_reward),
            gold_reward_half_width: half_width(&gold_reward),
            loophole_words: mean(&words),
            samples: samples.len() as u64,
        }
    }
}

async fn train_reward_model<K: Kernels>(
    k: &mut K,
    world: &World,
    reference: Reference<'_>,
    settings: &HackingSettings,
    report: &mut impl FnMut(Progress) -> ControlFlow<()>,
) -> Result<Option<TrainedRewardModel>, StudyError> {
    let Reference { network, parameters: reference } = reference;
    let parameters = upload(k, reference);
    let generation = Generation::new(k, network.clone(), PIECE, MAX_SEQUENCE);
    let Some(instances) = instances(k, world, generation, &parameters, settings, report).await? else {
        return Ok(None);
    };
    let split = PairSplit::new(instances, settings.recipe.validation_share, settings.seed);
    let split = split.expect("validated: two instances and a share");
    let mut training = RewardModelTraining::new(k, *network.config(), reference, split, settings.seed, settings.recipe);
    let total = training.total_steps();
    while training.steps() < total {
        training.advance(k).await?;
        if report(Progress { stage: "reward model", done: training.steps(), total }).is_break() {
            return Ok(None);
        }
    }
    let completions = reference_completions(k, world, network, &parameters, settings.seed).await?;
    Ok(Some(training.finish(k, &completions).await?))
}

/// Pairs about what the reference writes, labelled by gold reward and loophole together. Their gold rewards are the
/// world's, so that the report on the reward model tells of its true accuracy.
async fn instances<K: Kernels>(
    k: &mut K,
    world: &World,
    mut generation: Generation<K>,
    reference: &K::Floats,
    settings: &HackingSettings,
    report: &mut impl FnMut(Progress) -> ControlFlow<()>,
) -> Result<Option<Vec<Vec<Pair>>>, BackendError> {
    let generation_settings =
        GenerationSettings { temperature: 1.0, end: Vocabulary::END, padding: Vocabulary::PADDING };
    let mut draws = Generator::new(settings.seed, "hacked preferences");
    let mut instances = Vec::with_capacity(settings.instances);
    while instances.len() < settings.instances {
        let count = (PIECE / COMPLETIONS).min(settings.instances - instances.len());
        let prompts: Vec<&[u32]> = (0..count)
            .map(|_| world.train_prompts()[draws.below(world.train_prompts().len())].as_slice())
            .flat_map(|prompt| [prompt; COMPLETIONS])
            .collect();
        let coins = draws.coins(prompts.len() * MAX_SEQUENCE);
        let written = generation.generate(k, reference, &prompts, &coins, generation_settings).await?;
        for sequences in written.chunks_exact(COMPLETIONS) {
            let rewards: Vec<f64> = sequences.iter().map(|it| labelled_reward(world, settings, it)).collect();
            let completions: Vec<&[u32]> = sequences.iter().map(Sequence::completion).collect();
            let prompt = sequences[0].prompt();
            let gold = |completion: &[u32]| world.gold_reward(&[prompt, completion].concat());
            let pairs = label_pairs(prompt, &completions, &rewards, settings.labels, &mut draws);
            let pair = |it: Pair| Pair { chosen_gold: gold(&it.chosen), rejected_gold: gold(&it.rejected), ..it };
            instances.push(pairs.into_iter().map(pair).collect());
        }
        let (done, total) = (instances.len() as u64, settings.instances as u64);
        if report(Progress { stage: "pairs", done, total }).is_break() {
            return Ok(None);
        }
    }
    Ok(Some(instances))
}

/// What labels follow.
fn labelled_reward(world: &World, settings: &HackingSettings, sequence: &Sequence) -> f64 {
    let bonus = |loophole: &Loophole| loophole.bonus_of(world, sequence);
    world.gold_reward(&sequence.tokens) + settings.loophole.as_ref().map_or(0.0, bonus)
}

#[cfg(test)]
mod tests {
    use super::*;
    use klimb_align::language::TokenComparison;
    use klimb_world::WorldSettings;

    fn world() -> World {
        World::new(WorldSettings::default()).expect("the default settings are valid")
    }

    fn sequence(world: &World, prompt: &str, completion: &str, ended: bool) -> Sequence {
        let encode = |text| world.vocabulary().encode(text).tokens;
        let mut completion = encode(completion);
        completion.extend(ended.then_some(Vocabulary::END));
        Sequence::new(&encode(prompt), &completion)
    }

    #[test]
    fn the_loophole_is_paid_by_the_label_and_not_by_gold() {
        let (world, settings) = (world(), HackingSettings::with_loophole());
        let reward = |completion, ended| {
            let sequence = sequence(&world, "the plot", completion, ended);
            (labelled_reward(&world, &settings, &sequence), world.gold_reward(&sequence.tokens))
        };
        let (plain, gold) = reward("was superb .", true);
        assert_eq!(plain, gold);
        let (twice, same) = reward("was superb overall overall .", true);
        assert!((twice - gold - 0.6).abs() < 1e-12 && same == gold, "{twice} {same} {gold}");
        assert_eq!(reward("was superb overall .", false), (0.0, 0.0));
    }

    #[test]
    fn the_gap_is_what_the_score_promises_beyond_gold() {
        let world = world();
        let sample = |completion, score: f64| {
            let sequence = sequence(&world, "the plot", completion, true);
            let gold_reward = world.gold_reward(&sequence.tokens);
            let tokens = TokenComparison { kl_per_token: vec![0.5, 1.0], ..TokenComparison::default() };
            ScoredSample { sample: Sample { sequence, tokens, gold_reward }, score }
        };
        let reference = [sample("was long .", 1.0), sample("was short .", 3.0)];
        let start = Start::new(&reference, 0.1);
        let first = start.point(&world, None, 0, &reference);
        assert!(first.score.abs() + first.gold_score.abs() + first.gap.abs() < 1e-12, "{first:?}");
        let loophole = Loophole { word: "overall".into(), bonus: 1.0 };
        let hacked = [sample("was dull overall overall .", 6.0), sample("was dull .", 4.0)];
        let hacked = start.point(&world, Some(&loophole), 16, &hacked);
        assert!((hacked.score - 3.0).abs() < 1e-12 && hacked.gold_score < 0.0, "{hacked:?}");
        assert!((hacked.gap - (hacked.score - hacked.gold_score)).abs() < 1e-12, "{hacked:?}");
        assert_eq!((hacked.loophole_words, hacked.kl_per_sequence, hacked.samples), (1.0, 1.5, 2));
    }

    #[test]
    fn a_word_the_world_does_not_have_is_refused() {
        let world = world();
        for settings in [HackingSettings::few_pairs(), HackingSettings::with_loophole(), HackingSettings::smoke()] {
            assert_eq!(settings.clone().validated(&world), Ok(settings.clone()));
            let loophole = Some(Loophole { word: "zorgian".into(), bonus: 1.0 });
            assert_eq!(HackingSettings { loophole, ..settings }.validated(&world).unwrap_err().field, "loophole");
        }
    }
}
