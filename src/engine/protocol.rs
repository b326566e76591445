//! The whole contract between the page and its worker: [`Command`]s go down, [`Event`]s come up.
//!
//! The page sends one [`Order`] at a time; the worker acknowledges it at the next slice boundary and posts events in
//! batches, at most one per frame. Every number here is finite unless its words say otherwise; KL is in nats, rewards
//! are gold rewards in [0, 1], seconds are wall-clock seconds.

use serde::{Deserialize, Serialize};

use super::settings::Settings;
use crate::metrics::{FrontierPoint, MetricRow, OptimumPoint};

/// A command with a number the worker repeats in [`Event::Acknowledged`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Order {
    /// Counts up from 1 within a page.
    pub id: u32,
    /// What to do.
    pub command: Command,
}

/// What the page can ask for.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum Command {
    /// The first command, and the way to change seed, backend or width: build the engine, from the models it has
    /// or, at first and for another width, from the shipped ones. Answered by `Ready`, every `Stage`, the recorded
    /// `Samples` and, when it is computed, the `Optimum`.
    Start(Settings),
    /// Train the focused stage until told otherwise, evaluating as the settings say.
    Play,
    /// Stop at the next submit boundary.
    Pause,
    /// One optimiser step of a stage; for `Pairs`, one batch of pairs. Answered by `Metrics`, for DPO also `Batch`.
    Step(Stage),
    /// Make this the stage that `Play` trains.
    Focus(Stage),
    /// Train at this β from the next step on.
    SetBeta(f64),
    /// Replace every knob. What can change mid-run does; another seed or label temperature starts over.
    Configure(Settings),
    /// Start over with the same seed and initialisation. Answered by every `Stage`; later points have a new run.
    Reset,
    /// Train SFT again from the base model instead of using the recorded one.
    Retrain,
    /// Evaluate the policy now. Answered by a `Point`.
    Evaluate,
    /// Write completions of this prompt with base, SFT and DPO. Answered by `Samples`.
    SamplePrompt(String),
    /// Replace the SFT model by the one in this file. Answered by `Stage` or `Failure`; nothing is half-replaced.
    LoadCheckpoint(#[serde(with = "serde_bytes")] Vec<u8>),
    /// Answered by `Checkpoint`.
    ExportCheckpoint(Stage),
    /// At most this many optimiser steps a second; `None` is as fast as the machine goes. The worker keeps the pace.
    SetPace(Option<f64>),
}

/// The checkpoints a session begins with, as safetensors files. They carry the model's sizes.
#[derive(Debug, Clone, PartialEq)]
pub struct Checkpoints {
    /// Pre-trained on the mixture of texts.
    pub base: Vec<u8>,
    /// The base model after SFT on reviews.
    pub sft: Vec<u8>,
}

/// What the engine reports.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum Event {
    /// The command of this number has been taken up.
    Acknowledged(u32),
    /// The engine is built.
    Ready(Ready),
    /// Whether it is training now: it may stop by itself.
    Playing(bool),
    /// Where a longer work stands.
    Progress(Progress),
    /// A stage of the pipeline changed.
    Stage(StageStatus),
    /// Numbers of the optimiser steps since the last event, oldest first.
    Metrics(Stage, Vec<MetricRow>),
    /// An evaluated checkpoint of the policy.
    Point(Point),
    /// The closed-form optimum over a grid of β, by rising β. Sent again whenever the reference changes.
    Optimum(Vec<OptimumPoint>),
    /// The same prompts and coins through base, SFT and DPO.
    Samples(Samples),
    /// The numbers of a DPO batch, after `Step`.
    Batch(Batch),
    /// A file the person asked for, as safetensors.
    Checkpoint(Stage, #[serde(with = "serde_bytes")] Vec<u8>),
    /// Something could not be done. The engine goes on unless it says otherwise.
    Failure(Failure),
}

