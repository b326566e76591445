//! `logprobs.wgsl`: from logits to the per-token numbers that every objective works on, and back. Per-token numbers are 3
//! columns of `rows`: logprobs | entropies | logsumexps.

use super::kernel::{Dispatch, Twin, kernels, words};
use crate::backend::cpu::Cpu;
use crate::backend::cpu::reduce::{Exponentials, dot, softmax};
use crate::backend::cpu::tiles::room;
use crate::backend::declaration::{Field, Field::U32, INDEX, Shader, shader};
use crate::backend::{At, Kernels};
use klimb_numerics::real::Real;

const SHADER: &Shader = &shader!("logprobs.wgsl", [INDEX]);

/// Sizes of the kernels that turn logits into log-probabilities.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LogitsSize {
    /// Tokens, B·T.
    pub rows: usize,
    /// V.
    pub vocabulary: usize,
}

/// Sizes of per-token numbers, (B, T).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SequenceSize {
    /// Sequences.
    pub batch: usize,
    /// Tokens of each.
    pub length: usize,
}

kernels! {
    /// Write: log p(target), the entropy of p in nats, log Σ exp(logits).
    #[entry_point("logprobs_forward", SHADER, workgroup: [64, 1], grid: Items)]
    pub struct LogprobsForward<'a, K> {
        /// Sizes.
        pub size: LogitsSize,
        /// (rows, V).
        #[binding(1, Read)]
        pub logits: &'a K::Floats,
        /// (rows).
        #[binding(2, Read)]
        pub targets: At<'a, K::Integers>,
        /// (3, rows).
        #[binding(3, Write)]
        pub numbers: &'a mut K::Floats,
    }

    /// Turns `logits` into their gradient in place:
    /// dlogit_j = dlogprob·(1[j = target] − p_j) − dentropy·p_j·(log p_j + entropy).
    #[entry_point("logprobs_backward", SHADER, workgroup: [64, 1], grid: Items)]
    pub struct LogprobsBackward<'a, K> {
        /// Sizes.
        pub size: LogitsSize,
        /// (rows).
        #[binding(2, Read)]
        pub targets: At<'a, K::Integers>,
        /// (3, rows), from the forward pass.
        #[binding(3, Read)]
        pub numbers: &'a K::Floats,
        /// (2, rows): dlogprobs | dentropies.
        #[binding(4, Read)]
        pub dnumbers: &'a K::Floats,
        /// (rows, V).
        #[binding(1, Add)]
        pub logits: &'a mut K::Floats,
    }

    /// Write: Σ_j p_j·(log p_j − log q_j) of each token, p the policy's distribution and q the reference's.
    #[entry_point("kl_forward", SHADER, workgroup: [64, 1], grid: Items)]
    pub struct KlForward<'a, K> {
        /// Sizes.
        pub size: LogitsSize,
        /// (rows, V).
        #[binding(5, Read)]
        pub policy_logits: &'a K::Floats,
        /// (rows, V).
        #[binding(6, Read)]
        pub reference_logits: &'a K::Floats,
        /// (rows).
        #[binding(7, Write)]
        pub kl_per_token: &'a mut K::Floats,
    }

    /// Write: `sequence_logprobs[b] = Σ_t mask[b,t]·logprobs[b,t]`. With values in place of log-probabilities and a mask of
    /// last tokens it picks a reward model's scores.
    #[entry_point("sequence_logprobs_forward", SHADER, workgroup: [64, 1], grid: Items)]
    pub struct SequenceLogprobsForward<'a, K> {
        /// Sizes.
        pub size: SequenceSize,
        /// (B, T), the first B·T numbers.
        #[binding(8, Read)]
        pub logprobs: &'a K::Floats,
        /// (B, T).
        #[binding(9, Read)]
        pub completion_mask: At<'a, K::Floats>,
        /// (B).
        #[binding(10, Write)]
        pub sequence_logprobs: &'a mut K::Floats,
    }

    /// Write: `dlogprobs[b,t] = mask[b,t]·dsequence_logprobs[b]`.
    #[entry_point("sequence_logprobs_backward", SHADER, workgroup: [64, 1], grid: Items)]
    pub struct SequenceLogprobsBackward<'a, K> {
        /// Sizes.
        pub size: SequenceSize,
        /// (B).
        #[binding(11, Read)]
        pub dsequence_logprobs: &'a K::Floats,
        /// (B, T).
        #[binding(9, Read)]
        pub completion_mask: At<'a, K::Floats>,
        /// (B, T), the first B·T numbers.
        #[binding(12, Write)]
        pub dlogprobs: &'a mut K::Floats,
    }
}

const LOGITS: &[Field] = &[U32("rows"), U32("vocabulary"), U32("targets_offset")];
const SEQUENCES: &[Field] = &[U32("batch"), U32("length"), U32("completion_mask_offset")];

impl<K: Kernels> Dispatch for LogprobsForward<'_, K> {
    const UNIFORMS: &'static [Field] = LOGITS;

    fn uniforms(&self) -> impl AsRef<[u32]> {
        words([self.size.rows, self.size.vocabulary, self.targets.offset])
    }

    fn items(&self, _is_software: bool) -> usize {
        self.size.rows
    }
}

impl<K: Kernels> Dispatch for LogprobsBackward<'_, K> {
    const UNIFORMS: &'static [Field] = LOGITS;

    fn uniforms(&self) -> impl AsRef<[u32]> {
        words([self.size.rows, self.size.vocabulary, self.targets.offset])
    }

    fn items(&self, _is_software: bool) -> usize {
        16 * self.size.rows
    }
}

