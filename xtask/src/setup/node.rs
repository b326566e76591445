//! Node.js and the packages of what runs on it: end-to-end tests and measurements of the page.

use std::fs;
use std::path::Path;

use anyhow::{Result, bail};

use super::apt;
use crate::process::{self, step};
use crate::programs;
use crate::workspace::Workspace;

/// The oldest Node.js that the end-to-end tests and the measurements run on.
const OLDEST: u32 = 18;

/// Node.js, npm, and the packages exactly as the `package-lock.json` in `folder` names them.
pub fn ensure(workspace: &Workspace, folder: &Path) -> Result<()> {
    if !(programs::has("node") && programs::has("npm")) {
        apt::install("Node.js with npm", &["nodejs", "npm"])?;
    }
    let version = process::output(&mut process::command("node", workspace.root(), &["--version"])).unwrap_or_default();
    if major(&version).is_none_or(|major| major < OLDEST) {
        bail!("Node.js {version} is too old; install version {OLDEST} or newer");
    }
    packages(folder)
}

fn packages(folder: &Path) -> Result<()> {
    let modified = |path: &str| fs::metadata(folder.join(path)).and_then(|file| file.modified()).ok();
    // npm writes this file last, when everything is in place.
    let installed = modified("node_modules/.package-lock.json");
    if installed.is_some() && installed >= modified("package-lock.json") {
        return Ok(());
    }
    step(
        &format!("Installing the packages of {} (npm)", folder.display()),
        "read npm's messages above; is its registry reachable?",
        || process::run(&mut process::command("npm", folder, &["ci", "--no-audit", "--no-fund", "--loglevel=error"])),
    )
}

/// 20 in `v20.11.1`.
fn major(version: &str) -> Option<u32> {
    version.strip_prefix('v')?.split('.').next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_major_version_is_read() {
        assert_eq!(major("v20.11.1"), Some(20));
        assert_eq!(major(""), None);
    }
}
