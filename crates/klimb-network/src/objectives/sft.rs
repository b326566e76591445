//! Supervised fine-tuning.

use super::assert_len;
use klimb_numerics::real::Real;

/// Supervised fine-tuning, the negative log-likelihood of the demonstrations (Ouyang et al. 2022, section 3.5, step 1):
///
/// L_SFT = −Σᵢ wᵢ·log π(yᵢ | x, y₍<ᵢ₎)
///
/// All slices are (rows): one number per token. `weights` is the completion mask divided by what the loss is averaged
/// over (tokens or sequences), so that prompts and padding weigh nothing. Writes ∂L/∂logprobs to `dlogprobs` and the
/// summands of the loss, in nats, to `statistics`.
///
/// # Panics
/// If the slices differ in length.
pub fn sft<F: Real>(logprobs: &[F], weights: &[F], dlogprobs: &mut [F], statistics: &mut [F]) {
    let rows = logprobs.len();
    assert_len("sft", "weights", weights.len(), rows);
    assert_len("sft", "dlogprobs", dlogprobs.len(), rows);
    assert_len("sft", "statistics", statistics.len(), rows);
    for row in 0..rows {
        statistics[row] = -weights[row] * logprobs[row];
        dlogprobs[row] = -weights[row];
    }
}
