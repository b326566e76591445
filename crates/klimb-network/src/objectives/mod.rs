//! What alignment maximises, as pure functions on slices: a student can read each loss and its gradient here, or in
//! the shader of the same name.
//!
//! An objective sees only per-token or per-sequence numbers of the network (log-probabilities, values, entropies) and
//! answers with their gradients, by hand. `statistics` are columns, (columns, items): their sums or means are the
//! metrics a run reports.
//!
//! Invariant: no objective names a backend, a tensor or the world.

mod bradley_terry;
mod dpo;
mod gae;
mod kl;
mod logistic;
mod order;
mod ppo;
mod sft;
mod unlikelihood;
mod whiten;

pub use bradley_terry::{bradley_terry, preference_probability};
pub use dpo::{DpoLoss, dpo};
pub use gae::{GaeSettings, gae};
pub use kl::{adapted_beta, k1, k2, k3, kl_per_sequence};
pub use logistic::{log_sigmoid, sigmoid};
pub use order::in_order;
pub use ppo::{PPO_POLICY_COLUMNS, PPO_VALUE_COLUMNS, PpoPolicyBatch, PpoValueBatch, ppo_policy, ppo_value};
pub use sft::sft;
pub use unlikelihood::unlikelihood;
pub use whiten::whiten;

/// A wrong shape is a bug in the caller: stops with the operation and both lengths.
#[track_caller]
fn assert_len(operation: &str, argument: &str, found: usize, expected: usize) {
    assert_eq!(found, expected, "{operation}: {argument} has {found} numbers instead of {expected}");
}
