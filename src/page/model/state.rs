//! What the page knows, gathered from the worker's events.
//!
//! [`Training`] is what is asked of the engine and what it does now, read by nearly every view; [`StageRecords`] what the run
//! that is on tells of its steps, which a reset forgets and can bring back; [`Results`] what stays, the points of every run.
//! [`OtherRuns`] stand beside them; [`Lesson`] is what puts settings in use for a while, and [`Files`] what comes in and goes out.
//! The parts that one view shows ([`FrontierOptions`], [`CurveOptions`], [`Completions`], [`Studies`], [`OpenPoint`], sweep and
//! annotator) are here, because a reset, a key, a file or an event of the engine changes them, and each has a type of its own.

mod anew;
mod before_reset;
mod completions;
mod device;
mod export;
mod files;
mod frontier;
mod keeping;
mod lesson;
mod open_point;
mod others;
mod receipts;
mod records;
mod replaced;
mod results;
mod studies;
mod training;

use std::collections::BTreeSet;

pub use completions::{Completions, Tint};
pub use export::Export;
pub use files::Files;
pub use frontier::FrontierOptions;
pub use lesson::Lesson;
pub use open_point::OpenPoint;
pub use others::OtherRuns;
pub use records::StageRecords;
pub use replaced::Undo;
use replaced::Undoing;
pub use results::Results;
pub use studies::Studies;
pub use training::Training;

use super::annotator::Annotator;
use super::change::Change;
use super::curves::options::CurveOptions;
use super::pending_commands::{Acknowledged, PendingCommands};
use super::runs::{self, RunId};
use super::saved_session::SessionKeeping;
use super::sweep::SweepState;
use crate::engine::protocol::{Command, Event, Failure, Point, Ready, Request, Stage};
use crate::engine::settings::Settings;
use klimb_charts::Trail;

/// Everything the views read.
#[derive(Debug, Clone)]
pub struct State {
    /// The settings, the engine, and what it does now.
    pub training: Training,
    /// What the run that is on has told of its steps.
    pub records: StageRecords,
    /// The points of every run since the page was opened.
    pub results: Results,
    /// Runs that this page did not train.
    pub others: OtherRuns,
    /// How the frontier is looked at.
    pub frontier: FrontierOptions,
    /// How the charts over the steps are looked at.
    pub curves: CurveOptions,
    /// The point that is open.
    pub open_point: OpenPoint,
    /// What the models write.
    pub samples: Completions,
    /// The experiments beside the frontier.
    pub studies: Studies,
    /// Runs at several β.
    pub sweep: SweepState,
    /// The person's own labels.
    pub annotator: Annotator,
    /// The tour, the clinic, and what a lecturer's address asks for.
    pub lesson: Lesson,
    /// Files that go in and out.
    pub files: Files,
    /// The run that the browser keeps.
    pub keeping: SessionKeeping,
    /// What went wrong last.
    pub failure: Option<Failure>,
    /// What can be taken back.
    undoing: Undoing,
    /// Whether the page was made anew and waits to be told everything once more: nothing else means anything to it.
    awaits_report: bool,
    pending_commands: PendingCommands,
    changes: BTreeSet<Change>,
}

impl State {
    /// A page on which nothing has happened yet.
    pub fn new(settings: Settings) -> Self {
        Self {
            training: Training::new(settings),
            records: StageRecords::default(),
            results: Results::new(),
            others: OtherRuns::default(),
            frontier: FrontierOptions::default(),
            curves: CurveOptions::default(),
            open_point: OpenPoint::default(),
            samples: Completions::default(),
            studies: Studies::default(),
            sweep: SweepState::default(),
            annotator: Annotator::default(),
            lesson: Lesson::default(),
            files: Files::default(),
            keeping: SessionKeeping::default(),
            failure: None,
            undoing: Undoing::default(),
            awaits_report: false,
            pending_commands: PendingCommands::default(),
            changes: BTreeSet::from([Change::Everything]),
        }
    }

