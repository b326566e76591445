//! Training algorithms: each `step` reads like its paper's method section.
//!
//! Invariant: an algorithm sees no word and no reward but what it is handed.

mod dpo;
mod pairs;
mod sft;

pub use dpo::{Dpo, DpoMetrics, DpoSettings, PairOutcome};
pub use pairs::PairBatch;
pub use sft::{Sft, SftMetrics, SftSettings};
