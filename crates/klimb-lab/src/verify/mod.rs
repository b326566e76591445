//! Checks of the engine against numbers from another program: the transformer, the objectives and the gold reward.
//!
//! Tests and the command line share them. A file that cannot be used is an error in words; a file that can be used and
//! disagrees gives [`Check`]s that did not pass.

mod objectives;
mod sentiment;
mod transformer;

pub use objectives::ObjectiveReference;
pub use sentiment::SentimentReference;
pub use transformer::Reference;

use thiserror::Error;

use klimb_network::backend::BackendError;
use klimb_text::ConfigError;
use klimb_text::json::JsonError;
use klimb_world::gold::LexiconError;

/// Why a file of golden numbers cannot be used.
#[derive(Debug, Error)]
pub enum ReferenceError {
    /// Not JSON, or a field is missing or of another type.
    #[error("the golden file is not of the expected format: {0}")]
    Format(#[from] JsonError),
    /// Not UTF-8, which JSON is.
    #[error("the golden file is not a text: {0}")]
    Text(#[from] std::str::Utf8Error),
    /// Sizes no network has.
    #[error("the golden file's sizes cannot be used: {0}")]
    Config(#[from] ConfigError),
    /// Word lists VADER could not have.
    #[error(transparent)]
    Lexicon(#[from] LexiconError),
    /// The files contradict each other or themselves.
    #[error("{field}: {found} instead of {expected}; the numbers do not belong together")]
    Mismatch {
        /// What was counted.
        field: String,
        /// What the rest of the file asks for.
        expected: String,
        /// What was found.
        found: String,
    },
    /// The engine failed.
    #[error(transparent)]
    Backend(#[from] BackendError),
}

impl ReferenceError {
    fn mismatch(field: impl Into<String>, expected: impl ToString, found: impl ToString) -> Self {
        Self::Mismatch { field: field.into(), expected: expected.to_string(), found: found.to_string() }
    }
}

/// Refuses unless `found` is `expected`.
fn same_count(field: &str, expected: usize, found: usize) -> Result<(), ReferenceError> {
    if expected == found { Ok(()) } else { Err(ReferenceError::mismatch(field, expected, found)) }
}

/// Refuses an empty list, with which everything would agree.
fn not_empty<T>(field: &str, list: &[T]) -> Result<(), ReferenceError> {
    if list.is_empty() { Err(ReferenceError::mismatch(field, "at least 1", 0)) } else { Ok(()) }
}

/// One compared quantity.
#[derive(Debug, Clone, PartialEq)]
pub struct Check {
    /// What was compared.
    pub quantity: String,
    /// The largest error found, in the unit of the tolerance.
    pub error: f64,
    /// The largest error allowed.
    pub tolerance: f64,
    /// Where the largest error was found, if that can be said in words.
    pub place: Option<String>,
}

impl Check {
    /// A check of `quantity`; keeps the largest of `errors`, and takes what is not a number for infinite.
    pub fn new(quantity: impl Into<String>, tolerance: f64, errors: impl IntoIterator<Item = f64>) -> Self {
        let largest = |high: f64, error: f64| if error.is_nan() { f64::INFINITY } else { high.max(error.abs()) };
        let error = errors.into_iter().fold(0.0, largest);
        Self { quantity: quantity.into(), error, tolerance, place: None }
    }

    /// Whether the error is within the tolerance.
    pub fn passed(&self) -> bool {
        self.error <= self.tolerance
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_check_keeps_the_largest_error_and_no_nan_passes() {
        let check = Check::new("x", 1e-3, [1e-4, -2e-3, 0.0]);
        assert_eq!(check.error, 2e-3);
        assert!(!check.passed());
        assert!(Check::new("x", 1e-3, [1e-3]).passed());
        assert!(!Check::new("x", f64::MAX, [0.0, f64::NAN]).passed());
    }
}
