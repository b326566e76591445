//! The reward model's loss.

use super::{assert_len, in_order, log_sigmoid, sigmoid};
use klimb_numerics::real::Real;

/// The probability that the first of two completions is preferred, given their rewards (Bradley and Terry 1952;
/// Rafailov et al. 2023, equation 1): p*(y₁ ≻ y₂ | x) = σ(r₁ − r₂). Only the difference of rewards matters.
pub fn preference_probability<F: Real>(first_reward: F, second_reward: F) -> F {
    sigmoid(first_reward - second_reward)
}

/// The reward model's loss, the negative log-likelihood of the preferences (Rafailov et al. 2023, equation 2; Ouyang
/// et al. 2022, equation 1):
///
/// L_R = −log σ(r_φ(x, y_w) − r_φ(x, y_l)), averaged over the pairs
/// ∂L_R/∂r_φ(x, y_w) = −p(y_l ≻ y_w | x) = −∂L_R/∂r_φ(x, y_l)
///
/// `scores` is (2, P): the chosen completions' scores, then the rejected. Writes the gradient of the mean loss, (2, P),
/// to `dscores`, and (4, P) `statistics`: losses (nats), chosen scores, rejected scores, accuracies (1 where the chosen
/// score is the greater, 0 where it is the lesser, ½ where both are equal up to rounding: [`in_order`]).
///
/// # Panics
/// If `scores` has an odd length, or another slice does not fit it.
pub fn bradley_terry<F: Real>(scores: &[F], dscores: &mut [F], statistics: &mut [F]) {
    let pairs = scores.len() / 2;
    assert_len("bradley_terry", "scores", scores.len(), 2 * pairs);
    assert_len("bradley_terry", "dscores", dscores.len(), 2 * pairs);
    assert_len("bradley_terry", "statistics", statistics.len(), 4 * pairs);
    let share = F::of(1.0 / pairs as f64);
    for pair in 0..pairs {
        let (chosen, rejected) = (scores[pair], scores[pairs + pair]);
        let mistaken = preference_probability(rejected, chosen);
        dscores[pair] = -mistaken * share;
        dscores[pairs + pair] = mistaken * share;
        let accuracy = in_order(chosen - rejected, chosen.abs() + rejected.abs());
        let row = [-log_sigmoid(chosen - rejected), chosen, rejected, accuracy];
        for (column, value) in row.into_iter().enumerate() {
            statistics[column * pairs + pair] = value;
        }
    }
}
