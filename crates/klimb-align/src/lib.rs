//! What trains a policy. [`language`] makes a network a language model: batches, generation, scoring, and the update of
//! its parameters; in [`algorithms`] a `step` of SFT, DPO, the reward model or PPO reads like its paper's method section.
//! Nothing here knows where a sequence came from or what it is worth: whoever calls brings both.
//!
//! DPO on a single pair, until the policy prefers what was chosen:
//!
//! ```
//! use klimb_align::algorithms::{Dpo, DpoSettings, PairBatch};
//! use klimb_align::language::Sequence;
//! use klimb_network::backend::cpu::Cpu;
//! use klimb_network::backend::network::Network;
//! use klimb_network::model::{ModelConfig, initial_parameters};
//!
//! let config =
//!     ModelConfig { vocabulary: 40, context: 8, width: 16, layers: 1, heads: 2, own_unembedding: false }.validated()?;
//! let mut k = Cpu::<f32>::new();
//! let settings = DpoSettings { pairs: 1, ..DpoSettings::default() };
//! let mut dpo = Dpo::new(&mut k, Network::new(config), &initial_parameters(&config, 0), 7, settings);
//!
//! let sequence = |tokens: [u32; 4]| Sequence { tokens: tokens.to_vec(), prompt_length: 2 };
//! let pair = PairBatch {
//!     chosen: vec![sequence([1, 5, 9, 2])],
//!     rejected: vec![sequence([1, 5, 7, 2])],
//!     // ln π_ref of both completions; they only have to agree with each other here.
//!     reference_chosen: vec![-7.4],
//!     reference_rejected: vec![-7.4],
//! };
//! for _ in 0..20 {
//!     dpo.step(&mut k, &pair);
//! }
//! let rows = pollster::block_on(dpo.metrics(&mut k))?;
//! assert!(rows[19].loss < rows[0].loss);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

#![warn(missing_docs)]
#![cfg_attr(not(test), warn(clippy::wildcard_enum_match_arm))]

pub mod algorithms;
pub mod language;
pub mod limits;
