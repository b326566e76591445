//! The loop of every training natively: a run advances, whoever takes its results may stop it, and it is measured on its way.

use thiserror::Error;

use super::{Evaluation, Evaluator, PointKey, Spent};
use klimb_metrics::FrontierPoint;
use klimb_network::backend::{BackendError, Kernels};
use klimb_world::World;

/// Whether every parameter is a finite number.
pub(super) fn are_finite(parameters: &[f32]) -> bool {
    parameters.iter().all(|parameter| parameter.is_finite())
}

/// A measured policy with everything needed to measure it again.
#[derive(Debug, Clone, PartialEq)]
pub struct SweepPoint {
    /// Its place on the frontier.
    pub point: FrontierPoint,
    /// What it was computed from.
    pub evaluation: Evaluation,
    /// The policy, flat; `None` for one that has no parameters of its own (Best-of-N).
    pub parameters: Option<Vec<f32>>,
}

impl SweepPoint {
    /// Whether every number of it is finite: what is not a number is no result, and is written nowhere.
    pub fn is_finite(&self) -> bool {
        self.point.is_plausible() && self.parameters.as_deref().is_none_or(are_finite)
    }
}

/// Why a run ended without its last point.
#[derive(Debug, Error)]
pub enum SweepError<E> {
    /// The engine failed.
    #[error(transparent)]
    Backend(BackendError),
    /// What a given model computes is no number.
    #[error(
        "{model}: its weights are so large that what it computes is not a finite number; choose another checkpoint"
    )]
    NotFinite {
        /// The model, in words.
        model: &'static str,
    },
    /// Training broke down; the policy of the last good step is what it was.
    #[error("{run}: a number was not finite at step {step}; a lower learning rate or a shorter leash is steadier")]
    Diverged {
        /// Method, setting and seed.
        run: String,
        /// The step.
        step: u64,
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
    /// Whether that is all of them, and nobody stopped it: the last point was measured.
    pub is_finished: bool,
    /// What they took.
    pub spent: Spent,
    /// The policy, flat.
    pub parameters: Vec<f32>,
}

/// Why a run could not advance.
#[derive(Debug)]
pub(super) enum RunError {
    /// The engine failed.
    Backend(BackendError),
    /// A number was not finite at this step.
    Diverged(u64),
}

impl From<BackendError> for RunError {
    fn from(error: BackendError) -> Self {
        Self::Backend(error)
    }
}

/// What an advance came to.
#[derive(Debug, Clone, Copy)]
pub(super) struct Advance {
    /// Whether whoever takes the results stops the run.
    pub is_stopped: bool,
    /// Whether a point is due.
    pub is_point: bool,
}

/// A run of some method, with whoever takes its results.
pub(super) trait MeasuredRun<K: Kernels> {
    /// Why a point could not be taken.
    type Error;

    /// Whether it has all of its steps.
    fn is_over(&self) -> bool;

    /// Takes what the method counts in, an optimiser step on pairs or a whole rollout with its updates, and tells of it.
    async fn advance(&mut self, k: &mut K, world: &World) -> Result<Advance, RunError>;

    /// The policy's parameters.
    fn policy(&self) -> &K::Floats;

    /// The reference's parameters.
    fn reference(&self) -> &K::Floats;

    /// The policy as a language model, flat.
    async fn read_policy(&self, k: &mut K) -> Result<Vec<f32>, BackendError>;

    /// What a point here would be called.
    fn point_key(&self) -> PointKey;

    /// What the steps so far took.
    fn spent(&self) -> Spent;

    /// Hands a point on.
    fn take_point(&mut self, point: SweepPoint) -> Result<(), Self::Error>;
}

/// Trains until the run is over or stopped. The last point of a run that is stopped is not measured.
///
/// # Errors
/// `Backend` if a read fails, `Diverged` if a metric, a parameter or a number of a point is not finite, `Sink` if a point is
/// refused.
pub(super) async fn train_measured<K: Kernels, R: MeasuredRun<K>>(
    k: &mut K,
    world: &World,
    mut evaluator: Evaluator<K>,
    mut run: R,
) -> Result<RunEnd, SweepError<R::Error>> {
    let diverged = |run: &R, step| {
        let PointKey { method, setting, seed, .. } = run.point_key();
        SweepError::Diverged { run: format!("{method} {setting}, seed {seed}"), step }
    };
    let mut is_stopped = false;
    while !run.is_over() && !is_stopped {
        let advance = match run.advance(k, world).await {
            Ok(advance) => advance,
            Err(RunError::Backend(error)) => return Err(SweepError::Backend(error)),
            Err(RunError::Diverged(step)) => return Err(diverged(&run, step)),
        };
        is_stopped = advance.is_stopped;
        if advance.is_point && !is_stopped {
            let evaluation = evaluator.evaluate(k, world, run.policy(), run.reference()).await?;
            let (key, parameters) = (run.point_key(), run.read_policy(k).await?);
            let step = key.step;
            let point = SweepPoint { point: evaluation.point(key), evaluation, parameters: Some(parameters) };
            if !point.is_finite() {
                return Err(diverged(&run, step));
            }
            run.take_point(point).map_err(SweepError::Sink)?;
        }
    }
    let (step, parameters) = (run.point_key().step, run.read_policy(k).await?);
    if !are_finite(&parameters) {
        return Err(diverged(&run, step));
    }
    Ok(RunEnd { step, is_finished: !is_stopped, spent: run.spent(), parameters })
}
