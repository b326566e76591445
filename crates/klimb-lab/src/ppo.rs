//! A run of PPO from one reference, with the gold reward (PPO-GT) or a reward model's score, and its points.

use std::ops::ControlFlow;

use serde::{Deserialize, Serialize};

use super::limits;
use super::measured_run::{Advance, MeasuredRun, RunError, train_measured};
use super::spent::Moment;
use super::training::PIECE;
use super::{EvaluationSettings, Evaluator, PointKey, RunEnd, Spent, SweepError, SweepPoint, TextSource};
use klimb_align::algorithms::{Ppo, PpoMetrics, PpoSettings, PpoStart, Rollout};
use klimb_align::language::{Episode, GenerationSettings};
use klimb_metrics::{Method, MetricRow, Setting};
use klimb_network::backend::{BackendError, Kernels};
use klimb_network::model::ModelConfig;
use klimb_numerics::rng::Generator;
use klimb_numerics::stats::mean;
use klimb_text::ConfigError;
use klimb_world::preferences::LabelSettings;
use klimb_world::{MAX_SEQUENCE, Vocabulary, World};

/// A training by PPO with its points.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct PpoRunSettings {
    /// The algorithm.
    pub ppo: PpoSettings,
    /// Rollouts in all.
    pub rollouts: u64,
    /// τ of r* = (gold reward − the reference's mean)/τ, which PPO-GT maximises; 0 counts as 0.1, as everywhere.
    pub temperature: f64,
    /// How a point is measured.
    pub evaluation: EvaluationSettings,
    /// Rollouts between two points; the last rollout is always one.
    pub evaluate_every: u64,
}

impl Default for PpoRunSettings {
    fn default() -> Self {
        Self {
            ppo: PpoSettings::default(),
            rollouts: 60,
            temperature: LabelSettings::default().temperature,
            evaluation: EvaluationSettings::default(),
            evaluate_every: 10,
        }
    }
}

impl PpoRunSettings {
    /// The settings, or all that cannot be used.
    pub fn validated(self) -> Result<Self, ConfigError> {
        let PpoSettings { episodes, epochs, minibatches, beta, entropy_coefficient, ptx_coefficient, .. } = self.ppo;
        let checks = [
            self.ppo.validated().map(drop),
            LabelSettings { temperature: self.temperature, flip_probability: 0.0 }.validated().map(drop),
            limits::count("episodes", episodes as u64, 16 * limits::MOST_BATCH, limits::IN_MEMORY),
            limits::count("epochs", epochs as u64, limits::MOST_EPOCHS, limits::TOO_LONG),
            limits::count("minibatches", minibatches as u64, limits::MOST_EPOCHS, limits::TOO_LONG),
            limits::rate(self.ppo.schedule.peak),
            limits::count("rollouts", self.rollouts, limits::MOST_ROLLOUTS, limits::TOO_LONG),
            limits::count("evaluate every", self.evaluate_every, u64::MAX, limits::TOO_LONG),
            self.evaluation.validated().map(drop),
        ];
        let weights = [
            ("beta", beta),
            ("target kl", self.ppo.target_kl.unwrap_or_default()),
            ("value clip range", self.ppo.value_clip_range.unwrap_or_default()),
            ("value coefficient", self.ppo.value_coefficient),
            ("entropy coefficient", entropy_coefficient),
            ("ptx coefficient", ptx_coefficient),
            ("missing eos penalty", self.ppo.missing_eos_penalty),
        ]
        .map(|(field, value)| limits::not_too_large(field, value));
        ConfigError::all(checks.into_iter().chain(weights))?;
        Ok(self)
    }

    /// What distinguishes its runs: the target KL, or β.
    pub fn setting(&self) -> Setting {
        Setting::Number(self.ppo.target_kl.unwrap_or(self.ppo.beta))
    }

    /// What r* is gold reward times.
    fn scale(&self) -> f64 {
        if self.temperature > 0.0 { 1.0 / self.temperature } else { 10.0 }
    }
}

/// A run: what it starts from, how, and with which seed.
#[derive(Debug, Clone, Copy)]
pub struct PpoRun<'a> {
    /// Sizes of all networks.
    pub config: ModelConfig,
    /// The parameters it starts from. Without a reward model, the gold reward judges: PPO-GT.
    pub start: PpoStart<'a>,
    /// Names prompts, coins, the order of minibatches and the demonstrations of PPO-ptx.
    pub seed: u64,
    /// The settings.
    pub settings: PpoRunSettings,
}

/// Who takes a run's results, keeps its time, and may stop it.
pub trait PpoSink {
    /// Why a point could not be taken.
    type Error;
    /// Any clock, in seconds.
    fn seconds(&self) -> f64;
    /// A rollout was drawn, judged and learned from: its metrics, and those of each of its steps.
    fn learned(&mut self, rollouts: u64, rollout: &MetricRow, steps: &[PpoMetrics]) -> ControlFlow<()>;
    /// A point was measured.
    fn point(&mut self, point: SweepPoint) -> Result<(), Self::Error>;
}

