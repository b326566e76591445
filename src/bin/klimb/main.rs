//! Klimb from the command line: the page's engine, natively. `klimb help` explains.

#![cfg_attr(not(test), warn(clippy::wildcard_enum_match_arm))]

#[cfg(not(target_arch = "wasm32"))]
mod commands;

#[cfg(not(target_arch = "wasm32"))]
fn main() -> std::process::ExitCode {
    commands::run()
}

/// In a browser the library is the program.
#[cfg(target_arch = "wasm32")]
fn main() {}
