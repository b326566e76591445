//! The backends: the same kernels twice, as WGSL shaders (`gpu`) and as their CPU twins (`cpu`), behind one trait.
//!
//! Invariant: a backend never sees a word, a prompt or an algorithm's name beyond its objective; it sees buffers.
//! Invariant: a kernel's name stands in three places: the WGSL entry point, its file in [`kernels`] and the parity test.

pub mod cpu;
pub mod either;
pub mod gpu;
mod interface;
pub mod kernels;
pub mod network;

pub use interface::*;
pub use kernels::{
    AdamwSize, AttentionSize, DecodeSize, EmbedSize, GenerateSize, LogitsSize, MatmulSize, MetricsSize, NORM_PARTIALS,
    NormSize, PpoSize, SampleSize, SequenceSize,
};
