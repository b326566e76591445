//! Klimb's step of supervised fine-tuning and its writing of completions behind a few calls, so that a page can put them
//! beside other libraries: the same network, weights, batches, prompts and optimiser go into all of them.
#![cfg(target_arch = "wasm32")]

use klimb::algorithms::{Sft, SftSettings};
use klimb::backend::cpu::Cpu;
use klimb::backend::either::EitherBackend;
use klimb::backend::gpu::{Gpu, Preference};
use klimb::backend::network::Network;
use klimb::backend::{Kernels, SequenceSize};
use klimb::language::{Adamw, Generation, GenerationSettings, Schedule, TokenBatch, upload};
use klimb::model::ModelConfig;
use wasm_bindgen::prelude::*;

/// A token that no network writes: what would end a completion here, and what would fill its row.
const NO_TOKEN: u32 = u32::MAX;

/// The network's sizes, and how many sequences go through it at once.
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

async fn backend(on_gpu: bool) -> Result<EitherBackend, JsError> {
    Ok(if on_gpu {
        EitherBackend::Gpu(Box::new(Gpu::new(Preference::default()).await?))
    } else {
        EitherBackend::Cpu(Box::new(Cpu::new()))
    })
}

/// A network in training.
#[wasm_bindgen]
pub struct Trainer {
    k: EitherBackend,
    sft: Sft<EitherBackend>,
    size: SequenceSize,
}

#[wasm_bindgen]
impl Trainer {
    /// A network that starts from `parameters`, one tensor after the other.
    pub async fn open(on_gpu: bool, shape: Shape, parameters: Vec<f32>) -> Result<Trainer, JsError> {
        let Shape { config, batch } = shape;
        let mut k = backend(on_gpu).await?;
        let settings = SftSettings {
            batch,
            schedule: Schedule { peak: 1e-3, floor: 1e-3, warm_up: 0, steps: 0 },
            adamw: Adamw { beta1: 0.9, beta2: 0.999, epsilon: 1e-8, weight_decay: 0.01, max_norm: f32::INFINITY },
        };
        let sft = Sft::new(&mut k, Network::new(config), &parameters, config.context, settings);
        Ok(Self { k, sft, size: SequenceSize { batch, length: config.context } })
    }

    /// One step; gives the loss before its update.
    pub async fn step(&mut self, inputs: Vec<u32>, targets: Vec<u32>) -> Result<f64, JsError> {
        let completion_mask = vec![1.0; inputs.len()];
        self.sft.step_on(&mut self.k, &TokenBatch { size: self.size, inputs, targets, completion_mask });
        let metrics = self.sft.metrics(&mut self.k).await?;
        Ok(metrics.last().expect("a step was taken").loss)
    }
}

/// A network that writes completions.
#[wasm_bindgen]
pub struct Writer {
    k: EitherBackend,
    generation: Generation<EitherBackend>,
    parameters: <EitherBackend as Kernels>::Floats,
    shape: Shape,
}

#[wasm_bindgen]
impl Writer {
    /// A network of `parameters`, one tensor after the other.
    pub async fn open(on_gpu: bool, shape: Shape, parameters: Vec<f32>) -> Result<Writer, JsError> {
        let Shape { config, batch } = shape;
        let mut k = backend(on_gpu).await?;
        let generation = Generation::new(&mut k, Network::new(config), batch, config.context);
        let parameters = upload(&mut k, &parameters);
        Ok(Self { k, generation, parameters, shape })
    }

    /// Completes every row of `prompts`, (B, P), to the context's length T and gives the new tokens, (B, T − P). Of `coins`,
    /// (B, T), those behind a prompt decide; at temperature 0 none does. No token ends a
    /// completion.
    pub async fn rollout(&mut self, prompts: Vec<u32>, coins: Vec<f32>, temperature: f64) -> Result<Vec<u32>, JsError> {
        let prompts: Vec<&[u32]> = prompts.chunks_exact(prompts.len() / self.shape.batch).collect();
        let settings = GenerationSettings { temperature, end: NO_TOKEN, padding: NO_TOKEN };
        let written = self.generation.generate(&mut self.k, &self.parameters, &prompts, &coins, settings).await?;
        Ok(written.iter().flat_map(|sequence| sequence.completion().iter().copied()).collect())
    }
}
