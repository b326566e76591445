//! Klimb trains and aligns a small language model where the student can watch: SFT, DPO and the
//! reward-versus-KL frontier (Rafailov et al. 2023), with every gradient computed by WGSL shaders.
//!
//! The floors below are crates of their own (`docs/develop/map.md` draws them), which this one names as its modules; its own are
//! the engine that a page talks to, and the page.

#![warn(missing_docs)]
#![cfg_attr(not(test), warn(clippy::wildcard_enum_match_arm))]

#[macro_use]
extern crate klimb_text;

pub mod engine;
pub mod page;

pub use klimb_align::{algorithms, language};
pub use klimb_network::{backend, model, objectives};
pub use klimb_numerics::{hash, real, rng, stats};
pub use klimb_text::{ConfigError, Message, json, shorten, text, words};
pub use {klimb_charts as charts, klimb_lab as experiments, klimb_metrics as metrics, klimb_world as world};
