//! A student's session: the pipeline of models, what is being trained, and what is told about it.
//!
//! A state machine without a browser. [`Session::handle`] obeys a command, [`Session::advance`] does one slice of the
//! work at hand, a few tens of milliseconds, and both answer with events. Between two slices nothing is in flight, so
//! whoever drives the session can look at new commands there.

mod commands;
mod contest;
mod models;
mod policies;
mod record;
mod reports;
mod runs;
mod saved_policies;
mod scaling;
mod snapshot;
mod stages;
mod sweep;
mod sweep_worker;
mod train;
mod undo;

use std::collections::BTreeMap;

use contest::LiveContest;
use models::Models;
use policies::{Policies, PutAside};
use record::Record;
use runs::{Measured, Run, Runs};
use saved_policies::SavedPolicies;
use scaling::LiveScaling;
pub use scaling::Scale;
pub use snapshot::{Snapshot, unusable};
use sweep::LiveSweep;
pub use sweep_worker::SweepWorker;
use undo::Undo;

use super::protocol::{
    Badge, BestOfNNumbers, Checkpoints, Command, Event, Failure, Origin, Point, Progress, Ready, Samples, Stage,
    StageKind, StageStatus, Work,
};
use super::settings::{Breadth, Knob, Settings};
use klimb_lab::{Evaluation, PointKey};
use klimb_metrics::{Method, MetricRow, OptimumPoint, Setting};
use klimb_network::backend::{BackendError, Kernels};
use klimb_network::model::Checkpoint;

/// Seconds since any fixed moment. A browser and a native program have different ones.
pub type Clock = fn() -> f64;

/// Seconds a slice of optimiser steps should take: long enough to be worth a readback, short enough to stay alert.
const SLICE_SECONDS: f64 = 0.03;
/// Most optimiser steps in one slice.
const MOST_STEPS: usize = 16;
/// While training, every so many slices one goes to the optimum's samples.
const OPTIMUM_TURN: usize = 4;

/// A session on one backend.
pub struct Session<K: Kernels> {
    k: K,
    clock: Clock,
    badge: Badge,
    models: Models<K>,
    policies: Policies<K>,
    focus: Stage,
    playing: bool,
    /// The stage that is played until one step of it has been taken.
    stepping: Option<Stage>,
    runs: Runs,
    /// What is being measured, and since when.
    evaluating: Option<(Subject, f64)>,
    /// Win rates that are being measured.
    contest: Option<LiveContest>,
    /// The policies behind the points.
    saved_policies: SavedPolicies,
    /// Runs at several β under way.
    sweep: Option<LiveSweep>,
    /// Alignment against size under way, what it consists of, and the models it has finished, by name.
    scaling: Option<LiveScaling<K>>,
    scale: Scale,
    scaled: BTreeMap<String, Checkpoint>,
    /// The stage trained last, and the seconds that one step of it takes.
    paced: Stage,
    step_seconds: f64,
    slices: usize,
    /// Stages as the page knows them.
    reported_stages: Vec<StageStatus>,
    /// What the last reset took away, while it can be taken back, and whether the page knows that it can.
    undo: Option<Undo<K>>,
    reported_undoable: bool,
    /// The session before this one, as long as it can be had back.
    replaced: Option<Box<Self>>,
    /// Whether the page has been told of something to keep.
    has_reported_kept: bool,
    /// All that was told and still holds.
    record: Record,
    /// The reference as the page knows it, by its fingerprint.
    reported_reference: String,
    /// The recorded optimum as the page knows it.
    reported_optimum: Option<Vec<OptimumPoint>>,
    /// Training whose progress the page shows.
    working: Option<Work>,
    /// Whether it makes runs for another session, and nothing that nobody would see of them.
    is_sweep_worker: bool,
    /// Why the device is of no use any more.
    lost: Option<BackendError>,
}

/// What is measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Subject {
    /// The SFT model.
    Reference,
    /// A policy in training.
    Policy(Method),
}

impl Subject {
    /// The stage whose model it is.
    fn stage(self) -> Stage {
        match self {
            Self::Reference => Stage::Sft,
            Self::Policy(method) => Stage::of(method).expect("a method that the page trains by"),
        }
    }
}

