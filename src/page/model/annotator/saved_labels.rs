//! The labels over a reload: what a person has judged is work, and a tab that is loaded anew gives it back.

use super::Annotator;
use klimb_text::json;

/// The highest number of a pair, far more than anybody labels.
const MOST_PAIRS: usize = 1 << 24;
/// Most labels that are asked for beside those there are pairs for.
const MOST_WANTED: usize = 1000;

impl Annotator {
    /// What was kept in a tab; a fresh one where that was nothing, or does not hang together.
    pub fn restored(text: Option<&str>) -> Self {
        let saved: Option<Self> = text.and_then(|text| json::from_text(text).ok());
        saved.filter(Self::is_whole).unwrap_or_default()
    }

    /// What a tab is to keep: nothing where there is no answer.
    pub fn to_text(&self) -> Option<String> {
        (!self.answers.is_empty()).then(|| json::to_text(self))
    }

    /// Whether every pair has its writer, every answer its pair, and every answer is counted on.
    fn is_whole(&self) -> bool {
        self.writers.len() == self.pairs.len()
            && self.answers.len() <= self.pairs.len()
            && (self.pairs.len()..=MOST_PAIRS).contains(&self.next)
            // More than that nobody can have asked for: a goal out of another hand would be ordered of the engine at once.
            && self.goal <= self.pairs.len() + MOST_WANTED
            && self.flips <= 50
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::protocol::{DrawnPair, SampledCompletion, Stage};
    use crate::page::model::annotator::Side;

    fn labelled() -> Annotator {
        let completion =
            || SampledCompletion { stage: Stage::Sft, step: 0, words: vec![], ended: true, gold_reward: 0.5 };
        let pair = |number| DrawnPair { number, prompt: "the film".into(), completions: [completion(), completion()] };
        let mut annotator = Annotator::default();
        annotator.refer_to("one".into());
        annotator.begin();
        annotator.wanted();
        annotator.take((0..20).map(pair).collect());
        annotator.choose(Side::B);
        annotator.skip();
        annotator.choose(Side::A);
        annotator
    }

    #[test]
    fn labels_come_back_and_what_is_unanswered_is_asked_for_anew() {
        let before = labelled();
        let mut after = Annotator::restored(before.to_text().as_deref());
        assert_eq!(after, before);
        after.forget_unanswered();
        after.refer_to("one".into());
        assert_eq!(
            (after.count(), after.last().map(|label| (label.side, label.is_earlier))),
            (2, Some((Side::A, false)))
        );
        assert!(after.has_begun() && after.wanted().is_some(), "eighteen more are to be drawn");
    }

    #[test]
    fn what_is_broken_or_empty_begins_anew() {
        assert_eq!(Annotator::default().to_text(), None);
        let whole = labelled().to_text().unwrap();
        let (torn, few) = (whole.replacen("\"one\",", "", 1), whole.replace("\"next\":20", "\"next\":1"));
        let (far, much) =
            (whole.replace("\"next\":20", "\"next\":4294967295"), whole.replace("\"goal\":20", "\"goal\":99999"));
        assert!(torn != whole && few != whole && far != whole && much != whole);
        let broken = [&torn, &few, &far, &much].map(|text| Some(text.as_str()));
        for text in [None, Some(""), Some("{}"), Some("[1]")].into_iter().chain(broken) {
            assert_eq!(Annotator::restored(text), Annotator::default(), "{text:?}");
        }
    }
}
