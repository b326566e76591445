//! The transformer as a list of kernel calls, written once for every backend.
//!
//! Pre-norm decoder (Radford et al. 2019; sizes in [`ModelConfig`]): x₀ = wte + wpe; each block adds
//! attention(norm(x)) and then mlp(norm(x)) to the residual stream x. That is the trunk; it ends in h = norm(x_L). From
//! h come logits = h·Uᵀ, U being wte unless the network has an unembedding of its own, and, in a network with a scalar head, values = h·w + b.

use super::{
    At, AtMut, AttentionSize, DecodeSize, EmbedSize, GenerateSize, Kernels, MatmulSize, NormSize, SampleSize,
    SequenceSize, kernels,
};
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
    /// (rows, V). `Kernels::logprobs_backward` puts their gradient in their place.
    pub logits: K::Floats,
    rows: usize,
}

/// Where a backward pass starts: the gradients of what the trunk's end was turned into. Both where policy and value
/// share a trunk.
pub struct OutputGradients<'a, K: Kernels> {
    /// Of the logits, (rows, V).
    pub dlogits: Option<&'a K::Floats>,
    /// Of the scalar head's values, (rows).
    pub dvalues: Option<&'a K::Floats>,
}

/// Scratch of the backward pass, for as many rows as its activations.
pub struct Gradients<K: Kernels> {
    /// Gradient of the residual stream (rows, D).
    dx: K::Floats,
    dnormed: K::Floats,
    dattended: K::Floats,
    dqkv: K::Floats,
    dpre: K::Floats,
    /// Of the flat parameter buffer; Add, and zero after every optimiser step.
    pub parameters: K::Floats,
}

/// Keys and values of the positions decoded so far, for each block.
pub struct Cache<K: Kernels> {
    pub(super) layers: Vec<K::Floats>,
    batch: usize,
    capacity: usize,
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

