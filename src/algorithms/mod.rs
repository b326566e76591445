//! Training algorithms: each `step` reads like its paper's method section.
//!
//! Invariant: an algorithm sees no word and no reward but what it is handed.

mod best_of_n;
mod dpo;
mod pairs;
mod preferred_ft;
mod sft;
mod unlikelihood;

pub use best_of_n::{ScoreDistribution, best_of, best_of_n_bound};
pub use dpo::{Dpo, DpoMetrics, DpoSettings, PairOutcome};
pub use pairs::PairBatch;
pub use preferred_ft::PreferredFt;
pub use sft::{Sft, SftMetrics, SftSettings};
pub use unlikelihood::{Unlikelihood, UnlikelihoodMetrics, UnlikelihoodOutcome, UnlikelihoodSettings};
