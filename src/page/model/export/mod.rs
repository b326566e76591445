//! Files to keep: the numbers of every run, and a script that does the run elsewhere. Charts become files in
//! `view::exports`, which needs a canvas to measure text.

mod numbers;
mod script;

pub use numbers::{csv, json};
pub use script::script;

use super::state::State;

/// What a file is called: what it holds, and the seed of the page.
pub fn file_name(state: &State, what: &str, ending: &str) -> String {
    format!("klimb-{what}-seed-{}.{ending}", state.training.settings.seed)
}
