//! What `build.rs` calls a build, in repositories that are made for it.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicUsize, Ordering};

const NAMED: &str = "cargo:rustc-env=KLIMB_BUILD=";

/// A folder with sources and the compiled `build.rs` beside it; it goes with the value.
struct Sources {
    around: PathBuf,
    folder: PathBuf,
}

impl Sources {
    fn make() -> Self {
        static MADE: AtomicUsize = AtomicUsize::new(0);
        let number = MADE.fetch_add(1, Ordering::Relaxed);
        let around = std::env::temp_dir().join(format!("klimb-build-name-{}-{number}", std::process::id()));
        let folder = around.join("sources");
        ["src", "shaders"].iter().for_each(|name| fs::create_dir_all(folder.join(name)).unwrap());
        for file in ["build.rs", "src/lib.rs", "shaders/one.wgsl", "Cargo.toml", "Cargo.lock", "README.md"] {
            fs::write(folder.join(file), file).unwrap();
        }
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("build.rs");
        let mut rustc = Command::new("rustc");
        rustc.args(["--edition", "2024", "-o"]).arg(around.join("script")).arg(script);
        assert!(rustc.status().unwrap().success());
        Self { around, folder }
    }

    /// What `build.rs` tells cargo, which asks with this profile and these variables.
    fn told(&self, profile: &str, variables: &[(&str, &str)]) -> String {
        let mut script = Command::new(self.around.join("script"));
        script.env_remove("KLIMB_BUILD").env("PROFILE", profile).envs(variables.iter().copied());
        let output = without_git_variables(script.current_dir(&self.folder)).output().unwrap();
        assert!(output.status.success());
        assert_eq!(String::from_utf8(output.stderr).unwrap(), "");
        String::from_utf8(output.stdout).unwrap()
    }

    /// What a release is called.
    fn name(&self) -> Option<String> {
        self.told("release", &[]).lines().find_map(|line| line.strip_prefix(NAMED)).map(str::to_owned)
    }
}

impl Drop for Sources {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.around);
    }
}

/// Tests may themselves run below git, as its hooks do.
fn without_git_variables(command: &mut Command) -> &mut Command {
    ["GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE"].into_iter().fold(command, |command, name| command.env_remove(name))
}

fn git(folder: &Path, arguments: &[&str]) -> String {
    let mut git = Command::new("git");
    git.args(["-c", "user.name=nobody", "-c", "user.email=nobody", "-c", "commit.gpgSign=false"]).args(arguments);
    let output = without_git_variables(git.current_dir(folder)).output().unwrap();
    assert!(output.status.success(), "git {arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}

#[test]
fn a_release_is_called_by_its_commit_and_whether_its_sources_differ() {
    let sources = Sources::make();
    let folder = &sources.folder;
    assert_eq!(sources.name(), None, "a copy without a repository");
    git(&sources.around, &["init", "--quiet"]);
    git(&sources.around, &["commit", "--quiet", "--allow-empty", "-m", "somebody else's"]);
    assert_eq!(sources.name(), None, "a copy in somebody else's repository");
    git(folder, &["init", "--quiet"]);
    assert_eq!(sources.name(), None, "no commit yet");

    git(folder, &["add", "."]);
    git(folder, &["commit", "--quiet", "-m", "first"]);
    let commit = || git(folder, &["rev-parse", "--short", "HEAD"]);
    let first = commit();
    assert_eq!(sources.name(), Some(first.clone()));
    git(folder, &["commit", "--quiet", "--allow-empty", "-m", "between"]);
    assert_ne!(commit(), first);
    assert_eq!(sources.name(), Some(commit()));

    fs::write(folder.join("README.md"), "other words").unwrap();
    assert_eq!(sources.name(), Some(commit()), "the program is made of no README");
    for (file, was) in [("src/lib.rs", Some("src/lib.rs")), ("Cargo.toml", Some("Cargo.toml")), ("src/new.rs", None)] {
        fs::write(folder.join(file), "other").unwrap();
        assert_eq!(sources.name(), Some(commit() + "-dirty"), "{file}");
        was.map_or_else(|| fs::remove_file(folder.join(file)), |text| fs::write(folder.join(file), text)).unwrap();
        assert_eq!(sources.name(), Some(commit()), "{file} as it was");
    }
    for told in [sources.told("debug", &[]), sources.told("release", &[("KLIMB_BUILD", "mine")])] {
        assert!(!told.contains(NAMED), "{told}");
    }
    assert!(!sources.told("release", &[("PATH", "")]).contains(NAMED), "no git");
}

/// Cargo runs `build.rs` again once one of the files that it named has changed.
#[test]
fn a_commit_changes_a_file_that_is_watched() {
    for settings in [&[][..], &["core.logAllRefUpdates", "false"]] {
        let sources = Sources::make();
        let folder = &sources.folder;
        git(folder, &["init", "--quiet"]);
        if !settings.is_empty() {
            git(folder, &[&["config"], settings].concat());
        }
        git(folder, &["add", "."]);
        git(folder, &["commit", "--quiet", "-m", "first"]);
        git(folder, &["pack-refs", "--all"]);
        let told = sources.told("release", &[]);
        let watched = || -> Vec<(String, String)> {
            let paths = told.lines().filter_map(|line| line.strip_prefix("cargo:rerun-if-changed="));
            paths.map(|path| (path.to_owned(), content(&folder.join(path)))).collect()
        };
        let before = watched();
        git(folder, &["commit", "--quiet", "--allow-empty", "-m", "between"]);
        assert_ne!(watched(), before, "{settings:?}: {told}");
    }
}

/// What a file says, or all that lies in a folder; a file that is not there would make every build a new one.
fn content(path: &Path) -> String {
    if path.is_file() {
        return String::from_utf8_lossy(&fs::read(path).unwrap()).into_owned();
    }
    let mut entries: Vec<PathBuf> = fs::read_dir(path).unwrap().map(|entry| entry.unwrap().path()).collect();
    entries.sort();
    entries.iter().map(|path| format!("{}: {}\n", path.display(), content(path))).collect()
}