    /// Gives a command its number, and shows at once what the person expects of it.
    pub fn request(&mut self, command: Command) -> Request {
        let id = self.pending_commands.number(&command, self.training.focused);
        self.results.pair_names.request(id, &command);
        // What a sweep worker told is not asked for by the person.
        if !matches!(command, Command::Adopt(_)) {
            if let Some(stage) = self.training.request(&command) {
                self.focus(stage);
            }
            self.mark(Change::Requests);
        }
        Request { id, command }
    }

    /// Takes up what the worker reports.
    pub fn apply(&mut self, event: Event) {
        if self.is_deaf_to(&event) {
            return;
        }
        match event {
            Event::Acknowledged(id) => self.take_acknowledged(id),
            Event::Fetching(fetching) => {
                self.training.fetching = Some(fetching);
                self.mark(Change::Fetching);
            }
            Event::Ready(ready) => self.take_engine(ready),
            Event::NotBuilt(settings) => {
                self.keeping.not_built();
                self.engine_stays(settings);
            }
            Event::Playing(playing) => {
                if self.pending_commands.has_toggled() {
                    self.training.playing = playing;
                }
                self.mark(Change::Playing);
            }
            Event::Progress(progress) => {
                self.training.take_progress(progress);
                self.mark(Change::Works);
            }
            Event::Reference(fingerprint) => {
                self.results.reference = Some(fingerprint.clone());
                self.annotator.refer_to(fingerprint);
                self.keeping.reference();
                self.mark(Change::Labels);
            }
            Event::Stage(status) => {
                if status.steps == 0 {
                    self.forget(status.stage);
                }
                self.training.take_status(status);
                self.mark(Change::Stages);
            }
            Event::Metrics(stage, rows) => {
                self.training.steps += rows.len();
                let still = self.records.add(stage, rows);
                self.keeping.rows_changed(stage, still);
                self.mark(Change::Metrics);
            }
            Event::Point(point) => self.take_point(point),
            Event::Kept(kept) => {
                let newest = self.results.latest().cloned();
                self.keeping.engine_at(*kept, newest.map(|point| self.results.as_engine_counts(point)));
            }
            Event::Optimum(origin, curve) => {
                (self.results.optimum_origin, self.results.optimum) = (origin, curve);
                self.mark(Change::Optimum);
            }
            Event::Samples(samples) => {
                self.samples.take(samples);
                self.mark(Change::Samples);
            }
            Event::Inside(stage, inside) => {
                self.records.inside.insert(stage, inside);
                self.mark(Change::Inside);
            }
            Event::Opened(opened) => {
                self.open_point.written = Some(opened);
                self.mark(Change::Opened);
            }
            Event::Undoable(undoable) => {
                self.undoing.allow(undoable);
                self.mark(Change::Notices);
            }
            Event::Undone(settings) => self.take_back(settings),
            Event::Report(report) => self.take_report(report.map(|report| *report)),
            Event::WinRates(points) => {
                self.studies.win_rates = points;
                self.mark(Change::Studies);
            }
            Event::Scaling(points) => {
                self.studies.scaling = points;
                self.mark(Change::Studies);
            }
            Event::Sweep(run) => {
                let earlier = self.results.earlier_runs;
                let id = run.and_then(|it| Some(RunId { run: it.run + earlier, method: it.stage.method()? }));
                self.sweep.take(run, id);
                self.mark(Change::Sweep);
            }
            Event::Swept(run) => {
                self.sweep.end(run);
                self.mark(Change::Sweep);
            }
            // Between engines: what comes of it, the session tells as its own.
            Event::WorkerJob(_) | Event::JobReport(_) => {}
            Event::Checkpoint(stage, bytes) => self.files.export = Some(Export::Checkpoint(stage, bytes)),
            Event::Preferences(lines) => self.files.export = Some(Export::Preferences(lines)),
            Event::Loaded(loaded) => {
                if self.files.accept(&loaded) {
                    self.mark(Change::Notices);
                }
            }
            Event::DrawnPairs(pairs) => {
                self.annotator.take(pairs);
                self.mark(Change::Labels);
            }
            Event::Failure(failure) => self.take_failure(failure),
        }
    }

