//! A network that learns: parameters, the scratch of a training step, and AdamW.
//!
//! A step is [`Learner::load`], [`Learner::logprobs`] or [`Learner::values`] or both in one, an objective's kernels,
//! [`Learner::update`], and one submit.
//! Nothing is read back in it: each step leaves a line of metrics on the device, fetched when somebody looks.

use std::future::Future;

use serde::{Deserialize, Serialize};

use super::{TokenBatch, upload};
use klimb_network::backend::network::{Activations, Gradients, Network, OutputGradients};
use klimb_network::backend::{
    AdamwSize, At, BackendError, Kernels, LogitsSize, MetricsSize, NORM_PARTIALS, SequenceSize, kernels,
};
use klimb_numerics::real::Real;

/// Lines of metrics the device keeps before they are overwritten.
pub const METRIC_LINES: usize = 64;
/// Settings in front of the mask: slot, learning rate, two bias corrections.
const SETTINGS: usize = 4;
/// Statistics an objective may report.
const MAX_COLUMNS: usize = 10;

/// AdamW's constants (Loshchilov and Hutter 2019).
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Adamw {
    /// β₁.
    pub beta1: f32,
    /// β₂.
    pub beta2: f32,
    /// Added to the root of the second moment.
    pub epsilon: f32,
    /// Decoupled weight decay.
    pub weight_decay: f32,
    /// Largest gradient norm; longer gradients are scaled down.
    pub max_norm: f32,
}

impl Default for Adamw {
    fn default() -> Self {
        Self { beta1: 0.9, beta2: 0.98, epsilon: 1e-8, weight_decay: 0.01, max_norm: 1.0 }
    }
}

/// Learning rate over a run: linear warm-up, then a cosine from `peak` to `floor` at `steps`, then `floor`.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Schedule {
    /// Largest learning rate.
    pub peak: f64,
    /// Smallest, at the end.
    pub floor: f64,
    /// Steps of warm-up.
    pub warm_up: u64,
    /// Steps in all; 0 means constant after the warm-up.
    pub steps: u64,
}

impl Schedule {
    /// The learning rate of step `step`, counted from 0.
    pub fn at(&self, step: u64) -> f64 {
        if step < self.warm_up {
            return self.peak * (step + 1) as f64 / self.warm_up as f64;
        }
        if self.steps <= self.warm_up {
            return self.peak;
        }
        let done = ((step - self.warm_up) as f64 / (self.steps - self.warm_up) as f64).min(1.0);
        self.floor + (self.peak - self.floor) * 0.5 * (1.0 + (std::f64::consts::PI * done).cos())
    }
}

/// What a step left on the device.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct MetricLine {
    /// Optimiser steps taken, from 1.
    pub step: u64,
    /// The sum of each statistic.
    pub sums: Vec<f64>,
    /// The gradient's norm, before clipping.
    pub gradient_norm: f64,
}

/// Lines of metrics read back.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct MetricLines {
    /// A line a step, oldest first.
    pub lines: Vec<MetricLine>,
}

/// What a step's forward pass filled, and its backward pass therefore starts from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Outputs {
    Logprobs,
    Values,
    Both,
}

/// A network in training on batches of exactly `size`.
pub struct Learner<K: Kernels> {
    network: Network,
    size: SequenceSize,
    /// The network's parameters, flat.
    pub parameters: K::Floats,
    activations: Activations<K>,
    gradients: Gradients<K>,
    first_moments: K::Floats,
    second_moments: K::Floats,
    integers: K::Integers,
    /// Settings (4), completion mask (B·T), then whatever else the objective wants for each sequence.
    pub floats: K::Floats,
    /// logprobs | entropies | logsumexps, (3, B·T).
    pub numbers: K::Floats,
    /// dlogprobs | dentropies, (2, B·T), for the objective to fill.
    pub dnumbers: K::Floats,
    /// The scalar head's value of each position, (B·T), in a network that has a head.
    pub values: K::Floats,
    /// dvalues, (B·T), for the objective to fill.
    pub dvalues: K::Floats,
    /// The objective's statistics, one column each.
    pub statistics: K::Floats,
    partials: K::Floats,
    metrics: K::Floats,
    adamw: Adamw,
    columns: usize,
    outputs: Outputs,
    steps: u64,
    /// The step at which the moments began, for their bias correction.
    began: u64,
    read: u64,
}

