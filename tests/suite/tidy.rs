//! The architecture, kept: imports go down only, platforms stay in their corners, files stay small. The rules are
//! textual, and each is shown here to catch what it is for.

use std::fs;
use std::path::{Path, PathBuf};

/// The floors of `src/`, lowest first. A module may name its own floor and those below.
const FLOORS: &[&[&str]] = &[
    &["rng", "hash", "json", "order", "real", "shorten", "sorted", "stats", "text", "metrics", "words"],
    &["world", "model", "objectives"],
    &["backend"],
    &["language"],
    &["algorithms"],
    &["experiments"],
    &["charts", "engine"],
    &["page", "bin"],
];
/// Names that belong to a corner of `src/`: only files below the named paths may speak of them.
const CORNERS: &[(&[&str], &[&str])] = &[
    (&["wgpu"], &["backend/gpu"]),
    (&["ndarray"], &["backend/cpu", "real.rs"]),
    (&["wasm_bindgen", "serde_wasm_bindgen", "js_sys"], &["engine/worker", "page", "json"]),
    (&["wasm_bindgen_futures", "web_sys"], &["engine/worker", "page"]),
    (&["idb"], &["page/storage.rs"]),
    (&["plotters_canvas"], &["page"]),
    (&["plotters"], &["charts", "page"]),
    // An algorithm, the language model and the backends never see a word: they are given tokens and a reward function.
    (&["crate::world"], &["world", "experiments", "charts", "engine", "page", "bin"]),
    // Charts see metrics, never a trainer, and are drawn by whoever has a surface.
    (&["crate::charts"], &["charts", "page", "bin"]),
];
const LONGEST_FILE: usize = 600;
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

fn floor_of(module: &str) -> Option<usize> {
    FLOORS.iter().position(|floor| floor.contains(&module))
}

/// Complaints about a Rust file's imports; `path` is below `src/`.
fn imports_upwards(path: &str, text: &str) -> Vec<String> {
    let Some(floor) = floor_of(module_of(path)) else {
        return vec![format!("src/{path} stands on no floor; give its module one in FLOORS and ARCHITECTURE.md")];
    };
    let code = without_comments(text);
    let named = modules_named(&code).into_iter().filter_map(|name| floor_of(name).map(|its| (name, its)));
    named
        .filter(|(_, its)| *its > floor)
        .map(|(name, its)| {
            format!("src/{path} (floor {floor}) names crate::{name} (floor {its}); imports go down only")
        })
        .collect()
}

/// Complaints about names outside of their corners; `path` is below `src/`.
fn names_out_of_corner(path: &str, text: &str) -> Vec<String> {
    let code = without_comments(text);
    let modules = modules_named(&code);
    let says = |name: &str| match name.strip_prefix("crate::") {
        Some(module) => modules.contains(&module),
        None => names_word(&code, name),
    };
    let mut complaints = Vec::new();
    for (names, corners) in CORNERS {
        if corners.iter().any(|corner| path.starts_with(corner)) {
            continue;
        }
        for name in names.iter().filter(|name| says(name)) {
            complaints.push(format!("src/{path} names {name}, which belongs to {}", corners.join(", ")));
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
    let mut sources = files("src", &[".rs"]);
    assert!(sources.len() > 5, "the sources were not found");
    sources.retain(|(path, _)| path != "lib.rs" && path != "arithmetic.rs");
    assert_tidy([each(&sources, imports_upwards), each(&sources, names_out_of_corner)].concat());
}

#[test]
fn files_are_short_and_finished() {
    let code = ["src", "shaders", "www", "tests", "benches", "xtask/src"].map(|folder| {
        let endings = [".rs", ".wgsl", ".js", ".css", ".py"];
        files(folder, &endings).into_iter().map(move |(path, text)| (format!("{folder}/{path}"), text))
    });
    let code: Vec<_> = code.into_iter().flatten().collect();
    assert_tidy([each(&code, too_long), each(&code, left_open)].concat());
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
    assert_eq!(
        imports_upwards("model/init.rs", "use crate::rng::Generator;\nuse crate::{real::Real, model};"),
        [""; 0]
    );
    assert_eq!(imports_upwards("world/mod.rs", "// as crate::backend does\nfn f() {}"), [""; 0]);
    let text = "use crate::{real::{Real, f}, backend::Kernels};\nfn f() { crate::engine::run() }";
    let complaints = imports_upwards("world/mod.rs", text);
    assert_eq!(complaints.len(), 2, "{complaints:?}");
    assert!(complaints.iter().any(|complaint| complaint.contains("crate::backend (floor 2)")), "{complaints:?}");
    assert_eq!(imports_upwards("helpers.rs", "").len(), 1);
}

#[test]
fn the_rules_find_names_out_of_their_corner() {
    assert_eq!(names_out_of_corner("backend/gpu/device.rs", "use wgpu::Device;"), [""; 0]);
    assert_eq!(names_out_of_corner("language/mod.rs", "// unlike wgpu\nlet wgpu_free = my_ndarray;"), [""; 0]);
    assert_eq!(names_out_of_corner("engine/worker.rs", "use wasm_bindgen::prelude::*;"), [""; 0]);
    for (path, text) in [
        ("backend/network.rs", "fn f(a: ndarray::Array1<f32>) {}"),
        ("language/mod.rs", "use wgpu::Device;"),
        ("engine/session.rs", "use web_sys::window;"),
        ("algorithms/dpo.rs", "use crate::world::gold;"),
        ("engine/session.rs", "use crate::{charts::Frontier, metrics};"),
    ] {
        assert_eq!(names_out_of_corner(path, text).len(), 1, "{path}: {text}");
    }
}

#[test]
fn the_rules_find_what_is_long_open_or_local() {
    assert_eq!(too_long("a.rs", &"\n".repeat(LONGEST_FILE)), [""; 0]);
    assert_eq!(too_long("a.rs", &"\n".repeat(LONGEST_FILE + 1)).len(), 1);
    assert_eq!(left_open("a.rs", &format!("fine\n// {}: later", LEFT_OPEN[0])).len(), 1);
    assert_eq!(left_open("a.rs", "mastodon").len(), 0);
    assert_eq!(names_a_registry("Cargo.lock", &format!("source = \"{CRATES_IO}\"")), [""; 0]);
    assert_eq!(names_a_registry("Cargo.lock", "source = \"registry+sparse+mirror\"").len(), 1);
    assert_eq!(names_a_registry("package-lock.json", "  \"resolved\": \"mirror\",").len(), 1);
    assert_eq!(javascript_is_too_much(&[("main.js".into(), "\n".repeat(MOST_JAVASCRIPT))]).len(), 1);
    assert_eq!(javascript_is_too_much(&[("main.js".into(), "\n".repeat(MOST_JAVASCRIPT - 1))]), [""; 0]);
}
