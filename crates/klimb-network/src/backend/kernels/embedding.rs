//! `embedding.wgsl`: tokens to vectors and back.

use super::kernel::{Dispatch, Twin, kernels, words};
use crate::backend::cpu::Cpu;
use crate::backend::declaration::{Field, Field::U32, INDEX, Shader, shader};
use crate::backend::{At, AtMut, Kernels};
use klimb_numerics::real::Real;

const SHADER: &Shader = &shader!("embedding.wgsl", [INDEX]);

/// Sizes of the embedding kernels. Token (b, t) is `tokens[b·stride + first + t]` at position `first + t`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EmbedSize {
    /// Sequences.
    pub batch: usize,
    /// Positions embedded of each sequence.
    pub length: usize,
    /// Tokens stored per sequence.
    pub stride: usize,
    /// First position.
    pub first: usize,
    /// D.
    pub width: usize,
    /// V; the position embedding begins V·D behind the token embedding.
    pub vocabulary: usize,
    /// Rows of the position embedding, T.
    pub context: usize,
}

kernels! {
    /// Write: `x[b,t] = wte[token] + wpe[first + t]`.
    #[entry_point("embed_forward", SHADER, workgroup: [64, 1], grid: Items)]
    pub struct EmbedForward<'a, K> {
        /// Sizes.
        pub size: EmbedSize,
        /// (B, stride).
        #[binding(1, Read)]
        pub tokens: At<'a, K::Integers>,
        /// Begins at `wte`.
        #[binding(2, Read)]
        pub parameters: At<'a, K::Floats>,
        /// (B·T, D).
        #[binding(3, Write)]
        pub x: &'a mut K::Floats,
    }

    /// Add: the gradients of `wte` and `wpe`. Gathers, for WGSL has no float atomics. Positions begin at 0 here.
    #[entry_point("embed_backward", SHADER, workgroup: [64, 1], grid: Items)]
    pub struct EmbedBackward<'a, K> {
        /// Sizes.
        pub size: EmbedSize,
        /// V+1 starts, then for each token v the rows b·T+t where it stands, at `starts[v]..starts[v+1]` behind the starts.
        #[binding(4, Read)]
        pub occurrences: At<'a, K::Integers>,
        /// (B·T, D).
        #[binding(5, Read)]
        pub dx: &'a K::Floats,
        /// Begins at the gradient of `wte`.
        #[binding(6, Add)]
        pub dparameters: AtMut<'a, K::Floats>,
    }
}

const UNIFORMS: &[Field] = &[
    U32("batch"),
    U32("length"),
    U32("stride"),
    U32("first"),
    U32("width"),
    U32("vocabulary"),
    U32("context"),
    U32("tokens_offset"),
    U32("parameters_offset"),
];

impl EmbedSize {
    fn words(self, tokens_offset: usize, parameters_offset: usize) -> [u32; 9] {
        let Self { batch, length, stride, first, width, vocabulary, context } = self;
        words([batch, length, stride, first, width, vocabulary, context, tokens_offset, parameters_offset])
    }

    fn tokens(self) -> u64 {
        (self.batch * self.length) as u64
    }
}

impl<K: Kernels> Dispatch for EmbedForward<'_, K> {
    const UNIFORMS: &'static [Field] = UNIFORMS;

    fn uniforms(&self) -> impl AsRef<[u32]> {
        self.size.words(self.tokens.offset, self.parameters.offset)
    }

    fn items(&self, _is_software: bool) -> usize {
        self.size.batch * self.size.length * self.size.width
    }

    fn forward_tokens(&self) -> u64 {
        self.size.tokens()
    }
}

impl<K: Kernels> Dispatch for EmbedBackward<'_, K> {
    const UNIFORMS: &'static [Field] = UNIFORMS;

    fn uniforms(&self) -> impl AsRef<[u32]> {
        self.size.words(self.occurrences.offset, self.dparameters.offset)
    }

    fn items(&self, _is_software: bool) -> usize {
        (self.size.vocabulary + self.size.length) * self.size.width
    }

    fn backward_tokens(&self) -> u64 {
        self.size.tokens()
    }
}

impl<F: Real> Twin for EmbedForward<'_, Cpu<F>> {
    type Real = F;

    #[inline(always)]
    fn compute(self, _scratch: &mut Vec<F>) {
        let EmbedSize { batch, length, stride, first, width, vocabulary, .. } = self.size;
        let (tokens, parameters) = (self.tokens.slice(), self.parameters.slice());
        let positions = &parameters[vocabulary * width..];
        for (row, out) in self.x[..batch * length * width].chunks_exact_mut(width).enumerate() {
            let (b, position) = (row / length, first + row % length);
            let token = tokens[b * stride + position] as usize;
            let (word, place) = (&parameters[token * width..][..width], &positions[position * width..][..width]);
            for ((out, &word), &place) in out.iter_mut().zip(word).zip(place) {
                *out = word + place;
            }
        }
    }
}

impl<F: Real> Twin for EmbedBackward<'_, Cpu<F>> {
    type Real = F;

    #[inline(always)]
    fn compute(self, _scratch: &mut Vec<F>) {
        let EmbedSize { batch, length, width, vocabulary, .. } = self.size;
        let dx = &self.dx[..];
        let (starts, order) = self.occurrences.slice().split_at(vocabulary + 1);
        let (dwords, dpositions) = self.dparameters.slice().split_at_mut(vocabulary * width);
        for (token, dword) in dwords.chunks_exact_mut(width).enumerate() {
            for &row in &order[starts[token] as usize..starts[token + 1] as usize] {
                add(dword, &dx[row as usize * width..][..width]);
            }
        }
        for row in 0..batch * length {
            add(&mut dpositions[row % length * width..][..width], &dx[row * width..][..width]);
        }
    }
}

fn add<F: Real>(sum: &mut [F], summand: &[F]) {
    for (sum, &summand) in sum.iter_mut().zip(summand) {
        *sum += summand;
    }
}
