//! Training algorithms: each `step` reads like its paper's method section.
//!
//! Invariant: an algorithm sees no word and no reward but what it is handed.

mod best_of_n;
mod dpo;
mod pair_algorithm;
mod pairs;
mod ppo;
mod preferred_ft;
mod reward_model;
mod sft;
mod trainer;
mod unlikelihood;

pub use best_of_n::{ScoreDistribution, best_of, best_of_n_bound};
pub use dpo::{Dpo, DpoMetrics, DpoSettings};
pub use pair_algorithm::PairAlgorithm;
pub use pairs::{PairBatch, PairOutcome};
pub use ppo::{Ppo, PpoMetrics, PpoSettings, PpoStart, Rollout, RolloutMetrics, ScoredEpisode, ValueNetwork};
pub use preferred_ft::PreferredFt;
pub use reward_model::{RewardModel, RewardModelMetrics, RewardModelSettings, ScoredPair};
pub use sft::{Sft, SftMetrics, SftSettings};
pub use trainer::{Budget, LossTerms, MarginTerms, PairSettings, PairTrainer, Reading};
pub use unlikelihood::{Unlikelihood, UnlikelihoodMetrics, UnlikelihoodOutcome, UnlikelihoodSettings};
