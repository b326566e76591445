//! The transformer against another program's loss, log-probabilities, gradients and AdamW losses.
//!
//! The format: a JSON file with sizes, AdamW's constants, step-0 loss, log-probabilities and gradients and a number
//! of AdamW losses; beside it the parameters (`.params.f32`, little-endian, in the order of `spec`) and the batches
//! (`.batches.i32`, pairs of inputs and targets, each (B, T)).

use std::collections::HashMap;

use serde::Deserialize;

use super::{Check, ReferenceError, not_empty, same_count};
use klimb_align::algorithms::{Sft, SftSettings};
use klimb_align::language::{Adamw, Schedule, TokenBatch};
use klimb_network::backend::network::{Network, OutputGradients};
use klimb_network::backend::{At, Kernels, LogitsSize, SequenceSize, kernels};
use klimb_network::model::{ModelConfig, TensorSpec};
use klimb_numerics::real::Real;
use klimb_text::json;

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
    ///
    /// # Errors
    /// `Format`, `Config` or `Mismatch`, with what does not fit.
    pub fn from_bytes(json: &[u8], parameters: &[u8], batches: &[u8]) -> Result<Self, ReferenceError> {
        let golden: Golden = json::from_bytes(json)?;
        let Sizes { width, layers, heads, vocabulary, length, batch } = golden.cfg;
        let config =
            ModelConfig { vocabulary, context: length, width, layers, heads, own_unembedding: false }.validated()?;
        let network = Network::new(config);
        let tensors = &network.layout().tensors;
        check_spec(&golden.spec, tensors)?;
        let bytes_of_batches = [golden.nb, 2, batch, length, 4].into_iter().try_fold(1usize, usize::checked_mul);
        let bytes_of_batches =
            bytes_of_batches.ok_or_else(|| ReferenceError::mismatch("nb", "a number of batches", golden.nb))?;
        same_count("bytes of parameters", 4 * network.layout().len, parameters.len())?;
        same_count("bytes of batches", bytes_of_batches, batches.len())?;
        if batches.is_empty() {
            return Err(ReferenceError::mismatch("nb and B", "at least 1", 0));
        }
        same_count("step0_logprobs_row0", length, golden.step0_logprobs_row0.len())?;
        not_empty("adamw_losses", &golden.adamw_losses)?;
        check_gradients(&golden.step0_gradients, tensors)?;
        let words = |bytes: &[u8]| bytes.as_chunks::<4>().0.to_vec();
        let parameters: Vec<f32> = words(parameters).into_iter().map(f32::from_le_bytes).collect();
        if let Some(broken) = parameters.iter().find(|parameter| !parameter.is_finite()) {
            return Err(ReferenceError::mismatch("parameters", "finite numbers", broken));
        }
        let tokens: Vec<u32> = words(batches).into_iter().map(u32::from_le_bytes).collect();
        if let Some(&token) = tokens.iter().find(|&&token| token as usize >= vocabulary) {
            return Err(ReferenceError::mismatch("token", format!("0 to {}", vocabulary - 1), token.cast_signed()));
        }
        let rows = batch * length;
        let batches = tokens
            .chunks_exact(2 * rows)
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
    ///
    /// # Errors
    /// `Backend` if the engine fails. Numbers that disagree are no error: their checks have not passed.
    pub async fn check<K: Kernels>(&self, k: &mut K) -> Result<Vec<Check>, ReferenceError> {
        let mut checks = self.check_step0(k).await?;
        checks.push(self.check_losses(k).await?);
        Ok(checks)
    }

    async fn check_step0<K: Kernels>(&self, k: &mut K) -> Result<Vec<Check>, ReferenceError> {
        let Golden { step0_loss, step0_logprobs_row0, step0_entropy_mean, step0_gradients, .. } = &self.golden;
        let network = Network::new(self.config);
        let batch = &self.batches[0];
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
        kernels::LogprobsForward {
            size: logits,
            logits: &activations.logits,
            targets: At::new(&integers, rows),
            numbers: &mut numbers,
        }
        .run(k);
        kernels::Sft {
            rows,
            logprobs: &numbers,
            weights: At::new(&weights, 0),
            dlogprobs: &mut dnumbers,
            statistics: &mut statistics,
        }
        .run(k);
        kernels::LogprobsBackward {
            size: logits,
            targets: At::new(&integers, rows),
            numbers: &numbers,
            dnumbers: &dnumbers,
            logits: &mut activations.logits,
        }
        .run(k);
        let occurrences = At::new(&integers, 2 * rows);
        let outputs = OutputGradients { dlogits: Some(&activations.logits), dvalues: None };
        network.backward(k, batch.size, &parameters, occurrences, &activations, outputs, &mut gradients);
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
            let theirs = &step0_gradients[&tensor.name];
            let ours = &gradient[tensor.range()];
            let l2 = ours.iter().map(|value| value * value).sum::<f64>().sqrt();
            let first = ours.iter().zip(&theirs.first).map(|(ours, theirs)| ours - theirs);
            let errors = first.chain([l2 - theirs.l2, ours.iter().sum::<f64>() - theirs.sum]);
            // A gradient that is exactly 0 has no norm to divide by.
            let relative = errors.map(|error| error / theirs.l2.max(f64::MIN_POSITIVE));
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

/// Refuses unless `spec` lists exactly the network's tensors, in their order.
fn check_spec(spec: &[(String, Vec<usize>)], tensors: &[TensorSpec]) -> Result<(), ReferenceError> {
    for ((name, shape), tensor) in spec.iter().zip(tensors) {
        if (name, shape) != (&tensor.name, &tensor.shape) {
            let expected = format!("{} {:?}", tensor.name, tensor.shape);
            return Err(ReferenceError::mismatch("spec", expected, format!("{name} {shape:?}")));
        }
    }
    same_count("tensors in spec", tensors.len(), spec.len())
}

/// Refuses unless each tensor has its gradient's figures.
fn check_gradients(gradients: &HashMap<String, Gradient>, tensors: &[TensorSpec]) -> Result<(), ReferenceError> {
    for tensor in tensors {
        let name = &tensor.name;
        let Some(gradient) = gradients.get(name) else {
            return Err(ReferenceError::mismatch("step0_gradients", format!("a gradient of {name}"), "none"));
        };
        let given = gradient.first.len();
        if !(1..=tensor.len()).contains(&given) {
            let field = format!("first values of the gradient of {name}");
            return Err(ReferenceError::mismatch(field, format!("1 to {}", tensor.len()), given));
        }
    }
    Ok(())
}
