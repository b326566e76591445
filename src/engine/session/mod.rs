//! A student's session: the pipeline of models, what is being trained, and what is told about it.
//!
//! A state machine without a browser. [`Session::handle`] obeys a command, [`Session::advance`] does one slice of the
//! work at hand, a few tens of milliseconds, and both answer with events. Between two slices nothing is in flight, so
//! whoever drives the session can look at new commands there.
//!
//! More than 400 lines, because what starts over, and what is told when, is one state machine and is read as one.

mod commands;
mod contest;
mod live;
mod measuring;
mod model_kind;
mod models;
mod optimum;
mod policies;
mod put_aside;
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
use live::{BestOfNRun, RewardModelRun, SftRun};
use measuring::Subject;
pub use model_kind::ModelKind;
use models::Models;
use policies::Policies;
use put_aside::PutAside;
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
    Badge, Checkpoints, Command, Event, Failure, Progress, Ready, Samples, Stage, StageKind, StageStatus, Work,
};
use super::settings::{Knob, Settings};
use klimb_metrics::{Method, MetricRow, OptimumPoint, Setting};
use klimb_network::backend::{BackendError, Kernels};
use klimb_network::model::Checkpoint;
use klimb_text::Message;

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
    /// SFT from the base model, once it has begun here.
    sft: Option<SftRun<K>>,
    reward_model: RewardModelRun<K>,
    best_of_n: BestOfNRun<K>,
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
        let models =
            Models::new(&mut k, settings, checkpoints).map_err(|error| asset_failure(error.message(), "checkpoint"))?;
        let policies = Policies::new(&mut k, &models);
        Ok(Self {
            k,
            clock,
            badge,
            models,
            sft: None,
            reward_model: RewardModelRun::default(),
            best_of_n: BestOfNRun::default(),
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
            // The SFT model in training, if there is one, or else the reference.
            StageKind::Sft | StageKind::Pairs => Some(match &self.sft {
                Some(sft) => sft.checkpoint(&mut self.k, &self.models).await?,
                None => self.models.sft.clone(),
            }),
            StageKind::RewardModel => self.models.reward_model_checkpoint(),
            StageKind::Policy(method) => self.policies.checkpoint(&mut self.k, &self.models, method).await?,
            StageKind::BestOfN => None,
        })
    }

    /// Whether [`Session::advance`] has something to do.
    pub fn busy(&self) -> bool {
        self.scaling.is_some() || self.is_needed() || self.wants_optimum()
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
        self.tell_changes(&mut events);
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
        self.tell_changes(&mut events);
        events
    }

    /// Tells what is another than before, and notes all that was told.
    fn tell_changes(&mut self, events: &mut Vec<Event>) {
        self.tell_stages(events);
        self.tell_optimum(events);
        self.tell_undo(events);
        self.note(events);
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
        let former = self.start_over(stages);
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

    /// Makes what SFT has learned the reference, if it has learned since: everything behind it starts over. Answers whether
    /// there is a reference to go on from; otherwise training is broken off.
    async fn adopt_sft(&mut self, events: &mut Vec<Event>) -> Result<bool, BackendError> {
        let Some(sft) = self.sft.as_mut().filter(|sft| sft.has_news()) else { return Ok(true) };
        let Some(parameters) = sft.adopt(&mut self.k).await? else {
            self.sft = None;
            self.break_off(Stage::Sft, reports::reference_not_finite(), events);
            return Ok(false);
        };
        let step = sft.steps();
        self.models.adopt_trained(&mut self.k, parameters, step);
        drop(self.restart(&Stage::ALL, true, events));
        events.push(Event::Samples(self.samples(None).await?));
        Ok(true)
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

    /// Where training that ends stands.
    fn tell_progress(&mut self, work: Work, done: usize, total: usize, seconds_left: f64, events: &mut Vec<Event>) {
        self.working = (done < total).then_some(work);
        events.push(progress(work, done, total, seconds_left));
    }
}

fn progress(work: Work, done: usize, total: usize, seconds_left: f64) -> Event {
    Event::Progress(Progress { work, done, total, seconds_left: Some(seconds_left) })
}

/// A file that cannot be used, for what this says of it.
fn asset_failure(reason: Message, field: &str) -> Failure {
    Failure {
        sentence: reason.as_sentence(),
        remedy: message!("Nothing was replaced: everything goes on as before."),
        field: Some(field.into()),
        stopped: false,
    }
}
