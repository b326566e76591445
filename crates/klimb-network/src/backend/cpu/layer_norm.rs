//! Twin of `shaders/layer_norm.wgsl` (Ba et al. 2016).

use super::reduce::{dot, sum_of};
use super::tiles::room;
use crate::backend::NormSize;
use klimb_numerics::real::Real;

/// Added to the variance.
const EPSILON: f64 = 1e-5;

/// `out = x̂·gain + bias` with x̂ = (x − mean)·rstd; `moments` gets mean and rstd of each row.
#[inline(always)]
pub fn layer_norm_forward<F: Real>(size: NormSize, x: &[F], weights: &[F], out: &mut [F], moments: &mut [F]) {
    let NormSize { rows, width, .. } = size;
    let (gain, bias) = (&weights[..width], &weights[width..2 * width]);
    let per_width = F::of(1.0 / width as f64);
    for row in 0..rows {
        let (x, out) = (&x[row * width..][..width], &mut out[row * width..][..width]);
        let mean = sum_of(x, |value| value) * per_width;
        let variance = sum_of(x, |value| (value - mean) * (value - mean)) * per_width;
        let rstd = F::one() / (variance + F::of(EPSILON)).sqrt();
        for column in 0..width {
            out[column] = (x[column] - mean) * rstd * gain[column] + bias[column];
        }
        moments[2 * row] = mean;
        moments[2 * row + 1] = rstd;
    }
}

/// `dx (+)= rstd·(g − mean(g) − x̂·mean(g·x̂))`, g = dout·gain.
#[inline(always)]
pub fn layer_norm_backward<F: Real>(
    size: NormSize,
    x: &[F],
    weights: &[F],
    moments: &[F],
    dout: &[F],
    dx: &mut [F],
    scratch: &mut Vec<F>,
) {
    let NormSize { rows, width, .. } = size;
    let gain = &weights[..width];
    let per_width = F::of(1.0 / width as f64);
    let (g, normed) = room(scratch, 2 * width).split_at_mut(width);
    for row in 0..rows {
        let (x, dout) = (&x[row * width..][..width], &dout[row * width..][..width]);
        let (mean, rstd) = (moments[2 * row], moments[2 * row + 1]);
        for column in 0..width {
            g[column] = dout[column] * gain[column];
            normed[column] = (x[column] - mean) * rstd;
        }
        let g_mean = sum_of(g, |value| value) * per_width;
        let g_normed_mean = dot(g, normed) * per_width;
        for (column, dx) in dx[row * width..][..width].iter_mut().enumerate() {
            let before = if size.accumulate { *dx } else { F::zero() };
            *dx = before + rstd * (g[column] - g_mean - normed[column] * g_normed_mean);
        }
    }
}

/// `dgain += Σ dout·x̂`, `dbias += Σ dout`.
#[inline(always)]
pub fn layer_norm_backward_weights<F: Real>(size: NormSize, x: &[F], moments: &[F], dout: &[F], dweights: &mut [F]) {
    let NormSize { rows, width, .. } = size;
    let (dgain, dbias) = dweights[..2 * width].split_at_mut(width);
    for row in 0..rows {
        let (x, dout) = (&x[row * width..][..width], &dout[row * width..][..width]);
        let (mean, rstd) = (moments[2 * row], moments[2 * row + 1]);
        for column in 0..width {
            dgain[column] += dout[column] * (x[column] - mean) * rstd;
            dbias[column] += dout[column];
        }
    }
}