    /// Scratch for the backward pass over `rows` tokens, and the gradient of every parameter, zero.
    pub fn gradients<K: Kernels>(&self, k: &mut K, rows: usize) -> Gradients<K> {
        let width = self.config.width;
        Gradients {
            dx: k.floats("dx", rows * width),
            dnormed: k.floats("dnormed", rows * width),
            dattended: k.floats("dattended", rows * width),
            dqkv: k.floats("dqkv", rows * 3 * width),
            dpre: k.floats("dpre", rows * self.config.hidden()),
            parameters: k.floats("gradients", self.layout.len),
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
        kernels::EmbedForward {
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
                kernels::AttentionForward { size: attention, qkv, out: attended, logsumexps }.run(k);
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
        kernels::MatmulBackwardInput {
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
        let (size, head) = self.head(rows);
        kernels::MatmulForward { size, x: &activations.final_normed, weights: At::new(parameters, head), out: values }
            .run(k);
    }

    /// Logits at `position` of each of `batch` sequences, stored `stride` tokens apart, into `activations.logits`
    /// (B, V), or only keys and values unless `with_logits`. Positions must come in order from 0: earlier keys and
    /// values are taken from `cache`. `size` is (batch, stride, position).
    #[allow(clippy::too_many_arguments)]
    pub fn decode<K: Kernels>(
        &self,
        k: &mut K,
        size: (usize, usize, usize),
        with_logits: bool,
        parameters: &K::Floats,
        tokens: &K::Integers,
        cache: &mut Cache<K>,
        activations: &mut Activations<K>,
    ) {
        let (batch, stride, position) = size;
        assert!(batch <= cache.batch && position < cache.capacity, "decode: beyond the cache");
        let heads = self.config.heads;
        let capacity = cache.capacity;
        let decode = DecodeSize { batch, position, capacity, heads, head_width: self.config.head_width() };
        let embed = self.embed_size(batch, 1, stride, position);
        let embedding = At::new(parameters, self.layout.embedding);
        kernels::EmbedForward {
            size: embed,
            tokens: At::new(tokens, 0),
            parameters: embedding,
            x: self.stream(activations, 0),
        }
        .run(k);
        for layer in 0..self.config.layers {
            let (before, after) = activations.layers.split_at_mut(layer + 1);
            let a = &mut before[layer];
            let output = after.first_mut().map_or(&mut activations.output, |next| &mut next.input);
            self.block(k, batch, layer, parameters, a, output, |k, qkv, attended, _| {
                kernels::AttentionDecodeForward { size: decode, qkv, cache: &mut cache.layers[layer], out: attended }
                    .run(k);
            });
        }
        if with_logits {
            self.final_norm(k, batch, parameters, activations);
            self.logits_forward(k, batch, parameters, activations);
        }
    }

    /// Completes the prompts in `tokens`, position by position: what [`Kernels::generate`] does at once. `given` are coins,
    /// settings and the prompts' lengths, as there; the shortest prompt has `shortest` tokens.
    #[allow(clippy::too_many_arguments)]
    pub fn generate<K: Kernels>(
        &self,
        k: &mut K,
        size: GenerateSize,
        shortest: usize,
        parameters: &K::Floats,
        given: (At<K::Floats>, At<K::Floats>, &K::Integers),
        room: (&mut Cache<K>, &mut Activations<K>),
        tokens: &mut K::Integers,
    ) {
        let GenerateSize { batch, length, end, padding, .. } = size;
        let ((coins, settings, prompt_lengths), (cache, activations)) = (given, room);
        for position in 0..length - 1 {
            // Within every prompt only keys and values are wanted.
            let is_drawn = position + 1 >= shortest;
            self.decode(k, (batch, length, position), is_drawn, parameters, tokens, cache, activations);
            if is_drawn {
                let vocabulary = self.config.vocabulary;
                let size = SampleSize { batch, length, position, vocabulary, end, padding };
                kernels::Sample {
                    size,
                    logits: &activations.logits,
                    coins,
                    settings,
                    prompt_lengths: At::new(prompt_lengths, 0),
                    tokens,
                }
                .run(k);
            }
        }
    }

    /// Adds the gradient of every parameter to `gradients.parameters`. `activations` are those of the forward pass
    /// over the same tokens; `occurrences` as in `Kernels::embed_backward`.
    ///
    /// # Panics
    /// If `outputs` has no gradient, or one of a head that the network does not have.
    #[allow(clippy::too_many_arguments)]
    pub fn backward<K: Kernels>(
        &self,
        k: &mut K,
        size: SequenceSize,
        parameters: &K::Floats,
        occurrences: At<K::Integers>,
        activations: &Activations<K>,
        outputs: OutputGradients<K>,
        gradients: &mut Gradients<K>,
    ) {
        let SequenceSize { batch, length } = size;
        let rows = batch * length;
        let ModelConfig { width, heads, .. } = self.config;
        let attention = AttentionSize { batch, length, heads, head_width: self.config.head_width() };
        self.outputs_backward(k, rows, parameters, activations, outputs, gradients);
        let Gradients { dx, dnormed, dattended, dqkv, dpre, parameters: dparameters } = gradients;
        let a = activations;

        let norm = NormSize { rows, width, accumulate: false };
        let at = self.layout.final_norm;
        kernels::LayerNormBackward {
            size: norm,
            x: &a.output,
            weights: At::new(parameters, at),
            moments: &a.final_moments,
            dout: dnormed,
            dx,
        }
        .run(k);
        kernels::LayerNormBackwardWeights {
            size: norm,
            x: &a.output,
            moments: &a.final_moments,
            dout: dnormed,
            dweights: AtMut::new(dparameters, at),
        }
        .run(k);

        let norm = NormSize { accumulate: true, ..norm };
        for (a, at) in a.layers.iter().zip(&self.layout.layers).rev() {
            let (mlp_in, mlp_out) = (self.mlp_in(rows), self.mlp_out(rows));
            kernels::MatmulBackwardWeights {
                size: mlp_out,
                x: &a.hidden,
                dout: dx,
                dweights: AtMut::new(dparameters, at.mlp_out),
            }
            .run(k);
            kernels::MatmulGeluBackwardInput {
                size: mlp_out,
                dout: dx,
                weights: At::new(parameters, at.mlp_out),
                pre: &a.pre,
                dx: dpre,
            }
            .run(k);
            kernels::MatmulBackwardWeights {
                size: mlp_in,
                x: &a.mlp_normed,
                dout: dpre,
                dweights: AtMut::new(dparameters, at.mlp_in),
            }
            .run(k);
            kernels::MatmulBackwardInput {
                size: mlp_in,
                dout: dpre,
                weights: At::new(parameters, at.mlp_in),
                dx: dnormed,
            }
            .run(k);
            kernels::LayerNormBackwardWeights {
                size: norm,
                x: &a.middle,
                moments: &a.mlp_moments,
                dout: dnormed,
                dweights: AtMut::new(dparameters, at.mlp_norm),
            }
            .run(k);
            kernels::LayerNormBackward {
                size: norm,
                x: &a.middle,
                weights: At::new(parameters, at.mlp_norm),
                moments: &a.mlp_moments,
                dout: dnormed,
                dx,
            }
            .run(k);

            let (qkv, projection) = (self.qkv(rows), self.projection(rows));
            kernels::MatmulBackwardWeights {
                size: projection,
                x: &a.attended,
                dout: dx,
                dweights: AtMut::new(dparameters, at.projection),
            }
            .run(k);
            kernels::MatmulBackwardInput {
                size: projection,
                dout: dx,
                weights: At::new(parameters, at.projection),
                dx: dattended,
            }
            .run(k);
            kernels::AttentionBackward {
                size: attention,
                qkv: &a.qkv,
                out: &a.attended,
                logsumexps: &a.logsumexps,
                dout: dattended,
                dqkv,
            }
            .run(k);
            kernels::MatmulBackwardWeights {
                size: qkv,
                x: &a.attention_normed,
                dout: dqkv,
                dweights: AtMut::new(dparameters, at.qkv),
            }
            .run(k);
            kernels::MatmulBackwardInput { size: qkv, dout: dqkv, weights: At::new(parameters, at.qkv), dx: dnormed }
                .run(k);
            let (moments, dweights) = (&a.attention_moments, AtMut::new(dparameters, at.attention_norm));
            kernels::LayerNormBackwardWeights { size: norm, x: &a.input, moments, dout: dnormed, dweights }.run(k);
            kernels::LayerNormBackward {
                size: norm,
                x: &a.input,
                weights: At::new(parameters, at.attention_norm),
                moments,
                dout: dnormed,
                dx,
            }
            .run(k);
        }
        let embed = self.embed_size(batch, length, length, 0);
        kernels::EmbedBackward {
            size: embed,
            occurrences,
            dx,
            dparameters: AtMut::new(dparameters, self.layout.embedding),
        }
        .run(k);
    }

    /// From the gradients of logits and values to that of the trunk's end, `gradients.dnormed`, and to those of the
    /// unembedding and the head.
    fn outputs_backward<K: Kernels>(
        &self,
        k: &mut K,
        rows: usize,
        parameters: &K::Floats,
        a: &Activations<K>,
        outputs: OutputGradients<K>,
        gradients: &mut Gradients<K>,
    ) {
        let OutputGradients { dlogits, dvalues } = outputs;
        assert!(dlogits.is_some() || dvalues.is_some(), "backward: no gradient to start from");
        let Gradients { dnormed, dattended, parameters: dparameters, .. } = gradients;
        if let Some(dvalues) = dvalues {
            let (size, head) = self.head(rows);
            // Where the logits' share is added below, it needs a place of its own: attention's scratch is still free.
            let share = if dlogits.is_some() { &mut *dattended } else { &mut *dnormed };
            kernels::MatmulBackwardInput { size, dout: dvalues, weights: At::new(parameters, head), dx: share }.run(k);
            kernels::MatmulBackwardWeights {
                size,
                x: &a.final_normed,
                dout: dvalues,
                dweights: AtMut::new(dparameters, head),
            }
            .run(k);
        }
        if let Some(dlogits) = dlogits {
            let (size, weights) = (self.unembedding(rows), self.layout.unembedding);
            if dvalues.is_some() {
                kernels::MatmulResidualForward {
                    size,
                    x: dlogits,
                    weights: At::new(parameters, weights),
                    residual: dattended,
                    out: dnormed,
                }
                .run(k);
            } else {
                kernels::MatmulForward { size, x: dlogits, weights: At::new(parameters, weights), out: dnormed }.run(k);
            }
            kernels::MatmulBackwardWeights {
                size,
                x: dlogits,
                dout: &a.final_normed,
                dweights: AtMut::new(dparameters, weights),
            }
            .run(k);
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
        kernels::LayerNormForward {
            size: norm,
            x: &a.input,
            weights: weights(at.attention_norm),
            out: normed,
            moments,
        }
        .run(k);
        kernels::MatmulForward {
            size: self.qkv(rows),
            x: &a.attention_normed,
            weights: weights(at.qkv),
            out: &mut a.qkv,
        }
        .run(k);
        attend(k, &a.qkv, &mut a.attended, &mut a.logsumexps);
        let projection = self.projection(rows);
        kernels::MatmulResidualForward {
            size: projection,
            x: &a.attended,
            weights: weights(at.projection),
            residual: &a.input,
            out: &mut a.middle,
        }
        .run(k);
        kernels::LayerNormForward {
            size: norm,
            x: &a.middle,
            weights: weights(at.mlp_norm),
            out: &mut a.mlp_normed,
            moments: &mut a.mlp_moments,
        }
        .run(k);
        kernels::MatmulGeluForward {
            size: self.mlp_in(rows),
            x: &a.mlp_normed,
            weights: weights(at.mlp_in),
            pre: &mut a.pre,
            out: &mut a.hidden,
        }
        .run(k);
        kernels::MatmulResidualForward {
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
        kernels::LayerNormForward {
            size: norm,
            x: &a.output,
            weights,
            out: &mut a.final_normed,
            moments: &mut a.final_moments,
        }
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

    /// The head's size and where its weights begin.
    fn head(&self, rows: usize) -> (MatmulSize, usize) {
        let head = self.layout.head.expect("values of a network without a scalar head");
        (MatmulSize { rows, inner: self.config.width, columns: 1, bias: true }, head)
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
