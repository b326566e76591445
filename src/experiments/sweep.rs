//! A sweep: DPO over settings and seeds from one reference, a point every so many steps, and the closed-form optimum
//! sampled beside it. The same run serves a single training.
//!
//! No files and no clock here: whoever sweeps brings a [`Sink`].

use std::ops::ControlFlow;

use serde::{Deserialize, Serialize};
use thiserror::Error;

use super::{Evaluation, EvaluationSettings, Evaluator, OptimumSettings, PreferenceData, PreferenceSettings};
use crate::algorithms::{Dpo, DpoMetrics, DpoSettings};
use crate::backend::network::Network;
use crate::backend::{BackendError, Kernels};
use crate::language::{Schedule, upload};
use crate::metrics::{FrontierPoint, Setting};
use crate::model::ConfigError;
use crate::world::{MAX_SEQUENCE, World};

/// Completions generated or scored at a time.
pub(super) const PIECE: usize = 256;
/// Steps between two looks at the metrics; the device keeps more lines than that.
const METRICS_EVERY: u64 = 20;

/// One training with its data and its points.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct RunSettings {
    /// The algorithm.
    pub dpo: DpoSettings,
    /// Where its pairs come from.
    pub preferences: PreferenceSettings,
    /// How a point is measured.
    pub evaluation: EvaluationSettings,
    /// Optimiser steps between two points; the last step is always one.
    pub evaluate_every: u64,
}

impl Default for RunSettings {
    fn default() -> Self {
        Self {
            dpo: DpoSettings::default(),
            preferences: PreferenceSettings::default(),
            evaluation: EvaluationSettings::default(),
            evaluate_every: 100,
        }
    }
}

impl RunSettings {
    /// The settings, or the first one that cannot be used.
    pub fn validated(self) -> Result<Self, ConfigError> {
        let Self { dpo, preferences, evaluation, evaluate_every } = self;
        let positive = |field, value: f64| {
            let reason = || format!("{value} is not a positive number");
            if value > 0.0 && value.is_finite() { Ok(()) } else { Err(ConfigError::new(field, reason())) }
        };
        positive("beta", dpo.beta)?;
        positive("learning rate", dpo.schedule.peak)?;
        positive("steps", dpo.schedule.steps as f64)?;
        positive("pairs", dpo.pairs as f64)?;
        positive("preference chunks", preferences.chunks as f64)?;
        positive("evaluate every", evaluate_every as f64)?;
        if !(0.0..0.5).contains(&dpo.label_smoothing) {
            let reason = format!("{} is outside 0 to 0.5 (not included)", dpo.label_smoothing);
            return Err(ConfigError::new("label smoothing", reason));
        }
        if evaluation.samples < 2 {
            let reason = format!("{} cannot have an interval; take at least 2", evaluation.samples);
            return Err(ConfigError::new("samples", reason));
        }
        preferences.labels.validated()?;
        Ok(self)
    }

    /// Optimiser steps.
    pub fn steps(&self) -> u64 {
        self.dpo.schedule.steps
    }

    /// Steps after which a point is measured.
    fn is_point(&self, step: u64) -> bool {
        step.is_multiple_of(self.evaluate_every) || step == self.steps()
    }
}

/// Which runs a sweep consists of.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SweepSettings {
    /// DPO's β.
    pub betas: Vec<f64>,
    /// Each β is run with each seed.
    pub seeds: Vec<u64>,
    /// Every run's settings, but for β.
    pub run: RunSettings,
    /// How far the closed-form optimum is to be known.
    pub optimum: OptimumSettings,
}

impl SweepSettings {
    /// Three leashes, one seed: minutes on a processor.
    pub fn quick() -> Self {
        Self {
            betas: vec![0.1, 0.3, 1.0],
            seeds: vec![1],
            run: RunSettings::default(),
            optimum: OptimumSettings::default(),
        }
    }

    /// The β of Rafailov et al. (2023, Figure 2), three seeds, a point every 100 steps, four times the data.
    pub fn paper() -> Self {
        let run = RunSettings::default();
        let schedule = Schedule { steps: 600, ..run.dpo.schedule };
        Self {
            betas: vec![0.05, 0.1, 1.0, 5.0],
            seeds: vec![1, 2, 3],
            run: RunSettings {
                dpo: DpoSettings { pairs: 256, schedule, ..run.dpo },
                preferences: PreferenceSettings { chunks: 4 * run.preferences.chunks, ..run.preferences },
                evaluation: EvaluationSettings { samples: 1024, ..run.evaluation },
                ..run
            },
            optimum: OptimumSettings::default(),
        }
    }

