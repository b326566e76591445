//! The whole contract between the page and its worker: [`Command`]s go down, [`Event`]s come up.
//!
//! The page sends one [`Request`] at a time; the worker acknowledges it at the next slice boundary and posts events in
//! batches, at most one per frame. Every number here is finite unless its words say otherwise; KL is in nats, rewards
//! are gold rewards in [0, 1], seconds are wall-clock seconds.
//!
//! More than 400 lines, because it is one list of commands and events.

mod inside;
mod kept;
mod mass;
mod report;
mod samples;
mod sweep;

use serde::{Deserialize, Serialize};

pub use inside::{
    Batch, BestOfNNumbers, CompletionNumbers, EpisodeNumbers, Estimate, Inside, Likelihood, LikelihoodBatch,
    LikelihoodPair, PairNumbers, ReviewNumbers, Round, ScoredBatch, ScoredCompletion, ScoredPairNumbers, SftBatch,
    TokenNumbers,
};
pub use kept::{Kept, KeptPolicy, KeptRewardModel, MOST_RUNS, SavedPolicy};
pub use mass::{Mass, Masses};
pub use report::Report;
pub use samples::{DrawnPair, SampleRow, SampledCompletion, Samples, Word};
pub use sweep::{JobNews, JobReport, Sweep, SweepRun, WorkerJob};

use super::settings::Settings;
pub use super::stage::{Stage, StageKind};
use klimb_metrics::{FrontierPoint, MetricRow, OptimumPoint, ScalingPoint, WinRatePoint};
use klimb_text::Message;

/// A command with a number the worker repeats in [`Event::Acknowledged`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Request {
    /// Counts up from 1 within a page.
    pub id: u32,
    /// What to do.
    pub command: Command,
}

