//! Proximal policy optimisation.

use super::{assert_len, k3};
use crate::real::Real;

/// What PPO's loss is told.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct PpoSettings<F> {
    /// How far the ratio π/π_old may leave 1 before a token stops pulling.
    pub clip_range: F,
    /// How far a value may leave its old value before a token stops pulling; infinity never clips.
    pub value_clip_range: F,
    /// Weight of the value loss in the total.
    pub value_coefficient: F,
    /// Weight of the entropy bonus in the total.
    pub entropy_coefficient: F,
}

/// A minibatch: the network's numbers now, and what the rollout recorded. Every slice is (rows), one number per token.
#[derive(Debug, Clone, Copy)]
pub struct PpoRollout<'a, F> {
    /// The completion mask divided by the number of tokens it keeps, so that sums are means over those tokens.
    pub weights: &'a [F],
    /// log π of the tokens, now.
    pub logprobs: &'a [F],
    /// log π_old of the tokens, when they were drawn.
    pub old_logprobs: &'a [F],
    /// Advantages, fixed.
    pub advantages: &'a [F],
    /// The value model's numbers, now.
    pub values: &'a [F],
    /// The value model's numbers when the tokens were drawn.
    pub old_values: &'a [F],
    /// Returns, the value model's targets.
    pub returns: &'a [F],
    /// Entropies of the policy's next-token distributions, now, in nats.
    pub entropies: &'a [F],
}

/// Where the gradients of the total loss go. Every slice is (rows).
#[derive(Debug)]
pub struct PpoGradients<'a, F> {
    /// ∂L/∂logprobs.
    pub dlogprobs: &'a mut [F],
    /// ∂L/∂values.
    pub dvalues: &'a mut [F],
    /// ∂L/∂entropies.
    pub dentropies: &'a mut [F],
}

/// Proximal policy optimisation (Schulman et al. 2017, equations 7 and 9; the clipped value loss as in Ziegler et al.
/// 2019 and its code). With ρ = π/π_old, clip to 1 ± `clip_range`, V_clip = V_old + clip(V − V_old, ±`value_clip_range`):
///
/// L = Σ w·max(−Â·ρ, −Â·clip(ρ)) + c_V·Σ w·½·max((V − R)², (V_clip − R)²) − c_H·Σ w·H
///
/// Where a maximum takes its clipped side and the clip binds, the gradient is 0. Writes the `gradients`, and (6, rows)
/// `statistics`, already weighted, so that each column sums to a mean over the completions' tokens: policy loss, value
/// loss, entropy, total loss, clip fraction (|ρ − 1| above the range), approximate KL(π_old‖π) by k3.
///
/// # Panics
/// If a slice does not fit the others.
pub fn ppo<F: Real>(
    settings: PpoSettings<F>,
    rollout: PpoRollout<F>,
    gradients: PpoGradients<F>,
    statistics: &mut [F],
) {
    let rows = rollout.weights.len();
    for (argument, found) in [
        ("logprobs", rollout.logprobs.len()),
        ("old_logprobs", rollout.old_logprobs.len()),
        ("advantages", rollout.advantages.len()),
        ("values", rollout.values.len()),
        ("old_values", rollout.old_values.len()),
        ("returns", rollout.returns.len()),
        ("entropies", rollout.entropies.len()),
        ("dlogprobs", gradients.dlogprobs.len()),
        ("dvalues", gradients.dvalues.len()),
        ("dentropies", gradients.dentropies.len()),
    ] {
        assert_len("ppo", argument, found, rows);
    }
    assert_len("ppo", "statistics", statistics.len(), 6 * rows);
    for row in 0..rows {
        let weight = rollout.weights[row];
        if weight == F::zero() {
            // What stands in prompts and padding may be anything, even infinite: it must not meet a product.
            (gradients.dlogprobs[row], gradients.dvalues[row], gradients.dentropies[row]) =
                (F::zero(), F::zero(), F::zero());
            (0..6).for_each(|column| statistics[column * rows + row] = F::zero());
            continue;
        }
        let log_ratio = rollout.logprobs[row] - rollout.old_logprobs[row];
        let policy = policy_loss(settings.clip_range, log_ratio.exp(), rollout.advantages[row]);
        let value =
            value_loss(settings.value_clip_range, rollout.values[row], rollout.old_values[row], rollout.returns[row]);
        let entropy = rollout.entropies[row];
        let total = policy.loss + settings.value_coefficient * value.loss - settings.entropy_coefficient * entropy;
        gradients.dlogprobs[row] = weight * policy.gradient;
        gradients.dvalues[row] = weight * settings.value_coefficient * value.gradient;
        gradients.dentropies[row] = -weight * settings.entropy_coefficient;

        let clipped = if log_ratio.exp_m1().abs() > settings.clip_range { F::one() } else { F::zero() };
        let columns = [policy.loss, value.loss, entropy, total, clipped, k3(log_ratio)];
        for (column, value) in columns.into_iter().enumerate() {
            statistics[column * rows + row] = weight * value;
        }
    }
}

/// A token's loss and its derivative.
struct Term<F> {
    loss: F,
    gradient: F,
}

/// The clipped surrogate; the gradient is with respect to log π, for which dρ = ρ.
fn policy_loss<F: Real>(clip_range: F, ratio: F, advantage: F) -> Term<F> {
    let clipped_ratio = ratio.max(F::one() - clip_range).min(F::one() + clip_range);
    let (free, clipped) = (-advantage * ratio, -advantage * clipped_ratio);
    if clipped > free { Term { loss: clipped, gradient: F::zero() } } else { Term { loss: free, gradient: free } }
}

/// The clipped squared error; the gradient is with respect to the value.
fn value_loss<F: Real>(clip_range: F, value: F, old_value: F, target: F) -> Term<F> {
    let clipped_value = value.max(old_value - clip_range).min(old_value + clip_range);
    let (free, clipped) = (value - target, clipped_value - target);
    let half = F::of(0.5);
    if clipped * clipped > free * free {
        Term { loss: half * clipped * clipped, gradient: F::zero() }
    } else {
        Term { loss: half * free * free, gradient: free }
    }
}
