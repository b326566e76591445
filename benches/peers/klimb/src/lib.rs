//! Klimb's step of supervised fine-tuning behind two calls, so that a page can put it beside other libraries: the same
//! network, weights, batches and optimiser go into all of them.
#![cfg(target_arch = "wasm32")]

use klimb::algorithms::{Sft, SftSettings};
use klimb::backend::cpu::Cpu;
use klimb::backend::gpu::{Gpu, Preference};
use klimb::backend::network::Network;
use klimb::backend::{Kernels, SequenceSize};
use klimb::language::{Adamw, Schedule, TokenBatch};
use klimb::model::ModelConfig;
use wasm_bindgen::prelude::*;

/// A network in training on either backend.
#[wasm_bindgen]
pub struct Trainer(Machine);

enum Machine {
    Cpu(Box<Run<Cpu<f32>>>),
    Gpu(Box<Run<Gpu>>),
}

struct Run<K: Kernels> {
    k: K,
    sft: Sft<K>,
    size: SequenceSize,
}

/// What is trained: the network's sizes and the batch's.
#[wasm_bindgen]
#[derive(Clone, Copy)]
pub struct Shape {
    config: ModelConfig,
    batch: usize,
}

#[wasm_bindgen]
impl Shape {
    /// Sizes as the other libraries have them.
    #[wasm_bindgen(constructor)]
    pub fn new(vocabulary: usize, context: usize, width: usize, layers: usize, heads: usize, batch: usize) -> Self {
        Self { config: ModelConfig { vocabulary, context, width, layers, heads, own_unembedding: false }, batch }
    }
}

#[wasm_bindgen]
impl Trainer {
    /// A network that starts from `parameters`, one tensor after the other.
    pub async fn open(on_gpu: bool, shape: Shape, parameters: Vec<f32>) -> Result<Trainer, JsError> {
        Ok(Self(if on_gpu {
            let gpu = Gpu::new(Preference::default()).await?;
            Machine::Gpu(Box::new(Run::new(gpu, shape, &parameters)))
        } else {
            Machine::Cpu(Box::new(Run::new(Cpu::new(), shape, &parameters)))
        }))
    }

    /// One step; gives the loss before its update.
    pub async fn step(&mut self, inputs: Vec<u32>, targets: Vec<u32>) -> Result<f64, JsError> {
        match &mut self.0 {
            Machine::Cpu(run) => run.step(inputs, targets).await,
            Machine::Gpu(run) => run.step(inputs, targets).await,
        }
    }
}

impl<K: Kernels> Run<K> {
    fn new(mut k: K, Shape { config, batch }: Shape, parameters: &[f32]) -> Self {
        let settings = SftSettings {
            batch,
            schedule: Schedule { peak: 1e-3, floor: 1e-3, warm_up: 0, steps: 0 },
            adamw: Adamw { beta1: 0.9, beta2: 0.999, epsilon: 1e-8, weight_decay: 0.01, max_norm: f32::INFINITY },
        };
        let sft = Sft::new(&mut k, Network::new(config), parameters, config.context, settings);
        Self { k, sft, size: SequenceSize { batch, length: config.context } }
    }

    async fn step(&mut self, inputs: Vec<u32>, targets: Vec<u32>) -> Result<f64, JsError> {
        let completion_mask = vec![1.0; inputs.len()];
        self.sft.step_on(&mut self.k, &TokenBatch { size: self.size, inputs, targets, completion_mask });
        let metrics = self.sft.metrics(&mut self.k).await?;
        Ok(metrics.last().expect("a step was taken").loss)
    }
}
