//! Guess first: before β is moved for the first time, where will π* go?

use super::{beta, format};
use klimb_metrics::OptimumPoint;
use klimb_text::words::say;

/// A place in the chart: KL in nats, gold reward.
pub type Place = (f64, f64);

/// How far the question has come.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub enum Guess {
    /// β was not moved yet.
    #[default]
    Unasked,
    /// Where will π* be at this β? It is hidden meanwhile.
    Asked {
        /// β before.
        from: f64,
        /// β now.
        to: f64,
    },
    /// What the student placed, and where it is.
    Answered {
        /// β before, and β asked about.
        betas: (f64, f64),
        /// The guess.
        guess: Place,
    },
    /// Asked once, or declined: not again.
    Over,
}

impl Guess {
    /// β is being moved from where it was to `to`. The first time, that asks; while it is asked, the question follows
    /// the slider; and the answer goes when the slider moves on.
    pub fn moved(&mut self, from: f64, to: f64, has_optimum: bool) {
        *self = match *self {
            Self::Unasked if has_optimum && from != to => Self::Asked { from, to },
            Self::Asked { from, .. } => Self::Asked { from, to },
            Self::Answered { betas: (from, asked), guess } if asked == to => {
                Self::Answered { betas: (from, asked), guess }
            }
            Self::Answered { .. } => Self::Over,
            other @ (Self::Unasked | Self::Over) => other,
        };
    }

    /// The student's guess, if one was asked for; refused where it lies outside of what there is.
    pub fn place(&mut self, guess: Place) -> bool {
        let (kl, reward) = guess;
        match *self {
            Self::Asked { from, to } if kl >= 0.0 && (0.0..=1.0).contains(&reward) => {
                *self = Self::Answered { betas: (from, to), guess };
                true
            }
            Self::Unasked | Self::Asked { .. } | Self::Answered { .. } | Self::Over => false,
        }
    }

    /// Whether the answer must not be seen.
    pub fn hides_the_answer(&self) -> bool {
        matches!(self, Self::Asked { .. })
    }

    /// The question.
    pub fn question(&self) -> Option<String> {
        let Self::Asked { from, to } = self else { return None };
        let (from, to) = (format::beta(*from), format::beta(*to));
        Some(say!(
            "Guess first: β goes from {} to {}. Where will π*, the best policy at that β, go? Click the chart, or write it down.",
            from,
            to
        ))
    }

    /// The answer, the distance, and why.
    pub fn answer(&self, curve: &[OptimumPoint]) -> Option<String> {
        let Self::Answered { betas: (from, to), guess: (kl, reward) } = self else { return None };
        let (before, after) = (beta::optimum_at(curve, *from)?, beta::optimum_at(curve, *to)?);
        let why = if to < from {
            say(
                "A looser leash lets it drift, and it earns more; but reward saturates, so each further nat buys less than the one before.",
            )
        } else {
            say(
                "A tighter leash keeps it near the reference, and what it gives up first are the nats that bought least.",
            )
        };
        Some(say!(
            "You said {} nats and {}. It is at {} nats and {}: off by {} nats and {}. Before, it was at {} and {}. {} Training ends on that curve or below it.",
            format::fixed(*kl, 1),
            format::fixed(*reward, 2),
            format::fixed(after.kl_per_sequence, 1),
            format::fixed(after.gold_reward, 2),
            format::fixed((kl - after.kl_per_sequence).abs(), 1),
            format::fixed((reward - after.gold_reward).abs(), 2),
            format::fixed(before.kl_per_sequence, 1),
            format::fixed(before.gold_reward, 2),
            why
        ))
    }

    /// Where the guess stands in the chart.
    pub fn placed(&self) -> Option<Place> {
        if let Self::Answered { guess, .. } = self { Some(*guess) } else { None }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn curve() -> Vec<OptimumPoint> {
        let at = |beta, kl_per_sequence, gold_reward| OptimumPoint {
            beta,
            kl_per_sequence,
            gold_reward,
            effective_sample_size: 1000.0,
        };
        vec![at(0.1, 6.0, 0.97), at(1.0, 1.0, 0.8)]
    }

    #[test]
    fn it_is_asked_once_and_follows_the_slider_until_it_is_answered() {
        let mut guess = Guess::default();
        guess.moved(1.0, 0.5, false);
        assert_eq!(guess, Guess::Unasked, "without an optimum there is no answer");
        guess.moved(1.0, 0.5, true);
        guess.moved(1.0, 0.1, true);
        assert!(guess.hides_the_answer() && guess.question().unwrap().contains("from 1.00 to 0.10"), "{guess:?}");
        assert!(!guess.place((-1.0, 0.5)) && !guess.place((1.0, 1.5)), "there is nothing there");
        assert!(guess.place((4.0, 0.9)));
        guess.moved(0.1, 0.1, true);
        let answer = guess.answer(&curve()).unwrap();
        assert!(answer.contains("off by 2.0 nats and 0.07") && answer.contains("looser"), "{answer}");
        guess.moved(0.1, 0.2, true);
        assert_eq!((guess, guess.placed()), (Guess::Over, None));
        guess.moved(0.2, 0.3, true);
        assert_eq!(guess, Guess::Over);
    }

    #[test]
    fn a_tighter_leash_is_explained_as_one() {
        let guess = Guess::Answered { betas: (0.1, 1.0), guess: (1.0, 0.8) };
        let answer = guess.answer(&curve()).unwrap();
        assert!(answer.contains("off by 0.0 nats and 0.00") && answer.contains("tighter"), "{answer}");
    }
}
