//! The transformer as a list of kernel calls, written once for every backend.
//!
//! Pre-norm decoder (Radford et al. 2019; sizes in [`ModelConfig`]): x₀ = wte + wpe; each block adds
//! attention(norm(x)) and then mlp(norm(x)) to the residual stream x. That is the trunk; it ends in h = norm(x_L). From
//! h come logits = h·Uᵀ, U being wte unless the network has an unembedding of its own, and, in a network with a scalar head, values = h·w + b.

mod backward;
mod generate;

pub use backward::{Gradients, OutputGradients};
pub use generate::GenerateInputs;

use super::kernels::{
    AttentionDecodeForward, AttentionForward, EmbedForward, LayerNormForward, MatmulBackwardInput, MatmulForward,
    MatmulGeluForward, MatmulResidualForward,
};
use super::{At, AttentionSize, DecodeSize, EmbedSize, Kernels, MatmulSize, NormSize, SequenceSize};
use crate::model::{LayerLayout, Layout, ModelConfig};

/// Sizes and offsets of one transformer. Holds no number of its own: parameters and activations are arguments.
#[derive(Debug, Clone)]
pub struct Network {
    config: ModelConfig,
    layout: Layout,
}

/// What one block keeps for its backward pass; rows are tokens.
struct LayerActivations<K: Kernels> {
    /// Residual stream before attention (rows, D).
    input: K::Floats,
    attention_moments: K::Floats,
    attention_normed: K::Floats,
    qkv: K::Floats,
    attended: K::Floats,
    logsumexps: K::Floats,
    /// Residual stream between attention and MLP (rows, D).
    middle: K::Floats,
    mlp_moments: K::Floats,
    mlp_normed: K::Floats,
    /// Before and after GELU (rows, 4D).
    pre: K::Floats,
    hidden: K::Floats,
}

/// Activations and their gradients for up to `rows` tokens at once.
pub struct Activations<K: Kernels> {
    layers: Vec<LayerActivations<K>>,
    /// Residual stream behind the last block (rows, D).
    output: K::Floats,
    final_moments: K::Floats,
    final_normed: K::Floats,
    /// (rows, V). [`LogprobsBackward`](super::kernels::LogprobsBackward) puts their gradient in their place.
    pub logits: K::Floats,
    rows: usize,
}

/// Keys and values of the positions decoded so far, for each block.
pub struct Cache<K: Kernels> {
    layers: Vec<K::Floats>,
    batch: usize,
    capacity: usize,
}

/// Which position of which sequences [`Network::decode`] computes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DecodePosition {
    /// Sequences.
    pub batch: usize,
    /// Tokens from the beginning of one sequence to that of the next.
    pub stride: usize,
    /// The position, from 0.
    pub position: usize,
}

/// What [`Network::decode`] writes.
pub struct DecodeRoom<'a, K: Kernels> {
    /// Keys and values of the positions so far.
    pub cache: &'a mut Cache<K>,
    /// For a token a sequence.
    pub activations: &'a mut Activations<K>,
}

impl Network {
    /// The language model of validated sizes.
    pub fn new(config: ModelConfig) -> Self {
        Self { config, layout: Layout::new(&config) }
    }

    /// The network of validated sizes that ends in a scalar head. It writes as well as [`Network::new`]'s does, whose
    /// parameters are the beginning of its own.
    pub fn with_head(config: ModelConfig) -> Self {
        Self { config, layout: Layout::with_head(&config) }
    }

    /// The sizes.
    pub fn config(&self) -> &ModelConfig {
        &self.config
    }

    /// The flat buffer's layout.
    pub fn layout(&self) -> &Layout {
        &self.layout
    }

    /// Room for `rows` tokens.
    pub fn activations<K: Kernels>(&self, k: &mut K, rows: usize) -> Activations<K> {
        let ModelConfig { vocabulary, width, heads, .. } = self.config;
        let hidden = self.config.hidden();
        let layers = (0..self.config.layers)
            .map(|_| LayerActivations {
                input: k.floats("input", rows * width),
                attention_moments: k.floats("attention_moments", rows * 2),
                attention_normed: k.floats("attention_normed", rows * width),
                qkv: k.floats("qkv", rows * 3 * width),
                attended: k.floats("attended", rows * width),
                logsumexps: k.floats("logsumexps", rows * heads),
                middle: k.floats("middle", rows * width),
                mlp_moments: k.floats("mlp_moments", rows * 2),
                mlp_normed: k.floats("mlp_normed", rows * width),
                pre: k.floats("pre", rows * hidden),
                hidden: k.floats("hidden", rows * hidden),
            })
            .collect();
        Activations {
            layers,
            output: k.floats("output", rows * width),
            final_moments: k.floats("final_moments", rows * 2),
            final_normed: k.floats("final_normed", rows * width),
            logits: k.floats("logits", rows * vocabulary),
            rows,
        }
    }