    /// A sweep that proves the plumbing in seconds and teaches nothing.
    pub fn smoke() -> Self {
        let run = RunSettings::default();
        let schedule = Schedule { steps: 4, warm_up: 1, ..run.dpo.schedule };
        Self {
            betas: vec![0.3, 1.0],
            seeds: vec![1],
            run: RunSettings {
                dpo: DpoSettings { pairs: 16, schedule, ..run.dpo },
                preferences: PreferenceSettings { chunks: 1, ..run.preferences },
                evaluation: EvaluationSettings { samples: 32, ..run.evaluation },
                evaluate_every: 2,
            },
            optimum: OptimumSettings::smoke(),
        }
    }

    /// The settings, or the first one that cannot be used.
    pub fn validated(self) -> Result<Self, ConfigError> {
        for (field, is_empty) in [("betas", self.betas.is_empty()), ("seeds", self.seeds.is_empty())] {
            if is_empty {
                return Err(ConfigError::new(field, "give at least one"));
            }
        }
        self.runs().iter().try_for_each(|run| run.settings.validated().map(|_| ()))?;
        Ok(self)
    }

    /// The runs, in the order of the files.
    pub fn runs(&self) -> Vec<SweepRun> {
        let run = |beta: f64, seed: u64| {
            let dpo = DpoSettings { beta, ..self.run.dpo };
            SweepRun { seed, settings: RunSettings { dpo, ..self.run } }
        };
        self.betas.iter().flat_map(|&beta| self.seeds.iter().map(move |&seed| run(beta, seed))).collect()
    }
}

/// One run of a sweep.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct SweepRun {
    /// Names its pairs and their order.
    pub seed: u64,
    /// Its settings.
    pub settings: RunSettings,
}

impl SweepRun {
    /// Whether `point` is one of this run's.
    pub fn owns(&self, point: &FrontierPoint) -> bool {
        point.method == "dpo" && point.setting == Setting::Number(self.settings.dpo.beta) && point.seed == self.seed
    }
}

/// A measured policy with everything needed to measure it again.
#[derive(Debug, Clone, PartialEq)]
pub struct SweepPoint {
    /// Its place on the frontier.
    pub point: FrontierPoint,
    /// What it was computed from.
    pub evaluation: Evaluation,
    /// The policy, flat.
    pub parameters: Vec<f32>,
}

/// Who takes a run's results, keeps its time, and may stop it.
pub trait Sink {
    /// Why a point could not be taken.
    type Error;
    /// Any clock, in seconds.
    fn seconds(&self) -> f64;
    /// Asked after every optimiser step.
    fn stepped(&mut self, step: u64) -> ControlFlow<()>;
    /// The metrics of the steps since the last call.
    fn metrics(&mut self, metrics: &[DpoMetrics]);
    /// A point was measured.
    fn point(&mut self, point: SweepPoint) -> Result<(), Self::Error>;
}

/// Why a run ended without its last point.
#[derive(Debug, Error)]
pub enum SweepError<E> {
    /// The engine failed.
    #[error(transparent)]
    Backend(BackendError),
    /// Training broke down; the policy of the last good step is what it was.
    #[error(
        "the loss was not a finite number at step {step} (β {beta}); a lower learning rate or a higher β is steadier"
    )]
    Diverged {
        /// The step.
        step: u64,
        /// β.
        beta: f64,
    },
    /// The sink failed.
    #[error(transparent)]
    Sink(E),
}

impl<E> From<BackendError> for SweepError<E> {
    fn from(error: BackendError) -> Self {
        Self::Backend(error)
    }
}

/// Where a run ended.
#[derive(Debug, Clone, PartialEq)]
pub struct RunEnd {
    /// Steps taken.
    pub step: u64,
    /// Whether that is all of them.
    pub is_finished: bool,
    /// The policy, flat.
    pub parameters: Vec<f32>,
}

