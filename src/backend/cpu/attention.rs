//! Twin of `shaders/attention.wgsl`: causal attention (Vaswani et al. 2017), a head at a time.
//!
//! Heads are narrow and sequences short, so the vectors run along the positions: keys and values are turned on their
//! side once a head ([`Turned`]), and a whole row of scores comes of one pass over them.

use super::reduce::{LANES, combine, dot, softmax};
use crate::backend::{AttentionSize, DecodeSize};
use crate::real::Real;

/// `out[t] = Σ_{s≤t} softmax(q_t·k_s/√w)·v_s`, and log Σ exp of each row's scaled scores.
#[inline(always)]
pub fn attention_forward<F: Real>(size: AttentionSize, qkv: &[F], out: &mut [F], logsumexps: &mut [F]) {
    let AttentionSize { batch, length, heads, head_width } = size;
    let width = heads * head_width;
    let scale = F::of(1.0 / (head_width as f64).sqrt());
    let (mut keys, mut scores) = (Turned::new(length, head_width), vec![F::zero(); length.next_multiple_of(LANES)]);
    for (b, head) in (0..batch).flat_map(|b| (0..heads).map(move |head| (b, head))) {
        let at = |t: usize, part: usize| {
            &qkv[(b * length + t) * 3 * width + part * width + head * head_width..][..head_width]
        };
        keys.fill((0..length).map(|s| at(s, 1)));
        for t in 0..length {
            let scores = &mut scores[..(t + 1).next_multiple_of(LANES)];
            keys.dots(at(t, 0), scale, scores);
            scores[t + 1..].fill(F::neg_infinity());
            let (total, logsumexp) = softmax(scores);
            let share = F::one() / total;
            let weighed = |s: usize| (scores[s] * share, at(s, 2));
            combine(&mut out[(b * length + t) * width + head * head_width..][..head_width], 0..t + 1, weighed);
            logsumexps[(b * length + t) * heads + head] = logsumexp;
        }
    }
}

/// The gradient of q, k and v, with the attention weights recomputed from `logsumexps`.
#[inline(always)]
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
    let (mut keys, mut values) = (Turned::new(length, head_width), Turned::new(length, head_width));
    // Attention weights and the gradient of the scores, row t of `stride` each.
    let stride = length.next_multiple_of(LANES);
    let (mut weights, mut dscores) = (vec![F::zero(); length * stride], vec![F::zero(); length * stride]);
    for (b, head) in (0..batch).flat_map(|b| (0..heads).map(move |head| (b, head))) {
        let index = |t: usize, part: usize| (b * length + t) * 3 * width + part * width + head * head_width;
        let at = |t: usize, part: usize| &qkv[index(t, part)..][..head_width];
        let dout = |t: usize| &dout[(b * length + t) * width + head * head_width..][..head_width];
        keys.fill((0..length).map(|s| at(s, 1)));
        values.fill((0..length).map(|s| at(s, 2)));
        for t in 0..length {
            // Whole lanes: what lies behind position t is computed too, and never read.
            let span = (t + 1).next_multiple_of(LANES);
            let (weights, dscores) = (&mut weights[t * stride..][..span], &mut dscores[t * stride..][..span]);
            // Σ_s p_s·dp_s = dout·out: the softmax's gradient needs no second pass over the row.
            let delta = dot(&out[(b * length + t) * width + head * head_width..][..head_width], dout(t));
            let logsumexp = logsumexps[(b * length + t) * heads + head];
            keys.dots(at(t, 0), scale, weights);
            values.dots(dout(t), F::one(), dscores);
            for (weight, dscore) in weights.iter_mut().zip(dscores) {
                *weight = (*weight - logsumexp).fast_exp();
                *dscore = scale * *weight * (*dscore - delta);
            }
        }
        for t in 0..length {
            combine(&mut dqkv[index(t, 0)..][..head_width], 0..t + 1, |s| (dscores[t * stride + s], at(s, 1)));
            combine(&mut dqkv[index(t, 1)..][..head_width], t..length, |q| (dscores[q * stride + t], at(q, 0)));
            combine(&mut dqkv[index(t, 2)..][..head_width], t..length, |q| (weights[q * stride + t], dout(q)));
        }
    }
}

/// Attention of one new position over the cached ones and itself.
#[inline(always)]
pub fn attention_decode_forward<F: Real>(size: DecodeSize, qkv: &[F], cache: &mut [F], out: &mut [F]) {
    let DecodeSize { batch, position, capacity, heads, head_width } = size;
    let width = heads * head_width;
    let scale = F::of(1.0 / (head_width as f64).sqrt());
    let mut scores = vec![F::zero(); position + 1];
    for b in 0..batch {
        let qkv = &qkv[b * 3 * width..][..3 * width];
        let cache = &mut cache[b * capacity * 2 * width..][..capacity * 2 * width];
        cache[position * 2 * width..][..2 * width].copy_from_slice(&qkv[width..]);
        for channels in (0..heads).map(|head| head * head_width) {
            let query = &qkv[channels..][..head_width];
            for (s, score) in scores.iter_mut().enumerate() {
                *score = scale * dot(query, &cache[s * 2 * width + channels..][..head_width]);
            }
            let (total, _) = softmax(&mut scores);
            let share = F::one() / total;
            let weighed = |s: usize| (scores[s] * share, &cache[s * 2 * width + width + channels..][..head_width]);
            combine(&mut out[b * width + channels..][..head_width], 0..position + 1, weighed);
        }
    }
}

/// The vectors of every position, (w, T): one channel of all positions lies together, padded to whole lanes.
struct Turned<F> {
    values: Vec<F>,
    stride: usize,
}

impl<F: Real> Turned<F> {
    fn new(length: usize, head_width: usize) -> Self {
        let stride = length.next_multiple_of(LANES);
        Self { values: vec![F::zero(); stride * head_width], stride }
    }

    #[inline(always)]
    fn fill<'a>(&mut self, vectors: impl Iterator<Item = &'a [F]>) {
        for (s, vector) in vectors.enumerate() {
            for (channel, &value) in vector.iter().enumerate() {
                self.values[channel * self.stride + s] = value;
            }
        }
    }

    /// `out[s] = scale·(query · vector s)`, as far as `out` reaches in whole lanes.
    #[inline(always)]
    fn dots(&self, query: &[F], scale: F, out: &mut [F]) {
        for (chunk, out) in out.chunks_exact_mut(LANES).enumerate() {
            let mut lanes = [F::zero(); LANES];
            for (channel, &value) in self.values.chunks_exact(self.stride).zip(query) {
                let channel = &channel[chunk * LANES..][..LANES];
                for lane in 0..LANES {
                    lanes[lane] += value * channel[lane];
                }
            }
            for lane in 0..LANES {
                out[lane] = scale * lanes[lane];
            }
        }
    }
}
