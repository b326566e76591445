//! The page: what it knows and decides (`model`, tested natively), and what puts that into the document (`view`, wasm alone).
//!
//! Invariant: a view reads the model and writes the document; it computes nothing about training.
//! `index.html` owns the structure, `www/style.css` the looks, and `www/main.js` only what a browser gives to
//! JavaScript alone: the worker, the listeners and the animation frame. What is said before this module is there is
//! `www/boot.js`'s.

pub mod model;
#[cfg(target_arch = "wasm32")]
mod view;

#[cfg(target_arch = "wasm32")]
pub use view::{App, Surface};
