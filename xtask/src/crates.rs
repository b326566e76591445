//! The crates and packages that the project stands on: their licences and where they come from, and what is known
//! against them.

use std::process::{Command, Stdio};

use anyhow::{Context, Result, ensure};

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
    node::ensure(workspace, &workspace.end_to_end())?;
    let mut crates = process::command("cargo-deny", workspace.root(), &["--locked", "check", "advisories"]);
    let mut outcomes = vec![ask("RustSec about the crates", programs::with_tools(&mut crates, workspace)?)];
    for folder in [workspace.end_to_end(), workspace.page_bench(), workspace.peers_bench()] {
        let mut packages = process::command("npm", &folder, &["audit", "--package-lock-only"]);
        outcomes.push(ask(&format!("npm about the packages of {}", folder.display()), &mut packages));
    }
    let failed: Vec<String> = outcomes.into_iter().filter_map(Result::err).map(|error| format!("{error:#}")).collect();
    ensure!(failed.is_empty(), "{}", failed.join("\n\n"));
    println!("✔ Nothing is known against what the project stands on");
    Ok(())
}

/// Runs a program that asks a service, and tells an answer from none.
fn ask(what: &str, command: &mut Command) -> Result<()> {
    step(&format!("Asking {what}"), "read the message above", || {
        let output = command.stdin(Stdio::null()).output().with_context(|| format!("cannot ask {what}"))?;
        let said = [output.stdout, output.stderr].map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).concat();
        println!("{}", said.trim());
        ensure!(
            output.status.success() || !is_unreachable(&said),
            "the service cannot be reached: nothing was checked"
        );
        ensure!(output.status.success(), "something is known: update what is named there");
        Ok(())
    })
}

/// Whether cargo-deny or npm says that it got no answer.
fn is_unreachable(said: &str) -> bool {
    ["failed to fetch advisory database", "audit endpoint returned an error", "npm error network"]
        .iter()
        .any(|sign| said.contains(sign))
}

fn cargo_deny(workspace: &Workspace, checks: &[&str]) -> Result<()> {
    let mut command = process::command("cargo-deny", workspace.root(), &["--locked", "check"]);
    process::run(programs::with_tools(&mut command, workspace)?.args(checks))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn says(words: &str) -> Result<()> {
        ask("", process::command("sh", std::path::Path::new("."), &["-c", "echo \"$0\" >&2; exit 1"]).arg(words))
    }

    #[test]
    fn no_answer_is_told_from_one() {
        for silence in
            ["[ERROR] failed to fetch advisory database https://a", "npm error audit endpoint returned an error"]
        {
            let error = format!("{:#}", says(silence).unwrap_err());
            assert!(error.contains("nothing was checked"), "{error}");
        }
        let error = format!("{:#}", says("error[vulnerability]: a hole").unwrap_err());
        assert!(error.contains("something is known"), "{error}");
        assert!(ask("", &mut process::command("true", std::path::Path::new("."), &[])).is_ok());
    }
}
