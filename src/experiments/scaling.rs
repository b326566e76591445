//! Alignment against size (Ouyang et al. 2022, Figure 1): base model, base model with the cue, SFT, PPO and PPO-ptx at
//! several sizes, each against the largest SFT model.
//!
//! One judge serves all sizes, as InstructGPT's 6B reward model did: here the gold reward itself (PPO-GT), so that only the
//! policy's size differs. Every size gets the same data, steps and settings; the learning rate alone falls with the width.

use std::ops::ControlFlow;

use serde::{Deserialize, Serialize};

use super::study::Watched;
use super::{
    BASE_STEPS, Contest, ContestSettings, Contestant, PpoRun, PpoRunSettings, Progress, SFT_STEPS, StudyError,
    TextSource, model_config, pretrain_settings, run_ppo, sft_settings,
};
use crate::algorithms::{PpoSettings, PpoStart, Sft, SftSettings};
use crate::backend::Kernels;
use crate::backend::network::Network;
use crate::language::Schedule;
use crate::metrics::ScalingPoint;
use crate::model::{Checkpoint, ConfigError, Layout, ModelConfig, initial_parameters};
use crate::world::{MAX_DOCUMENT, MAX_SEQUENCE, World};

/// The width up to which learning rates are the settings'; beyond, they fall in proportion to 1/width (as in Yang et al.
/// 2022 for Adam), or the widest models would not train.
const FULL_RATE_WIDTH: usize = 64;
/// Steps between two looks at the loss; the device keeps more lines than that.
const LOOK_EVERY: u64 = 20;

/// Sizes that differ between the models.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct ModelSize {
    /// Width of the residual stream.
    pub width: usize,
    /// Blocks.
    pub layers: usize,
}

impl ModelSize {
    /// The network of this size, with four heads.
    ///
    /// # Errors
    /// `width` or `layers` out of range.
    pub fn config(self, world: &World) -> Result<ModelConfig, ConfigError> {
        ModelConfig { layers: self.layers, ..model_config(world, self.width)? }.validated()
    }
}

/// What is trained, each from the one before; both kinds of PPO from SFT.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stage {
    /// Pre-training on documents.
    Base,
    /// SFT on reviews.
    Sft,
    /// PPO with the gold reward.
    Ppo,
    /// The same with demonstrations mixed in.
    PpoPtx,
}

impl Stage {
    /// In the order of training.
    pub const ALL: [Self; 4] = [Self::Base, Self::Sft, Self::Ppo, Self::PpoPtx];

    /// The method's name in `scaling.csv` and the checkpoint's stage.
    pub fn name(self) -> &'static str {
        match self {
            Self::Base => "base",
            Self::Sft => "sft",
            Self::Ppo => "ppo-gt",
            Self::PpoPtx => "ppo-gt-ptx",
        }
    }

    /// What it starts from, if not from nothing.
    pub fn start(self) -> Option<Self> {
        match self {
            Self::Base => None,
            Self::Sft => Some(Self::Base),
            Self::Ppo | Self::PpoPtx => Some(Self::Sft),
        }
    }
}

/// A model to train.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ScalingPart {
    /// Its size.
    pub size: ModelSize,
    /// Names first parameters, data and coins.
    pub seed: u64,
    /// What it is.
    pub stage: Stage,
}

impl ScalingPart {
    /// What its file is called.
    pub fn name(&self) -> String {
        let Self { size: ModelSize { width, layers }, seed, stage } = self;
        format!("{}-{width}x{layers}-{seed}", stage.name())
    }
}

/// The experiment.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ScalingSettings {
    /// By rising number of parameters.
    pub sizes: Vec<ModelSize>,
    /// Each size is trained with each seed.
    pub seeds: Vec<u64>,
    /// Pre-training.
    pub base: SftSettings,
    /// Fine-tuning.
    pub sft: SftSettings,
    /// PPO.
    pub ppo: PpoRunSettings,
    /// Weight of the demonstrations in PPO-ptx.
    pub ptx_coefficient: f64,
    /// How win rates are measured, at temperature 1.
    pub contest: ContestSettings,
}

