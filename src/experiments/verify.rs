//! Checks of the engine against golden numbers from another program.
//!
//! The formats: a JSON file with sizes, AdamW's constants, step-0 loss, log-probabilities and gradients and a number
//! of AdamW losses; beside it the parameters (`.params.f32`, little-endian, in the order of `spec`) and the batches
//! (`.batches.i32`, pairs of inputs and targets, each (B, T)).

use std::collections::HashMap;

use serde::Deserialize;
use thiserror::Error;

use crate::algorithms::{Sft, SftSettings};
use crate::backend::network::Network;
use crate::backend::{At, BackendError, Kernels, LogitsSize, SequenceSize};
use crate::language::{Adamw, Schedule, TokenBatch};
use crate::model::{ConfigError, ModelConfig};
use crate::real::Real;

/// Why a file of golden numbers cannot be used.
#[derive(Debug, Error)]
pub enum ReferenceError {
    /// Not JSON, or a field is missing or of another type.
    #[error("the golden file is not of the expected format: {0}")]
    Format(#[from] serde_json::Error),
    /// Sizes no network has.
    #[error("the golden file's sizes cannot be used: {0}")]
    Config(#[from] ConfigError),
    /// The files contradict each other.
    #[error("{field}: {found} instead of {expected}; the files do not belong together")]
    Mismatch {
        /// What was counted.
        field: &'static str,
        /// What the JSON file promises.
        expected: String,
        /// What was found.
        found: String,
    },
    /// The engine failed.
    #[error(transparent)]
    Backend(#[from] BackendError),
}

/// One compared quantity.
#[derive(Debug, Clone, PartialEq)]
pub struct Check {
    /// What was compared.
    pub quantity: String,
    /// The largest error found, in the unit of the tolerance.
    pub error: f64,
    /// The largest error allowed.
    pub tolerance: f64,
}

impl Check {
    /// A check of `quantity`; keeps the largest of `errors`, and takes what is not a number for infinite.
    pub fn new(quantity: impl Into<String>, tolerance: f64, errors: impl IntoIterator<Item = f64>) -> Self {
        let largest = |high: f64, error: f64| if error.is_nan() { f64::INFINITY } else { high.max(error.abs()) };
        Self { quantity: quantity.into(), error: errors.into_iter().fold(0.0, largest), tolerance }
    }

    /// Whether the error is within the tolerance.
    pub fn passed(&self) -> bool {
        self.error <= self.tolerance
    }
}

#[derive(Debug, Deserialize)]
struct Sizes {
    #[serde(rename = "D")]
    width: usize,
    #[serde(rename = "L")]
    layers: usize,
    #[serde(rename = "H")]
    heads: usize,
    #[serde(rename = "V")]
    vocabulary: usize,
    #[serde(rename = "T")]
    length: usize,
    #[serde(rename = "B")]
    batch: usize,
}

#[derive(Debug, Deserialize)]
struct Optimiser {
    lr: f64,
    b1: f64,
    b2: f64,
    eps: f64,
    wd: f64,
}

#[derive(Debug, Deserialize)]
struct Gradient {
    l2: f64,
    sum: f64,
    first: Vec<f64>,
}

#[derive(Debug, Deserialize)]
struct Golden {
    cfg: Sizes,
    optimiser: Optimiser,
    spec: Vec<(String, Vec<usize>)>,
    nb: usize,
    step0_loss: f64,
    step0_logprobs_row0: Vec<f64>,
    step0_entropy_mean: f64,
    step0_gradients: HashMap<String, Gradient>,
    adamw_losses: Vec<f64>,
}

/// Golden numbers of one transformer, with its parameters and batches.
#[derive(Debug)]
pub struct Reference {
    golden: Golden,
    config: ModelConfig,
    parameters: Vec<f32>,
    batches: Vec<TokenBatch>,
}

impl Reference {
    /// Parses the three files and checks that they belong together.
    pub fn from_bytes(json: &[u8], parameters: &[u8], batches: &[u8]) -> Result<Self, ReferenceError> {
        let golden: Golden = serde_json::from_slice(json)?;
        let Sizes { width, layers, heads, vocabulary, length, batch } = golden.cfg;
        let config = ModelConfig { vocabulary, context: length, width, layers, heads }.validated()?;
        let network = Network::new(config);
        let expected: Vec<(String, Vec<usize>)> =
            network.layout().tensors.iter().map(|tensor| (tensor.name.clone(), tensor.shape.clone())).collect();
        if golden.spec != expected {
            let (expected, found) = (format!("{expected:?}"), format!("{:?}", golden.spec));
            return Err(ReferenceError::Mismatch { field: "spec", expected, found });
        }
        let count = |field, expected: usize, found: usize| {
            let error = || ReferenceError::Mismatch { field, expected: expected.to_string(), found: found.to_string() };
            if expected == found { Ok(()) } else { Err(error()) }
        };
        count("bytes of parameters", 4 * network.layout().len, parameters.len())?;
        count("bytes of batches", golden.nb * 2 * batch * length * 4, batches.len())?;
        let words = |bytes: &[u8]| bytes.as_chunks::<4>().0.to_vec();
        let parameters = words(parameters).into_iter().map(f32::from_le_bytes).collect();
        let tokens: Vec<u32> = words(batches).into_iter().map(u32::from_le_bytes).collect();
        if let Some(token) = tokens.iter().find(|&&token| token as usize >= vocabulary) {
            let (expected, found) = (format!("below {vocabulary}"), token.to_string());
            return Err(ReferenceError::Mismatch { field: "token", expected, found });
        }
        let rows = batch * length;
        let batches = tokens
            .chunks_exact((2 * rows).max(1))
            .map(|pair| TokenBatch {
                size: SequenceSize { batch, length },
                inputs: pair[..rows].to_vec(),
                targets: pair[rows..].to_vec(),
                completion_mask: vec![1.0; rows],
            })
            .collect();
        Ok(Self { golden, config, parameters, batches })
    }

    /// Compares the engine on `k` with the golden numbers.
    pub async fn check<K: Kernels>(&self, k: &mut K) -> Result<Vec<Check>, ReferenceError> {
        let mut checks = self.check_step0(k).await?;
        checks.push(self.check_losses(k).await?);
        Ok(checks)
    }

    async fn check_step0<K: Kernels>(&self, k: &mut K) -> Result<Vec<Check>, ReferenceError> {
        let Golden { step0_loss, step0_logprobs_row0, step0_entropy_mean, step0_gradients, .. } = &self.golden;
        let network = Network::new(self.config);
        let Some(batch) = self.batches.first() else {
            let (expected, found) = ("at least 1".into(), "0".into());
            return Err(ReferenceError::Mismatch { field: "nb", expected, found });
        };
        let rows = batch.inputs.len();
        let logits = LogitsSize { rows, vocabulary: self.config.vocabulary };
        let integers_host = batch.integers(self.config.vocabulary);
        let mut integers = k.integers("batch", integers_host.len());
        k.write_integers(&mut integers, 0, &integers_host);
        let mut parameters = k.floats("parameters", self.parameters.len());
        let real = |value: &f32| K::Real::of(f64::from(*value));
        k.write_floats(&mut parameters, 0, &self.parameters.iter().map(real).collect::<Vec<_>>());
        let mut weights = k.floats("weights", rows);
        k.write_floats(&mut weights, 0, &vec![K::Real::of(1.0 / rows as f64); rows]);
        let mut activations = network.activations(k, rows);
        let mut gradients = network.gradients(k, rows);
        let mut numbers = k.floats("numbers", 3 * rows);
        let (mut dnumbers, mut statistics) = (k.floats("dnumbers", 2 * rows), k.floats("statistics", rows));

        network.forward(k, batch.size, &parameters, At::new(&integers, 0), &mut activations);
        k.logprobs_forward(logits, &activations.logits, At::new(&integers, rows), &mut numbers);
        k.sft(rows, &numbers, At::new(&weights, 0), &mut dnumbers, &mut statistics);
        k.logprobs_backward(logits, At::new(&integers, rows), &numbers, &dnumbers, &mut activations.logits);
        let occurrences = At::new(&integers, 2 * rows);
        network.backward(k, batch.size, &parameters, occurrences, &activations, &mut gradients);
        let numbers: Vec<f64> = k.read_floats(&numbers, 0..2 * rows).await?.into_iter().map(Real::to_f64).collect();
        let loss: f64 = k.read_floats(&statistics, 0..rows).await?.into_iter().map(Real::to_f64).sum();
        let gradient: Vec<f64> = k
            .read_floats(&gradients.parameters, 0..network.layout().len)
            .await?
            .into_iter()
            .map(Real::to_f64)
            .collect();

        let entropy = numbers[rows..].iter().sum::<f64>() / rows as f64;
        let mut checks = vec![
            Check::new("step-0 loss", 1e-5, [loss - step0_loss]),
            Check::new(
                "step-0 log-probabilities",
                1e-5,
                numbers.iter().zip(step0_logprobs_row0).map(|(ours, theirs)| ours - theirs),
            ),
            Check::new("step-0 mean entropy", 1e-5, [entropy - step0_entropy_mean]),
        ];
        for tensor in &network.layout().tensors {
            let Some(theirs) = step0_gradients.get(&tensor.name) else {
                let (expected, found) = (format!("a gradient of {}", tensor.name), "none".into());
                return Err(ReferenceError::Mismatch { field: "step0_gradients", expected, found });
            };
            let ours = &gradient[tensor.range()];
            let l2 = ours.iter().map(|value| value * value).sum::<f64>().sqrt();
            let first = ours.iter().zip(&theirs.first).map(|(ours, theirs)| ours - theirs);
            let errors = first.chain([l2 - theirs.l2, ours.iter().sum::<f64>() - theirs.sum]);
            let relative = errors.map(|error| error / theirs.l2);
            checks.push(Check::new(format!("step-0 gradient of {} / its norm", tensor.name), 1e-4, relative));
        }
        Ok(checks)
    }

    async fn check_losses<K: Kernels>(&self, k: &mut K) -> Result<Check, ReferenceError> {
        let Optimiser { lr, b1, b2, eps, wd } = self.golden.optimiser;
        let settings = SftSettings {
            batch: self.golden.cfg.batch,
            schedule: Schedule { peak: lr, floor: lr, warm_up: 0, steps: 0 },
            adamw: Adamw {
                beta1: b1 as f32,
                beta2: b2 as f32,
                epsilon: eps as f32,
                weight_decay: wd as f32,
                max_norm: f32::INFINITY,
            },
        };
        let network = Network::new(self.config);
        let mut sft = Sft::new(k, network, &self.parameters, self.golden.cfg.length, settings);
        let mut errors = Vec::new();
        for (step, theirs) in self.golden.adamw_losses.iter().enumerate() {
            sft.step_on(k, &self.batches[step % self.batches.len()]);
            let lines = sft.metrics(k).await?;
            errors.push(lines[0].loss - theirs);
        }
        Ok(Check::new(format!("losses of {} AdamW steps", self.golden.adamw_losses.len()), 1e-3, errors))
    }
}
