//! `docs/guide/promises.md` against the sources: every name under which a browser keeps something, and the policy that keeps the
//! page from everything but its own host.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

/// Calls of Web Storage whose name is a text and no constant: it would not be found.
const UNNAMED: &[&str] = &["get_item(\"", "set_item(\"", "remove_item(\"", "remembered(\"", "remember(\""];

fn read(path: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(path);
    fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// All Rust code below `folder`.
fn code(folder: &Path) -> String {
    let mut text = String::new();
    for entry in fs::read_dir(folder).expect("a folder") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            text += &code(&path);
        } else if path.extension().is_some_and(|ending| ending == "rs") {
            text += &fs::read_to_string(&path).expect("a source");
        }
    }
    text
}

/// The values of constants that are texts.
fn constants(code: &str) -> impl Iterator<Item = &str> {
    code.split(": &str = \"").skip(1).filter_map(|rest| Some(rest.split_once('"')?.0))
}

/// The names of Web Storage.
fn keys(code: &str) -> BTreeSet<&str> {
    let is_word = |rest: &str| rest.chars().all(|letter| letter.is_ascii_lowercase() || letter == '-');
    constants(code).filter(|name| name.strip_prefix("klimb-").is_some_and(is_word)).collect()
}

/// The table "What is kept where": the names in each place.
fn kept(chapter: &str) -> BTreeMap<&str, BTreeSet<&str>> {
    let section = chapter.split("\n## ").find(|section| section.starts_with("What is kept where"));
    let rows = section.expect("the section").lines().filter(|line| line.starts_with("| ")).skip(1);
    let mut places = BTreeMap::<&str, BTreeSet<&str>>::new();
    for row in rows {
        let mut cells = row.trim_matches('|').split('|').map(str::trim);
        let (place, names) = (cells.next().expect("a place"), cells.next().expect("a name"));
        places.entry(place).or_default().extend(names.split('`').skip(1).step_by(2));
    }
    places
}

/// The sources that a policy allows, by directive.
fn directives(policy: &str) -> BTreeMap<&str, BTreeSet<&str>> {
    let directives = policy.split(';').map(|directive| directive.split_whitespace());
    directives.filter_map(|mut words| Some((words.next()?, words.collect()))).collect()
}

#[test]
fn every_name_in_web_storage_is_in_the_chapter_and_none_besides() {
    let code = code(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src/page"));
    for call in UNNAMED {
        assert!(!code.contains(call), "{call}…: give the name a constant, so that it is found here");
    }
    let chapter = read("docs/guide/promises.md");
    let kept = kept(&chapter);
    let told: BTreeSet<&str> = kept["localStorage"].union(&kept["sessionStorage"]).copied().collect();
    assert_eq!(told, keys(&code), "docs/guide/promises.md has the names on the left, src/page those on the right");
}

#[test]
fn the_database_and_the_cache_are_in_the_chapter() {
    let chapter = read("docs/guide/promises.md");
    let (kept, database) = (kept(&chapter), read("src/page/view/session_store/database.rs"));
    let ours: BTreeSet<&str> = constants(&database).collect();
    assert_eq!(
        kept["IndexedDB"], ours,
        "docs/guide/promises.md has the names on the left, src/page/view/session_store/database.rs on the right"
    );
    assert_eq!(kept["service worker's cache"], BTreeSet::from(["klimb ADDRESS VERSION"]));
    let worker = read("www/service-worker.js");
    assert!(worker.contains("const OURS = `klimb ${registration.scope} `;") && worker.contains("OURS + VERSION"));
}

#[test]
fn the_policy_is_the_one_that_is_served_and_the_document_allows_no_more() {
    let server = read("xtask/src/serve.rs");
    let served = server.split_once("CONTENT_SECURITY_POLICY: &str = \"").and_then(|(_, rest)| rest.split_once("\";"));
    let served = served.expect("the policy").0.replace("\\\n", "");
    let served = directives(&served);
    let chapter = read("docs/guide/promises.md");
    let told = chapter.lines().find(|line| line.starts_with("default-src")).expect("the policy");
    assert_eq!(directives(told), served);
    let page = read("index.html");
    let own = page.split_once("Content-Security-Policy\" content=\"").and_then(|(_, rest)| rest.split_once('"'));
    let own = directives(own.expect("a policy").0);
    assert_eq!(own["default-src"], BTreeSet::from(["'none'"]));
    for (directive, sources) in &own {
        assert!(sources.is_subset(&served[directive]), "{directive} of index.html allows {sources:?}");
    }
    // What does not fall back to `default-src` would be open where it is left out; framing a document cannot forbid.
    for directive in ["base-uri", "form-action"] {
        assert!(own.contains_key(directive), "index.html says nothing of {directive}");
    }
}

#[test]
fn names_are_found_in_code_and_in_the_table() {
    let code = "const A: &str = \"klimb-one\";\nconst B: &str = \"two\";\nformat!(\"klimb-{what}.svg\")";
    assert_eq!(keys(code), BTreeSet::from(["klimb-one"]));
    let chapter = "# x\n\n## What is kept where\n\n| where | name | what |\n|---|---|---|\n| a | `b`: `c` | `d` |\n| a | `e` | |\n\n## y\n";
    assert_eq!(kept(chapter), BTreeMap::from([("a", BTreeSet::from(["b", "c", "e"]))]));
    assert_eq!(directives("a b c; d")["a"], BTreeSet::from(["b", "c"]));
}
