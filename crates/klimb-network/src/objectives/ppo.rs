//! Proximal policy optimisation: the policy's clipped surrogate and the value model's clipped squared error.

use super::{assert_len, k1, k2, k3};
use klimb_numerics::real::Real;

/// Statistics that [`ppo_policy`] reports.
pub const PPO_POLICY_COLUMNS: usize = 7;
/// Statistics that [`ppo_value`] reports.
pub const PPO_VALUE_COLUMNS: usize = 2;

/// A minibatch as the policy's loss sees it: the network's numbers now, and what the rollout recorded. Every slice is
/// (rows), one number per token.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct PpoPolicyBatch<'a, F> {
    /// The completion mask divided by the number of tokens it keeps, so that sums are means over those tokens.
    pub weights: &'a [F],
    /// log π of the tokens, now.
    pub logprobs: &'a [F],
    /// Entropies of the policy's next-token distributions, now, in nats.
    pub entropies: &'a [F],
    /// log π_old of the tokens, when they were drawn.
    pub old_logprobs: &'a [F],
    /// Advantages, fixed.
    pub advantages: &'a [F],
}

/// A minibatch as the value model's loss sees it. Every slice is (rows), one number per token.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct PpoValueBatch<'a, F> {
    /// As in [`PpoPolicyBatch`].
    pub weights: &'a [F],
    /// The value model's numbers, now.
    pub values: &'a [F],
    /// The value model's numbers when the tokens were drawn.
    pub old_values: &'a [F],
    /// Returns, the targets.
    pub returns: &'a [F],
}

/// The policy's loss in proximal policy optimisation (Schulman et al. 2017, equation 7, and the entropy bonus of
/// equation 9). With ρ = π/π_old, clip to 1 ± ε (`clip_range`), and c_H the `entropy_coefficient`:
///
/// L = Σ w·max(−Â·ρ, −Â·clip(ρ)) − c_H·Σ w·H
///
/// Where the maximum takes its clipped side and the clip binds, the gradient is 0. Writes ∂L/∂logprobs and
/// ∂L/∂entropies, (rows) each, and (7, rows) `statistics`, already weighted, so that each column sums to a mean over the
/// completions' tokens: policy loss (without the bonus), k1, k2 and k3 of KL(π_old‖π), clip fraction (|ρ − 1| above the
/// range), ratio ρ, entropy.
///
/// # Panics
/// If a slice does not fit the others.
pub fn ppo_policy<F: Real>(
    clip_range: F,
    entropy_coefficient: F,
    batch: PpoPolicyBatch<F>,
    dlogprobs: &mut [F],
    dentropies: &mut [F],
    statistics: &mut [F],
) {
    let rows = batch.weights.len();
    for (argument, found) in [
        ("logprobs", batch.logprobs.len()),
        ("entropies", batch.entropies.len()),
        ("old_logprobs", batch.old_logprobs.len()),
        ("advantages", batch.advantages.len()),
        ("dlogprobs", dlogprobs.len()),
        ("dentropies", dentropies.len()),
    ] {
        assert_len("ppo_policy", argument, found, rows);
    }
    assert_len("ppo_policy", "statistics", statistics.len(), PPO_POLICY_COLUMNS * rows);
    for row in 0..rows {
        let weight = batch.weights[row];
        let mut columns = [F::zero(); PPO_POLICY_COLUMNS];
        (dlogprobs[row], dentropies[row]) = (F::zero(), F::zero());
        // What stands in prompts and padding may be anything, even infinite: it must not meet a product.
        if weight != F::zero() {
            let (entropy, advantage) = (batch.entropies[row], batch.advantages[row]);
            let log_ratio = batch.logprobs[row] - batch.old_logprobs[row];
            let ratio = log_ratio.exp();
            let clipped_ratio = ratio.max(F::one() - clip_range).min(F::one() + clip_range);
            let (free, clipped) = (-advantage * ratio, -advantage * clipped_ratio);
            // dρ = ρ·dlog π, so that the free side is its own derivative
            let (loss, gradient) = if clipped > free { (clipped, F::zero()) } else { (free, free) };
            dlogprobs[row] = weight * gradient;
            dentropies[row] = -weight * entropy_coefficient;

            let is_clipped = if log_ratio.exp_m1().abs() > clip_range { F::one() } else { F::zero() };
            columns = [loss, k1(log_ratio), k2(log_ratio), k3(log_ratio), is_clipped, ratio, entropy];
        }
        for (column, value) in columns.into_iter().enumerate() {
            statistics[column * rows + row] = weight * value;
        }
    }
}

/// The value model's loss in proximal policy optimisation (Schulman et al. 2017, equation 9; clipped as in Ziegler et
/// al. 2019 and its code). With V_clip = V_old + clip(V − V_old, ±ε) and c_V the `value_coefficient`:
///
/// L = c_V·Σ w·½·max((V − R)², (V_clip − R)²)
///
/// Where the maximum takes its clipped side, the gradient is 0; an ε (`value_clip_range`) that no value reaches never
/// clips. Writes ∂L/∂values (rows), and (2, rows) `statistics`, already weighted: value loss (without c_V), and the share
/// of tokens held by the clip.
///
/// # Panics
/// If a slice does not fit the others.
pub fn ppo_value<F: Real>(
    value_clip_range: F,
    value_coefficient: F,
    batch: PpoValueBatch<F>,
    dvalues: &mut [F],
    statistics: &mut [F],
) {
    let rows = batch.weights.len();
    for (argument, found) in [
        ("values", batch.values.len()),
        ("old_values", batch.old_values.len()),
        ("returns", batch.returns.len()),
        ("dvalues", dvalues.len()),
    ] {
        assert_len("ppo_value", argument, found, rows);
    }
    assert_len("ppo_value", "statistics", statistics.len(), PPO_VALUE_COLUMNS * rows);
    let half = F::of(0.5);
    for row in 0..rows {
        let weight = batch.weights[row];
        let mut columns = [F::zero(); PPO_VALUE_COLUMNS];
        dvalues[row] = F::zero();
        if weight != F::zero() {
            let (value, old_value) = (batch.values[row], batch.old_values[row]);
            let clipped_value = value.max(old_value - value_clip_range).min(old_value + value_clip_range);
            let (free, clipped) = (value - batch.returns[row], clipped_value - batch.returns[row]);
            if clipped * clipped > free * free {
                columns = [half * clipped * clipped, F::one()];
            } else {
                columns = [half * free * free, F::zero()];
                dvalues[row] = weight * value_coefficient * free;
            }
        }
        for (column, value) in columns.into_iter().enumerate() {
            statistics[column * rows + row] = weight * value;
        }
    }
}
