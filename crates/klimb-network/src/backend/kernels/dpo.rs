//! `objectives/dpo.wgsl`: the loss of direct preference optimisation and of its relatives.

use super::kernel::{Dispatch, Twin, bits, kernels, words};
use crate::backend::cpu::Cpu;
use crate::backend::declaration::{Field, Field::F32, Field::U32, INDEX, ORDER, Shader, shader};
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
        /// β: high is a short leash.
        pub beta: f64,
        /// ε, the probability with which a label is taken to be wrong.
        pub label_smoothing: f64,
        /// (2, P): of the chosen completions, then of the rejected.
        #[binding(1, Read)]
        pub sequence_logprobs: &'a K::Floats,
        /// (2, P): the same under the reference.
        #[binding(2, Read)]
        pub references: At<'a, K::Floats>,
        /// (2, P), of the mean loss.
        #[binding(3, Write)]
        pub dsequence_logprobs: &'a mut K::Floats,
        /// (6, P): losses, chosen rewards, rejected rewards, accuracies, chosen logprobs, rejected logprobs.
        #[binding(4, Write)]
        pub statistics: &'a mut K::Floats,
    }
}

impl<K: Kernels> Dispatch for Dpo<'_, K> {
    const UNIFORMS: &'static [Field] =
        &[U32("pairs"), U32("loss"), U32("references_offset"), F32("beta"), F32("label_smoothing")];

    fn uniforms(&self) -> impl AsRef<[u32]> {
        let [pairs, loss, references_offset] = words([self.pairs, self.loss as usize, self.references.offset]);
        let [beta, label_smoothing] = bits([self.beta, self.label_smoothing]);
        [pairs, loss, references_offset, beta, label_smoothing]
    }

    fn items(&self, _is_software: bool) -> usize {
        self.pairs
    }
}

impl<F: Real> Twin for Dpo<'_, Cpu<F>> {
    type Real = F;

    #[inline(always)]
    fn compute(self, _scratch: &mut Vec<F>) {
        let Self { pairs, loss, beta, label_smoothing, sequence_logprobs, references, .. } = self;
        let Self { dsequence_logprobs, statistics, .. } = self;
        objectives::dpo(
            loss,
            F::of(beta),
            F::of(label_smoothing),
            &sequence_logprobs[..2 * pairs],
            &references.slice()[..2 * pairs],
            &mut dsequence_logprobs[..2 * pairs],
            &mut statistics[..6 * pairs],
        );
    }
}
