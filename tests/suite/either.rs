//! Either backend behind one type computes what the backend itself does.

use klimb::algorithms::{Sft, SftSettings};
use klimb::backend::cpu::Cpu;
use klimb::backend::either::{Either, EitherBackend};
use klimb::backend::gpu::{Gpu, Preference};
use klimb::backend::network::Network;
use klimb::backend::{Kernels, SequenceSize};
use klimb::language::{Adamw, Schedule, TokenBatch};
use klimb::model::ModelConfig;

const CONFIG: ModelConfig =
    ModelConfig { vocabulary: 11, context: 8, width: 16, layers: 2, heads: 2, own_unembedding: false };

/// Losses of some steps from the same numbers.
fn losses<K: Kernels<Real = f32>>(mut k: K) -> Vec<f64> {
    let settings = SftSettings {
        batch: 4,
        schedule: Schedule { peak: 1e-2, floor: 1e-2, warm_up: 0, steps: 0 },
        adamw: Adamw { beta1: 0.9, beta2: 0.999, epsilon: 1e-8, weight_decay: 0.01, max_norm: 1.0 },
    };
    let network = Network::new(CONFIG);
    let count = network.layout().len;
    let parameters: Vec<f32> = (0..count).map(|i| ((i * 37 % 101) as f32 - 50.0) / 500.0).collect();
    let mut sft = Sft::new(&mut k, network, &parameters, CONFIG.context, settings);
    let size = SequenceSize { batch: 4, length: 8 };
    let token = |i: usize| (i * 7 % 11) as u32;
    let batch = TokenBatch {
        size,
        inputs: (0..32).map(token).collect(),
        targets: (1..33).map(token).collect(),
        completion_mask: vec![1.0; 32],
    };
    for _ in 0..5 {
        sft.step_on(&mut k, &batch);
    }
    let metrics = pollster::block_on(sft.metrics(&mut k)).unwrap();
    metrics.iter().map(|line| line.loss).collect()
}

#[test]
fn on_the_processor() {
    let own = losses(Cpu::<f32>::new());
    assert!(own[4] < own[0], "{own:?}");
    assert_eq!(losses::<EitherBackend>(Either::Cpu(Box::default())), own);
}

#[test]
fn on_the_graphics_device() {
    let gpu = || pollster::block_on(Gpu::new(Preference::default())).unwrap();
    assert_eq!(losses::<EitherBackend>(Either::Gpu(Box::new(gpu()))), losses(gpu()));
}

#[test]
#[should_panic(expected = "a buffer of another backend")]
fn buffers_are_not_mixed() {
    let gpu = pollster::block_on(Gpu::new(Preference::default())).unwrap();
    let mut gpu: EitherBackend = Either::Gpu(Box::new(gpu));
    let mut cpu: EitherBackend = Either::Cpu(Box::default());
    let (source, mut destination) = (gpu.floats("source", 4), cpu.floats("destination", 4));
    cpu.copy_floats(&source, &mut destination);
}
