//! The architecture, as far as the compiler cannot keep it: what lies above what within a crate, platforms in their corners,
//! small files. The rules are textual, and each is shown here to catch what it is for.

use std::fs;
use std::path::{Path, PathBuf};

/// The floors within a crate, lowest first: where its sources are, and its modules. A module may name its own floor and those
/// below. Between crates the manifests keep it so.
const FLOORS: &[(&str, &[&[&str]])] = &[
    ("crates/klimb-network/src/", &[&["model", "objectives"], &["backend"]]),
    ("crates/klimb-align/src/", &[&["language", "limits"], &["algorithms"]]),
    ("src/", &[&["engine"], &["page", "bin"]]),
];
/// Names that belong to a corner of a crate: of its files, only those below the named paths may speak of them.
const CORNERS: &[(&str, &[&str], &[&str])] = &[
    ("crates/klimb-network/src/", &["wgpu"], &["backend/gpu"]),
    ("crates/klimb-network/src/", &["ndarray"], &["backend/cpu"]),
    ("crates/klimb-numerics/src/", &["ndarray"], &["real.rs"]),
    ("crates/klimb-text/src/", &["wasm_bindgen", "serde_wasm_bindgen", "js_sys"], &["json"]),
    (
        "src/",
        &["wasm_bindgen", "serde_wasm_bindgen", "js_sys", "wasm_bindgen_futures", "web_sys"],
        &["engine/worker", "page/view"],
    ),
    ("src/", &["idb"], &["page/view/session_store/"]),
    ("src/", &["plotters", "plotters_canvas"], &["page/view"]),
    // Charts see metrics, never a trainer, and are drawn by whoever has a surface.
    ("src/", &["klimb_charts"], &["page", "bin", "lib.rs"]),
];
const LONGEST_FILE: usize = 600;
/// A file of more lines than this says in its head why it is one file.
const LONG_FILE: usize = 400;
const LONG_BECAUSE: &str = "More than 400 lines, because ";
const MOST_JAVASCRIPT: usize = 350;
/// Spelled in halves, so that this file passes its own rule.
const LEFT_OPEN: &[&str] = &[concat!("TO", "DO"), concat!("FIX", "ME"), concat!("unimpl", "emented!")];
const CRATES_IO: &str = "registry+https://github.com/rust-lang/crates.io-index";

/// The names in Rust code of our own modules: `a` and `b` in `crate::a::x` and `crate::{a, b::y}`.
fn modules_named(code: &str) -> Vec<&str> {
    let mut names = Vec::new();
    for (start, root) in code.match_indices("crate::").chain(code.match_indices("klimb::")) {
        if code[..start].ends_with(is_word) {
            continue;
        }
        let rest = &code[start + root.len()..];
        match rest.strip_prefix('{') {
            None => names.push(first_word(rest)),
            Some(group) => names.extend(members(group)),
        }
    }
    names
}

/// The first words of a brace group's own members, not of the groups within.
fn members(group: &str) -> Vec<&str> {
    let mut names = Vec::new();
    let (mut depth, mut start) = (0, 0);
    for (at, letter) in group.char_indices() {
        match letter {
            '{' => depth += 1,
            '}' if depth > 0 => depth -= 1,
            ',' | '}' if depth == 0 => {
                names.push(first_word(group[start..at].trim()));
                start = at + 1;
                if letter == '}' {
                    break;
                }
            }
            _ => {}
        }
    }
    names.retain(|name| !name.is_empty());
    names
}

fn is_word(letter: char) -> bool {
    letter.is_alphanumeric() || letter == '_'
}

fn first_word(text: &str) -> &str {
    &text[..text.find(|letter| !is_word(letter)).unwrap_or(text.len())]
}

fn without_comments(text: &str) -> String {
    text.lines().map(|line| line.split_once("//").map_or(line, |(code, _)| code)).collect::<Vec<_>>().join("\n")
}

fn names_word(code: &str, word: &str) -> bool {
    code.match_indices(word)
        .any(|(at, _)| !code[..at].ends_with(is_word) && !code[at + word.len()..].starts_with(is_word))
}

/// `backend` for `backend/cpu/mod.rs`, `rng` for `rng.rs`.
fn module_of(path: &str) -> &str {
    first_word(path)
}

/// Complaints about a Rust file's imports; `path` is below the repository's root.
fn imports_upwards(path: &str, text: &str) -> Vec<String> {
    let Some((folder, floors)) = FLOORS.iter().find(|(folder, _)| path.starts_with(folder)) else { return vec![] };
    let inside = &path[folder.len()..];
    if inside == "lib.rs" {
        return vec![];
    }
    let floor_of = |module: &str| floors.iter().position(|floor| floor.contains(&module));
    let Some(floor) = floor_of(module_of(inside)) else {
        return vec![format!("{path} stands on no floor; give its module one in FLOORS and docs/develop/map.md")];
    };
    let code = without_comments(text);
    let named = modules_named(&code).into_iter().filter_map(|name| floor_of(name).map(|its| (name, its)));
    named
        .filter(|(_, its)| *its > floor)
        .map(|(name, its)| format!("{path} (floor {floor}) names crate::{name} (floor {its}); imports go down only"))
        .collect()
}

