//! `attention.wgsl`: causal attention (Vaswani et al. 2017), a head at a time. qkv of (B·T, 3D) is [q|k|v], heads contiguous
//! inside each, and the scale is 1/√(D/H).
//!
//! In the twins, heads are narrow and sequences short, so all that a head needs fits the nearest cache. It is laid out there
//! in panels, and every product is made of the same tiles as the matrix products (`cpu/tiles.rs`): a few queries at once, and
//! no further back or ahead than the mask lets them look.

use super::kernel::{Dispatch, Twin, kernels, words};
use crate::backend::Kernels;
use crate::backend::cpu::Cpu;
use crate::backend::cpu::factor::Rows;
use crate::backend::cpu::reduce::{Exponentials, LANES, combine, dot, softmax};
use crate::backend::cpu::tiles::{COLUMNS, ROWS, room, store, tile, tile_over_rows};
use crate::backend::declaration::{Field, Field::U32, INDEX, Shader, shader};
use klimb_numerics::real::Real;

const SHADER: &Shader = &shader!("attention.wgsl", [INDEX]);

/// Sizes of causal attention.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AttentionSize {
    /// Sequences.
    pub batch: usize,
    /// Positions of each.
    pub length: usize,
    /// Heads.
    pub heads: usize,
    /// D/H.
    pub head_width: usize,
}

/// Sizes of attention at one position, with the keys and values of earlier positions cached.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DecodeSize {
    /// Sequences.
    pub batch: usize,
    /// The position being decoded, from 0.
    pub position: usize,
    /// Positions the cache has room for.
    pub capacity: usize,
    /// Heads.
    pub heads: usize,
    /// D/H.
    pub head_width: usize,
}

kernels! {
    /// Write: `out[t] = Σ_{s≤t} softmax(q_t·k_s/√w)·v_s`, and log Σ exp of each row's scaled scores.
    #[entry_point("attention_forward", SHADER, workgroup: [64, 1], grid: Items)]
    pub struct AttentionForward<'a, K> {
        /// Sizes.
        pub size: AttentionSize,
        /// (B·T, 3D).
        #[binding(1, Read)]
        pub qkv: &'a K::Floats,
        /// (B·T, D).
        #[binding(2, Write)]
        pub out: &'a mut K::Floats,
        /// (B·T, H): lets the backward pass recompute the weights.
        #[binding(3, Write)]
        pub logsumexps: &'a mut K::Floats,
    }

    /// Write: the gradient of q, k and v.
    #[entry_point("attention_backward", SHADER, workgroup: [64, 1], grid: Items)]
    pub struct AttentionBackward<'a, K> {
        /// Sizes.
        pub size: AttentionSize,
        /// (B·T, 3D).
        #[binding(1, Read)]
        pub qkv: &'a K::Floats,
        /// (B·T, D), from the forward pass.
        #[binding(2, Read)]
        pub out: &'a K::Floats,
        /// (B·T, H), from the forward pass.
        #[binding(3, Read)]
        pub logsumexps: &'a K::Floats,
        /// (B·T, D).
        #[binding(4, Read)]
        pub dout: &'a K::Floats,
        /// (B·T, 3D).
        #[binding(5, Write)]
        pub dqkv: &'a mut K::Floats,
    }

    /// Attention of one new position over the cached ones and itself. Stores its key and value in `cache`, and writes `out`.
    #[entry_point("attention_decode_forward", SHADER, workgroup: [64, 1], grid: Items)]
    pub struct AttentionDecodeForward<'a, K> {
        /// Sizes.
        pub size: DecodeSize,
        /// (B, 3D), of this position.
        #[binding(1, Read)]
        pub qkv: &'a K::Floats,
        /// (B, capacity, 2D), rows `[k|v]`.
        #[binding(6, Add)]
        pub cache: &'a mut K::Floats,
        /// (B, D).
        #[binding(2, Write)]
        pub out: &'a mut K::Floats,
    }
}

const UNIFORMS: &[Field] = &[U32("batch"), U32("length"), U32("heads"), U32("head_width")];

impl AttentionSize {
    fn words(self) -> [u32; 4] {
        words([self.batch, self.length, self.heads, self.head_width])
    }

    /// Pairs of rows, with a head and eight of its channels.
    fn places(self) -> usize {
        self.batch * self.length.div_ceil(2) * self.heads * self.head_width.div_ceil(8)
    }
}

impl<K: Kernels> Dispatch for AttentionForward<'_, K> {
    const UNIFORMS: &'static [Field] = UNIFORMS;

    fn uniforms(&self) -> impl AsRef<[u32]> {
        self.size.words()
    }

    fn items(&self, _is_software: bool) -> usize {
        self.size.places()
    }
}