    /// An empty cache for `batch` sequences of up to `capacity` positions.
    pub fn cache<K: Kernels>(&self, k: &mut K, batch: usize, capacity: usize) -> Cache<K> {
        let len = batch * capacity * 2 * self.config.width;
        Cache { layers: (0..self.config.layers).map(|_| k.floats("cache", len)).collect(), batch, capacity }
    }

    /// Logits of every token of `tokens` (B, T), into `activations.logits`: the trunk and the unembedding.
    pub fn forward<K: Kernels>(
        &self,
        k: &mut K,
        size: SequenceSize,
        parameters: &K::Floats,
        tokens: At<K::Integers>,
        activations: &mut Activations<K>,
    ) {
        self.trunk_forward(k, size, parameters, tokens, activations);
        self.logits_forward(k, size.batch * size.length, parameters, activations);
    }

    /// Runs `tokens` (B, T) through the trunk. [`Network::logits_forward`] and [`Network::values_forward`] go on from
    /// there, one, the other or both.
    pub fn trunk_forward<K: Kernels>(
        &self,
        k: &mut K,
        size: SequenceSize,
        parameters: &K::Floats,
        tokens: At<K::Integers>,
        activations: &mut Activations<K>,
    ) {
        let SequenceSize { batch, length } = size;
        assert!(batch * length <= activations.rows, "forward: {batch}×{length} rows, room for {}", activations.rows);
        assert!(length <= self.config.context, "forward: {length} positions, context {}", self.config.context);
        let ModelConfig { heads, .. } = self.config;
        let attention = AttentionSize { batch, length, heads, head_width: self.config.head_width() };
        let embed = self.embed_size(batch, length, length, 0);
        EmbedForward {
            size: embed,
            tokens,
            parameters: At::new(parameters, self.layout.embedding),
            x: self.stream(activations, 0),
        }
        .run(k);
        for layer in 0..self.config.layers {
            let (before, after) = activations.layers.split_at_mut(layer + 1);
            let a = &mut before[layer];
            let output = after.first_mut().map_or(&mut activations.output, |next| &mut next.input);
            self.block(k, batch * length, layer, parameters, a, output, |k, qkv, attended, logsumexps| {
                AttentionForward { size: attention, qkv, out: attended, logsumexps }.run(k);
            });
        }
        self.final_norm(k, batch * length, parameters, activations);
    }

    /// Logits of the `rows` tokens that went through the trunk last, into `activations.logits`.
    pub fn logits_forward<K: Kernels>(
        &self,
        k: &mut K,
        rows: usize,
        parameters: &K::Floats,
        activations: &mut Activations<K>,
    ) {
        // logits = normed·Uᵀ is the input gradient of a map with weights U of (V, D).
        let weights = At::new(parameters, self.layout.unembedding);
        MatmulBackwardInput {
            size: self.unembedding(rows),
            dout: &activations.final_normed,
            weights,
            dx: &mut activations.logits,
        }
        .run(k);
    }

    /// The scalar head's `values` of the `rows` tokens that went through the trunk last.
    ///
    /// # Panics
    /// If the network has no head.
    pub fn values_forward<K: Kernels>(
        &self,
        k: &mut K,
        rows: usize,
        parameters: &K::Floats,
        activations: &Activations<K>,
        values: &mut K::Floats,
    ) {
        let (size, head) = (self.head(rows), self.head_offset());
        MatmulForward { size, x: &activations.final_normed, weights: At::new(parameters, head), out: values }.run(k);
    }

    /// Logits at one position of each sequence, into the logits (B, V) of the room's activations, or only keys and values
    /// unless `with_logits`. Positions must come in order from 0: earlier keys and values are taken from the room's cache.
    pub fn decode<K: Kernels>(
        &self,
        k: &mut K,
        at: DecodePosition,
        with_logits: bool,
        parameters: &K::Floats,
        tokens: &K::Integers,
        room: &mut DecodeRoom<K>,
    ) {
        let DecodePosition { batch, stride, position } = at;
        let DecodeRoom { cache, activations } = room;
        assert!(batch <= cache.batch && position < cache.capacity, "decode: beyond the cache");
        let heads = self.config.heads;
        let capacity = cache.capacity;
        let decode = DecodeSize { batch, position, capacity, heads, head_width: self.config.head_width() };
        let embed = self.embed_size(batch, 1, stride, position);
        let embedding = At::new(parameters, self.layout.embedding);
        EmbedForward { size: embed, tokens: At::new(tokens, 0), parameters: embedding, x: self.stream(activations, 0) }
            .run(k);
        for layer in 0..self.config.layers {
            let (before, after) = activations.layers.split_at_mut(layer + 1);
            let a = &mut before[layer];
            let output = after.first_mut().map_or(&mut activations.output, |next| &mut next.input);
            self.block(k, batch, layer, parameters, a, output, |k, qkv, attended, _| {
                AttentionDecodeForward { size: decode, qkv, cache: &mut cache.layers[layer], out: attended }.run(k);
            });
        }
        if with_logits {
            self.final_norm(k, batch, parameters, activations);
            self.logits_forward(k, batch, parameters, activations);
        }
    }

