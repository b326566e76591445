//! What the longer experiments share: word of how far they are, a way to end them, and why they fail.

use std::convert::Infallible;
use std::ops::ControlFlow;

use thiserror::Error;

use super::{PpoSink, RewardModelError, SweepError, SweepPoint};
use klimb_align::algorithms::PpoMetrics;
use klimb_metrics::MetricRow;
use klimb_network::backend::BackendError;
use klimb_text::{ConfigError, Message, display_message, message};

/// How far a stage of an experiment is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Progress {
    /// The stage, such as `ppo`.
    pub stage: &'static str,
    /// Units done: steps, rollouts, pieces.
    pub done: u64,
    /// Units in all.
    pub total: u64,
}

/// Why an experiment ended without its result.
#[derive(Debug, Error)]
pub enum StudyError {
    /// The engine failed.
    Backend(#[from] BackendError),
    /// A setting cannot be used.
    Config(#[from] ConfigError),
    /// There is no reward model.
    RewardModel(#[from] RewardModelError),
    /// What a given model computes is no number.
    NotFinite {
        /// The model, in words.
        model: &'static str,
    },
    /// Training broke down.
    Diverged {
        /// The stage.
        stage: &'static str,
        /// The step.
        step: u64,
    },
}

impl StudyError {
    /// What is wrong, as a clause.
    pub fn message(&self) -> Message {
        match self {
            Self::Backend(error) => error.message(),
            Self::Config(error) => error.message(),
            Self::RewardModel(error) => error.message(),
            Self::NotFinite { model } => message!(
                "{}: its weights are so large that what it computes is not a finite number; choose another checkpoint",
                Message::named(*model)
            ),
            Self::Diverged { stage, step } => message!(
                "{}: the loss was not a finite number at step {}; a lower learning rate is steadier",
                Message::named(*stage),
                step
            ),
        }
    }
}

display_message!(StudyError);

impl From<SweepError<Infallible>> for StudyError {
    fn from(error: SweepError<Infallible>) -> Self {
        match error {
            SweepError::Backend(error) => Self::Backend(error),
            SweepError::NotFinite { model } => Self::NotFinite { model },
            SweepError::Diverged { step, .. } => Self::Diverged { stage: "ppo", step },
            SweepError::Sink(never) => match never {},
        }
    }
}

/// Keeps the points of a run of PPO, and tells `report` of its rollouts.
pub(super) struct Watched<'a, F> {
    pub points: Vec<SweepPoint>,
    pub rollouts: u64,
    pub report: &'a mut F,
}

impl<F: FnMut(Progress) -> ControlFlow<()>> PpoSink for Watched<'_, F> {
    type Error = Infallible;

    /// The time is not of interest, and a library has no clock on every platform.
    fn seconds(&self) -> f64 {
        0.0
    }

    fn learned(&mut self, rollouts: u64, _: &MetricRow, _: &[PpoMetrics]) -> ControlFlow<()> {
        (self.report)(Progress { stage: "ppo", done: rollouts, total: self.rollouts })
    }

    fn point(&mut self, point: SweepPoint) -> Result<(), Infallible> {
        self.points.push(point);
        Ok(())
    }
}
