//! One training on preference pairs with its points: the same loop, data and evaluation for every algorithm.
//!
//! No files and no clock here: whoever trains brings a [`Sink`].

use std::ops::ControlFlow;

use serde::{Deserialize, Serialize};

use super::limits;
use super::measured_run::{Advance, MeasuredRun, RunEnd, RunError, SweepError, SweepPoint, train_measured};
use super::spent::Moment;
use super::{
    EvaluationSettings, Evaluator, PointKey, PreferenceData, PreferenceSettings, Reference, Spent, StudyError,
    TrainedRewardModel,
};
use klimb_align::algorithms::{PairAlgorithm, PairTrainer};
use klimb_align::language::upload;
use klimb_metrics::{Method, MetricRow};
use klimb_network::backend::{BackendError, Kernels};
use klimb_text::ConfigError;
use klimb_world::{MAX_SEQUENCE, World};

/// Completions generated or scored at a time.
pub(super) const PIECE: usize = 256;
/// Steps between two looks at the metrics; the device keeps more lines than that.
const METRICS_EVERY: u64 = 20;

/// One training with its data and its points.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct TrainingSettings {
    /// The algorithm.
    pub algorithm: PairAlgorithm,
    /// Where its pairs come from.
    pub preferences: PreferenceSettings,
    /// How a point is measured.
    pub evaluation: EvaluationSettings,
    /// Optimiser steps between two points; the last step is always one.
    pub evaluate_every: u64,
}

impl TrainingSettings {
    /// Optimiser steps between two points where nobody says otherwise.
    pub const EVALUATE_EVERY: u64 = 100;

    /// The settings, or all that cannot be used.
    pub fn validated(self) -> Result<Self, ConfigError> {
        ConfigError::all([
            self.algorithm.validated().map(drop),
            self.preferences.validated().map(drop),
            limits::count("evaluate every", self.evaluate_every, u64::MAX, limits::TOO_LONG),
            self.evaluation.validated().map(drop),
        ])?;
        Ok(self)
    }

    /// Optimiser steps.
    pub fn steps(&self) -> u64 {
        self.algorithm.budget().schedule.steps
    }

    /// Steps after which a point is measured.
    fn is_point(&self, step: u64) -> bool {
        step.is_multiple_of(self.evaluate_every) || step == self.steps()
    }
}

/// Who takes a run's results, keeps its time, and may stop it.
pub trait Sink {
    /// Why a point could not be taken.
    type Error;
    /// Any clock, in seconds.
    fn seconds(&self) -> f64;
    /// Asked after every optimiser step, or other piece of work, with how many were done.
    fn stepped(&mut self, done: u64) -> ControlFlow<()>;
    /// The metrics of the steps since the last call.
    fn metrics(&mut self, metrics: &[MetricRow]);
    /// A point was measured.
    fn point(&mut self, point: SweepPoint) -> Result<(), Self::Error>;
    /// The parameters of a seed's reward model, where an earlier run of the seed left it.
    fn known_reward_model(&self, _seed: u64) -> Result<Option<Vec<f32>>, Self::Error> {
        Ok(None)
    }
    /// A seed's reward model was trained.
    fn reward_model(&mut self, _seed: u64, _trained: &TrainedRewardModel) -> Result<(), Self::Error> {
        Ok(())
    }
}

/// Trains one policy from the `reference`'s parameters on labelled pairs, and measures it as it goes. If the sink says so
/// it stops behind the step, without a further point, and is not finished, be it the last step.
///
/// # Errors
/// `Backend` if a read fails, `Diverged` if a metric, a parameter or a number of a point is not finite, `Sink` if the sink
/// refuses a point.
pub async fn train<K: Kernels, S: Sink>(
    k: &mut K,
    world: &World,
    reference: Reference<'_>,
    seed: u64,
    settings: &TrainingSettings,
    sink: &mut S,
) -> Result<RunEnd, SweepError<S::Error>> {
    let data = PreferenceData::new(k, reference.network, seed, settings.preferences);
    train_on(k, world, reference, data, settings, sink).await
}

