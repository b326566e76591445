//! The point that is open, and the policy behind it.

use super::State;
use crate::engine::protocol::{Opened, PolicyKey, Stage};
use crate::page::model::change::Change;
use crate::page::model::runs::RunId;
use klimb_metrics::FrontierPoint;

/// The point that is open below the list of runs.
#[derive(Debug, Clone, Default)]
pub struct OpenPoint {
    /// The point, with its run.
    pub point: Option<(RunId, FrontierPoint)>,
    /// What its policy writes, once that has come.
    pub written: Option<Opened>,
    /// Whether the engine said that it no longer keeps that policy.
    pub(super) is_gone: bool,
}

impl OpenPoint {
    /// Closes it if it is of this run.
    pub(super) fn remove(&mut self, run: &RunId) {
        self.point = self.point.take().filter(|(open, _)| open != run);
    }

    /// The measured policy behind it, where `earlier_runs` are of engines before this one: those are gone.
    fn policy(&self, earlier_runs: u32) -> Option<PolicyKey> {
        let (id, point) = self.point.as_ref().filter(|_| !self.is_gone)?;
        let stage = Stage::of(id.method).filter(|_| id.method.has_runs())?;
        let run = id.run.checked_sub(earlier_runs).filter(|run| *run > 0)?;
        Some(PolicyKey { stage, run, step: point.step })
    }
}

impl State {
    /// Opens a point; answers with the measured policy behind it, if this engine may have kept one.
    pub fn open(&mut self, run: &RunId, point: &FrontierPoint) -> Option<PolicyKey> {
        self.open_point = OpenPoint { point: Some((run.clone(), point.clone())), ..OpenPoint::default() };
        self.mark(Change::Opened);
        self.open_policy()
    }

    /// The measured policy behind the open point. Those of an engine before this one are gone.
    pub fn open_policy(&self) -> Option<PolicyKey> {
        self.open_point.policy(self.results.earlier_runs)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::page::model::fixtures::point;

    #[test]
    fn a_point_has_a_policy_where_it_was_trained_by_this_engine_and_is_kept() {
        let open = |run, method| {
            let point = point(run, method, 10);
            OpenPoint { point: Some((RunId::of(&point), point.point)), ..OpenPoint::default() }
        };
        let key = |run| Some(PolicyKey { stage: Stage::Dpo, run, step: 10 });
        assert_eq!(open(3, "dpo").policy(0), key(3));
        assert_eq!(open(3, "dpo").policy(2), key(1));
        assert_eq!(open(2, "dpo").policy(2), None, "another engine trained it");
        assert_eq!(open(3, "sft").policy(0), None, "that is no run");
        assert_eq!(OpenPoint { is_gone: true, ..open(3, "dpo") }.policy(0), None);
        let mut closed = open(3, "dpo");
        closed.remove(&RunId::of(&point(3, "dpo", 10)));
        assert!(closed.point.is_none());
    }
}