impl<K: Kernels> Learner<K> {
    /// A learner that starts from `parameters` (flat), for batches of `size` with `extra` floats beside the mask and
    /// `columns` statistics.
    ///
    /// # Panics
    /// If `parameters` are of another network, or there are more than ten columns.
    pub fn new(
        k: &mut K,
        network: Network,
        parameters: &[f32],
        size: SequenceSize,
        extra: usize,
        columns: usize,
        adamw: Adamw,
    ) -> Self {
        let (len, rows) = (network.layout().len, size.batch * size.length);
        assert_eq!(parameters.len(), len, "Learner: parameters of another network");
        assert!(columns <= MAX_COLUMNS, "Learner: {columns} statistics, room for {MAX_COLUMNS}");
        Self {
            size,
            parameters: upload(k, parameters),
            activations: network.activations(k, rows),
            gradients: network.gradients(k, rows),
            first_moments: k.floats("first_moments", len),
            second_moments: k.floats("second_moments", len),
            integers: k.integers("batch", 3 * rows + network.config().vocabulary + 1),
            floats: k.floats("batch_floats", SETTINGS + rows + extra),
            numbers: k.floats("numbers", 3 * rows),
            dnumbers: k.floats("dnumbers", 2 * rows),
            values: k.floats("values", rows),
            dvalues: k.floats("dvalues", rows),
            statistics: k.floats("statistics", columns * rows),
            partials: k.floats("partials", NORM_PARTIALS),
            metrics: k.floats("metrics", METRIC_LINES * (columns + 1)),
            network,
            adamw,
            columns,
            outputs: Outputs::Logprobs,
            steps: 0,
            began: 0,
            read: 0,
        }
    }

    /// Optimiser steps taken.
    pub fn steps(&self) -> u64 {
        self.steps
    }

    /// B and T of every batch.
    pub fn size(&self) -> SequenceSize {
        self.size
    }

    /// The network's sizes and layout.
    pub fn network(&self) -> &Network {
        &self.network
    }

    /// Goes on from the policy of another learner after its `steps` steps. The moments, which must be new, begin here.
    pub fn resume(&mut self, k: &mut K, parameters: &[f32], steps: u64) {
        self.parameters = upload(k, parameters);
        (self.steps, self.began, self.read) = (steps, steps, steps);
    }

