//! How much may be asked for. What lies beyond would end in want of memory, in a number too large for single precision, or
//! not at all, so it is refused with the reason before anything is allocated or written.

use klimb_text::ConfigError;

/// Samples of a point.
pub const MOST_SAMPLES: u64 = 100_000;
/// Pairs or texts a step.
pub const MOST_BATCH: u64 = 4096;
/// Optimiser steps of a run.
pub const MOST_STEPS: u64 = 10_000_000;
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
/// The largest weight, price or factor.
const LARGEST: f64 = 1e6;
/// The largest learning rate.
const LARGEST_RATE: f64 = 10.0;

/// Why there is a most of what is kept in memory.
pub(super) const IN_MEMORY: &str = "all of them are in memory at once";
/// Why there is a most of what takes time alone.
pub(super) const TOO_LONG: &str = "it would not come to its end";

/// Refuses 0 and more than `most`, for which there is a reason.
pub(super) fn count(field: &'static str, value: u64, most: u64, reason: &str) -> Result<(), ConfigError> {
    match value {
        0 => Err(ConfigError::new(field, "0 is not a positive number")),
        value if value > most => Err(ConfigError::new(field, format!("{value} is more than {most}: {reason}"))),
        _ => Ok(()),
    }
}

/// Refuses fewer than two of what an interval is over, and more than `most`.
pub(super) fn interval(field: &'static str, value: u64, most: u64) -> Result<(), ConfigError> {
    if value < 2 {
        return Err(ConfigError::new(field, format!("{value} cannot have an interval; take at least 2")));
    }
    count(field, value, most, IN_MEMORY)
}

/// Refuses what is not positive, and what single precision could not compute with.
pub(super) fn positive(field: &'static str, value: f64) -> Result<(), ConfigError> {
    if value > 0.0 {
        not_too_large(field, value)
    } else {
        Err(ConfigError::new(field, format!("{value} is not a positive number")))
    }
}

/// Refuses what is so large, on either side of 0, that single precision could not compute with it.
pub(super) fn not_too_large(field: &'static str, value: f64) -> Result<(), ConfigError> {
    if !value.is_finite() {
        return Err(ConfigError::new(field, format!("{value} is not a finite number")));
    }
    let reason = || format!("{value} is more than {LARGEST}: training computes in single precision");
    if value.abs() <= LARGEST { Ok(()) } else { Err(ConfigError::new(field, reason())) }
}

/// Refuses a learning rate that is not positive, or at which every step would undo what was learned.
pub(super) fn rate(value: f64) -> Result<(), ConfigError> {
    const FIELD: &str = "learning rate";
    if !(value > 0.0 && value.is_finite()) {
        return Err(ConfigError::new(FIELD, format!("{value} is not a positive number")));
    }
    let reason = || format!("{value} is more than {LARGEST_RATE}: a step moves every parameter by about so much");
    if value <= LARGEST_RATE { Ok(()) } else { Err(ConfigError::new(FIELD, reason())) }
}
