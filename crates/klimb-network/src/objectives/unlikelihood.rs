//! Unlikelihood.

use super::{assert_len, in_order};
use klimb_numerics::real::Real;

/// Unlikelihood as the DPO paper compares itself with (Rafailov et al. 2023, section 6, after Welleck et al. 2020):
/// maximise the log-probability of what was preferred, and minimise that of what was not, with a weight α in [0, 1]:
///
/// L = −log π(y_w|x) + α·log π(y_l|x), averaged over the pairs
/// ∂L/∂log π(y_w|x) = −1, ∂L/∂log π(y_l|x) = α
///
/// Nothing weighs the pairs, nothing ties π to a reference, and the loss has no lower bound: what DPO's weight
/// σ(r̂_l − r̂_w) is there to prevent.
///
/// `sequence_logprobs` is (2, P): the summed log-probabilities of the chosen completions, then of the rejected. Writes the
/// gradient of the mean loss, (2, P), to `dsequence_logprobs`, and (4, P) `statistics`: losses (nats), accuracies (1 where
/// the chosen completion is the likelier, 0 where the other is, ½ where neither is: [`in_order`]), chosen log-probabilities, rejected log-probabilities.
///
/// # Panics
/// If `sequence_logprobs` has an odd length, or another slice does not fit it.
pub fn unlikelihood<F: Real>(alpha: F, sequence_logprobs: &[F], dsequence_logprobs: &mut [F], statistics: &mut [F]) {
    let pairs = sequence_logprobs.len() / 2;
    assert_len("unlikelihood", "sequence_logprobs", sequence_logprobs.len(), 2 * pairs);
    assert_len("unlikelihood", "dsequence_logprobs", dsequence_logprobs.len(), 2 * pairs);
    assert_len("unlikelihood", "statistics", statistics.len(), 4 * pairs);
    let share = F::of(1.0 / pairs as f64);
    for pair in 0..pairs {
        let (chosen, rejected) = (sequence_logprobs[pair], sequence_logprobs[pairs + pair]);
        dsequence_logprobs[pair] = -share;
        dsequence_logprobs[pairs + pair] = alpha * share;

        let accuracy = in_order(chosen - rejected, chosen.abs() + rejected.abs());
        for (column, value) in [alpha * rejected - chosen, accuracy, chosen, rejected].into_iter().enumerate() {
            statistics[column * pairs + pair] = value;
        }
    }
}
