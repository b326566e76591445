//! Measuring how fast things are. Nothing is asserted: numbers go to the terminal and, for other programs, to JSON files
//! in `target/bench`.

use std::fs;
use std::path::PathBuf;

use anyhow::Result;
use clap::ValueEnum;

use crate::process::{self, step};
use crate::setup::browsers;
use crate::workspace::Workspace;

/// What can be measured.
#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Part {
    /// Steps, rollouts and kernels on both backends, natively (Criterion)
    Native,
}

/// How it is measured.
pub struct Options {
    /// Whether to take ten samples of everything instead of two.
    pub thorough: bool,
    /// What Criterion is told besides: which subjects to measure.
    pub arguments: Vec<String>,
}

/// Measures the named parts, or all of them.
pub fn run(workspace: &Workspace, parts: &[Part], options: &Options) -> Result<()> {
    let parts = if parts.is_empty() { Part::value_variants() } else { parts };
    parts.iter().try_for_each(|part| match part {
        Part::Native => native(workspace, options),
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

/// Where the results of a part go.
fn results(workspace: &Workspace, part: &str) -> Result<PathBuf> {
    let folder = workspace.target().join("bench");
    fs::create_dir_all(&folder)?;
    Ok(folder.join(format!("{part}.json")))
}
