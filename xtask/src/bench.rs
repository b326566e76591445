//! Measuring how fast things are. Nothing is asserted: numbers go to the terminal and, for other programs, to JSON files
//! in `target/bench`.

use std::fs;
use std::path::PathBuf;

use anyhow::Result;
use clap::ValueEnum;

use crate::process::{self, step};
use crate::setup::{browsers, node, torch};
use crate::workspace::Workspace;
use crate::{build, programs, serve};

/// What can be measured.
#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Part {
    /// Steps, rollouts and kernels on both backends, natively (Criterion)
    Native,
    /// The served page in headless Chromium: loading, steps a second, answers, memory, bytes, calls of WebGPU
    Page,
    /// The same training step and rollout by Klimb, jax-js and TensorFlow.js, each alone on a page in headless Chromium, and
    /// by PyTorch
    Peers,
}

/// What the measurements that ask for PyTorch are called.
const PYTORCH: [&str; 4] = [
    "step/small/native/pytorch",
    "step/default/native/pytorch",
    "rollout/small/native/pytorch",
    "rollout/default/native/pytorch",
];

/// How it is measured.
pub struct Options {
    /// Whether to take ten samples of everything instead of two, to follow memory over ten thousand steps, and to let peers
    /// take fifteen turns instead of five.
    pub thorough: bool,
    /// Words that choose among the subjects.
    pub arguments: Vec<String>,
}

/// Measures the named parts, or all of them.
pub fn run(workspace: &Workspace, parts: &[Part], options: &Options) -> Result<()> {
    let parts = if parts.is_empty() { Part::value_variants() } else { parts };
    parts.iter().try_for_each(|part| match part {
        Part::Native => native(workspace, options),
        Part::Page => page(workspace, options),
        Part::Peers => peers(workspace, options),
    })
}

fn native(workspace: &Workspace, options: &Options) -> Result<()> {
    browsers::ensure_vulkan()?;
    let results = results(workspace, "native")?;
    step("Measuring natively", "read the message above; `-- cpu` needs no graphics adapter", || {
        let mut command = process::command("cargo", workspace.root(), &["bench", "--bench", "native", "--"]);
        if !options.thorough {
            command.arg("--quick");
        }
        let command = command.args(&options.arguments).env("KLIMB_BENCH_JSON", &results);
        process::run(process::quiet_mesa(command))
    })
}

fn page(workspace: &Workspace, options: &Options) -> Result<()> {
    browsers::ensure_chromium()?;
    let folder = workspace.page_bench();
    node::ensure(workspace, &folder)?;
    build::page(workspace, build::Profile::Page)?;
    let url = serve::in_background(&workspace.dist())?;
    let results = results(workspace, "page")?;
    step("Measuring the page in Chromium", "read the message above; `cargo xtask serve` shows the page", || {
        let mut command = process::command("node", &folder, &["run.js"]);
        command.args(&options.arguments).env("KLIMB_URL", &url).env("KLIMB_DIST", workspace.dist());
        command.env("KLIMB_CHROMIUM", programs::browser(programs::CHROMIUM)?).env("KLIMB_BENCH_JSON", &results);
        if options.thorough {
            command.env("KLIMB_BENCH_THOROUGH", "yes");
        }
        process::run(&mut command)
    })
}

fn peers(workspace: &Workspace, options: &Options) -> Result<()> {
    browsers::ensure_chromium()?;
    let folder = workspace.peers_bench();
    node::ensure(workspace, &folder)?;
    let package = workspace.target().join("bench/klimb-peer");
    step("Building Klimb's step for a page", "read the compiler's messages above", || {
        let arguments =
            ["build", "benches/peers/klimb", "--target", "web", "--release", "--no-typescript", "--no-pack"];
        let mut command = build::wasm_command(workspace, "wasm-pack", &arguments)?;
        process::run(command.arg("--out-dir").arg(&package))
    })?;
    let python = if asks_for_pytorch(&options.arguments) { pytorch(workspace) } else { None };
    let results = results(workspace, "peers")?;
    step("Measuring Klimb beside other libraries", "read the message above", || {
        let mut command = process::command("node", &folder, &["run.js"]);
        command.args(&options.arguments).env("KLIMB_PEER", &package);
        command.env("KLIMB_CHROMIUM", programs::browser(programs::CHROMIUM)?).env("KLIMB_BENCH_JSON", &results);
        if let Some(python) = &python {
            command.env("KLIMB_PYTHON", python);
        }
        if options.thorough {
            command.env("KLIMB_BENCH_THOROUGH", "yes");
        }
        process::run(&mut command)
    })
}

/// A Python with PyTorch. Without one the other libraries are measured all the same.
fn pytorch(workspace: &Workspace) -> Option<PathBuf> {
    torch::ensure(workspace).inspect_err(|error| println!("  PyTorch is left out: {error:#}")).ok()
}

fn asks_for_pytorch(words: &[String]) -> bool {
    words.is_empty() || PYTORCH.iter().any(|name| words.iter().any(|word| name.contains(word)))
}

/// Where the results of a part go.
fn results(workspace: &Workspace, part: &str) -> Result<PathBuf> {
    let folder = workspace.target().join("bench");
    fs::create_dir_all(&folder)?;
    Ok(folder.join(format!("{part}.json")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pytorch_is_set_up_only_for_what_asks_for_it() {
        let asks = |words: &[&str]| asks_for_pytorch(&words.iter().map(|&word| word.to_owned()).collect::<Vec<_>>());
        assert!(asks(&[]) && asks(&["pytorch"]) && asks(&["klimb", "step/small"]));
        assert!(!asks(&["klimb"]) && !asks(&["wasm", "webgpu"]) && !asks(&["small/webgpu"]));
    }
}
