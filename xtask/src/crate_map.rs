//! The picture of the crates: every crate and the floors of `src/` as a box that stands above what it names. It is drawn from
//! the manifests and the sources, so that it is never out of date.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;
use std::fs;
use std::path::Path;

use anyhow::{Context, Result};

use crate::folders::files_below;

/// Where the pictures lie, one for each theme.
const FOLDER: &str = "docs/images";
/// Units across the picture.
const WIDTH: f64 = 860.0;
/// Units from a floor to the next.
const FLOOR: f64 = 126.0;
const BOX_HEIGHT: f64 = 90.0;
const GAP: f64 = 20.0;
/// Characters of a line of a description for each unit of its box.
const CHARACTERS: f64 = 0.165;
/// The paper, the ink, the quiet ink and the lines, by day and by night, as `www/style.css` has them.
const THEMES: [(&str, [&str; 4]); 2] =
    [("light", ["#fffdf9", "#1d1c1a", "#5f5b54", "#cdc8be"]), ("dark", ["#14161a", "#e8e6e1", "#a7a49d", "#42454b"])];
/// The parts of the root package, which holds more than a floor: each with the file whose head says what it is.
const PARTS: [(&str, &str); 3] =
    [("engine", "src/engine/mod.rs"), ("page", "src/page/mod.rs"), ("bin", "src/bin/klimb/main.rs")];

/// A crate, or a part of the root package.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Crate {
    /// What is said of it.
    about: String,
    /// What it names.
    names: BTreeSet<String>,
}

type CrateMap = BTreeMap<String, Crate>;

/// Draws the project at `root` into its `docs/images/`.
pub fn write(root: &Path) -> Result<()> {
    for (path, picture) in pictures(root)? {
        fs::write(root.join(path), picture)?;
    }
    Ok(())
}

/// The pictures with their paths, as the project at `root` is now.
fn pictures(root: &Path) -> Result<Vec<(String, String)>> {
    let map = map(root)?;
    Ok(THEMES.iter().map(|(theme, colours)| (format!("{FOLDER}/crates-{theme}.svg"), drawn(&map, colours))).collect())
}

/// Reads manifests and sources.
fn map(root: &Path) -> Result<CrateMap> {
    let read = |path: &str| fs::read_to_string(root.join(path)).with_context(|| format!("cannot read {path}"));
    let mut map = CrateMap::new();
    for entry in fs::read_dir(root.join("crates"))? {
        let name = entry?.file_name().to_string_lossy().into_owned();
        let manifest = read(&format!("crates/{name}/Cargo.toml"))?;
        let about = manifest.lines().find_map(|line| line.strip_prefix("description = \"Klimb: ")?.strip_suffix('"'));
        let about = about.with_context(|| format!("{name} has no description that begins with “Klimb: ”"))?.to_owned();
        map.insert(name, Crate { about, names: dependencies(&manifest) });
    }
    let aliases = aliases(&read("src/lib.rs")?);
    for (name, head) in PARTS {
        let about = first_sentence(&read(head)?);
        let folder = format!("src/{name}");
        let mut names = BTreeSet::new();
        for file in files_below(&root.join(&folder))?.iter().filter(|file| file.ends_with(".rs")) {
            names.extend(named(&read(&format!("{folder}/{file}"))?, &aliases));
        }
        names.remove(name);
        map.insert(name.to_owned(), Crate { about, names });
    }
    Ok(map)
}

/// The first sentence of a file's head.
fn first_sentence(code: &str) -> String {
    let head: Vec<&str> = code.lines().map_while(|line| line.strip_prefix("//! ")).collect();
    let head = head.join(" ");
    head.split_once(". ").map_or(head.trim_end_matches('.'), |(sentence, _)| sentence).to_owned()
}

/// The project's own crates in a manifest, but for those that only its tests use.
fn dependencies(manifest: &str) -> BTreeSet<String> {
    let sections = manifest.split("\n[").filter(|section| section.starts_with("dependencies]"));
    let lines = sections.flat_map(str::lines).filter(|line| line.starts_with("klimb-"));
    lines.filter_map(|line| Some(line.split_once('.')?.0.to_owned())).collect()
}

/// The crates behind the names under which `lib.rs` passes them on: `experiments` is `klimb-lab`.
fn aliases(lib: &str) -> BTreeMap<String, String> {
    let mut aliases = BTreeMap::new();
    for line in lib.lines().filter_map(|line| line.strip_prefix("pub use ")) {
        for part in line.split("klimb_").skip(1) {
            let end = part.find(|letter: char| !is_word(letter)).unwrap_or(part.len());
            let (name, rest) = part.split_at(end);
            // Either `klimb_a::{b, c}` or `klimb_a as b`.
            let words = rest.trim_start_matches(" as").split(|letter: char| !is_word(letter));
            for word in words.filter(|word| !word.is_empty()) {
                aliases.insert(word.to_owned(), format!("klimb-{name}"));
            }
        }
    }
    aliases
}

