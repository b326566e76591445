//! Tells the program which commit it is built from: a release alone, since each commit would otherwise compile a developer's
//! tests anew.

use std::path::Path;
use std::process::Command;

/// What changes a build besides the commit; without them "-dirty" would be that of an earlier one.
const SOURCES: [&str; 5] = ["src", "crates", "shaders", "Cargo.toml", "Cargo.lock"];

fn main() {
    println!("cargo:rerun-if-changed=build.rs");
    println!("cargo:rerun-if-env-changed=KLIMB_BUILD");
    // Whoever sets it names the build, as `cargo xtask build` does for the page.
    if std::env::var_os("KLIMB_BUILD").is_some() || std::env::var("PROFILE").as_deref() != Ok("release") {
        return;
    }
    // A packaged crate may lie in somebody else's repository.
    let is_ours = |top: String| Path::new(&top).canonicalize().ok() == Path::new(".").canonicalize().ok();
    if !git(&["rev-parse", "--show-toplevel"]).is_some_and(is_ours) {
        return;
    }
    for path in ["HEAD", "logs/HEAD", "packed-refs"] {
        if let Some(path) = git(&["rev-parse", "--git-path", path]).filter(|path| Path::new(path).exists()) {
            println!("cargo:rerun-if-changed={path}");
        }
    }
    SOURCES.iter().for_each(|path| println!("cargo:rerun-if-changed={path}"));
    if let Some(build) = git(&["describe", "--always", "--dirty", "--tags"]) {
        println!("cargo:rustc-env=KLIMB_BUILD={build}");
    }
}

/// What git answers, if it is there and the question has an answer.
fn git(arguments: &[&str]) -> Option<String> {
    let output = Command::new("git").args(arguments).output().ok().filter(|output| output.status.success())?;
    Some(String::from_utf8(output.stdout).ok()?.trim().to_owned()).filter(|text| !text.is_empty())
}
