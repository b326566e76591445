//! What survives a lost device: enough to go on elsewhere from the last point.

use super::{Clock, Failure, Session};
use crate::backend::Kernels;
use crate::engine::protocol::{Badge, Checkpoints, Stage};
use crate::engine::settings::Settings;
use crate::model::Checkpoint;

/// A session at the last evaluated point of its run. It lives in ordinary memory, so losing the device does not
/// touch it.
#[derive(Debug, Clone, PartialEq)]
pub struct Snapshot {
    settings: Settings,
    checkpoints: Checkpoints,
    focus: Stage,
    run: u32,
    /// The policy and the optimiser seconds behind it; `None` before the first point of the run.
    policy: Option<(Checkpoint, f64)>,
}

impl Snapshot {
    /// DPO steps behind the policy.
    pub fn step(&self) -> u64 {
        self.policy.as_ref().map_or(0, |(policy, _)| policy.step)
    }
}

impl<K: Kernels> Session<K> {
    /// Whether the device is lost. Nothing but [`Session::snapshot`] is of use then.
    pub fn lost(&self) -> bool {
        self.lost
    }

    /// The session at its last point. Asks nothing of the device.
    pub fn snapshot(&self) -> Snapshot {
        Snapshot {
            settings: self.pipeline.settings,
            checkpoints: self.pipeline.checkpoints(),
            focus: self.focus,
            run: self.run,
            policy: self.measured.clone(),
        }
    }

    /// A session, perhaps on another backend, that goes on from a snapshot: the same models, settings, step and run.
    /// The optimiser's moments and the preference pairs begin anew.
    ///
    /// # Errors
    /// As [`Session::new`], which a snapshot of a working session does not meet.
    pub fn restore(k: K, clock: Clock, badge: Badge, snapshot: &Snapshot) -> Result<Self, Failure> {
        let mut session = Self::new(k, clock, badge, snapshot.settings, &snapshot.checkpoints)?;
        session.focus = snapshot.focus;
        session.run = snapshot.run;
        if let Some((policy, seconds)) = &snapshot.policy {
            session.pipeline.resume_dpo(&mut session.k, policy);
            session.seconds = *seconds;
            session.measured = snapshot.policy.clone();
        }
        Ok(session)
    }
}