/// The crates and parts that code names, be it by an alias. Comments are passed over.
fn named(code: &str, aliases: &BTreeMap<String, String>) -> BTreeSet<String> {
    let mut names = BTreeSet::new();
    for line in code.lines().map(|line| line.split_once("//").map_or(line, |(code, _)| code)) {
        for (at, root) in ["klimb_", "klimb::", "crate::"].iter().flat_map(|root| line.match_indices(*root)) {
            let word: String = line[at + root.len()..].chars().take_while(|letter| is_word(*letter)).collect();
            if line[..at].ends_with(is_word) {
                continue;
            }
            if root == "klimb_" {
                names.insert(format!("klimb-{word}"));
            } else if let Some(name) = aliases.get(&word) {
                names.insert(name.clone());
            } else if PARTS.iter().any(|(part, _)| *part == word) {
                names.insert(word);
            }
        }
    }
    names
}

fn is_word(letter: char) -> bool {
    letter.is_alphanumeric() || letter == '_'
}

/// The floor of a it: above all that it names.
fn floor(map: &CrateMap, name: &str) -> usize {
    let below = map[name].names.iter().filter(|below| map.contains_key(*below));
    below.map(|below| floor(map, below) + 1).max().unwrap_or(0)
}

/// Whether `above` stands on `below`, be it by what it names.
fn reaches(map: &CrateMap, above: &str, below: &str) -> bool {
    let named = &map[above];
    named.names.contains(below) || named.names.iter().any(|it| map.contains_key(it) && reaches(map, it, below))
}

/// What a it names and does not reach by something else that it names: the lines of the picture.
fn lines_down<'a>(map: &'a CrateMap, name: &'a str) -> impl Iterator<Item = &'a str> {
    let names = map[name].names.iter().filter(|below| map.contains_key(*below));
    names.map(String::as_str).filter(move |below| {
        let mut others = map[name].names.iter().filter(|it| it != below && map.contains_key(*it));
        !others.any(|other| reaches(map, other, below))
    })
}

/// Where a box stands: its left edge, its upper edge and its width.
#[derive(Clone, Copy)]
struct Place {
    left: f64,
    top: f64,
    width: f64,
}

impl Place {
    fn middle(self) -> f64 {
        self.left + self.width / 2.0
    }
}

/// Each floor's row from left to right, above what they stand on.
fn places(map: &CrateMap) -> (BTreeMap<&str, Place>, f64) {
    let floors = map.keys().map(|name| floor(map, name)).max().unwrap_or(0) + 1;
    let height = floors as f64 * FLOOR - (FLOOR - BOX_HEIGHT) + 2.0;
    let mut places = BTreeMap::<&str, Place>::new();
    for at in 0..floors {
        let mut row: Vec<&str> = map.keys().map(String::as_str).filter(|name| floor(map, name) == at).collect();
        let wish = |name: &&str| {
            let below: Vec<f64> = lines_down(map, name).map(|below| places[below].middle()).collect();
            below.iter().sum::<f64>() / below.len().max(1) as f64
        };
        row.sort_by(|one, other| wish(one).total_cmp(&wish(other)));
        let width = ((WIDTH - GAP * (row.len() - 1) as f64) / row.len() as f64 - 2.0).min(400.0);
        let all = width * row.len() as f64 + GAP * (row.len() - 1) as f64;
        let standing = row.iter().enumerate().map(|(index, name)| {
            let left = (WIDTH - all) / 2.0 + index as f64 * (width + GAP);
            (*name, Place { left, top: height - 1.0 - BOX_HEIGHT - at as f64 * FLOOR, width })
        });
        let standing: Vec<_> = standing.collect();
        places.extend(standing);
    }
    (places, height)
}

