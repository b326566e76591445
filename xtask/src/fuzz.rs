//! Fuzzing for as long as one likes: by the suite's own inputs, which need nothing but a stable compiler, or guided by
//! coverage, with libFuzzer.

use std::fs;
use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result, bail};

use crate::process::{self, step};
use crate::programs;
use crate::workspace::Workspace;

/// What is driven, and for how long.
pub struct Options {
    /// Minutes in all.
    pub minutes: u64,
    /// One target alone.
    pub target: Option<String>,
    /// Names the inputs.
    pub seed: Option<u64>,
    /// Whether coverage guides it.
    pub guided: bool,
}

/// Drives the targets until the time is over, or the first fault.
pub fn run(workspace: &Workspace, options: &Options) -> Result<()> {
    let all = targets(workspace)?;
    let targets = match &options.target {
        None => all,
        Some(name) if all.contains(name) => vec![name.clone()],
        Some(name) => bail!("there is no target {name}; the targets are {}", all.join(", ")),
    };
    let seconds = (60 * options.minutes / targets.len() as u64).max(1);
    if options.guided {
        guided(workspace, &targets, seconds)
    } else {
        seeded(workspace, &targets, seconds, options.seed)
    }
}

/// The targets, by the files of `fuzz/`.
fn targets(workspace: &Workspace) -> Result<Vec<String>> {
    let folder = workspace.root().join("fuzz/fuzz_targets");
    let entries = fs::read_dir(&folder).with_context(|| format!("cannot read {}", folder.display()))?;
    let name = |entry: fs::DirEntry| Some(entry.path().file_stem()?.to_string_lossy().into_owned());
    let mut names: Vec<String> = entries.filter_map(Result::ok).filter_map(name).collect();
    names.sort();
    Ok(names)
}

/// In the suite's own profile, in which numbers that overflow are noticed and whose build is there.
fn seeded(workspace: &Workspace, targets: &[String], seconds: u64, seed: Option<u64>) -> Result<()> {
    let now = || SystemTime::now().duration_since(UNIX_EPOCH).map_or(1, |since| since.as_secs());
    let seed = seed.unwrap_or_else(now);
    let what = format!("Fuzzing with seed {seed}, {seconds} s a target");
    step(&what, "the failed input is a file named above; mend its reader", || {
        let arguments = ["test", "--quiet", "--package", "klimb", "--test", "suite", "--"];
        let mut command = process::command("cargo", workspace.root(), &arguments);
        command.args(["--exact", "--test-threads=1"]).args(targets.iter().map(|target| format!("fuzz::{target}")));
        command.env("KLIMB_FUZZ_SEED", seed.to_string()).env("KLIMB_FUZZ_SECONDS", seconds.to_string());
        process::run(&mut command)
    })
}

/// What is found goes to `fuzz/corpus`, beside the seeds of the repository, and what fails to `fuzz/artifacts`.
fn guided(workspace: &Workspace, targets: &[String], seconds: u64) -> Result<()> {
    if !workspace.tools().join("bin/cargo-fuzz").is_file() && !programs::has("cargo-fuzz") {
        let remedy = "check the network; without cargo-fuzz, leave `--guided` out";
        step("Installing cargo-fuzz", remedy, || {
            let mut command =
                process::command("cargo", workspace.root(), &["install", "--quiet", "cargo-fuzz", "--root"]);
            process::run(command.arg(workspace.tools()))
        })?;
    }
    for target in targets {
        let remedy = "the failed input is in fuzz/artifacts; mend its reader";
        step(&format!("Fuzzing {target}, guided, {seconds} s"), remedy, || {
            let corpus = workspace.root().join("fuzz/corpus").join(target);
            fs::create_dir_all(&corpus).with_context(|| format!("cannot make {}", corpus.display()))?;
            let seeds = workspace.root().join("fuzz/seeds").join(target);
            let mut command = process::command("cargo", workspace.root(), &["fuzz", "run", target]);
            // The library is safe Rust: without a sanitizer it runs the faster, and needs no nightly compiler.
            command.args(["--sanitizer", "none"]).arg(corpus).arg(seeds);
            command.arg("--").arg(format!("-max_total_time={seconds}")).env("RUSTC_BOOTSTRAP", "1");
            process::run(programs::with_tools(&mut command, workspace)?)
        })?;
    }
    Ok(())
}
