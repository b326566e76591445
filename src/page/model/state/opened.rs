//! The point that is open, and the policy behind it.

use super::State;
use crate::engine::protocol::{PolicyKey, Stage};
use crate::page::model::change::Change;
use crate::page::model::runs::RunId;
use klimb_metrics::FrontierPoint;

impl State {
    /// Opens a point; answers with the measured policy behind it, if this engine may have kept one.
    pub fn open(&mut self, run: &RunId, point: &FrontierPoint) -> Option<PolicyKey> {
        self.open = Some((run.clone(), point.clone()));
        (self.opened, self.is_gone) = (None, false);
        self.mark(Change::Opened);
        self.moment()
    }

    /// The measured policy behind the open point. Those of an engine before this one are gone.
    pub fn moment(&self) -> Option<PolicyKey> {
        let (id, point) = self.open.as_ref().filter(|_| !self.is_gone)?;
        let stage = Stage::of(id.method).filter(|_| id.method.has_runs())?;
        let run = id.run.checked_sub(self.earlier_runs).filter(|run| *run > 0)?;
        Some(PolicyKey { stage, run, step: point.step })
    }
}
