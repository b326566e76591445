//! Building the page: WebAssembly by wasm-pack, and everything a visitor's browser asks for in `dist/`.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, anyhow};
use walrus::ModuleConfig;

use crate::build_name;
use crate::docs;
use crate::figure;
use crate::folders::{copy, copy_folder, files_below};
use crate::process::{self, step};
use crate::programs;
use crate::setup::{bindgen, wasm_target};
use crate::translation;
use crate::workspace::Workspace;
use klimb_numerics::hash::fingerprint;
use klimb_text::words;

/// The part of wasm-pack's output that browsers load; the rest is for npm.
const PACKAGE_FILES: &[&str] = &["klimb.js", "klimb_bg.wasm"];
/// Lies beside `index.html`, because a service worker sees only what lies below it.
const SERVICE_WORKER: &str = "service-worker.js";
/// What the page says in other languages, a file each.
const LANGUAGES: &str = "www/languages";
/// How the page's WebAssembly is compiled.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Profile {
    /// As it is shipped: small, by optimisation of the whole at link time.
    Page,
    /// A change is there within seconds, in a larger module that is as fast.
    Quick,
}

/// Builds the page and leaves it in `dist/`: a folder that works from any static host and any sub-path.
pub fn page(workspace: &Workspace, profile: Profile) -> Result<()> {
    step(
        "Building the page's WebAssembly (wasm-pack)",
        "read the compiler's messages above; `cargo xtask setup` checks the tools",
        || {
            let arguments = ["build", "xtask/module", "--target", "web", "--no-typescript", "--no-pack", "--no-opt"];
            let mut command = wasm_command(workspace, "wasm-pack", &arguments)?;
            command.arg("--out-dir").arg(workspace.root().join("pkg")).args(["--out-name", "klimb"]);
            match profile {
                Profile::Page => command.args(["--profile", "page"]),
                Profile::Quick => command.arg("--release"),
            };
            // For files that the page exports.
            if let Some(build) = build_name::page(workspace.root()) {
                command.env("KLIMB_BUILD", build);
            }
            process::run(&mut command)
        },
    )?;
    step("Collecting the page in dist/", "check that index.html and www/ are there", || collect(workspace, profile))
}

/// A command that compiles for wasm32, with what it needs set up.
pub fn wasm_command(workspace: &Workspace, program: &str, arguments: &[&str]) -> Result<Command> {
    let toolchain = wasm_target::ensure(workspace)?;
    bindgen::ensure(workspace)?;
    let mut command = process::command(program, workspace.root(), arguments);
    toolchain.choose(programs::with_tools(&mut command, workspace)?);
    Ok(command)
}

fn collect(workspace: &Workspace, profile: Profile) -> Result<()> {
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
    if profile == Profile::Page {
        strip(&dist.join("pkg/klimb_bg.wasm"))?;
    }
    figure::draw(&dist, "")?;
    translate(&dist)?;
    docs::write(&root.join("docs"), &workspace.target().join("book"), &dist.join(docs::FOLDER))?;
    fs::rename(dist.join("www").join(SERVICE_WORKER), dist.join(SERVICE_WORKER))
        .context("www/ has no service worker")?;
    tell_service_worker(&dist)
}

/// Removes from a module what only debuggers read: the names of its functions and of the tools that made it. The profile's
/// `strip` would also remove the list of features by which wasm-bindgen chooses how references are passed.
fn strip(module: &Path) -> Result<()> {
    let mut config = ModuleConfig::new();
    config.generate_name_section(false).generate_producers_section(false);
    let stripped = config.parse_file(module).and_then(|mut stripped| stripped.emit_wasm_file(module));
    stripped.with_context(|| format!("cannot strip {}", module.display()))
}