/// What the page can ask for.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum Command {
    /// The first command, and the way to change seed or width: build the engine, from the models it has or, at first and
    /// for another width, from the shipped ones. Answered by `Ready`, every `Stage`, the recorded `Samples` and, when it is
    /// computed, the `Optimum`; or by `Failure` and `NotBuilt`.
    Start(Settings),
    /// Build the engine from a session that was kept, and go on from its last points. Answered as `Start`; the failure has
    /// the field `kept` where the session is to blame.
    Resume(Box<Kept>),
    /// Build the engine on the backend of these settings, and go on there from the last points: models, pairs, runs and the
    /// policies behind the points go along. Answered as `Start`. Where there is no engine yet, it is a start.
    MoveTo(Settings),
    /// Train the focused stage until told otherwise, evaluating as the settings say.
    Play,
    /// Stop at the next submit boundary.
    Pause,
    /// One step of a stage: one optimiser step; for `Pairs`, one batch of pairs; for PPO and PPO-GT, the rest of a round,
    /// that is a rollout and its updates. Answered by `Metrics` and by what the step was computed from, such as `Batch`. What has to be
    /// there first (pairs, a reward model) is made first: the engine plays until the step is taken.
    Step(Stage),
    /// Make this the stage that `Play` trains.
    Focus(Stage),
    /// Train at this β from the next step on.
    SetBeta(f64),
    /// Replace every knob. What can change mid-run does; another seed or label temperature starts over.
    Configure(Settings),
    /// Start what [`Stage::restarted`] names of the focused stage over, with the same seed and initialisation. Answered
    /// by each `Stage`; training rests, and later points have a new run. Where steps were lost, `Undoable` follows.
    Reset,
    /// Take the last reset or start back, while that can be done: runs, rows and data stand where they stood. Answered by
    /// `Undone` and by each `Stage`; of a start, by all else that is not as it was before it, too.
    Undo,
    /// Tell everything once more to a page that knows nothing. Answered by `Report`; training is not disturbed.
    Report,
    /// Train SFT again from the base model instead of using the recorded one.
    Retrain,
    /// Evaluate the focused policy now, or DPO's. Answered by a `Point`.
    Evaluate,
    /// Let the reference and every policy that has a step write against the grammar's reviews at several temperatures,
    /// or stop that. Answered by `Progress` and `WinRates`; training waits meanwhile.
    Contest(bool),
    /// Train models of several sizes and let each write against the largest SFT model, or stop that; what was finished
    /// is not repeated. Answered by `Progress` and `Scaling`; training takes turns with it.
    Scaling(Option<Extent>),
    /// Train the focused policy from the reference at one β after another, or end that; β is then where it was.
    /// Answered by `Sweep`, `Progress` and what each run brings; pausing and playing hold for it as for any run. Where
    /// sweep workers help, each run for one of them is a `WorkerJob`.
    Sweep(Option<Sweep>),
    /// Make this run of another engine's sweep. Answered by `JobReport` alone: an engine that was given a job is a sweep worker
    /// from then on, on the CPU, and obeys but `Play`, `Pause`, `Configure` and `SetPace` beside further jobs.
    WorkerJob(Box<WorkerJob>),
    /// What a sweep worker brought of its job. It is told as if it had been made here; what is no job of the sweep that is
    /// on is left aside.
    Adopt(JobReport),
    /// What the policy behind a point writes. Answered by `Opened` or `Failure`.
    Open(PolicyKey),
    /// Begin a new run where the policy behind a point was, at another β if one is given, with new optimiser moments.
    /// Answered by the same `Point` as the new run's first, or by `Failure`.
    GoOn(PolicyKey, Option<f64>),
    /// Write the completions that are read at this temperature from now on; 0 takes the likeliest word each time.
    /// Answered by `Samples`.
    ReadAt(f64),
    /// Write completions of this prompt with base, SFT and every policy. Answered by `Samples`.
    SamplePrompt(String),
    /// Replace the SFT model by the one in this file. Answered by `Stage` and `Loaded`, or by `Failure`; nothing is
    /// half-replaced.
    LoadCheckpoint(#[serde(with = "serde_bytes")] Vec<u8>),
    /// Answered by `Checkpoint`.
    ExportCheckpoint(Stage),
    /// Train on these pairs, which a person labelled, instead of generated ones: JSON lines with `prompt`, `chosen` and
    /// `rejected`. Everything that learns from pairs starts over. Answered by `Stage` and `Loaded`, or by
    /// `Failure`; nothing is half-replaced.
    LoadPreferences(#[serde(with = "serde_bytes")] Vec<u8>),
    /// Train on generated pairs again. What learns from pairs starts over, unless they were generated already.
    GeneratePreferences,
    /// Answered by `Preferences`.
    ExportPreferences,
    /// Let the reference write `count` pairs for a person to label, the first of them number `from`: a number, the seed
    /// and the reference name a pair. Answered by `DrawnPairs` or `Failure`; training is not disturbed.
    DrawPairs {
        /// The first pair's number, from 0.
        from: usize,
        /// How many.
        count: usize,
    },
    /// At most this many optimiser steps a second; `None` is as fast as the machine goes. The worker keeps the pace.
    SetPace(Option<f64>),
}

/// What was in a file that was taken up.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Loaded {
    /// A model, now in the place of the SFT model.
    Model {
        /// What it was trained for, as its checkpoint names it.
        stage: String,
        /// Optimiser steps done.
        step: u64,
        /// Whether it was there already.
        is_same: bool,
    },
    /// A person's pairs.
    Pairs {
        /// How many.
        count: usize,
        /// Whether they were there already.
        is_same: bool,
    },
}

/// A measured policy.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct PolicyKey {
    /// Whose policy.
    pub stage: Stage,
    /// Its run, as in [`Point`].
    pub run: u32,
    /// Optimiser steps done.
    pub step: u64,
}

/// A measured policy, opened.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Opened {
    /// Which.
    pub moment: PolicyKey,
    /// The standing prompts through SFT and this policy, with the standing coins.
    pub samples: Samples,
}