impl ScalingSettings {
    /// The recipes of the shipped models at five sizes, 120 times apart, and three seeds: hours on a processor.
    pub fn full() -> Self {
        let ppo = PpoRunSettings::default();
        Self {
            sizes: sizes(&[(16, 1), (32, 2), (64, 2), (96, 3), (128, 4)]),
            seeds: vec![1, 2, 3],
            base: pretrain_settings(BASE_STEPS),
            sft: sft_settings(SFT_STEPS),
            ppo: PpoRunSettings { evaluate_every: ppo.rollouts, ..ppo },
            ptx_coefficient: 0.1,
            contest: ContestSettings { instances: 2048, ..ContestSettings::default() },
        }
    }

    /// Four sizes, just as far apart, one seed, a fraction of the steps: minutes on two cores.
    pub fn quick() -> Self {
        let full = Self::full();
        let rollouts = 12;
        Self {
            sizes: sizes(&[(16, 1), (32, 2), (64, 2), (128, 4)]),
            seeds: vec![1],
            base: SftSettings { batch: 32, ..pretrain_settings(400) },
            sft: SftSettings { batch: 32, ..sft_settings(200) },
            ppo: PpoRunSettings {
                ppo: PpoSettings {
                    episodes: 128,
                    epochs: 2,
                    kl_coefficient: 0.1,
                    schedule: Schedule { peak: 1e-3, floor: 1e-3, ..full.ppo.ppo.schedule },
                    ..full.ppo.ppo
                },
                rollouts,
                evaluate_every: rollouts,
                ..full.ppo
            },
            contest: ContestSettings { instances: 1024, ..full.contest },
            ..full
        }
    }

    /// An experiment that proves the plumbing in seconds and teaches nothing.
    pub fn smoke() -> Self {
        let quick = Self::quick();
        Self {
            sizes: sizes(&[(16, 1), (32, 1)]),
            base: SftSettings { batch: 4, ..pretrain_settings(2) },
            sft: SftSettings { batch: 4, ..sft_settings(2) },
            ppo: PpoRunSettings {
                ppo: PpoSettings { episodes: 8, epochs: 1, minibatches: 2, ..quick.ppo.ppo },
                rollouts: 1,
                evaluate_every: 1,
                ..quick.ppo
            },
            contest: ContestSettings { instances: 40, ..quick.contest },
            ..quick
        }
    }

    /// The settings, or the first one that cannot be used.
    ///
    /// # Errors
    /// The setting by name.
    pub fn validated(self, world: &World) -> Result<Self, ConfigError> {
        for (field, is_empty) in [("sizes", self.sizes.is_empty()), ("seeds", self.seeds.is_empty())] {
            if is_empty {
                return Err(ConfigError::new(field, "give at least one"));
            }
        }
        for (field, settings) in [("base", self.base), ("sft", self.sft)] {
            if settings.batch == 0 || settings.schedule.steps == 0 {
                return Err(ConfigError::new(field, "batch and steps must be positive"));
            }
        }
        self.sizes.iter().try_for_each(|size| size.config(world).map(|_| ()))?;
        self.ppo.validated()?;
        self.contest.validated()?;
        Ok(self)
    }

    /// The models of one size and seed, by falling size, so that the longest work begins first.
    pub fn groups(&self) -> Vec<[ScalingPart; 4]> {
        let group = |size, seed| Stage::ALL.map(|stage| ScalingPart { size, seed, stage });
        self.sizes.iter().rev().flat_map(|&size| self.seeds.iter().map(move |&seed| group(size, seed))).collect()
    }

    /// The settings of a maximum-likelihood stage for this width.
    fn rated(&self, settings: SftSettings, width: usize) -> SftSettings {
        SftSettings { schedule: rated(settings.schedule, width), ..settings }
    }

