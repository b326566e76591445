//! Twin of `shaders/attention.wgsl`: causal attention (Vaswani et al. 2017), a head at a time.

use super::reduce::{dot, largest};
use crate::backend::{AttentionSize, DecodeSize};
use crate::real::Real;

/// `out[t] = Σ_{s≤t} softmax(q_t·k_s/√w)·v_s`, and log Σ exp of each row's scaled scores.
pub fn attention_forward<F: Real>(size: AttentionSize, qkv: &[F], out: &mut [F], logsumexps: &mut [F]) {
    let AttentionSize { batch, length, heads, head_width } = size;
    let width = heads * head_width;
    let scale = F::of(1.0 / (head_width as f64).sqrt());
    let mut scores = vec![F::zero(); length];
    for (b, head) in (0..batch).flat_map(|b| (0..heads).map(move |head| (b, head))) {
        let at = |t: usize, part: usize| {
            &qkv[(b * length + t) * 3 * width + part * width + head * head_width..][..head_width]
        };
        for t in 0..length {
            let scores = &mut scores[..=t];
            for (s, score) in scores.iter_mut().enumerate() {
                *score = scale * dot(at(t, 0), at(s, 1));
            }
            let high = largest(scores);
            let mut total = F::zero();
            for score in scores.iter_mut() {
                *score = (*score - high).fast_exp();
                total += *score;
            }
            let out = &mut out[(b * length + t) * width + head * head_width..][..head_width];
            out.fill(F::zero());
            for (s, &score) in scores.iter().enumerate() {
                add_scaled(out, score / total, at(s, 2));
            }
            logsumexps[(b * length + t) * heads + head] = high + total.ln();
        }
    }
}

/// The gradient of q, k and v, with the attention weights recomputed from `logsumexps`.
pub fn attention_backward<F: Real>(
    size: AttentionSize,
    qkv: &[F],
    out: &[F],
    logsumexps: &[F],
    dout: &[F],
    dqkv: &mut [F],
) {
    let AttentionSize { batch, length, heads, head_width } = size;
    let width = heads * head_width;
    let scale = F::of(1.0 / (head_width as f64).sqrt());
    dqkv[..batch * length * 3 * width].fill(F::zero());
    for (b, head) in (0..batch).flat_map(|b| (0..heads).map(move |head| (b, head))) {
        let index = |t: usize, part: usize| (b * length + t) * 3 * width + part * width + head * head_width;
        let at = |t: usize, part: usize| &qkv[index(t, part)..][..head_width];
        for t in 0..length {
            let row = (b * length + t) * width + head * head_width;
            let (out, dout) = (&out[row..][..head_width], &dout[row..][..head_width]);
            // Σ_s p_s·dp_s = dout·out: the softmax's gradient needs no second pass over the row.
            let delta = dot(out, dout);
            let logsumexp = logsumexps[(b * length + t) * heads + head];
            for s in 0..=t {
                let weight = (scale * dot(at(t, 0), at(s, 1)) - logsumexp).fast_exp();
                let dscore = scale * weight * (dot(dout, at(s, 2)) - delta);
                add_scaled(&mut dqkv[index(t, 0)..][..head_width], dscore, at(s, 1));
                add_scaled(&mut dqkv[index(s, 1)..][..head_width], dscore, at(t, 0));
                add_scaled(&mut dqkv[index(s, 2)..][..head_width], weight, dout);
            }
        }
    }
}

/// Attention of one new position over the cached ones and itself.
pub fn attention_decode_forward<F: Real>(size: DecodeSize, qkv: &[F], cache: &mut [F], out: &mut [F]) {
    let DecodeSize { batch, position, capacity, heads, head_width } = size;
    let width = heads * head_width;
    let scale = F::of(1.0 / (head_width as f64).sqrt());
    let mut scores = vec![F::zero(); position + 1];
    for b in 0..batch {
        let qkv = &qkv[b * 3 * width..][..3 * width];
        let cache = &mut cache[b * capacity * 2 * width..][..capacity * 2 * width];
        cache[position * 2 * width..][..2 * width].copy_from_slice(&qkv[width..]);
        for head in 0..heads {
            let channels = head * head_width;
            let query = &qkv[channels..][..head_width];
            for (s, score) in scores.iter_mut().enumerate() {
                *score = scale * dot(query, &cache[s * 2 * width + channels..][..head_width]);
            }
            let high = largest(&scores);
            let mut total = F::zero();
            for score in &mut scores {
                *score = (*score - high).fast_exp();
                total += *score;
            }
            let out = &mut out[b * width + channels..][..head_width];
            out.fill(F::zero());
            for (s, &score) in scores.iter().enumerate() {
                add_scaled(out, score / total, &cache[s * 2 * width + width + channels..][..head_width]);
            }
        }
    }
}

fn add_scaled<F: Real>(sum: &mut [F], scale: F, summand: &[F]) {
    for (sum, &summand) in sum.iter_mut().zip(summand) {
        *sum += scale * summand;
    }
}
