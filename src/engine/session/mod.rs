//! A student's session: the pipeline of models, what is being trained, and what is told about it.
//!
//! A state machine without a browser. [`Session::handle`] obeys a command, [`Session::advance`] does one slice of the
//! work at hand, a few tens of milliseconds, and both answer with events. Between two slices nothing is in flight, so
//! whoever drives the session can look at new commands there.

mod commands;
mod contest;
mod hand;
mod moments;
mod pipeline;
mod record;
mod reports;
mod scaling;
mod snapshot;
mod stages;
mod sweep;
mod train;
mod undo;

use std::collections::BTreeMap;

use contest::LiveContest;
pub use hand::Hand;
use moments::Moments;
use pipeline::{Pipeline, Policy, PutAside, Subject};
use record::Record;
use scaling::LiveScaling;
pub use scaling::Scale;
pub use snapshot::{Snapshot, unusable};
use sweep::LiveSweep;
use undo::Undo;

use super::protocol::{
    Badge, BestOfNNumbers, Checkpoints, Command, Event, Failure, Origin, Point, Progress, Ready, Stage, StageStatus,
    Work,
};
use super::settings::{Breadth, Settings};
use klimb_lab::{Evaluation, Place};
use klimb_metrics::{Method, MetricRow, OptimumPoint, Setting};
use klimb_network::backend::{BackendError, Kernels};
use klimb_network::model::Checkpoint;

/// Seconds since any fixed moment. A browser and a native program have different ones.
pub type Clock = fn() -> f64;

/// Seconds a slice of optimiser steps should take: long enough to be worth a readback, short enough to stay alert.
const SLICE_SECONDS: f64 = 0.03;
/// Most optimiser steps in one slice.
const MOST_STEPS: usize = 16;
/// What starts over with other pairs.
const LEARNED_FROM_PAIRS: [Stage; 5] =
    [Stage::Dpo, Stage::RewardModel, Stage::Ppo, Stage::Unlikelihood, Stage::PreferredFt];
/// While training, every so many slices one goes to the optimum's samples.
const OPTIMUM_TURN: usize = 4;

/// A session on one backend.
pub struct Session<K: Kernels> {
    k: K,
    clock: Clock,
    badge: Badge,
    pipeline: Pipeline<K>,
    focus: Stage,
    playing: bool,
    /// The stage that is played until one step of it has been taken.
    stepping: Option<Stage>,
    /// Each policy's run, in the order of [`Policy::ALL`].
    runs: [Run; 5],
    /// What is being measured, and since when.
    evaluating: Option<(Subject, f64)>,
    /// Win rates that are being measured.
    contest: Option<LiveContest>,
    /// The policies behind the points.
    moments: Moments,
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
    told: Vec<StageStatus>,
    /// What the last reset took away, while it can be taken back, and whether the page knows that it can.
    undo: Option<Undo<K>>,
    told_undoable: bool,
    /// The session before this one, as long as it can be had back.
    replaced: Option<Box<Self>>,
    /// Whether the page has been told of something to keep.
    has_told_kept: bool,
    /// All that was told and still holds.
    record: Record,
    /// The reference as the page knows it, by its fingerprint.
    told_reference: String,
    /// The recorded optimum as the page knows it.
    told_optimum: Option<Vec<OptimumPoint>>,
    /// Training whose progress the page shows.
    working: Option<Work>,
    /// Whether it makes runs for another session, and nothing that nobody would see of them.
    is_hand: bool,
    /// Why the device is of no use any more.
    lost: Option<BackendError>,
}

/// The run that a policy is in.
#[derive(Debug, Clone, PartialEq)]
struct Run {
    /// From 1.
    number: u32,
    /// The highest number that a run of this policy has had: in a sweep, later ones may be under way elsewhere.
    last: u32,
    /// Seconds of training.
    seconds: f64,
    /// The policy at the last point of this run, and the run's seconds then.
    measured: Option<(Checkpoint, f64)>,
}

impl Default for Run {
    fn default() -> Self {
        Self { number: 1, last: 1, seconds: 0.0, measured: None }
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
        let pipeline =
            Pipeline::new(&mut k, settings, checkpoints).map_err(|error| asset_failure(&error, "checkpoint"))?;
        Ok(Self {
            k,
            clock,
            badge,
            pipeline,
            focus: Stage::Dpo,
            playing: false,
            stepping: None,
            runs: Default::default(),
            evaluating: None,
            contest: None,
            moments: Moments::default(),
            sweep: None,
            scaling: None,
            scale: scaling::scale,
            scaled: BTreeMap::default(),
            paced: Stage::Dpo,
            step_seconds: SLICE_SECONDS,
            slices: 0,
            told: Vec::new(),
            undo: None,
            told_undoable: false,
            replaced: None,
            has_told_kept: false,
            record: Record::default(),
            told_reference: String::new(),
            told_optimum: None,
            working: None,
            is_hand: false,
            lost: None,
        })
    }

