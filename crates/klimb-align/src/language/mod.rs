//! Policies as language models: batches of sequences, log-probabilities, generation, and the update of parameters.
//!
//! Invariant: nothing here knows where a sequence came from or what it is worth; an algorithm brings both.

mod batch;
mod device_tokens;
mod generation;
mod learner;
mod parameters;
mod reward_model;
mod rollout;
mod scoring;

pub use batch::{Sequence, TokenBatch, last_token_mask};
pub use generation::{Generation, GenerationSettings};
pub use learner::{Adamw, Learner, METRIC_LINES, MetricLine, MetricLines, Schedule};
pub use parameters::upload;
pub use reward_model::{Judge, with_scores_shifted};
pub use rollout::{Episode, RolloutNetworks, RolloutRecorder};
pub use scoring::{Comparison, Scorer, TokenComparison};
