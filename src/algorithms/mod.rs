//! Training algorithms: each `step` reads like its paper's method section.
//!
//! Invariant: an algorithm sees no word and no reward but what it is handed.

mod dpo;
mod ppo;
mod reward_model;
mod sft;

pub use dpo::{Dpo, DpoMetrics, DpoSettings, PairBatch, PairOutcome};
pub use ppo::{Ppo, PpoMetrics, PpoSettings, PpoStart, Rollout, RolloutMetrics, ScoredEpisode, ValueNetwork};
pub use reward_model::{RewardModel, RewardModelMetrics, RewardModelSettings, ScoredPair};
pub use sft::{Sft, SftMetrics, SftSettings};