impl<K: Kernels> Dispatch for KlForward<'_, K> {
    const UNIFORMS: &'static [Field] = LOGITS;

    fn uniforms(&self) -> impl AsRef<[u32]> {
        words([self.size.rows, self.size.vocabulary, 0])
    }

    fn items(&self, _is_software: bool) -> usize {
        self.size.rows
    }
}

impl<K: Kernels> Dispatch for SequenceLogprobsForward<'_, K> {
    const UNIFORMS: &'static [Field] = SEQUENCES;

    fn uniforms(&self) -> impl AsRef<[u32]> {
        words([self.size.batch, self.size.length, self.completion_mask.offset])
    }

    fn items(&self, _is_software: bool) -> usize {
        self.size.batch
    }
}

impl<K: Kernels> Dispatch for SequenceLogprobsBackward<'_, K> {
    const UNIFORMS: &'static [Field] = SEQUENCES;

    fn uniforms(&self) -> impl AsRef<[u32]> {
        words([self.size.batch, self.size.length, self.completion_mask.offset])
    }

    fn items(&self, _is_software: bool) -> usize {
        self.size.batch * self.size.length
    }
}

impl<F: Real> Twin for LogprobsForward<'_, Cpu<F>> {
    type Real = F;

    #[inline(always)]
    fn compute(self, scratch: &mut Vec<F>) {
        let LogitsSize { rows, vocabulary } = self.size;
        let (logits, targets) = (&self.logits[..], self.targets.slice());
        let (logprobs, rest) = self.numbers.split_at_mut(rows);
        let (entropies, logsumexps) = rest.split_at_mut(rows);
        let exponentials = room(scratch, vocabulary);
        for (row, logits) in logits[..rows * vocabulary].chunks_exact(vocabulary).enumerate() {
            exponentials.copy_from_slice(logits);
            let Exponentials { total, logsumexp } = softmax(exponentials);
            logprobs[row] = logits[targets[row] as usize] - logsumexp;
            // H = log Σ exp − Σ p·logit
            entropies[row] = logsumexp - dot(exponentials, logits) / total;
            logsumexps[row] = logsumexp;
        }
    }
}

impl<F: Real> Twin for LogprobsBackward<'_, Cpu<F>> {
    type Real = F;

    #[inline(always)]
    fn compute(self, _scratch: &mut Vec<F>) {
        let LogitsSize { rows, vocabulary } = self.size;
        let (targets, numbers, dnumbers) = (self.targets.slice(), &self.numbers[..], &self.dnumbers[..]);
        for (row, logits) in self.logits[..rows * vocabulary].chunks_exact_mut(vocabulary).enumerate() {
            let (entropy, logsumexp) = (numbers[rows + row], numbers[2 * rows + row]);
            let (dlogprob, dentropy) = (dnumbers[row], dnumbers[rows + row]);
            for logit in &mut *logits {
                let logprob = *logit - logsumexp;
                *logit = -logprob.fast_exp() * (dlogprob + dentropy * (logprob + entropy));
            }
            logits[targets[row] as usize] += dlogprob;
        }
    }
}

impl<F: Real> Twin for KlForward<'_, Cpu<F>> {
    type Real = F;

    #[inline(always)]
    fn compute(self, scratch: &mut Vec<F>) {
        let LogitsSize { rows, vocabulary } = self.size;
        let (policy_logits, reference_logits) = (&self.policy_logits[..], &self.reference_logits[..]);
        let kl_per_token = &mut self.kl_per_token[..];
        let (weights, ratios) = room(scratch, 2 * vocabulary).split_at_mut(vocabulary);
        for row in 0..rows {
            let policy = &policy_logits[row * vocabulary..][..vocabulary];
            let reference = &reference_logits[row * vocabulary..][..vocabulary];
            weights.copy_from_slice(reference);
            let reference_total = softmax(weights).logsumexp;
            weights.copy_from_slice(policy);
            let Exponentials { total, logsumexp: policy_total } = softmax(weights);
            for ((ratio, &p), &q) in ratios.iter_mut().zip(policy).zip(reference) {
                *ratio = (p - policy_total) - (q - reference_total);
            }
            let kl = dot(weights, ratios) / total;
            kl_per_token[row] = kl;
        }
    }
}

impl<F: Real> Twin for SequenceLogprobsForward<'_, Cpu<F>> {
    type Real = F;

    #[inline(always)]
    fn compute(self, _scratch: &mut Vec<F>) {
        let SequenceSize { batch, length } = self.size;
        let (logprobs, completion_mask) = (&self.logprobs[..], self.completion_mask.slice());
        for (b, sum) in self.sequence_logprobs[..batch].iter_mut().enumerate() {
            *sum = dot(&logprobs[b * length..][..length], &completion_mask[b * length..][..length]);
        }
    }
}

impl<F: Real> Twin for SequenceLogprobsBackward<'_, Cpu<F>> {
    type Real = F;

    #[inline(always)]
    fn compute(self, _scratch: &mut Vec<F>) {
        let SequenceSize { batch, length } = self.size;
        let (dsequence_logprobs, completion_mask) = (&self.dsequence_logprobs[..], self.completion_mask.slice());
        let dlogprobs = &mut self.dlogprobs[..];
        for row in 0..batch * length {
            dlogprobs[row] = completion_mask[row] * dsequence_logprobs[row / length];
        }
    }
}
