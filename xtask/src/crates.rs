//! The crates and packages that the project stands on: their licences and where they come from, and what is known
//! against them.

use anyhow::{Result, bail};

use crate::process::{self, step};
use crate::programs;
use crate::setup::{deny, node};
use crate::workspace::Workspace;

/// Holds licences, forbidden crates and sources against `deny.toml`. Needs no service but cargo's registry.
pub fn check(workspace: &Workspace) -> Result<()> {
    deny::ensure(workspace)?;
    step(
        "Checking licences and sources of all crates (cargo-deny)",
        "read the message above; deny.toml says what is allowed, and why",
        || cargo_deny(workspace, &["licenses", "bans", "sources"]),
    )
}

/// Asks RustSec and npm for what is known against crates and packages. Both are services of others, which a closed network
/// may lack; one that cannot be reached is an error, because nothing was checked then.
pub fn audit(workspace: &Workspace) -> Result<()> {
    deny::ensure(workspace)?;
    let crates = step(
        "Asking RustSec about the crates (cargo deny check advisories)",
        "where the message above says that the database cannot be fetched, the network does not reach github.com: nothing \
         was checked. Otherwise update the crate that it names",
        || cargo_deny(workspace, &["advisories"]),
    );
    let mut outcomes = vec![crates];
    for folder in [workspace.end_to_end(), workspace.page_bench(), workspace.peers_bench()] {
        node::ensure(workspace, &folder)?;
        outcomes.push(step(
            &format!("Asking npm about the packages of {} (npm audit)", folder.display()),
            "where the message above says that the endpoint returned an error, the registry has no such service: nothing was \
             checked. Otherwise update the package that it names",
            || process::run(&mut process::command("npm", &folder, &["audit"])),
        ));
    }
    let failed: Vec<String> = outcomes.into_iter().filter_map(Result::err).map(|error| format!("{error:#}")).collect();
    if !failed.is_empty() {
        bail!("{}", failed.join("\n\n"));
    }
    println!("✔ Nothing is known against what the project stands on");
    Ok(())
}

fn cargo_deny(workspace: &Workspace, checks: &[&str]) -> Result<()> {
    let mut command = process::command("cargo-deny", workspace.root(), &["--locked", "check"]);
    process::run(programs::with_tools(&mut command, workspace)?.args(checks))
}