/// The data of PPO: rollouts judged by the world or by a reward model, in numbered rounds that depend on the seed, the
/// policy and their number alone.
#[derive(Debug, Clone)]
pub struct Rounds {
    seed: u64,
    scale: f64,
    done: u64,
    /// The reference's mean of gold reward over τ.
    reference_mean: Option<f64>,
    /// The pieces of the round that is being drawn.
    drawn: Vec<Episode>,
}

/// A round that was learned from.
#[derive(Debug, Clone, PartialEq)]
pub struct Round {
    /// The rollout as it was judged.
    pub rollout: Rollout,
    /// The gold reward of each of its episodes.
    pub gold_rewards: Vec<f64>,
    /// Their mean on the scale that scores have: r* = (gold − the reference's mean)/τ.
    pub gold_score: f64,
}

impl Round {
    /// The rollout by the field's names, gold reward included.
    pub fn row(&self) -> MetricRow {
        let mut row = self.rollout.metrics.row();
        let ended = self.rollout.episodes.iter().filter(|scored| ends(&scored.episode)).count();
        row.values.insert("objective/ended".into(), ended as f64 / self.rollout.episodes.len() as f64);
        row.values.insert("objective/gold_reward".into(), mean(&self.gold_rewards));
        row.values.insert("objective/gold_score".into(), self.gold_score);
        row
    }
}

/// Whether a completion has its end token, and did not run to the length limit.
fn ends(episode: &Episode) -> bool {
    episode.sequence.tokens.last() == Some(&Vocabulary::END)
}

impl Rounds {
    /// No round yet.
    pub fn new(seed: u64, settings: &PpoRunSettings) -> Self {
        Self { seed, scale: settings.scale(), done: 0, reference_mean: None, drawn: Vec::new() }
    }

    /// Goes on behind `done` rounds of another run. (The reference's mean is then the next round's, which is the
    /// policy's: it shifts every score alike, and so no gradient.)
    pub fn resume(&mut self, done: u64) {
        self.done = done;
    }

    /// Rounds made.
    pub fn done(&self) -> u64 {
        self.done
    }

    /// Lets the policy write and judges what it wrote: the reward model's score, or else r* = (gold − mean)/τ with the
    /// mean of the reference, which the first round knows, for the reference writes it. (A reward model's scores are
    /// shifted to the reference's mean when it is trained.) From the score of a completion that never ends,
    /// `missing_eos_penalty` is taken off.
    ///
    /// # Errors
    /// As any read of the backend: `DeviceLost` or `Readback`.
    pub async fn draw<K: Kernels>(
        &mut self,
        k: &mut K,
        world: &World,
        ppo: &mut Ppo<K>,
    ) -> Result<Round, BackendError> {
        let episodes = ppo.settings().episodes;
        let round = self.advance(k, world, ppo, episodes).await?;
        Ok(round.expect("one piece of all episodes is the whole round"))
    }

    /// Episodes drawn of the round at hand.
    pub fn drawn(&self) -> usize {
        self.drawn.len()
    }

    /// Draws the next `count` episodes of a round, and judges it when they are the last: as [`Rounds::draw`] in pieces,
    /// with the same prompts and coins. No step may come between.
    ///
    /// # Errors
    /// As any read of the backend: `DeviceLost` or `Readback`.
    pub async fn advance<K: Kernels>(
        &mut self,
        k: &mut K,
        world: &World,
        ppo: &mut Ppo<K>,
        count: usize,
    ) -> Result<Option<Round>, BackendError> {
        let mut draws = Generator::numbered(self.seed, "rollouts", self.done);
        let prompts: Vec<&[u32]> = (0..ppo.settings().episodes)
            .map(|_| world.train_prompts()[draws.below(world.train_prompts().len())].as_slice())
            .collect();
        let coins = draws.coins(ppo.coins());
        let settings = GenerationSettings { temperature: 1.0, end: Vocabulary::END, padding: Vocabulary::PADDING };
        let (first, length) = (self.drawn.len(), coins.len() / prompts.len());
        let last = (first + count.max(1)).min(prompts.len());
        let piece = ppo.rollout(k, &prompts[first..last], &coins[first * length..last * length], settings).await?;
        self.drawn.extend(piece);
        if last < prompts.len() {
            return Ok(None);
        }
        let episodes = std::mem::take(&mut self.drawn);
        let gold_rewards: Vec<f64> =
            episodes.iter().map(|episode| world.gold_reward(&episode.sequence.tokens)).collect();
        let reference_mean = *self.reference_mean.get_or_insert_with(|| mean(&gold_rewards) * self.scale);
        let penalty = ppo.settings().missing_eos_penalty;
        let score = |(episode, gold): (&Episode, &f64)| {
            let score = episode.score.unwrap_or(gold * self.scale - reference_mean);
            if ends(episode) { score } else { score - penalty }
        };
        let scores: Vec<f64> = episodes.iter().zip(&gold_rewards).map(score).collect();
        self.done += 1;
        let gold_score = mean(&gold_rewards) * self.scale - reference_mean;
        Ok(Some(Round { rollout: ppo.judge(episodes, &scores), gold_rewards, gold_score }))
    }

