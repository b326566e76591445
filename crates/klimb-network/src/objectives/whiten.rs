//! Whitening: the same numbers with mean 0 and variance 1.

use super::assert_len;
use klimb_numerics::real::Real;

/// Added to the variance, so that equal numbers become 0 and not nonsense.
const EPSILON: f64 = 1e-8;

/// Whitens the `values` that the mask keeps, in place: divides them by their standard deviation (over all of them, n in
/// the denominator) and, if `shift_mean`, takes their mean off first. Without the shift the mean keeps its sign and is
/// scaled like everything else (Ziegler et al. 2019 whiten rewards so, and advantages with the shift). What the mask
/// leaves out becomes 0. `completion_mask` is as long as `values`.
///
/// # Panics
/// If the slices differ in length.
pub fn whiten<F: Real>(values: &mut [F], completion_mask: &[F], shift_mean: bool) {
    assert_len("whiten", "completion_mask", completion_mask.len(), values.len());
    let kept = |values: &[F], number: &dyn Fn(F) -> F| -> F {
        values
            .iter()
            .zip(completion_mask)
            .filter(|(_, mask)| **mask != F::zero())
            .map(|(value, _)| number(*value))
            .sum()
    };
    let count = kept(values, &|_| F::one());
    if count == F::zero() {
        values.fill(F::zero());
        return;
    }
    let mean = kept(values, &|value| value) / count;
    let variance = kept(values, &|value| (value - mean) * (value - mean)) / count;
    let scale = F::one() / (variance + F::of(EPSILON)).sqrt();
    let shift = if shift_mean { mean } else { F::zero() };
    for (value, mask) in values.iter_mut().zip(completion_mask) {
        *value = if *mask == F::zero() { F::zero() } else { (*value - shift) * scale };
    }
}
