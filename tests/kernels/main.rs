//! The parity tests, one for each kernel and named after it: the shader computes what its CPU twin computes, from the
//! same inputs, to rounding. Sizes are odd on purpose: one sequence, one token, no multiple of a tile or a workgroup.
//!
//! Without a graphics adapter these tests fail; a software Vulkan driver is enough.
#![cfg(not(target_arch = "wasm32"))]

mod attention;
mod bradley_terry;
mod embedding;
mod generate;
mod layer_norm;
mod logprobs;
mod matmul;
mod objectives;
mod optimiser;
mod ppo;
mod recording;
mod sample;

use klimb::backend::Kernels;
use klimb::backend::cpu::Cpu;
use klimb::backend::gpu::{Gpu, Preference};
use klimb::rng::Generator;

/// What a case computed, by name.
type Tensors = Vec<(&'static str, Vec<f32>)>;

fn gpu() -> Gpu {
    pollster::block_on(Gpu::new(Preference::default())).expect("these tests need a graphics adapter; lavapipe will do")
}

/// The same adapter with the shaders of a graphics card.
fn gpu_as_card() -> Gpu {
    let preference = Preference { as_card: true, ..Default::default() };
    pollster::block_on(Gpu::new(preference)).expect("these tests need a graphics adapter; lavapipe will do")
}

fn cpu() -> Cpu<f32> {
    Cpu::new()
}

/// Standard normal numbers, the same for every call with the same purpose.
fn noise(purpose: &str, len: usize) -> Vec<f32> {
    let mut generator = Generator::new(7, purpose);
    (0..len).map(|_| generator.normal() as f32).collect()
}

/// Indices below `bound`.
fn indices(purpose: &str, len: usize, bound: usize) -> Vec<u32> {
    let mut generator = Generator::new(7, purpose);
    (0..len).map(|_| generator.below(bound) as u32).collect()
}

fn floats<K: Kernels<Real = f32>>(k: &mut K, values: &[f32]) -> K::Floats {
    let mut buffer = k.floats("test", values.len());
    k.write_floats(&mut buffer, 0, values);
    buffer
}

fn integers<K: Kernels>(k: &mut K, values: &[u32]) -> K::Integers {
    let mut buffer = k.integers("test", values.len());
    k.write_integers(&mut buffer, 0, values);
    buffer
}

fn read<K: Kernels<Real = f32>>(k: &mut K, buffer: &K::Floats, len: usize) -> Vec<f32> {
    pollster::block_on(k.read_floats(buffer, 0..len)).expect("a readable buffer")
}

fn read_integers<K: Kernels>(k: &mut K, buffer: &K::Integers, len: usize) -> Vec<u32> {
    pollster::block_on(k.read_integers(buffer, 0..len)).expect("a readable buffer")
}

/// Every number of every tensor within 1e-5 plus 1e-4 of the tensor's largest.
#[track_caller]
fn assert_parity(case: &str, gpu: &Tensors, cpu: &Tensors) {
    assert_eq!(gpu.len(), cpu.len(), "{case}");
    for ((name, gpu), (_, cpu)) in gpu.iter().zip(cpu) {
        assert_eq!(gpu.len(), cpu.len(), "{case}: {name}");
        let largest = cpu.iter().fold(0.0f32, |largest, x| largest.max(x.abs()));
        assert!(largest > 0.0, "{case}: {name} is all zeros, which proves nothing");
        for (i, (&g, &c)) in gpu.iter().zip(cpu).enumerate() {
            assert!((g - c).abs() <= 1e-5 + 1e-4 * largest, "{case}: {name}[{i}] is {g} on the GPU, {c} on the CPU");
        }
    }
}