/// How much of alignment against size is done.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Extent {
    /// What a browser trains in a minute or two.
    Small,
    /// The sizes that were recorded.
    Full,
}

/// What a session begins with: checkpoints as safetensors files, which carry the model's sizes, and a recorded curve.
#[derive(Debug, Clone, PartialEq)]
pub struct Checkpoints {
    /// Pre-trained on the mixture of texts.
    pub base: Vec<u8>,
    /// The base model after SFT on reviews.
    pub sft: Vec<u8>,
    /// The recorded optimum of the shipped SFT model, whether or not that is `sft`; empty where there is none.
    pub optimum: Vec<u8>,
    /// Pairs that a person labelled, as JSON lines; empty where pairs are generated.
    pub preferences: Vec<u8>,
}

/// What the engine reports.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum Event {
    /// The command of this number has been taken up.
    Acknowledged(u32),
    /// The engine is built.
    Ready(Ready),
    /// The engine that was asked for could not be built, as the failure before it says. The one before it is there still,
    /// with these settings, and rests; or there is none.
    NotBuilt(Option<Settings>),
    /// How far the models have come that the engine is built from. Told only where that takes longer than a moment.
    Fetching(Fetching),
    /// Whether it is training now: it may stop by itself.
    Playing(bool),
    /// Where a longer work stands.
    Progress(Progress),
    /// The model that everything is measured from is this one now, by its fingerprint.
    Reference(String),
    /// A stage of the pipeline changed.
    Stage(StageStatus),
    /// Whether the last reset or start can be taken back: until a step is taken, or what it concerned is started over.
    Undoable(bool),
    /// The last reset or start was taken back: what was told of the stages before it holds again. With the settings that
    /// hold now; of a start, those from before it.
    Undone(Settings),
    /// Everything told so far that still holds, or nothing where there is no engine.
    Report(Option<Box<Report>>),
    /// Numbers of the optimiser steps since the last event, oldest first.
    Metrics(Stage, Vec<MetricRow>),
    /// An evaluated checkpoint of the policy.
    Point(Point),
    /// The session at its last points, to be kept: follows every `Point` of a policy, and whatever else has changed models,
    /// pairs or runs.
    Kept(Box<Kept>),
    /// The closed-form optimum over a grid of β, by rising β. Sent again whenever the reference or the label temperature
    /// changes.
    Optimum(Origin, Vec<OptimumPoint>),
    /// The same prompts and coins through base, SFT and every policy.
    Samples(Samples),
    /// What the policy behind a point writes.
    Opened(Opened),
    /// What the contest has measured so far.
    WinRates(Vec<WinRatePoint>),
    /// What alignment against size has measured so far.
    Scaling(Vec<ScalingPoint>),
    /// A run of a sweep has begun, or, without one, the sweep is over.
    Sweep(Option<SweepRun>),
    /// The run of this number, as in [`SweepRun`], is over, or was given back and will begin anew.
    Swept(u32),
    /// A run for a sweep worker to make.
    WorkerJob(Box<WorkerJob>),
    /// What has become of the job, told by a sweep worker.
    JobReport(JobReport),
    /// The numbers of a step, after `Step`, or of each N of Best-of-N as it is measured.
    Inside(Stage, Inside),
    /// A file the person asked for, as safetensors.
    Checkpoint(Stage, #[serde(with = "serde_bytes")] Vec<u8>),
    /// The pairs there are, as JSON lines.
    Preferences(String),
    /// A file was taken up whole: follows `LoadCheckpoint` and `LoadPreferences`, also where nothing is otherwise now.
    Loaded(Loaded),
    /// Pairs that wait for a label, by rising number.
    DrawnPairs(Vec<DrawnPair>),
    /// Something could not be done. The engine goes on unless it says otherwise.
    Failure(Failure),
}

