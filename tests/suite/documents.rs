//! What is written about the project: links of the files at the top, names in the book's chapters about the code, the length
//! of the README, the form of decision records, and the colours of the book.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

/// Documents that are no part of the book, whose links `cargo xtask docs` follows.
const AT_THE_TOP: &[&str] = &[
    "README.md",
    "ARCHITECTURE.md",
    "CONTRIBUTING.md",
    "CHANGELOG.md",
    "SECURITY.md",
    "tests/data/compatible/README.md",
];
const LONGEST_README: usize = 150;

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn read(path: &str) -> String {
    fs::read_to_string(root().join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// The files below `folder` with this ending, as paths below the root.
fn files(folder: &str, ending: &str) -> Vec<String> {
    let mut found = Vec::new();
    let mut folders = vec![PathBuf::from(folder)];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(root().join(&folder)).expect("a folder") {
            let path = folder.join(entry.expect("an entry").file_name());
            let name = path.to_string_lossy().replace('\\', "/");
            if root().join(&path).is_dir() {
                folders.push(path);
            } else if name.ends_with(ending) {
                found.push(name);
            }
        }
    }
    found.sort();
    found
}

/// A document without its blocks of code.
fn prose(text: &str) -> String {
    text.split("```").step_by(2).collect()
}

/// The targets of the links of a document.
fn links(text: &str) -> Vec<String> {
    let prose = prose(text);
    let targets = prose.split("](").skip(1).filter_map(|rest| rest.split_once(')'));
    targets.map(|(target, _)| target.to_owned()).collect()
}

/// What a heading is called in a link.
fn anchor(heading: &str) -> String {
    let letters = heading.trim().to_lowercase();
    let kept = letters.chars().filter(|letter| letter.is_alphanumeric() || matches!(letter, ' ' | '-' | '_'));
    kept.map(|letter| if letter == ' ' { '-' } else { letter }).collect()
}

/// Says why a link of the document at `path` leads nowhere, if it does.
fn follow(path: &str, link: &str) -> Result<(), String> {
    if link.starts_with("https://") {
        return Ok(());
    }
    let (target, name) = link.split_once('#').map_or((link, None), |(target, name)| (target, Some(name)));
    let folder = Path::new(path).parent().expect("a file has a folder");
    let file = if target.is_empty() { root().join(path) } else { root().join(folder).join(target) };
    let text = fs::read(&file).map_err(|error| format!("{}: {error}", file.display()))?;
    let Some(name) = name else { return Ok(()) };
    let text = prose(&String::from_utf8_lossy(&text));
    let mut headings = text.lines().filter(|line| line.starts_with('#'));
    let is_there = headings.any(|line| anchor(line.trim_start_matches('#')) == name);
    is_there.then_some(()).ok_or_else(|| format!("{} has no heading {name}", file.display()))
}

/// The pieces of code in the prose of a document.
fn code_spans(text: &str) -> Vec<String> {
    let prose = prose(text);
    prose.lines().flat_map(|line| line.split('`').skip(1).step_by(2).map(str::to_owned).collect::<Vec<_>>()).collect()
}

fn is_word(letter: char) -> bool {
    letter.is_alphanumeric() || letter == '_'
}

/// All that Rust sources name, file by file.
struct Sources {
    /// Each file's path with the words in it.
    words: BTreeMap<String, BTreeSet<String>>,
    /// What they define, by the words before a name: `fn`, `struct`, `mod` and so on.
    defined: BTreeSet<String>,
}

impl Sources {
    fn read() -> Self {
        let mut words = BTreeMap::new();
        let mut defined = BTreeSet::new();
        for path in ["src", "crates", "xtask/src"].iter().flat_map(|folder| files(folder, ".rs")) {
            let text = read(&path);
            let text: Vec<&str> =
                text.lines().map(|line| line.split_once("//").map_or(line, |(code, _)| code)).collect();
            let text = text.join("\n");
            // A module is also called by the name of its file or folder.
            defined.extend(path.split(['/', '.']).map(str::to_owned));
            let all: Vec<&str> = text.split(|letter| !is_word(letter)).filter(|word| !word.is_empty()).collect();
            for pair in all.windows(2) {
                let definers = ["fn", "struct", "enum", "trait", "mod", "const", "static", "type", "macro_rules"];
                if definers.contains(&pair[0]) {
                    defined.insert(pair[1].to_owned());
                }
            }
            words.insert(path, all.into_iter().map(str::to_owned).collect());
        }
        Self { words, defined }
    }

    /// Says what of the path `a::b::C` there is not. Its last two names stand in one file, or the last one in the module of the
    /// name before.
    fn check(&self, path: &str) -> Result<(), String> {
        let names: Vec<&str> = path.split("::").collect();
        for pair in names.windows(2) {
            let (owner, name) = (pair[0], pair[1]);
            let of_module = |file: &str| file.split(['/', '.']).any(|part| part.replace('-', "_") == owner);
            let is_there = self
                .words
                .iter()
                .any(|(file, words)| words.contains(name) && (words.contains(owner) || of_module(file)));
            let is_crate = self.words.keys().any(|file| file.contains(&owner.replace('_', "-")));
            let owner_is_known = self.defined.contains(owner) || is_crate || owner == "klimb" || owner == "xtask";
            if !owner_is_known || !is_there {
                return Err(format!("no source has {owner}::{name}"));
            }
        }
        Ok(())
    }
}

/// The path of names in a piece of code: `Page::input` of `Page::input(event)`; `None` where it is none of Rust's.
fn path_of(code: &str) -> Option<&str> {
    let end = code.find(|letter: char| !is_word(letter) && letter != ':').unwrap_or(code.len());
    let path = code[..end].trim_end_matches(':');
    path.contains("::").then_some(path)
}

#[test]
fn every_link_at_the_top_leads_somewhere() {
    let mut complaints = Vec::new();
    for path in AT_THE_TOP {
        for link in links(&read(path)) {
            complaints.extend(follow(path, &link).err().map(|why| format!("{path}: {link}: {why}")));
        }
    }
    assert!(complaints.is_empty(), "\n{}\n", complaints.join("\n"));
    assert!(follow("README.md", "nowhere.md").is_err());
    assert!(follow("README.md", "docs/develop/map.md#nowhere").is_err());
    assert_eq!(follow("README.md", "docs/develop/map.md#methods-are-a-table"), Ok(()));
}

#[test]
fn the_readme_is_short() {
    let lines = read("README.md").lines().count();
    assert!(
        lines <= LONGEST_README,
        "README.md has {lines} lines; what is more than {LONGEST_README} belongs into docs/"
    );
}

#[test]
fn names_of_the_code_in_the_book_exist() {
    let sources = Sources::read();
    let mut complaints = Vec::new();
    let mut checked = 0;
    for chapter in files("docs/develop", ".md").into_iter().chain(files("docs/explain", ".md")) {
        for code in code_spans(&read(&chapter)) {
            let is_file = code.contains('/') && !code.contains([' ', '*', '{', ',', '…', ':']);
            let is_source =
                [".rs", ".js", ".wgsl", ".css", ".json", ".html"].iter().any(|ending| code.ends_with(ending));
            if let Some(path) = path_of(&code) {
                checked += 1;
                complaints.extend(sources.check(path).err().map(|why| format!("{chapter}: `{code}`: {why}")));
            } else if is_file && is_source {
                checked += 1;
                let ends = |file: &String| file.ends_with(&format!("/{code}")) || *file == code;
                let is_there = root().join(&code).exists() || sources.words.keys().any(ends);
                if !is_there && !code.starts_with("dist/") {
                    complaints.push(format!("{chapter}: there is no file {code}"));
                }
            }
        }
    }
    assert!(complaints.is_empty(), "\n{}\n", complaints.join("\n"));
    assert!(checked > 100, "only {checked} names were found");
    assert_eq!(sources.check("Session::advance"), Ok(()));
    for wrong in ["Session::advance_backwards", "Sessions::advance", "page::frontier::draw_nothing"] {
        assert!(sources.check(wrong).is_err(), "{wrong}");
    }
}

#[test]
fn the_chapter_on_teaching_names_every_part_that_an_address_can_hide() {
    let chapter = read("docs/guide/teaching.md");
    let line = chapter.lines().find(|line| line.starts_with("`hide` takes")).expect("the sentence about them");
    let told: Vec<String> = code_spans(line).into_iter().skip(1).collect();
    assert_eq!(told, klimb::page::model::presentation::PARTS.map(|(name, _)| name));
}

#[test]
fn decisions_have_their_parts_and_a_date() {
    for record in files("docs/decisions", ".md").iter().filter(|path| !path.ends_with("index.md")) {
        let text = read(record);
        let dated = text.match_indices("202").any(|(at, _)| text[at..].get(4..5) == Some("-"));
        for part in ["**Context", "**Measurement", "ecision.**", "**When to change it.**"] {
            assert!(text.contains(part), "{record} lacks {part}");
        }
        assert!(dated, "{record} has no date");
    }
}

#[test]
fn the_book_has_the_colours_of_the_page() {
    /// The first two values of a variable: by day and by night.
    fn values(sheet: &str, name: &str) -> Vec<String> {
        let declared = format!("--{name}: ");
        let values = sheet.split(&declared).skip(1).filter_map(|rest| rest.split_once(';'));
        values.map(|(value, _)| value.to_owned()).take(2).collect()
    }
    let (page, book) = (read("www/style.css"), read("docs/book.css"));
    for name in ["paper", "ink", "quiet", "hairline", "shade", "dpo"] {
        assert_eq!(values(&page, name).len(), 2, "{name}");
        assert_eq!(values(&book, name), values(&page, name), "--{name} of docs/book.css");
    }
}

#[test]
fn sentences_stand_one_a_line() {
    let mut complaints = Vec::new();
    let chapters =
        ["docs/guide", "docs/develop", "docs/explain", "docs/decisions"].iter().flat_map(|it| files(it, ".md"));
    for chapter in chapters.chain(AT_THE_TOP.iter().map(ToString::to_string)) {
        let text = read(&chapter);
        // Its sentences stand in tables of the code.
        if text.contains("This chapter is made from the code") {
            continue;
        }
        for line in prose(&text).lines().filter(|line| !line.starts_with(['|', '#', '<'])) {
            let begins_another = |(at, _): (usize, &str)| {
                let rest = &line[at + 2..];
                // The number of an item, or a letter of a name, ends no sentence.
                let ends = line[..at].trim_start().parse::<u32>().is_err() && !line[..at].ends_with(char::is_uppercase);
                ends && rest.starts_with(char::is_uppercase)
            };
            if line.match_indices(". ").any(begins_another) {
                complaints.push(format!("{chapter}: two sentences: {line}"));
            }
        }
    }
    assert!(complaints.is_empty(), "\n{}\n", complaints.join("\n"));
}
