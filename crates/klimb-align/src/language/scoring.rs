//! Log-probabilities of given sequences under one policy, or under two at once with the exact KL between them.

use std::ops::Range;

use super::device_tokens::DeviceTokens;
use super::{Sequence, TokenBatch};
use klimb_network::backend::network::{Activations, Network};
use klimb_network::backend::{At, BackendError, Kernels, SequenceSize};
use klimb_numerics::real::Real;

/// Per-token numbers of one completion under a policy and its reference; every vector has one entry a token.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct TokenComparison {
    /// log π(token).
    pub logprobs: Vec<f64>,
    /// log π_ref(token).
    pub reference_logprobs: Vec<f64>,
    /// Σ_j π(j)(log π(j) − log π_ref(j)) over the vocabulary at this position: exact, never negative but for rounding.
    pub kl_per_token: Vec<f64>,
    /// Entropy of π at this position, nats.
    pub entropies: Vec<f64>,
}

impl TokenComparison {
    /// log π/π_ref of each token.
    pub fn log_ratios(&self) -> Vec<f64> {
        self.logprobs.iter().zip(&self.reference_logprobs).map(|(policy, reference)| policy - reference).collect()
    }
}

/// [`TokenComparison`] of each sequence, in order.
pub type Comparison = Vec<TokenComparison>;

/// Buffers for scoring up to `batch` sequences at once.
pub struct Scorer<K: Kernels> {
    network: Network,
    size: SequenceSize,
    policy: Activations<K>,
    reference: Activations<K>,
    integers: K::Integers,
    /// logprobs | entropies | logsumexps of the policy, then of the reference.
    policy_numbers: K::Floats,
    reference_numbers: K::Floats,
    kl_per_token: K::Floats,
}

impl<K: Kernels> Scorer<K> {
    /// Room for `size.batch` sequences of `size.length` + 1 tokens.
    pub fn new(k: &mut K, network: Network, size: SequenceSize) -> Self {
        let rows = size.batch * size.length;
        Self {
            size,
            policy: network.activations(k, rows),
            reference: network.activations(k, rows),
            integers: k.integers("scored", 2 * rows),
            policy_numbers: k.floats("policy_numbers", 3 * rows),
            reference_numbers: k.floats("reference_numbers", 3 * rows),
            kl_per_token: k.floats("kl_per_token", rows),
            network,
        }
    }

    /// log π(completion | prompt), summed over tokens, for each sequence; any number of them.
    ///
    /// # Errors
    /// As any read of the backend: `DeviceLost` or `Readback`.
    pub async fn sequence_logprobs(
        &mut self,
        k: &mut K,
        parameters: &K::Floats,
        sequences: &[Sequence],
    ) -> Result<Vec<f64>, BackendError> {
        let tokens = self.token_logprobs(k, parameters, sequences).await?;
        Ok(tokens.iter().map(|logprobs| logprobs.iter().sum()).collect())
    }

    /// log π of each token of each completion; any number of sequences.
    ///
    /// # Errors
    /// As any read of the backend: `DeviceLost` or `Readback`.
    pub async fn token_logprobs(
        &mut self,
        k: &mut K,
        parameters: &K::Floats,
        sequences: &[Sequence],
    ) -> Result<Vec<Vec<f64>>, BackendError> {
        let mut found = Vec::with_capacity(sequences.len());
        for chunk in sequences.chunks(self.size.batch) {
            let batch = self.load(k, chunk);
            let rows = batch.inputs.len();
            let (size, tokens) = (batch.size, loaded(&self.network, &self.integers, &batch));
            tokens.logprobs(k, parameters, &mut self.policy, &mut self.policy_numbers);
            let logprobs = k.read_floats(&self.policy_numbers, 0..rows).await?;
            found.extend(chunk.iter().enumerate().map(|(b, sequence)| {
                logprobs[completion_rows(b, size, sequence)].iter().map(|value| value.to_f64()).collect()
            }));
        }
        Ok(found)
    }

    /// Both policies' log-probabilities and the exact KL along each completion; any number of sequences.
    ///
    /// # Errors
    /// As any read of the backend: `DeviceLost` or `Readback`.
    pub async fn compare(
        &mut self,
        k: &mut K,
        policy: &K::Floats,
        reference: &K::Floats,
        sequences: &[Sequence],
    ) -> Result<Comparison, BackendError> {
        let mut comparison = Vec::with_capacity(sequences.len());
        for chunk in sequences.chunks(self.size.batch) {
            let batch = self.load(k, chunk);
            let rows = batch.inputs.len();
            let (size, tokens) = (batch.size, loaded(&self.network, &self.integers, &batch));
            tokens.logprobs(k, policy, &mut self.policy, &mut self.policy_numbers);
            tokens.logprobs(k, reference, &mut self.reference, &mut self.reference_numbers);
            tokens.kl(k, &self.policy, &self.reference, &mut self.kl_per_token);
            let numbers = k.read_floats(&self.policy_numbers, 0..2 * rows);
            let reference_logprobs = k.read_floats(&self.reference_numbers, 0..rows);
            let kl = k.read_floats(&self.kl_per_token, 0..rows);
            let (numbers, reference_logprobs, kl) = (numbers.await?, reference_logprobs.await?, kl.await?);
            for (b, sequence) in chunk.iter().enumerate() {
                let tokens = completion_rows(b, size, sequence);
                let of = |values: &[K::Real]| values[tokens.clone()].iter().map(|value| value.to_f64()).collect();
                comparison.push(TokenComparison {
                    logprobs: of(&numbers),
                    reference_logprobs: of(&reference_logprobs),
                    kl_per_token: of(&kl),
                    entropies: of(&numbers[rows..]),
                });
            }
        }
        Ok(comparison)
    }

    fn load(&mut self, k: &mut K, sequences: &[Sequence]) -> TokenBatch {
        let batch = TokenBatch::new(self.size.length, sequences);
        k.write_integers(&mut self.integers, 0, &[&batch.inputs[..], &batch.targets].concat());
        batch
    }
}

/// A batch whose inputs lie in front of its targets.
fn loaded<'a, K: Kernels>(network: &'a Network, integers: &'a K::Integers, batch: &TokenBatch) -> DeviceTokens<'a, K> {
    let (inputs, targets) = (At::new(integers, 0), At::new(integers, batch.inputs.len()));
    DeviceTokens { network, size: batch.size, inputs, targets }
}

/// The rows that predict a completion's tokens, where `sequence` is the batch's row `b`.
fn completion_rows(b: usize, size: SequenceSize, sequence: &Sequence) -> Range<usize> {
    let first = b * size.length + sequence.prompt_length - 1;
    first..first + sequence.completion().len()
}
