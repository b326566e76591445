//! `objectives/ppo.wgsl`: the losses of proximal policy optimisation, of `rows` tokens that begin at `first` in each column of
//! the network's numbers.

use super::kernel::{Dispatch, Twin, kernels, words};
use crate::backend::cpu::Cpu;
use crate::backend::declaration::{Field, Field::U32, INDEX, Shader, shader};
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
        /// (3, stride), as [`LogprobsForward`](super::LogprobsForward) leaves them.
        #[binding(1, Read)]
        pub numbers: &'a K::Floats,
        /// (rows).
        #[binding(2, Read)]
        pub weights: At<'a, K::Floats>,
        /// (2, rows): old logprobs, advantages.
        #[binding(3, Read)]
        pub rollout: At<'a, K::Floats>,
        /// Clip range, entropy coefficient.
        #[binding(4, Read)]
        pub settings: At<'a, K::Floats>,
        /// (2, stride): dlogprobs | dentropies, of these rows alone.
        #[binding(5, Write)]
        pub dnumbers: &'a mut K::Floats,
        /// (7, rows): policy loss, k1, k2, k3, clip fraction, ratio, entropy.
        #[binding(6, Write)]
        pub statistics: AtMut<'a, K::Floats>,
    }

    /// Write: PPO's value loss and its gradient, [`objectives::ppo_value`].
    #[entry_point("ppo_value", SHADER, workgroup: [64, 1], grid: Items)]
    pub struct PpoValue<'a, K> {
        /// Which rows.
        pub size: PpoSize,
        /// (stride).
        #[binding(7, Read)]
        pub values: &'a K::Floats,
        /// (rows).
        #[binding(2, Read)]
        pub weights: At<'a, K::Floats>,
        /// (2, rows): old values, returns.
        #[binding(3, Read)]
        pub rollout: At<'a, K::Floats>,
        /// Value clip range, value coefficient.
        #[binding(4, Read)]
        pub settings: At<'a, K::Floats>,
        /// (stride), of these rows alone.
        #[binding(8, Write)]
        pub dvalues: &'a mut K::Floats,
        /// (2, rows): value loss, clip fraction.
        #[binding(6, Write)]
        pub statistics: AtMut<'a, K::Floats>,
    }
}

const UNIFORMS: &[Field] = &[
    U32("rows"),
    U32("first"),
    U32("stride"),
    U32("weights_offset"),
    U32("rollout_offset"),
    U32("settings_offset"),
    U32("statistics_offset"),
];

impl PpoSize {
    /// `offsets`: of weights, rollout, settings and statistics.
    fn words(self, offsets: [usize; 4]) -> [u32; 7] {
        let [weights, rollout, settings, statistics] = offsets;
        words([self.rows, self.first, self.stride, weights, rollout, settings, statistics])
    }
}

impl<K: Kernels> Dispatch for PpoPolicy<'_, K> {
    const UNIFORMS: &'static [Field] = UNIFORMS;

    fn uniforms(&self) -> impl AsRef<[u32]> {
        let Self { size, weights, rollout, settings, statistics, .. } = self;
        size.words([weights.offset, rollout.offset, settings.offset, statistics.offset])
    }

    fn items(&self, _is_software: bool) -> usize {
        self.size.rows
    }
}

impl<K: Kernels> Dispatch for PpoValue<'_, K> {
    const UNIFORMS: &'static [Field] = UNIFORMS;

    fn uniforms(&self) -> impl AsRef<[u32]> {
        let Self { size, weights, rollout, settings, statistics, .. } = self;
        size.words([weights.offset, rollout.offset, settings.offset, statistics.offset])
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
        let (rollout, settings) = (self.rollout.slice(), self.settings.slice());
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
        objectives::ppo_policy(settings[0], settings[1], batch, dlogprobs, dentropies, statistics);
    }
}

impl<F: Real> Twin for PpoValue<'_, Cpu<F>> {
    type Real = F;

    #[inline(always)]
    fn compute(self, _scratch: &mut Vec<F>) {
        let Self { size: PpoSize { rows, first, .. }, values, weights, dvalues, statistics, .. } = self;
        let (rollout, settings) = (self.rollout.slice(), self.settings.slice());
        let batch = PpoValueBatch {
            weights: &weights.slice()[..rows],
            values: &values[first..first + rows],
            old_values: &rollout[..rows],
            returns: &rollout[rows..2 * rows],
        };
        let statistics = &mut statistics.slice()[..PPO_VALUE_COLUMNS * rows];
        objectives::ppo_value(settings[0], settings[1], batch, &mut dvalues[first..first + rows], statistics);
    }
}
