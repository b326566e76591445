//! PyTorch, a yardstick of the measurements: a Python that has it, or one in an environment of its own.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

use super::apt;
use crate::process::{self, step};
use crate::programs;
use crate::workspace::Workspace;

/// The version that is installed where there is none.
const TORCH: &str = "torch==2.15.0";
const PYTHON: &[&str] = &["python3", "python"];

/// A Python that can import PyTorch: the project's own environment, the person's, or the environment anew. Nothing is
/// installed into the person's Python.
pub fn ensure(workspace: &Workspace) -> Result<PathBuf> {
    let environment = workspace.tools().join("torch");
    let own = environment.join(if cfg!(windows) { "Scripts/python.exe" } else { "bin/python" });
    let theirs = programs::first(PYTHON);
    if let Some(python) =
        [Some(&own), theirs.as_ref()].into_iter().flatten().find(|python| has_torch(workspace, python))
    {
        return Ok(python.clone());
    }
    let python = match theirs {
        Some(python) => python,
        None => {
            apt::install("Python with venv", &["python3", "python3-venv"])?;
            programs::first(PYTHON).context("Python was installed, and is not on PATH")?
        }
    };
    step(
        "Installing PyTorch into an environment of its own (pip: on Linux 3 GB to fetch and 6 on disk, as CUDA comes along)",
        "read pip's messages above; is its index reachable, and has the disk room? On Debian venv is apt's python3-venv",
        || {
            process::run(process::command(python, workspace.root(), &["-m", "venv"]).arg(&environment))?;
            let arguments = ["-m", "pip", "install", "--no-cache-dir", TORCH];
            process::run(&mut process::command(&own, workspace.root(), &arguments))
        },
    )?;
    Ok(own)
}

fn has_torch(workspace: &Workspace, python: &Path) -> bool {
    let arguments = ["-W", "ignore", "-c", "import torch"];
    process::output(&mut process::command(python, workspace.root(), &arguments)).is_some()
}
