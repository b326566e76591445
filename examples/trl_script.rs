//! Prints the Python script that the page exports for TRL, with the settings of an address. That it runs is checked by
//!
//! ```sh
//! pip install "trl==1.16.*" vaderSentiment torch
//! cargo run --example trl_script 'batch_size=4&rollout_size=16' > run.py
//! for method in dpo reward-model ppo ppo-gt preferred-ft; do
//!   python run.py tests/data/compatible/pairs.jsonl --method $method --steps 2 --sft-steps 2 || exit
//! done
//! ```

use klimb::engine::settings::Settings;
use klimb::page::export::script;
use klimb::page::state::State;

fn main() {
    let query = std::env::args().nth(1).unwrap_or_default();
    let (settings, errors) = Settings::from_query(&query);
    errors.iter().for_each(|error| eprintln!("{error}"));
    print!("{}", script(&State::new(settings)));
}