impl<K: Kernels> Session<K> {
    /// A session that starts from shipped checkpoints, or the reason why they cannot be used.
    pub fn new(
        mut k: K,
        clock: Clock,
        badge: Badge,
        settings: Settings,
        checkpoints: &Checkpoints,
    ) -> Result<Self, Failure> {
        let settings = settings.validated().map_err(|error| reports::setting_failure(&error))?;
        let models = Models::new(&mut k, settings, checkpoints).map_err(|error| asset_failure(&error, "checkpoint"))?;
        let policies = Policies::new(&mut k, &models);
        Ok(Self {
            k,
            clock,
            badge,
            models,
            policies,
            focus: Stage::Dpo,
            playing: false,
            stepping: None,
            runs: Runs::default(),
            evaluating: None,
            contest: None,
            saved_policies: SavedPolicies::default(),
            sweep: None,
            scaling: None,
            scale: scaling::scale,
            scaled: BTreeMap::default(),
            paced: Stage::Dpo,
            step_seconds: SLICE_SECONDS,
            slices: 0,
            reported_stages: Vec::new(),
            undo: None,
            reported_undoable: false,
            replaced: None,
            has_reported_kept: false,
            record: Record::default(),
            reported_reference: String::new(),
            reported_optimum: None,
            working: None,
            is_sweep_worker: false,
            lost: None,
        })
    }

    /// Another experiment behind [`Command::Scaling`].
    pub fn scaled_by(self, scale: Scale) -> Self {
        Self { scale, ..self }
    }

    /// Base and reference as files, the width of both, and the breadth of the text they are of.
    pub fn checkpoints(&self) -> ((usize, Breadth), Checkpoints) {
        let which = (self.models.network.config().width, self.models.settings.breadth);
        (which, self.models.checkpoints())
    }

    /// What a page wants to know first: the engine, the stages, samples of the shipped models. The reference is then
    /// measured in the next slices, unless the session goes on from points and the page knows it.
    pub async fn open(&mut self) -> Vec<Event> {
        let config = *self.models.network.config();
        let vocabulary = self.models.world.vocabulary();
        let mut events = vec![Event::Ready(Ready {
            backend: self.badge.clone(),
            parameters: self.models.network.layout().len,
            vocabulary: config.vocabulary,
            width: config.width,
            layers: config.layers,
            words: vocabulary.word_tokens().map(|token| vocabulary.word(token).to_owned()).collect(),
        })];
        self.tell_stages(&mut events);
        self.tell_optimum(&mut events);
        let samples = self.samples(None).await;
        self.keep(samples.map(|samples| vec![Event::Samples(samples)]), &mut events);
        if self.runs.iter().all(|(_, run)| run.measured.is_none()) {
            self.measure(Subject::Reference);
        }
        self.note(&events);
        events
    }

    /// The stage that is trained while it plays.
    fn active(&self) -> Stage {
        self.stepping.unwrap_or(self.focus)
    }

    /// What base, reference and policies write: to the standing prompts, or to one that was typed.
    async fn samples(&mut self, typed: Option<Vec<u32>>) -> Result<Samples, BackendError> {
        self.models.samples(&mut self.k, self.policies.trained(), typed).await
    }

    /// The model of a stage as a checkpoint, if there is one yet.
    async fn checkpoint(&mut self, stage: Stage) -> Result<Option<Checkpoint>, BackendError> {
        Ok(match stage.kind() {
            StageKind::Base => Some(self.models.base_checkpoint()),
            StageKind::Sft | StageKind::Pairs => Some(self.models.sft_checkpoint(&mut self.k).await?),
            StageKind::RewardModel => self.models.reward_model_checkpoint(),
            StageKind::Policy(method) => self.policies.checkpoint(&mut self.k, &self.models, method).await?,
            StageKind::BestOfN => None,
        })
    }

    /// Whether [`Session::advance`] has something to do.
    pub fn busy(&self) -> bool {
        self.scaling.is_some() || self.is_needed() || self.wants_optimum()
    }