    /// The policy as it is after everything recorded so far.
    ///
    /// # Errors
    /// As any read of the backend: `DeviceLost` or `Readback`.
    pub fn read_parameters(
        &self,
        k: &mut K,
    ) -> impl Future<Output = Result<Vec<f32>, BackendError>> + 'static + use<K> {
        let read = k.read_floats(&self.parameters, 0..self.network.layout().len);
        async move { Ok(read.await?.into_iter().map(|value| value.to_f64() as f32).collect()) }
    }

    /// First of the completion mask in `floats`.
    pub fn mask_offset(&self) -> usize {
        SETTINGS
    }

    /// First of the objective's own numbers in `floats`.
    pub fn extra_offset(&self) -> usize {
        SETTINGS + self.size.batch * self.size.length
    }

    /// Sends a batch and the step's settings: one write of integers, one of floats. `weights` of (B, T) stands where
    /// the completion mask does; `extra` fills the rest.
    ///
    /// # Panics
    /// If the batch is not of the size the learner was made for, or the numbers do not fit it.
    pub fn load(&mut self, k: &mut K, batch: &TokenBatch, weights: &[f32], learning_rate: f64, extra: &[f32]) {
        assert_eq!(batch.size, self.size, "Learner: a batch of another size");
        let integers = batch.integers(self.network.config().vocabulary);
        k.write_integers(&mut self.integers, 0, &integers);
        let step = (self.steps - self.began) as i32 + 1;
        let settings: [f64; SETTINGS] = [
            (self.steps % METRIC_LINES as u64) as f64,
            learning_rate,
            1.0 - f64::from(self.adamw.beta1).powi(step),
            1.0 - f64::from(self.adamw.beta2).powi(step),
        ];
        let floats: Vec<K::Real> = settings
            .into_iter()
            .chain(weights.iter().chain(extra).map(|&value| f64::from(value)))
            .map(K::Real::of)
            .collect();
        k.write_floats(&mut self.floats, 0, &floats);
    }

    /// Runs the network over the loaded batch and fills `numbers`; [`Learner::update`] will expect `dnumbers`.
    pub fn logprobs(&mut self, k: &mut K) {
        self.forward(k, Outputs::Logprobs);
    }

    /// Runs the network over the loaded batch and fills `values`; [`Learner::update`] will expect `dvalues`. Nothing is
    /// unembedded.
    ///
    /// # Panics
    /// If the network has no head.
    pub fn values(&mut self, k: &mut K) {
        self.forward(k, Outputs::Values);
    }

    /// Runs the trunk once over the loaded batch and fills `numbers` and `values`; [`Learner::update`] will expect
    /// `dnumbers` and `dvalues`.
    ///
    /// # Panics
    /// If the network has no head.
    pub fn logprobs_and_values(&mut self, k: &mut K) {
        self.forward(k, Outputs::Both);
    }

    fn forward(&mut self, k: &mut K, outputs: Outputs) {
        let Self { network, size, parameters, activations, .. } = self;
        let rows = size.batch * size.length;
        network.trunk_forward(k, *size, parameters, At::new(&self.integers, 0), activations);
        if outputs != Outputs::Values {
            network.logits_forward(k, rows, parameters, activations);
            let logits = LogitsSize { rows, vocabulary: network.config().vocabulary };
            kernels::LogprobsForward {
                size: logits,
                logits: &activations.logits,
                targets: At::new(&self.integers, rows),
                numbers: &mut self.numbers,
            }
            .run(k);
        }
        if outputs != Outputs::Logprobs {
            network.values_forward(k, rows, parameters, activations, &mut self.values);
        }
        self.outputs = outputs;
    }

    /// Turns `dnumbers`, `dvalues` or both, as the step's forward pass filled `numbers` and `values`, into gradients and
    /// takes one AdamW step. `items` is the length of each column of `statistics`, whose sums become this step's line
    /// of metrics.
    pub fn update(&mut self, k: &mut K, items: usize) {
        let (rows, len) = (self.rows(), self.network.layout().len);
        let activations = &mut self.activations;
        let (with_logprobs, with_values) = (self.outputs != Outputs::Values, self.outputs != Outputs::Logprobs);
        if with_logprobs {
            let size = LogitsSize { rows, vocabulary: self.network.config().vocabulary };
            let targets = At::new(&self.integers, rows);
            kernels::LogprobsBackward {
                size,
                targets,
                numbers: &self.numbers,
                dnumbers: &self.dnumbers,
                logits: &mut activations.logits,
            }
            .run(k);
        }
        let outputs = OutputGradients {
            dlogits: with_logprobs.then_some(&activations.logits),
            dvalues: with_values.then_some(&self.dvalues),
        };
        let occurrences = At::new(&self.integers, 2 * rows);
        let (parameters, gradients) = (&self.parameters, &mut self.gradients);
        self.network.backward(k, self.size, parameters, occurrences, activations, outputs, gradients);
        kernels::SquaredNorm { len, values: &self.gradients.parameters, partials: &mut self.partials }.run(k);
        let metrics = MetricsSize { items, columns: self.columns, partials: NORM_PARTIALS };
        let slot = At::new(&self.floats, 0);
        kernels::RecordMetrics {
            size: metrics,
            statistics: &self.statistics,
            partials: &self.partials,
            settings: slot,
            metrics: &mut self.metrics,
        }
        .run(k);
        let Adamw { beta1, beta2, epsilon, weight_decay, max_norm } = self.adamw;
        let size = AdamwSize { len, partials: NORM_PARTIALS, beta1, beta2, epsilon, weight_decay, max_norm };
        let settings = At::new(&self.floats, 1);
        kernels::Adamw {
            size,
            settings,
            partials: &self.partials,
            parameters: &mut self.parameters,
            gradients: &mut self.gradients.parameters,
            first_moments: &mut self.first_moments,
            second_moments: &mut self.second_moments,
        }
        .run(k);
        self.steps += 1;
    }

    /// The lines of metrics of the steps since the last call, at most [`METRIC_LINES`].
    ///
    /// # Errors
    /// As any read of the backend: `DeviceLost` or `Readback`.
    pub fn read_metrics(
        &mut self,
        k: &mut K,
    ) -> impl Future<Output = Result<MetricLines, BackendError>> + 'static + use<K> {
        let width = self.columns + 1;
        let first = self.read.max(self.steps.saturating_sub(METRIC_LINES as u64));
        let steps = first..self.steps;
        self.read = self.steps;
        let read = k.read_floats(&self.metrics, 0..METRIC_LINES * width);
        async move {
            let values = read.await?;
            let lines = steps
                .map(|step| {
                    let line = &values[(step % METRIC_LINES as u64) as usize * width..][..width];
                    let sums = line[..width - 1].iter().map(|value| value.to_f64()).collect();
                    MetricLine { step: step + 1, sums, gradient_norm: line[width - 1].to_f64() }
                })
                .collect();
            Ok(MetricLines { lines })
        }
    }

    fn rows(&self) -> usize {
        self.size.batch * self.size.length
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_schedule_warms_up_and_decays() {
        let schedule = Schedule { peak: 1e-3, floor: 1e-5, warm_up: 10, steps: 100 };
        assert!((schedule.at(0) - 1e-4).abs() < 1e-12);
        assert!((schedule.at(9) - 1e-3).abs() < 1e-12);
        assert!((schedule.at(55) - (1e-5 + 0.5 * (1e-3 - 1e-5))).abs() < 1e-9);
        assert!((schedule.at(100) - 1e-5).abs() < 1e-12 && (schedule.at(5000) - 1e-5).abs() < 1e-12);
        assert_eq!(Schedule { steps: 0, ..schedule }.at(5000), 1e-3);
    }
}