    /// The episodes of each step of the round drawn last.
    pub fn minibatches<K: Kernels>(&self, ppo: &Ppo<K>) -> Vec<Vec<usize>> {
        ppo.minibatches(&mut Generator::numbered(self.seed, "minibatches", self.done))
    }
}

/// Trains one policy by PPO and measures it as it goes. If the sink says so it stops behind the rollout, without a
/// further point, and is not finished, be it the last rollout.
///
/// # Errors
/// `Backend` if a read fails, `Diverged` if a loss, a gradient, a parameter or a number of a point is not finite, `Sink` if
/// the sink refuses a point.
pub async fn run_ppo<K: Kernels, S: PpoSink>(
    k: &mut K,
    world: &World,
    run: PpoRun<'_>,
    sink: &mut S,
) -> Result<RunEnd, SweepError<S::Error>> {
    let PpoRun { config, start, seed, settings } = run;
    let ppo = Ppo::new(k, config, start, MAX_SEQUENCE, settings.ppo);
    let evaluator = Evaluator::new(k, ppo.policy().network(), PIECE, settings.evaluation);
    let run = RolloutRun {
        method: if start.reward_model.is_some() { Method::Ppo } else { Method::PpoGt },
        seed,
        settings,
        ppo,
        rounds: Rounds::new(seed, &settings),
        reviews: TextSource::reviews(seed),
        spent: Spent::default(),
        sink,
    };
    train_measured(k, world, evaluator, run).await
}

/// A run on rollouts.
struct RolloutRun<'a, K: Kernels, S> {
    method: Method,
    seed: u64,
    settings: PpoRunSettings,
    ppo: Ppo<K>,
    rounds: Rounds,
    /// The demonstrations of PPO-ptx.
    reviews: TextSource,
    spent: Spent,
    sink: &'a mut S,
}

impl<K: Kernels, S: PpoSink> MeasuredRun<K> for RolloutRun<'_, K, S> {
    type Error = S::Error;

    fn is_over(&self) -> bool {
        self.rounds.done() >= self.settings.rollouts
    }

    async fn advance(&mut self, k: &mut K, world: &World) -> Result<Advance, RunError> {
        let PpoRunSettings { ppo: ppo_settings, rollouts, evaluate_every, .. } = self.settings;
        let (ppo, rounds) = (&mut self.ppo, &mut self.rounds);
        let begin = Moment { seconds: self.sink.seconds(), counters: k.counters() };
        let demonstrations = if ppo_settings.ptx_coefficient > 0.0 { ppo_settings.minibatch() } else { 0 };
        let round = rounds.draw(k, world, ppo).await?;
        for indices in rounds.minibatches(ppo) {
            ppo.step(k, &round.rollout, &indices, &self.reviews.batch(world, demonstrations));
        }
        let metrics = ppo.metrics(k).await?;
        if let Some(line) = metrics.iter().find(|line| !line.is_finite()) {
            return Err(RunError::Diverged(line.step));
        }
        let mut row = round.row();
        let ratios: Vec<f64> = ppo.ratios(k).await?.into_iter().flat_map(|(_, ratios)| ratios).collect();
        row.values.insert("ppo/ratio_min".into(), ratios.iter().copied().fold(f64::INFINITY, f64::min));
        row.values.insert("ppo/ratio_max".into(), ratios.iter().copied().fold(f64::NEG_INFINITY, f64::max));
        self.spent.add(begin, Moment { seconds: self.sink.seconds(), counters: k.counters() });
        let done = rounds.done();
        let is_stopped = self.sink.learned(done, &row, &metrics).is_break();
        Ok(Advance { is_stopped, is_point: done.is_multiple_of(evaluate_every) || done == rollouts })
    }

    fn policy(&self) -> &K::Floats {
        &self.ppo.policy().parameters
    }

    fn reference(&self) -> &K::Floats {
        self.ppo.reference()
    }

    async fn read_policy(&self, k: &mut K) -> Result<Vec<f32>, BackendError> {
        self.ppo.read_policy(k).await
    }

    fn point_key(&self) -> PointKey {
        PointKey {
            method: self.method,
            setting: self.settings.setting(),
            seed: self.seed,
            step: self.ppo.policy().steps(),
            seconds: self.spent.seconds,
        }
    }

    fn spent(&self) -> Spent {
        self.spent
    }

    fn take_point(&mut self, point: SweepPoint) -> Result<(), S::Error> {
        self.sink.point(point)
    }
}
