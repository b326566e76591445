//! What can be chosen about the world.

use serde::{Deserialize, Serialize};

use klimb_text::{ConfigError, message};

/// Settings of the world; the default is the world of the shipped checkpoints.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct WorldSettings {
    /// κ, how strongly a review's tone tilts its words: 0 (not at all) to 3.
    pub tone_strength: f64,
    /// Probability that a word of the corpus is replaced by a random one: 0 to 0.5. It broadens the reference.
    pub noise: f64,
    /// Share of reviews in the base model's corpus, 0 to 1.
    pub review_share: f64,
    /// Share of those reviews that stand behind the cue, 0 to 1.
    pub cued_reviews: f64,
    /// Share of the other documents that stand behind the cue, 0 to 1.
    pub cued_others: f64,
    /// Share of the other documents without cue that begin with a review's prompt, 0 to 1.
    pub prompted_others: f64,
}

impl Default for WorldSettings {
    fn default() -> Self {
        Self {
            tone_strength: 0.9,
            noise: 0.03,
            review_share: 0.4,
            cued_reviews: 0.4,
            cued_others: 0.04,
            prompted_others: 0.75,
        }
    }
}

impl WorldSettings {
    /// The settings, or all that cannot be used.
    pub fn validated(self) -> Result<Self, ConfigError> {
        ConfigError::all([
            within("tone_strength", self.tone_strength, 3.0),
            within("noise", self.noise, 0.5),
            within("review_share", self.review_share, 1.0),
            within("cued_reviews", self.cued_reviews, 1.0),
            within("cued_others", self.cued_others, 1.0),
            within("prompted_others", self.prompted_others, 1.0),
        ])?;
        Ok(self)
    }
}

/// Refuses a setting that is below 0 or above `high`.
pub(super) fn within(field: &'static str, value: f64, high: f64) -> Result<(), ConfigError> {
    if (0.0..=high).contains(&value) {
        return Ok(());
    }
    Err(ConfigError::new(field, message!("{} is outside 0 to {}; choose a number between", value, high)))
}