/// Complaints about names outside of their corners; `path` is below the repository's root.
fn names_out_of_corner(path: &str, text: &str) -> Vec<String> {
    let code = without_comments(text);
    let mut complaints = Vec::new();
    for (folder, names, corners) in CORNERS {
        let Some(inside) = path.strip_prefix(folder) else { continue };
        if corners.iter().any(|corner| inside.starts_with(corner)) {
            continue;
        }
        // The library names the crates as its modules.
        let is_module = |name: &str| name.strip_prefix("klimb_").is_some_and(|it| modules_named(&code).contains(&it));
        for name in names.iter().filter(|name| names_word(&code, name) || is_module(name)) {
            complaints.push(format!("{path} names {name}, which belongs to {}", corners.join(", ")));
        }
    }
    complaints
}

fn too_long(path: &str, text: &str) -> Vec<String> {
    let lines = text.lines().count();
    if lines <= LONGEST_FILE {
        vec![]
    } else {
        vec![format!("{path} has {lines} lines; split it (at most {LONGEST_FILE})")]
    }
}

/// The comment that a file begins with, as its lines.
fn head(text: &str) -> impl Iterator<Item = &str> {
    let is_comment = |line: &&str| line.starts_with("//") || line.starts_with('#') || line.starts_with("/*");
    // A block goes on until it ends.
    let mut in_block = false;
    text.lines().take_while(move |line| {
        let goes_on = in_block || is_comment(line);
        in_block = (in_block || line.starts_with("/*")) && !line.contains("*/");
        goes_on
    })
}

fn long_without_reason(path: &str, text: &str) -> Vec<String> {
    let lines = text.lines().count();
    let is_explained = lines <= LONG_FILE || head(text).any(|line| line.contains(LONG_BECAUSE));
    if is_explained {
        return vec![];
    }
    vec![format!("{path} has {lines} lines; split it, or say in its head: \"{LONG_BECAUSE}…\"")]
}

fn left_open(path: &str, text: &str) -> Vec<String> {
    let lines = text.lines().enumerate().filter(|(_, line)| LEFT_OPEN.iter().any(|word| names_word(line, word)));
    lines.map(|(number, line)| format!("{path}:{} leaves something open: {}", number + 1, line.trim())).collect()
}

/// Complaints about a lock file that says whose registry served its packages.
fn names_a_registry(path: &str, text: &str) -> Vec<String> {
    let foreign = |line: &&str| {
        let line = line.trim();
        line.starts_with("\"resolved\"") || (line.starts_with("source = ") && !line.contains(CRATES_IO))
    };
    text.lines()
        .filter(foreign)
        .map(|line| format!("{path} names a registry or a repository: {}", line.trim()))
        .collect()
}

fn javascript_is_too_much(files: &[(String, String)]) -> Vec<String> {
    let lines: usize = files.iter().map(|(_, text)| text.lines().count()).sum();
    if lines < MOST_JAVASCRIPT {
        return vec![];
    }
    vec![format!("www/ holds {lines} lines of JavaScript; the page's logic belongs to Rust (under {MOST_JAVASCRIPT})")]
}

/// Every file below `folder` whose name ends in one of `endings`, as its path below `folder` and its text.
fn files(folder: &str, endings: &[&str]) -> Vec<(String, String)> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join(folder);
    let mut found = Vec::new();
    let mut folders = vec![root.clone()];
    while let Some(folder) = folders.pop() {
        let Ok(entries) = fs::read_dir(&folder) else { continue };
        let paths: Vec<PathBuf> = entries.map(|entry| entry.expect("a readable folder").path()).collect();
        for path in paths {
            let name = path.file_name().expect("an entry's name").to_string_lossy();
            if path.is_dir() && name != "node_modules" {
                folders.push(path);
            } else if endings.iter().any(|ending| name.ends_with(ending)) {
                let below = path.strip_prefix(&root).expect("a path below its root");
                let below = below.to_string_lossy().replace('\\', "/");
                found.push((below, fs::read_to_string(&path).expect("a text file")));
            }
        }
    }
    found.sort();
    found
}

fn assert_tidy(complaints: Vec<String>) {
    assert!(complaints.is_empty(), "\n{}\n", complaints.join("\n"));
}

fn each(files: &[(String, String)], rule: impl Fn(&str, &str) -> Vec<String>) -> Vec<String> {
    files.iter().flat_map(|(path, text)| rule(path, text)).collect()
}

#[test]
fn imports_go_down_and_platforms_stay_in_their_corners() {
    let below = |folder: &'static str| {
        files(folder, &[".rs"]).into_iter().map(move |(path, text)| (format!("{folder}/{path}"), text))
    };
    let sources: Vec<_> = below("src").chain(below("crates")).collect();
    for (folder, _) in FLOORS {
        assert!(sources.iter().any(|(path, _)| path.starts_with(folder)), "{folder} has no sources");
    }
    assert_tidy([each(&sources, imports_upwards), each(&sources, names_out_of_corner)].concat());
}

