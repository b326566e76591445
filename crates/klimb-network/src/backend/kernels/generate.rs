//! `generate.wgsl`: whole sequences at once. The processor has a way of its own, `network/generate.rs`: what the shader does
//! in one dispatch is there one kernel after another, each of all sequences at once, which is also how it writes fastest.

use super::kernel::{Dispatch, kernels, words};
use crate::backend::declaration::{Field, Field::U32, GELU, Shader, shader};
use crate::backend::{At, Kernels};
use crate::model::ModelConfig;

const SHADER: &Shader = &shader!("generate.wgsl", [GELU]);

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
    /// Whether the workgroup memory of the shader is enough, there is an invocation for each token of the vocabulary, and
    /// all it reads lies in fours.
    pub(in crate::backend) fn has_room(model: &ModelConfig, length: usize) -> bool {
        let ModelConfig { vocabulary, width, heads, .. } = *model;
        width <= 256 && vocabulary <= 256 && heads * length <= 1024 && model.head_width().is_multiple_of(4)
    }
}

kernels! {
    /// Completes the sequences of `tokens` from their prompts: what [`Network::generate`](crate::backend::network::Network::generate) does position by position, at once.
    /// Only for models that [`Kernels::generates`]. The processor goes on to the end of the row behind a completion's end too.
    #[entry_point("generate", SHADER, workgroup: [256, 1], grid: Covers(1, 1))]
    pub struct Generate<'a, K> {
        /// Sizes, and the model.
        pub size: GenerateSize,
        /// All of the model's.
        #[binding(1, Read)]
        pub parameters: &'a K::Floats,
        /// (B, length).
        #[binding(2, Read)]
        pub coins: At<'a, K::Floats>,
        /// Temperature.
        #[binding(3, Read)]
        pub settings: At<'a, K::Floats>,
        /// (B).
        #[binding(4, Read)]
        pub prompt_lengths: &'a K::Integers,
        /// (L, B, length, 2D): gets keys and values.
        #[binding(5, Add)]
        pub cache: &'a mut K::Floats,
        /// (B, length).
        #[binding(6, Add)]
        pub tokens: &'a mut K::Integers,
    }
}

impl<K: Kernels> Dispatch for Generate<'_, K> {
    const UNIFORMS: &'static [Field] = &[
        U32("batch"),
        U32("length"),
        U32("vocabulary"),
        U32("context"),
        U32("width"),
        U32("layers"),
        U32("heads"),
        U32("own_unembedding"),
        U32("end"),
        U32("padding"),
        U32("coins_offset"),
        U32("settings_offset"),
    ];

    fn uniforms(&self) -> impl AsRef<[u32]> {
        let GenerateSize { batch, length, model, end, padding } = self.size;
        assert!(GenerateSize::has_room(&model, length), "generate: no room for {model:?} and {length} tokens");
        let ModelConfig { vocabulary, context, width, layers, heads, own_unembedding } = model;
        let sizes = words([batch, length, vocabulary, context, width, layers, heads, usize::from(own_unembedding)]);
        let offsets = words([self.coins.offset, self.settings.offset]);
        [&sizes[..], &[end, padding], &offsets].concat()
    }

    fn items(&self, _is_software: bool) -> usize {
        self.size.batch
    }

    /// Of each sequence all positions but the last, which nothing follows.
    fn forward_tokens(&self) -> u64 {
        (self.size.batch * (self.size.length - 1)) as u64
    }
}
