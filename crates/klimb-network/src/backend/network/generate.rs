//! Writing with a network, one position after another, which is also how the processor runs the kernel [`Generate`].

use super::{DecodePosition, DecodeRoom, Network};
use crate::backend::cpu::Cpu;
use crate::backend::interface::Kernels;
use crate::backend::kernels::{Dispatch as _, Generate, OnCpu, Sample};
use crate::backend::{At, Counters, GenerateSize, SampleSize};
use klimb_numerics::real::Real;

/// What [`Network::generate`] is given beside parameters and tokens.
pub struct GenerateInputs<'a, K: Kernels> {
    /// Uniform numbers from 0 to 1, (B, length).
    pub coins: At<'a, K::Floats>,
    /// The temperature; 0 takes the likeliest token.
    pub settings: At<'a, K::Floats>,
    /// Tokens of each prompt, (B).
    pub prompt_lengths: &'a K::Integers,
    /// Tokens of the shortest prompt.
    pub shortest: usize,
}

impl Network {
    /// Completes the prompts in `tokens`, position by position: what [`Generate`] does at once.
    pub fn generate<K: Kernels>(
        &self,
        k: &mut K,
        size: GenerateSize,
        parameters: &K::Floats,
        inputs: GenerateInputs<K>,
        mut room: DecodeRoom<K>,
        tokens: &mut K::Integers,
    ) {
        let GenerateSize { batch, length, end, padding, .. } = size;
        let GenerateInputs { coins, settings, prompt_lengths, shortest } = inputs;
        for position in 0..length - 1 {
            // Within every prompt only keys and values are wanted.
            let is_drawn = position + 1 >= shortest;
            let at = DecodePosition { batch, stride: length, position };
            self.decode(k, at, is_drawn, parameters, tokens, &mut room);
            if is_drawn {
                let vocabulary = self.config.vocabulary;
                let size = SampleSize { batch, length, position, vocabulary, end, padding };
                Sample {
                    size,
                    logits: &room.activations.logits,
                    coins,
                    settings,
                    prompt_lengths: At::new(prompt_lengths, 0),
                    tokens,
                }
                .run(k);
            }
        }
    }
}

impl<F: Real> OnCpu<F> for Generate<'_, Cpu<F>> {
    fn on_cpu(self, k: &mut Cpu<F>) {
        let forward_tokens = self.forward_tokens();
        let Self { size, parameters, coins, settings, prompt_lengths, cache, tokens } = self;
        let before = k.counters();
        let network = Network::new(size.model);
        let mut activations = network.activations(k, size.batch);
        let mut layers = network.cache(k, size.batch, size.length);
        let shortest = prompt_lengths[..size.batch].iter().min().map_or(1, |&length| length as usize);
        let inputs = GenerateInputs { coins, settings, prompt_lengths, shortest };
        let room = DecodeRoom { cache: &mut layers, activations: &mut activations };
        network.generate(k, size, parameters, inputs, room, tokens);
        for (rows, layer) in cache.chunks_exact_mut(size.batch * size.length * 2 * size.model.width).zip(&layers.layers)
        {
            rows.copy_from_slice(layer);
        }
        k.set_counters(Counters {
            dispatches: before.dispatches + 1,
            forward_tokens: before.forward_tokens + forward_tokens,
            ..before
        });
    }

    /// Where there is a choice, only a graphics device generates: this, compiled in there, would be a second network that
    /// never runs.
    fn on_chosen_cpu(self, _k: &mut Cpu<F>) {
        panic!("generate on a device that does not generate");
    }
}