/// [`train`] on these pairs, whose seed is the run's, instead of those that the settings describe.
///
/// # Errors
/// As [`train`].
pub async fn train_on<K: Kernels, S: Sink>(
    k: &mut K,
    world: &World,
    reference: Reference<'_>,
    data: PreferenceData<K>,
    settings: &TrainingSettings,
    sink: &mut S,
) -> Result<RunEnd, SweepError<S::Error>> {
    let Reference { network, parameters } = reference;
    let reference = upload(k, parameters);
    let evaluator = Evaluator::new(k, network, PIECE, settings.evaluation);
    let trainer = settings.algorithm.start(k, network.clone(), parameters, MAX_SEQUENCE - 1);
    let run = PairRun { settings, trainer, data, reference, spent: Spent::default(), sink };
    train_measured(k, world, evaluator, run).await
}

/// A run on pairs.
struct PairRun<'a, K: Kernels, S> {
    settings: &'a TrainingSettings,
    trainer: Box<dyn PairTrainer<K>>,
    data: PreferenceData<K>,
    reference: K::Floats,
    spent: Spent,
    sink: &'a mut S,
}

impl<K: Kernels, S: Sink> MeasuredRun<K> for PairRun<'_, K, S> {
    type Error = S::Error;

    fn is_over(&self) -> bool {
        self.trainer.learner().steps() >= self.settings.steps()
    }

    async fn advance(&mut self, k: &mut K, world: &World) -> Result<Advance, RunError> {
        let pairs = self.settings.algorithm.budget().pairs;
        let begin = Moment { seconds: self.sink.seconds(), counters: k.counters() };
        while self.data.wants_more(pairs) {
            self.data.extend_by(k, world, &self.trainer.learner().parameters, &self.reference).await?;
        }
        self.trainer.step(k, &self.data.next_batch(pairs));
        let step = self.trainer.learner().steps();
        let is_point = self.settings.is_point(step);
        if is_point || step.is_multiple_of(METRICS_EVERY) {
            let rows = self.trainer.rows(k).await?;
            let is_broken = |row: &&MetricRow| row.values.values().any(|value| !value.is_finite());
            if let Some(row) = rows.iter().find(is_broken) {
                return Err(RunError::Diverged(row.step));
            }
            self.sink.metrics(&rows);
        }
        self.spent.add(begin, Moment { seconds: self.sink.seconds(), counters: k.counters() });
        Ok(Advance { is_stopped: self.sink.stepped(step).is_break(), is_point })
    }

    fn policy(&self) -> &K::Floats {
        &self.trainer.learner().parameters
    }

    fn reference(&self) -> &K::Floats {
        &self.reference
    }

    async fn read_policy(&self, k: &mut K) -> Result<Vec<f32>, BackendError> {
        self.trainer.learner().read_parameters(k).await
    }

    fn point_key(&self) -> PointKey {
        let algorithm = self.settings.algorithm;
        PointKey {
            method: algorithm.method(),
            setting: algorithm.setting(),
            seed: self.data.seed(),
            step: self.trainer.learner().steps(),
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

/// The reference itself as a point: KL 0, and the gold reward everything starts from.
///
/// # Errors
/// `Backend` if a read fails, `NotFinite` if the reference's weights are so large that what it computes is no number.
pub async fn reference_point<K: Kernels>(
    k: &mut K,
    world: &World,
    reference: Reference<'_>,
    step: u64,
    settings: EvaluationSettings,
) -> Result<SweepPoint, StudyError> {
    let Reference { network, parameters: reference } = reference;
    let parameters = upload(k, reference);
    let mut evaluator = Evaluator::new(k, network, PIECE, settings);
    let evaluation = evaluator.evaluate(k, world, &parameters, &parameters).await?;
    let place =
        PointKey { method: Method::Sft, setting: PointKey::reference(), seed: settings.seed, step, seconds: 0.0 };
    let point = SweepPoint { point: evaluation.point(place), evaluation, parameters: Some(reference.to_vec()) };
    if point.is_finite() { Ok(point) } else { Err(StudyError::NotFinite { model: "the reference" }) }
}
