//! What puts the page into the document, one file per view, and what they share of the browser. Wasm alone.

mod address;
mod animation_frames;
mod annotator;
mod canvas;
mod chart;
mod chart_files;
mod clinic;
mod clipboard;
mod controls;
mod curves;
mod dom;
mod files;
mod focus;
mod frontier;
mod imported_runs;
mod inside;
mod keyboard;
mod notices;
mod numbers;
mod page;
mod pipeline;
mod presentation;
mod recorded;
mod runs;
mod samples;
mod session_store;
mod settings;
mod studies;
mod sweep;
mod sweep_workers;
mod tour;
mod web_storage;

pub use canvas::Surface;
pub use page::Page;
