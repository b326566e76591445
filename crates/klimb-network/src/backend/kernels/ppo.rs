//! `objectives/ppo.wgsl`: the losses of proximal policy optimisation, of `rows` tokens that begin at `first` in each column of
//! the network's numbers.

use super::kernel::{Dispatch, Twin, bits, kernels, words};
use crate::backend::cpu::Cpu;
use crate::backend::declaration::{Field, Field::F32, Field::U32, INDEX, Shader, shader};
use crate::backend::{At, AtMut, Kernels};
use crate::objectives::{self, PPO_POLICY_COLUMNS, PPO_VALUE_COLUMNS, PpoPolicyBatch, PpoValueBatch};
use klimb_numerics::real::Real;

const SHADER: &Shader = &shader!("objectives/ppo.wgsl", [INDEX]);

/// Where the rows of a minibatch of PPO lie in a batch, which may hold more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PpoSize {
    /// Tokens of the minibatch.
    pub rows: usize,
    /// The first of them in each column of the network's numbers.
    pub first: usize,
    /// From one such column to the next: the batch's tokens.
    pub stride: usize,
}

kernels! {
    /// Write: PPO's policy loss and its gradients, [`objectives::ppo_policy`].
    #[entry_point("ppo_policy", SHADER, workgroup: [64, 1], grid: Items)]
    pub struct PpoPolicy<'a, K> {
        /// Which rows.
        pub size: PpoSize,
        /// How far the ratio π/π_old may leave 1.
        pub clip_range: f64,
        /// Weight of the entropy bonus.
        pub entropy_coefficient: f64,
        /// (3, stride), as [`LogprobsForward`](super::LogprobsForward) leaves them.
        #[binding(1, Read)]
        pub numbers: &'a K::Floats,
        /// (rows).
        #[binding(2, Read)]
        pub weights: At<'a, K::Floats>,
        /// (2, rows): old logprobs, advantages.
        #[binding(3, Read)]
        pub rollout: At<'a, K::Floats>,
        /// (2, stride): dlogprobs | dentropies, of these rows alone.
        #[binding(4, Write)]
        pub dnumbers: &'a mut K::Floats,
        /// (7, rows): policy loss, k1, k2, k3, clip fraction, ratio, entropy.
        #[binding(5, Write)]
        pub statistics: AtMut<'a, K::Floats>,
    }

    /// Write: PPO's value loss and its gradient, [`objectives::ppo_value`].
    #[entry_point("ppo_value", SHADER, workgroup: [64, 1], grid: Items)]
    pub struct PpoValue<'a, K> {
        /// Which rows.
        pub size: PpoSize,
        /// How far a value may leave its old one.
        pub clip_range: f64,
        /// Weight of the value loss.
        pub value_coefficient: f64,
        /// (stride).
        #[binding(6, Read)]
        pub values: &'a K::Floats,
        /// (rows).
        #[binding(2, Read)]
        pub weights: At<'a, K::Floats>,
        /// (2, rows): old values, returns.
        #[binding(3, Read)]
        pub rollout: At<'a, K::Floats>,
        /// (stride), of these rows alone.
        #[binding(7, Write)]
        pub dvalues: &'a mut K::Floats,
        /// (2, rows): value loss, clip fraction.
        #[binding(5, Write)]
        pub statistics: AtMut<'a, K::Floats>,
    }
}

const UNIFORMS: &[Field] = &[
    U32("rows"),
    U32("first"),
    U32("stride"),
    U32("weights_offset"),
    U32("rollout_offset"),
    U32("statistics_offset"),
    F32("clip_range"),
    F32("coefficient"),
];

impl PpoSize {
    /// The uniform block. `offsets`: of weights, rollout and statistics. `settings`: the clip range, and the coefficient of
    /// what else is in the kernel's loss.
    fn words(self, offsets: [usize; 3], settings: [f64; 2]) -> [u32; 8] {
        let [weights, rollout, statistics] = offsets;
        let [rows, first, stride, weights, rollout, statistics] =
            words([self.rows, self.first, self.stride, weights, rollout, statistics]);
        let [clip_range, coefficient] = bits(settings);
        [rows, first, stride, weights, rollout, statistics, clip_range, coefficient]
    }
}

impl<K: Kernels> Dispatch for PpoPolicy<'_, K> {
    const UNIFORMS: &'static [Field] = UNIFORMS;

    fn uniforms(&self) -> impl AsRef<[u32]> {
        let Self { size, clip_range, entropy_coefficient, weights, rollout, statistics, .. } = self;
        size.words([weights.offset, rollout.offset, statistics.offset], [*clip_range, *entropy_coefficient])
    }

    fn items(&self, _is_software: bool) -> usize {
        self.size.rows
    }
}

impl<K: Kernels> Dispatch for PpoValue<'_, K> {
    const UNIFORMS: &'static [Field] = UNIFORMS;

    fn uniforms(&self) -> impl AsRef<[u32]> {
        let Self { size, clip_range, value_coefficient, weights, rollout, statistics, .. } = self;
        size.words([weights.offset, rollout.offset, statistics.offset], [*clip_range, *value_coefficient])
    }

    fn items(&self, _is_software: bool) -> usize {
        self.size.rows
    }
}

impl<F: Real> Twin for PpoPolicy<'_, Cpu<F>> {
    type Real = F;

    #[inline(always)]
    fn compute(self, _scratch: &mut Vec<F>) {
        let Self { size: PpoSize { rows, first, stride }, numbers, weights, dnumbers, statistics, .. } = self;
        let (clip_range, entropy_coefficient) = (F::of(self.clip_range), F::of(self.entropy_coefficient));
        let rollout = self.rollout.slice();
        let batch = PpoPolicyBatch {
            weights: &weights.slice()[..rows],
            logprobs: &numbers[first..first + rows],
            entropies: &numbers[stride + first..][..rows],
            old_logprobs: &rollout[..rows],
            advantages: &rollout[rows..2 * rows],
        };
        let (dlogprobs, dentropies) = dnumbers.split_at_mut(stride);
        let (dlogprobs, dentropies) = (&mut dlogprobs[first..first + rows], &mut dentropies[first..first + rows]);
        let statistics = &mut statistics.slice()[..PPO_POLICY_COLUMNS * rows];
        objectives::ppo_policy(clip_range, entropy_coefficient, batch, dlogprobs, dentropies, statistics);
    }
}

impl<F: Real> Twin for PpoValue<'_, Cpu<F>> {
    type Real = F;

    #[inline(always)]
    fn compute(self, _scratch: &mut Vec<F>) {
        let Self { size: PpoSize { rows, first, .. }, values, weights, dvalues, statistics, .. } = self;
        let (clip_range, value_coefficient) = (F::of(self.clip_range), F::of(self.value_coefficient));
        let rollout = self.rollout.slice();
        let batch = PpoValueBatch {
            weights: &weights.slice()[..rows],
            values: &values[first..first + rows],
            old_values: &rollout[..rows],
            returns: &rollout[rows..2 * rows],
        };
        let statistics = &mut statistics.slice()[..PPO_VALUE_COLUMNS * rows];
        objectives::ppo_value(clip_range, value_coefficient, batch, &mut dvalues[first..first + rows], statistics);
    }
}
