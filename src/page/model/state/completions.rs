//! What the models write, and what tints their words.

use crate::engine::protocol::Samples;

/// What tints the words of samples.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Tint {
    /// What a word did to the gold reward.
    #[default]
    Sentiment,
    /// How much likelier it has become than under the reference.
    LogRatio,
}

/// The completions that are shown.
#[derive(Debug, Clone, Default)]
pub struct Completions {
    /// Those of the standing prompts.
    pub standing: Option<Samples>,
    /// Those of the person's own prompt.
    pub typed: Option<Samples>,
    /// What tints their words, and those below the point that is open.
    pub tint: Tint,
}

impl Completions {
    /// Takes up what the models wrote.
    pub(super) fn take(&mut self, samples: Samples) {
        let place = if samples.typed { &mut self.typed } else { &mut self.standing };
        *place = Some(samples);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn completions_of_the_own_prompt_stand_beside_the_others() {
        let mut completions = Completions::default();
        let samples = |typed| Samples { typed, rows: Vec::new() };
        completions.take(samples(true));
        assert!(completions.standing.is_none() && completions.typed.is_some());
        completions.take(samples(false));
        assert!(completions.standing.is_some_and(|it| !it.typed) && completions.typed.is_some_and(|it| it.typed));
    }
}
