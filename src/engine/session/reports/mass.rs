//! Where the probability of a batch's completions went.

use crate::engine::protocol::{Mass, Masses};
use klimb_align::algorithms::PairBatch;
use klimb_align::language::Sequence;

/// The masses of `pairs` under the reference and, from log π of every completion, the chosen first, before the step and
/// after it.
pub fn masses(pairs: &PairBatch, before: &[f64], after: &[f64]) -> Masses {
    let count = pairs.chosen.len();
    let (before, after) = (before.split_at(count), after.split_at(count));
    let fell = |now: &[f64], then: &[f64]| now.iter().zip(then).filter(|(now, then)| now < then).count();
    Masses {
        pairs: count,
        reference: mass(pairs, &pairs.reference_chosen, &pairs.reference_rejected),
        before: mass(pairs, before.0, before.1),
        after: mass(pairs, after.0, after.1),
        chosen_fell: fell(after.0, before.0),
        chosen_fell_since: fell(after.0, &pairs.reference_chosen),
    }
}

fn mass(pairs: &PairBatch, chosen: &[f64], rejected: &[f64]) -> Mass {
    let share = 1.0 / pairs.chosen.len().max(1) as f64;
    let mean = |values: &[f64]| values.iter().sum::<f64>() * share;
    let sides = pairs.chosen.iter().zip(&pairs.rejected).zip(chosen.iter().zip(rejected));
    let (chosen_mass, rejected_mass): (Vec<f64>, Vec<f64>) = sides
        .map(|((y_w, y_l), (chosen, rejected))| apart(&Likely::new(y_w, *chosen), &Likely::new(y_l, *rejected)))
        .unzip();
    let (chosen_mass, rejected_mass) = (mean(&chosen_mass), mean(&rejected_mass));
    Mass {
        chosen: chosen_mass,
        rejected: rejected_mass,
        rest: 1.0 - chosen_mass - rejected_mass,
        chosen_logprob: mean(chosen),
        rejected_logprob: mean(rejected),
    }
}

/// A completion with its probability.
struct Likely<'a> {
    sequence: &'a Sequence,
    probability: f64,
}

impl<'a> Likely<'a> {
    fn new(sequence: &'a Sequence, logprob: f64) -> Self {
        Self { sequence, probability: logprob.exp() }
    }
}

/// Both probabilities, that of the chosen first, with nothing counted twice. A completion that was cut off stands for all
/// that go on from it: where the other one does, that part is the other's alone.
fn apart(chosen: &Likely, rejected: &Likely) -> (f64, f64) {
    let (y_w, y_l) = (&chosen.sequence.tokens, &rejected.sequence.tokens);
    if y_w.starts_with(y_l) {
        (chosen.probability, rejected.probability - chosen.probability)
    } else if y_l.starts_with(y_w) {
        (chosen.probability - rejected.probability, rejected.probability)
    } else {
        (chosen.probability, rejected.probability)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pairs(completions: &[(&[u32], &[u32])], reference: &[(f64, f64)]) -> PairBatch {
        let side = |completion: &[u32]| Sequence::new(&[5], completion);
        PairBatch {
            chosen: completions.iter().map(|(chosen, _)| side(chosen)).collect(),
            rejected: completions.iter().map(|(_, rejected)| side(rejected)).collect(),
            reference_chosen: reference.iter().map(|(chosen, _)| chosen.ln()).collect(),
            reference_rejected: reference.iter().map(|(_, rejected)| rejected.ln()).collect(),
        }
    }

    #[test]
    fn chosen_rejected_and_everything_else_are_all_there_is() {
        let pairs = pairs(&[(&[6, 1], &[7, 1]), (&[8, 1], &[9, 1])], &[(0.1, 0.2), (0.3, 0.4)]);
        // The rejected fall, the first chosen falls with them, and what both lose goes elsewhere.
        let before = [0.1f64, 0.3, 0.2, 0.4].map(f64::ln);
        let after = [0.05f64, 0.35, 0.1, 0.2].map(f64::ln);
        let found = masses(&pairs, &before, &after);
        for mass in [found.reference, found.before, found.after] {
            assert!((mass.chosen + mass.rejected + mass.rest - 1.0).abs() < 1e-12, "{mass:?}");
        }
        let expected = [(found.before, (0.2, 0.3, 0.5)), (found.after, (0.2, 0.15, 0.65))];
        for (mass, (chosen, rejected, rest)) in expected {
            let errors = [mass.chosen - chosen, mass.rejected - rejected, mass.rest - rest];
            assert!(errors.iter().all(|error| error.abs() < 1e-12), "{mass:?}");
        }
        assert_eq!((found.pairs, found.chosen_fell, found.chosen_fell_since), (2, 1, 1));
        assert_eq!(found.reference, found.before);
        assert!((found.after.chosen_logprob - (0.05f64.ln() + 0.35f64.ln()) / 2.0).abs() < 1e-12);
    }

    #[test]
    fn a_completion_that_was_cut_off_does_not_count_what_the_other_says() {
        // One of the pairs goes on from what the other was cut off at; in the last both are the same.
        let pairs = pairs(&[(&[6], &[6, 7, 1]), (&[6, 7, 1], &[6]), (&[6, 1], &[6, 1])], &[(0.5, 0.5); 3]);
        let logprobs = [0.5f64, 0.2, 0.4, 0.2, 0.5, 0.4].map(f64::ln);
        let Mass { chosen, rejected, rest, .. } = masses(&pairs, &logprobs, &logprobs).after;
        let expected = [(0.3 + 0.2 + 0.4) / 3.0, (0.2 + 0.3 + 0.0) / 3.0, 1.0 - 1.4 / 3.0];
        for (found, expected) in [chosen, rejected, rest].into_iter().zip(expected) {
            assert!((found - expected).abs() < 1e-12, "{found} {expected}");
        }
    }
}
