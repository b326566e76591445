//! Win rates (Rafailov et al. 2023, Figure 2 right; Ouyang et al. 2022, Figure 1): who writes the better review of the
//! same prompt, by gold reward?
//!
//! A prompt instance is a held-out prompt with one opponent's review. Every contestant meets the same instances with the
//! same coins, ties count half, and intervals are over instances.

use std::ops::ControlFlow;

use serde::{Deserialize, Serialize};

use super::limits;
use super::training::PIECE;
use klimb_align::language::{Generation, GenerationSettings, Judge, Sequence, upload};
use klimb_metrics::WinRate;
use klimb_network::backend::network::Network;
use klimb_network::backend::{BackendError, Kernels, SequenceSize};
use klimb_network::model::Checkpoint;
use klimb_numerics::rng::Generator;
use klimb_numerics::stats::{half_width, mean};
use klimb_text::ConfigError;
use klimb_world::{MAX_SEQUENCE, Vocabulary, World};

/// What a contest consists of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct ContestSettings {
    /// Prompt instances; held-out prompts take turns.
    pub instances: usize,
    /// Names the opponents' reviews and everybody's coins.
    pub seed: u64,
}

impl Default for ContestSettings {
    fn default() -> Self {
        Self { instances: 1024, seed: 1 }
    }
}

impl ContestSettings {
    /// The settings, or the first one that cannot be used.
    ///
    /// # Errors
    /// `instances` below 2, or more than there is room for.
    pub fn validated(self) -> Result<Self, ConfigError> {
        limits::interval("instances", self.instances as u64, limits::MOST_INSTANCES)?;
        Ok(self)
    }
}

/// Draw several, keep the best.
#[derive(Debug, Clone, Copy)]
pub struct BestOf<'a> {
    /// Completions drawn for an instance.
    pub n: usize,
    /// Whose score decides; the gold reward where there is none.
    pub reward_model: Option<&'a Checkpoint>,
}

/// Who writes.
#[derive(Debug, Clone, Copy)]
pub struct Contestant<'a> {
    /// The policy.
    pub policy: &'a Checkpoint,
    /// Whether it is prompted with the world's cue in front of the prompt. The cue is not judged.
    pub has_cue: bool,
    /// Best-of-N, if it is.
    pub best_of: Option<BestOf<'a>>,
}

impl<'a> Contestant<'a> {
    /// A policy that writes one completion to the bare prompt.
    pub fn new(policy: &'a Checkpoint) -> Self {
        Self { policy, has_cue: false, best_of: None }
    }
}

/// Held-out prompts with opponents' reviews of known gold reward.
#[derive(Debug, Clone, PartialEq)]
pub struct Contest {
    settings: ContestSettings,
    opponents: Vec<f64>,
}

impl Contest {
    /// Against the grammar's own reviews, noise included: SFT's demonstrations, but to held-out prompts.
    pub fn against_reviews(world: &World, settings: ContestSettings) -> Self {
        let review = |instance: usize| {
            let mut generator = Generator::numbered(settings.seed, "opponents", instance as u64);
            world.gold_reward(&world.review_for(prompt(world, instance), &mut generator).tokens)
        };
        Self { settings, opponents: (0..settings.instances).map(review).collect() }
    }

    /// Against what `opponent` writes at temperature 1, under other coins than a contestant's. `None` if `go_on`, asked
    /// before every piece, ended it.
    ///
    /// # Errors
    /// As any read of the backend: `DeviceLost` or `Readback`.
    pub async fn against_policy<K: Kernels>(
        k: &mut K,
        world: &World,
        opponent: &Contestant<'_>,
        settings: ContestSettings,
        go_on: impl FnMut() -> ControlFlow<()>,
    ) -> Result<Option<Self>, BackendError> {
        let written = Self::opponents_writing(k, world, opponent, settings).all(k, world, go_on).await?;
        Ok(written.map(|sequences| Self::against_written(world, settings, &sequences)))
    }

