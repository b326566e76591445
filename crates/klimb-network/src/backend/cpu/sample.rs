//! Twin of `shaders/sample.wgsl`: one token for every sequence, from given coins.

use super::reduce::{largest, sum_of};
use super::tiles::room;
use crate::backend::SampleSize;
use klimb_numerics::real::Real;

/// Writes the token at `position + 1` of each sequence; see `Kernels::sample`.
#[inline(always)]
pub fn sample<F: Real>(
    size: SampleSize,
    logits: &[F],
    coins: &[F],
    settings: &[F],
    prompt_lengths: &[u32],
    tokens: &mut [u32],
    scratch: &mut Vec<F>,
) {
    let SampleSize { batch, length, position, vocabulary, end, padding } = size;
    let temperature = settings[0];
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
