//! `objectives/bradley_terry.wgsl`: the reward model's loss.

use super::kernel::{Dispatch, Twin, kernels, words};
use crate::backend::Kernels;
use crate::backend::cpu::Cpu;
use crate::backend::declaration::{Field, Field::U32, INDEX, LOGISTIC, ORDER, Shader, shader};
use crate::objectives;
use klimb_numerics::real::Real;

const SHADER: &Shader = &shader!("objectives/bradley_terry.wgsl", [INDEX, LOGISTIC, ORDER]);

kernels! {
    /// Write: the reward model's loss and its gradient, [`objectives::bradley_terry`], on P pairs.
    #[entry_point("bradley_terry", SHADER, workgroup: [64, 1], grid: Items)]
    pub struct BradleyTerry<'a, K> {
        /// P.
        pub pairs: usize,
        /// (2, P): of the chosen completions, then of the rejected.
        #[binding(1, Read)]
        pub scores: &'a K::Floats,
        /// (2, P), of the mean loss.
        #[binding(2, Write)]
        pub dscores: &'a mut K::Floats,
        /// (4, P): losses, chosen scores, rejected scores, accuracies.
        #[binding(3, Write)]
        pub statistics: &'a mut K::Floats,
    }
}

impl<K: Kernels> Dispatch for BradleyTerry<'_, K> {
    const UNIFORMS: &'static [Field] = &[U32("pairs")];

    fn uniforms(&self) -> impl AsRef<[u32]> {
        words([self.pairs])
    }

    fn items(&self, _is_software: bool) -> usize {
        self.pairs
    }
}

impl<F: Real> Twin for BradleyTerry<'_, Cpu<F>> {
    type Real = F;

    #[inline(always)]
    fn compute(self, _scratch: &mut Vec<F>) {
        let Self { pairs, scores, dscores, statistics } = self;
        let (dscores, statistics) = (&mut dscores[..2 * pairs], &mut statistics[..4 * pairs]);
        objectives::bradley_terry(&scores[..2 * pairs], dscores, statistics);
    }
}
