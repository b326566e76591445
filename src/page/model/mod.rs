//! What the page knows, and what it decides.

pub mod accepted_files;
pub mod annotator;
pub mod announcer;
pub mod background_throttling;
pub mod badge;
pub mod beta;
pub mod build_name;
pub mod change;
pub mod chosen_files;
pub mod clinic;
pub mod curves;
pub mod export;
pub mod file_kind;
#[cfg(test)]
mod fixtures;
pub mod format;
pub mod guess;
pub mod imported_runs;
pub mod pending_commands;
pub mod presentation;
pub mod receipt;
pub mod run_notes;
pub mod runs;
pub mod saved_session;
pub mod state;
pub mod study;
pub mod submitted_files;
pub mod sweep;
pub mod sweep_workers;
pub mod temporary_settings;
pub mod tour;