    /// One block: `output = middle + mlp(norm(middle))`, `middle = input + attention(norm(input))`.
    #[allow(clippy::too_many_arguments)]
    fn block<K: Kernels>(
        &self,
        k: &mut K,
        rows: usize,
        layer: usize,
        parameters: &K::Floats,
        a: &mut LayerActivations<K>,
        output: &mut K::Floats,
        attend: impl FnOnce(&mut K, &K::Floats, &mut K::Floats, &mut K::Floats),
    ) {
        let at: LayerLayout = self.layout.layers[layer];
        let norm = NormSize { rows, width: self.config.width, accumulate: false };
        let weights = |offset| At::new(parameters, offset);
        let (normed, moments) = (&mut a.attention_normed, &mut a.attention_moments);
        LayerNormForward { size: norm, x: &a.input, weights: weights(at.attention_norm), out: normed, moments }.run(k);
        MatmulForward { size: self.qkv(rows), x: &a.attention_normed, weights: weights(at.qkv), out: &mut a.qkv }
            .run(k);
        attend(k, &a.qkv, &mut a.attended, &mut a.logsumexps);
        let projection = self.projection(rows);
        MatmulResidualForward {
            size: projection,
            x: &a.attended,
            weights: weights(at.projection),
            residual: &a.input,
            out: &mut a.middle,
        }
        .run(k);
        LayerNormForward {
            size: norm,
            x: &a.middle,
            weights: weights(at.mlp_norm),
            out: &mut a.mlp_normed,
            moments: &mut a.mlp_moments,
        }
        .run(k);
        MatmulGeluForward {
            size: self.mlp_in(rows),
            x: &a.mlp_normed,
            weights: weights(at.mlp_in),
            pre: &mut a.pre,
            out: &mut a.hidden,
        }
        .run(k);
        MatmulResidualForward {
            size: self.mlp_out(rows),
            x: &a.hidden,
            weights: weights(at.mlp_out),
            residual: &a.middle,
            out: output,
        }
        .run(k);
    }

    fn final_norm<K: Kernels>(&self, k: &mut K, rows: usize, parameters: &K::Floats, a: &mut Activations<K>) {
        let norm = NormSize { rows, width: self.config.width, accumulate: false };
        let weights = At::new(parameters, self.layout.final_norm);
        LayerNormForward { size: norm, x: &a.output, weights, out: &mut a.final_normed, moments: &mut a.final_moments }
            .run(k);
    }

    /// The residual stream in front of block `layer`.
    fn stream<'a, K: Kernels>(&self, activations: &'a mut Activations<K>, layer: usize) -> &'a mut K::Floats {
        &mut activations.layers[layer].input
    }

    fn embed_size(&self, batch: usize, length: usize, stride: usize, first: usize) -> EmbedSize {
        let ModelConfig { vocabulary, context, width, .. } = self.config;
        EmbedSize { batch, length, stride, first, width, vocabulary, context }
    }

    /// The map that the unembedding is the transpose of: from (rows, V) to (rows, D), with its weights (V, D).
    fn unembedding(&self, rows: usize) -> MatmulSize {
        MatmulSize { rows, inner: self.config.vocabulary, columns: self.config.width, bias: false }
    }

    /// Where the head's weights begin.
    fn head_offset(&self) -> usize {
        self.layout.head.expect("values of a network without a scalar head")
    }

    fn head(&self, rows: usize) -> MatmulSize {
        MatmulSize { rows, inner: self.config.width, columns: 1, bias: true }
    }

    fn qkv(&self, rows: usize) -> MatmulSize {
        MatmulSize { rows, inner: self.config.width, columns: 3 * self.config.width, bias: true }
    }

    fn projection(&self, rows: usize) -> MatmulSize {
        MatmulSize { rows, inner: self.config.width, columns: self.config.width, bias: true }
    }

    fn mlp_in(&self, rows: usize) -> MatmulSize {
        MatmulSize { rows, inner: self.config.width, columns: self.config.hidden(), bias: true }
    }

    fn mlp_out(&self, rows: usize) -> MatmulSize {
        MatmulSize { rows, inner: self.config.hidden(), columns: self.config.width, bias: true }
    }
}
