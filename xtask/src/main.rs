//! `cargo xtask`: sets up, builds, serves, tests and measures Klimb.
//!
//! This is the only code that knows tools, browsers and targets. Every command can be repeated: what is there already
//! is left alone, and what is missing is installed or named.

mod bench;
mod build;
mod crates;
mod figure;
mod fuzz;
mod process;
mod programs;
mod screenshots;
mod serve;
mod setup;
mod test;
mod translation;
mod workspace;

// What names the program's build names the page's as well.
#[allow(dead_code)]
#[path = "../../build.rs"]
mod build_name;
use std::process::ExitCode;

use anyhow::Result;
use clap::{Parser, Subcommand};
use workspace::Workspace;

#[derive(Parser)]
#[command(name = "cargo xtask", about = "Sets up, builds, serves, tests and measures Klimb")]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Build the page and serve it on this machine, installing what that needs
    Serve {
        /// The port to serve on; where it is busy, the next free one is taken
        #[arg(long, default_value_t = 8080)]
        port: u16,
        /// Open the page in the default browser
        #[arg(long)]
        open: bool,
        /// Build a larger module that is as fast, where a change is there within seconds
        #[arg(long)]
        quick: bool,
    },
    /// Leave the finished page in `dist/`, ready for any static host and any sub-path
    Build,
    /// Run every test, or only the named parts
    Test {
        /// The parts to run, in the order given; all of them when none is named
        #[arg(value_enum)]
        parts: Vec<test::Part>,
        /// Leave WebKit out of the end-to-end tests, where it cannot be had
        #[arg(long)]
        without_webkit: bool,
    },
    /// Ask RustSec and npm what is known against the crates and packages in use; needs both services
    Audit,
    /// Measure how fast it is, all of it or the named parts; results are in `target/bench`
    Bench {
        /// What to measure, in the order given; everything when nothing is named
        #[arg(value_enum)]
        parts: Vec<bench::Part>,
        /// Take ten samples of everything instead of two, follow memory over ten thousand steps, let peers take fifteen turns
        #[arg(long)]
        thorough: bool,
        /// Which subjects to measure: a word of their names, such as `small`, `dpo/default` or `cpu`
        #[arg(last = true)]
        arguments: Vec<String>,
    },
    /// Drive what reads files, addresses and messages with inputs that are almost right
    Fuzz {
        /// Minutes in all, shared by the targets
        #[arg(long, default_value_t = 10)]
        minutes: u64,
        /// One target alone, such as `pairs`
        #[arg(long)]
        target: Option<String>,
        /// Names the inputs; another one each time where it is not given
        #[arg(long)]
        seed: Option<u64>,
        /// Let libFuzzer look for inputs that reach new code, by cargo-fuzz and a nightly compiler
        #[arg(long, conflicts_with = "seed")]
        guided: bool,
    },
    /// Leave pictures of every view in `target/screenshots/`, at a desk and on a phone, in the light and in the dark
    Screenshots,
    /// Install what the other commands would install on demand
    Setup {
        /// The needs to meet; all of them when none is named
        #[arg(value_enum)]
        needs: Vec<setup::Need>,
    },
}

fn main() -> ExitCode {
    match run(Arguments::parse().command) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("\n{error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(command: Command) -> Result<()> {
    let workspace = Workspace::find()?;
    match command {
        Command::Serve { port, open, quick } => {
            build::page(&workspace, if quick { build::Profile::Quick } else { build::Profile::Page })?;
            serve::until_stopped(&workspace.dist(), port, open)
        }
        Command::Build => build::page(&workspace, build::Profile::Page),
        Command::Test { parts, without_webkit } => test::run(&workspace, &parts, !without_webkit),
        Command::Audit => crates::audit(&workspace),
        Command::Bench { parts, thorough, arguments } => {
            bench::run(&workspace, &parts, &bench::Options { thorough, arguments })
        }
        Command::Fuzz { minutes, target, seed, guided } => {
            fuzz::run(&workspace, &fuzz::Options { minutes, target, seed, guided })
        }
        Command::Screenshots => screenshots::take(&workspace),
        Command::Setup { needs } => setup::meet_all(&workspace, &needs),
    }
}
