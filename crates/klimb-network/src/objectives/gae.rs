//! Generalised advantage estimation.

use super::assert_len;
use klimb_numerics::real::Real;

/// What generalised advantage estimation is told.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct GaeSettings<F> {
    /// Discount γ; 1 for a review, whose only score is at its end.
    pub gamma: F,
    /// λ: 0 trusts the values (TD error, biased), 1 trusts the rewards (Monte Carlo, noisy).
    pub gae_lambda: F,
}

/// Generalised advantage estimation (Schulman et al. 2016, equation 16), backwards over each completion:
///
/// δ_t = r_t + γ·V_{t+1} − V_t, Â_t = δ_t + γλ·Â_{t+1}, R_t = Â_t + V_t
///
/// with V and Â zero behind the last token: a review that has ended earns nothing more. `rewards`, `values`,
/// `completion_mask` and both outputs are (B, T), T = `length`; the mask's ones are consecutive in each row. Tokens
/// outside the mask get advantage 0 and return 0, and what they hold is never read into another token.
///
/// # Panics
/// If `length` does not divide the slices, or they differ in length.
pub fn gae<F: Real>(
    settings: GaeSettings<F>,
    length: usize,
    rewards: &[F],
    values: &[F],
    completion_mask: &[F],
    advantages: &mut [F],
    returns: &mut [F],
) {
    let tokens = rewards.len();
    assert_len("gae", "rewards", tokens, tokens / length * length);
    assert_len("gae", "values", values.len(), tokens);
    assert_len("gae", "completion_mask", completion_mask.len(), tokens);
    assert_len("gae", "advantages", advantages.len(), tokens);
    assert_len("gae", "returns", returns.len(), tokens);
    for first in (0..tokens).step_by(length) {
        let (mut next_value, mut next_advantage) = (F::zero(), F::zero());
        for token in (first..first + length).rev() {
            if completion_mask[token] == F::zero() {
                (advantages[token], returns[token]) = (F::zero(), F::zero());
                continue;
            }
            let td_error = rewards[token] + settings.gamma * next_value - values[token];
            let advantage = td_error + settings.gamma * settings.gae_lambda * next_advantage;
            (advantages[token], returns[token]) = (advantage, advantage + values[token]);
            (next_value, next_advantage) = (values[token], advantage);
        }
    }
}
