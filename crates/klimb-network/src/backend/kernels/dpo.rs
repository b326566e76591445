//! `objectives/dpo.wgsl`: the loss of direct preference optimisation and of its relatives.

use super::kernel::{Dispatch, Twin, kernels, words};
use crate::backend::cpu::Cpu;
use crate::backend::declaration::{Field, Field::U32, INDEX, ORDER, Shader, shader};
use crate::backend::{At, Kernels};
use crate::objectives::{self, DpoLoss};
use klimb_numerics::real::Real;

const SHADER: &Shader = &shader!("objectives/dpo.wgsl", [INDEX, ORDER]);

kernels! {
    /// Write: DPO's loss or a relative of it and its gradient, [`objectives::dpo`], on P pairs.
    #[entry_point("dpo", SHADER, workgroup: [64, 1], grid: Items)]
    pub struct Dpo<'a, K> {
        /// P.
        pub pairs: usize,
        /// The shape of the loss.
        pub loss: DpoLoss,
        /// (2, P): of the chosen completions, then of the rejected.
        #[binding(1, Read)]
        pub sequence_logprobs: &'a K::Floats,
        /// (2, P): the same under the reference.
        #[binding(2, Read)]
        pub references: At<'a, K::Floats>,
        /// β, label smoothing.
        #[binding(3, Read)]
        pub settings: At<'a, K::Floats>,
        /// (2, P), of the mean loss.
        #[binding(4, Write)]
        pub dsequence_logprobs: &'a mut K::Floats,
        /// (6, P): losses, chosen rewards, rejected rewards, accuracies, chosen logprobs, rejected logprobs.
        #[binding(5, Write)]
        pub statistics: &'a mut K::Floats,
    }
}

impl<K: Kernels> Dispatch for Dpo<'_, K> {
    const UNIFORMS: &'static [Field] = &[U32("pairs"), U32("loss"), U32("references_offset"), U32("settings_offset")];

    fn uniforms(&self) -> impl AsRef<[u32]> {
        words([self.pairs, self.loss as usize, self.references.offset, self.settings.offset])
    }

    fn items(&self, _is_software: bool) -> usize {
        self.pairs
    }
}

impl<F: Real> Twin for Dpo<'_, Cpu<F>> {
    type Real = F;

    #[inline(always)]
    fn compute(self, _scratch: &mut Vec<F>) {
        let Self { pairs, loss, sequence_logprobs, references, settings, dsequence_logprobs, statistics } = self;
        let (beta, label_smoothing) = (settings.slice()[0], settings.slice()[1]);
        objectives::dpo(
            loss,
            beta,
            label_smoothing,
            &sequence_logprobs[..2 * pairs],
            &references.slice()[..2 * pairs],
            &mut dsequence_logprobs[..2 * pairs],
            &mut statistics[..6 * pairs],
        );
    }
}
