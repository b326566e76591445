//! What the page knows, gathered from the worker's events.

mod anew;
mod before_reset;
mod device;
mod export;
mod keeping;
mod opened;
mod replaced;
mod tint;
mod told_of_runs;

use std::collections::{BTreeMap, BTreeSet};

use before_reset::BeforeReset;
pub use export::Export;
use replaced::Replaced;
pub use replaced::Undo;
pub use tint::Tint;

use super::accepted_files;
use super::annotator::{Annotator, PairNames};
use super::change::Change;
use super::clinic::Clinic;
use super::curves::options::CurveOptions;
use super::guess::Guess;
use super::imported_runs::ImportedRuns;
use super::pending_commands::{Acknowledged, PendingCommands};
use super::presentation::Presentation;
use super::receipt::Receipt;
use super::runs::{self, RunId, RunMark};
use super::saved_session::SessionKeeping;
use super::study::Study;
use super::submitted_files::SubmittedFiles;
use super::sweep::SweepState;
use super::tour::Tour;
use crate::engine::protocol::{
    Command, Event, Failure, Fetching, Inside, Opened, Origin, Point, Progress, Ready, Request, Samples, Stage,
    StageState, StageStatus, Work,
};
use crate::engine::settings::Settings;
use klimb_charts::Trail;
use klimb_charts::recorded::Recorded;
use klimb_metrics::{FrontierPoint, Method, MetricRow, OptimumPoint, ScalingPoint, WinRatePoint};

/// Everything the views read.
#[derive(Debug, Clone)]
pub struct State {
    /// The knobs as the person set them.
    pub settings: Settings,
    /// The settings that the engine was last built with.
    started: Option<Settings>,
    /// β under the finger: the settings' β follows at release.
    pub dragged_beta: f64,
    /// The engine, once it is built.
    pub ready: Option<Ready>,
    /// How far the models of the next engine have come, while they are on their way.
    pub fetching: Option<Fetching>,
    /// Whether the engine trains now, or was just asked to.
    pub playing: bool,
    /// What Play trains.
    pub focused: Stage,
    /// The pipeline, in order.
    pub stages: Vec<StageStatus>,
    /// The longer works under way.
    pub works: BTreeMap<Work, Progress>,
    /// Rows of the run that is on, by stage.
    pub metrics: BTreeMap<Stage, Vec<MetricRow>>,
    /// Every point of every run since the page was opened.
    pub points: Vec<Point>,
    /// The closed-form optimum.
    pub optimum: Vec<OptimumPoint>,
    /// Whether that was recorded or is computed here.
    pub optimum_origin: Origin,
    /// The standing completions.
    pub samples: Option<Samples>,
    /// What tints their words.
    pub tint: Tint,
    /// Completions of the person's own prompt.
    pub typed: Option<Samples>,
    /// What was looked into last of each stage.
    pub inside: BTreeMap<Stage, Inside>,
    /// What went wrong last.
    pub failure: Option<Failure>,
    /// The point that is pointed at, as trail and index among those shown.
    pub selected: Option<(usize, usize)>,
    /// Where she thinks π* will go.
    pub guess: Guess,
    /// How the page is shown to a room.
    pub presentation: Presentation,
    /// What others' runs came to.
    pub receipts: Vec<Receipt>,
    /// Runs out of files that were exported before.
    pub imported_runs: Vec<ImportedRuns>,
    /// What the person made of runs.
    pub marks: BTreeMap<RunId, RunMark>,
    /// The fingerprint of the reference that is on.
    reference: Option<String>,
    /// Which reference was on when a model that is no run was measured last, by method.
    standing_of: BTreeMap<Method, Option<String>>,
    /// How often points were taken out, so that the table is written anew.
    pub removals: usize,
    /// The point that is open, with its run.
    pub open: Option<(RunId, FrontierPoint)>,
    /// What its policy writes, once that has come.
    pub opened: Option<Opened>,
    /// Whether the engine said that it no longer keeps that policy.
    is_gone: bool,
    /// How the charts over the steps are looked at.
    pub curves: CurveOptions,
    /// A file that has just been exported.
    pub export: Option<Export>,
    /// Steps of a policy's run after which β was changed, with the new value.
    pub beta_changes: BTreeMap<Stage, Vec<(u64, f64)>>,
    /// Whether the last reset, start or move can be taken back.
    pub undoable: bool,
    /// What it made the page forget.
    before_reset: Option<Box<BeforeReset>>,
    /// What is known of the engine before this one, as long as it can be had back.
    replaced: Option<Box<Replaced>>,
    /// What is known of the engine in whose place another is being built.
    leaving: Option<Box<Replaced>>,
    /// Whether single keys are obeyed.
    pub single_keys: bool,
    /// Whether the page was made anew and waits to be told everything once more: nothing else means anything to it.
    awaits_report: bool,
    /// Optimiser steps of every run since the page was opened.
    pub steps: usize,
    /// What the native program measured once.
    pub recorded: Recorded,
    /// The experiment that is open beside the frontier.
    pub study: Study,
    /// The tour.
    pub tour: Tour,
    /// The failure clinic.
    pub clinic: Clinic,
    /// Runs at several β.
    pub sweep: SweepState,
    /// Win rates of this page's own models.
    pub win_rates: Vec<WinRatePoint>,
    /// Win rates of models of several sizes, trained here.
    pub scaling: Vec<ScalingPoint>,
    /// The run that the browser keeps.
    pub keeping: SessionKeeping,
    /// The person's own labels.
    pub annotator: Annotator,
    /// What the pairs are called that runs were trained on.
    pub pair_names: PairNames,
    /// Files that were handed over and not answered yet.
    pub submitted_files: SubmittedFiles,
    /// What is said of those that were taken up, a sentence each.
    pub accepted_files: Vec<String>,
    pending_commands: PendingCommands,
    /// Runs of the engines before this one: each engine counts from 1.
    earlier_runs: u32,
    changes: BTreeSet<Change>,
}

