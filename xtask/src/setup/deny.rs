//! cargo-deny, which holds the crates that this project stands on against `deny.toml`.

use anyhow::Result;

use super::crates::{install, version};
use crate::workspace::Workspace;

/// The version whose settings `deny.toml` has.
const VERSION: &str = "0.20";

/// It, on PATH or in the project's tools.
pub fn ensure(workspace: &Workspace) -> Result<()> {
    if version(workspace, "cargo-deny").is_some_and(|version| version.starts_with(VERSION)) {
        return Ok(());
    }
    install(workspace, &["cargo-deny", "--version", &format!("^{VERSION}"), "--locked"])
}