    /// An opponent that writes a piece at a time.
    pub(super) fn opponents_writing<K: Kernels>(
        k: &mut K,
        world: &World,
        opponent: &Contestant<'_>,
        settings: ContestSettings,
    ) -> Writing<K> {
        Writing::new(k, world, opponent, WritingPlan { settings, coins: "opponents' coins", temperature: 1.0 })
    }

    /// Against what an opponent has written.
    pub(super) fn against_written(world: &World, settings: ContestSettings, sequences: &[Sequence]) -> Self {
        Self { settings, opponents: sequences.iter().map(|it| world.gold_reward(&it.tokens)).collect() }
    }

    /// A contestant that writes a piece at a time.
    pub(super) fn contestants_writing<K: Kernels>(
        &self,
        k: &mut K,
        world: &World,
        contestant: &Contestant<'_>,
        temperature: f64,
    ) -> Writing<K> {
        let plan = WritingPlan { settings: self.settings, coins: "contestants' coins", temperature };
        Writing::new(k, world, contestant, plan)
    }

    /// How `contestant` does, sampling at `temperature`; 0 takes the likeliest token. `None` if `go_on`, asked before
    /// every piece, ended it.
    ///
    /// # Errors
    /// As any read of the backend: `DeviceLost` or `Readback`.
    pub async fn play<K: Kernels>(
        &self,
        k: &mut K,
        world: &World,
        contestant: &Contestant<'_>,
        temperature: f64,
        go_on: impl FnMut() -> ControlFlow<()>,
    ) -> Result<Option<WinRate>, BackendError> {
        let written = self.contestants_writing(k, world, contestant, temperature).all(k, world, go_on).await?;
        Ok(written.map(|sequences| self.judge(world, &sequences)))
    }

    /// The result of one review to each instance.
    ///
    /// # Panics
    /// If there are not as many reviews as instances.
    pub(super) fn judge(&self, world: &World, sequences: &[Sequence]) -> WinRate {
        assert_eq!(sequences.len(), self.opponents.len(), "Contest: reviews and opponents");
        let gold: Vec<f64> = sequences.iter().map(|sequence| world.gold_reward(&sequence.tokens)).collect();
        let wins: Vec<f64> = gold.iter().zip(&self.opponents).map(|(mine, theirs)| win(*mine, *theirs)).collect();
        let ended = sequences.iter().filter(|sequence| sequence.tokens.last() == Some(&Vocabulary::END)).count();
        WinRate {
            win_rate: mean(&wins),
            win_rate_half_width: half_width(&wins),
            gold_reward: mean(&gold),
            gold_reward_half_width: half_width(&gold),
            ended: ended as f64 / sequences.len() as f64,
            instances: sequences.len() as u64,
        }
    }
}

/// 1 for the higher gold reward, 1/2 for equal ones, which gold's four decimals make common.
fn win(mine: f64, theirs: f64) -> f64 {
    if mine == theirs { 0.5 } else { f64::from(mine > theirs) }
}

fn prompt(world: &World, instance: usize) -> &[u32] {
    let prompts = world.held_out_prompts();
    &prompts[instance % prompts.len()]
}

/// What a contestant writes, whoever it is.
#[derive(Debug, Clone, Copy)]
struct WritingPlan {
    settings: ContestSettings,
    /// Names the stream of coins.
    coins: &'static str,
    /// 0 takes the likeliest token.
    temperature: f64,
}

/// The reward model by which a contestant picks.
struct Picker<K: Kernels> {
    judge: Judge<K>,
    parameters: K::Floats,
}

/// A review that is the best so far.
struct BestReview {
    score: f64,
    sequence: Sequence,
}

/// One review to each instance, without its cue; the best of N by score, the first of equals. Whatever N is, the coins
/// are drawn piece by piece, so that contestants who draw as many meet the same ones.
pub(super) struct Writing<K: Kernels> {
    plan: WritingPlan,
    has_cue: bool,
    draws: usize,
    parameters: K::Floats,
    generation: Generation<K>,
    picker: Option<Picker<K>>,
    /// Completions drawn.
    done: usize,
    /// By instance.
    best: Vec<BestReview>,
}