impl<K: Kernels> Dispatch for AttentionBackward<'_, K> {
    const UNIFORMS: &'static [Field] = UNIFORMS;

    fn uniforms(&self) -> impl AsRef<[u32]> {
        self.size.words()
    }

    fn items(&self, _is_software: bool) -> usize {
        2 * self.size.places()
    }
}

impl<K: Kernels> Dispatch for AttentionDecodeForward<'_, K> {
    const UNIFORMS: &'static [Field] =
        &[U32("batch"), U32("position"), U32("capacity"), U32("heads"), U32("head_width")];

    fn uniforms(&self) -> impl AsRef<[u32]> {
        let DecodeSize { batch, position, capacity, heads, head_width } = self.size;
        assert!(position < capacity, "position {position} of a cache of {capacity}");
        words([batch, position, capacity, heads, head_width])
    }

    fn items(&self, _is_software: bool) -> usize {
        self.size.batch * self.size.heads
    }
}

impl<F: Real> Twin for AttentionForward<'_, Cpu<F>> {
    type Real = F;

    #[inline(always)]
    fn compute(self, scratch: &mut Vec<F>) {
        let AttentionSize { batch, length, heads, head_width } = self.size;
        let (qkv, out, logsumexps) = (&self.qkv[..], &mut self.out[..], &mut self.logsumexps[..]);
        let width = heads * head_width;
        let scale = F::of(1.0 / (head_width as f64).sqrt());
        let shape = HeadShape::of(self.size);
        let [queries, keys, values, scores] =
            rooms(scratch, [shape.vectors(), shape.vectors(), shape.panels(), ROWS * shape.length]);
        for (b, head) in (0..batch).flat_map(|b| (0..heads).map(move |head| (b, head))) {
            let at = |t: usize, part: usize| {
                &qkv[(b * length + t) * 3 * width + part * width + head * head_width..][..head_width]
            };
            shape.fill(queries, scale, (0..length).map(|t| at(t, 0)));
            shape.turn(keys, (0..length).map(|s| at(s, 1)));
            shape.lay(values, F::one(), (0..length).map(|s| at(s, 2)));
            for t in (0..length).step_by(ROWS) {
                let (rows, span) = (ROWS.min(length - t), (t + ROWS).next_multiple_of(LANES));
                shape.products(&queries[t * head_width..], keys, span, scores);
                let mut shares = [F::zero(); ROWS];
                for (i, scores) in scores.chunks_exact_mut(shape.length).take(rows).enumerate() {
                    let scores = &mut scores[..span];
                    mask(scores, t + i, F::neg_infinity());
                    let Exponentials { total, logsumexp } = softmax(scores);
                    mask(scores, t + i, F::zero());
                    shares[i] = F::one() / total;
                    logsumexps[(b * length + t + i) * heads + head] = logsumexp;
                }
                let out = &mut out[(b * length + t) * width + head * head_width..];
                for (panel, first) in shape.each(values) {
                    let mut sums = tile::<F, ROWS>(scores, shape.length, t + rows, [F::zero(); COLUMNS], panel);
                    for (sums, share) in sums.iter_mut().zip(shares) {
                        sums.iter_mut().for_each(|sum| *sum *= share);
                    }
                    store(&sums[..rows], &mut out[first..], width, COLUMNS.min(head_width - first));
                }
            }
        }
    }
}

