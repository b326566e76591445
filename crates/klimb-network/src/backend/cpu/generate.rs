//! Twin of `shaders/generate.wgsl`: what the shader does in one dispatch is here one kernel after another, each of all
//! sequences at once, which is also how this backend writes fastest. A list of kernel calls, it is the one twin that is not
//! inlined.

use super::Cpu;
use crate::backend::network::Network;
use crate::backend::{At, GenerateSize};
use klimb_numerics::real::Real;

/// Completes every sequence; see `Kernels::generate`. Goes on to the end of the row behind a completion's end too.
#[allow(clippy::too_many_arguments)]
pub fn generate<F: Real>(
    k: &mut Cpu<F>,
    size: GenerateSize,
    parameters: &Vec<F>,
    coins: At<Vec<F>>,
    settings: At<Vec<F>>,
    prompt_lengths: &Vec<u32>,
    cache: &mut [F],
    tokens: &mut Vec<u32>,
) {
    let network = Network::new(size.model);
    let mut activations = network.activations(k, size.batch);
    let mut layers = network.cache(k, size.batch, size.length);
    let shortest = prompt_lengths[..size.batch].iter().min().map_or(1, |&length| length as usize);
    let room = (&mut layers, &mut activations);
    network.generate(k, size, shortest, parameters, (coins, settings, prompt_lengths), room, tokens);
    for (rows, layer) in cache.chunks_exact_mut(size.batch * size.length * 2 * size.model.width).zip(&layers.layers) {
        rows.copy_from_slice(layer);
    }
}
