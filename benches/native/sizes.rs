//! The networks that are measured, and how much arithmetic they are.

use klimb::model::ModelConfig;

/// A network and how many sequences a step has.
#[derive(Clone, Copy)]
pub struct Size {
    /// What it is called.
    pub name: &'static str,
    /// Numbers that stand for a token.
    pub width: usize,
    /// Blocks.
    pub layers: usize,
    /// Sequences a step; DPO has half as many pairs, so that every objective sees as many tokens.
    pub batch: usize,
    /// Positions of a sequence.
    pub length: usize,
}

/// Distinct tokens.
pub const VOCABULARY: usize = 160;
/// Positions of a sequence on the page.
pub const LENGTH: usize = 32;

/// The page's two widths, and one that a graphics card can show something with.
pub const SIZES: [Size; 3] = [
    Size { name: "small", width: 32, layers: 2, batch: 16, length: LENGTH },
    DEFAULT,
    Size { name: "large", width: 128, layers: 4, batch: 64, length: LENGTH },
];
/// What kernels are measured at one by one.
pub const DEFAULT: Size = Size { name: "default", width: 64, layers: 2, batch: 64, length: LENGTH };

impl Size {
    /// The network.
    pub fn config(&self) -> ModelConfig {
        let Self { width, layers, length, .. } = *self;
        ModelConfig { vocabulary: VOCABULARY, context: length, width, layers, heads: 4, own_unembedding: false }
    }

    /// Floating-point operations of the matrix products in a step on `rows` tokens: there, and twice as many back.
    pub fn step_flop(&self, rows: usize) -> u64 {
        3 * (self.trunk_flop(rows) + (2 * rows * VOCABULARY * self.width) as u64)
    }

    /// Operations of a forward pass through the blocks, with attention counted as if nothing were masked.
    pub fn trunk_flop(&self, rows: usize) -> u64 {
        let Self { width, layers, length, .. } = *self;
        (2 * rows * layers * (12 * width * width + 2 * length * width)) as u64
    }
}