    /// Whether samples for the optimum are still to be drawn.
    fn wants_optimum(&self) -> bool {
        !self.is_sweep_worker && !self.models.optimum_is_complete()
    }

    /// Whether DPO's first step comes before what is left of measuring the reference: whoever presses Play wants to see
    /// something happen, and the reference stays what it is.
    fn begins(&self) -> bool {
        let measures_reference = matches!(self.evaluating, Some((Subject::Reference, _)));
        let is_first = self.active() == Stage::Dpo && self.policies.steps(Method::Dpo) == 0;
        // A step that is a point of its own has to be measured at once.
        let is_point = self.models.settings.evaluate_every == 1;
        self.playing && self.sweep.is_none() && measures_reference && is_first && !is_point
    }

    /// Whether the pipeline has something to do that somebody waits for.
    fn is_needed(&self) -> bool {
        self.is_training() || self.evaluating.is_some() || self.contest.is_some()
    }

    /// Whether it trains: it plays, and does not wait for the sweep workers that help it.
    fn is_training(&self) -> bool {
        self.playing && !self.waits_for_workers()
    }

    /// Obeys `command`.
    pub async fn handle(&mut self, command: Command) -> Vec<Event> {
        let mut events = Vec::new();
        let brings_another =
            matches!(command, Command::LoadCheckpoint(_) | Command::LoadPreferences(_) | Command::GeneratePreferences);
        let before = self.lasting();
        let result = self.obey(command, &mut events).await;
        self.keep(result.map(|()| Vec::new()), &mut events);
        if brings_another || self.lasting() != before {
            self.tell_kept(&mut events);
        }
        self.tell_stages(&mut events);
        self.tell_optimum(&mut events);
        self.tell_undo(&mut events);
        self.note(&events);
        events
    }

    /// Does one slice of work.
    pub async fn advance(&mut self) -> Vec<Event> {
        let mut events = Vec::new();
        let before = self.lasting();
        self.slices += 1;
        let optimum_turn = self.wants_optimum() && self.slices.is_multiple_of(OPTIMUM_TURN);
        let scaling_turn = self.scaling.is_some() && (!self.is_needed() || self.slices.is_multiple_of(2));
        let result = if scaling_turn {
            self.advance_scaling(&mut events).await
        } else if self.contest.is_some() {
            self.play_contest(&mut events).await
        } else if self.evaluating.is_some() && !self.begins() {
            self.evaluate(&mut events).await
        } else if self.is_training() && !optimum_turn {
            self.train(self.active(), &mut events).await
        } else if self.wants_optimum() {
            self.sample_optimum(&mut events).await
        } else {
            Ok(())
        };
        self.tell_sweep(&mut events);
        self.keep(result.map(|()| Vec::new()), &mut events);
        if self.lasting() != before {
            self.tell_kept(&mut events);
        }
        self.tell_stages(&mut events);
        self.tell_optimum(&mut events);
        self.tell_undo(&mut events);
        self.note(&events);
        events
    }

    /// Stages start over from the reference, their policies as new runs. The reference is measured again if it is new,
    /// or if how it is measured is, or if its measurement was not finished. Answers
    /// with what the stages were.
    fn restart(&mut self, stages: &[Stage], is_new: bool, events: &mut Vec<Event>) -> PutAside<K> {
        self.forget_reset();
        let measure = is_new || matches!(self.evaluating, Some((Subject::Reference, _)));
        self.abandon_evaluation(events);
        if self.sweeps(stages) {
            self.end_sweep(events);
        }
        for method in stages.iter().filter_map(|stage| stage.policy()) {
            self.runs[method] = Run::new(self.next_number(method));
        }
        let former = self.policies.restart(&mut self.k, &mut self.models, stages);
        if is_new {
            self.saved_policies.clear();
        }
        if measure {
            self.measure(Subject::Reference);
        }
        former
    }

    /// The number of a policy's run once it has started over: the same, as long as nothing was made of it.
    fn next_number(&self, method: Method) -> u32 {
        let run = &self.runs[method];
        let is_used = self.policies.steps(method) > 0 || run.number < run.last;
        if is_used { run.last + 1 } else { run.number }
    }

