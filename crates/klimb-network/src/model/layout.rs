//! Where each tensor lies in the one flat parameter buffer.
//!
//! Every weight matrix is row-major `[in, out]` and its bias follows it at once, and every LayerNorm's bias follows
//! its gain: a kernel needs one offset for both, and the gradient of a bias is one more row of the weights' gradient.
//! A scalar head, if there is one, comes last: without it the buffer is the language model's alone.

use super::ModelConfig;

/// A named tensor of the flat buffer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TensorSpec {
    /// The name used in checkpoints, such as `l0.wqkv`.
    pub name: String,
    /// Sizes, outermost first.
    pub shape: Vec<usize>,
    /// First element in the flat buffer.
    pub offset: usize,
}

impl TensorSpec {
    /// Number of elements.
    pub fn len(&self) -> usize {
        self.shape.iter().product()
    }

    /// Whether the tensor has no element, which no valid layout contains.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Elements of the flat buffer that belong to this tensor.
    pub fn range(&self) -> std::ops::Range<usize> {
        self.offset..self.offset + self.len()
    }
}

/// First elements of one block's tensors. A bias lies right behind its weight or gain.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LayerLayout {
    /// LayerNorm before attention: gain (D), bias (D).
    pub attention_norm: usize,
    /// Query, key and value: weight (D, 3D) with columns `[q|k|v]`, heads contiguous inside each; bias (3D).
    pub qkv: usize,
    /// Attention's output: weight (D, D), bias (D).
    pub projection: usize,
    /// LayerNorm before the MLP: gain (D), bias (D).
    pub mlp_norm: usize,
    /// MLP in: weight (D, 4D), bias (4D).
    pub mlp_in: usize,
    /// MLP out: weight (4D, D), bias (D).
    pub mlp_out: usize,
}

/// Offsets of every tensor, in the order of the flat buffer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Layout {
    /// Token embedding: (V, D). The position embedding (T, D) follows it.
    pub embedding: usize,
    /// Unembedding: (V, D), the token embedding itself unless the network has one of its own.
    pub unembedding: usize,
    /// The blocks, first to last.
    pub layers: Vec<LayerLayout>,
    /// Final LayerNorm: gain (D), bias (D).
    pub final_norm: usize,
    /// Scalar head, in networks that have one: weight (D, 1), bias (1). Behind everything else.
    pub head: Option<usize>,
    /// Names and shapes in order, for checkpoints and tests.
    pub tensors: Vec<TensorSpec>,
    /// Number of parameters.
    pub len: usize,
}

impl Layout {
    /// The layout of a language model of these sizes.
    pub fn new(config: &ModelConfig) -> Self {
        let (width, hidden) = (config.width, config.hidden());
        let mut tensors: Vec<TensorSpec> = Vec::new();
        let mut len = 0;
        let mut push = |name: String, shape: &[usize]| {
            let offset = len;
            len += shape.iter().product::<usize>();
            tensors.push(TensorSpec { name, shape: shape.to_vec(), offset });
            offset
        };
        let embedding = push("wte".into(), &[config.vocabulary, width]);
        push("wpe".into(), &[config.context, width]);
        let mut layers = Vec::with_capacity(config.layers);
        for layer in 0..config.layers {
            let mut pair = |weight: &str, bias: &str, shape: &[usize]| {
                let offset = push(format!("l{layer}.{weight}"), shape);
                push(format!("l{layer}.{bias}"), &shape[shape.len() - 1..]);
                offset
            };
            layers.push(LayerLayout {
                attention_norm: pair("ln1g", "ln1b", &[width]),
                qkv: pair("wqkv", "bqkv", &[width, 3 * width]),
                projection: pair("wo", "bo", &[width, width]),
                mlp_norm: pair("ln2g", "ln2b", &[width]),
                mlp_in: pair("w1", "b1", &[width, hidden]),
                mlp_out: pair("w2", "b2", &[hidden, width]),
            });
        }
        let final_norm = push("lnfg".into(), &[width]);
        push("lnfb".into(), &[width]);
        let unembedding =
            if config.own_unembedding { push("unembed".into(), &[config.vocabulary, width]) } else { embedding };
        Self { embedding, unembedding, layers, final_norm, head: None, tensors, len }
    }

    /// The layout of a network of these sizes that ends in a scalar head, as reward and value models do. What comes
    /// before the head lies where [`Layout::new`] puts it.
    pub fn with_head(config: &ModelConfig) -> Self {
        let mut layout = Self::new(config);
        let weight = TensorSpec { name: "headw".into(), shape: vec![config.width, 1], offset: layout.len };
        let bias = TensorSpec { name: "headb".into(), shape: vec![1], offset: weight.range().end };
        layout.head = Some(weight.offset);
        layout.len = bias.range().end;
        layout.tensors.extend([weight, bias]);
        layout
    }

    /// The tensor called `name`.
    pub fn tensor(&self, name: &str) -> Option<&TensorSpec> {
        self.tensors.iter().find(|tensor| tensor.name == name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tensors_tile_the_buffer_without_gap_or_overlap() {
        for (width, layers, heads) in [(16, 1, 1), (32, 2, 4), (128, 4, 8)] {
            let config = ModelConfig { vocabulary: 37, context: 9, width, layers, heads, own_unembedding: false };
            for layout in [Layout::new(&config), Layout::with_head(&config)] {
                let mut next = 0;
                for tensor in &layout.tensors {
                    assert_eq!(tensor.offset, next, "{}", tensor.name);
                    next += tensor.len();
                }
                assert_eq!(next, layout.len);
            }
        }
    }

    #[test]
    fn a_buffer_without_head_is_the_beginning_of_one_with() {
        let config = ModelConfig { vocabulary: 37, context: 9, width: 16, layers: 2, heads: 1, own_unembedding: false };
        let (without, with) = (Layout::new(&config), Layout::with_head(&config));
        assert_eq!(with.tensors[..without.tensors.len()], without.tensors);
        assert_eq!((with.head, with.len), (Some(without.len), without.len + 17));
        assert_eq!(without.head, None);
    }

    #[test]
    fn the_sizes_of_the_design_have_the_published_parameter_counts() {
        let count = |width| {
            Layout::new(&ModelConfig {
                vocabulary: 118,
                context: 24,
                width,
                layers: 2,
                heads: 4,
                own_unembedding: false,
            })
            .len
        };
        assert_eq!((count(32), count(64)), (30_016, 109_184));
    }
}
