//! The whole road of RLHF as one run of a sweep: a reward model from labelled pairs, then PPO on its scores (Ouyang et
//! al. 2022); or PPO on the gold reward itself.

use std::ops::ControlFlow;

use super::preferences::PAIRS_PER_INSTANCE;
use super::{
    PairSplit, PpoRun, PpoRunSettings, PpoSink, PreferenceData, PreferenceSettings, Reference, RewardModelError,
    RewardModelRecipe, RewardModelTraining, RunEnd, Sink, SweepError, SweepPoint, TrainedRewardModel,
    reference_completions, run_ppo,
};
use klimb_align::algorithms::{PpoMetrics, PpoStart};
use klimb_align::language::upload;
use klimb_metrics::{Method, MetricRow, Setting};
use klimb_network::backend::Kernels;
use klimb_text::ConfigError;
use klimb_world::World;
use klimb_world::preferences::Pair;

/// How a reward model is made.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct RewardModelPlan {
    /// Where its pairs come from.
    pub preferences: PreferenceSettings,
    /// How it is trained.
    pub recipe: RewardModelRecipe,
}

/// The making of one reward model.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct RewardModelRun {
    /// How it is made.
    pub plan: RewardModelPlan,
    /// Names its pairs, their order and its head.
    pub seed: u64,
}

/// A policy's training by PPO, and what judges it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct JudgedPpo<'a> {
    /// The training and its points.
    pub settings: PpoRunSettings,
    /// The parameters of the reward model; without one, the gold reward judges.
    pub reward_model: Option<&'a [f32]>,
    /// Names prompts and coins.
    pub seed: u64,
}

/// Both trainings of RLHF with their seed.
#[derive(Debug, Clone, Copy)]
pub(super) struct RlhfRun<'a> {
    pub settings: &'a RlhfSettings,
    pub seed: u64,
}

/// A run of PPO with what judges it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct RlhfSettings {
    /// The policy's training and its points.
    pub ppo: PpoRunSettings,
    /// How the reward model is made; without one, the gold reward judges.
    pub reward_model: Option<RewardModelPlan>,
}

impl RlhfSettings {
    /// The settings, or all that cannot be used.
    pub fn validated(self) -> Result<Self, ConfigError> {
        let ppo = self.ppo.validated().map(drop);
        let reward_model = self.reward_model.map_or(Ok(()), |RewardModelPlan { preferences, recipe }| {
            ConfigError::all([preferences.validated().map(drop), recipe.validated().map(drop)])
        });
        ConfigError::all([ppo, reward_model])?;
        Ok(self)
    }

    /// Which method it is.
    pub fn method(&self) -> Method {
        if self.reward_model.is_some() { Method::Ppo } else { Method::PpoGt }
    }

    /// What distinguishes its runs: the target KL, or β.
    pub fn setting(&self) -> Setting {
        self.ppo.setting()
    }

    /// Optimiser steps of the policy.
    pub fn steps(&self) -> u64 {
        let ppo = &self.ppo.ppo;
        self.ppo.rollouts.saturating_mul(ppo.epochs.saturating_mul(ppo.minibatches) as u64)
    }
}

/// Trains the reward model, if there is to be one, and the policy, and measures the policy as it goes. If the sink says
/// so it stops behind the piece at hand, without a further point. Answers whether it came to its end.
///
/// # Errors
/// `Backend` if a read fails, `Diverged` if a loss is not finite, `Sink` if the sink refuses a point.
pub(super) async fn run_rlhf<K: Kernels, S: Sink>(
    k: &mut K,
    world: &World,
    reference: Reference<'_>,
    run: RlhfRun<'_>,
    sink: &mut S,
) -> Result<bool, SweepError<S::Error>> {
    let RlhfRun { settings, seed } = run;
    let mut reward_model = None;
    if let Some(plan) = settings.reward_model {
        reward_model = sink.known_reward_model(seed).map_err(SweepError::Sink)?;
        if reward_model.is_none() {
            let watch = || sink.stepped(0);
            let trained = train_reward_model(k, world, reference, RewardModelRun { plan, seed }, watch).await;
            let Some(trained) = trained.map_err(|error| of_sweep(error, seed))? else { return Ok(false) };
            sink.reward_model(seed, &trained).map_err(SweepError::Sink)?;
            reward_model = Some(trained.parameters);
        }
    }
    let run = JudgedPpo { settings: settings.ppo, reward_model: reward_model.as_deref(), seed };
    run_ppo_of(k, world, reference, run, sink).await.map(|end| end.is_finished)
}

