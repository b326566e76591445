//! `optimiser.wgsl`: the gradient's norm, the line of metrics, and AdamW.

use super::kernel::{Dispatch, Twin, kernels, words};
use crate::backend::cpu::Cpu;
use crate::backend::cpu::reduce::{dot, sum_of};
use crate::backend::declaration::{
    Field,
    Field::{F32, U32},
    REDUCE, Shader, shader,
};
use crate::backend::{At, Kernels};
use klimb_numerics::real::Real;

const SHADER: &Shader = &shader!("optimiser.wgsl", [REDUCE]);

/// Partial sums that [`SquaredNorm`] writes.
pub const NORM_PARTIALS: usize = 64;

/// Sizes of one line of metrics.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MetricsSize {
    /// Items (tokens, pairs) each statistic has.
    pub items: usize,
    /// Statistics; column c is `statistics[c·items ..]`.
    pub columns: usize,
    /// Partial sums of the squared gradient norm.
    pub partials: usize,
}

/// What AdamW is told besides the gradients (Loshchilov and Hutter 2019).
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct AdamwSize {
    /// Parameters.
    pub len: usize,
    /// Partial sums of the squared gradient norm.
    pub partials: usize,
    /// β₁.
    pub beta1: f32,
    /// β₂.
    pub beta2: f32,
    /// Added to the root of the second moment, as PyTorch does it (after bias correction).
    pub epsilon: f32,
    /// Decoupled weight decay, on every parameter.
    pub weight_decay: f32,
    /// Gradients longer than this are scaled down to it; infinity never clips.
    pub max_norm: f32,
}

kernels! {
    /// Write: partial sums of squares, one for each of [`NORM_PARTIALS`] stretches. Their sum is the squared L2 norm.
    #[entry_point("squared_norm", SHADER, workgroup: [64, 1], grid: Covers(1, 1))]
    pub struct SquaredNorm<'a, K> {
        /// Numbers.
        pub len: usize,
        /// The first `len` of them count.
        #[binding(1, Read)]
        pub values: &'a K::Floats,
        /// ([`NORM_PARTIALS`]).
        #[binding(2, Write)]
        pub partials: &'a mut K::Floats,
    }

    /// Write: one line of `metrics`: the sum of each statistic, then the gradient's L2 norm. Readback can wait for many steps.
    #[entry_point("record_metrics", SHADER, workgroup: [64, 1], grid: Covers(1, 1))]
    pub struct RecordMetrics<'a, K> {
        /// Sizes.
        pub size: MetricsSize,
        /// (columns, items).
        #[binding(3, Read)]
        pub statistics: &'a K::Floats,
        /// Partial sums of the squared norm.
        #[binding(2, Read)]
        pub partials: &'a K::Floats,
        /// The line's number, its slot.
        #[binding(4, Read)]
        pub settings: At<'a, K::Floats>,
        /// (slots, columns + 1).
        #[binding(5, Write)]
        pub metrics: &'a mut K::Floats,
    }

    /// One update by AdamW in place, ε outside the bias-corrected root as in PyTorch. Scales gradients by
    /// min(1, max_norm/norm) first, leaves them at zero, and leaves everything else alone if the norm is not finite.
    #[entry_point("adamw", SHADER, workgroup: [64, 1], grid: Covers(512, 1))]
    pub struct Adamw<'a, K> {
        /// Sizes and constants.
        pub size: AdamwSize,
        /// Learning rate, 1 − β₁ᵗ, 1 − β₂ᵗ.
        #[binding(4, Read)]
        pub settings: At<'a, K::Floats>,
        /// Partial sums of the squared norm.
        #[binding(2, Read)]
        pub partials: &'a K::Floats,
        /// (len).
        #[binding(6, Add)]
        pub parameters: &'a mut K::Floats,
        /// (len).
        #[binding(7, Add)]
        pub gradients: &'a mut K::Floats,
        /// (len), means of the gradients.
        #[binding(8, Add)]
        pub first_moments: &'a mut K::Floats,
        /// (len), means of their squares.
        #[binding(9, Add)]
        pub second_moments: &'a mut K::Floats,
    }
}

