//! What a reset makes the page forget, as long as the reset can be taken back.

use super::State;
use super::records::StageRecords;
use crate::engine::protocol::Stage;
use crate::page::model::change::Change;

/// What was known of the stages that a reset starts over.
#[derive(Debug, Clone)]
pub(super) struct BeforeReset {
    stages: Vec<Stage>,
    records: StageRecords,
}

impl BeforeReset {
    /// What `state` knows.
    pub fn of(state: &State, stages: &[Stage]) -> Self {
        Self { stages: stages.to_vec(), records: state.records.clone() }
    }

    /// Lets `state` know that of these stages again.
    pub fn give_back(mut self, state: &mut State) {
        for stage in self.stages {
            state.forget(stage);
            state.records.take_back(&mut self.records, stage);
        }
        state.curves.at = None;
        state.mark(Change::Everything);
    }
}

impl State {
    /// Forgets what these stages trained; their points stay.
    pub(super) fn start_over(&mut self, stages: &[Stage]) {
        stages.iter().for_each(|stage| self.forget(*stage));
        self.training.start_over();
        // What the address asked for in vain is told when the first engine is there, too.
        self.failure = self.failure.take().filter(|_| self.training.started.is_none());
        self.frontier.selected = None;
        self.curves.at = None;
        self.mark(Change::Everything);
    }

    /// Forgets the run of a stage; its points stay.
    pub(super) fn forget(&mut self, stage: Stage) {
        self.records.forget(stage);
        self.keeping.rows_changed(stage, 0);
        self.mark(Change::Focus);
    }
}
