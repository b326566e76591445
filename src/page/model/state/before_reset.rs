//! What a reset makes the page forget, as long as the reset can be taken back.

use std::collections::BTreeMap;

use super::State;
use crate::engine::protocol::{Inside, Stage, Work};
use crate::page::model::change::Change;
use klimb_metrics::MetricRow;

/// What was known of the stages that a reset starts over.
#[derive(Debug, Clone)]
pub(super) struct BeforeReset {
    stages: Vec<Stage>,
    metrics: BTreeMap<Stage, Vec<MetricRow>>,
    beta_changes: BTreeMap<Stage, Vec<(u64, f64)>>,
    inside: BTreeMap<Stage, Inside>,
}

impl BeforeReset {
    /// What `state` knows.
    pub fn of(state: &State, stages: &[Stage]) -> Self {
        Self {
            stages: stages.to_vec(),
            metrics: state.metrics.clone(),
            beta_changes: state.beta_changes.clone(),
            inside: state.inside.clone(),
        }
    }

    /// Lets `state` know that of these stages again.
    pub fn give_back(mut self, state: &mut State) {
        for stage in self.stages {
            state.forget(stage);
            give(&mut self.metrics, &mut state.metrics, stage);
            give(&mut self.beta_changes, &mut state.beta_changes, stage);
            give(&mut self.inside, &mut state.inside, stage);
        }
        state.curves.at = None;
        state.mark(Change::Everything);
    }
}

fn give<T>(from: &mut BTreeMap<Stage, T>, to: &mut BTreeMap<Stage, T>, stage: Stage) {
    if let Some(known) = from.remove(&stage) {
        to.insert(stage, known);
    }
}

impl State {
    /// Forgets what these stages trained; their points stay.
    pub(super) fn start_over(&mut self, stages: &[Stage]) {
        stages.iter().for_each(|stage| self.forget(*stage));
        self.works.retain(|work, _| *work == Work::Scaling);
        // What the address asked for in vain is told when the first engine is there, too.
        self.failure = self.failure.take().filter(|_| self.started.is_none());
        self.selected = None;
        self.curves.at = None;
        self.mark(Change::Everything);
    }

    /// Forgets the run of a stage; its points stay.
    pub(super) fn forget(&mut self, stage: Stage) {
        self.metrics.remove(&stage);
        self.keeping.rows_changed(stage, 0);
        self.beta_changes.remove(&stage);
        self.inside.remove(&stage);
        self.mark(Change::Focus);
    }
}
