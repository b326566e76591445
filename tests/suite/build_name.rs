//! What `build.rs` calls a build of the program and of the page, in repositories that are made for it.

#[path = "../../build.rs"]
#[allow(dead_code)]
mod script;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicUsize, Ordering};

/// Files of which the program and the page are made.
const OF_BOTH: &[&str] = &[
    "build.rs",
    "src/lib.rs",
    "crates/one/lib.rs",
    "shaders/one.wgsl",
    "Cargo.toml",
    "Cargo.lock",
    ".cargo/config.toml",
];
/// Files of which the page alone is made.
const OF_THE_PAGE: &[&str] = &["index.html", "www/main.js", "xtask/main.rs"];
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
        ["src", "crates/one", "shaders", ".cargo", "www", "xtask"]
            .iter()
            .for_each(|name| fs::create_dir_all(folder.join(name)).unwrap());
        for file in OF_BOTH.iter().chain(OF_THE_PAGE).chain(&["README.md"]) {
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

    /// What a release and a page are called.
    fn names(&self) -> [Option<String>; 2] {
        [self.name(), script::page(&self.folder)]
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

fn knows_reftable() -> bool {
    let output = Command::new("git").args(["init", "-h"]).output().unwrap();
    String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).contains("--ref-format")
}

#[test]
fn a_release_is_called_by_its_commit_and_whether_its_sources_differ() {
    let sources = Sources::make();
    let folder = &sources.folder;
    assert_eq!(sources.names(), [None, None], "a copy without a repository");
    git(&sources.around, &["init", "--quiet"]);
    git(&sources.around, &["commit", "--quiet", "--allow-empty", "-m", "somebody else's"]);
    assert_eq!(sources.names(), [None, None], "a copy in somebody else's repository");
    git(folder, &["init", "--quiet"]);
    assert_eq!(sources.names(), [None, None], "no commit yet");

    git(folder, &["add", "."]);
    git(folder, &["commit", "--quiet", "-m", "first"]);
    let commit = || git(folder, &["rev-parse", "--short", "HEAD"]);
    let (clean, dirty) = (|| Some(commit()), || Some(commit() + "-dirty"));
    let first = commit();
    assert_eq!(sources.names(), [clean(), clean()]);
    git(folder, &["commit", "--quiet", "--allow-empty", "-m", "between"]);
    assert_ne!(commit(), first);
    assert_eq!(sources.names(), [clean(), clean()]);

    fs::write(folder.join("README.md"), "other words").unwrap();
    assert_eq!(sources.names(), [clean(), clean()], "neither is made of a README");
    let new = ["src/new.rs", "shaders/new.wgsl"];
    for file in OF_BOTH.iter().chain(&new) {
        fs::write(folder.join(file), "other").unwrap();
        assert_eq!(sources.names(), [dirty(), dirty()], "{file}");
        put_back(folder, file);
        assert_eq!(sources.names(), [clean(), clean()], "{file} as it was");
    }
    for file in OF_THE_PAGE.iter().chain(&["www/new.js"]) {
        fs::write(folder.join(file), "other").unwrap();
        assert_eq!(sources.names(), [clean(), dirty()], "{file}");
        put_back(folder, file);
    }
    git(folder, &["tag", "named"]);
    assert_eq!(sources.names(), [Some("named".into()), Some("named".into())]);
    for told in [sources.told("debug", &[]), sources.told("release", &[("KLIMB_BUILD", "mine")])] {
        assert!(!told.contains(NAMED), "{told}");
    }
    assert!(!sources.told("release", &[("PATH", "")]).contains(NAMED), "no git");
}

/// A file as it was made, which a new one was not.
fn put_back(folder: &Path, file: &str) {
    let path = folder.join(file);
    let is_new = file.contains("/new.");
    if is_new { fs::remove_file(path) } else { fs::write(path, file) }.unwrap();
}

/// Cargo runs `build.rs` again once one of the files that it named has changed.
#[test]
fn what_changes_the_name_changes_a_file_that_is_watched() {
    let without_log = &["core.logAllRefUpdates", "false"][..];
    // A git before 2.45 knows files alone, and then no repository is otherwise.
    let formats = if knows_reftable() { &["files", "reftable"][..] } else { &["files"] };
    for (format, settings) in formats.iter().flat_map(|format| [(*format, &[][..]), (*format, without_log)]) {
        let sources = Sources::make();
        let folder = &sources.folder;
        let format_option = if format == "files" { None } else { Some("--ref-format=reftable") };
        git(folder, &["init", "--quiet"].into_iter().chain(format_option).collect::<Vec<_>>());
        if !settings.is_empty() {
            git(folder, &[&["config"], settings].concat());
        }
        git(folder, &["add", "."]);
        git(folder, &["commit", "--quiet", "-m", "first"]);
        let changes: [&[&str]; 6] = [
            &["commit", "--quiet", "--allow-empty", "-m", "between"],
            &["tag", "named"],
            &["commit", "--quiet", "--allow-empty", "-m", "behind the tag"],
            &["tag", "later"],
            &["tag", "--delete", "later"],
            &["checkout", "--quiet", "--detach", "named~1"],
        ];
        for change in changes {
            git(folder, &["pack-refs", "--all"]);
            let told = sources.told("release", &[]);
            let watched = || -> Vec<(String, String)> {
                let paths = told.lines().filter_map(|line| line.strip_prefix("cargo:rerun-if-changed="));
                paths.map(|path| (path.to_owned(), content(&folder.join(path)))).collect()
            };
            let (before, name) = (watched(), sources.name());
            git(folder, change);
            assert_ne!(sources.name(), name, "{format}, {settings:?}: {change:?}");
            assert_ne!(watched(), before, "{format}, {settings:?}: {change:?}: {told}");
        }
        let told = sources.told("release", &[]);
        for file in OF_BOTH {
            let is_watched = |path: &str| Path::new(file).starts_with(path);
            let mut paths = told.lines().filter_map(|line| line.strip_prefix("cargo:rerun-if-changed="));
            assert!(paths.any(is_watched), "{file} is not watched: {told}");
        }
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
