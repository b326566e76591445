//! What survives a lost device: enough to go on elsewhere from the last point.

use super::pipeline::Policy;
use super::{Clock, Failure, Run, Session};
use crate::backend::Kernels;
use crate::engine::protocol::{Badge, Checkpoints, Stage};
use crate::engine::settings::Settings;
use crate::experiments::TrainedRewardModel;

/// A session at the last evaluated points of its runs. It lives in ordinary memory, so losing the device does not
/// touch it.
#[derive(Debug, Clone, PartialEq)]
pub struct Snapshot {
    settings: Settings,
    checkpoints: Checkpoints,
    focus: Stage,
    runs: [Run; 5],
    /// The finished reward model and the steps it took; one in training is lost.
    reward_model: Option<(TrainedRewardModel, u64)>,
}

impl Snapshot {
    /// The stage of the policy in focus, or DPO.
    pub fn stage(&self) -> Stage {
        Policy::of(self.focus).unwrap_or(Policy::Dpo).stage()
    }

    /// Optimiser steps behind that policy.
    pub fn step(&self) -> u64 {
        let run = &self.runs[Policy::of(self.focus).unwrap_or(Policy::Dpo) as usize];
        run.measured.as_ref().map_or(0, |(policy, _)| policy.step)
    }
}

impl<K: Kernels> Session<K> {
    /// Whether the device is lost. Nothing but [`Session::snapshot`] is of use then.
    pub fn lost(&self) -> bool {
        self.lost
    }

    /// The session at its last points. Asks nothing of the device.
    pub fn snapshot(&self) -> Snapshot {
        Snapshot {
            settings: self.pipeline.settings,
            checkpoints: self.pipeline.checkpoints(),
            focus: self.focus,
            runs: self.runs.clone(),
            reward_model: self.pipeline.trained_reward_model().cloned(),
        }
    }

    /// A session, perhaps on another backend, that goes on from a snapshot: the same models, settings, steps and runs.
    /// The optimiser's moments, PPO's value model and the preference pairs begin anew.
    ///
    /// # Errors
    /// As [`Session::new`], which a snapshot of a working session does not meet.
    pub fn restore(k: K, clock: Clock, badge: Badge, snapshot: &Snapshot) -> Result<Self, Failure> {
        let mut session = Self::new(k, clock, badge, snapshot.settings, &snapshot.checkpoints)?;
        session.focus = snapshot.focus;
        session.runs = snapshot.runs.clone();
        if let Some(trained) = &snapshot.reward_model {
            session.pipeline.resume_reward_model(trained.clone());
        }
        for policy in Policy::ALL {
            let run = &mut session.runs[policy as usize];
            let Some((checkpoint, seconds)) = run.measured.clone() else { continue };
            run.seconds = seconds;
            session.pipeline.resume(&mut session.k, policy, &checkpoint);
        }
        Ok(session)
    }
}