/// Writes the page in every language that has a catalogue in `www/languages/`, as `de.html` beside `index.html`.
fn translate(dist: &Path) -> Result<()> {
    let page = fs::read_to_string(dist.join("index.html"))?;
    for file in files_below(&dist.join(LANGUAGES))? {
        let language = file.strip_suffix(".json").with_context(|| format!("{LANGUAGES}/{file} is no catalogue"))?;
        let catalogue: BTreeMap<String, String> =
            serde_json::from_str(&fs::read_to_string(dist.join(LANGUAGES).join(&file))?)
                .with_context(|| format!("{LANGUAGES}/{file}"))?;
        let page = translation::translated(&page, language, &catalogue).map_err(|missing| {
            anyhow!("{LANGUAGES}/{file} lacks texts of index.html:\n  “{}”", missing.join("”\n  “"))
        })?;
        let page = page.replace(figure::FOLDER, &format!("{}/{language}", figure::FOLDER));
        fs::write(dist.join(format!("{language}.html")), page)?;
        words::speak(catalogue.into_iter().collect());
        figure::draw(dist, language)?;
        words::speak(Vec::new());
    }
    Ok(())
}

/// Writes into the service worker of the page in `dist` which files it keeps, and their version. Another version is
/// another service worker for the browser, which then replaces the old one.
fn tell_service_worker(dist: &Path) -> Result<()> {
    let worker = dist.join(SERVICE_WORKER);
    let code = fs::read_to_string(&worker).with_context(|| format!("cannot read {}", worker.display()))?;
    let mut files = files_below(dist)?;
    files.retain(|file| file != SERVICE_WORKER);
    let mut everything = code.clone().into_bytes();
    for file in &files {
        everything.extend(file.bytes());
        everything.extend(fs::read(dist.join(file))?);
    }
    let version = fingerprint(everything);
    // Hosts answer the folder with index.html, and so a visitor asks for it.
    let names = files.iter().map(|file| if file == "index.html" { "./" } else { file.as_str() });
    fs::write(
        &worker,
        format!("const VERSION = \"{version}\";\nconst FILES = {:?};\n{code}", names.collect::<Vec<_>>()),
    )?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stripped_module_has_no_names_and_what_is_no_module_is_named() {
        let path = std::env::temp_dir().join(format!("klimb-strip-{}.wasm", std::process::id()));
        let mut module = walrus::Module::default();
        let mut function = walrus::FunctionBuilder::new(&mut module.types, &[], &[walrus::ValType::I32]);
        function.name("a_function".into()).func_body().i32_const(7);
        let function = function.finish(Vec::new(), &mut module.funcs);
        module.exports.add("exported", function);
        module.producers.add_processed_by("a tool", "1");
        module.emit_wasm_file(&path).unwrap();
        let has = |text: &str| fs::read(&path).unwrap().windows(text.len()).any(|bytes| bytes == text.as_bytes());
        assert!(has("a_function") && has("a tool"));
        strip(&path).unwrap();
        assert!(!has("a_function") && !has("a tool") && has("exported"));
        let stripped = walrus::Module::from_file(&path).unwrap();
        assert_eq!(stripped.exports.iter().count(), 1);
        fs::write(&path, "text").unwrap();
        let error = strip(&path).unwrap_err();
        assert!(error.to_string().contains("klimb-strip"), "{error}");
        fs::remove_file(&path).unwrap();
    }

    #[test]
    fn the_service_worker_is_told_every_file_and_another_version_for_other_bytes() {
        let dist = std::env::temp_dir().join(format!("klimb-version-{}", std::process::id()));
        fs::create_dir_all(dist.join("www")).unwrap();
        fs::write(dist.join("index.html"), "page").unwrap();
        let told = |script: &str| {
            fs::write(dist.join("www/main.js"), script).unwrap();
            fs::write(dist.join(SERVICE_WORKER), "code();\n").unwrap();
            tell_service_worker(&dist).unwrap();
            fs::read_to_string(dist.join(SERVICE_WORKER)).unwrap()
        };
        let first = told("1");
        assert!(first.ends_with("const FILES = [\"./\", \"www/main.js\"];\ncode();\n"), "{first}");
        assert_eq!(first, told("1"));
        assert_ne!(first, told("2"));
        fs::remove_dir_all(&dist).unwrap();
    }
}
