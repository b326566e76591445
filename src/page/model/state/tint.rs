//! How words of samples are tinted.

/// What tints the words of samples.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Tint {
    /// What a word did to the gold reward.
    #[default]
    Sentiment,
    /// How much likelier it has become than under the reference.
    LogRatio,
}
