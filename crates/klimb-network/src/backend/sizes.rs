//! What a kernel is told of its operands' sizes, one type for each family of kernels.

use crate::model::ModelConfig;
use crate::objectives::DpoLoss;

/// Sizes of the embedding kernels. Token (b, t) is `tokens[b·stride + first + t]` at position `first + t`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EmbedSize {
    /// Sequences.
    pub batch: usize,
    /// Positions embedded of each sequence.
    pub length: usize,
    /// Tokens stored per sequence.
    pub stride: usize,
    /// First position.
    pub first: usize,
    /// D.
    pub width: usize,
    /// V; the position embedding begins V·D behind the token embedding.
    pub vocabulary: usize,
    /// Rows of the position embedding, T.
    pub context: usize,
}

impl EmbedSize {
    /// Positions embedded, for [`super::Counters`].
    pub(super) fn tokens(&self) -> u64 {
        (self.batch * self.length) as u64
    }
}

/// Sizes of LayerNorm: `rows` vectors of `width`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NormSize {
    /// Vectors.
    pub rows: usize,
    /// D: a multiple of 4 for the shaders, which read it so; offsets likewise.
    pub width: usize,
    /// Whether the backward pass adds to dx, as the residual stream wants, or replaces it.
    pub accumulate: bool,
}

/// Sizes of a linear map with weights (inner, columns), applied to `rows` vectors.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MatmulSize {
    /// Vectors.
    pub rows: usize,
    /// Rows of the weights.
    pub inner: usize,
    /// Columns of the weights.
    pub columns: usize,
    /// Whether a bias of `columns` numbers lies right behind the weights.
    pub bias: bool,
}

/// Sizes of causal attention.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AttentionSize {
    /// Sequences.
    pub batch: usize,
    /// Positions of each.
    pub length: usize,
    /// Heads.
    pub heads: usize,
    /// D/H.
    pub head_width: usize,
}

/// Sizes of attention at one position, with the keys and values of earlier positions cached.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DecodeSize {
    /// Sequences.
    pub batch: usize,
    /// The position being decoded, from 0.
    pub position: usize,
    /// Positions the cache has room for.
    pub capacity: usize,
    /// Heads.
    pub heads: usize,
    /// D/H.
    pub head_width: usize,
}

/// Sizes of the kernels that turn logits into log-probabilities.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LogitsSize {
    /// Tokens, B·T.
    pub rows: usize,
    /// V.
    pub vocabulary: usize,
}

/// Sizes of per-token numbers, (B, T).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SequenceSize {
    /// Sequences.
    pub batch: usize,
    /// Tokens of each.
    pub length: usize,
}

/// Sizes of DPO's loss, and which loss it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DpoSize {
    /// Pairs.
    pub pairs: usize,
    /// The shape of the loss.
    pub loss: DpoLoss,
}

/// Sizes of one sampling position. Row b holds `length` tokens.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SampleSize {
    /// Sequences.
    pub batch: usize,
    /// Tokens stored per sequence, and coins.
    pub length: usize,
    /// The position whose logits are given; the token at `position + 1` is written.
    pub position: usize,
    /// V.
    pub vocabulary: usize,
    /// The token that ends a completion.
    pub end: u32,
    /// The token written behind the end.
    pub padding: u32,
}

/// Sizes of writing whole sequences. Row b holds `length` tokens.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct GenerateSize {
    /// Sequences.
    pub batch: usize,
    /// Tokens stored per sequence, and coins.
    pub length: usize,
    /// The language model whose parameters are given.
    pub model: ModelConfig,
    /// The token that ends a completion.
    pub end: u32,
    /// The token written behind the end.
    pub padding: u32,
}

impl GenerateSize {
    /// Positions embedded, for [`super::Counters`]: of each sequence all but the last, which nothing follows.
    pub(super) fn tokens(&self) -> u64 {
        (self.batch * (self.length - 1)) as u64
    }
}

/// Where the rows of a minibatch of PPO lie in a batch, which may hold more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PpoSize {
    /// Tokens of the minibatch.
    pub rows: usize,
    /// The first of them in each column of the network's numbers.
    pub first: usize,
    /// From one such column to the next: the batch's tokens.
    pub stride: usize,
}

/// Sizes of one line of metrics.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MetricsSize {
    /// Items (tokens, pairs) each statistic has.
    pub items: usize,
    /// Statistics; column c is `statistics[c·items ..]`.
    pub columns: usize,
    /// Partial sums of the squared gradient norm.
    pub partials: usize,
}

/// What AdamW is told besides the gradients (Loshchilov and Hutter 2019).
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct AdamwSize {
    /// Parameters.
    pub len: usize,
    /// Partial sums of the squared gradient norm.
    pub partials: usize,
    /// β₁.
    pub beta1: f32,
    /// β₂.
    pub beta2: f32,
    /// Added to the root of the second moment, as PyTorch does it (after bias correction).
    pub epsilon: f32,
    /// Decoupled weight decay, on every parameter.
    pub weight_decay: f32,
    /// Gradients longer than this are scaled down to it; infinity never clips.
    pub max_norm: f32,
}
