//! Estimators of the KL divergence from samples (Schulman 2020, "Approximating KL divergence").
//!
//! Tokens are drawn from the distribution q, and `log_ratio` is log p(y) − log q(y) of the drawn token: the mean of each
//! estimator is KL(q‖p) or close to it. For the leash KL(π‖π_ref) that is log π_ref − log π, *not* the inverse.

use super::assert_len;
use klimb_numerics::real::Real;

/// k1 = −log ρ: unbiased, and noisy enough to be negative, which the true KL never is.
pub fn k1<F: Real>(log_ratio: F) -> F {
    -log_ratio
}

/// k2 = (log ρ)²/2: never negative and steady, but biased; right to second order while the two are close.
pub fn k2<F: Real>(log_ratio: F) -> F {
    F::of(0.5) * log_ratio * log_ratio
}

/// k3 = ρ − 1 − log ρ: unbiased and never negative, for log ρ ≤ ρ − 1.
pub fn k3<F: Real>(log_ratio: F) -> F {
    log_ratio.exp_m1() - log_ratio
}

/// The estimators of KL(π‖π_ref), in nats, summed along each completion.
///
/// `logprobs`, `reference_logprobs` and `completion_mask` are (B, T), T = `length`, of completions drawn from the policy;
/// `estimates` is (3, B): k1, k2, k3. The sums of k1 and k3 are unbiased for the KL per sequence; its exact value, per
/// token over the vocabulary, is what the frontier is drawn with.
///
/// # Panics
/// If `length` does not divide the slices, or they do not fit.
pub fn kl_per_sequence<F: Real>(
    length: usize,
    logprobs: &[F],
    reference_logprobs: &[F],
    completion_mask: &[F],
    estimates: &mut [F],
) {
    let batch = logprobs.len() / length;
    assert_len("kl_per_sequence", "logprobs", logprobs.len(), batch * length);
    assert_len("kl_per_sequence", "reference_logprobs", reference_logprobs.len(), batch * length);
    assert_len("kl_per_sequence", "completion_mask", completion_mask.len(), batch * length);
    assert_len("kl_per_sequence", "estimates", estimates.len(), 3 * batch);
    for sequence in 0..batch {
        let mut sums = [F::zero(); 3];
        for token in sequence * length..(sequence + 1) * length {
            if completion_mask[token] != F::zero() {
                let log_ratio = reference_logprobs[token] - logprobs[token];
                for (sum, estimate) in sums.iter_mut().zip([k1(log_ratio), k2(log_ratio), k3(log_ratio)]) {
                    *sum += estimate;
                }
            }
        }
        for (estimator, sum) in sums.into_iter().enumerate() {
            estimates[estimator * batch + sequence] = sum;
        }
    }
}

/// The adaptive KL controller (Ziegler et al. 2019, section 2.2): β·(1 + e·n/h), with the relative error
/// e = kl/target_kl − 1 clipped to ±0.2, after n = `episodes`, over the horizon h = `kl_horizon` in episodes. Too far from
/// the reference, and the leash gets shorter.
pub fn adapted_beta(beta: f64, kl: f64, target_kl: f64, episodes: usize, kl_horizon: f64) -> f64 {
    let error = (kl / target_kl - 1.0).clamp(-0.2, 0.2);
    beta * (1.0 + error * episodes as f64 / kl_horizon)
}