/// The picture in the colours of a theme.
fn drawn(map: &CrateMap, [paper, ink, quiet, hairline]: &[&str; 4]) -> String {
    let (places, height) = places(map);
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {height}\" width=\"{WIDTH}\" height=\"{height}\" \
         font-family=\"Seravek, 'Segoe UI', Ubuntu, 'Helvetica Neue', 'DejaVu Sans', sans-serif\">\n\
         <rect width=\"{WIDTH}\" height=\"{height}\" fill=\"{paper}\"/>\n"
    );
    let mut put = |text: String| writeln!(svg, "{text}").expect("a text takes all that is written");
    for (name, from) in &places {
        for to in lines_down(map, name).map(|below| places[below]) {
            let [x1, y1, x2, y2] = [from.middle(), from.top + BOX_HEIGHT, to.middle(), to.top].map(f64::round);
            put(format!(
                "<line x1=\"{x1}\" y1=\"{y1}\" x2=\"{x2}\" y2=\"{y2}\" stroke=\"{hairline}\" stroke-width=\"1.5\"/>"
            ));
        }
    }
    for (name, Place { left, top, width }) in &places {
        let [x, y, width] = [*left, *top, *width].map(f64::round);
        put(format!(
            "<rect x=\"{x}\" y=\"{y}\" width=\"{width}\" height=\"{BOX_HEIGHT}\" rx=\"3\" fill=\"{paper}\" stroke=\"{hairline}\"/>"
        ));
        let title = if name.starts_with("klimb") { (*name).to_owned() } else { format!("klimb: src/{name}") };
        let x = x + 10.0;
        put(format!(
            "<text x=\"{x}\" y=\"{}\" font-size=\"14\" font-weight=\"600\" fill=\"{ink}\">{title}</text>",
            y + 21.0
        ));
        let names: Vec<&str> = lines_down(map, name).collect();
        let stands_on = (!names.is_empty()).then(|| format!("stands on {}", names.join(", ")));
        // Lines may pass behind a box, so what a it names is written in its own as well.
        let about = wrapped(&map[*name].about, (width * CHARACTERS) as usize);
        for (index, line) in about.iter().take(3).chain(&stands_on).enumerate() {
            let (y, colour) = (y + 37.0 + 14.0 * index as f64, if index < about.len().min(3) { quiet } else { ink });
            put(format!("<text x=\"{x}\" y=\"{y}\" font-size=\"11\" fill=\"{colour}\">{}</text>", escaped(line)));
        }
    }
    svg + "</svg>\n"
}

/// The words of `text` in lines of at most so many characters.
fn wrapped(text: &str, characters: usize) -> Vec<String> {
    let mut lines = vec![String::new()];
    for word in text.split_whitespace() {
        let last = lines.last_mut().expect("there is one");
        if last.is_empty() {
            word.clone_into(last);
        } else if last.chars().count() + 1 + word.chars().count() <= characters {
            *last += " ";
            *last += word;
        } else {
            lines.push(word.to_owned());
        }
    }
    lines
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('`', "")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::workspace::Workspace;

    fn it(names: &[&str]) -> Crate {
        Crate { about: "what it is".into(), names: names.iter().map(ToString::to_string).collect() }
    }

    #[test]
    fn the_picture_is_of_the_project_as_it_is() {
        let workspace = Workspace::find().unwrap();
        for (path, picture) in pictures(workspace.root()).unwrap() {
            let there = fs::read_to_string(workspace.root().join(&path)).unwrap_or_default();
            assert_eq!(there, picture, "{path} is of another map; run `cargo xtask docs --generate`");
        }
    }

    #[test]
    fn a_room_stands_above_what_it_names_and_lines_lead_to_the_nearest() {
        let map = CrateMap::from([
            ("a".to_owned(), it(&[])),
            ("b".to_owned(), it(&["a", "serde"])),
            ("c".to_owned(), it(&["a", "b"])),
        ]);
        assert_eq!(["a", "b", "c"].map(|name| floor(&map, name)), [0, 1, 2]);
        assert_eq!(lines_down(&map, "c").collect::<Vec<_>>(), ["b"]);
        let (places, _) = places(&map);
        assert!(places["c"].top < places["b"].top && places["b"].top < places["a"].top);
    }

    #[test]
    fn names_are_read_with_their_aliases_and_without_comments() {
        let aliases = aliases("pub use klimb_a::{b, c};\npub use {klimb_d as e, klimb_f as g};\n");
        assert_eq!(aliases.len(), 4, "{aliases:?}");
        let code =
            "use klimb::{b, x};\nuse klimb::b::y; // klimb_no\nuse crate::engine::z;\nuse klimb_f::w;\nlet my_klimb_n;";
        let names: Vec<String> = named(code, &aliases).into_iter().collect();
        assert_eq!(names, ["engine", "klimb-a", "klimb-f"]);
        let manifest = "[dependencies]\nklimb-a.workspace = true\nserde.workspace = true\n[dev-dependencies]\nklimb-b.workspace = true\n";
        assert_eq!(dependencies(&format!("[package]\n\n{manifest}")).into_iter().collect::<Vec<_>>(), ["klimb-a"]);
    }

    #[test]
    fn words_are_put_into_lines() {
        assert_eq!(wrapped("a bb ccc dddd", 5), ["a bb", "ccc", "dddd"]);
    }
}
