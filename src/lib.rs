//! Klimb trains and aligns a small language model where the student can watch: SFT, DPO and the
//! reward-versus-KL frontier (Rafailov et al. 2023), with every gradient computed by WGSL shaders.
//!
//! The modules are floors; imports go down only (`tests/tidy.rs` keeps it so). Start with `ARCHITECTURE.md`.

#![warn(missing_docs)]

pub mod algorithms;
pub mod backend;
pub mod charts;
pub mod engine;
pub mod experiments;
pub mod hash;
pub mod language;
pub mod metrics;
pub mod model;
pub mod objectives;
pub mod page;
pub mod real;
pub mod rng;
pub mod stats;
pub mod world;
