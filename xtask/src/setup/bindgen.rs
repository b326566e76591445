//! wasm-pack, and the wasm-bindgen tools of exactly the version that the page is built with.

use std::path::Path;

use anyhow::Result;

use crate::process::{self, step};
use crate::programs;
use crate::workspace::Workspace;

/// Both, on PATH or in the project's tools.
pub fn ensure(workspace: &Workspace) -> Result<()> {
    let version = workspace.locked_version("wasm-bindgen")?;
    let fits = |program: &str, wanted: &str| {
        let mut command = process::command(program, workspace.root(), &["--version"]);
        let Ok(command) = programs::with_tools(&mut command, workspace) else { return false };
        process::output(command)
            .is_some_and(|output| output.split_whitespace().nth(1).is_some_and(|v| v.starts_with(wanted)))
    };
    if !(fits("wasm-bindgen", &version) && fits("wasm-bindgen-test-runner", &version)) {
        // Without --locked: the published lock file names a dependency that the registry no longer has.
        install(workspace, &["wasm-bindgen-cli", "--version", &version])?;
    }
    if !fits("wasm-pack", "0.") {
        install(workspace, &["wasm-pack", "--locked"])?;
    }
    Ok(())
}

fn install(workspace: &Workspace, what: &[&str]) -> Result<()> {
    let tools = workspace.tools();
    step(
        &format!("Installing {} in {} (some minutes, once)", what[0], tools.display()),
        &format!("read cargo's messages above, or install it yourself by: cargo install {}", what.join(" ")),
        || {
            let mut command = process::command("cargo", Path::new("/"), &["install", "--quiet", "--force"]);
            // Quick to build matters more here than quick to run, and both share what they depend on.
            command.args(what).arg("--root").arg(&tools).arg("--target-dir").arg(tools.join("build"));
            command.env("CARGO_PROFILE_RELEASE_OPT_LEVEL", "1");
            command.env("CARGO_PROFILE_RELEASE_LTO", "off");
            command.env("CARGO_PROFILE_RELEASE_CODEGEN_UNITS", "16");
            process::run(&mut command)
        },
    )
}
