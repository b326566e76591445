//! The backends: the same kernels twice, as WGSL shaders (`gpu`) and as their CPU twins (`cpu`), behind one trait.
//!
//! Invariant: a backend never sees a word, a prompt or an algorithm's name beyond its objective; it sees buffers.
//! Invariant: a kernel's name stands in three places: the WGSL entry point, its file in [`kernels`] and the parity test.

mod at;
mod bare;
mod counters;
pub mod cpu;
mod declaration;
pub mod either;
mod error;
pub mod gpu;
mod interface;
pub mod kernels;
pub mod network;

pub use at::{At, AtMut};
pub use counters::Counters;
pub use error::BackendError;
pub use interface::Kernels;
pub use kernels::{
    AdamwSize, AttentionSize, DecodeSize, EmbedSize, GenerateSize, LogitsSize, MatmulSize, MetricsSize, NORM_PARTIALS,
    NormSize, PpoSize, SampleSize, SequenceSize,
};
