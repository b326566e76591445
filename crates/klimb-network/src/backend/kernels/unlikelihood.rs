//! `objectives/unlikelihood.wgsl`: the loss of unlikelihood training.

use super::kernel::{Dispatch, Twin, bits, kernels, words};
use crate::backend::Kernels;
use crate::backend::cpu::Cpu;
use crate::backend::declaration::{Field, Field::F32, Field::U32, INDEX, ORDER, Shader, shader};
use crate::objectives;
use klimb_numerics::real::Real;

const SHADER: &Shader = &shader!("objectives/unlikelihood.wgsl", [INDEX, ORDER]);

kernels! {
    /// Write: the loss of unlikelihood and its gradient, [`objectives::unlikelihood`], on P pairs.
    #[entry_point("unlikelihood", SHADER, workgroup: [64, 1], grid: Items)]
    pub struct Unlikelihood<'a, K> {
        /// P.
        pub pairs: usize,
        /// α, the weight of pushing the rejected down.
        pub alpha: f64,
        /// (2, P): of the chosen completions, then of the rejected.
        #[binding(1, Read)]
        pub sequence_logprobs: &'a K::Floats,
        /// (2, P), of the mean loss.
        #[binding(2, Write)]
        pub dsequence_logprobs: &'a mut K::Floats,
        /// (4, P): losses, accuracies, chosen logprobs, rejected logprobs.
        #[binding(3, Write)]
        pub statistics: &'a mut K::Floats,
    }
}

impl<K: Kernels> Dispatch for Unlikelihood<'_, K> {
    const UNIFORMS: &'static [Field] = &[U32("pairs"), F32("alpha")];

    fn uniforms(&self) -> impl AsRef<[u32]> {
        let ([pairs], [alpha]) = (words([self.pairs]), bits([self.alpha]));
        [pairs, alpha]
    }

    fn items(&self, _is_software: bool) -> usize {
        self.pairs
    }
}

impl<F: Real> Twin for Unlikelihood<'_, Cpu<F>> {
    type Real = F;

    #[inline(always)]
    fn compute(self, _scratch: &mut Vec<F>) {
        let Self { pairs, alpha, sequence_logprobs, dsequence_logprobs, statistics } = self;
        objectives::unlikelihood(
            F::of(alpha),
            &sequence_logprobs[..2 * pairs],
            &mut dsequence_logprobs[..2 * pairs],
            &mut statistics[..4 * pairs],
        );
    }
}