/// Trains one policy by DPO from the `reference`'s parameters, on pairs that the reference writes and the world
/// labels, and measures it as it goes. If the sink says so it stops behind the step, without a further point.
///
/// # Errors
/// `Backend` if a read fails, `Diverged` if a loss or gradient is not finite, `Sink` if the sink refuses a point.
pub async fn run_dpo<K: Kernels, S: Sink>(
    k: &mut K,
    world: &World,
    network: &Network,
    reference: &[f32],
    run: &SweepRun,
    sink: &mut S,
) -> Result<RunEnd, SweepError<S::Error>> {
    let SweepRun { seed, settings } = run;
    let reference_parameters = upload(k, reference);
    let mut data = PreferenceData::new(k, network, *seed, settings.preferences);
    let mut evaluator = Evaluator::new(k, network, PIECE, settings.evaluation);
    let mut dpo = Dpo::new(k, network.clone(), reference, MAX_SEQUENCE - 1, settings.dpo);
    let (mut seconds, mut is_stopped) = (0.0, false);
    while dpo.learner().steps() < settings.steps() && !is_stopped {
        let start = sink.seconds();
        while data.wants_more(settings.dpo.pairs) {
            data.extend(k, world, &reference_parameters).await?;
        }
        dpo.step(k, &data.next_batch(settings.dpo.pairs));
        let step = dpo.learner().steps();
        let is_point = settings.is_point(step);
        if is_point || step.is_multiple_of(METRICS_EVERY) {
            let metrics = dpo.metrics(k).await?;
            let is_broken = |line: &&DpoMetrics| !line.loss.is_finite() || !line.gradient_norm.is_finite();
            if let Some(line) = metrics.iter().find(is_broken) {
                return Err(SweepError::Diverged { step: line.step, beta: settings.dpo.beta });
            }
            sink.metrics(&metrics);
        }
        seconds += sink.seconds() - start;
        is_stopped = sink.stepped(step).is_break();
        if is_point && !is_stopped {
            let evaluation = evaluator.evaluate(k, world, &dpo.learner().parameters, &reference_parameters).await?;
            let place =
                Place { method: "dpo", setting: Setting::Number(settings.dpo.beta), seed: *seed, step, seconds };
            let parameters = dpo.learner().read_parameters(k).await?;
            sink.point(place.point(evaluation, parameters)).map_err(SweepError::Sink)?;
        }
    }
    let step = dpo.learner().steps();
    let parameters = dpo.learner().read_parameters(k).await?;
    Ok(RunEnd { step, is_finished: step == settings.steps(), parameters })
}

/// The reference itself as a point: KL 0, and the gold reward everything starts from.
///
/// # Errors
/// As any read of the backend: `DeviceLost` or `Readback`.
pub async fn reference_point<K: Kernels>(
    k: &mut K,
    world: &World,
    network: &Network,
    reference: &[f32],
    step: u64,
    settings: EvaluationSettings,
) -> Result<SweepPoint, BackendError> {
    let parameters = upload(k, reference);
    let mut evaluator = Evaluator::new(k, network, PIECE, settings);
    let evaluation = evaluator.evaluate(k, world, &parameters, &parameters).await?;
    let setting = Setting::Label("reference".into());
    let place = Place { method: "sft", setting, seed: settings.seed, step, seconds: 0.0 };
    Ok(place.point(evaluation, reference.to_vec()))
}

/// What a point is called.
pub(super) struct Place {
    pub method: &'static str,
    pub setting: Setting,
    pub seed: u64,
    pub step: u64,
    pub seconds: f64,
}

impl Place {
    pub fn point(self, evaluation: Evaluation, parameters: Vec<f32>) -> SweepPoint {
        let point = FrontierPoint {
            method: self.method.into(),
            setting: self.setting,
            seed: self.seed,
            step: self.step,
            kl_per_sequence: evaluation.kl_per_sequence,
            kl_half_width: evaluation.kl_half_width,
            gold_reward: evaluation.gold_reward,
            gold_reward_half_width: evaluation.gold_reward_half_width,
            samples: evaluation.samples.len() as u64,
            seconds: self.seconds,
            diversity: Some(evaluation.diversity),
        };
        SweepPoint { point, evaluation, parameters }
    }
}