impl<K: Kernels> Dispatch for SquaredNorm<'_, K> {
    const UNIFORMS: &'static [Field] = &[U32("len")];

    fn uniforms(&self) -> impl AsRef<[u32]> {
        words([self.len])
    }

    fn items(&self, _is_software: bool) -> usize {
        NORM_PARTIALS
    }
}

impl<K: Kernels> Dispatch for RecordMetrics<'_, K> {
    const UNIFORMS: &'static [Field] = &[U32("items"), U32("columns"), U32("partials"), U32("settings_offset")];

    fn uniforms(&self) -> impl AsRef<[u32]> {
        let MetricsSize { items, columns, partials } = self.size;
        words([items, columns, partials, self.settings.offset])
    }

    fn items(&self, _is_software: bool) -> usize {
        1
    }
}

impl<K: Kernels> Dispatch for Adamw<'_, K> {
    const UNIFORMS: &'static [Field] = &[
        U32("len"),
        U32("partials"),
        F32("beta1"),
        F32("beta2"),
        F32("epsilon"),
        F32("weight_decay"),
        F32("max_norm"),
        U32("settings_offset"),
    ];

    fn uniforms(&self) -> impl AsRef<[u32]> {
        let AdamwSize { len, partials, beta1, beta2, epsilon, weight_decay, max_norm } = self.size;
        let [len, partials, settings_offset] = words([len, partials, self.settings.offset]);
        // WGSL knows no infinity; no finite norm exceeds the largest f32 either.
        let [beta1, beta2, epsilon, weight_decay, max_norm] =
            [beta1, beta2, epsilon, weight_decay, max_norm.min(f32::MAX)].map(f32::to_bits);
        [len, partials, beta1, beta2, epsilon, weight_decay, max_norm, settings_offset]
    }

    fn items(&self, _is_software: bool) -> usize {
        self.size.len
    }
}

impl<F: Real> Twin for SquaredNorm<'_, Cpu<F>> {
    type Real = F;

    #[inline(always)]
    fn compute(self, _scratch: &mut Vec<F>) {
        let Self { len, values, partials } = self;
        let stretch = len.div_ceil(NORM_PARTIALS).max(1);
        partials[..NORM_PARTIALS].fill(F::zero());
        for (partial, values) in partials.iter_mut().zip(values[..len].chunks(stretch)) {
            *partial = dot(values, values);
        }
    }
}

impl<F: Real> Twin for RecordMetrics<'_, Cpu<F>> {
    type Real = F;

    #[inline(always)]
    fn compute(self, _scratch: &mut Vec<F>) {
        let Self { size: MetricsSize { items, columns, partials: partial_count }, statistics, partials, .. } = self;
        let slot = self.settings.slice()[0].to_f64() as usize;
        let line = &mut self.metrics[slot * (columns + 1)..][..columns + 1];
        for (column, sum) in line[..columns].iter_mut().enumerate() {
            *sum = sum_of(&statistics[column * items..][..items], |value| value);
        }
        line[columns] = sum_of(&partials[..partial_count], |value| value).sqrt();
    }
}

impl<F: Real> Twin for Adamw<'_, Cpu<F>> {
    type Real = F;

    #[inline(always)]
    fn compute(self, _scratch: &mut Vec<F>) {
        let Self { size, partials, parameters, gradients, first_moments, second_moments, .. } = self;
        let AdamwSize { len, partials: partial_count, .. } = size;
        let settings = self.settings.slice();
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
        let moments = first_moments[..len].iter_mut().zip(&mut second_moments[..len]);
        let parameters = parameters[..len].iter_mut().zip(&mut gradients[..len]);
        for ((parameter, gradient), (first, second)) in parameters.zip(moments) {
            let clipped = *gradient * clip;
            *first = beta1 * *first + (F::one() - beta1) * clipped;
            *second = beta2 * *second + (F::one() - beta2) * clipped * clipped;
            let step = (*first / correction1) / ((*second / correction2).sqrt() + epsilon);
            *parameter = *parameter * keep - learning_rate * step;
            *gradient = F::zero();
        }
    }
}
