//! The closed-form optima of a sweep: the gold reward's, and that of each reward model that its seeds trained.

use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use klimb::backend::Kernels;
use klimb::experiments::{
    LearnedReward, Plan, Reference, RewardModelRun, SweepRun, SweepSettings, TrainedRewardModel, learned_optimum,
    optimum_curve, train_reward_model,
};
use klimb::metrics::{LearnedOptimumPoint, OptimumPoint};
use klimb::model::Checkpoint;
use klimb::world::World;

use super::super::fingerprints::Fingerprints;
use super::super::optimum::sampled;
use super::super::{Failure, files, interrupt, progress};

/// What a sweep's points are to be compared with.
#[derive(Debug, Default)]
pub struct Optima {
    /// The most gold reward any policy can have.
    pub gold: Vec<OptimumPoint>,
    /// What PPO aims at, seed by seed; empty where no reward model was trained.
    pub learned: Vec<LearnedOptimumPoint>,
}

/// The reward models in a sweep's folder, one a seed.
#[derive(Debug, Clone)]
pub struct RewardModels {
    folder: PathBuf,
    reference: Checkpoint,
    fingerprints: Arc<Fingerprints>,
}

impl RewardModels {
    pub fn new(folder: &Path, reference: &Checkpoint, fingerprints: Arc<Fingerprints>) -> Self {
        Self { folder: folder.to_owned(), reference: reference.clone(), fingerprints }
    }

    /// The file of a seed's, in the folder.
    pub fn file(seed: u64) -> String {
        format!("checkpoints/reward-model-{seed}.safetensors")
    }

    /// The parameters of a seed's, if it is there as it was written.
    pub fn read(&self, world: &World, seed: u64) -> Result<Option<Vec<f32>>, Failure> {
        let name = Self::file(seed);
        let path = self.folder.join(&name);
        if !path.is_file() {
            return Ok(None);
        }
        if !self.fingerprints.fit(&name, &files::read(&path)?) {
            progress::tell(&format!("{}: {}; it is trained again", path.display(), Fingerprints::CHANGED));
            return Ok(None);
        }
        let expected = files::expected(world, Some(self.reference.config), true);
        let found = self.fingerprints.read_model(&name, &expected)?;
        Ok(Some(found.parameters))
    }

    pub fn write(&self, seed: u64, trained: &TrainedRewardModel) -> Result<(), Failure> {
        let checkpoint = Checkpoint {
            step: trained.report.step,
            stage: "reward_model".into(),
            head: true,
            parameters: trained.parameters.clone(),
            ..self.reference.clone()
        };
        self.fingerprints.write_model(&Self::file(seed), &checkpoint)
    }
}

/// One run for each seed that trains a reward model: runs of a seed share it.
pub fn runs_with_reward_models(settings: &SweepSettings) -> Vec<SweepRun> {
    let mut runs: Vec<SweepRun> = Vec::new();
    for run in &settings.runs {
        let is_learned = matches!(settings.plan(run), Plan::Rlhf(plan) if plan.reward_model.is_some());
        if is_learned && runs.iter().all(|earlier| earlier.seed != run.seed) {
            runs.push(*run);
        }
    }
    runs.sort_by_key(|run| run.seed);
    runs
}

/// The optima, from one set of samples, or `None` after Ctrl-C. A reward model that is not in the folder, because the
/// sweep is an older program's, is trained again, which gives the same one.
pub async fn optima<K: Kernels>(
    k: &mut K,
    world: &World,
    start: Reference<'_>,
    settings: &SweepSettings,
    reward_models: &RewardModels,
) -> Result<Option<Optima>, Failure> {
    let mut judges = Vec::new();
    for run in runs_with_reward_models(settings) {
        match reward_model(k, world, start, settings, run, reward_models).await? {
            Some(parameters) => judges.push((run.seed, parameters)),
            None => return Ok(None),
        }
    }
    if interrupt::requested() {
        return Ok(None);
    }
    let temperature = settings.preferences.labels.temperature;
    let Some(drawn) = sampled(k, world, start, temperature, &settings.optimum).await? else {
        return Ok(None);
    };
    let mut learned = Vec::new();
    let bar = progress::bar(judges.len() as u64, "optima of reward models");
    for (seed, parameters) in &judges {
        let judge = LearnedReward { config: *start.network.config(), parameters, seed: *seed };
        let Some(curve) = learned_optimum(k, judge, &drawn, go_on).await? else { return Ok(None) };
        learned.extend(curve);
        bar.inc(1);
    }
    bar.finish_and_clear();
    Ok(Some(Optima { gold: optimum_curve(&drawn.samples), learned }))
}

fn go_on() -> ControlFlow<()> {
    if interrupt::requested() { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
}

/// The reward model of a run's seed, or `None` after Ctrl-C.
async fn reward_model<K: Kernels>(
    k: &mut K,
    world: &World,
    start: Reference<'_>,
    settings: &SweepSettings,
    run: SweepRun,
    reward_models: &RewardModels,
) -> Result<Option<Vec<f32>>, Failure> {
    if let Some(parameters) = reward_models.read(world, run.seed)? {
        return Ok(Some(parameters));
    }
    let Plan::Rlhf(plan) = settings.plan(&run) else { return Ok(None) };
    let Some(plan) = plan.reward_model else { return Ok(None) };
    let Some(trained) = train_reward_model(k, world, start, RewardModelRun { plan, seed: run.seed }, go_on).await?
    else {
        return Ok(None);
    };
    reward_models.write(run.seed, &trained)?;
    Ok(Some(trained.parameters))
}
