//! Building the page: WebAssembly by wasm-pack, and everything a visitor's browser asks for in `dist/`.

use std::fs;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result};

use crate::process::{self, step};
use crate::programs;
use crate::setup::{bindgen, wasm_target};
use crate::workspace::Workspace;

/// The part of wasm-pack's output that browsers load; the rest is for npm.
const PACKAGE_FILES: &[&str] = &["klimb.js", "klimb_bg.wasm"];
/// The oldest wasm-opt that knows all that today's compiler writes.
const OLDEST_OPTIMISER: u32 = 116;
/// What the compiler may use in a module beyond the first version of WebAssembly.
const FEATURES: &[&str] = &[
    "--enable-bulk-memory",
    "--enable-multivalue",
    "--enable-mutable-globals",
    "--enable-nontrapping-float-to-int",
    "--enable-reference-types",
    "--enable-sign-ext",
    "--enable-simd",
];

/// Builds the release page and leaves it in `dist/`: a folder that works from any static host and any sub-path.
pub fn page(workspace: &Workspace) -> Result<()> {
    step(
        "Building the page's WebAssembly (wasm-pack, release)",
        "read the compiler's messages above; `cargo xtask setup` checks the tools",
        || {
            let arguments =
                ["build", "--target", "web", "--release", "--no-typescript", "--no-pack", "--out-dir", "pkg"];
            let mut command = wasm_command(workspace, "wasm-pack", &arguments)?;
            if let Some(build) = revision(workspace) {
                command.env("KLIMB_BUILD", build);
            }
            process::run(&mut command)
        },
    )?;
    step("Collecting the page in dist/", "check that index.html and www/ are there", || collect(workspace))
}

/// The commit that is built, for files that the page exports; `None` without git.
fn revision(workspace: &Workspace) -> Option<String> {
    let mut command = process::command("git", workspace.root(), &["describe", "--always", "--dirty", "--tags"]);
    process::output(&mut command).map(|text| text.trim().to_owned()).filter(|text| !text.is_empty())
}

/// A command that compiles for wasm32, with what it needs set up.
pub fn wasm_command(workspace: &Workspace, program: &str, arguments: &[&str]) -> Result<Command> {
    let toolchain = wasm_target::ensure(workspace)?;
    bindgen::ensure(workspace)?;
    let mut command = process::command(program, workspace.root(), arguments);
    toolchain.choose(programs::with_tools(&mut command, workspace)?);
    Ok(command)
}

fn collect(workspace: &Workspace) -> Result<()> {
    let (root, dist) = (workspace.root(), workspace.dist());
    if dist.exists() {
        fs::remove_dir_all(&dist)?;
    }
    fs::create_dir_all(dist.join("pkg"))?;
    copy(&root.join("index.html"), &dist.join("index.html"))?;
    copy_folder(&root.join("www"), &dist.join("www"))?;
    for file in PACKAGE_FILES {
        copy(&root.join("pkg").join(file), &dist.join("pkg").join(file))?;
    }
    optimise(&dist.join("pkg/klimb_bg.wasm"))
}

fn copy(from: &Path, to: &Path) -> Result<()> {
    fs::copy(from, to).map(drop).with_context(|| format!("cannot copy {} to {}", from.display(), to.display()))
}

fn copy_folder(from: &Path, to: &Path) -> Result<()> {
    fs::create_dir_all(to)?;
    for entry in fs::read_dir(from).with_context(|| format!("cannot read {}", from.display()))? {
        let entry = entry?;
        let (from, to) = (entry.path(), to.join(entry.file_name()));
        if from.is_dir() { copy_folder(&from, &to)? } else { copy(&from, &to)? }
    }
    Ok(())
}

/// Makes the module smaller where a wasm-opt that is new enough is on PATH; the page is whole without.
fn optimise(module: &Path) -> Result<()> {
    let version = process::output(Command::new("wasm-opt").arg("--version")).unwrap_or_default();
    if optimiser_version(&version).is_none_or(|version| version < OLDEST_OPTIMISER) {
        return Ok(());
    }
    process::run(Command::new("wasm-opt").arg("-O3").args(FEATURES).arg(module).arg("-o").arg(module))
}

/// 123 in `wasm-opt version 123 (version_123)`.
fn optimiser_version(output: &str) -> Option<u32> {
    output.split_whitespace().nth(2)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_optimisers_version_is_read() {
        assert_eq!(optimiser_version("wasm-opt version 123 (version_123)"), Some(123));
        assert_eq!(optimiser_version(""), None);
    }

    #[test]
    fn folders_are_copied_whole_and_a_missing_one_is_named() {
        let base = std::env::temp_dir().join(format!("klimb-copy-{}", std::process::id()));
        fs::create_dir_all(base.join("from/deep")).unwrap();
        fs::write(base.join("from/deep/file"), "content").unwrap();
        copy_folder(&base.join("from"), &base.join("to")).unwrap();
        assert_eq!(fs::read_to_string(base.join("to/deep/file")).unwrap(), "content");
        let error = copy_folder(&base.join("absent"), &base.join("to")).unwrap_err();
        assert!(error.to_string().contains("absent"), "{error}");
        fs::remove_dir_all(&base).unwrap();
    }
}
