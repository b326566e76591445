//! What steps, rollouts and single kernels take, on both backends, by Criterion. `cargo xtask bench native` runs this;
//! words behind `--` select (`-- small`, `-- dpo/default`, `-- cpu`). The program also runs alone on a machine without
//! cargo: `native --bench`, with `KLIMB_BENCH_JSON=FILE` for its results as numbers.
//!
//! Every subject is called subject/size/backend. Nothing here asserts how long something takes.
#![cfg(not(target_arch = "wasm32"))]

mod harness;
mod kernels;
mod report;
mod rollouts;
mod scaling;
mod sizes;
mod steps;

use harness::{Harness, Machine};
use klimb::backend::cpu::Cpu;
use klimb::backend::gpu::{Gpu, Preference};

const REMEDY: &str = "On Debian `apt-get install mesa-vulkan-drivers` gives a software adapter; `-- cpu` measures the \
    CPU backend alone.";

fn main() {
    let mut harness = Harness::new();
    let mut cpu = Machine::new("cpu", Cpu::<f32>::new);
    let mut gpu = Machine::new("gpu", open_gpu);
    kernels::roof(&mut harness, &mut cpu);
    kernels::roof(&mut harness, &mut gpu);
    for size in sizes::SIZES {
        steps::all(&mut harness, &mut cpu, size);
        rollouts::all(&mut harness, &mut cpu, size);
        steps::all(&mut harness, &mut gpu, size);
        rollouts::all(&mut harness, &mut gpu, size);
    }
    kernels::all(&mut harness, &mut cpu);
    kernels::all(&mut harness, &mut gpu);
    scaling::all(&mut harness, &mut cpu);
    scaling::all(&mut harness, &mut gpu);
    let measured = harness.finish();
    report::write(&measured, gpu.opened().map(Gpu::adapter));
}

fn open_gpu() -> Gpu {
    pollster::block_on(Gpu::new(Preference::default())).unwrap_or_else(|error| {
        eprintln!("\n{error}. {REMEDY}");
        std::process::exit(1)
    })
}
