//! `cargo xtask check`: formatting, lints and tests of what has changed, quick enough to be run before every commit. What it
//! leaves out is `cargo xtask test`'s: browsers, the packages above, and integration tests whose files are as they were.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use anyhow::{Context, Result, ensure};

use crate::process::{self, step};
use crate::setup::wasm_target;
use crate::test::{cargo, fmt};
use crate::workspace::Workspace;

/// What a change asks for.
#[derive(Debug, Default, PartialEq, Eq)]
struct Plan {
    /// The packages to lint, and to test by what stands in them.
    packages: BTreeSet<String>,
    /// The modules of integration tests to run, by the program that they are linked into.
    modules: BTreeMap<String, BTreeSet<String>>,
    /// Whether code has changed that may exist in a browser alone.
    is_in_browser: bool,
}

/// Checks what differs from the git revision `since`.
pub fn run(workspace: &Workspace, since: &str) -> Result<()> {
    let changed = changed(workspace, since)?;
    ensure!(
        !changed.is_empty(),
        "nothing has changed since {since}; `cargo xtask check --since HEAD~1` checks the last commit"
    );
    let exists = |program: &str, module: &str| {
        let folder = workspace.root().join("tests").join(program);
        folder.join(format!("{module}.rs")).is_file() || folder.join(module).is_dir()
    };
    let plan = plan(&changed, &exists);
    println!("{} files have changed since {since}: {}", changed.len(), describe(&plan));
    fmt(workspace)?;
    lint(workspace, &plan)?;
    test(workspace, &plan)?;
    println!("✔ What has changed is in order; `cargo xtask test` runs everything");
    Ok(())
}

/// The files that differ from `since`, or that git does not know yet.
fn changed(workspace: &Workspace, since: &str) -> Result<BTreeSet<String>> {
    let git = |arguments: &[&str]| {
        process::output(&mut process::command("git", workspace.root(), arguments)).with_context(|| {
            format!("`git {}` failed: is {since} a revision, and this a checkout?", arguments.join(" "))
        })
    };
    let known = git(&["diff", "--name-only", since])?;
    let unknown = git(&["ls-files", "--others", "--exclude-standard"])?;
    Ok(known.lines().chain(unknown.lines()).map(str::to_owned).collect())
}

/// What the files that have changed ask for; `exists` says whether a program of integration tests has a module.
fn plan(changed: &BTreeSet<String>, exists: &impl Fn(&str, &str) -> bool) -> Plan {
    let mut plan = Plan::default();
    for file in changed {
        let parts: Vec<&str> = file.split('/').collect();
        let stem = Path::new(file).file_stem().map(|stem| stem.to_string_lossy().into_owned()).unwrap_or_default();
        let mut packages = Vec::new();
        let mut modules = Vec::new();
        match parts[..] {
            ["crates", name, ..] => packages.push(name),
            ["shaders", ..] => packages.push("klimb-network"),
            ["xtask", "module", ..] => packages.push("klimb-module"),
            ["xtask", ..] => packages.push("xtask"),
            ["docs", ..] => packages.push("xtask"),
            ["src", ref folders @ ..] => {
                packages.push("klimb");
                // Views are compiled for browsers alone: what reads them as texts tests them natively.
                if matches!(folders, ["page", "view", ..]) {
                    modules.extend(["actions", "words", "tidy"].map(|module| ("suite", module.to_owned())));
                }
            }
            ["tests", program @ ("suite" | "kernels" | "objectives" | "program"), module, ..] => {
                packages.push("klimb");
                let module = module.strip_suffix(".rs").unwrap_or(module);
                modules.push((program, module.to_owned()));
            }
            ["Cargo.toml" | "Cargo.lock" | "build.rs"] | ["tests" | "benches" | "examples", .., _] => {
                packages.push("klimb")
            }
            _ => {}
        }
        if file.ends_with(".md") || parts[0] == "docs" {
            modules.push(("suite", "documents".to_owned()));
            if file.starts_with("docs/guide/") || file == "README.md" {
                modules.push(("program", "book".to_owned()));
            }
        }
        if parts[0] == "www" || file == "index.html" {
            modules.extend(["actions", "words", "style", "promises"].map(|module| ("suite", module.to_owned())));
        }
        if parts[0] == "shaders" || file.contains("/backend/kernels/") {
            modules.push(("suite", "shaders".to_owned()));
            modules.push(("kernels", stem));
        }
        plan.is_in_browser |= parts[0] == "src" || parts[0] == "crates" && file.ends_with(".rs");
        plan.packages.extend(packages.into_iter().map(str::to_owned));
        for (program, module) in modules.into_iter().filter(|(program, module)| exists(program, module)) {
            plan.modules.entry(program.to_owned()).or_default().insert(module);
        }
    }
    plan
}

