//! Rust's standard library for wasm32, in one of three ways: it is there; rustup fetches it; or, where rustup's server
//! cannot be reached, Debian's packaged compiler builds it once from the sources that Debian packages with it.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};

use super::apt;
use crate::process::{self, step};
use crate::programs;
use crate::workspace::Workspace;

const TARGET: &str = "wasm32-unknown-unknown";
/// Name under which rustup knows the distribution's compiler.
const DEBIAN: &str = "debian";
const DEBIAN_PREFIX: &str = "/usr";

/// A toolchain that can compile for wasm32.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Toolchain {
    /// The one that builds everything else.
    Default,
    /// The distribution's, known to rustup as [`DEBIAN`].
    Debian,
}

impl Toolchain {
    /// Lets `command` compile with this toolchain.
    pub fn choose(self, command: &mut Command) -> &mut Command {
        match self {
            Self::Default => command,
            // Cargo hands its own compiler to the programs it runs; wasm commands have to find the other one.
            Self::Debian => command.env("RUSTUP_TOOLCHAIN", DEBIAN).env_remove("RUSTC").env_remove("CARGO"),
        }
    }
}

/// The toolchain to compile for wasm32 with, made able to where none is.
pub fn ensure(workspace: &Workspace) -> Result<Toolchain> {
    if let Some(toolchain) = [Toolchain::Default, Toolchain::Debian].into_iter().find(|t| compiles(workspace, *t)) {
        return Ok(toolchain);
    }
    if programs::has("rustup") && add_by_rustup(workspace) {
        return Ok(Toolchain::Default);
    }
    step(
        "Building Rust's standard library for wasm32 with the distribution's compiler",
        "connect to the internet and run `rustup target add wasm32-unknown-unknown`, which needs none of this",
        || build_std(workspace),
    )?;
    if !compiles(workspace, Toolchain::Debian) {
        bail!("the standard library was built for wasm32, and an empty crate still does not compile with it");
    }
    Ok(Toolchain::Debian)
}

/// Whether an empty test crate compiles: the surest way to know that the library is whole and of this compiler's version.
fn compiles(workspace: &Workspace, toolchain: Toolchain) -> bool {
    let folder = workspace.tools().join("probe");
    let source = folder.join("probe.rs");
    if fs::create_dir_all(&folder).and_then(|()| fs::write(&source, "")).is_err() {
        return false;
    }
    let arguments = ["--test", "--edition=2024", "--target", TARGET, "--emit=metadata", "probe.rs"];
    process::output(toolchain.choose(&mut process::command("rustc", &folder, &arguments))).is_some()
}

fn add_by_rustup(workspace: &Workspace) -> bool {
    println!("▶ Adding the target {TARGET} by rustup");
    let added = process::output(&mut process::command("rustup", workspace.root(), &["target", "add", TARGET]))
        .is_some()
        && compiles(workspace, Toolchain::Default);
    println!("{}", if added { "✔ Added" } else { "  rustup cannot fetch it here; trying the distribution's compiler" });
    added
}

fn build_std(workspace: &Workspace) -> Result<()> {
    if !programs::has("rustup") {
        bail!("rustup is missing, which chooses between the two compilers. Install it from https://rustup.rs");
    }
    let rustc = Path::new(DEBIAN_PREFIX).join("bin/rustc");
    let sysroot = install_compiler(&rustc)?;
    let libraries = compile_std(workspace, &rustc)?;
    let installed = sysroot.join("lib/rustlib").join(TARGET).join("lib");
    replace_folder(&libraries, &installed)?;
    process::run(&mut process::command("rustup", Path::new("/"), &["toolchain", "link", DEBIAN, DEBIAN_PREFIX]))
}

/// Installs Debian's compiler for browsers' packages, the newest it has, and gives its system root.
fn install_compiler(rustc: &Path) -> Result<PathBuf> {
    let sources = |sysroot: &Path| sysroot.join("lib/rustlib/src/rust/library/Cargo.toml").is_file();
    let sysroot = || process::output(Command::new(rustc).args(["--print", "sysroot"])).map(PathBuf::from);
    if !sysroot().is_some_and(|root| sources(&root)) {
        let packages = ["rustc-web", "cargo-web", "rust-web-src", "rust-web-llvm", "rust-web-clippy"];
        apt::install("Debian's Rust compiler with its sources", &packages)?;
        // Only now is it known which LLVM this compiler stands on; its `rust-lld` is a link to that version's linker.
        let depends = process::output(Command::new("apt-cache").args(["depends", "rust-web-llvm"]));
        let linker = linker_package(&depends.unwrap_or_default()).context("rust-web-llvm depends on no llvm-NN")?;
        apt::install("the linker for wasm32", &[&linker])?;
    }
    sysroot().context("Debian's rustc was installed and does not run")
}

/// `lld-22` where the compiler depends on `llvm-22`.
fn linker_package(depends: &str) -> Option<String> {
    let version = depends.lines().find_map(|line| line.trim().strip_prefix("Depends: llvm-"))?;
    Some(format!("lld-{version}"))
}

/// Builds std for wasm32 in an empty crate and gives the folder that holds its libraries.
fn compile_std(workspace: &Workspace, rustc: &Path) -> Result<PathBuf> {
    let empty = workspace.tools().join("std");
    let target = empty.join("target");
    fs::create_dir_all(empty.join("src"))?;
    fs::write(empty.join("src/lib.rs"), "")?;
    // A workspace of its own, because the folder may lie inside Klimb's.
    fs::write(empty.join("Cargo.toml"), "[package]\nname = \"empty\"\nedition = \"2024\"\n\n[workspace]\n")?;
    if target.exists() {
        fs::remove_dir_all(&target)?;
    }
    let arguments = ["build", "-Zbuild-std=std,panic_abort,test", "--release", "--target", TARGET, "--target-dir"];
    let mut command = process::command(rustc.with_file_name("cargo"), &empty, &arguments);
    command.arg(&target).env("RUSTC", rustc).env("RUSTC_BOOTSTRAP", "1");
    // With bitcode, so that link-time optimisation can use it, as it can use what rustup fetches. The variable also
    // hides the flags that cargo would find by the folder: those are for this project's own crates.
    process::run(command.env("RUSTFLAGS", "-C embed-bitcode=yes").env_remove("RUSTUP_TOOLCHAIN"))?;
    Ok(target.join(TARGET).join("release/deps"))
}

/// Puts the built libraries, all but the empty crate's, in place of `installed`.
fn replace_folder(built: &Path, installed: &Path) -> Result<()> {
    let fresh = installed.with_extension("new");
    fs::create_dir_all(&fresh).with_context(|| format!("cannot write {}; are you root?", fresh.display()))?;
    for file in fs::read_dir(built)? {
        let path = file?.path();
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        if name.ends_with(".rlib") && !name.starts_with("libempty-") {
            fs::copy(&path, fresh.join(&*name))?;
        }
    }
    if installed.exists() {
        fs::remove_dir_all(installed)?;
    }
    fs::rename(&fresh, installed).with_context(|| format!("cannot write {}", installed.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_linker_follows_the_compilers_llvm() {
        let depends = "rust-web-llvm\n  Depends: libc6\n  Depends: llvm-22\n  Conflicts: <rust-llvm>\n";
        assert_eq!(linker_package(depends).as_deref(), Some("lld-22"));
        assert_eq!(linker_package("rust-web-llvm\n  Depends: libc6\n"), None);
    }
}
