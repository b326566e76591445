//! Scores of given sequences under a reward model: one number for prompt and completion, read where the last token has
//! been read.

use super::{Sequence, TokenBatch, last_token_mask};
use klimb_network::backend::network::{Activations, Network};
use klimb_network::backend::{At, BackendError, Kernels, SequenceSize, kernels};
use klimb_network::model::{Layout, ModelConfig};
use klimb_numerics::real::Real;

/// Buffers for judging up to `batch` sequences at once. Parameters are arguments: the same judge serves a reward model in
/// training and one that is finished.
pub struct Judge<K: Kernels> {
    network: Network,
    size: SequenceSize,
    tokens: K::Integers,
    last_tokens: K::Floats,
    room: Room<K>,
}

/// What judging writes.
struct Room<K: Kernels> {
    activations: Activations<K>,
    /// The head's value of each position, (B·T).
    values: K::Floats,
    /// The value at each sequence's last token, (B).
    scores: K::Floats,
}

impl<K: Kernels> Judge<K> {
    /// Room for `size.batch` sequences of `size.length` tokens, prompt and end token included, under reward models of
    /// these sizes.
    pub fn new(k: &mut K, config: ModelConfig, size: SequenceSize) -> Self {
        let network = Network::with_head(config);
        let rows = size.batch * size.length;
        Self {
            size,
            tokens: k.integers("judged", rows),
            last_tokens: k.floats("last_tokens", rows),
            room: Room {
                activations: network.activations(k, rows),
                values: k.floats("values", rows),
                scores: k.floats("scores", size.batch),
            },
            network,
        }
    }

    /// The score of each sequence under `parameters`, in order; any number of sequences. A completion without end token
    /// is judged at its last token all the same: the reward model has seen such ones lose.
    ///
    /// # Errors
    /// As any read of the backend: `DeviceLost` or `Readback`.
    ///
    /// # Panics
    /// If a sequence is longer than the room.
    pub async fn scores(
        &mut self,
        k: &mut K,
        parameters: &K::Floats,
        sequences: &[Sequence],
    ) -> Result<Vec<f64>, BackendError> {
        let mut scores = Vec::with_capacity(sequences.len());
        for chunk in sequences.chunks(self.size.batch) {
            let batch = TokenBatch::new(self.size.length, chunk);
            let mask: Vec<K::Real> =
                last_token_mask(self.size.length, chunk).into_iter().map(|it| K::Real::of(f64::from(it))).collect();
            k.write_integers(&mut self.tokens, 0, &batch.inputs);
            k.write_floats(&mut self.last_tokens, 0, &mask);
            let Self { network, room, tokens, last_tokens, .. } = self;
            let (tokens, last_tokens) = (At::new(tokens, 0), At::new(last_tokens, 0));
            record(k, network, batch.size, parameters, tokens, last_tokens, room);
            let read = k.read_floats(&self.room.scores, 0..chunk.len()).await?;
            scores.extend(read.into_iter().map(Real::to_f64));
        }
        Ok(scores)
    }

    /// Records the judging of `tokens` of `size` that lie on the device already, and answers with the buffer of their
    /// scores, (B). `last_tokens` is 1 where a score is read, as [`last_token_mask`] has it.
    ///
    /// # Panics
    /// If `size` is beyond the room.
    pub fn record(
        &mut self,
        k: &mut K,
        size: SequenceSize,
        parameters: &K::Floats,
        tokens: At<K::Integers>,
        last_tokens: At<K::Floats>,
    ) -> &K::Floats {
        assert!(size.batch <= self.size.batch, "judge: {} sequences, room for {}", size.batch, self.size.batch);
        record(k, &self.network, size, parameters, tokens, last_tokens, &mut self.room);
        &self.room.scores
    }
}

/// Trunk, head, and the value at the last token.
fn record<K: Kernels>(
    k: &mut K,
    network: &Network,
    size: SequenceSize,
    parameters: &K::Floats,
    tokens: At<K::Integers>,
    last_tokens: At<K::Floats>,
    room: &mut Room<K>,
) {
    let Room { activations, values, scores } = room;
    network.trunk_forward(k, size, parameters, tokens, activations);
    network.values_forward(k, size.batch * size.length, parameters, activations, values);
    kernels::SequenceLogprobsForward {
        size,
        logprobs: values,
        completion_mask: last_tokens,
        sequence_logprobs: scores,
    }
    .run(k);
}

/// The reward model `parameters` with every score s replaced by (s − `mean`)·`scale`, which the head can do by itself.
///
/// Bradley-Terry knows scores up to a constant only, so a shift to a reference mean of 0 is free. A scale other than 1 is
/// not: it changes what every β means.
///
/// # Panics
/// If `parameters` are not of a network of these sizes with a head.
pub fn with_scores_shifted(config: &ModelConfig, parameters: &[f32], mean: f64, scale: f64) -> Vec<f32> {
    let layout = Layout::with_head(config);
    assert_eq!(parameters.len(), layout.len, "with_scores_shifted: parameters of another network");
    let mut shifted = parameters.to_vec();
    let bias = layout.len - 1;
    shifted[bias] = (f64::from(shifted[bias]) - mean) as f32;
    shifted[layout.head.expect("a layout with a head")..]
        .iter_mut()
        .for_each(|it| *it = (f64::from(*it) * scale) as f32);
    shifted
}
