//! `cargo xtask`: sets up, builds, serves, tests and measures Klimb.
//!
//! This is the only code that knows tools, browsers and targets. Every command can be repeated: what is there already
//! is left alone, and what is missing is installed or named.

mod bench;
mod build;
mod check;
mod crate_map;
mod crates;
mod docs;
mod figure;
mod folders;
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
    /// Build the book of `docs/` into `dist/book/`
    Docs {
        /// Write the chapters that follow from tables of the code, and the picture of the crates, before that
        #[arg(long)]
        generate: bool,
    },
    /// Check formatting, lints and tests of what has changed, before a commit
    Check {
        /// The git revision that changes are counted from
        #[arg(long, default_value = "HEAD")]
        since: String,
    },
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
        Command::Check { since } => check::run(&workspace, &since),
        Command::Docs { generate } => {
            if generate {
                docs::generate(&workspace)?;
            }
            docs::build(&workspace)
        }
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

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    /// The words behind each `cargo xtask` of a document, up to the end of its code.
    fn command_lines(text: &str) -> Vec<Vec<String>> {
        let lines = text.split("cargo xtask").skip(1).filter_map(|rest| rest.split(['`', '\n', '#', ';', '&']).next());
        lines.map(|line| line.split_whitespace().map(str::to_owned).collect()).collect()
    }

    #[test]
    fn every_command_that_a_document_names_is_one_of_these() {
        let root = Workspace::find().unwrap().root().to_path_buf();
        let chapters = folders::files_below(&root.join("docs")).unwrap().into_iter().map(|file| format!("docs/{file}"));
        let others = ["README.md", "CONTRIBUTING.md", "CHANGELOG.md", ".github/pull_request_template.md"];
        let mut checked = 0;
        for file in chapters.filter(|file| file.ends_with(".md")).chain(others.map(str::to_owned)) {
            let text = fs::read_to_string(root.join(&file)).unwrap();
            for words in command_lines(&text) {
                // A sentence goes on behind the name of the whole program; a value is told by its name in capitals.
                let words: Vec<&str> = words.iter().map(|word| if word == "N" { "1" } else { word }).collect();
                let parsed = Arguments::try_parse_from([&["xtask"], &words[..]].concat());
                assert!(words.is_empty() || parsed.is_ok(), "{file}: cargo xtask {}", words.join(" "));
                checked += 1;
            }
        }
        assert!(checked > 20, "only {checked} commands were found");
    }
}