    /// Another experiment behind [`Command::Scaling`].
    pub fn scaled_by(self, scale: Scale) -> Self {
        Self { scale, ..self }
    }

    /// Base and reference as files, the width of both, and the breadth of the text they are of.
    pub fn checkpoints(&self) -> ((usize, Breadth), Checkpoints) {
        let which = (self.pipeline.network.config().width, self.pipeline.settings.breadth);
        (which, self.pipeline.checkpoints())
    }

    /// What a page wants to know first: the engine, the stages, samples of the shipped models. The reference is then
    /// measured in the next slices, unless the session goes on from points and the page knows it.
    pub async fn open(&mut self) -> Vec<Event> {
        let config = *self.pipeline.network.config();
        let vocabulary = self.pipeline.world.vocabulary();
        let mut events = vec![Event::Ready(Ready {
            backend: self.badge.clone(),
            parameters: self.pipeline.network.layout().len,
            vocabulary: config.vocabulary,
            width: config.width,
            layers: config.layers,
            words: vocabulary.word_tokens().map(|token| vocabulary.word(token).to_owned()).collect(),
        })];
        self.tell_stages(&mut events);
        self.tell_optimum(&mut events);
        let samples = self.pipeline.samples(&mut self.k, None).await;
        self.keep(samples.map(|samples| vec![Event::Samples(samples)]), &mut events);
        if self.runs.iter().all(|run| run.measured.is_none()) {
            self.measure(Subject::Reference);
        }
        self.note(&events);
        events
    }

    /// The stage that is trained while it plays.
    fn active(&self) -> Stage {
        self.stepping.unwrap_or(self.focus)
    }

    fn run(&mut self, policy: Policy) -> &mut Run {
        &mut self.runs[policy as usize]
    }

    /// Whether [`Session::advance`] has something to do.
    pub fn busy(&self) -> bool {
        self.scaling.is_some() || self.is_needed() || self.wants_optimum()
    }

    /// Whether samples for the optimum are still to be drawn.
    fn wants_optimum(&self) -> bool {
        !self.is_hand && !self.pipeline.optimum_is_complete()
    }

    /// Whether DPO's first step comes before what is left of measuring the reference: whoever presses Play wants to see
    /// something happen, and the reference stays what it is.
    fn begins(&self) -> bool {
        let measures_reference = matches!(self.evaluating, Some((Subject::Reference, _)));
        let is_first = self.active() == Stage::Dpo && self.pipeline.steps(Policy::Dpo) == 0;
        // A step that is a point of its own has to be measured at once.
        let is_point = self.pipeline.settings.evaluate_every == 1;
        self.playing && self.sweep.is_none() && measures_reference && is_first && !is_point
    }

    /// Whether the pipeline has something to do that somebody waits for.
    fn is_needed(&self) -> bool {
        self.is_training() || self.evaluating.is_some() || self.contest.is_some()
    }

    /// Whether it trains: it plays, and does not wait for the hands that help it.
    fn is_training(&self) -> bool {
        self.playing && !self.waits_for_hands()
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
        for policy in Policy::ALL.into_iter().filter(|policy| stages.contains(&policy.stage())) {
            let number = self.next_number(policy);
            *self.run(policy) = Run { number, last: number, ..Run::default() };
        }
        let former = self.pipeline.restart(&mut self.k, stages);
        if is_new {
            self.moments.clear();
        }
        if measure {
            self.measure(Subject::Reference);
        }
        former
    }

    /// The number of a policy's run once it has started over: the same, as long as nothing was made of it.
    fn next_number(&self, policy: Policy) -> u32 {
        let run = &self.runs[policy as usize];
        let is_used = self.pipeline.steps(policy) > 0 || run.number < run.last;
        if is_used { run.last + 1 } else { run.number }
    }

    fn measure(&mut self, subject: Subject) {
        if self.evaluating.is_none() {
            self.pipeline.evaluator.abandon();
            self.evaluating = Some((subject, (self.clock)()));
        }
    }

    fn abandon_evaluation(&mut self, events: &mut Vec<Event>) {
        if self.evaluating.take().is_some() {
            let total = self.pipeline.evaluator.total();
            self.pipeline.evaluator.abandon();
            events.push(progress(Work::Evaluation, total, total, 0.0));
        }
    }

    /// Makes what SFT has learned the reference, if it has learned since: everything behind it starts over. Answers whether
    /// there is a reference to go on from; otherwise training is broken off.
    async fn adopt_sft(&mut self, events: &mut Vec<Event>) -> Result<bool, BackendError> {
        if self.pipeline.sft_has_news() {
            if !self.pipeline.adopt(&mut self.k).await? {
                self.break_off(Stage::Sft, reports::reference_not_finite(), events);
                return Ok(false);
            }
            drop(self.restart(&Stage::ALL, true, events));
            events.push(Event::Samples(self.pipeline.samples(&mut self.k, None).await?));
        }
        Ok(true)
    }