impl<F: Real> Twin for AttentionBackward<'_, Cpu<F>> {
    type Real = F;

    #[inline(always)]
    fn compute(self, scratch: &mut Vec<F>) {
        let AttentionSize { batch, length, heads, head_width } = self.size;
        let (qkv, out, logsumexps) = (&self.qkv[..], &self.out[..], &self.logsumexps[..]);
        let (dout, dqkv) = (&self.dout[..], &mut self.dqkv[..]);
        let width = heads * head_width;
        let scale = F::of(1.0 / (head_width as f64).sqrt());
        let shape = HeadShape::of(self.size);
        // Attention weights and the gradient of the scores, row t of `shape.length` each.
        let square = shape.length * shape.length;
        let [queries, query_panels, turned_keys, key_panels, turned_values, douts, dout_panels, weights, dscores] =
            rooms(
                scratch,
                [
                    shape.vectors(),
                    shape.panels(),
                    shape.vectors(),
                    shape.panels(),
                    shape.vectors(),
                    shape.vectors(),
                    shape.panels(),
                    square,
                    square,
                ],
            );
        for (b, head) in (0..batch).flat_map(|b| (0..heads).map(move |head| (b, head))) {
            let index = |t: usize, part: usize| (b * length + t) * 3 * width + part * width + head * head_width;
            let at = |t: usize, part: usize| &qkv[index(t, part)..][..head_width];
            let of_row = |t: usize| (b * length + t) * width + head * head_width;
            let dout = |t: usize| &dout[of_row(t)..][..head_width];
            // With the scale in the queries and in the keys that meet `dscores`, the scores need none.
            shape.fill(queries, scale, (0..length).map(|t| at(t, 0)));
            shape.lay(query_panels, scale, (0..length).map(|t| at(t, 0)));
            shape.turn(turned_keys, (0..length).map(|s| at(s, 1)));
            shape.lay(key_panels, scale, (0..length).map(|s| at(s, 1)));
            shape.turn(turned_values, (0..length).map(|s| at(s, 2)));
            shape.fill(douts, F::one(), (0..length).map(dout));
            shape.lay(dout_panels, F::one(), (0..length).map(dout));
            for t in (0..length).step_by(ROWS) {
                let (rows, span) = (ROWS.min(length - t), (t + ROWS).next_multiple_of(LANES));
                let (weights, dscores) = (&mut weights[t * shape.length..], &mut dscores[t * shape.length..]);
                shape.products(&queries[t * head_width..], turned_keys, span, weights);
                shape.products(&douts[t * head_width..], turned_values, span, dscores);
                let lines = weights.chunks_exact_mut(shape.length).zip(dscores.chunks_exact_mut(shape.length));
                for (t, (weights, dscores)) in (t..t + rows).zip(lines) {
                    let (weights, dscores) = (&mut weights[..span], &mut dscores[..span]);
                    // Σ_s p_s·dp_s = dout·out: the softmax's gradient needs no second pass over the row.
                    let delta = dot(&out[of_row(t)..][..head_width], dout(t));
                    let logsumexp = logsumexps[(b * length + t) * heads + head];
                    for (weight, dscore) in weights.iter_mut().zip(dscores.iter_mut()) {
                        *weight = (*weight - logsumexp).fast_exp();
                        *dscore = *weight * (*dscore - delta);
                    }
                    mask(weights, t, F::zero());
                    mask(dscores, t, F::zero());
                }
            }
            for t in (0..length).step_by(ROWS) {
                let rows = ROWS.min(length - t);
                let behind = t * shape.length..length * shape.length;
                for first in (0..head_width).step_by(COLUMNS) {
                    let (panel, channels) = (first * shape.length, COLUMNS.min(head_width - first));
                    let ahead = panel + t * COLUMNS..panel + length * COLUMNS;
                    let (dscore, keys) = (&dscores[t * shape.length..], &key_panels[panel..]);
                    let dqueries = tile::<F, ROWS>(dscore, shape.length, t + rows, [F::zero(); COLUMNS], keys);
                    let dscores = Rows::new(&dscores[behind.clone()], shape.length);
                    let queries = Rows::new(&query_panels[ahead.clone()], COLUMNS);
                    let dkeys = tile_over_rows::<F, ROWS>(dscores, t, queries, 0);
                    let weights = Rows::new(&weights[behind.clone()], shape.length);
                    let douts = Rows::new(&dout_panels[ahead], COLUMNS);
                    let dvalues = tile_over_rows::<F, ROWS>(weights, t, douts, 0);
                    for (part, sums) in [dqueries, dkeys, dvalues].iter().enumerate() {
                        store(&sums[..rows], &mut dqkv[index(t, part) + first..], 3 * width, channels);
                    }
                }
            }
        }
    }
}

impl<F: Real> Twin for AttentionDecodeForward<'_, Cpu<F>> {
    type Real = F;

    #[inline(always)]
    fn compute(self, scratch: &mut Vec<F>) {
        let DecodeSize { batch, position, capacity, heads, head_width } = self.size;
        let (qkv, cache, out) = (&self.qkv[..], &mut self.cache[..], &mut self.out[..]);
        let width = heads * head_width;
        let scale = F::of(1.0 / (head_width as f64).sqrt());
        let scores = room(scratch, position + 1);
        for b in 0..batch {
            let qkv = &qkv[b * 3 * width..][..3 * width];
            let cache = &mut cache[b * capacity * 2 * width..][..capacity * 2 * width];
            cache[position * 2 * width..][..2 * width].copy_from_slice(&qkv[width..]);
            for channels in (0..heads).map(|head| head * head_width) {
                let query = &qkv[channels..][..head_width];
                for (s, score) in scores.iter_mut().enumerate() {
                    *score = scale * dot(query, &cache[s * 2 * width + channels..][..head_width]);
                }
                let total = softmax(scores).total;
                let share = F::one() / total;
                let weighed = |s: usize| (scores[s] * share, &cache[s * 2 * width + width + channels..][..head_width]);
                combine(&mut out[b * width + channels..][..head_width], 0..position + 1, weighed);
            }
        }
    }
}

