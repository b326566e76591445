//! What of the page is kept for the next visit, and how a kept run is taken up.

use super::State;
use crate::engine::protocol::{Command, Point, Stage};
use crate::page::model::change::Change;
use crate::page::model::runs::RunId;
use crate::page::model::saved_session::{self, Entry, SavedSession, Seen};

impl State {
    /// The number of the next order.
    pub fn next_request(&self) -> u32 {
        self.pending_commands.next()
    }

    /// The command that takes up the run of an earlier visit, to be ordered next.
    pub fn resume(&mut self) -> Option<Command> {
        self.mark(Change::Notices);
        self.keeping.resume(self.pending_commands.next())
    }

    /// The command that builds the engine as it was at its last point, after its worker has died.
    pub fn rebuilt(&mut self) -> Command {
        self.pending_commands.worker_died();
        self.results.pair_names.worker_died();
        self.forget_replaced();
        self.files.submitted.worker_died();
        self.keeping.rebuilt(self.training.settings)
    }

    /// The page as it can be kept now.
    pub fn entry(&mut self, when: f64) -> Entry {
        let seen = Seen {
            settings: self.training.settings,
            focused: self.training.focused,
            points: self.results.points.clone(),
            metrics: self.keeping.newest(&self.records.metrics),
            beta_changes: self.records.beta_changes.clone(),
            earlier_runs: self.results.earlier_runs,
            temporary_settings: self.lesson.temporary_settings(),
            pair_names: self.results.pair_names.saved(),
            marks: self.results.marks.clone().into_iter().collect(),
        };
        self.keeping.entry(when, seen)
    }

    /// The engine goes on from an earlier visit: its runs stand behind those of this one, and the last of them go on.
    pub(super) fn take_up(&mut self, SavedSession { seen, engine, missing, .. }: SavedSession) {
        self.start_over(&Stage::ALL);
        self.failure = saved_session::lost(&missing).or(self.failure.take());
        let own = self.results.last_trained_run();
        seen.points.into_iter().for_each(|point| self.put(Point { run: own + point.run, ..point }));
        self.results.earlier_runs = match engine {
            Some(_) => own + seen.earlier_runs,
            None => self.results.last_run(),
        };
        self.training.set(seen.settings);
        let has_pairs = engine.as_ref().is_some_and(|engine| !engine.preferences.is_empty());
        self.results.pair_names.take_up(seen.pair_names, own, has_pairs);
        let behind = |id: RunId| RunId { run: if id.run == 0 { 0 } else { own + id.run }, ..id };
        self.results.marks.extend(seen.marks.into_iter().map(|(id, mark)| (behind(id), mark)));
        self.lesson.clinic = seen.temporary_settings.clinic(seen.settings);
        (self.records.metrics, self.records.beta_changes) = (seen.metrics, seen.beta_changes);
        self.focus(seen.focused);
    }
}
