//! The kernels: one file for each shader, with its name, and in it a type for each entry point.
//!
//! A type's documentation is the kernel's contract. All matrices are row-major. "Write" replaces what the output held, "Add"
//! adds to it. Gradients of parameters are always Add; [`Adamw`] leaves them at zero. Below the types stand what a device is
//! told besides the buffers, and the CPU twins: the same arithmetic in plain loops, for f32 in the page without a graphics
//! device and f64 for proofs. The twin of an objective's shader is the function in [`crate::objectives`].
//!
//! ```
//! use klimb_network::backend::cpu::Cpu;
//! use klimb_network::backend::{At, kernels};
//!
//! let (logprobs, weights) = (vec![-1.0, -2.0], vec![0.5, 0.5]);
//! let (mut dlogprobs, mut statistics) = (vec![0.0; 2], vec![0.0; 2]);
//! kernels::Sft {
//!     rows: 2,
//!     logprobs: &logprobs,
//!     weights: At::new(&weights, 0),
//!     dlogprobs: &mut dlogprobs,
//!     statistics: &mut statistics,
//! }
//! .run(&mut Cpu::<f64>::new());
//! assert_eq!((dlogprobs, statistics), (vec![-0.5, -0.5], vec![0.5, 1.0]));
//! ```
//!
//! A kernel's name stands in three places: the entry point in the shader, the file here and the parity test.
//! `tests/suite/shaders.rs` holds them against each other.

mod attention;
mod bradley_terry;
mod dpo;
mod embedding;
mod generate;
mod kernel;
mod layer_norm;
mod logprobs;
mod matmul;
mod optimiser;
mod ppo;
mod rollout;
mod sample;
mod sft;
mod unlikelihood;

use std::sync::LazyLock;

pub use super::declaration::{Access, Binding, Declaration, Field, Grid, Shader};
pub use super::interface::{Kernel, Written};
pub use kernel::Dispatch;
pub(super) use kernel::OnCpu;

/// Brings the types of each file in, and its kernels into the table, in this order.
macro_rules! files {
    ($($file:ident),*) => {
        $(pub use $file::*;)*

        /// Every kernel.
        pub static KERNELS: LazyLock<Vec<Declaration>> = LazyLock::new(|| [$($file::KERNELS),*].concat());
    };
}

files!(
    embedding,
    layer_norm,
    matmul,
    attention,
    logprobs,
    sft,
    dpo,
    unlikelihood,
    bradley_terry,
    ppo,
    rollout,
    optimiser,
    sample,
    generate
);

/// The names of these types' entry points.
macro_rules! names {
    ($($Kernel:ident),*) => {
        [$(<$Kernel<'static, super::gpu::Gpu> as Kernel>::DECLARATION.name),*]
    };
}

/// What a session's first samples need, by either way of writing, and the dearest of what measuring needs beside it.
pub const WRITING: [&str; 10] = names![
    Generate,
    EmbedForward,
    LayerNormForward,
    MatmulForward,
    AttentionDecodeForward,
    MatmulResidualForward,
    MatmulGeluForward,
    MatmulBackwardInput,
    Sample,
    AttentionForward
];

/// The kernels of the way of writing that a device does not prefer. A card takes it for models that [`Generate`] has no room
/// for, and compiles them then.
pub const fn unused(is_software: bool) -> &'static [&'static str] {
    if is_software { &names![Generate] } else { &names![AttentionDecodeForward, Sample] }
}

/// What the rest of measuring a policy, and then a step of DPO, need beside that, in this order.
pub const LEARNING: [&str; 15] = names![
    LogprobsForward,
    KlForward,
    SequenceLogprobsForward,
    Dpo,
    SequenceLogprobsBackward,
    LogprobsBackward,
    MatmulBackwardWeights,
    LayerNormBackward,
    LayerNormBackwardWeights,
    MatmulGeluBackwardInput,
    AttentionBackward,
    EmbedBackward,
    SquaredNorm,
    RecordMetrics,
    Adamw
];
