//! Tells the program which commit it is built from: a release alone, since each commit would otherwise compile a developer's
//! tests anew.

use std::path::Path;
use std::process::Command;

/// What the program is made of. It is "-dirty" where these differ from the commit's, and no other file matters.
const SOURCES: [&str; 6] = ["build.rs", "src", "crates", "shaders", "Cargo.toml", "Cargo.lock"];

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
    SOURCES.iter().for_each(|path| println!("cargo:rerun-if-changed={path}"));
    // A commit is written to the log of HEAD, or, where none is kept, to a branch alone.
    let log = git_path("logs/HEAD").or_else(|| git_path("refs/heads"));
    let others = ["HEAD", "packed-refs", "refs/tags", "reftable/tables.list"].map(git_path);
    others.into_iter().chain([log]).flatten().for_each(|path| println!("cargo:rerun-if-changed={path}"));
    let Some(commit) = git(&["describe", "--always", "--tags"]) else { return };
    let changed = git(&[&["status", "--porcelain", "--untracked-files=normal", "--"], &SOURCES[..]].concat());
    println!("cargo:rustc-env=KLIMB_BUILD={commit}{}", if changed.is_some() { "-dirty" } else { "" });
}

/// Where git keeps a file of its own, if it is there: a path that is not makes every build a new one.
fn git_path(name: &str) -> Option<String> {
    git(&["rev-parse", "--git-path", name]).filter(|path| Path::new(path).exists())
}

/// What git answers, if it is there and the question has an answer.
fn git(arguments: &[&str]) -> Option<String> {
    let output = Command::new("git").args(arguments).output().ok().filter(|output| output.status.success())?;
    Some(String::from_utf8(output.stdout).ok()?.trim().to_owned()).filter(|text| !text.is_empty())
}
