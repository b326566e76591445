//! Alignment against size (Ouyang et al. 2022, Figure 1): base model, base model with the cue, SFT, PPO and PPO-ptx at
//! several sizes, each against the largest SFT model.
//!
//! One judge serves all sizes, as InstructGPT's 6B reward model did: here the gold reward itself (PPO-GT), so that only the
//! policy's size differs. Every size gets the same data, steps and settings; the learning rate alone falls with the width.

mod contest;
mod part;

use serde::{Deserialize, Serialize};

pub use contest::{ScalingContest, measure_scaling};
pub use part::{PartTraining, train_part};

use super::{BASE_STEPS, ContestSettings, PpoRunSettings, SFT_STEPS, model_config, pretrain_settings, sft_settings};
use klimb_align::algorithms::{PpoSettings, SftSettings};
use klimb_align::language::Schedule;
use klimb_metrics::Method;
use klimb_network::model::{Layout, ModelConfig};
use klimb_text::{ConfigError, message};
use klimb_world::{MAX_DOCUMENT, MAX_SEQUENCE, World};

/// The width up to which learning rates are the settings'; beyond, they fall in proportion to 1/width (as in Yang et al.
/// 2022 for Adam), or the widest models would not train.
const FULL_RATE_WIDTH: usize = 64;

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

    /// The method in `scaling.csv`.
    pub fn method(self) -> Method {
        match self {
            Self::Base => Method::Base,
            Self::Sft => Method::Sft,
            Self::Ppo => Method::PpoGt,
            Self::PpoPtx => Method::PpoGtPtx,
        }
    }

    /// The checkpoint's stage.
    pub fn name(self) -> &'static str {
        self.method().info().file_name
    }

    /// How it is prompted when it is measured: with the world's cue, without, or both.
    pub fn cues(self) -> &'static [bool] {
        if self == Self::Base { &[false, true] } else { &[false] }
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
            sizes: vec![size(16, 1), size(32, 2), size(64, 2), size(96, 3), size(128, 4)],
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
            sizes: vec![size(16, 1), size(32, 2), size(64, 2), size(128, 4)],
            seeds: vec![1],
            base: SftSettings { batch: 32, ..pretrain_settings(400) },
            sft: SftSettings { batch: 32, ..sft_settings(200) },
            ppo: PpoRunSettings {
                ppo: PpoSettings {
                    episodes: 128,
                    epochs: 2,
                    beta: 0.1,
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

    /// Three of the quick experiment's sizes, 17 times apart, with its steps: what a browser trains in a minute or two.
    pub fn page(seed: u64) -> Self {
        let quick = Self::quick();
        let contest = ContestSettings { instances: 512, ..quick.contest };
        Self { sizes: vec![size(16, 1), size(32, 2), size(64, 2)], seeds: vec![seed], contest, ..quick }
    }

    /// An experiment that proves the plumbing in seconds and teaches nothing.
    pub fn smoke() -> Self {
        let quick = Self::quick();
        Self {
            sizes: vec![size(16, 1), size(32, 1)],
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
                return Err(ConfigError::new(field, message!("give at least one")));
            }
        }
        for (field, settings) in [("base", self.base), ("sft", self.sft)] {
            if settings.batch == 0 || settings.schedule.steps == 0 {
                return Err(ConfigError::new(field, message!("batch and steps must be positive")));
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

    /// Whom everyone of a seed meets: the SFT model of the largest size.
    ///
    /// # Panics
    /// If the settings were not validated.
    pub fn opponent(&self, seed: u64) -> ScalingPart {
        let size = *self.sizes.last().expect("validated: a size");
        ScalingPart { size, seed, stage: Stage::Sft }
    }

    /// What training a part takes, in passes of a token through a million weights, roughly: to tell the remaining time.
    pub fn training_cost(&self, world: &World, part: &ScalingPart) -> u64 {
        // A backward pass counts as two forward ones.
        let likelihood =
            |settings: &SftSettings, length: usize| settings.schedule.steps as usize * settings.batch * length * 3;
        let tokens = match part.stage {
            Stage::Base => likelihood(&self.base, MAX_DOCUMENT),
            Stage::Sft => likelihood(&self.sft, MAX_SEQUENCE),
            Stage::Ppo | Stage::PpoPtx => {
                let PpoSettings { episodes, epochs, .. } = self.ppo.ppo;
                // Policy, reference and value model see the rollout; policy and value model learn from it.
                self.ppo.rollouts as usize * episodes * MAX_SEQUENCE * (4 + 6 * epochs)
            }
        };
        cost(world, part.size, tokens)
    }

    /// What a part's contest takes, in the same units.
    pub fn contest_cost(&self, world: &World, part: &ScalingPart) -> u64 {
        cost(world, part.size, self.contest.instances * MAX_SEQUENCE)
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

const fn size(width: usize, layers: usize) -> ModelSize {
    ModelSize { width, layers }
}

/// Passes of `tokens` through a model of this size. Attention, norms and embeddings weigh as much as so many weights.
fn cost(world: &World, size: ModelSize, tokens: usize) -> u64 {
    const BESIDE_WEIGHTS: usize = 10_000;
    let parameters = size.config(world).map_or(0, |config| Layout::new(&config).len);
    (tokens * (parameters + BESIDE_WEIGHTS)) as u64 / 1_000_000 + 1
}

fn rated(schedule: Schedule, width: usize) -> Schedule {
    let factor = (FULL_RATE_WIDTH as f64 / width as f64).min(1.0);
    Schedule { peak: factor * schedule.peak, floor: factor * schedule.floor, ..schedule }
}

#[cfg(test)]
mod tests {
    use super::*;
    use klimb_world::WorldSettings;

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