/// The second half of RLHF: PPO from the reference, judged by this reward model, or else by the gold reward.
///
/// # Errors
/// As [`run_ppo`].
pub async fn run_ppo_of<K: Kernels, S: Sink>(
    k: &mut K,
    world: &World,
    reference: Reference<'_>,
    run: JudgedPpo<'_>,
    sink: &mut S,
) -> Result<RunEnd, SweepError<S::Error>> {
    let Reference { network, parameters: reference } = reference;
    let JudgedPpo { settings, reward_model, seed } = run;
    let start = PpoStart { reference, value_trunk: reward_model.unwrap_or(reference), reward_model };
    let run = PpoRun { config: *network.config(), start, seed, settings };
    run_ppo(k, world, run, &mut OfSweep(sink)).await
}

fn of_sweep<E>(error: RewardModelError, seed: u64) -> SweepError<E> {
    match error {
        RewardModelError::Backend(error) => SweepError::Backend(error),
        RewardModelError::Diverged { step } => SweepError::Diverged { run: format!("reward model, seed {seed}"), step },
    }
}

/// The reward model of a seed, from pairs of its own. `watch` is asked after each piece of work, and may end it; then the
/// answer is `None`.
///
/// # Errors
/// `Backend` if a read fails, `Diverged` if the loss is not finite.
pub async fn train_reward_model<K: Kernels>(
    k: &mut K,
    world: &World,
    reference: Reference<'_>,
    run: RewardModelRun,
    mut watch: impl FnMut() -> ControlFlow<()>,
) -> Result<Option<TrainedRewardModel>, RewardModelError> {
    let Reference { network, parameters: reference } = reference;
    let RewardModelRun { plan: RewardModelPlan { preferences, recipe }, seed } = run;
    let parameters = upload(k, reference);
    let mut data = PreferenceData::new(k, network, seed, preferences);
    while data.len() < data.capacity() {
        data.extend(k, world, &parameters).await?;
        if watch().is_break() {
            return Ok(None);
        }
    }
    let pairs: Vec<Pair> = data.pairs().cloned().collect();
    let instances = pairs.chunks(PAIRS_PER_INSTANCE).map(<[Pair]>::to_vec).collect();
    let split = PairSplit::new(instances, recipe.validation_share, seed).expect("a chunk has many instances");
    let mut training = RewardModelTraining::new(k, *network.config(), reference, split, seed, recipe);
    while training.steps() < training.total_steps() {
        training.advance(k).await?;
        if watch().is_break() {
            return Ok(None);
        }
    }
    let completions = reference_completions(k, world, network, &parameters, seed).await?;
    training.finish(k, &completions).await.map(Some)
}

/// A sweep's sink as PPO's.
struct OfSweep<'a, S>(&'a mut S);

impl<S: Sink> PpoSink for OfSweep<'_, S> {
    type Error = S::Error;

    fn seconds(&self) -> f64 {
        self.0.seconds()
    }

    fn learned(&mut self, rollouts: u64, rollout: &MetricRow, _: &[PpoMetrics]) -> ControlFlow<()> {
        self.0.metrics(std::slice::from_ref(rollout));
        self.0.stepped(rollouts)
    }

    fn point(&mut self, point: SweepPoint) -> Result<(), S::Error> {
        self.0.point(point)
    }
}