    fn ppo_settings(&self, part: &ScalingPart) -> PpoRunSettings {
        let ptx_coefficient = if part.stage == Stage::PpoPtx { self.ptx_coefficient } else { 0.0 };
        let schedule = rated(self.ppo.ppo.schedule, part.size.width);
        PpoRunSettings { ppo: PpoSettings { ptx_coefficient, schedule, ..self.ppo.ppo }, ..self.ppo }
    }
}

fn sizes(sizes: &[(usize, usize)]) -> Vec<ModelSize> {
    sizes.iter().map(|&(width, layers)| ModelSize { width, layers }).collect()
}

fn rated(schedule: Schedule, width: usize) -> Schedule {
    let factor = (FULL_RATE_WIDTH as f64 / width as f64).min(1.0);
    Schedule { peak: factor * schedule.peak, floor: factor * schedule.floor, ..schedule }
}

/// Trains a part; `start` is the checkpoint of its stage's start, if it has one. `None` if `report`, asked all along,
/// ended it.
///
/// # Errors
/// `Backend` if a read fails, `Diverged` if a loss is not finite.
///
/// # Panics
/// If the settings were not validated, or the start is missing or of another size.
pub async fn train_part<K: Kernels>(
    k: &mut K,
    world: &World,
    settings: &ScalingSettings,
    part: &ScalingPart,
    start: Option<&Checkpoint>,
    mut report: impl FnMut(Progress) -> ControlFlow<()>,
) -> Result<Option<Checkpoint>, StudyError> {
    let config = part.size.config(world).expect("validated sizes");
    assert_eq!(start.is_some(), part.stage.start().is_some(), "train_part: the start of {}", part.name());
    assert!(start.is_none_or(|start| start.config == config), "train_part: a start of another size");
    let start = start.map_or_else(|| initial_parameters(&config, part.seed), |start| start.parameters.clone());
    let width = part.size.width;
    let trained = match part.stage {
        Stage::Base => {
            let text = (TextSource::documents(part.seed), MAX_DOCUMENT - 1);
            let settings = settings.rated(settings.base, width);
            maximise_likelihood(k, world, ("base", config, &start), settings, text, &mut report).await?
        }
        Stage::Sft => {
            let text = (TextSource::reviews(part.seed), MAX_SEQUENCE - 1);
            let settings = settings.rated(settings.sft, width);
            maximise_likelihood(k, world, ("sft", config, &start), settings, text, &mut report).await?
        }
        Stage::Ppo | Stage::PpoPtx => {
            let settings = settings.ppo_settings(part);
            let start = PpoStart { reference: &start, value_trunk: &start, reward_model: None };
            let run = PpoRun { config, start, seed: part.seed, settings };
            let mut watched = Watched { points: Vec::new(), rollouts: settings.rollouts, report: &mut report };
            let end = run_ppo(k, world, run, &mut watched).await?;
            end.is_finished.then_some((end.parameters, end.step))
        }
    };
    Ok(trained.map(|(parameters, step)| Checkpoint {
        config,
        vocabulary_fingerprint: world.vocabulary().fingerprint(),
        step,
        stage: part.stage.name().into(),
        head: false,
        parameters,
    }))
}

