//! Direct preference optimisation, and its relatives that differ in the shape of the loss alone.

use serde::{Deserialize, Serialize};

use super::{assert_len, in_order, log_sigmoid, sigmoid};
use klimb_numerics::real::Real;

/// How a pair's margin s = r̂(y_w) − r̂(y_l) becomes its loss f(s).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum DpoLoss {
    /// DPO (Rafailov et al. 2023, equation 7): f(s) = −log σ(s). Always pulls, ever more softly.
    #[default]
    Sigmoid,
    /// Hinge: f(s) = max(0, 1 − s). SLiC-HF (Zhao et al. 2023, equation 1) with the margin δ = 1/β, on log-ratios as
    /// in Liu et al. (2024); reference-free it is SLiC-HF's own. A pair that is won by enough no longer pulls.
    Hinge,
    /// IPO (Azar et al. 2023, equation 17): f(s) = (s/β − 1/(2β))². Pulls a margin that grew beyond ½ back.
    Ipo,
}

impl DpoLoss {
    /// Every loss, in the order of its number in the shader.
    pub const ALL: [Self; 3] = [Self::Sigmoid, Self::Hinge, Self::Ipo];

    /// A pair's loss (1 − ε)·f(s) + ε·f(−s), and how hard it pulls: minus the slope of that at s.
    pub fn of<F: Real>(self, beta: F, label_smoothing: F, margin: F) -> (F, F) {
        let kept = F::one() - label_smoothing;
        let ((right, pull), (wrong, push)) = (self.term(beta, margin), self.term(beta, -margin));
        (kept * right + label_smoothing * wrong, kept * pull - label_smoothing * push)
    }

    /// f(s) and −f′(s).
    fn term<F: Real>(self, beta: F, margin: F) -> (F, F) {
        match self {
            Self::Sigmoid => (-log_sigmoid(margin), sigmoid(-margin)),
            Self::Hinge => {
                let gap = F::one() - margin;
                // Asked this way round, what is not a number stays so.
                if gap <= F::zero() { (F::zero(), F::zero()) } else { (gap, F::one()) }
            }
            Self::Ipo => {
                let gap = (F::of(0.5) - margin) / beta;
                (gap * gap, F::of(2.0) * gap / beta)
            }
        }
    }
}

/// Direct preference optimisation (Rafailov et al. 2023, equation 7), with label smoothing ε (Mitchell 2023, "cDPO")
/// and the losses f of [`DpoLoss`]:
///
/// r̂(y) = β·(log π(y|x) − log π_ref(y|x)), s = r̂(y_w) − r̂(y_l)
/// L = (1 − ε)·f(s) + ε·f(−s), averaged over the pairs; for DPO f(s) = −log σ(s)
/// ∂L/∂log π(y_w|x) = β·((1 − ε)·f′(s) − ε·f′(−s)) = −∂L/∂log π(y_l|x)
///
/// For DPO with ε = 0 a pair thus weighs σ(r̂_l − r̂_w): most where the implicit rewards order it wrongly.
///
/// `sequence_logprobs` and `references` are (2, P): the *summed* log-probabilities of the chosen completions, then of
/// the rejected, under the policy and the reference (means instead of sums are the length-normalised variant, zeros for
/// references the reference-free one). Writes the gradient of the mean loss, (2, P), to `dsequence_logprobs`, and (6, P)
/// `statistics`: losses (nats for DPO), chosen rewards, rejected rewards, accuracies (1 where the chosen reward is the
/// greater, 0 where it is the lesser, ½ where both are equal up to rounding: [`in_order`]), chosen log-probabilities, rejected
/// log-probabilities.
///
/// # Panics
/// If `sequence_logprobs` has an odd length, or another slice does not fit it.
pub fn dpo<F: Real>(
    loss: DpoLoss,
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

        let (loss, pull) = loss.of(beta, label_smoothing, chosen_reward - rejected_reward);
        dsequence_logprobs[chosen] = -beta * pull * share;
        dsequence_logprobs[rejected] = beta * pull * share;

        let size = |at: usize| sequence_logprobs[at].abs() + references[at].abs();
        let accuracy = in_order(chosen_reward - rejected_reward, beta * (size(chosen) + size(rejected)));
        let row =
            [loss, chosen_reward, rejected_reward, accuracy, sequence_logprobs[chosen], sequence_logprobs[rejected]];
        for (column, value) in row.into_iter().enumerate() {
            statistics[column * pairs + pair] = value;
        }
    }
}