    /// The engine begins what was ordered.
    fn take_acknowledged(&mut self, id: u32) {
        let Acknowledged { starts_over, is_reset, is_start, is_move, beta } = self.pending_commands.acknowledge(id);
        self.results.pair_names.acknowledge(id);
        self.files.submitted.acknowledge(id);
        if is_start || is_move {
            self.put_engine_aside(is_move);
        }
        if let Some(stages) = &starts_over {
            if is_reset {
                self.reset(stages);
            }
            self.start_over(stages);
        }
        self.keeping.acknowledged(id);
        // In a sweep, a new β waits for its end.
        if let Some(beta) = beta.filter(|_| self.sweep.stage.is_none()) {
            self.records.change_beta(beta);
        }
    }

    /// Another engine is there, or this one on another device.
    fn take_engine(&mut self, ready: Ready) {
        self.follow_device(ready.backend.kind);
        self.undoing.engine_is_there();
        self.training.engine_is_there(ready);
        if let Some(earlier) = self.keeping.ready() {
            self.take_up(earlier);
        }
        self.follow_width();
        self.training.engine_begins();
        self.studies.engine_is_there();
        self.sweep.forget();
        self.annotator.forget_unanswered();
        self.mark(Change::Everything);
    }

    fn take_point(&mut self, point: Point) {
        if !point.point.method.is_standing() {
            self.keeping.write();
        }
        let point = self.results.as_page_counts(point);
        self.results.pair_names.record(&point);
        self.put(point);
        self.mark(Change::Points);
    }

    fn take_failure(&mut self, failure: Failure) {
        let (field, failure) = (failure.field.clone(), self.files.submitted.named(failure));
        match field.as_deref() {
            Some("preferences") => self.results.pair_names.refuse(),
            Some("drawn_pairs") => self.annotator.give_up(),
            Some("moment") => {
                self.open_point.is_gone = true;
                self.mark(Change::Opened);
            }
            _ => {}
        }
        self.training.fail(&failure);
        if failure.field.as_deref() == Some("kept") {
            self.keeping.refused();
        }
        self.failure = Some(failure);
        self.mark(Change::Failure);
    }

    /// The trails that are shown, with their runs.
    pub fn shown(&self) -> Vec<(RunId, Trail)> {
        let Results { points, pair_names, marks, .. } = &self.results;
        let mut shown = runs::shown(points, pair_names, marks);
        shown.iter_mut().for_each(|(id, trail)| trail.live |= self.sweep.has(id));
        shown
    }

    /// Takes a run out of chart and table. One that is still trained comes back with its next point.
    pub fn remove(&mut self, run: &RunId) {
        self.results.remove(run);
        self.frontier.selected = None;
        self.open_point.remove(run);
        self.mark(Change::Points);
    }

    /// Notes a change, so that the views that show it are drawn at the next frame.
    pub fn mark(&mut self, change: Change) {
        self.changes.insert(change);
    }

    /// Whether something has changed since it was last drawn.
    pub fn has_changes(&self) -> bool {
        self.changes.iter().next().is_some()
    }

    /// What has changed, to be drawn now.
    pub fn take_changes(&mut self) -> BTreeSet<Change> {
        std::mem::take(&mut self.changes)
    }

    fn focus(&mut self, stage: Stage) {
        self.training.focused = stage;
        self.curves.at = None;
        self.mark(Change::Focus);
    }

    /// Whether the chart has more to show than the recorded figure in its place: the engine with all that is recorded. What
    /// was recorded may not have come either where the engine has not.
    pub fn has_a_chart(&self) -> bool {
        (self.training.ready.is_some() && self.others.recorded.is_settled()) || !self.results.points.is_empty()
    }

    /// Whether there is no engine, and none will come by itself.
    pub fn has_not_started(&self) -> bool {
        self.training.ready.is_none() && self.failure.as_ref().is_some_and(|failure| failure.stopped)
    }
}

#[cfg(test)]
mod tests;
