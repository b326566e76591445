//! The error of a setting, the same for every kind of settings.

use thiserror::Error;

use crate::Message;
use crate::message::Separator;

/// A setting that cannot be used, with the reason in words for the person who chose it.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub struct ConfigError {
    /// The setting as the person knows it.
    pub field: &'static str,
    /// What is wrong with it, and what would be right.
    pub reason: Message,
    /// The other settings that cannot be used, so that one go names them all.
    pub also: Vec<ConfigError>,
    /// Whether it is about how several settings go together, of which any may be the wrong one.
    pub is_of_several: bool,
}

impl ConfigError {
    /// An error about `field`.
    pub const fn new(field: &'static str, reason: Message) -> Self {
        Self { field, reason, also: Vec::new(), is_of_several: false }
    }

    /// An error about `field` and how it goes together with others.
    pub fn of_several(field: &'static str, reason: Message) -> Self {
        Self { is_of_several: true, ..Self::new(field, reason) }
    }

    /// It and the other settings that cannot be used, each as `field: reason`.
    pub fn message(&self) -> Message {
        let own = message!("{}: {}", self.field, self.reason);
        if self.also.is_empty() {
            return own;
        }
        Message::list([own].into_iter().chain(self.also.iter().map(Self::message)).collect(), Separator::Semicolon)
    }

    /// What is left without the errors about how settings go together: whoever does not know all settings knows no more.
    pub fn of_single(mut self) -> Option<Self> {
        let also = std::mem::take(&mut self.also);
        let mut singles = [self].into_iter().chain(also).filter(|error| !error.is_of_several);
        let first = singles.next()?;
        Some(Self { also: singles.collect(), ..first })
    }

    /// Succeeds if every check does. The error is the first one's and has the others in it, one for each field.
    ///
    /// # Errors
    /// The fields of all checks that failed.
    pub fn all(checks: impl IntoIterator<Item = Result<(), Self>>) -> Result<(), Self> {
        let mut errors: Vec<Self> = Vec::new();
        for mut error in checks.into_iter().filter_map(Result::err) {
            let also = std::mem::take(&mut error.also);
            for error in [error].into_iter().chain(also) {
                if errors.iter().all(|earlier| earlier.field != error.field) {
                    errors.push(error);
                }
            }
        }
        let mut errors = errors.into_iter();
        let Some(first) = errors.next() else { return Ok(()) };
        Err(Self { also: errors.collect(), ..first })
    }
}

display_message!(ConfigError);
