//! PyTorch, a yardstick of the measurements: a Python that has it, or one in an environment of its own.

use std::path::PathBuf;

use anyhow::Result;

use super::python::{self, Environment};
use crate::workspace::Workspace;

/// The version that is installed where there is none.
pub const TORCH: &str = "torch==2.15.0";
const ENVIRONMENT: Environment = Environment { name: "torch", packages: &[TORCH], what: "PyTorch" };

/// A Python that can import PyTorch: the project's own environment, the person's, or the environment anew.
pub fn ensure(workspace: &Workspace) -> Result<PathBuf> {
    let candidates = [Some(ENVIRONMENT.python(workspace)), python::persons()];
    let found = candidates.into_iter().flatten().find(|python| python::has_module(workspace, python, "torch"));
    found.map_or_else(|| ENVIRONMENT.install(workspace), Ok)
}
