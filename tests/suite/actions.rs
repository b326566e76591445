//! Controls and the tables of what they do: a control that nothing answers, and a row that no control asks for, are told.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use regex::Regex;

/// A row of a view's table, as its source has it.
struct Row {
    view: String,
    on: BTreeSet<String>,
}

fn sources(folder: &Path, all: &mut Vec<(String, String)>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            sources(&path, all);
        } else {
            all.push((path.display().to_string(), fs::read_to_string(&path).unwrap()));
        }
    }
}

fn views() -> Vec<(String, String)> {
    let mut all = Vec::new();
    sources(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src/page/view"), &mut all);
    all.retain(|(path, _)| !path.ends_with("action.rs"));
    all
}

/// The rows of all tables by their names. A name in two files is told.
fn rows(views: &[(String, String)]) -> BTreeMap<String, Row> {
    let row = Regex::new(r#"Action::(?:(click|change)\(|on\(&\[([^\]]*)\],)\s*"([^"]+)""#).unwrap();
    let mut rows = BTreeMap::<String, Row>::new();
    for (path, text) in views {
        for found in row.captures_iter(text) {
            let on: Vec<String> = match (found.get(1), found.get(2)) {
                (Some(one), _) if one.as_str() == "click" => vec!["Click".into()],
                (Some(_), _) => vec!["Change".into()],
                (_, several) => {
                    let several = several.map_or("", |it| it.as_str());
                    several.split(',').map(|it| it.trim().trim_start_matches("On::").to_owned()).collect()
                }
            };
            let row =
                rows.entry(found[3].to_owned()).or_insert_with(|| Row { view: path.clone(), on: BTreeSet::default() });
            assert_eq!(row.view, *path, "“{}” stands in the tables of two views", &found[3]);
            for on in on {
                assert!(row.on.insert(on.clone()), "“{}” stands twice in {path} for {on}", &found[3]);
            }
        }
    }
    rows
}

/// What must be answered of an element of this kind.
fn wanted(tag: &str) -> &'static [&'static str] {
    match tag {
        "button" | "summary" | "canvas" => &["Click"],
        "form" => &["Submit"],
        "select" => &["Change"],
        "input" => &["Change", "Input"],
        _ => &[],
    }
}

#[test]
fn every_control_is_answered_by_one_view_and_every_row_has_a_control() {
    let document = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("index.html")).unwrap();
    let views = views();
    let rows = rows(&views);
    assert!(rows.len() > 50, "the tables are read no longer: {} rows", rows.len());
    let control = Regex::new(r#"<(\w+) [^>]*data-action="([^"]+)""#).unwrap();
    let mut in_document = BTreeSet::new();
    for found in control.captures_iter(&document) {
        let (tag, name) = (&found[1], &found[2]);
        let row = rows.get(name).unwrap_or_else(|| panic!("no view answers data-action=\"{name}\""));
        let is_answered = wanted(tag).iter().any(|on| row.on.contains(*on));
        assert!(is_answered, "data-action=\"{name}\" of a {tag} is answered on {:?} only", row.on);
        in_document.insert(name.to_owned());
    }
    let all: String = views.iter().map(|(_, text)| text.as_str()).collect();
    for (name, Row { view, .. }) in &rows {
        // What is not in the document is made in the code, or asked for by a key: its name stands outside the table too.
        let is_asked_for = in_document.contains(name) || all.matches(&format!("\"{name}\"")).count() > 1;
        assert!(is_asked_for, "{view}: no control asks for “{name}”");
    }
    let by_key = Regex::new(r#"return act\("([^"]+)""#).unwrap();
    let (_, keyboard) = views.iter().find(|(path, _)| path.ends_with("keyboard.rs")).unwrap();
    for found in by_key.captures_iter(keyboard) {
        assert!(
            rows.get(&found[1]).is_some_and(|row| row.on.contains("Click")),
            "no view answers the key of “{}”",
            &found[1]
        );
    }
}

#[test]
fn no_button_of_the_document_does_nothing() {
    let document = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("index.html")).unwrap();
    let control = Regex::new(r"<(button|select|form) ([^>]*)>").unwrap();
    for found in control.captures_iter(&document) {
        // A popover is the browser's to open, a dialog its to close, and the choice of a chart is read when that is saved.
        let is_browsers = ["popovertarget=", "method=\"dialog\"", "type=\"submit\"", "id=\"export-chart\""];
        let does = found[2].contains("data-action=") || is_browsers.iter().any(|it| found[2].contains(it));
        assert!(does, "{} does nothing", &found[0]);
    }
}