#[test]
fn files_are_short_and_finished() {
    let code = ["src", "crates", "shaders", "www", "tests", "benches", "xtask/src"].map(|folder| {
        let endings = [".rs", ".wgsl", ".js", ".css", ".py"];
        files(folder, &endings).into_iter().map(move |(path, text)| (format!("{folder}/{path}"), text))
    });
    let code: Vec<_> = code.into_iter().flatten().collect();
    assert_tidy([each(&code, too_long), each(&code, long_without_reason), each(&code, left_open)].concat());
}

#[test]
fn javascript_owns_only_what_only_the_browser_has() {
    assert_tidy(javascript_is_too_much(&files("www", &[".js"])));
}

#[test]
fn lock_files_name_no_registry() {
    let packages =
        ["tests/end_to_end", "benches/page", "benches/peers"].map(|folder| format!("{folder}/package-lock.json"));
    let locks = packages.into_iter().chain(["Cargo.lock".to_owned()]).map(|path| {
        let text = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(&path));
        (path, text.expect("a lock file"))
    });
    assert_tidy(each(&locks.collect::<Vec<_>>(), names_a_registry));
}

#[test]
fn the_rules_find_imports_that_go_up() {
    let network = |file: &str| format!("crates/klimb-network/src/{file}");
    let clean = "use klimb_numerics::rng::Generator;\nuse crate::{objectives::Real, model};";
    assert_eq!(imports_upwards(&network("model/init.rs"), clean), [""; 0]);
    assert_eq!(imports_upwards(&network("model/mod.rs"), "// as crate::backend does\nfn f() {}"), [""; 0]);
    let text = "use crate::{model::{Layout, f}, backend::Kernels};\nfn f() { crate::backend::run() }";
    let complaints = imports_upwards(&network("objectives/dpo.rs"), text);
    assert_eq!(complaints.len(), 2, "{complaints:?}");
    assert!(complaints.iter().any(|complaint| complaint.contains("crate::backend (floor 1)")), "{complaints:?}");
    assert_eq!(imports_upwards("src/engine/session.rs", "use crate::page::Page;").len(), 1);
    assert_eq!(imports_upwards("src/helpers.rs", "").len(), 1);
}

#[test]
fn the_rules_find_names_out_of_their_corner() {
    for (path, text) in [
        ("crates/klimb-network/src/backend/gpu/device.rs", "use wgpu::Device;"),
        ("crates/klimb-network/src/model/mod.rs", "// unlike wgpu\nlet wgpu_free = my_ndarray;"),
        ("src/engine/worker.rs", "use wasm_bindgen::prelude::*;"),
    ] {
        assert_eq!(names_out_of_corner(path, text), [""; 0]);
    }
    for (path, text) in [
        ("crates/klimb-network/src/backend/network.rs", "fn f(a: ndarray::Array1<f32>) {}"),
        ("crates/klimb-network/src/model/mod.rs", "use wgpu::Device;"),
        ("src/engine/session.rs", "use web_sys::window;"),
        ("src/engine/session.rs", "use klimb_charts::Frontier;"),
        ("src/engine/session.rs", "use crate::{charts::Frontier, page};"),
    ] {
        assert_eq!(names_out_of_corner(path, text).len(), 1, "{path}: {text}");
    }
}

#[test]
fn the_rules_find_what_is_long_open_or_local() {
    assert_eq!(too_long("a.rs", &"\n".repeat(LONGEST_FILE)), [""; 0]);
    assert_eq!(too_long("a.rs", &"\n".repeat(LONGEST_FILE + 1)).len(), 1);
    let long = "\n".repeat(LONG_FILE);
    assert_eq!(long_without_reason("a.rs", &long), [""; 0]);
    assert_eq!(long_without_reason("a.rs", &format!("//! Something.\n{long}")).len(), 1);
    assert_eq!(long_without_reason("a.rs", &format!("use a;\n//! {LONG_BECAUSE}so.\n{long}")).len(), 1);
    for head in ["//! A.\n//!\n//! ", "// ", "/* A.\n   ", "# "] {
        assert_eq!(long_without_reason("a.rs", &format!("{head}{LONG_BECAUSE}so. */\n{long}")), [""; 0], "{head}");
    }
    assert_eq!(left_open("a.rs", &format!("fine\n// {}: later", LEFT_OPEN[0])).len(), 1);
    assert_eq!(left_open("a.rs", "mastodon").len(), 0);
    assert_eq!(names_a_registry("Cargo.lock", &format!("source = \"{CRATES_IO}\"")), [""; 0]);
    assert_eq!(names_a_registry("Cargo.lock", "source = \"registry+sparse+mirror\"").len(), 1);
    assert_eq!(names_a_registry("package-lock.json", "  \"resolved\": \"mirror\",").len(), 1);
    assert_eq!(javascript_is_too_much(&[("main.js".into(), "\n".repeat(MOST_JAVASCRIPT))]).len(), 1);
    assert_eq!(javascript_is_too_much(&[("main.js".into(), "\n".repeat(MOST_JAVASCRIPT - 1))]), [""; 0]);
}
