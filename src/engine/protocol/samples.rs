//! What models wrote, with the working of its gold reward.

use serde::{Deserialize, Serialize};

use crate::engine::stage::Stage;
use klimb_text::Message;

/// Completions to read side by side.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Samples {
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
    /// By stage: base, SFT, then each policy that has a step.
    pub completions: Vec<SampledCompletion>,
}

/// One completion with its gold reward's working.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SampledCompletion {
    /// The model that wrote it.
    pub stage: Stage,
    /// Optimiser steps done when it was written.
    pub step: usize,
    /// The completion's words, without the end token.
    pub words: Vec<Word>,
    /// Gold reward of prompt and completion; 0 without an end token.
    pub gold_reward: f64,
    /// Whether the end token came.
    pub ended: bool,
}

/// Two completions of a training prompt that nobody has judged yet.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct DrawnPair {
    /// Which of the seed's pairs it is, from 0.
    pub number: usize,
    /// The prompt's text.
    pub prompt: String,
    /// Both by the reference, neither empty, and not alike.
    pub completions: [SampledCompletion; 2],
}

/// A word and what it did to the gold reward.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Word {
    /// The word.
    pub text: String,
    /// Its share of the sum of valences, after every rule; 0 for a neutral word.
    pub valence: f64,
    /// The rules that changed it, in words ("negated by not"); empty where none did.
    pub rule: Message,
    /// log π/π_ref of the word where it stands: above 0 it has become likelier than under the reference. Nats.
    pub log_ratio: f64,
}
