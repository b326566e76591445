//! What the annotator reads about the labels.

use super::{Annotator, Label, PairSource};
use crate::page::model::format;
use klimb_numerics::stats::share_interval;
use klimb_text::words::say;

impl Label<'_> {
    /// What the oracle makes of the choice, in one clause.
    pub fn verdict(&self) -> String {
        let rewards = [self.chosen(), self.rejected()].map(|it| format::fixed(it.gold_reward, 2));
        let words = match self.agreement() {
            agreement if agreement > 0.5 => say("the oracle agrees"),
            agreement if agreement < 0.5 => say("the oracle would have chosen the other"),
            _ => say("the oracle holds neither to be better"),
        };
        say!("{}, with gold reward {} for yours and {} for the other.", words, rewards[0], rewards[1])
    }
}

impl Annotator {
    /// What runs on these labels are trained on.
    pub fn source(&self) -> PairSource {
        PairSource::Own { flipped: self.flips }
    }

    /// How many labels there are, how few that is beside the pairs that would be generated, and how often the oracle agrees.
    pub fn summary(&self, generated: usize) -> String {
        let count = self.count();
        if count == 0 {
            return String::new();
        }
        let agreements: Vec<f64> = self.labels().map(|label| label.agreement()).collect();
        let agreed: f64 = agreements.iter().sum();
        let (low, high) = share_interval(agreed, count);
        let percent = |share: f64| format::fixed(100.0 * share, 0);
        let ties = match agreements.iter().filter(|it| **it == 0.5).count() {
            0 => String::new(),
            1 => say(" One pair that it holds to be even counts half.").into(),
            ties => say!(" {} pairs that it holds to be even count half.", ties),
        };
        let labelled = match count {
            1 => say("You have labelled 1 pair.").to_owned(),
            count => say!("You have labelled {} pairs.", count),
        };
        let earlier = match self.labels().filter(|label| label.is_earlier).count() {
            0 => String::new(),
            1 => say(
                " One of these labels is of completions by an earlier model: it holds as before, but is less about what this model writes. “Save my labels” keeps all of them in a file.",
            )
            .into(),
            several => say!(
                " {} of these labels are of completions by an earlier model: they hold as before, but are less about what this model writes. “Save my labels” keeps all of them in a file.",
                several
            ),
        };
        say!(
            "{} The oracle agrees with {} % of your choices (95 % interval {} to {} %).{}{} Few labels are soon known by heart: generated data would have {} pairs, and from {} a policy learns these completions more than it learns your taste.",
            labelled,
            percent(agreed / count as f64),
            percent(low),
            percent(high),
            ties,
            earlier,
            format::count(generated),
            count
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::page::model::annotator::Side;
    use crate::page::model::annotator::tests::labelled;

    #[test]
    fn the_summary_counts_and_is_not_too_sure() {
        let mut annotator = labelled(&[Side::A; 20]);
        let words = annotator.summary(12_288);
        assert!(words.contains("labelled 20 pairs") && words.contains("100 % of your choices"), "{words}");
        assert!(words.contains("interval 84 to 100 %") && words.contains("12\u{202f}288 pairs"), "{words}");
        annotator.pairs[0].completions[1].gold_reward = 0.8;
        assert!(annotator.summary(1).contains("One pair that it holds to be even counts half"));
        assert_eq!(Annotator::default().summary(1), "");
    }
}
