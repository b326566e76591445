//! Twin of `shaders/logprobs.wgsl`: from logits to the per-token numbers every objective works on, and back.

use super::reduce::{dot, softmax};
use super::tiles::room;
use crate::backend::{LogitsSize, SequenceSize};
use klimb_numerics::real::Real;

/// `numbers` = logprobs | entropies | logsumexps, each of `rows`.
#[inline(always)]
pub fn logprobs_forward<F: Real>(
    size: LogitsSize,
    logits: &[F],
    targets: &[u32],
    numbers: &mut [F],
    scratch: &mut Vec<F>,
) {
    let LogitsSize { rows, vocabulary } = size;
    let (logprobs, rest) = numbers.split_at_mut(rows);
    let (entropies, logsumexps) = rest.split_at_mut(rows);
    let exponentials = room(scratch, vocabulary);
    for (row, logits) in logits[..rows * vocabulary].chunks_exact(vocabulary).enumerate() {
        exponentials.copy_from_slice(logits);
        let (total, logsumexp) = softmax(exponentials);
        logprobs[row] = logits[targets[row] as usize] - logsumexp;
        // H = log Σ exp − Σ p·logit
        entropies[row] = logsumexp - dot(exponentials, logits) / total;
        logsumexps[row] = logsumexp;
    }
}

/// Logits become dlogits: dlogprob·(1[j = y] − p_j) − dentropy·p_j·(log p_j + H).
#[inline(always)]
pub fn logprobs_backward<F: Real>(size: LogitsSize, targets: &[u32], numbers: &[F], dnumbers: &[F], logits: &mut [F]) {
    let LogitsSize { rows, vocabulary } = size;
    for (row, logits) in logits[..rows * vocabulary].chunks_exact_mut(vocabulary).enumerate() {
        let (entropy, logsumexp) = (numbers[rows + row], numbers[2 * rows + row]);
        let (dlogprob, dentropy) = (dnumbers[row], dnumbers[rows + row]);
        for logit in &mut *logits {
            let logprob = *logit - logsumexp;
            *logit = -logprob.fast_exp() * (dlogprob + dentropy * (logprob + entropy));
        }
        logits[targets[row] as usize] += dlogprob;
    }
}

/// Σ_j p_j·(log p_j − log q_j) of each row, p the policy and q the reference.
#[inline(always)]
pub fn kl_forward<F: Real>(
    size: LogitsSize,
    policy_logits: &[F],
    reference_logits: &[F],
    kl_per_token: &mut [F],
    scratch: &mut Vec<F>,
) {
    let LogitsSize { rows, vocabulary } = size;
    let (weights, ratios) = room(scratch, 2 * vocabulary).split_at_mut(vocabulary);
    for row in 0..rows {
        let policy = &policy_logits[row * vocabulary..][..vocabulary];
        let reference = &reference_logits[row * vocabulary..][..vocabulary];
        weights.copy_from_slice(reference);
        let (_, reference_total) = softmax(weights);
        weights.copy_from_slice(policy);
        let (total, policy_total) = softmax(weights);
        for ((ratio, &p), &q) in ratios.iter_mut().zip(policy).zip(reference) {
            *ratio = (p - policy_total) - (q - reference_total);
        }
        let kl = dot(weights, ratios) / total;
        kl_per_token[row] = kl;
    }
}

/// Σ_t mask·logprob of each sequence.
#[inline(always)]
pub fn sequence_logprobs_forward<F: Real>(
    size: SequenceSize,
    logprobs: &[F],
    completion_mask: &[F],
    sequence_logprobs: &mut [F],
) {
    let SequenceSize { batch, length } = size;
    for (b, sum) in sequence_logprobs[..batch].iter_mut().enumerate() {
        *sum = dot(&logprobs[b * length..][..length], &completion_mask[b * length..][..length]);
    }
}

/// Each token's share of its sequence's gradient: mask·dsequence_logprob.
#[inline(always)]
pub fn sequence_logprobs_backward<F: Real>(
    size: SequenceSize,
    dsequence_logprobs: &[F],
    completion_mask: &[F],
    dlogprobs: &mut [F],
) {
    let SequenceSize { batch, length } = size;
    for row in 0..batch * length {
        dlogprobs[row] = completion_mask[row] * dsequence_logprobs[row / length];
    }
}
