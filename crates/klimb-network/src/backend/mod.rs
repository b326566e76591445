//! The backends: the same kernels twice, as WGSL shaders (`gpu`) and as their CPU twins (`cpu`), behind one trait.
//!
//! Invariant: a backend never sees a word, a prompt or an algorithm's name beyond its objective; it sees buffers.
//! Invariant: one name in five places: the WGSL entry point, the CPU twin, the row of `gpu/kernels.rs`, the method of
//! [`Kernels`] and the parity test.

pub mod cpu;
pub mod either;
pub mod gpu;
mod kernels;
pub mod network;
mod sizes;

pub use kernels::*;
pub use sizes::*;
