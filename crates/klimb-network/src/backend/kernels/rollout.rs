//! `rollout.wgsl`: what a rollout leaves behind, gathered for one read.

use super::kernel::{Dispatch, Twin, kernels, words};
use crate::backend::Kernels;
use crate::backend::cpu::Cpu;
use crate::backend::declaration::{Field, Field::U32, INDEX, Shader, shader};
use klimb_numerics::real::Real;

const SHADER: &Shader = &shader!("rollout.wgsl", [INDEX]);

kernels! {
    /// Write: `record` of (7, rows), so that one read brings all that a rollout leaves: tokens, as reals | logprobs |
    /// entropies | reference logprobs | KL per token | values | scores.
    #[entry_point("record_rollout", SHADER, workgroup: [64, 1], grid: Items)]
    pub struct RecordRollout<'a, K> {
        /// Tokens.
        pub rows: usize,
        /// (rows).
        #[binding(1, Read)]
        pub tokens: &'a K::Integers,
        /// (3, rows), as [`LogprobsForward`](super::LogprobsForward) leaves them.
        #[binding(2, Read)]
        pub numbers: &'a K::Floats,
        /// (3, rows), likewise.
        #[binding(3, Read)]
        pub reference_numbers: &'a K::Floats,
        /// (rows).
        #[binding(4, Read)]
        pub kl_per_token: &'a K::Floats,
        /// (rows).
        #[binding(5, Read)]
        pub values: &'a K::Floats,
        /// (rows).
        #[binding(6, Read)]
        pub scores: &'a K::Floats,
        /// (7, rows).
        #[binding(7, Write)]
        pub record: &'a mut K::Floats,
    }
}

impl<K: Kernels> Dispatch for RecordRollout<'_, K> {
    const UNIFORMS: &'static [Field] = &[U32("rows")];

    fn uniforms(&self) -> impl AsRef<[u32]> {
        words([self.rows])
    }

    fn items(&self, _is_software: bool) -> usize {
        self.rows
    }
}

impl<F: Real> Twin for RecordRollout<'_, Cpu<F>> {
    type Real = F;

    #[inline(always)]
    fn compute(self, _scratch: &mut Vec<F>) {
        let Self { rows, tokens, numbers, reference_numbers, kl_per_token, values, scores, record } = self;
        for (number, &token) in record[..rows].iter_mut().zip(tokens) {
            *number = F::of(f64::from(token));
        }
        let sources = [&numbers[..rows], &numbers[rows..2 * rows], reference_numbers, kl_per_token, values, scores];
        for (column, source) in record[rows..7 * rows].chunks_exact_mut(rows).zip(sources) {
            column.copy_from_slice(&source[..rows]);
        }
    }
}
