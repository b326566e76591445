//! How much may be asked for. What lies beyond would end in want of memory, in a number too large for single precision, or
//! not at all, so it is refused with the reason before anything is allocated or written.

use klimb_text::{ConfigError, message};

pub(super) use klimb_align::limits::{IN_MEMORY, TOO_LONG, count, not_too_large, positive, rate};
pub use klimb_align::limits::{MOST_BATCH, MOST_STEPS};

/// Samples of a point.
pub const MOST_SAMPLES: u64 = 100_000;
/// Rollouts of a run.
pub const MOST_ROLLOUTS: u64 = 1_000_000;
/// Preference pairs in all.
pub const MOST_PAIRS: u64 = 1_572_864;
/// Passes over the pairs.
pub const MOST_EPOCHS: u64 = 10_000;
/// Prompt instances of a contest.
pub const MOST_INSTANCES: u64 = 1_000_000;
/// Completions behind Best-of-N: samples times the largest N.
pub const MOST_COMPLETIONS: u64 = 8_388_608;
/// The largest N of Best-of-N.
pub const MOST_DRAWS: u64 = 1024;

/// Refuses fewer than two of what an interval is over, and more than `most`.
pub(super) fn interval(field: &'static str, value: u64, most: u64) -> Result<(), ConfigError> {
    if value < 2 {
        return Err(ConfigError::new(field, message!("{} cannot have an interval; take at least 2", value)));
    }
    count(field, value, most, IN_MEMORY)
}
