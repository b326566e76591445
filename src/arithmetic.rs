//! What computes: the lower floors of Klimb, as a package of their own because they alone are compiled for speed. The
//! library names every module of it as its own; `ARCHITECTURE.md` has the floors.

#![warn(missing_docs)]

pub mod backend;
pub mod hash;
pub mod json;
pub mod model;
pub mod objectives;
pub mod real;
pub mod rng;
pub mod shorten;
pub mod stats;
pub mod text;