    async fn evaluate(&mut self, events: &mut Vec<Event>) -> Result<(), BackendError> {
        let Some((subject, start)) = self.evaluating else { return Ok(()) };
        self.pipeline.advance_evaluation(&mut self.k, subject).await?;
        let (done, total) = (self.pipeline.evaluator.done(), self.pipeline.evaluator.total());
        let elapsed = (self.clock)() - start;
        events.push(progress(Work::Evaluation, done, total, elapsed / done as f64 * (total - done) as f64));
        if done == total {
            self.evaluating = None;
            let evaluation = self.pipeline.evaluator.finish();
            let point = self.point(subject, &evaluation);
            let is_told = self.is_told(subject, point.point.step);
            // Read before the point is told: one without the policy behind it could not be gone on from.
            let checkpoint = match subject {
                Subject::Policy(policy) => self.pipeline.checkpoint(&mut self.k, policy.stage()).await?,
                Subject::Reference => None,
            };
            if !point.point.is_plausible() || !checkpoint.as_ref().is_none_or(Checkpoint::is_finite) {
                let stage = if let Subject::Policy(policy) = subject { policy.stage() } else { Stage::Sft };
                self.break_off(stage, reports::not_measured(stage), events);
                return Ok(());
            }
            if !is_told {
                events.push(Event::Point(point.clone()));
            }
            if let Subject::Policy(policy) = subject {
                let run = self.run(policy);
                run.measured = checkpoint.map(|checkpoint| (checkpoint, run.seconds));
                if self.is_hand || is_told {
                    return Ok(());
                }
                if let Some((checkpoint, seconds)) = &self.runs[policy as usize].measured {
                    self.moments.keep(policy, &point, checkpoint, *seconds);
                }
                self.tell_kept(events);
                events.push(Event::Samples(self.pipeline.samples(&mut self.k, None).await?));
            }
        }
        Ok(())
    }

    fn point(&self, subject: Subject, evaluation: &Evaluation) -> Point {
        let settings = &self.pipeline.settings;
        let (method, setting, step) = match subject {
            Subject::Reference => (Method::Sft, Place::reference(), 0),
            Subject::Policy(policy) => (policy.method(), self.setting_of(policy), self.pipeline.steps(policy)),
        };
        let (run, seconds) = match subject {
            Subject::Reference => (self.runs[0].number, 0.0),
            Subject::Policy(policy) => (self.runs[policy as usize].number, self.runs[policy as usize].seconds),
        };
        let place = Place { method, setting, seed: u64::from(settings.seed), step, seconds };
        Point { run, point: evaluation.point(place) }
    }

    /// What distinguishes a policy's runs.
    fn setting_of(&self, policy: Policy) -> Setting {
        let settings = &self.pipeline.settings;
        let steers = matches!(policy, Policy::Ppo | Policy::PpoGt) && settings.target_kl > 0.0;
        match policy {
            _ if steers => Setting::Label(format!("KL target {}", settings.target_kl)),
            Policy::Unlikelihood => Setting::Number(settings.unlikelihood_alpha),
            Policy::PreferredFt => Setting::Label("chosen".into()),
            Policy::Dpo | Policy::Ppo | Policy::PpoGt => Setting::Number(settings.beta),
        }
    }

    /// Best-of-N at one N, as a point: one curve by gold reward, another by the reward model's score.
    fn best_of_n_point(&self, numbers: BestOfNNumbers, evaluation: &Evaluation) -> Point {
        let method = if numbers.learned { Method::BestOfNScore } else { Method::BestOfN };
        let (setting, seed) = (Setting::Number(numbers.n as f64), u64::from(self.pipeline.settings.seed));
        let place = Place { method, setting, seed, step: 0, seconds: 0.0 };
        Point { run: 1, point: evaluation.point(place) }
    }

    async fn sample_optimum(&mut self, events: &mut Vec<Event>) -> Result<(), BackendError> {
        let start = (self.clock)();
        self.pipeline.sample_optimum(&mut self.k).await?;
        let (done, total) = self.pipeline.optimum_progress();
        let left = ((self.clock)() - start) * (total - done) as f64;
        events.push(progress(Work::Optimum, done, total, left));
        if done == total || done.is_multiple_of(16) {
            events.push(Event::Optimum(Origin::Live, self.pipeline.optimum_curve()));
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
        let recorded = self.pipeline.recorded_optimum();
        if recorded != self.told_optimum {
            let origin = if recorded.is_some() { Origin::Recorded } else { Origin::Live };
            events.push(Event::Optimum(origin, recorded.clone().unwrap_or_default()));
            self.told_optimum = recorded;
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