impl State {
    /// A page on which nothing has happened yet.
    pub fn new(settings: Settings) -> Self {
        let stage = |stage, state, origin| StageStatus { stage, state, origin, steps: 0 };
        Self {
            settings,
            started: None,
            dragged_beta: settings.beta,
            ready: None,
            fetching: None,
            playing: false,
            focused: Stage::Dpo,
            stages: Stage::ALL
                .map(|it| {
                    let is_shipped = matches!(it, Stage::Base | Stage::Sft);
                    stage(it, StageState::Waiting, if is_shipped { Origin::Recorded } else { Origin::Live })
                })
                .into(),
            works: BTreeMap::default(),
            metrics: BTreeMap::default(),
            points: Vec::new(),
            optimum: Vec::new(),
            optimum_origin: Origin::Recorded,
            samples: None,
            tint: Tint::default(),
            typed: None,
            inside: BTreeMap::default(),
            failure: None,
            selected: None,
            guess: Guess::default(),
            presentation: Presentation::default(),
            receipts: Vec::new(),
            imported_runs: Vec::new(),
            marks: BTreeMap::default(),
            reference: None,
            standing_of: BTreeMap::default(),
            removals: 0,
            open: None,
            opened: None,
            is_gone: false,
            curves: CurveOptions::default(),
            export: None,
            beta_changes: BTreeMap::default(),
            undoable: false,
            before_reset: None,
            replaced: None,
            leaving: None,
            single_keys: true,
            awaits_report: false,
            steps: 0,
            recorded: Recorded::default(),
            study: Study::default(),
            tour: Tour::default(),
            clinic: Clinic::default(),
            sweep: SweepState::default(),
            win_rates: Vec::new(),
            scaling: Vec::new(),
            keeping: SessionKeeping::default(),
            annotator: Annotator::default(),
            pair_names: PairNames::default(),
            submitted_files: SubmittedFiles::default(),
            accepted_files: Vec::new(),
            pending_commands: PendingCommands::default(),
            earlier_runs: 0,
            changes: BTreeSet::from([Change::Everything]),
        }
    }

    /// Gives a command its number, and shows at once what the person expects of it.
    #[expect(clippy::wildcard_enum_match_arm, reason = "a few kinds out of many are picked")]
    pub fn request(&mut self, command: Command) -> Request {
        let id = self.pending_commands.number(&command, self.focused);
        self.pair_names.request(id, &command);
        match &command {
            Command::Start(_) | Command::MoveTo(_) | Command::Resume(_) | Command::Reset | Command::Undo => {
                self.playing = false;
            }
            Command::Retrain => {
                self.playing = false;
                self.focus(Stage::Sft);
            }
            Command::Play | Command::Pause => self.playing = command == Command::Play,
            Command::Sweep(plan) => self.playing = plan.is_some(),
            // The person has asked for nothing.
            Command::Adopt(_) => return Request { id, command },
            Command::Focus(stage) => self.focus(*stage),
            Command::GoOn(moment, beta) => {
                self.playing = false;
                self.settings.beta = beta.unwrap_or(self.settings.beta);
                self.dragged_beta = self.settings.beta;
                self.focus(moment.stage);
            }
            Command::SetBeta(beta) => {
                (self.settings.beta, self.dragged_beta) = (*beta, *beta);
            }
            Command::Configure(settings) => {
                self.dragged_beta = settings.beta;
                self.settings = *settings;
            }
            _ => {}
        }
        self.mark(Change::Requests);
        Request { id, command }
    }

