//! The page: what is known of the engine (`state`), how it is written for people (`format`, `beta`), and, on wasm
//! alone, one file per view that puts it into the document.
//!
//! Invariant: a view reads the state and writes the document; it keeps nothing and computes nothing about training.
//! `index.html` owns the structure, `www/style.css` the looks, and `www/main.js` only what a browser gives to
//! JavaScript alone: the worker, the listeners and the animation frame. What is said before this module is there is
//! `www/boot.js`'s.

pub mod annotator;
pub mod badge;
pub mod beta;
pub mod charted;
pub mod chosen;
pub mod clinic;
pub mod export;
pub mod file_kind;
#[cfg(test)]
mod fixtures;
pub mod format;
pub mod former;
pub mod guess;
pub mod handed;
pub mod hidden;
pub mod kept;
pub mod lecture;
pub mod lent;
pub mod orders;
pub mod receipt;
pub mod run_notes;
pub mod state;
pub mod study;
pub mod sweep;
pub mod sweep_workers;
pub mod taken;
pub mod telling;
pub mod tour;
pub mod trails;
pub mod view;

#[cfg(target_arch = "wasm32")]
mod address;
#[cfg(target_arch = "wasm32")]
mod canvas;
#[cfg(target_arch = "wasm32")]
mod clipboard;
#[cfg(target_arch = "wasm32")]
mod controls;
#[cfg(target_arch = "wasm32")]
mod curves;
#[cfg(target_arch = "wasm32")]
mod dom;
#[cfg(target_arch = "wasm32")]
mod drawing;
#[cfg(target_arch = "wasm32")]
mod facade;
#[cfg(target_arch = "wasm32")]
mod fetch_recorded;
#[cfg(target_arch = "wasm32")]
mod files;
#[cfg(target_arch = "wasm32")]
mod focus;
#[cfg(target_arch = "wasm32")]
mod frames;
#[cfg(target_arch = "wasm32")]
mod frontier;
#[cfg(target_arch = "wasm32")]
mod inside;
#[cfg(target_arch = "wasm32")]
mod keyboard;
#[cfg(target_arch = "wasm32")]
mod knobs;
#[cfg(target_arch = "wasm32")]
mod lectern;
#[cfg(target_arch = "wasm32")]
mod notices;
#[cfg(target_arch = "wasm32")]
mod numbers;
#[cfg(target_arch = "wasm32")]
mod pictures;
#[cfg(target_arch = "wasm32")]
mod pipeline;
#[cfg(target_arch = "wasm32")]
mod runs;
#[cfg(target_arch = "wasm32")]
mod samples;
#[cfg(target_arch = "wasm32")]
mod storage;
#[cfg(target_arch = "wasm32")]
mod stored;
#[cfg(target_arch = "wasm32")]
mod studies;

#[cfg(target_arch = "wasm32")]
pub use canvas::Surface;
#[cfg(target_arch = "wasm32")]
pub use facade::Page;