/// The stages of the pipeline, in order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Stage {
    /// Pre-trained on the mixture of texts; shipped.
    Base,
    /// Supervised fine-tuning on reviews: the reference of DPO.
    Sft,
    /// Preference pairs: completions of the SFT model, labelled by the gold reward.
    Pairs,
    /// Direct preference optimisation on the pairs.
    Dpo,
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
    pub why: String,
    /// One sentence: what would make it faster, where something would.
    pub remedy: Option<String>,
}

/// The two backends.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum BackendKind {
    /// The processor, by WebAssembly SIMD on the page.
    Cpu,
    /// WebGPU, or Vulkan, Metal, DirectX 12 natively.
    Gpu,
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
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Work {
    /// SFT from the base model.
    Sft,
    /// Samples of the reference for the closed-form optimum.
    Optimum,
    /// Samples of the policy for a point.
    Evaluation,
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

/// Completions to read side by side.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Samples {
    /// DPO steps done when they were written.
    pub step: usize,
    /// Whether the person typed the prompt; otherwise these replace the standing ones.
    pub typed: bool,
    /// One per prompt.
    pub rows: Vec<SampleRow>,
}

/// One prompt through every model.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SampleRow {
    /// The prompt's text.
    pub prompt: String,
    /// By stage: base, SFT, DPO; DPO is missing until it has a step.
    pub completions: Vec<SampledCompletion>,
}

/// One completion with its gold reward's working.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SampledCompletion {
    /// The model that wrote it.
    pub stage: Stage,
    /// The completion's words, without the end token.
    pub words: Vec<Word>,
    /// Gold reward of prompt and completion; 0 without an end token.
    pub gold_reward: f64,
    /// Whether the end token came.
    pub ended: bool,
}

/// A word and what it did to the gold reward.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Word {
    /// The word.
    pub text: String,
    /// Its share of the sum of valences, after every rule; 0 for a neutral word.
    pub valence: f64,
    /// The rules that changed it, in words ("negated by not"); empty where none did.
    pub rule: String,
}

/// The pairs of one DPO step, with the numbers before the update.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Batch {
    /// Optimiser step, from 1.
    pub step: usize,
    /// β of the step.
    pub beta: f64,
    /// Label smoothing ε of the step.
    pub label_smoothing: f64,
    /// Mean loss over the whole batch, in nats: ln 2 at the first step.
    pub mean_loss: f64,
    /// Share of the batch with a positive margin.
    pub accuracy: f64,
    /// Pairs in the batch.
    pub size: usize,
    /// The first few of them.
    pub pairs: Vec<PairNumbers>,
}

/// One pair in DPO's formula.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct PairNumbers {
    /// The prompt's text.
    pub prompt: String,
    /// The preferred completion, y_w.
    pub chosen: CompletionNumbers,
    /// The other, y_l.
    pub rejected: CompletionNumbers,
    /// σ(r̂_l − r̂_w): how hard the pair pulls, 1 where the order is quite wrong.
    pub weight: f64,
    /// −log σ(r̂_w − r̂_l), or its smoothed form, in nats.
    pub loss: f64,
}

/// A completion's side of a pair.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct CompletionNumbers {
    /// Its tokens, the end token included.
    pub words: Vec<String>,
    /// log π(token) − log π_ref(token), one per token.
    pub log_ratios: Vec<f64>,
    /// Σ log π, nats.
    pub logprob: f64,
    /// Σ log π_ref, nats.
    pub reference_logprob: f64,
    /// r̂ = β·Σ log-ratios.
    pub implicit_reward: f64,
    /// What the world says.
    pub gold_reward: f64,
}

/// Something that could not be done, told to the person.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Failure {
    /// One sentence: what happened.
    pub sentence: String,
    /// One sentence: what to do.
    pub remedy: String,
    /// The setting that is to blame, where one is.
    pub field: Option<String>,
    /// Whether training has stopped for it.
    pub stopped: bool,
}