    /// Takes up what the worker reports.
    pub fn apply(&mut self, event: Event) {
        if self.is_deaf_to(&event) {
            return;
        }
        match event {
            Event::Acknowledged(id) => {
                let Acknowledged { starts_over, is_reset, is_start, is_move, beta } =
                    self.pending_commands.acknowledge(id);
                self.pair_names.acknowledge(id);
                self.submitted_files.acknowledge(id);
                if is_start || is_move {
                    self.put_engine_aside(is_move);
                }
                if let Some(stages) = &starts_over {
                    if is_reset {
                        self.forget_replaced_by_reset(stages);
                        self.before_reset = Some(Box::new(BeforeReset::of(self, stages)));
                    }
                    self.start_over(stages);
                }
                self.keeping.acknowledged(id);
                // In a sweep her β waits for its end.
                if let Some(beta) = beta.filter(|_| self.sweep.stage.is_none()) {
                    for stage in Stage::on_leash() {
                        if let Some(last) = self.metrics.get(&stage).and_then(|rows| rows.last()) {
                            self.beta_changes.entry(stage).or_default().push((last.step, beta));
                        }
                    }
                }
            }
            Event::Fetching(fetching) => {
                self.fetching = Some(fetching);
                self.mark(Change::Fetching);
            }
            Event::Ready(ready) => {
                self.follow_device(ready.backend.kind);
                self.is_replaced();
                self.ready = Some(ready);
                self.fetching = None;
                if let Some(earlier) = self.keeping.ready() {
                    self.take_up(earlier);
                }
                self.follow_width();
                self.started = Some(self.settings);
                self.win_rates.clear();
                self.scaling.clear();
                self.works.clear();
                self.sweep.forget();
                self.annotator.forget_unanswered();
                self.mark(Change::Everything);
            }
            Event::NotBuilt(settings) => {
                self.keeping.not_built();
                self.engine_stays(settings);
            }
            Event::Playing(playing) => {
                if self.pending_commands.has_toggled() {
                    self.playing = playing;
                }
                self.mark(Change::Playing);
            }
            Event::Progress(progress) => {
                self.works.remove(&progress.work);
                if progress.done < progress.total {
                    self.works.insert(progress.work, progress);
                }
                self.mark(Change::Works);
            }
            Event::Reference(fingerprint) => {
                self.reference = Some(fingerprint.clone());
                self.annotator.refer_to(fingerprint);
                self.keeping.reference();
                self.mark(Change::Labels);
            }
            Event::Stage(status) => {
                if status.steps == 0 {
                    self.forget(status.stage);
                }
                if let Some(known) = self.stages.iter_mut().find(|known| known.stage == status.stage) {
                    *known = status;
                }
                self.mark(Change::Stages);
            }
            Event::Metrics(stage, rows) => {
                self.steps += rows.len();
                let known = self.metrics.entry(stage).or_default();
                if let Some(first) = rows.first() {
                    // A step that is taken again belongs to a run that began anew, or again from an earlier point.
                    known.retain(|row| row.step < first.step);
                }
                self.keeping.rows_changed(stage, known.len());
                known.extend(rows);
                self.mark(Change::Metrics);
            }
            Event::Point(point) => {
                if !point.point.method.is_standing() {
                    self.keeping.write();
                }
                let point = Point { run: point.run + self.earlier_runs, ..point };
                self.pair_names.record(&point);
                self.put(point);
                self.mark(Change::Points);
            }
            Event::Kept(kept) => {
                let newest = self.points.last().cloned();
                let newest = newest.map(|it| Point { run: it.run.saturating_sub(self.earlier_runs), ..it });
                self.keeping.engine_at(*kept, newest);
            }
            Event::Optimum(origin, curve) => {
                self.optimum = curve;
                self.optimum_origin = origin;
                self.mark(Change::Optimum);
            }
            Event::Samples(samples) => {
                let place = if samples.typed { &mut self.typed } else { &mut self.samples };
                *place = Some(samples);
                self.mark(Change::Samples);
            }
            Event::Inside(stage, inside) => {
                self.inside.insert(stage, inside);
                self.mark(Change::Inside);
            }
            Event::Opened(opened) => {
                self.opened = Some(opened);
                self.mark(Change::Opened);
            }
            Event::Undoable(undoable) => {
                self.undoable = undoable;
                self.before_reset = self.before_reset.take().filter(|_| undoable);
                self.replaced = self.replaced.take().filter(|_| undoable);
                self.mark(Change::Notices);
            }
            Event::Undone(settings) => {
                if let Some(replaced) = self.replaced.take() {
                    replaced.give_back(self, Some(settings));
                    self.settings_return(settings);
                } else if let Some(before) = self.before_reset.take() {
                    before.give_back(self);
                }
            }
            Event::Report(report) => self.take_report(report.map(|report| *report)),
            Event::WinRates(points) => {
                self.win_rates = points;
                self.mark(Change::Studies);
            }
            Event::Scaling(points) => {
                self.scaling = points;
                self.mark(Change::Studies);
            }
            Event::Sweep(run) => {
                let id = run.and_then(|it| Some(RunId { run: it.run + self.earlier_runs, method: it.stage.method()? }));
                self.sweep.take(run, id);
                self.mark(Change::Sweep);
            }
            Event::Swept(run) => {
                self.sweep.end(run);
                self.mark(Change::Sweep);
            }
            // Between engines: what comes of it, the session tells as its own.
            Event::WorkerJob(_) | Event::JobReport(_) => {}
            Event::Checkpoint(stage, bytes) => self.export = Some(Export::Checkpoint(stage, bytes)),
            Event::Preferences(lines) => self.export = Some(Export::Preferences(lines)),
            Event::Loaded(loaded) => {
                if let Some(file) = self.submitted_files.accept() {
                    self.accepted_files.push(accepted_files::loaded(&file, &loaded));
                    self.mark(Change::Notices);
                }
            }
            Event::DrawnPairs(pairs) => {
                self.annotator.take(pairs);
                self.mark(Change::Labels);
            }
            Event::Failure(failure) => {
                let (field, failure) = (failure.field.clone(), self.submitted_files.named(failure));
                match field.as_deref() {
                    Some("preferences") => self.pair_names.refuse(),
                    Some("drawn_pairs") => self.annotator.give_up(),
                    Some("moment") => {
                        self.is_gone = true;
                        self.mark(Change::Opened);
                    }
                    _ => {}
                }
                self.fetching = None;
                self.playing &= !failure.stopped;
                if failure.stopped {
                    self.works.clear();
                }
                if failure.field.as_deref() == Some("kept") {
                    self.keeping.refused();
                }
                self.failure = Some(failure);
                self.mark(Change::Failure);
            }
        }
    }

