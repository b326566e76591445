//! `sample.wgsl`: one token for every sequence, from given coins.

use super::kernel::{Dispatch, Twin, kernels, words};
use crate::backend::cpu::Cpu;
use crate::backend::cpu::reduce::{largest, sum_of};
use crate::backend::cpu::tiles::room;
use crate::backend::declaration::{Field, Field::U32, INDEX, Shader, shader};
use crate::backend::{At, Kernels};
use klimb_numerics::real::Real;

const SHADER: &Shader = &shader!("sample.wgsl", [INDEX]);

/// Sizes of one sampling position. Row b holds `length` tokens.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SampleSize {
    /// Sequences.
    pub batch: usize,
    /// Tokens stored per sequence, and coins.
    pub length: usize,
    /// The position whose logits are given; the token at `position + 1` is written.
    pub position: usize,
    /// V.
    pub vocabulary: usize,
    /// The token that ends a completion.
    pub end: u32,
    /// The token written behind the end.
    pub padding: u32,
}

kernels! {
    /// Draws the token at `position + 1` of each sequence by inverting the cumulative distribution of
    /// logits·(1/temperature) at its coin; temperature 0 takes the likeliest. Within the prompt
    /// (`prompt_lengths[b] > position + 1`) the token stays; behind an end or padding, padding is written.
    #[entry_point("sample", SHADER, workgroup: [64, 1], grid: Items)]
    pub struct Sample<'a, K> {
        /// Sizes.
        pub size: SampleSize,
        /// (B, V).
        #[binding(1, Read)]
        pub logits: &'a K::Floats,
        /// (B, length): the coin of the token is `coins[b·length + position]`.
        #[binding(2, Read)]
        pub coins: At<'a, K::Floats>,
        /// Temperature.
        #[binding(3, Read)]
        pub settings: At<'a, K::Floats>,
        /// (B).
        #[binding(4, Read)]
        pub prompt_lengths: At<'a, K::Integers>,
        /// (B, length).
        #[binding(5, Add)]
        pub tokens: &'a mut K::Integers,
    }
}

impl<K: Kernels> Dispatch for Sample<'_, K> {
    const UNIFORMS: &'static [Field] = &[
        U32("batch"),
        U32("length"),
        U32("position"),
        U32("vocabulary"),
        U32("end"),
        U32("padding"),
        U32("coins_offset"),
        U32("settings_offset"),
        U32("prompt_lengths_offset"),
    ];

    fn uniforms(&self) -> impl AsRef<[u32]> {
        let SampleSize { batch, length, position, vocabulary, end, padding } = self.size;
        assert!(position + 1 < length, "no token behind position {position} of {length}");
        let [batch, length, position, vocabulary] = words([batch, length, position, vocabulary]);
        let offsets = words([self.coins.offset, self.settings.offset, self.prompt_lengths.offset]);
        let [coins_offset, settings_offset, prompt_lengths_offset] = offsets;
        [batch, length, position, vocabulary, end, padding, coins_offset, settings_offset, prompt_lengths_offset]
    }

    fn items(&self, _is_software: bool) -> usize {
        self.size.batch
    }
}

impl<F: Real> Twin for Sample<'_, Cpu<F>> {
    type Real = F;

    #[inline(always)]
    fn compute(self, scratch: &mut Vec<F>) {
        let SampleSize { batch, length, position, vocabulary, end, padding } = self.size;
        let (logits, coins, prompt_lengths) = (&self.logits[..], self.coins.slice(), self.prompt_lengths.slice());
        let (tokens, temperature) = (&mut self.tokens[..], self.settings.slice()[0]);
        let weights = room(scratch, vocabulary);
        for b in 0..batch {
            let tokens = &mut tokens[b * length..][..length];
            if position + 1 < prompt_lengths[b] as usize {
                continue;
            }
            let previous = tokens[position];
            let finished = position >= prompt_lengths[b] as usize && (previous == end || previous == padding);
            tokens[position + 1] = if finished {
                padding
            } else {
                draw(&logits[b * vocabulary..][..vocabulary], temperature, coins[b * length + position], weights)
            };
        }
    }
}

/// The first token whose cumulative probability exceeds the coin; at temperature 0 the likeliest. `weights` is scratch.
#[inline(always)]
fn draw<F: Real>(logits: &[F], temperature: F, coin: F, weights: &mut [F]) -> u32 {
    let high = largest(logits);
    if temperature <= F::zero() {
        return logits.iter().position(|&logit| logit == high).unwrap_or(0) as u32;
    }
    for (weight, &logit) in weights.iter_mut().zip(logits) {
        *weight = ((logit - high) / temperature).fast_exp();
    }
    let mut rest = coin * sum_of(weights, |weight| weight);
    let mut last_possible = 0; // the answer if rounding leaves the sum at or below the coin
    for (token, &weight) in weights.iter().enumerate() {
        rest -= weight;
        if rest < F::zero() {
            return token as u32;
        }
        if weight > F::zero() {
            last_possible = token;
        }
    }
    last_possible as u32
}
