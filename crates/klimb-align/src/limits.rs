//! How much an algorithm may be asked for. What lies beyond would end in want of memory, in a number too large for single
//! precision, or not at all, so it is refused with the reason before anything is allocated.

use klimb_text::words::key;
use klimb_text::{ConfigError, Message, message};

/// Pairs or texts a step.
pub const MOST_BATCH: u64 = 4096;
/// Optimiser steps of a run.
pub const MOST_STEPS: u64 = 10_000_000;
/// The largest weight, price or factor.
const LARGEST: f64 = 1e6;
/// The largest learning rate.
const LARGEST_RATE: f64 = 10.0;

/// Why there is a most of what is kept in memory.
pub const IN_MEMORY: &str = key("all of them are in memory at once");
/// Why there is a most of what takes time alone.
pub const TOO_LONG: &str = key("it would not come to its end");

/// Refuses 0 and more than `most`, for which there is a reason.
///
/// # Errors
/// The field with what is wrong with it.
pub fn count(field: &'static str, value: u64, most: u64, reason: &'static str) -> Result<(), ConfigError> {
    match value {
        0 => Err(ConfigError::new(field, message!("{} is not a positive number", value))),
        value if value > most => {
            Err(ConfigError::new(field, message!("{} is more than {}: {}", value, most, Message::named(reason))))
        }
        _ => Ok(()),
    }
}

/// Refuses what is not positive, and what single precision could not compute with.
///
/// # Errors
/// The field with what is wrong with it.
pub fn positive(field: &'static str, value: f64) -> Result<(), ConfigError> {
    if value > 0.0 {
        not_too_large(field, value)
    } else {
        Err(ConfigError::new(field, message!("{} is not a positive number", value)))
    }
}

/// Refuses what is so large, on either side of 0, that single precision could not compute with it.
///
/// # Errors
/// The field with what is wrong with it.
pub fn not_too_large(field: &'static str, value: f64) -> Result<(), ConfigError> {
    if !value.is_finite() {
        return Err(ConfigError::new(field, message!("{} is not a finite number", value)));
    }
    let reason = || message!("{} is more than {}: training computes in single precision", value, LARGEST);
    if value.abs() <= LARGEST { Ok(()) } else { Err(ConfigError::new(field, reason())) }
}

/// Refuses a learning rate that is not positive, or at which every step would undo what was learned.
///
/// # Errors
/// The learning rate with what is wrong with it.
pub fn rate(value: f64) -> Result<(), ConfigError> {
    const FIELD: &str = "learning rate";
    if !(value > 0.0 && value.is_finite()) {
        return Err(ConfigError::new(FIELD, message!("{} is not a positive number", value)));
    }
    let reason = || message!("{} is more than {}: a step moves every parameter by about so much", value, LARGEST_RATE);
    if value <= LARGEST_RATE { Ok(()) } else { Err(ConfigError::new(FIELD, reason())) }
}