/// The engine that was built.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Ready {
    /// What computes.
    pub backend: Badge,
    /// Parameters of the model.
    pub parameters: usize,
    /// Tokens it knows, V.
    pub vocabulary: usize,
    /// Width of the residual stream, D.
    pub width: usize,
    /// Blocks, L.
    pub layers: usize,
    /// Words a typed prompt may use.
    pub words: Vec<String>,
}

/// What computes, and why.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Badge {
    /// Which backend.
    pub kind: BackendKind,
    /// The graphics adapter that is there, used or not.
    pub adapter: Option<Adapter>,
    /// One sentence: why this backend.
    pub why: Message,
    /// One sentence: what would make it faster, where something would.
    pub remedy: Option<Message>,
}

/// The two backends.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum BackendKind {
    /// The processor, by WebAssembly SIMD on the page.
    Cpu,
    /// WebGPU, or Vulkan, Metal, DirectX 12 natively.
    Gpu,
}

/// How far files have come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fetching {
    /// Bytes that are here.
    pub received: usize,
    /// Bytes in all, where the host tells.
    pub total: Option<usize>,
    /// Seconds since something came last.
    pub silence: u32,
}

/// A graphics adapter as it names itself; a browser may leave any of it empty.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Adapter {
    /// The device.
    pub name: String,
    /// Who made it.
    pub vendor: String,
    /// Its family.
    pub architecture: String,
    /// Whether it is emulated on the processor.
    pub software: bool,
}

impl Adapter {
    /// Whatever it tells of itself, in one line; empty where that is nothing.
    pub fn words(&self) -> String {
        let parts = [&self.name, &self.vendor, &self.architecture].map(|part| part.trim());
        let told: Vec<&str> = parts.into_iter().filter(|part| !part.is_empty()).collect();
        told.join(", ")
    }
}

/// Where a longer work stands.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Progress {
    /// Which work.
    pub work: Work,
    /// Units done, at most `total`.
    pub done: usize,
    /// Units in all. Reported once with `done == total` when the work is finished.
    pub total: usize,
    /// Remaining time, once it can be told.
    pub seconds_left: Option<f64>,
}

/// Works that take longer than a slice.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Work {
    /// SFT from the base model.
    Sft,
    /// Preference pairs that the reward model waits for.
    Pairs,
    /// Training of the reward model, with its validation.
    RewardModel,
    /// Samples of the reference for the closed-form optimum.
    Optimum,
    /// Samples of the policy for a point.
    Evaluation,
    /// Win rates against the grammar.
    Contest,
    /// The reference's completions for Best-of-N, and their scores.
    BestOfN,
    /// Models of several sizes, and their contests.
    Scaling,
    /// Runs at several β.
    Sweep,
}

/// One stage of the pipeline.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StageStatus {
    /// Which.
    pub stage: Stage,
    /// What it is doing.
    pub state: StageState,
    /// Where its model or data come from.
    pub origin: Origin,
    /// Optimiser steps done; for `Pairs`, pairs made.
    pub steps: usize,
}

/// What a stage is doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum StageState {
    /// An earlier stage must be done first.
    Waiting,
    /// It can begin, or go on.
    Ready,
    /// It is being computed now.
    Running,
    /// The next stage can use it.
    Done,
}

/// Where a stage's model or data come from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Origin {
    /// From a shipped or loaded checkpoint.
    Recorded,
    /// From a file of pairs that a person labelled.
    Loaded,
    /// Computed here.
    Live,
}

/// An evaluated checkpoint.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Point {
    /// Which run of this page, from 1: a new one after every reset.
    pub run: u32,
    /// Reward, KL, diversity, and what it was trained with.
    pub point: FrontierPoint,
}

/// Something that could not be done, told to the person.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Failure {
    /// One sentence: what happened.
    pub sentence: Message,
    /// One sentence: what to do.
    pub remedy: Message,
    /// The setting that is to blame, where one is.
    pub field: Option<String>,
    /// Whether training has stopped for it.
    pub stopped: bool,
}