    fn measure(&mut self, subject: Subject) {
        if self.evaluating.is_none() {
            self.models.evaluator.abandon();
            self.evaluating = Some((subject, (self.clock)()));
        }
    }

    fn abandon_evaluation(&mut self, events: &mut Vec<Event>) {
        if self.evaluating.take().is_some() {
            let total = self.models.evaluator.total();
            self.models.evaluator.abandon();
            events.push(progress(Work::Evaluation, total, total, 0.0));
        }
    }

    /// Makes what SFT has learned the reference, if it has learned since: everything behind it starts over. Answers whether
    /// there is a reference to go on from; otherwise training is broken off.
    async fn adopt_sft(&mut self, events: &mut Vec<Event>) -> Result<bool, BackendError> {
        if self.models.sft_has_news() {
            if !self.models.adopt(&mut self.k).await? {
                self.break_off(Stage::Sft, reports::reference_not_finite(), events);
                return Ok(false);
            }
            drop(self.restart(&Stage::ALL, true, events));
            events.push(Event::Samples(self.samples(None).await?));
        }
        Ok(true)
    }

    async fn evaluate(&mut self, events: &mut Vec<Event>) -> Result<(), BackendError> {
        let Some((subject, start)) = self.evaluating else { return Ok(()) };
        let policy = match subject {
            Subject::Reference => None,
            // A policy that has not begun is the reference.
            Subject::Policy(method) => self.policies.parameters(method),
        };
        self.models.advance_evaluation(&mut self.k, policy).await?;
        let (done, total) = (self.models.evaluator.done(), self.models.evaluator.total());
        let elapsed = (self.clock)() - start;
        events.push(progress(Work::Evaluation, done, total, elapsed / done as f64 * (total - done) as f64));
        if done == total {
            self.evaluating = None;
            let evaluation = self.models.evaluator.finish();
            let point = self.point(subject, &evaluation);
            let is_told = self.is_told(subject, point.point.step);
            // Read before the point is told: one without the policy behind it could not be gone on from.
            let checkpoint = match subject {
                Subject::Policy(method) => self.policies.checkpoint(&mut self.k, &self.models, method).await?,
                Subject::Reference => None,
            };
            if !point.point.is_plausible() || !checkpoint.as_ref().is_none_or(Checkpoint::is_finite) {
                let stage = subject.stage();
                self.break_off(stage, reports::not_measured(stage), events);
                return Ok(());
            }
            if !is_told {
                events.push(Event::Point(point.clone()));
            }
            if let Subject::Policy(method) = subject {
                let run = &mut self.runs[method];
                run.measured = checkpoint.map(|policy| Measured { policy, seconds: run.seconds });
                if self.is_sweep_worker || is_told {
                    return Ok(());
                }
                if let Some(measured) = &self.runs[method].measured {
                    self.saved_policies.keep(subject.stage(), &point, measured);
                }
                self.tell_kept(events);
                events.push(Event::Samples(self.samples(None).await?));
            }
        }
        Ok(())
    }

    fn point(&self, subject: Subject, evaluation: &Evaluation) -> Point {
        let settings = &self.models.settings;
        let (method, setting, step) = match subject {
            Subject::Reference => (Method::Sft, PointKey::reference(), 0),
            Subject::Policy(method) => (method, self.setting_of(method), self.policies.steps(method)),
        };
        let (run, seconds) = match subject {
            Subject::Reference => (self.runs[Method::Dpo].number, 0.0),
            Subject::Policy(method) => (self.runs[method].number, self.runs[method].seconds),
        };
        let place = PointKey { method, setting, seed: u64::from(settings.seed), step, seconds };
        Point { run, point: evaluation.point(place) }
    }

    /// What distinguishes a policy's runs.
    fn setting_of(&self, method: Method) -> Setting {
        let settings = &self.models.settings;
        let steers = method.has_leash() && method.learns_from_rollouts() && settings.target_kl > 0.0;
        match method.info().setting.knob().and_then(Knob::named) {
            Some(_) if steers => Setting::Label(format!("KL target {}", settings.target_kl)),
            Some(knob) => Setting::Number(knob.value(settings)),
            None => Setting::Label("chosen".into()),
        }
    }

