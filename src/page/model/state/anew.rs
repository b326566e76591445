//! A page that was made anew: its module broke down, and all that it knew is gone. The engine, which did not, tells it
//! everything once more; what only the page knew comes from where it is saved, or is gone.

use super::State;
use crate::engine::protocol::{Event, Origin, Point, Report, Stage};
use crate::engine::settings::Settings;
use crate::page::model::change::Change;
use crate::page::model::saved_session::{SavedSession, StorageTask};

impl State {
    /// A page that waits for the engine's report.
    pub fn anew(settings: Settings) -> Self {
        Self { awaits_report: true, ..Self::new(settings) }
    }

    /// Whether it has not been told everything once more yet.
    pub fn awaits_report(&self) -> bool {
        self.awaits_report
    }

    /// Whether an event is an answer to the page before this one.
    pub(super) fn is_deaf_to(&self, event: &Event) -> bool {
        self.awaits_report && !matches!(event, Event::Report(_) | Event::Failure(_))
    }

    /// Takes up what the engine told the page before this one.
    pub(super) fn take_report(&mut self, report: Option<Report>) {
        self.awaits_report = false;
        let Some(Report { settings, focus, events }) = report else { return };
        self.training.set(settings);
        events.into_iter().for_each(|event| self.apply(event));
        if self.training.stage(Stage::Pairs).is_some_and(|pairs| pairs.origin == Origin::Loaded) {
            self.results.pair_names.are_loaded();
        }
        // It is kept already, as far as it was: nothing has happened since.
        self.keeping.storage_tasks.retain(|task| *task != StorageTask::Write);
        self.focus(focus);
        self.know_saved_run();
        self.mark(Change::Everything);
    }

    /// Where the run on offer is the one that is on, because the page before this one kept it, it is not offered: what
    /// the engine does not know of it is taken up.
    pub fn know_saved_run(&mut self) {
        if self.awaits_report || !self.keeping.offer.as_ref().is_some_and(|saved| self.is_of_this_engine(saved)) {
            return;
        }
        let Some(SavedSession { seen, .. }) = self.keeping.adopt_offer() else { return };
        self.results.earlier_runs = seen.earlier_runs;
        let reported = std::mem::take(&mut self.results.points);
        seen.points.into_iter().for_each(|point| self.put(point));
        for point in reported {
            let point = Point { run: point.run + seen.earlier_runs, ..point };
            if !self.results.points.contains(&point) {
                self.put(point);
            }
        }
        let has_pairs = self.results.pair_names.now().is_some();
        self.results.pair_names.take_up(seen.pair_names, 0, has_pairs);
        if has_pairs {
            self.results.pair_names.are_loaded();
        }
        self.results.marks.extend(seen.marks);
        let is_on = |stage: &Stage| self.training.stage(*stage).is_some_and(|status| status.steps > 0);
        let changes: Vec<_> = seen.beta_changes.into_iter().filter(|(stage, _)| is_on(stage)).collect();
        self.records.beta_changes.extend(changes);
        self.sweep.stand_behind(seen.earlier_runs);
        for (stage, mut rows) in seen.metrics {
            // What the engine took up from an earlier visit, it has no rows of.
            let steps = self.training.stage(stage).map_or(0, |status| status.steps as u64);
            let known = self.records.metrics.entry(stage).or_default();
            let first = known.first().map_or(steps + 1, |row| row.step);
            rows.retain(|row| row.step < first);
            rows.append(known);
            *known = rows;
            // What of them may lie in the store was cut into stretches without those in front.
            self.keeping.rows_changed(stage, 0);
        }
        self.results.removals += 1;
        self.keeping.write();
        self.mark(Change::Everything);
    }

    /// Whether a saved run has a point that this engine measured, or its policies.
    fn is_of_this_engine(&self, saved: &SavedSession) -> bool {
        let is_kept = |point: &Point| {
            let saved_as = Point { run: point.run + saved.seen.earlier_runs, ..point.clone() };
            saved.seen.points.contains(&saved_as)
        };
        let is_measured = self.results.points.iter().any(|point| !point.point.method.is_standing() && is_kept(point));
        is_measured || self.keeping.is_at(saved)
    }

    /// Adds a point. What is pointed at may be another point from then on.
    pub(super) fn put(&mut self, point: Point) {
        if self.results.put(point) {
            self.frontier.selected = None;
        }
    }
}
