//! Debian and Ubuntu's packages, the only system packages that are installed without asking.

use std::path::Path;
use std::process::Command;

use anyhow::{Result, bail};

use crate::process::{self, step};
use crate::programs;

/// Installs `packages`, for which `purpose` is told. Where that cannot be done here, the error says in one line what
/// to install by hand.
pub fn install(purpose: &str, packages: &[&str]) -> Result<()> {
    let list = packages.join(" ");
    if !programs::has("apt-get") {
        bail!("{purpose} is missing. Install it by your system's means (Debian calls it: {list})");
    }
    if process::output(Command::new("id").arg("-u")).as_deref() != Some("0") {
        bail!("{purpose} is missing. Install it by: sudo apt-get install --no-install-recommends {list}");
    }
    step(
        &format!("Installing {purpose} (apt: {list})"),
        "read apt's messages above; is the network reachable, and is another apt running?",
        || {
            apt_get(&["update", "-qq"])?;
            let options = ["install", "-y", "-qq", "--no-install-recommends"];
            apt_get(&[&options[..], packages].concat())
        },
    )
}

fn apt_get(arguments: &[&str]) -> Result<()> {
    let mut command = process::command("apt-get", Path::new("/"), arguments);
    process::run(command.env("DEBIAN_FRONTEND", "noninteractive").stdout(std::process::Stdio::null()))
}
