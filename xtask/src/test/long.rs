//! The longer form of the checks that have one. Such a check reads [`LONG`] or [`FAULTS`] from the environment and does
//! in the suite what a minute allows. Tests that have no shorter form are `#[ignore]`d in the suite and run here.

use std::collections::BTreeSet;
use std::env;
use std::fs;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, ensure};

use super::end_to_end::in_browsers;
use crate::folders;
use crate::process::{self, step};
use crate::setup::browsers;
use crate::workspace::Workspace;

/// Set to 1: do more of whatever is random or repeated.
const LONG: &str = "KLIMB_LONG";
/// How many faults are injected of each kind.
const FAULTS: &str = "KLIMB_FAULTS";
/// Values of both, where the person has set none.
const VALUES: &[(&str, &str)] = &[(LONG, "1"), (FAULTS, "100")];
/// The programs into which the integration tests are linked, each a folder in `tests/` with a module a subject.
const PROGRAMS: &[&str] = &["suite", "kernels", "objectives", "program"];

/// How all crates are packaged at once, so that each is built from the packages of those below it. Their repository is not
/// asked whether all is committed. It happens in a folder of its own each time: cargo keeps a package that it has unpacked by
/// its version and its folder, and would build against the one of an earlier run.
const PACKAGE: [&str; 3] = ["package", "--quiet", "--allow-dirty"];

/// Runs natively, and then in browsers, all that has a longer form.
pub fn run(workspace: &Workspace) -> Result<()> {
    browsers::ensure_vulkan()?;
    let remedy = "read the failed test's message above";
    step("Testing natively what the suite ignores", remedy, || {
        let arguments = [&["test", "--quiet"], super::NATIVE, &["--", "--ignored"]].concat();
        process::run(lengthen(&mut process::command("cargo", workspace.root(), &arguments)))
    })?;
    step("Packaging every crate, and building each from its package", "read the compiler's message above", || {
        let now = std::time::SystemTime::UNIX_EPOCH.elapsed()?.as_millis();
        let folder = workspace.target().join(format!("package-{now}"));
        let mut command = process::command("cargo", workspace.root(), &[&PACKAGE, super::NATIVE].concat());
        let outcome = process::run(command.arg("--target-dir").arg(&folder));
        fs::remove_dir_all(&folder).with_context(|| format!("cannot remove {}", folder.display()))?;
        outcome
    })?;
    let modules = lengthened_in_library(&workspace.root().join("src"))?;
    if !modules.is_empty() {
        step(&format!("Testing natively at length: {}", modules.join(", ")), remedy, || {
            let arguments = ["test", "--quiet", "--package", "klimb", "--lib", "--"];
            let mut command = process::command("cargo", workspace.root(), &arguments);
            command.args(modules.iter().map(|module| format!("{module}::")));
            process::run(lengthen(&mut command))
        })?;
    }
    for program in PROGRAMS {
        let modules = lengthened(&workspace.root().join("tests").join(program), ".rs")?;
        if modules.is_empty() {
            continue;
        }
        step(&format!("Testing natively at length: {}", modules.join(", ")), remedy, || {
            let arguments = ["test", "--quiet", "--package", "klimb", "--test", program, "--"];
            let mut command = process::command("cargo", workspace.root(), &arguments);
            command.args(modules.iter().map(|module| format!("{module}::")));
            process::run(lengthen(&mut command))
        })?;
    }
    let files = lengthened(&workspace.end_to_end(), ".test.js")?;
    if files.is_empty() {
        return Ok(());
    }
    let what = format!("Testing the served page at length: {}", files.join(", "));
    let files: Vec<String> = files.iter().map(|file| format!("{file}.test.js")).collect();
    in_browsers(workspace, &what, &files, lengthen)
}

/// Sets the variables of which a person has set none.
fn lengthen(command: &mut Command) -> &mut Command {
    let unset = VALUES.iter().filter(|(name, _)| env::var_os(name).is_none());
    process::quiet_mesa(command.envs(unset.copied()))
}

/// The names, without `ending`, of what stands directly in `folder` and, by itself or in a file below it, reads one of
/// the variables.
fn lengthened(folder: &Path, ending: &str) -> Result<Vec<String>> {
    let name = |file: &String| file.split('/').next().unwrap_or(file).trim_end_matches(ending).to_owned();
    let names: BTreeSet<String> = readers(folder, ending)?.iter().map(name).collect();
    ensure!(!names.contains("main"), "{} reads a variable for one of its modules", folder.join("main.rs").display());
    Ok(names.into_iter().collect())
}

/// The paths of the library's modules that read one of the variables, as `page::model::saved_session`.
fn lengthened_in_library(source: &Path) -> Result<Vec<String>> {
    let module = |file: &String| {
        let path = file.trim_end_matches(".rs");
        // Tests in a file of their own have the name of what they test.
        let path = ["/mod", "/tests"].iter().find_map(|end| path.strip_suffix(end)).unwrap_or(path);
        path.replace('/', "::")
    };
    let modules: BTreeSet<String> = readers(source, ".rs")?.iter().map(module).collect();
    Ok(modules.into_iter().collect())
}

/// The files below `folder` whose name ends in `ending` and that read one of the variables.
fn readers(folder: &Path, ending: &str) -> Result<Vec<String>> {
    let mut readers = Vec::new();
    for file in folders::files_below(folder)? {
        if !file.ends_with(ending) || file.starts_with("node_modules/") {
            continue;
        }
        let text = fs::read_to_string(folder.join(&file)).with_context(|| format!("cannot read {file}"))?;
        if VALUES.iter().any(|(name, _)| text.contains(name)) {
            readers.push(file);
        }
    }
    Ok(readers)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_reads_a_variable_has_a_longer_form() {
        let folder = env::temp_dir().join(format!("klimb-long-{}", std::process::id()));
        fs::create_dir_all(folder.join("deep/er/fuzz")).unwrap();
        for (file, text) in [
            ("faults.rs", "std::env::var(\"KLIMB_FAULTS\")"),
            ("deep/er/fuzz.rs", "std::env::var_os(\"KLIMB_LONG\")"),
            ("deep/er/fuzz/tests.rs", "std::env::var_os(\"KLIMB_LONG\")"),
            ("deep/other.rs", ""),
            ("deep/mod.rs", "std::env::var(\"KLIMB_FAULTS\")"),
            ("short.rs", "fn short() {}"),
            ("notes.txt", "KLIMB_LONG"),
        ] {
            fs::write(folder.join(file), text).unwrap();
        }
        assert_eq!(lengthened(&folder, ".rs").unwrap(), ["deep", "faults"]);
        assert_eq!(lengthened_in_library(&folder).unwrap(), ["deep", "deep::er::fuzz", "faults"]);
        fs::remove_dir_all(&folder).unwrap();
    }
}
