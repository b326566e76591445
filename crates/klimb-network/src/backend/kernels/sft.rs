//! `objectives/sft.wgsl`: the loss of supervised fine-tuning.

use super::kernel::{Dispatch, Twin, kernels, words};
use crate::backend::cpu::Cpu;
use crate::backend::declaration::{Field, Field::U32, INDEX, Shader, shader};
use crate::backend::{At, Kernels};
use crate::objectives;
use klimb_numerics::real::Real;

const SHADER: &Shader = &shader!("objectives/sft.wgsl", [INDEX]);

kernels! {
    /// Write: SFT's loss and its gradient, [`objectives::sft`].
    #[entry_point("sft", SHADER, workgroup: [64, 1], grid: Items)]
    pub struct Sft<'a, K> {
        /// Tokens.
        pub rows: usize,
        /// log π of the tokens, the first `rows` numbers.
        #[binding(1, Read)]
        pub logprobs: &'a K::Floats,
        /// (rows): the mask divided by what the loss is averaged over.
        #[binding(2, Read)]
        pub weights: At<'a, K::Floats>,
        /// Gets `rows` numbers.
        #[binding(3, Write)]
        pub dlogprobs: &'a mut K::Floats,
        /// (1, rows): the summands of the loss.
        #[binding(4, Write)]
        pub statistics: &'a mut K::Floats,
    }
}

impl<K: Kernels> Dispatch for Sft<'_, K> {
    const UNIFORMS: &'static [Field] = &[U32("rows"), U32("weights_offset")];

    fn uniforms(&self) -> impl AsRef<[u32]> {
        words([self.rows, self.weights.offset])
    }

    fn items(&self, _is_software: bool) -> usize {
        self.rows
    }
}

impl<F: Real> Twin for Sft<'_, Cpu<F>> {
    type Real = F;

    #[inline(always)]
    fn compute(self, _scratch: &mut Vec<F>) {
        let Self { rows, logprobs, weights, dlogprobs, statistics } = self;
        let weights = &weights.slice()[..rows];
        objectives::sft(&logprobs[..rows], weights, &mut dlogprobs[..rows], &mut statistics[..rows]);
    }
}
