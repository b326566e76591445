//! Finding programs: on the person's PATH first, then among the tools installed for this project.

use std::env;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};

use crate::workspace::Workspace;

/// Names under which systems install Chromium, best first.
pub const CHROMIUM: &[&str] = &[
    "chromium",
    "chromium-browser",
    "google-chrome",
    "google-chrome-stable",
    "/Applications/Chromium.app/Contents/MacOS/Chromium",
    "/Applications/Google Chrome.app/Contents/MacOS/Google Chrome",
];

/// Names under which systems install Firefox, best first.
pub const FIREFOX: &[&str] = &["firefox-esr", "firefox", "/Applications/Firefox.app/Contents/MacOS/firefox"];

/// The program that drives WebKitGTK.
pub const WEBKIT_DRIVER: &str = "WebKitWebDriver";

/// The first of `names` (names on PATH, or absolute paths) that is there.
pub fn first(names: &[&str]) -> Option<PathBuf> {
    let path = env::var_os("PATH").unwrap_or_default();
    names.iter().find_map(|name| env::split_paths(&path).find_map(|folder| executable(&folder, name)))
}

/// The first of a browser's `names` that is there, or an error that has them all.
pub fn browser(names: &[&str]) -> Result<PathBuf> {
    first(names).with_context(|| format!("none of {} is on PATH", names.join(", ")))
}

/// Whether `name` is on PATH.
pub fn has(name: &str) -> bool {
    first(&[name]).is_some()
}

/// Joining an absolute path to a folder leaves the path as it is, so that both kinds of names work.
fn executable(folder: &Path, name: &str) -> Option<PathBuf> {
    let path = folder.join(format!("{name}{}", env::consts::EXE_SUFFIX));
    path.is_file().then_some(path)
}

/// Lets `command` find the project's tools before the person's own.
pub fn with_tools<'c>(command: &'c mut Command, workspace: &Workspace) -> Result<&'c mut Command> {
    let path = env::var_os("PATH").unwrap_or_default();
    let folders = std::iter::once(workspace.tools().join("bin")).chain(env::split_paths(&path));
    let path: OsString = env::join_paths(folders).context("the tools' folder has a character that PATH cannot hold")?;
    Ok(command.env("PATH", path))
}
