//! Programs that cargo installs for this project alone, into its tools. A person's own are used where they fit, and never
//! touched.

use std::path::Path;

use anyhow::Result;

use crate::process::{self, step};
use crate::programs;
use crate::workspace::Workspace;

/// The version that `program` tells of itself; the project's own comes before the person's.
pub fn version(workspace: &Workspace, program: &str) -> Option<String> {
    let mut command = process::command(program, workspace.root(), &["--version"]);
    let output = process::output(programs::with_tools(&mut command, workspace).ok()?)?;
    output.split_whitespace().nth(1).map(str::to_owned)
}

/// Builds and installs a crate's programs: its name, and further arguments of `cargo install`.
pub fn install(workspace: &Workspace, what: &[&str]) -> Result<()> {
    let tools = workspace.tools();
    step(
        &format!("Installing {} in {} (a minute or two, once)", what[0], tools.display()),
        &format!("read cargo's messages above, or install it yourself by: cargo install {}", what.join(" ")),
        || {
            let mut command = process::command("cargo", Path::new("/"), &["install", "--quiet", "--force"]);
            // What they depend on is shared.
            command.args(what).arg("--root").arg(&tools).arg("--target-dir").arg(tools.join("build"));
            // Quick to build matters more here than quick to run: none of them computes for longer than a few seconds.
            command.env("CARGO_PROFILE_RELEASE_OPT_LEVEL", "0");
            command.env("CARGO_PROFILE_RELEASE_LTO", "off");
            command.env("CARGO_PROFILE_RELEASE_CODEGEN_UNITS", "16");
            process::run(&mut command)
        },
    )
}
