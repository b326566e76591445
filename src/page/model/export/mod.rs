//! Files to keep: the numbers of every run, and a script that does the run elsewhere. Charts become files in
//! `view::chart_files`, which needs a canvas to measure text.

mod numbers;
mod script;

pub use numbers::{csv, json};
pub use script::script;

use super::state::State;

/// The commit that the page was built from, where the build knew it.
pub const BUILD: Option<&str> = option_env!("KLIMB_BUILD");

/// What a file is called: what it holds, and the seed of the page.
pub fn file_name(state: &State, what: &str, ending: &str) -> String {
    format!("klimb-{what}-seed-{}.{ending}", state.settings.seed)
}

/// The program, as files name it.
pub fn program() -> String {
    format!("klimb {}", env!("CARGO_PKG_VERSION"))
}
