//! Every test of the project, in parts, the quickest to fail first.

mod end_to_end;
mod long;
mod trl;

use std::time::{Duration, Instant};

use anyhow::Result;
use clap::ValueEnum;

use crate::process::{self, step};
use crate::setup::{browsers, wasm_target};
use crate::workspace::Workspace;
use crate::{build, crates};

/// Seconds that a wasm test may take in the browser; the runner's own 20 are too few for a software adapter.
const WASM_TEST_SECONDS: &str = "300";

/// A part of the tests.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Part {
    /// Formatting
    Fmt,
    /// Lints, natively and for wasm32
    Clippy,
    /// Licences and sources of the crates
    Crates,
    /// Native tests, with the shaders on a Vulkan adapter
    Native,
    /// Tests in headless Chromium with WebGPU (wasm-pack)
    Wasm,
    /// End-to-end tests of the served page in Chromium, Firefox and WebKit
    E2e,
    /// The longer form of the checks that have one, which takes too long for every run: only when it is named
    Long,
    /// The exported scripts for TRL, with TRL and PyTorch in an environment of their own: only when it is named
    Trl,
}

/// What runs when no part is named.
const SUITE: &[Part] = &[Part::Fmt, Part::Clippy, Part::Crates, Part::Native, Part::Wasm, Part::E2e];

/// Runs the named parts, or the suite, and ends with the seconds that each part took.
pub fn run(workspace: &Workspace, parts: &[Part], with_webkit: bool) -> Result<()> {
    let parts = if parts.is_empty() { SUITE } else { parts };
    let mut times = Vec::new();
    let outcome = parts.iter().try_for_each(|part| {
        let start = Instant::now();
        let outcome = run_part(workspace, *part, with_webkit);
        times.push((*part, start.elapsed()));
        outcome
    });
    print!("\n{}", table(&times));
    outcome?;
    println!("✔ All of it passed");
    Ok(())
}

fn run_part(workspace: &Workspace, part: Part, with_webkit: bool) -> Result<()> {
    match part {
        Part::Fmt => fmt(workspace),
        Part::Clippy => clippy(workspace),
        Part::Crates => crates::check(workspace),
        Part::Native => native(workspace),
        Part::Wasm => wasm(workspace),
        Part::E2e => end_to_end::run(workspace, with_webkit),
        Part::Long => long::run(workspace),
        Part::Trl => trl::run(workspace),
    }
}

/// A line for each part with its seconds, and one for all of them.
fn table(times: &[(Part, Duration)]) -> String {
    let name = |part: &Part| part.to_possible_value().map_or_else(String::new, |value| value.get_name().to_owned());
    let line = |name: &str, time: Duration| format!("{name:<8} {:>8.1} s\n", time.as_secs_f64());
    let lines: String = times.iter().map(|(part, time)| line(&name(part), *time)).collect();
    lines + &line("in all", times.iter().map(|(_, time)| *time).sum())
}

/// Checks the formatting of all packages.
pub fn fmt(workspace: &Workspace) -> Result<()> {
    step("Checking the formatting", "run `cargo fmt --all`", || cargo(workspace, &["fmt", "--all", "--check"]))
}

/// The packages that are built natively, but for this program, which has a profile of its own.
const NATIVE: &[&str] = &["--workspace", "--exclude", "xtask", "--exclude", "klimb-module", "--exclude", "klimb-peer"];

fn clippy(workspace: &Workspace) -> Result<()> {
    let remedy = "mend what clippy names above";
    step("Linting, natively", remedy, || {
        cargo(workspace, &[&["clippy", "--quiet"], NATIVE, &["--all-targets", "--", "-D", "warnings"]].concat())?;
        let xtask = ["clippy", "--quiet", "--profile", "xtask", "--package", "xtask", "--all-targets", "--"];
        cargo(workspace, &[&xtask[..], &["-D", "warnings"]].concat())
    })?;
    let toolchain = wasm_target::ensure(workspace)?;
    step("Linting, for wasm32", remedy, || {
        let arguments = [
            "clippy",
            "--quiet",
            "--target",
            "wasm32-unknown-unknown",
            "--lib",
            "--bins",
            "--test",
            "web",
            "--test",
            "web_page",
            "--",
        ];
        let others = ["clippy", "--quiet", "--target", "wasm32-unknown-unknown", "--workspace", "--lib"];
        let others = [&others[..], &["--exclude", "klimb", "--exclude", "xtask", "--"]].concat();
        [&arguments[..], &others].into_iter().try_for_each(|arguments| {
            let mut command = process::command("cargo", workspace.root(), arguments);
            process::run(toolchain.choose(command.args(["-D", "warnings"])))
        })
    })
}

fn native(workspace: &Workspace) -> Result<()> {
    browsers::ensure_vulkan()?;
    step("Testing natively, the shaders on a Vulkan adapter", "read the failed test's message above", || {
        let arguments = [&["test", "--quiet"], NATIVE].concat();
        let mut command = process::command("cargo", workspace.root(), &arguments);
        process::run(process::quiet_mesa(&mut command))?;
        cargo(workspace, &["test", "--quiet", "--profile", "xtask", "--package", "xtask"])
    })
}

fn wasm(workspace: &Workspace) -> Result<()> {
    browsers::ensure_chromium()?;
    step(
        "Testing in headless Chromium with WebGPU (wasm-pack)",
        "read the failed test's message above; webdriver.json holds Chromium's flags",
        || {
            let arguments = ["test", "--headless", "--chrome", "--release", ".", "--test", "web", "--test", "web_page"];
            let mut command = build::wasm_command(workspace, "wasm-pack", &arguments)?;
            process::run(command.env("WASM_BINDGEN_TEST_TIMEOUT", WASM_TEST_SECONDS))
        },
    )
}

/// Runs cargo.
pub fn cargo(workspace: &Workspace, arguments: &[&str]) -> Result<()> {
    process::run(&mut process::command("cargo", workspace.root(), arguments))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_suite_is_every_part_but_those_that_are_named() {
        let all = Part::value_variants().iter().filter(|part| !matches!(part, Part::Long | Part::Trl));
        assert_eq!(SUITE, all.copied().collect::<Vec<_>>());
    }

    #[test]
    fn the_table_has_each_part_and_their_sum() {
        let times = [(Part::Fmt, Duration::from_millis(1500)), (Part::E2e, Duration::from_secs(60))];
        assert_eq!(table(&times), "fmt           1.5 s\ne2e          60.0 s\nin all       61.5 s\n");
    }
}
