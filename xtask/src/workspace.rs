//! Where things are: the project's folders and the folders that hold its tools.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};

/// The project's root, and the paths that follow from it.
pub struct Workspace {
    root: PathBuf,
}

impl Workspace {
    /// The workspace that this program was built from.
    pub fn find() -> Result<Self> {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().context("xtask has no parent folder")?.to_path_buf();
        ensure!(
            root.join("Cargo.lock").is_file(),
            "{} holds no Cargo.lock; run `cargo xtask` from a checkout of Klimb",
            root.display()
        );
        Ok(Self { root })
    }

    pub fn root(&self) -> &Path {
        &self.root
    }

    /// The finished page.
    pub fn dist(&self) -> PathBuf {
        self.root.join("dist")
    }

    /// The end-to-end tests, a package of npm.
    pub fn end_to_end(&self) -> PathBuf {
        self.root.join("tests/end_to_end")
    }

    /// What measures the page, a package of npm.
    pub fn page_bench(&self) -> PathBuf {
        self.root.join("benches/page")
    }

    /// What measures other libraries beside Klimb, a package of npm.
    pub fn peers_bench(&self) -> PathBuf {
        self.root.join("benches/peers")
    }

    /// Cargo's build folder.
    pub fn target(&self) -> PathBuf {
        env::var_os("CARGO_TARGET_DIR").map_or_else(|| self.root.join("target"), |folder| self.root.join(folder))
    }

    /// Where tools are installed: `$KLIMB_TOOLS`, shared between checkouts, or `target/tools`. A person's own tools
    /// are never touched.
    pub fn tools(&self) -> PathBuf {
        env::var_os("KLIMB_TOOLS").map_or_else(|| self.target().join("tools"), |folder| self.root.join(folder))
    }

    /// The version of `package` that `Cargo.lock` pins.
    pub fn locked_version(&self, package: &str) -> Result<String> {
        let path = self.root.join("Cargo.lock");
        let lock = fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))?;
        version_in_lock(&lock, package)
            .with_context(|| format!("Cargo.lock names no package {package}; run `cargo generate-lockfile`"))
    }
}

fn version_in_lock(lock: &str, package: &str) -> Option<String> {
    let name = format!("name = \"{package}\"");
    let mut lines = lock.lines().skip_while(|line| *line != name);
    lines.next()?;
    lines.next()?.strip_prefix("version = \"")?.strip_suffix('"').map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_locked_version_is_that_of_the_whole_name() {
        let lock = "[[package]]\nname = \"wasm-bindgen-macro\"\nversion = \"1.0.0\"\n\n[[package]]\nname = \"wasm-bindgen\"\nversion = \"0.2.130\"\n";
        assert_eq!(version_in_lock(lock, "wasm-bindgen").as_deref(), Some("0.2.130"));
        assert_eq!(version_in_lock(lock, "wasm"), None);
    }
}
