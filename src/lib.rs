//! Klimb trains and aligns a small language model where the student can watch: SFT, DPO and the
//! reward-versus-KL frontier (Rafailov et al. 2023), with every gradient computed by WGSL shaders.
//!
//! The modules are floors; imports go down only (`tests/suite/tidy.rs` keeps it so). Start with `ARCHITECTURE.md`.

#![warn(missing_docs)]

#[macro_use]
pub mod words;

pub mod algorithms;
pub mod charts;
pub mod engine;
pub mod experiments;
pub mod language;
pub mod metrics;
pub mod page;
pub mod world;

pub use klimb_arithmetic::{backend, hash, json, model, objectives, real, rng, shorten, stats, text};