    /// Best-of-N at one N, as a point: one curve by gold reward, another by the reward model's score.
    fn best_of_n_point(&self, numbers: BestOfNNumbers, evaluation: &Evaluation) -> Point {
        let method = if numbers.learned { Method::BestOfNScore } else { Method::BestOfN };
        let (setting, seed) = (Setting::Number(numbers.n as f64), u64::from(self.models.settings.seed));
        let place = PointKey { method, setting, seed, step: 0, seconds: 0.0 };
        Point { run: 1, point: evaluation.point(place) }
    }

    async fn sample_optimum(&mut self, events: &mut Vec<Event>) -> Result<(), BackendError> {
        let start = (self.clock)();
        self.models.sample_optimum(&mut self.k).await?;
        let (done, total) = self.models.optimum_progress();
        let left = ((self.clock)() - start) * (total - done) as f64;
        events.push(progress(Work::Optimum, done, total, left));
        if done == total || done.is_multiple_of(16) {
            events.push(Event::Optimum(Origin::Live, self.models.optimum_curve()));
        }
        Ok(())
    }

    /// Metrics, or the end of training if a number among them is not finite: AdamW has then left the parameters alone. In a
    /// sweep it is the end of that run. Answers whether all are finite: otherwise there is nothing new to measure.
    fn tell_metrics(&mut self, stage: Stage, rows: Vec<MetricRow>, events: &mut Vec<Event>) -> bool {
        let is_sound = rows.iter().all(|row| row.values.values().all(|value| value.is_finite()));
        events.push(Event::Metrics(stage, rows));
        if !is_sound {
            self.break_off(stage, reports::not_finite(stage), events);
        }
        is_sound
    }

    /// Ends training with a failure; in a sweep, the run alone.
    fn break_off(&mut self, stage: Stage, failure: Failure, events: &mut Vec<Event>) {
        let failure = self.give_run_up(stage).unwrap_or_else(|| {
            self.play(false, events);
            failure
        });
        events.push(Event::Failure(failure));
    }

    /// Keeps what went well, or tells what went wrong and stops.
    fn keep(&mut self, result: Result<Vec<Event>, BackendError>, events: &mut Vec<Event>) {
        match result {
            Ok(more) => events.extend(more),
            Err(error) => {
                (self.evaluating, self.contest, self.scaling) = (None, None, None);
                self.end_sweep(events);
                self.play(false, events);
                events.push(Event::Failure(reports::backend_failure(&error)));
                // What a device has refused once it answers to every later read.
                self.lost =
                    Some(error).filter(|it| matches!(it, BackendError::DeviceLost(_) | BackendError::Refused(_)));
            }
        }
    }

    /// Tells the recorded optimum where it is another than before, and an empty one where it holds no more. A live one
    /// is told as its samples come.
    fn tell_optimum(&mut self, events: &mut Vec<Event>) {
        let recorded = self.models.recorded_optimum();
        if recorded != self.reported_optimum {
            let origin = if recorded.is_some() { Origin::Recorded } else { Origin::Live };
            events.push(Event::Optimum(origin, recorded.clone().unwrap_or_default()));
            self.reported_optimum = recorded;
        }
    }

    /// Where training that ends stands.
    fn tell_progress(&mut self, work: Work, done: usize, total: usize, seconds_left: f64, events: &mut Vec<Event>) {
        self.working = (done < total).then_some(work);
        events.push(progress(work, done, total, seconds_left));
    }
}

fn progress(work: Work, done: usize, total: usize, seconds_left: f64) -> Event {
    Event::Progress(Progress { work, done, total, seconds_left: Some(seconds_left) })
}

fn asset_failure(error: &impl std::fmt::Display, field: &str) -> Failure {
    Failure {
        sentence: reports::sentence(error),
        remedy: "Nothing was replaced: everything goes on as before.".into(),
        field: Some(field.into()),
        stopped: false,
    }
}