/// How the vectors of a head lie in scratch: positions and channels in whole lanes.
#[derive(Clone, Copy)]
struct HeadShape {
    length: usize,
    width: usize,
}

impl HeadShape {
    fn of(size: AttentionSize) -> Self {
        const { assert!(LANES == COLUMNS && LANES.is_multiple_of(ROWS), "tiles must cover whole lanes") };
        Self { length: size.length.next_multiple_of(LANES), width: size.head_width }
    }

    /// Numbers of all positions' vectors: one after the other (T, w), or in panels (w, [`COLUMNS`]) of a few positions each.
    fn vectors(self) -> usize {
        self.length * self.width
    }

    /// Numbers of panels (T, [`COLUMNS`]) of a few channels each.
    fn panels(self) -> usize {
        self.length * self.width.next_multiple_of(COLUMNS)
    }

    /// scale·vectors, as they are.
    #[inline(always)]
    fn fill<'a, F: Real>(self, to: &mut [F], scale: F, vectors: impl Iterator<Item = &'a [F]>) {
        for (to, vector) in to.chunks_exact_mut(self.width).zip(vectors) {
            to.iter_mut().zip(vector).for_each(|(to, &value)| *to = scale * value);
        }
    }

    /// The vectors on their side: one channel of a few positions lies together.
    #[inline(always)]
    fn turn<'a, F: Real>(self, to: &mut [F], vectors: impl Iterator<Item = &'a [F]>) {
        for (s, vector) in vectors.enumerate() {
            let panel = &mut to[s / COLUMNS * self.width * COLUMNS..][..self.width * COLUMNS];
            for (lanes, &value) in panel.chunks_exact_mut(COLUMNS).zip(vector) {
                lanes[s % COLUMNS] = value;
            }
        }
    }

    /// scale·vectors, a few channels of all positions after the other.
    #[inline(always)]
    fn lay<'a, F: Real>(self, to: &mut [F], scale: F, vectors: impl Iterator<Item = &'a [F]>) {
        for (s, vector) in vectors.enumerate() {
            for (panel, channels) in to.chunks_exact_mut(self.length * COLUMNS).zip(vector.chunks(COLUMNS)) {
                let lanes = panel[s * COLUMNS..][..COLUMNS].iter_mut();
                lanes.zip(channels).for_each(|(lane, &value)| *lane = scale * value);
            }
        }
    }

    /// What [`HeadShape::lay`] laid, with the first channel of each panel.
    #[inline(always)]
    fn each<F>(self, panels: &[F]) -> impl Iterator<Item = (&[F], usize)> {
        panels.chunks_exact(self.length * COLUMNS).zip((0..self.width).step_by(COLUMNS))
    }

    /// Products of [`ROWS`] vectors with the turned ones of the first `span` positions, a row of `out` each.
    #[inline(always)]
    fn products<F: Real>(self, vectors: &[F], turned: &[F], span: usize, out: &mut [F]) {
        for (panel, first) in turned.chunks_exact(self.width * COLUMNS).zip((0..span).step_by(COLUMNS)) {
            let sums = tile::<F, ROWS>(vectors, self.width, self.width, [F::zero(); COLUMNS], panel);
            store(&sums, &mut out[first..], self.length, COLUMNS);
        }
    }
}

/// Puts `value` in place of the scores of what lies ahead of position `last`. By lanes: short fills are slow in a browser.
#[inline(always)]
fn mask<F: Real>(scores: &mut [F], last: usize, value: F) {
    for (lanes, first) in scores.chunks_exact_mut(LANES).zip((0..).step_by(LANES)).skip(last / LANES) {
        for (position, score) in (first..).zip(lanes) {
            *score = if position > last { value } else { *score };
        }
    }
}

/// Room for several things at once.
#[inline(always)]
fn rooms<F: Real, const N: usize>(scratch: &mut Vec<F>, lens: [usize; N]) -> [&mut [F]; N] {
    let mut rest = room(scratch, lens.iter().sum());
    lens.map(|len| rest.split_off_mut(..len).expect("room was made for all"))
}
