//! Every test of the project, in parts, the quickest to fail first.

use anyhow::Result;
use clap::ValueEnum;

use crate::process::{self, step};
use crate::setup::{browsers, node, wasm_target};
use crate::workspace::Workspace;
use crate::{build, programs, serve};

/// Seconds that a wasm test may take in the browser; the runner's own 20 are too few for a software adapter.
const WASM_TEST_SECONDS: &str = "300";

/// A part of the tests.
#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Part {
    /// Formatting
    Fmt,
    /// Lints, natively and for wasm32
    Clippy,
    /// Native tests, with the shaders on a Vulkan adapter
    Native,
    /// Tests in headless Chromium with WebGPU (wasm-pack)
    Wasm,
    /// End-to-end tests of the served page in Chromium and Firefox
    E2e,
}

/// Runs the named parts, or all of them.
pub fn run(workspace: &Workspace, parts: &[Part]) -> Result<()> {
    let parts = if parts.is_empty() { Part::value_variants() } else { parts };
    parts.iter().try_for_each(|part| match part {
        Part::Fmt => fmt(workspace),
        Part::Clippy => clippy(workspace),
        Part::Native => native(workspace),
        Part::Wasm => wasm(workspace),
        Part::E2e => end_to_end(workspace),
    })?;
    println!("✔ All of it passed");
    Ok(())
}

fn fmt(workspace: &Workspace) -> Result<()> {
    step("Checking the formatting", "run `cargo fmt --all`", || cargo(workspace, &["fmt", "--all", "--check"]))
}

fn clippy(workspace: &Workspace) -> Result<()> {
    let remedy = "mend what clippy names above";
    step("Linting, natively", remedy, || {
        let library =
            ["clippy", "--quiet", "--package", "klimb", "--package", "klimb-arithmetic", "--all-targets", "--"];
        cargo(workspace, &[&library[..], &["-D", "warnings"]].concat())?;
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
        let others = [
            "clippy",
            "--quiet",
            "--target",
            "wasm32-unknown-unknown",
            "-p",
            "klimb-arithmetic",
            "-p",
            "klimb-module",
            "-p",
            "klimb-peer",
        ];
        [&arguments[..], &[&others[..], &["--"]].concat()].into_iter().try_for_each(|arguments| {
            let mut command = process::command("cargo", workspace.root(), arguments);
            process::run(toolchain.choose(command.args(["-D", "warnings"])))
        })
    })
}

fn native(workspace: &Workspace) -> Result<()> {
    browsers::ensure_vulkan()?;
    step("Testing natively, the shaders on a Vulkan adapter", "read the failed test's message above", || {
        let mut command = process::command(
            "cargo",
            workspace.root(),
            &["test", "--quiet", "--package", "klimb", "--package", "klimb-arithmetic"],
        );
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

fn end_to_end(workspace: &Workspace) -> Result<()> {
    browsers::ensure_chromium()?;
    browsers::ensure_firefox()?;
    node::ensure(workspace, &workspace.end_to_end())?;
    build::page(workspace, build::Profile::Page)?;
    let url = serve::in_background(&workspace.dist())?;
    step(
        "Testing the served page in Chromium and Firefox",
        "read the failed test's message above; `cargo xtask serve` shows the page",
        || {
            let mut command = process::command(
                "node",
                &workspace.end_to_end(),
                &["--test", "--test-concurrency=1", "--test-reporter=spec"],
            );
            command.env("KLIMB_URL", &url);
            command.env("KLIMB_URL_BELOW", format!("{}{}/", url.trim_end_matches('/'), serve::SUB_PATH));
            command.env("KLIMB_CHROMIUM", programs::browser(programs::CHROMIUM)?);
            command.env("KLIMB_FIREFOX", programs::browser(programs::FIREFOX)?);
            process::run(&mut command)
        },
    )
}

fn cargo(workspace: &Workspace, arguments: &[&str]) -> Result<()> {
    process::run(&mut process::command("cargo", workspace.root(), arguments))
}
