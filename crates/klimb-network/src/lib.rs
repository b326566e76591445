//! The network and all that computes it. [`model`] has its sizes, the layout of its parameters and checkpoints;
//! [`objectives`] the losses and their gradients as pure functions; [`backend`] every kernel twice, as a WGSL shader and as
//! the same arithmetic on the CPU, and the transformer as a list of kernel calls.
//!
//! ```
//! use klimb_network::backend::cpu::Cpu;
//! use klimb_network::backend::network::Network;
//! use klimb_network::backend::{At, Kernels, SequenceSize};
//! use klimb_network::model::{ModelConfig, initial_parameters};
//!
//! let config =
//!     ModelConfig { vocabulary: 40, context: 8, width: 16, layers: 1, heads: 2, own_unembedding: false }.validated()?;
//! // The same lines run on a graphics adapter with `Gpu::new` in place of `Cpu::new`.
//! let mut k = Cpu::<f32>::new();
//! let network = Network::new(config);
//!
//! let values = initial_parameters(&config, 0);
//! let mut parameters = k.floats("parameters", values.len());
//! k.write_floats(&mut parameters, 0, &values);
//! let mut tokens = k.integers("tokens", 4);
//! k.write_integers(&mut tokens, 0, &[1, 5, 9, 2]);
//!
//! let size = SequenceSize { batch: 1, length: 4 };
//! let mut activations = network.activations(&mut k, 4);
//! network.forward(&mut k, size, &parameters, At::new(&tokens, 0), &mut activations);
//! k.submit();
//! let logits = pollster::block_on(k.read_floats(&activations.logits, 0..4 * 40))?;
//! assert!(logits.iter().all(|logit| logit.is_finite()));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

#![warn(missing_docs)]
#![cfg_attr(not(test), warn(clippy::wildcard_enum_match_arm))]

pub mod backend;
pub mod model;
pub mod objectives;