    /// Whether the engine is at this work now.
    pub fn is_at(&self, work: Work) -> bool {
        self.works.contains_key(&work)
    }

    /// The trails that are shown, with their runs.
    pub fn shown(&self) -> Vec<(RunId, Trail)> {
        let mut shown = runs::shown(&self.points, &self.pair_names, &self.marks);
        shown.iter_mut().for_each(|(id, trail)| trail.live |= self.sweep.has(id));
        shown
    }

    /// Takes a run out of chart and table. One that is still trained comes back with its next point.
    pub fn remove(&mut self, run: &RunId) {
        self.points.retain(|point| RunId::of(point) != *run);
        self.marks.remove(run);
        self.removals += 1;
        self.selected = None;
        self.open = self.open.take().filter(|(open, _)| open != run);
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
        self.focused = stage;
        self.curves.at = None;
        self.mark(Change::Focus);
    }

    /// A stage of the pipeline.
    pub fn stage(&self, stage: Stage) -> Option<&StageStatus> {
        self.stages.iter().find(|status| status.stage == stage)
    }

    /// Whether the chart has more to show than the recorded figure in its place: the engine with all that is recorded. What
    /// was recorded may not have come either where the engine has not.
    pub fn has_a_chart(&self) -> bool {
        (self.ready.is_some() && self.recorded.is_settled()) || !self.points.is_empty()
    }

    /// Whether there is no engine, and none will come by itself.
    pub fn has_not_started(&self) -> bool {
        self.ready.is_none() && self.failure.as_ref().is_some_and(|failure| failure.stopped)
    }

    /// The newest point, whose numbers stand large beside the chart.
    pub fn latest(&self) -> Option<&Point> {
        self.points.last()
    }
}

#[cfg(test)]
mod tests;