fn describe(plan: &Plan) -> String {
    let packages = plan.packages.iter().cloned();
    let modules =
        plan.modules.iter().flat_map(|(program, modules)| modules.iter().map(move |it| format!("{program} {it}")));
    let all: Vec<String> = packages.chain(modules).collect();
    if all.is_empty() { "no package".to_owned() } else { all.join(", ") }
}

fn lint(workspace: &Workspace, plan: &Plan) -> Result<()> {
    let remedy = "mend what clippy names above";
    let native: Vec<&String> =
        plan.packages.iter().filter(|name| !["xtask", "klimb-module"].contains(&name.as_str())).collect();
    if !native.is_empty() {
        step("Linting what has changed, natively", remedy, || {
            let mut arguments = vec!["clippy", "--quiet", "--all-targets"];
            arguments.extend(native.iter().flat_map(|name| ["--package", name.as_str()]));
            cargo(workspace, &[&arguments[..], &["--", "-D", "warnings"]].concat())
        })?;
    }
    if plan.packages.contains("xtask") {
        step("Linting xtask", remedy, || {
            let arguments = ["clippy", "--quiet", "--profile", "xtask", "--package", "xtask", "--all-targets", "--"];
            cargo(workspace, &[&arguments[..], &["-D", "warnings"]].concat())
        })?;
    }
    if plan.is_in_browser {
        let toolchain = wasm_target::ensure(workspace)?;
        step("Linting what has changed, for wasm32", remedy, || {
            let mut arguments = vec!["clippy", "--quiet", "--target", "wasm32-unknown-unknown", "--lib"];
            arguments.extend(native.iter().flat_map(|name| ["--package", name.as_str()]));
            arguments.extend(["--", "-D", "warnings"]);
            process::run(toolchain.choose(&mut process::command("cargo", workspace.root(), &arguments)))
        })?;
    }
    Ok(())
}

fn test(workspace: &Workspace, plan: &Plan) -> Result<()> {
    let remedy = "read the failed test's message above";
    let run = |arguments: &[&str]| {
        process::run(process::quiet_mesa(&mut process::command("cargo", workspace.root(), arguments)))
    };
    for package in plan.packages.iter().filter(|name| *name != "klimb-module") {
        step(&format!("Testing {package}"), remedy, || match package.as_str() {
            "xtask" => run(&["test", "--quiet", "--profile", "xtask", "--package", "xtask"]),
            "klimb" => run(&["test", "--quiet", "--package", "klimb", "--lib", "--bins"]),
            package => run(&["test", "--quiet", "--package", package]),
        })?;
    }
    for (program, modules) in &plan.modules {
        let modules: Vec<String> = modules.iter().map(|module| format!("{module}::")).collect();
        step(&format!("Testing {program}: {}", modules.join(" ")), remedy, || {
            let arguments = ["test", "--quiet", "--package", "klimb", "--test", program, "--"];
            run(&[&arguments[..], &modules.iter().map(String::as_str).collect::<Vec<_>>()].concat())
        })?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The plan of these files, in words, and whether browsers' code is in it.
    fn planned(files: &[&str]) -> (String, bool) {
        let changed = files.iter().map(ToString::to_string).collect();
        let plan = plan(&changed, &|program, module| module != "main" && (program != "kernels" || module == "matmul"));
        (describe(&plan), plan.is_in_browser)
    }

    #[test]
    fn what_has_changed_is_linted_and_tested_and_nothing_else() {
        for (files, expected) in [
            (&["crates/klimb-text/src/words.rs", "crates/klimb-text/Cargo.toml"][..], ("klimb-text", true)),
            (&["src/page/model/format.rs"], ("klimb", true)),
            (&["src/page/view/runs.rs"], ("klimb, suite actions, suite tidy, suite words", true)),
            (
                &["tests/suite/tidy.rs", "tests/suite/faults/mod.rs", "tests/suite/main.rs"],
                ("klimb, suite faults, suite tidy", false),
            ),
            (&["shaders/matmul.wgsl", "shaders/adamw.wgsl"], ("klimb-network, kernels matmul, suite shaders", false)),
            (
                &["crates/klimb-network/src/backend/kernels/matmul.rs"],
                ("klimb-network, kernels matmul, suite shaders", true),
            ),
            (&["README.md"], ("program book, suite documents", false)),
            (&["docs/develop/map.md"], ("xtask, suite documents", false)),
            (&["www/style.css"], ("suite actions, suite promises, suite style, suite words", false)),
            (&["xtask/src/main.rs", "LICENSE-MIT"], ("xtask", false)),
            (&["LICENSE-MIT"], ("no package", false)),
        ] {
            assert_eq!(planned(files), (expected.0.to_owned(), expected.1), "{files:?}");
        }
    }

    #[test]
    fn a_revision_that_is_none_is_said() {
        let error = changed(&Workspace::find().unwrap(), "no-such-revision").unwrap_err();
        assert!(error.to_string().contains("no-such-revision"), "{error}");
    }
}
