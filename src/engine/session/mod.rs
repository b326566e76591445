//! A student's session: the pipeline of models, what is being trained, and what is told about it.
//!
//! A state machine without a browser. [`Session::handle`] obeys a command, [`Session::advance`] does one slice of the
//! work at hand, a few tens of milliseconds, and both answer with events. Between two slices nothing is in flight, so
//! whoever drives the session can look at new commands there.

mod pipeline;
mod reports;
mod snapshot;

use pipeline::{Pipeline, Subject};
pub use snapshot::Snapshot;

use super::protocol::{
    Badge, Checkpoints, Command, Event, Failure, Origin, Point, Progress, Ready, Stage, StageState, StageStatus, Work,
};
use super::settings::Settings;
use crate::backend::{BackendError, Kernels};
use crate::experiments::Evaluation;
use crate::metrics::{FrontierPoint, MetricRow, Setting};
use crate::model::{Checkpoint, CheckpointError};

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
    pipeline: Pipeline<K>,
    focus: Stage,
    playing: bool,
    run: u32,
    /// What is being measured, and since when.
    evaluating: Option<(Subject, f64)>,
    /// Optimiser seconds of this run, and what one step takes.
    seconds: f64,
    step_seconds: f64,
    slices: usize,
    /// Stages as the page knows them.
    told: Vec<StageStatus>,
    /// The policy at the last point of this run, and the run's seconds then.
    measured: Option<(Checkpoint, f64)>,
    lost: bool,
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
        let pipeline = Pipeline::new(&mut k, settings, checkpoints).map_err(|error| checkpoint_failure(&error))?;
        Ok(Self {
            k,
            clock,
            badge,
            pipeline,
            focus: Stage::Dpo,
            playing: false,
            run: 1,
            evaluating: None,
            seconds: 0.0,
            step_seconds: SLICE_SECONDS,
            slices: 0,
            told: Vec::new(),
            measured: None,
            lost: false,
        })
    }

    /// Base and reference as files, and the width of both.
    pub fn checkpoints(&self) -> (usize, Checkpoints) {
        (self.pipeline.network.config().width, self.pipeline.checkpoints())
    }

    /// What a page wants to know first: the engine, the stages, samples of the shipped models. The reference is then
    /// measured in the next slices.
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
        let samples = self.pipeline.samples(&mut self.k, None).await;
        self.keep(samples.map(|samples| vec![Event::Samples(samples)]), &mut events);
        self.measure(Subject::Reference);
        events
    }

    /// Whether [`Session::advance`] has something to do.
    pub fn busy(&self) -> bool {
        self.playing || self.evaluating.is_some() || !self.pipeline.optimum_is_complete()
    }

    /// Obeys `command`.
    pub async fn handle(&mut self, command: Command) -> Vec<Event> {
        let mut events = Vec::new();
        let result = self.obey(command, &mut events).await;
        self.keep(result.map(|()| Vec::new()), &mut events);
        self.tell_stages(&mut events);
        events
    }

    /// Does one slice of work.
    pub async fn advance(&mut self) -> Vec<Event> {
        let mut events = Vec::new();
        self.slices += 1;
        let optimum_turn = !self.pipeline.optimum_is_complete() && self.slices.is_multiple_of(OPTIMUM_TURN);
        let result = if self.evaluating.is_some() {
            self.evaluate(&mut events).await
        } else if self.playing && !optimum_turn {
            self.train(self.focus, &mut events).await
        } else if !self.pipeline.optimum_is_complete() {
            self.sample_optimum(&mut events).await
        } else {
            Ok(())
        };
        self.keep(result.map(|()| Vec::new()), &mut events);
        self.tell_stages(&mut events);
        events
    }

    async fn obey(&mut self, command: Command, events: &mut Vec<Event>) -> Result<(), BackendError> {
        match command {
            // Another start is another session: whoever drives this one builds it.
            Command::Start(_) | Command::SetPace(_) => {}
            Command::Play => self.play(true, events),
            Command::Pause => self.play(false, events),
            Command::Step(stage) => {
                self.play(false, events);
                self.abandon_evaluation(events);
                self.step(stage, events).await?;
            }
            Command::Focus(stage) => self.focus = stage,
            Command::SetBeta(beta) => {
                let settings = Settings { beta, ..self.pipeline.settings };
                self.configure(settings, events).await?;
            }
            Command::Configure(settings) => self.configure(settings, events).await?,
            Command::Reset => self.restart(false, events),
            Command::Retrain => {
                self.pipeline.begin_sft(&mut self.k);
                self.focus = Stage::Sft;
            }
            Command::Evaluate => self.measure(Subject::Dpo),
            Command::SamplePrompt(text) => match self.pipeline.typed_prompt(&text) {
                Ok(prompt) => events.push(Event::Samples(self.pipeline.samples(&mut self.k, Some(prompt)).await?)),
                Err(failure) => events.push(Event::Failure(failure)),
            },
            Command::LoadCheckpoint(bytes) => match self.pipeline.load_sft(&bytes) {
                Ok(()) => {
                    self.pipeline.adopt(&mut self.k).await?;
                    self.restart(true, events);
                    events.push(Event::Samples(self.pipeline.samples(&mut self.k, None).await?));
                }
                Err(error) => events.push(Event::Failure(checkpoint_failure(&error))),
            },
            Command::ExportCheckpoint(stage) => {
                let bytes = self.pipeline.checkpoint(&mut self.k, stage).await?.to_bytes();
                events.push(Event::Checkpoint(stage, bytes));
            }
        }
        Ok(())
    }

    fn play(&mut self, playing: bool, events: &mut Vec<Event>) {
        if self.playing != playing {
            self.playing = playing;
            events.push(Event::Playing(playing));
        }
    }

    async fn configure(&mut self, settings: Settings, events: &mut Vec<Event>) -> Result<(), BackendError> {
        match settings.validated() {
            Err(error) => events.push(Event::Failure(reports::setting_failure(&error))),
            Ok(settings) => {
                if self.pipeline.configure(&mut self.k, settings) {
                    self.restart(true, events);
                }
            }
        }
        Ok(())
    }

    /// DPO starts over from the reference, as a new run. The reference is measured again if it is new, or if how it is
    /// measured is, or if its measurement was not finished.
    fn restart(&mut self, is_new: bool, events: &mut Vec<Event>) {
        let measure = is_new || matches!(self.evaluating, Some((Subject::Reference, _)));
        self.abandon_evaluation(events);
        let began = self.pipeline.dpo.learner().steps() > 0;
        self.pipeline.restart_dpo(&mut self.k);
        self.run += u32::from(began);
        self.seconds = 0.0;
        self.measured = None;
        if measure {
            self.measure(Subject::Reference);
        }
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

    /// One step of a stage, told in full.
    async fn step(&mut self, stage: Stage, events: &mut Vec<Event>) -> Result<(), BackendError> {
        match stage {
            Stage::Base => {}
            Stage::Pairs => {
                self.adopt_sft(events).await?;
                self.pipeline.extend_pairs(&mut self.k).await?;
            }
            Stage::Sft => self.train(Stage::Sft, events).await?,
            Stage::Dpo => {
                self.adopt_sft(events).await?;
                while self.pipeline.wants_pairs() {
                    self.pipeline.extend_pairs(&mut self.k).await?;
                }
                let start = (self.clock)();
                let (batch, rows) = self.pipeline.step_dpo_in_full(&mut self.k).await?;
                self.seconds += (self.clock)() - start;
                events.push(Event::Batch(batch));
                self.tell_metrics(Stage::Dpo, rows, events);
                self.measure(Subject::Dpo);
            }
        }
        Ok(())
    }

    /// A slice of training.
    async fn train(&mut self, stage: Stage, events: &mut Vec<Event>) -> Result<(), BackendError> {
        let start = (self.clock)();
        let planned = ((SLICE_SECONDS / self.step_seconds) as usize).clamp(1, MOST_STEPS);
        let (rows, steps) = match stage {
            Stage::Sft => {
                if !self.pipeline.sft_is_live() {
                    self.pipeline.begin_sft(&mut self.k);
                }
                let steps = if self.playing { planned } else { 1 };
                (self.pipeline.train_sft(&mut self.k, steps).await?, steps)
            }
            Stage::Base | Stage::Pairs | Stage::Dpo => {
                self.adopt_sft(events).await?;
                if self.pipeline.wants_pairs() {
                    return self.pipeline.extend_pairs(&mut self.k).await;
                }
                let every = self.pipeline.settings.evaluate_every;
                let steps = planned.min(every - self.pipeline.dpo.learner().steps() as usize % every);
                (self.pipeline.train_dpo(&mut self.k, steps).await?, steps)
            }
        };
        let elapsed = (self.clock)() - start;
        self.step_seconds = elapsed / steps as f64;
        self.tell_metrics(stage, rows, events);
        if stage == Stage::Sft {
            let (done, total) = self.pipeline.sft_progress();
            let left = (total - done) as f64 * self.step_seconds;
            events.push(progress(Work::Sft, done, total, left));
            if done == total && self.playing {
                self.play(false, events);
                self.adopt_sft(events).await?;
            }
        } else {
            self.seconds += elapsed;
            if self.pipeline.dpo.learner().steps().is_multiple_of(self.pipeline.settings.evaluate_every as u64) {
                self.measure(Subject::Dpo);
            }
        }
        Ok(())
    }

    /// Makes what SFT has learned the reference, if it has learned since: everything behind it starts over.
    async fn adopt_sft(&mut self, events: &mut Vec<Event>) -> Result<(), BackendError> {
        if self.pipeline.sft_has_news() {
            self.pipeline.adopt(&mut self.k).await?;
            self.restart(true, events);
            events.push(Event::Samples(self.pipeline.samples(&mut self.k, None).await?));
        }
        Ok(())
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
            events.push(Event::Point(self.point(subject, &evaluation)));
            if subject == Subject::Dpo {
                let policy = self.pipeline.checkpoint(&mut self.k, Stage::Dpo).await?;
                self.measured = Some((policy, self.seconds));
                events.push(Event::Samples(self.pipeline.samples(&mut self.k, None).await?));
            }
        }
        Ok(())
    }

    fn point(&self, subject: Subject, evaluation: &Evaluation) -> Point {
        let (method, setting, step) = match subject {
            Subject::Reference => ("sft", Setting::Label("reference".into()), 0),
            Subject::Dpo => ("dpo", Setting::Number(self.pipeline.settings.beta), self.pipeline.dpo.learner().steps()),
        };
        let point = FrontierPoint {
            method: method.into(),
            setting,
            seed: u64::from(self.pipeline.settings.seed),
            step,
            kl_per_sequence: evaluation.kl_per_sequence,
            kl_half_width: evaluation.kl_half_width,
            gold_reward: evaluation.gold_reward,
            gold_reward_half_width: evaluation.gold_reward_half_width,
            samples: evaluation.samples.len() as u64,
            seconds: self.seconds,
            diversity: Some(evaluation.diversity),
        };
        Point { run: self.run, point }
    }

    async fn sample_optimum(&mut self, events: &mut Vec<Event>) -> Result<(), BackendError> {
        let start = (self.clock)();
        self.pipeline.sample_optimum(&mut self.k).await?;
        let (done, total) = self.pipeline.optimum_progress();
        let left = ((self.clock)() - start) * (total - done) as f64;
        events.push(progress(Work::Optimum, done, total, left));
        if done == total || done.is_multiple_of(16) {
            events.push(Event::Optimum(self.pipeline.optimum_curve()));
        }
        Ok(())
    }

    /// Metrics, or the end of training if a number among them is not finite: AdamW has then left the parameters alone.
    fn tell_metrics(&mut self, stage: Stage, rows: Vec<MetricRow>, events: &mut Vec<Event>) {
        let broken = rows.iter().any(|row| row.values.values().any(|value| !value.is_finite()));
        events.push(Event::Metrics(stage, rows));
        if broken {
            self.play(false, events);
            events.push(Event::Failure(reports::not_finite(stage)));
        }
    }

    /// Keeps what went well, or tells what went wrong and stops.
    fn keep(&mut self, result: Result<Vec<Event>, BackendError>, events: &mut Vec<Event>) {
        match result {
            Ok(more) => events.extend(more),
            Err(error) => {
                self.evaluating = None;
                self.lost = matches!(error, BackendError::DeviceLost(_));
                self.play(false, events);
                events.push(Event::Failure(reports::backend_failure(&error)));
            }
        }
    }

    /// Tells every stage that changed since the last time.
    fn tell_stages(&mut self, events: &mut Vec<Event>) {
        let stages = self.stages();
        let changed = stages.iter().filter(|status| !self.told.contains(status)).cloned().map(Event::Stage);
        events.extend(changed);
        self.told = stages;
    }

    fn stages(&self) -> Vec<StageStatus> {
        let running = |stage| self.playing && self.focus == stage;
        let state = |stage, otherwise| if running(stage) { StageState::Running } else { otherwise };
        let pipeline = &self.pipeline;
        let pairs = pipeline.data.len();
        let pairs_state = if pairs == pipeline.data.capacity() { StageState::Done } else { StageState::Ready };
        let dpo_steps = pipeline.dpo.learner().steps() as usize;
        let (sft_origin, sft_state) = if pipeline.sft_is_live() {
            let (done, total) = pipeline.sft_progress();
            (Origin::Live, if done == total { StageState::Done } else { StageState::Ready })
        } else {
            (Origin::Recorded, StageState::Done)
        };
        let status = |stage, state, origin, steps| StageStatus { stage, state, origin, steps };
        vec![
            status(Stage::Base, StageState::Done, Origin::Recorded, pipeline.base.step as usize),
            status(Stage::Sft, state(Stage::Sft, sft_state), sft_origin, pipeline.sft_steps() as usize),
            status(Stage::Pairs, state(Stage::Pairs, pairs_state), Origin::Live, pairs),
            status(Stage::Dpo, state(Stage::Dpo, StageState::Ready), Origin::Live, dpo_steps),
        ]
    }
}

fn progress(work: Work, done: usize, total: usize, seconds_left: f64) -> Event {
    Event::Progress(Progress { work, done, total, seconds_left: Some(seconds_left) })
}

fn checkpoint_failure(error: &CheckpointError) -> Failure {
    Failure {
        sentence: reports::sentence(error),
        remedy: "Nothing was replaced: everything goes on as before.".into(),
        field: Some("checkpoint".into()),
        stopped: false,
    }
}