impl<K: Kernels> Writing<K> {
    fn new(k: &mut K, world: &World, contestant: &Contestant<'_>, plan: WritingPlan) -> Self {
        let Contestant { policy, has_cue, best_of } = *contestant;
        // The likeliest completion is one, however often it is drawn.
        let best_of = best_of.filter(|best| best.n > 1 && plan.temperature > 0.0);
        let length = if has_cue { world.cue().len() } else { 0 } + MAX_SEQUENCE;
        Self {
            plan,
            has_cue,
            draws: best_of.map_or(1, |best| best.n),
            parameters: upload(k, &policy.parameters),
            generation: Generation::new(k, Network::new(policy.config), PIECE, length),
            picker: best_of.and_then(|best| best.reward_model).map(|reward_model| {
                let size = SequenceSize { batch: PIECE, length: MAX_SEQUENCE };
                let judge = Judge::new(k, reward_model.config, size);
                Picker { judge, parameters: upload(k, &reward_model.parameters) }
            }),
            done: 0,
            best: Vec::with_capacity(plan.settings.instances),
        }
    }

    fn total(&self) -> usize {
        self.plan.settings.instances * self.draws
    }

    /// Whether every instance has its review.
    pub fn is_finished(&self) -> bool {
        self.done == self.total()
    }

    /// Draws the next piece.
    ///
    /// # Errors
    /// As any read of the backend: `DeviceLost` or `Readback`.
    pub async fn advance(&mut self, k: &mut K, world: &World) -> Result<(), BackendError> {
        let cue = if self.has_cue { world.cue() } else { &[] };
        let (draw, draws) = (self.done..(self.done + PIECE).min(self.total()), self.draws);
        let prompts: Vec<Vec<u32>> = draw.clone().map(|it| [cue, prompt(world, it / draws)].concat()).collect();
        let prompts: Vec<&[u32]> = prompts.iter().map(Vec::as_slice).collect();
        let piece = (self.done / PIECE) as u64;
        let length = cue.len() + MAX_SEQUENCE;
        let WritingPlan { settings, coins, temperature } = self.plan;
        let coins = Generator::numbered(settings.seed, coins, piece).coins(prompts.len() * length);
        let settings = GenerationSettings { temperature, end: Vocabulary::END, padding: Vocabulary::PADDING };
        let written = self.generation.generate(k, &self.parameters, &prompts, &coins, settings).await?;
        let bare = |it: Sequence| Sequence::new(&it.prompt()[cue.len()..], it.completion());
        let written: Vec<Sequence> = written.into_iter().map(bare).collect();
        let scores = match &mut self.picker {
            Some(Picker { judge, parameters }) => judge.scores(k, parameters, &written).await?,
            None => written.iter().map(|sequence| world.gold_reward(&sequence.tokens)).collect(),
        };
        self.done = draw.end;
        for ((index, sequence), score) in draw.zip(written).zip(scores) {
            match self.best.get_mut(index / draws) {
                None => self.best.push(BestReview { score, sequence }),
                Some(kept) if score > kept.score => *kept = BestReview { score, sequence },
                Some(_) => {}
            }
        }
        Ok(())
    }

    /// The reviews, one an instance.
    pub fn finish(self) -> Vec<Sequence> {
        self.best.into_iter().map(|review| review.sequence).collect()
    }

    /// All pieces; `None` if `go_on`, asked before every piece, ended it.
    async fn all(
        mut self,
        k: &mut K,
        world: &World,
        mut go_on: impl FnMut() -> ControlFlow<()>,
    ) -> Result<Option<Vec<Sequence>>, BackendError> {
        while !self.is_finished() {
            if go_on().is_break() {
                return Ok(None);
            }
            self.advance(k, world).await?;
        }
        Ok(Some(self.finish()))
    }
}

#[cfg(all(test, not(target_arch = "wasm32")))]
mod tests {
    use super::*;
    use crate::model_config;
    use klimb_network::backend::cpu::Cpu;
    use klimb_network::model::initial_parameters;
    use klimb_world::WorldSettings;

