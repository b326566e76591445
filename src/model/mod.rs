//! The transformer's description: sizes, where each tensor lies in the one flat parameter buffer, initial values and
//! checkpoints. Nothing here computes.

mod config;
mod layout;

pub use config::{ConfigError, ModelConfig};
pub use layout::{LayerLayout, Layout, TensorSpec};