/// The parameters after all steps, and their number.
pub(super) async fn maximise_likelihood<K: Kernels>(
    k: &mut K,
    world: &World,
    (stage, config, start): (&'static str, ModelConfig, &[f32]),
    settings: SftSettings,
    (mut text, length): (TextSource, usize),
    report: &mut impl FnMut(Progress) -> ControlFlow<()>,
) -> Result<Option<(Vec<f32>, u64)>, StudyError> {
    let mut sft = Sft::new(k, Network::new(config), start, length, settings);
    let total = settings.schedule.steps;
    while sft.learner().steps() < total {
        sft.step(k, &text.batch(world, settings.batch));
        let done = sft.learner().steps();
        let metrics = if done.is_multiple_of(LOOK_EVERY) || done == total { sft.metrics(k).await? } else { Vec::new() };
        if let Some(line) = metrics.iter().find(|line| !line.loss.is_finite()) {
            return Err(StudyError::Diverged { stage, step: line.step });
        }
        if report(Progress { stage, done, total }).is_break() {
            return Ok(None);
        }
    }
    Ok(Some((sft.learner().read_parameters(k).await?, total)))
}

/// Every model's win rate against the SFT model of the largest size and the same seed, at temperature 1 and under other
/// coins, so that the largest SFT model itself wins about half. `load` finds a part's checkpoint. `None` if `go_on`,
/// asked before every piece, ended it.
///
/// # Errors
/// What `load` answers with, or a failed read of the backend.
pub async fn measure_scaling<K: Kernels, E: From<StudyError>>(
    k: &mut K,
    world: &World,
    settings: &ScalingSettings,
    load: impl Fn(&ScalingPart) -> Result<Checkpoint, E>,
    mut go_on: impl FnMut() -> ControlFlow<()>,
) -> Result<Option<Vec<ScalingPoint>>, E> {
    let mut points = Vec::new();
    for &seed in &settings.seeds {
        let largest = *settings.sizes.last().expect("validated: a size");
        let opponent = load(&ScalingPart { size: largest, seed, stage: Stage::Sft })?;
        let opponent = Contestant::new(&opponent);
        let contest = Contest::against_policy(k, world, &opponent, settings.contest, &mut go_on).await;
        let Some(contest) = contest.map_err(StudyError::from)? else { return Ok(None) };
        for &size in &settings.sizes {
            for stage in Stage::ALL {
                let policy = load(&ScalingPart { size, seed, stage })?;
                let cues: &[bool] = if stage == Stage::Base { &[false, true] } else { &[false] };
                for &has_cue in cues {
                    let contestant = Contestant { has_cue, ..Contestant::new(&policy) };
                    let result = contest.play(k, world, &contestant, 1.0, &mut go_on).await;
                    let Some(result) = result.map_err(StudyError::from)? else { return Ok(None) };
                    points.push(ScalingPoint {
                        method: if has_cue { "base-cued" } else { stage.name() }.into(),
                        width: size.width as u64,
                        layers: size.layers as u64,
                        parameters: Layout::new(&policy.config).len as u64,
                        seed,
                        result,
                    });
                }
            }
        }
    }
    Ok(Some(points))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::world::WorldSettings;

    #[test]
    fn the_sizes_span_a_factor_of_a_hundred() {
        let world = World::new(WorldSettings::default()).expect("the default settings are valid");
        for settings in [ScalingSettings::quick(), ScalingSettings::full()] {
            let settings = settings.validated(&world).unwrap();
            let count = |size: &ModelSize| Layout::new(&size.config(&world).unwrap()).len;
            let counts: Vec<usize> = settings.sizes.iter().map(count).collect();
            assert!(counts.len() >= 4 && counts.is_sorted(), "{counts:?}");
            assert!(counts[counts.len() - 1] >= 100 * counts[0], "{counts:?}");
        }
    }

    #[test]
    fn every_model_is_a_part_and_the_longest_work_is_first() {
        let groups = ScalingSettings::full().groups();
        assert_eq!(groups.len(), 15);
        assert_eq!(groups[0][0].name(), "base-128x4-1");
        assert_eq!(groups[14][3].name(), "ppo-gt-ptx-16x1-3");
        for group in groups {
            for (index, part) in group.iter().enumerate() {
                let start = part.stage.start().map(|start| group.iter().position(|it| it.stage == start).unwrap());
                assert!(start.is_none_or(|start| start < index), "{part:?} starts from what is trained later");
            }
        }
    }

    #[test]
    fn rates_fall_beyond_a_width_of_64_alone() {
        let schedule = Schedule { peak: 4e-3, floor: 1e-3, warm_up: 3, steps: 9 };
        assert_eq!(rated(schedule, 16), schedule);
        assert_eq!(rated(schedule, 64), schedule);
        assert_eq!(rated(schedule, 128), Schedule { peak: 2e-3, floor: 5e-4, ..schedule });
    }
}
