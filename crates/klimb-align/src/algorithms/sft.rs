//! Supervised fine-tuning: maximise the likelihood of given completions (Ouyang et al. 2022, step 1). Pre-training is
//! the same step on another text.

use std::future::Future;

use serde::{Deserialize, Serialize};

use crate::language::{Adamw, Learner, MetricLine, Schedule, Sequence, TokenBatch};
use klimb_metrics::MetricRow;
use klimb_network::backend::network::Network;
use klimb_network::backend::{At, BackendError, Kernels, SequenceSize, kernels};
use klimb_numerics::real::Real;

/// Settings of SFT.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct SftSettings {
    /// Reviews a step.
    pub batch: usize,
    /// Learning rate over the run.
    pub schedule: Schedule,
    /// The optimiser's constants.
    pub adamw: Adamw,
}

impl Default for SftSettings {
    fn default() -> Self {
        Self {
            batch: 128,
            schedule: Schedule { peak: 4e-3, floor: 1e-5, warm_up: 50, steps: 3000 },
            adamw: Adamw::default(),
        }
    }
}

/// Metrics of one step.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct SftMetrics {
    /// Steps taken, from 1.
    pub step: u64,
    /// `sft/loss`: mean −log p of the tokens that count, nats a token.
    pub loss: f64,
    /// L2 norm of the gradient before clipping.
    pub gradient_norm: f64,
}

impl SftMetrics {
    /// The step by the field's names.
    pub fn row(&self) -> MetricRow {
        MetricRow::new(self.step, &[("sft/loss", self.loss), ("optimiser/gradient_norm", self.gradient_norm)])
    }
}

/// A policy in supervised fine-tuning.
pub struct Sft<K: Kernels> {
    learner: Learner<K>,
    settings: SftSettings,
    /// What each token of the last step counted, (B, T).
    weights: Vec<f32>,
}

impl<K: Kernels> Sft<K> {
    /// Starts from `parameters`; sequences have at most `length` + 1 tokens.
    pub fn new(k: &mut K, network: Network, parameters: &[f32], length: usize, settings: SftSettings) -> Self {
        let size = SequenceSize { batch: settings.batch, length };
        let learner = Learner::new(k, network, parameters, size, 0, 1, settings.adamw);
        Self { learner, settings, weights: Vec::new() }
    }

    /// The policy and its optimiser.
    pub fn learner(&self) -> &Learner<K> {
        &self.learner
    }

    /// The settings.
    pub fn settings(&self) -> &SftSettings {
        &self.settings
    }

    /// Goes on from the policy of another run after its `steps` steps, with new moments. No step may have been taken.
    pub fn resume(&mut self, k: &mut K, parameters: &[f32], steps: u64) {
        self.learner.resume(k, parameters, steps);
    }

    /// One update on exactly `settings.batch` sequences: the mean −log p of their completion tokens goes down.
    ///
    /// # Panics
    /// If there are not exactly that many sequences, or one is too long.
    pub fn step(&mut self, k: &mut K, sequences: &[Sequence]) {
        let batch = TokenBatch::new(self.learner.size().length, sequences);
        self.step_on(k, &batch);
    }

    /// Like [`Sft::step`], on a batch already laid out.
    pub fn step_on(&mut self, k: &mut K, batch: &TokenBatch) {
        let share = 1.0 / batch.completion_tokens().max(1.0);
        self.weights = batch.completion_mask.iter().map(|counts| counts * share).collect();
        let learner = &mut self.learner;
        let learning_rate = self.settings.schedule.at(learner.steps());
        learner.load(k, batch, &self.weights, learning_rate, &[]);
        learner.logprobs(k);
        let weights = At::new(&learner.floats, learner.mask_offset());
        let rows = batch.inputs.len();
        kernels::Sft {
            rows,
            logprobs: &learner.numbers,
            weights,
            dlogprobs: &mut learner.dnumbers,
            statistics: &mut learner.statistics,
        }
        .run(k);
        learner.update(k, rows);
        k.submit();
    }

    /// The metrics of the steps since the last call (see [`Learner::read_metrics`]).
    ///
    /// # Errors
    /// As any read of the backend: `DeviceLost` or `Readback`.
    pub fn metrics(
        &mut self,
        k: &mut K,
    ) -> impl Future<Output = Result<Vec<SftMetrics>, BackendError>> + 'static + use<K> {
        let read = self.learner.read_metrics(k);
        async move {
            let line = |MetricLine { step, sums, gradient_norm }: MetricLine| SftMetrics {
                step,
                loss: sums[0],
                gradient_norm,
            };
            Ok(read.await?.lines.into_iter().map(line).collect())
        }
    }

    /// log π of each completion token of the last step, a list for each sequence, as it was before the update.
    ///
    /// # Errors
    /// As any read of the backend: `DeviceLost` or `Readback`.
    pub fn outcomes(&self, k: &mut K) -> impl Future<Output = Result<Vec<Vec<f64>>, BackendError>> + 'static + use<K> {
        let (weights, length) = (self.weights.clone(), self.learner.size().length);
        let read = k.read_floats(&self.learner.numbers, 0..weights.len());
        async move {
            let logprobs = read.await?;
            let of_row = |(logprobs, weights): (&[K::Real], &[f32])| {
                let counting = logprobs.iter().zip(weights).filter(|(_, weight)| **weight > 0.0);
                counting.map(|(logprob, _)| logprob.to_f64()).collect()
            };
            Ok(logprobs.chunks_exact(length).zip(weights.chunks_exact(length)).map(of_row).collect())
        }
    }
}
