//! Preference pairs in training: what a batch of them is, and a policy that learns from whole completions.

use serde::{Deserialize, Serialize};

use crate::language::{Adamw, Learner, Sequence, TokenBatch};
use klimb_network::backend::network::Network;
use klimb_network::backend::{At, Kernels, SequenceSize, kernels};

/// The pairs of one step with their references' log-probabilities, summed over the completion.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct PairBatch {
    /// Preferred completions.
    pub chosen: Vec<Sequence>,
    /// The others, in the same order.
    pub rejected: Vec<Sequence>,
    /// log π_ref(chosen).
    pub reference_chosen: Vec<f64>,
    /// log π_ref(rejected).
    pub reference_rejected: Vec<f64>,
}

impl PairBatch {
    /// Every sequence, the chosen first.
    pub fn sequences(&self) -> impl Iterator<Item = &Sequence> {
        self.chosen.iter().chain(&self.rejected)
    }
}

/// What one pair contributed to the last step, for a reader who wants to follow it.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct PairOutcome {
    /// −log σ(margin), or its variant.
    pub loss: f64,
    /// β·log(π/π_ref) of the chosen.
    pub chosen_reward: f64,
    /// β·log(π/π_ref) of the rejected.
    pub rejected_reward: f64,
    /// How hard the pair pulls: σ(r̂_l − r̂_w) in the paper's DPO; below 0 it pushes back.
    pub weight: f64,
}

/// A learner whose objective sees one log-probability a completion: the chosen, then the rejected.
pub(super) struct PairLearner<K: Kernels> {
    pub learner: Learner<K>,
    /// Σ_t w_t·log π(y_t), (2, P), for the objective to read.
    pub sequence_logprobs: K::Floats,
    /// Its gradient, (2, P), for the objective to write.
    pub dsequence_logprobs: K::Floats,
    pairs: usize,
}

/// What a batch of pairs takes, and what its objective does.
pub(super) struct PairSize {
    /// Pairs of a batch.
    pub pairs: usize,
    /// Tokens of the longest sequence, less one.
    pub length: usize,
    /// Further numbers a completion, for the objective to read.
    pub extra: usize,
    /// Statistics that the objective reports.
    pub columns: usize,
}

impl<K: Kernels> PairLearner<K> {
    /// A policy that starts from `parameters`, for batches of this size.
    pub fn new(k: &mut K, network: Network, parameters: &[f32], size: PairSize, adamw: Adamw) -> Self {
        let PairSize { pairs, length, extra, columns } = size;
        let size = SequenceSize { batch: 2 * pairs, length };
        Self {
            learner: Learner::new(k, network, parameters, size, 2 * pairs * extra, columns, adamw),
            sequence_logprobs: k.floats("sequence_logprobs", 2 * pairs),
            dsequence_logprobs: k.floats("dsequence_logprobs", 2 * pairs),
            pairs,
        }
    }

    /// The batch's tokens, laid out.
    ///
    /// # Panics
    /// If a sequence is too long.
    pub fn tokens(&self, pairs: &PairBatch) -> TokenBatch {
        TokenBatch::new(self.learner.size().length, pairs.sequences())
    }

    /// From the loaded batch to log π(y|x) of every completion, prompt masked.
    pub fn forward(&mut self, k: &mut K) {
        let learner = &mut self.learner;
        learner.logprobs(k);
        let mask = At::new(&learner.floats, learner.mask_offset());
        kernels::SequenceLogprobsForward {
            size: learner.size(),
            logprobs: &learner.numbers,
            completion_mask: mask,
            sequence_logprobs: &mut self.sequence_logprobs,
        }
        .run(k);
    }

    /// From the objective's gradient back to tokens, logits and parameters, and one update.
    pub fn backward(&mut self, k: &mut K) {
        let learner = &mut self.learner;
        let mask = At::new(&learner.floats, learner.mask_offset());
        kernels::SequenceLogprobsBackward {
            size: learner.size(),
            dsequence_logprobs: &self.dsequence_logprobs,
            completion_mask: mask,
            dlogprobs: &mut learner.dnumbers,
        }
        .run(k);
        learner.update(k, self.pairs);
    }
}
