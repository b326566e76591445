//! The backward pass, which takes the forward pass's kernels in the opposite order.

use super::{Activations, Network};
use crate::backend::kernels::{
    AttentionBackward, EmbedBackward, LayerNormBackward, LayerNormBackwardWeights, MatmulBackwardInput,
    MatmulBackwardWeights, MatmulForward, MatmulGeluBackwardInput, MatmulResidualForward,
};
use crate::backend::{At, AtMut, AttentionSize, Kernels, NormSize, SequenceSize};
use crate::model::ModelConfig;

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

impl Network {
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

    /// Adds the gradient of every parameter to `gradients.parameters`. `activations` are those of the forward pass
    /// over the same tokens; `occurrences` as in [`EmbedBackward`].
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
        let weights = |offset| At::new(parameters, offset);

        let norm = NormSize { rows, width, accumulate: false };
        let at = self.layout.final_norm;
        LayerNormBackward {
            size: norm,
            x: &a.output,
            weights: weights(at),
            moments: &a.final_moments,
            dout: dnormed,
            dx,
        }
        .run(k);
        LayerNormBackwardWeights {
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
            MatmulBackwardWeights {
                size: mlp_out,
                x: &a.hidden,
                dout: dx,
                dweights: AtMut::new(dparameters, at.mlp_out),
            }
            .run(k);
            MatmulGeluBackwardInput { size: mlp_out, dout: dx, weights: weights(at.mlp_out), pre: &a.pre, dx: dpre }
                .run(k);
            MatmulBackwardWeights {
                size: mlp_in,
                x: &a.mlp_normed,
                dout: dpre,
                dweights: AtMut::new(dparameters, at.mlp_in),
            }
            .run(k);
            MatmulBackwardInput { size: mlp_in, dout: dpre, weights: weights(at.mlp_in), dx: dnormed }.run(k);
            LayerNormBackwardWeights {
                size: norm,
                x: &a.middle,
                moments: &a.mlp_moments,
                dout: dnormed,
                dweights: AtMut::new(dparameters, at.mlp_norm),
            }
            .run(k);
            LayerNormBackward {
                size: norm,
                x: &a.middle,
                weights: weights(at.mlp_norm),
                moments: &a.mlp_moments,
                dout: dnormed,
                dx,
            }
            .run(k);

            let (qkv, projection) = (self.qkv(rows), self.projection(rows));
            MatmulBackwardWeights {
                size: projection,
                x: &a.attended,
                dout: dx,
                dweights: AtMut::new(dparameters, at.projection),
            }
            .run(k);
            MatmulBackwardInput { size: projection, dout: dx, weights: weights(at.projection), dx: dattended }.run(k);
            AttentionBackward {
                size: attention,
                qkv: &a.qkv,
                out: &a.attended,
                logsumexps: &a.logsumexps,
                dout: dattended,
                dqkv,
            }
            .run(k);
            MatmulBackwardWeights {
                size: qkv,
                x: &a.attention_normed,
                dout: dqkv,
                dweights: AtMut::new(dparameters, at.qkv),
            }
            .run(k);
            MatmulBackwardInput { size: qkv, dout: dqkv, weights: weights(at.qkv), dx: dnormed }.run(k);
            let (moments, dweights) = (&a.attention_moments, AtMut::new(dparameters, at.attention_norm));
            LayerNormBackwardWeights { size: norm, x: &a.input, moments, dout: dnormed, dweights }.run(k);
            LayerNormBackward {
                size: norm,
                x: &a.input,
                weights: weights(at.attention_norm),
                moments,
                dout: dnormed,
                dx,
            }
            .run(k);
        }
        let embed = self.embed_size(batch, length, length, 0);
        EmbedBackward { size: embed, occurrences, dx, dparameters: AtMut::new(dparameters, self.layout.embedding) }
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
            let (size, head) = (self.head(rows), self.head_offset());
            // Where the logits' share is added below, it needs a place of its own: attention's scratch is still free.
            let share = if dlogits.is_some() { &mut *dattended } else { &mut *dnormed };
            MatmulBackwardInput { size, dout: dvalues, weights: At::new(parameters, head), dx: share }.run(k);
            MatmulBackwardWeights { size, x: &a.final_normed, dout: dvalues, dweights: AtMut::new(dparameters, head) }
                .run(k);
        }
        if let Some(dlogits) = dlogits {
            let (size, weights) = (self.unembedding(rows), self.layout.unembedding);
            if dvalues.is_some() {
                MatmulResidualForward {
                    size,
                    x: dlogits,
                    weights: At::new(parameters, weights),
                    residual: dattended,
                    out: dnormed,
                }
                .run(k);
            } else {
                MatmulForward { size, x: dlogits, weights: At::new(parameters, weights), out: dnormed }.run(k);
            }
            MatmulBackwardWeights {
                size,
                x: dlogits,
                dout: &a.final_normed,
                dweights: AtMut::new(dparameters, weights),
            }
            .run(k);
        }
    }
}
