//! The transformer's description: sizes, where each tensor lies in the one flat parameter buffer, initial values and
//! checkpoints. Nothing here computes.

mod checkpoint;
mod config;
mod init;
mod layout;
mod safetensors;

pub use checkpoint::{Checkpoint, CheckpointError, Expectation};
pub use config::ModelConfig;
pub use init::{initial_parameters, with_random_head, with_zero_head};
pub use layout::{LayerLayout, Layout, TensorSpec};
