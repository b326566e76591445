//! The ground that every other crate of Klimb stands on: [`rng`], seeded randomness that is the same on every platform;
//! [`real`], the number types that kernels are written for; [`stats`], means with intervals; [`hash`], fingerprints.
//!
//! A seed names a run, and independent uses draw from independent streams of it:
//!
//! ```
//! use klimb_numerics::rng::Generator;
//! use klimb_numerics::stats::{half_width, mean};
//!
//! let mut generator = Generator::new(7, "an example");
//! let values: Vec<f64> = (0..1000).map(|_| generator.normal()).collect();
//! // 95 % of such intervals hold the true mean, 0.
//! println!("{:.3} ± {:.3}", mean(&values), half_width(&values));
//! assert!(mean(&values).abs() < 2.0 * half_width(&values));
//! // The same seed and purpose give the same numbers, wherever this runs.
//! assert_eq!(Generator::new(7, "an example").normal(), values[0]);
//! ```

#![warn(missing_docs)]
#![cfg_attr(not(test), warn(clippy::wildcard_enum_match_arm))]

pub mod hash;
pub mod real;
pub mod rng;
pub mod stats;
