//! Twin of `shaders/optimiser.wgsl`: the gradient's norm, the line of metrics, and AdamW.

use super::reduce::{dot, sum_of};
use crate::backend::{AdamwSize, MetricsSize, NORM_PARTIALS};
use klimb_numerics::real::Real;

/// Partial sums of squares, one for each of [`NORM_PARTIALS`] stretches.
#[inline(always)]
pub fn squared_norm<F: Real>(len: usize, values: &[F], partials: &mut [F]) {
    let stretch = len.div_ceil(NORM_PARTIALS).max(1);
    partials[..NORM_PARTIALS].fill(F::zero());
    for (partial, values) in partials.iter_mut().zip(values[..len].chunks(stretch)) {
        *partial = dot(values, values);
    }
}

/// The sums of each statistic, then the gradient's norm, as line `settings[0]` of `metrics`.
#[inline(always)]
pub fn record_metrics<F: Real>(size: MetricsSize, statistics: &[F], partials: &[F], settings: &[F], metrics: &mut [F]) {
    let MetricsSize { items, columns, partials: partial_count } = size;
    let slot = settings[0].to_f64() as usize;
    let line = &mut metrics[slot * (columns + 1)..][..columns + 1];
    for (column, sum) in line[..columns].iter_mut().enumerate() {
        *sum = sum_of(&statistics[column * items..][..items], |value| value);
    }
    line[columns] = sum_of(&partials[..partial_count], |value| value).sqrt();
}

/// AdamW (Loshchilov and Hutter 2019), ε outside the bias-corrected root as in PyTorch.
#[inline(always)]
pub fn adamw<F: Real>(
    size: AdamwSize,
    settings: &[F],
    partials: &[F],
    parameters: &mut [F],
    gradients: &mut [F],
    moments: (&mut Vec<F>, &mut Vec<F>),
) {
    let AdamwSize { len, partials: partial_count, .. } = size;
    let (learning_rate, correction1, correction2) = (settings[0], settings[1], settings[2]);
    let norm = sum_of(&partials[..partial_count], |value| value).sqrt();
    if !norm.is_finite() {
        gradients[..len].fill(F::zero());
        return;
    }
    let max_norm = F::of(f64::from(size.max_norm));
    let clip = if norm > max_norm { max_norm / norm } else { F::one() };
    let (beta1, beta2) = (F::of(f64::from(size.beta1)), F::of(f64::from(size.beta2)));
    let epsilon = F::of(f64::from(size.epsilon));
    let keep = F::one() - learning_rate * F::of(f64::from(size.weight_decay));
    let moments = moments.0[..len].iter_mut().zip(&mut moments.1[..len]);
    for ((parameter, gradient), (first, second)) in parameters[..len].iter_mut().zip(&mut gradients[..len]).zip(moments)
    {
        let clipped = *gradient * clip;
        *first = beta1 * *first + (F::one() - beta1) * clipped;
        *second = beta2 * *second + (F::one() - beta2) * clipped * clipped;
        let step = (*first / correction1) / ((*second / correction2).sqrt() + epsilon);
        *parameter = *parameter * keep - learning_rate * step;
        *gradient = F::zero();
    }
}
