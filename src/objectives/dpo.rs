//! Direct preference optimisation.

use super::{assert_len, log_sigmoid, sigmoid};
use crate::real::Real;

/// Direct preference optimisation (Rafailov et al. 2023, equation 7), with label smoothing ε (Mitchell 2023, "cDPO"):
///
/// r̂(y) = β·(log π(y|x) − log π_ref(y|x)), s = r̂(y_w) − r̂(y_l)
/// L_DPO = −(1 − ε)·log σ(s) − ε·log σ(−s), averaged over the pairs
/// ∂L/∂log π(y_w|x) = −β·((1 − ε)·σ(−s) − ε·σ(s)) = −∂L/∂log π(y_l|x)
///
/// For ε = 0 a pair thus weighs σ(r̂_l − r̂_w): most where the implicit rewards order it wrongly.
///
/// `sequence_logprobs` and `references` are (2, P): the *summed* log-probabilities of the chosen completions, then of
/// the rejected, under the policy and the reference. Writes the gradient of the mean loss, (2, P), to
/// `dsequence_logprobs`, and (6, P) `statistics`: losses (nats), chosen rewards, rejected rewards, accuracies (1 where the
/// chosen reward is the greater, else 0), chosen log-probabilities, rejected log-probabilities.
///
/// # Panics
/// If `sequence_logprobs` has an odd length, or another slice does not fit it.
pub fn dpo<F: Real>(
    beta: F,
    label_smoothing: F,
    sequence_logprobs: &[F],
    references: &[F],
    dsequence_logprobs: &mut [F],
    statistics: &mut [F],
) {
    let pairs = sequence_logprobs.len() / 2;
    assert_len("dpo", "sequence_logprobs", sequence_logprobs.len(), 2 * pairs);
    assert_len("dpo", "references", references.len(), 2 * pairs);
    assert_len("dpo", "dsequence_logprobs", dsequence_logprobs.len(), 2 * pairs);
    assert_len("dpo", "statistics", statistics.len(), 6 * pairs);
    let share = F::of(1.0 / pairs as f64);
    for pair in 0..pairs {
        let (chosen, rejected) = (pair, pairs + pair);
        let chosen_reward = beta * (sequence_logprobs[chosen] - references[chosen]);
        let rejected_reward = beta * (sequence_logprobs[rejected] - references[rejected]);
        let margin = chosen_reward - rejected_reward;
        let kept = F::one() - label_smoothing;

        let loss = -kept * log_sigmoid(margin) - label_smoothing * log_sigmoid(-margin);
        let weight = kept * sigmoid(-margin) - label_smoothing * sigmoid(margin);
        dsequence_logprobs[chosen] = -beta * weight * share;
        dsequence_logprobs[rejected] = beta * weight * share;

        let accuracy = if chosen_reward > rejected_reward { F::one() } else { F::zero() };
        let row =
            [loss, chosen_reward, rejected_reward, accuracy, sequence_logprobs[chosen], sequence_logprobs[rejected]];
        for (column, value) in row.into_iter().enumerate() {
            statistics[column * pairs + pair] = value;
        }
    }
}
