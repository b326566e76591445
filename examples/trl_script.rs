//! Prints the Python script that the page exports for TRL, with the settings of an address:
//! `cargo run --example trl_script 'batch_size=4&rollout_size=16'`. That such scripts run is checked by
//! `cargo xtask test trl`.

use std::process::ExitCode;

use klimb::engine::settings::Settings;
use klimb::page::model::export::script;
use klimb::page::model::state::State;

fn main() -> ExitCode {
    let query = std::env::args().nth(1).unwrap_or_default();
    let (settings, errors) = Settings::from_query(&query);
    if !errors.is_empty() {
        errors.iter().for_each(|error| eprintln!("{error}"));
        return ExitCode::FAILURE;
    }
    print!("{}", script(&State::new(settings)));
    ExitCode::SUCCESS
}
