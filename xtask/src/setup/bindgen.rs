//! wasm-pack, and the wasm-bindgen tools of exactly the version that the page is built with.

use anyhow::Result;

use super::crates::{install, version};
use crate::workspace::Workspace;

/// Both, on PATH or in the project's tools.
pub fn ensure(workspace: &Workspace) -> Result<()> {
    let locked = workspace.locked_version("wasm-bindgen")?;
    let fits = |program: &str, wanted: &str| version(workspace, program).is_some_and(|v| v.starts_with(wanted));
    if !(fits("wasm-bindgen", &locked) && fits("wasm-bindgen-test-runner", &locked)) {
        // Without --locked: the published lock file names a dependency that the registry no longer has.
        install(workspace, &["wasm-bindgen-cli", "--version", &locked])?;
    }
    if !fits("wasm-pack", "0.") {
        install(workspace, &["wasm-pack", "--locked"])?;
    }
    Ok(())
}
