//! Environments of Python in the tools' folder, each with packages of its own. Nothing is installed into the person's Python.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

use super::apt;
use crate::process::{self, step};
use crate::programs;
use crate::workspace::Workspace;

const PYTHON: &[&str] = &["python3", "python"];
/// Ends with 0 where each argument, `name==version`, is installed. A local version (`2.0+cpu`) is that version.
const HAS_ALL: &str = "import sys; from importlib.metadata import version
sys.exit(any(version(name).split('+')[0] != pinned for name, pinned in (it.split('==') for it in sys.argv[1:])))";

/// A virtual environment.
pub struct Environment<'p> {
    /// Its folder among the tools.
    pub name: &'p str,
    /// What is installed into it, as `name==version`.
    pub packages: &'p [&'p str],
    /// What the person is told about it.
    pub what: &'p str,
}

impl Environment<'_> {
    /// Its Python, which is there once it was installed.
    pub fn python(&self, workspace: &Workspace) -> PathBuf {
        let inside = if cfg!(windows) { "Scripts/python.exe" } else { "bin/python" };
        workspace.tools().join(self.name).join(inside)
    }

    /// Its Python, with all packages in their versions: as it is, or installed anew.
    pub fn ensure(&self, workspace: &Workspace) -> Result<PathBuf> {
        let python = self.python(workspace);
        let mut has_all = process::command(&python, workspace.root(), &["-W", "ignore", "-c", HAS_ALL]);
        match process::output(has_all.args(self.packages)) {
            Some(_) => Ok(python),
            None => self.install(workspace),
        }
    }

    /// Makes it, or brings one that is there to these versions.
    pub fn install(&self, workspace: &Workspace) -> Result<PathBuf> {
        let maker = match persons() {
            Some(python) => python,
            None => {
                apt::install("Python with venv", &["python3", "python3-venv"])?;
                persons().context("Python was installed, and is not on PATH")?
            }
        };
        let own = self.python(workspace);
        step(
            &format!(
                "Installing {} into an environment of its own (pip: on Linux 3 GB to fetch and 6 on disk, as CUDA comes along)",
                self.what
            ),
            "read pip's messages above; is its index reachable, and has the disk room? On Debian venv is apt's python3-venv",
            || {
                let folder = workspace.tools().join(self.name);
                process::run(process::command(maker, workspace.root(), &["-m", "venv"]).arg(folder))?;
                let arguments = ["-m", "pip", "install", "--no-cache-dir"];
                process::run(process::command(&own, workspace.root(), &arguments).args(self.packages))
            },
        )?;
        Ok(own)
    }
}

/// The person's own Python.
pub fn persons() -> Option<PathBuf> {
    programs::first(PYTHON)
}

/// Whether this Python has the module.
pub fn has_module(workspace: &Workspace, python: &Path, module: &str) -> bool {
    let import = format!("import {module}");
    process::output(&mut process::command(python, workspace.root(), &["-W", "ignore", "-c", &import])).is_some()
}