    fn world() -> World {
        World::new(WorldSettings::default()).expect("the default settings are valid")
    }

    fn untrained(world: &World) -> Checkpoint {
        let config = model_config(world, 16).expect("16 is a width");
        let vocabulary_fingerprint = world.vocabulary().fingerprint();
        let parameters = initial_parameters(&config, 1);
        Checkpoint { config, vocabulary_fingerprint, step: 0, stage: "base".into(), head: false, parameters }
    }

    #[test]
    fn ties_count_half_and_the_interval_is_over_instances() {
        let world = world();
        let settings = ContestSettings { instances: 200, seed: 3 };
        let contest = Contest::against_reviews(&world, settings);
        let tokens = |seed, instance: usize| {
            let mut generator = Generator::numbered(seed, "opponents", instance as u64);
            let review = world.review_for(prompt(&world, instance), &mut generator);
            Sequence { tokens: review.tokens, prompt_length: review.prompt_length }
        };
        let themselves: Vec<Sequence> = (0..200).map(|it| tokens(3, it)).collect();
        let tied = contest.judge(&world, &themselves);
        assert_eq!((tied.win_rate, tied.win_rate_half_width, tied.ended), (0.5, 0.0, 1.0));
        let others: Vec<Sequence> = (0..200).map(|it| tokens(4, it)).collect();
        let equal = contest.judge(&world, &others);
        assert!((equal.win_rate - 0.5).abs() < 2.0 * equal.win_rate_half_width, "{equal:?}");
        assert!((0.05..0.075).contains(&equal.win_rate_half_width), "about 1.97·½/√200: {equal:?}");
        // A review that never ends has gold reward 0 and beats nobody.
        let unended: Vec<Sequence> = themselves
            .iter()
            .map(|it| Sequence { tokens: it.tokens[..it.tokens.len() - 1].to_vec(), ..it.clone() })
            .collect();
        let unended = contest.judge(&world, &unended);
        assert_eq!((unended.win_rate, unended.gold_reward, unended.ended), (0.0, 0.0, 0.0));
    }

    #[test]
    fn the_best_of_more_is_better_and_without_temperature_there_is_nothing_to_choose() {
        let (world, k) = (world(), &mut Cpu::<f32>::new());
        let policy = untrained(&world);
        let contest = Contest::against_reviews(&world, ContestSettings { instances: 100, seed: 1 });
        let mut play = |n: usize, temperature: f64| {
            let best_of = Some(BestOf { n, reward_model: None });
            let contestant = Contestant { best_of, ..Contestant::new(&policy) };
            let go_on = || ControlFlow::Continue(());
            pollster::block_on(contest.play(k, &world, &contestant, temperature, go_on)).unwrap().unwrap()
        };
        let (one, eight) = (play(1, 1.0), play(8, 1.0));
        assert!(eight.gold_reward > one.gold_reward && eight.win_rate >= one.win_rate, "{one:?} {eight:?}");
        assert_eq!(play(1, 0.0), play(8, 0.0));
        assert_ne!(play(1, 0.0), one);
    }

    #[test]
    fn against_itself_nobody_wins_and_a_contest_can_be_ended() {
        let (world, k) = (world(), &mut Cpu::<f32>::new());
        let policy = untrained(&world);
        let contestant = Contestant { has_cue: true, ..Contestant::new(&policy) };
        let settings = ContestSettings { instances: 400, seed: 1 };
        let go_on = || ControlFlow::Continue(());
        let contest = pollster::block_on(Contest::against_policy(k, &world, &contestant, settings, go_on));
        let contest = contest.unwrap().unwrap();
        let result = pollster::block_on(contest.play(k, &world, &contestant, 1.0, go_on)).unwrap().unwrap();
        assert!((result.win_rate - 0.5).abs() < 2.0 * result.win_rate_half_width.max(0.01), "{result:?}");
        let ended = pollster::block_on(contest.play(k, &world, &contestant, 1.0, || ControlFlow::Break(())));
        assert_eq!(ended.unwrap(), None);
    }
}
