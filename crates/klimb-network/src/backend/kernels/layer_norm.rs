//! `layer_norm.wgsl` (Ba et al. 2016), ε = 1e-5. Gain (D), then bias (D), lie at `weights`.

use super::kernel::{Dispatch, Twin, kernels, words};
use crate::backend::cpu::Cpu;
use crate::backend::cpu::reduce::{dot, sum_of};
use crate::backend::cpu::tiles::room;
use crate::backend::declaration::{Field, Field::U32, INDEX, REDUCE, Shader, shader};
use crate::backend::{At, AtMut, Kernels};
use klimb_numerics::real::Real;

const SHADER: &Shader = &shader!("layer_norm.wgsl", [INDEX, REDUCE]);

/// Added to the variance.
const EPSILON: f64 = 1e-5;

/// Sizes of LayerNorm: `rows` vectors of `width`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NormSize {
    /// Vectors.
    pub rows: usize,
    /// D: a multiple of 4 for the shaders, which read it so; offsets likewise.
    pub width: usize,
    /// Whether the backward pass adds to dx, as the residual stream wants, or replaces it.
    pub accumulate: bool,
}

kernels! {
    /// Write: `out = x̂·gain + bias` with x̂ = (x − mean)·rstd.
    #[entry_point("layer_norm_forward", SHADER, workgroup: [64, 1], grid: Items)]
    pub struct LayerNormForward<'a, K> {
        /// Sizes.
        pub size: NormSize,
        /// (rows, D).
        #[binding(1, Read)]
        pub x: &'a K::Floats,
        /// Gain, then bias.
        #[binding(2, Read)]
        pub weights: At<'a, K::Floats>,
        /// (rows, D).
        #[binding(3, Write)]
        pub out: &'a mut K::Floats,
        /// (rows, 2): mean, and rstd = 1/√(variance + ε).
        #[binding(4, Write)]
        pub moments: &'a mut K::Floats,
    }

    /// Add, or Write unless `size.accumulate`: `dx += rstd·(g − mean(g) − x̂·mean(g·x̂))` with g = dout·gain.
    #[entry_point("layer_norm_backward", SHADER, workgroup: [64, 1], grid: Items)]
    pub struct LayerNormBackward<'a, K> {
        /// Sizes.
        pub size: NormSize,
        /// (rows, D).
        #[binding(1, Read)]
        pub x: &'a K::Floats,
        /// Gain, then bias.
        #[binding(2, Read)]
        pub weights: At<'a, K::Floats>,
        /// (rows, 2), from the forward pass.
        #[binding(4, Read)]
        pub moments: &'a K::Floats,
        /// (rows, D).
        #[binding(5, Read)]
        pub dout: &'a K::Floats,
        /// (rows, D).
        #[binding(6, Add)]
        pub dx: &'a mut K::Floats,
    }

    /// Add: `dgain += Σ dout·x̂`, then `dbias += Σ dout`.
    #[entry_point("layer_norm_backward_weights", SHADER, workgroup: [64, 1], grid: Covers(1, 1))]
    pub struct LayerNormBackwardWeights<'a, K> {
        /// Sizes.
        pub size: NormSize,
        /// (rows, D).
        #[binding(1, Read)]
        pub x: &'a K::Floats,
        /// (rows, 2), from the forward pass.
        #[binding(4, Read)]
        pub moments: &'a K::Floats,
        /// (rows, D).
        #[binding(5, Read)]
        pub dout: &'a K::Floats,
        /// The gradients of gain, then bias.
        #[binding(7, Add)]
        pub dweights: AtMut<'a, K::Floats>,
    }
}

const UNIFORMS: &[Field] = &[U32("rows"), U32("width"), U32("accumulate"), U32("weights_offset")];

impl NormSize {
    fn words(self, weights_offset: usize) -> [u32; 4] {
        let in_fours = self.width.is_multiple_of(4) && weights_offset.is_multiple_of(4);
        assert!(in_fours, "norm: a width of {} at {weights_offset}, no multiples of 4", self.width);
        words([self.rows, self.width, usize::from(self.accumulate), weights_offset])
    }
}

impl<K: Kernels> Dispatch for LayerNormForward<'_, K> {
    const UNIFORMS: &'static [Field] = UNIFORMS;

    fn uniforms(&self) -> impl AsRef<[u32]> {
        self.size.words(self.weights.offset)
    }

    fn items(&self, _is_software: bool) -> usize {
        self.size.rows
    }
}

impl<K: Kernels> Dispatch for LayerNormBackward<'_, K> {
    const UNIFORMS: &'static [Field] = UNIFORMS;

    fn uniforms(&self) -> impl AsRef<[u32]> {
        self.size.words(self.weights.offset)
    }

    fn items(&self, _is_software: bool) -> usize {
        self.size.rows
    }
}

impl<K: Kernels> Dispatch for LayerNormBackwardWeights<'_, K> {
    const UNIFORMS: &'static [Field] = UNIFORMS;

    fn uniforms(&self) -> impl AsRef<[u32]> {
        self.size.words(self.dweights.offset)
    }

    fn items(&self, _is_software: bool) -> usize {
        self.size.width
    }
}

impl<F: Real> Twin for LayerNormForward<'_, Cpu<F>> {
    type Real = F;

    #[inline(always)]
    fn compute(self, _scratch: &mut Vec<F>) {
        let NormSize { rows, width, .. } = self.size;
        let (x, weights, out, moments) = (&self.x[..], self.weights.slice(), &mut self.out[..], &mut self.moments[..]);
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
}

impl<F: Real> Twin for LayerNormBackward<'_, Cpu<F>> {
    type Real = F;

    #[inline(always)]
    fn compute(self, scratch: &mut Vec<F>) {
        let NormSize { rows, width, accumulate } = self.size;
        let (x, moments, dout, dx) = (&self.x[..], &self.moments[..], &self.dout[..], &mut self.dx[..]);
        let gain = &self.weights.slice()[..width];
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
                let before = if accumulate { *dx } else { F::zero() };
                *dx = before + rstd * (g[column] - g_mean - normed[column] * g_normed_mean);
            }
        }
    }
}

impl<F: Real> Twin for LayerNormBackwardWeights<'_, Cpu<F>> {
    type Real = F;

    #[inline(always)]
    fn compute(self, _scratch: &mut Vec<F>) {
        let NormSize { rows, width, .. } = self.size;
        let (x, moments, dout) = (&self.x[..], &self.moments[..], &self.dout[..]);
        let (dgain, dbias) = self.dweights.slice()[..2 * width].split_at_mut(width);
        for row in 0..rows {
            let (x, dout) = (&x[row * width..][..width], &dout[row * width..][..width]);
            let (mean, rstd) = (moments[2 * row], moments[2 * row + 1]);
            for column in 0..width {
                dgain[column] += dout[column] * (x[column] - mean) * rstd;
                dbias[column] += dout[column];
            }
        }
    }
}
