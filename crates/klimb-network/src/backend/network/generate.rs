//! How the processor runs the kernel [`Generate`]: by the network's own passes, one position after another.

use super::{DecodeRoom, GenerateInputs, Network};
use crate::backend::Counters;
use crate::backend::cpu::Cpu;
use crate::backend::interface::Kernels as _;
use crate::backend::kernels::{Dispatch as _, Generate, OnCpu};
use klimb_numerics::real::Real;

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
