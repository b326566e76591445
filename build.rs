//! Tells the program which commit it is built from: a release alone, since each commit would otherwise compile a developer's
//! tests anew. `xtask` has this file as a module, and names the page's build by the same rule.

use std::path::Path;
use std::process::Command;

/// What the program is made of. It is "-dirty" where these differ from the commit's, and no other file matters.
const SOURCES: &[&str] = &["build.rs", "src", "crates", "shaders", "Cargo.toml", "Cargo.lock", ".cargo/config.toml"];
/// What the page is made of beside those.
const OF_THE_PAGE: &[&str] = &["index.html", "www", "xtask"];

fn main() {
    println!("cargo:rerun-if-changed=build.rs");
    println!("cargo:rerun-if-env-changed=KLIMB_BUILD");
    // Whoever sets it names the build, as `cargo xtask build` does for the page.
    if std::env::var_os("KLIMB_BUILD").is_some() || std::env::var("PROFILE").as_deref() != Ok("release") {
        return;
    }
    let here = Path::new(".");
    if !is_repository(here) {
        return;
    }
    SOURCES.iter().for_each(|path| println!("cargo:rerun-if-changed={path}"));
    // A commit is written to the log of HEAD, or, where none is kept, to a branch alone.
    let log = git_path("logs/HEAD").or_else(|| git_path("refs/heads"));
    let others = ["HEAD", "packed-refs", "refs/tags", "reftable/tables.list"].map(git_path);
    others.into_iter().chain([log]).flatten().for_each(|path| println!("cargo:rerun-if-changed={path}"));
    if let Some(name) = name(here, SOURCES) {
        println!("cargo:rustc-env=KLIMB_BUILD={name}");
    }
}

/// What a build of the page is called; `None` without git, without a commit, or in a copy without its repository.
pub fn page(folder: &Path) -> Option<String> {
    if !is_repository(folder) {
        return None;
    }
    name(folder, &[SOURCES, OF_THE_PAGE].concat())
}

/// The commit, and whether the sources differ from its.
fn name(folder: &Path, sources: &[&str]) -> Option<String> {
    let commit = git(folder, &["describe", "--always", "--tags"])?;
    let changed = git(folder, &[&["status", "--porcelain", "--untracked-files=normal", "--"], sources].concat());
    Some(commit + if changed.is_some() { "-dirty" } else { "" })
}

/// Whether a folder is a repository of its own: a packaged crate may lie in somebody else's.
fn is_repository(folder: &Path) -> bool {
    let top = git(folder, &["rev-parse", "--show-toplevel"]);
    top.is_some_and(|top| Path::new(&top).canonicalize().ok() == folder.canonicalize().ok())
}

/// Where git keeps a file of its own, if it is there: a path that is not makes every build a new one.
fn git_path(name: &str) -> Option<String> {
    git(Path::new("."), &["rev-parse", "--git-path", name]).filter(|path| Path::new(path).exists())
}

/// What git answers about a folder, if it is there and the question has an answer.
fn git(folder: &Path, arguments: &[&str]) -> Option<String> {
    let mut git = Command::new("git");
    // A build may be started by one of git's own hooks, which tells of another folder.
    for name in ["GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE"] {
        git.env_remove(name);
    }
    let output = git.current_dir(folder).args(arguments).output().ok().filter(|output| output.status.success())?;
    Some(String::from_utf8(output.stdout).ok()?.trim().to_owned()).filter(|text| !text.is_empty())
}
