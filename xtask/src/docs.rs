//! The book: mdBook over `docs/`, in a theme without scripts, because the page's Content-Security-Policy lets nothing in that
//! is not a file of its own. What does not hold of the built book is refused: a link that leads nowhere, or anything that
//! the policy would stop.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use anyhow::{Context, Result, anyhow, ensure};
use html5gum::{Token, Tokenizer};
use mdbook_driver::MDBook;
use mdbook_driver::config::Config;

use crate::crate_map;
use crate::folders::{copy, files_below};
use crate::process::{self, step};
use crate::workspace::Workspace;

/// Where the book lies in `dist/`.
pub const FOLDER: &str = "book";
/// The address of the page that the book belongs to, from its root.
const PAGE: &str = "../index.html";
/// The page's picture in a browser's tab, which the book shares.
const ICON: &str = "../www/icon.svg";
/// Set, for the tests that hold the generated chapters against the tables: they write these instead.
const WRITE: &str = "KLIMB_WRITE_BOOK";

/// Builds the book into `dist/book`.
pub fn build(workspace: &Workspace) -> Result<()> {
    step("Building the book (mdBook)", "read the message above; docs/ holds the chapters", || {
        write(&workspace.root().join("docs"), &workspace.target().join("book"), &workspace.dist().join(FOLDER))
    })
}

/// Writes the chapters that follow from tables of the code, and the picture of the crates. They lie among the other chapters,
/// so that the book can be read where no tool has run.
pub fn generate(workspace: &Workspace) -> Result<()> {
    let remedy = "mend what the compiler or the test names above";
    step("Writing the chapters that follow from the code", remedy, || {
        let arguments = ["test", "--quiet", "--package", "klimb", "--test", "program", "book::generated"];
        process::run(process::command("cargo", workspace.root(), &arguments).env(WRITE, "1"))
    })?;
    step("Drawing the picture of the crates", remedy, || crate_map::write(workspace.root()))
}

/// Builds the book of the folder `docs` into `book`, by way of the folder `made`, in which mdBook leaves more than that.
pub fn write(docs: &Path, made: &Path, book: &Path) -> Result<()> {
    let mut config = Config::from_disk(docs.join("book.toml"))?;
    config.build.build_dir = made.to_path_buf();
    MDBook::load_with_config(docs, config)?.build()?;
    if book.exists() {
        fs::remove_dir_all(book)?;
    }
    let files = files_below(made)?;
    let mut linked = BTreeSet::new();
    // Whatever else mdBook leaves there is of its own theme.
    for file in files.iter().filter(|file| file.ends_with(".html") && *file != "toc.html") {
        let chapter = with_contents(file, &fs::read_to_string(made.join(file))?)?;
        linked.extend(names(&chapter, &mut |_| {}).links.iter().map(|link| resolved(file, link)));
        put(book, file, |to| Ok(fs::write(to, &chapter)?))?;
    }
    for file in files.iter().filter(|file| linked.contains(*file) && docs.join(file).is_file()) {
        put(book, file, |to| copy(&made.join(file), to))?;
    }
    let complaints = complaints(book)?;
    ensure!(complaints.is_empty(), "{}", complaints.join("\n"));
    Ok(())
}

/// Puts a file into the book, in a folder that is made for it.
fn put(book: &Path, file: &str, write: impl FnOnce(&Path) -> Result<()>) -> Result<()> {
    let to = book.join(file);
    fs::create_dir_all(to.parent().context("a file lies in a folder")?)?;
    write(&to)
}

/// The chapter `file` with the links of its table of contents as they lead from there, and its own marked: mdBook writes them
/// as they lead from the root, for a script to turn. What may be wider than the screen takes the focus, so that the arrow keys
/// can scroll it.
fn with_contents(file: &str, chapter: &str) -> Result<String> {
    let (before, contents) =
        chapter.split_once("<nav id=\"contents\"").context("the theme has no table of contents")?;
    let own = format!("href=\"{file}\"");
    let contents = contents.replace(&own, &format!("{own} aria-current=\"page\""));
    let before = before
        .replace("<pre>", "<pre tabindex=\"0\">")
        .replace("<div class=\"table-wrapper\">", "<div class=\"table-wrapper\" tabindex=\"0\">");
    let to_root = "../".repeat(file.matches('/').count());
    Ok(format!("{before}<nav id=\"contents\"{}", contents.replace("href=\"", &format!("href=\"{to_root}"))))
}

/// What a chapter names: the addresses that it links to or shows, and its anchors.
#[derive(Default)]
struct Names {
    links: Vec<String>,
    anchors: BTreeSet<String>,
}

/// Complaints about the built book: links that lead nowhere, and what the policy would stop.
fn complaints(book: &Path) -> Result<Vec<String>> {
    let files = files_below(book)?;
    let mut complaints = Vec::new();
    let mut chapters = BTreeMap::new();
    for file in files.iter().filter(|file| file.ends_with(".html")) {
        let names =
            names(&fs::read_to_string(book.join(file))?, &mut |what| complaints.push(format!("{file}: {what}")));
        chapters.insert(file.as_str(), names);
    }
    for (file, names) in &chapters {
        for link in &names.links {
            if let Err(why) = follow(file, link, &files, &chapters) {
                complaints.push(format!("{file}: the link {link} leads nowhere: {why}"));
            }
        }
    }
    Ok(complaints)
}

/// Reads a chapter, and complains of what is no plain document.
fn names(chapter: &str, complain: &mut impl FnMut(String)) -> Names {
    let mut names = Names::default();
    for token in Tokenizer::new(chapter) {
        let Ok(Token::StartTag(tag)) = token else { continue };
        let element = String::from_utf8_lossy(&tag.name).into_owned();
        if ["script", "style", "iframe", "form", "base"].contains(&element.as_str()) {
            complain(format!("there is an element <{element}>, which the policy forbids"));
        }
        for (name, value) in &tag.attributes {
            let (name, value) = (String::from_utf8_lossy(name), String::from_utf8_lossy(value).into_owned());
            match name.as_ref() {
                "id" => {
                    let is_new = names.anchors.insert(value.clone());
                    if !is_new {
                        complain(format!("the anchor {value} stands there twice"));
                    }
                }
                "href" | "src" | "srcset" => names.links.push(value),
                "style" => complain(format!("<{element}> has an attribute `style`, which the policy forbids")),
                name if name.starts_with("on") => complain(format!("<{element}> has an attribute `{name}`")),
                _ => {}
            }
        }
    }
    names
}

/// Says why a link of the chapter `file` leads nowhere, if it does.
fn follow(file: &str, link: &str, files: &[String], chapters: &BTreeMap<&str, Names>) -> Result<()> {
    if link.starts_with("https://") {
        return Ok(());
    }
    ensure!(!link.contains("://"), "it is neither the book's nor https");
    let (path, anchor) = link.split_once('#').map_or((link, None), |(path, anchor)| (path, Some(anchor)));
    let target = if path.is_empty() { file.to_owned() } else { resolved(file, path) };
    if target == PAGE || target == ICON {
        return Ok(());
    }
    ensure!(files.contains(&target), "the book has no file {target}");
    if let Some(anchor) = anchor {
        let names = chapters.get(target.as_str()).ok_or_else(|| anyhow!("{target} is no chapter"))?;
        ensure!(names.anchors.contains(anchor), "{target} has no anchor {anchor}");
    }
    Ok(())
}

/// Where `path` leads from the chapter `file`, seen from the book's root.
fn resolved(file: &str, path: &str) -> String {
    let mut parts: Vec<&str> = file.split('/').collect();
    parts.pop();
    for part in path.split('/') {
        match part {
            "." => {}
            ".." if parts.last().is_some_and(|last| *last != "..") => drop(parts.pop()),
            part => parts.push(part),
        }
    }
    parts.join("/")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::workspace::Workspace;

    /// What is complained of in a book of these files.
    fn complaints_about(files: &[(&str, &str)]) -> Vec<String> {
        let book = std::env::temp_dir().join(format!("klimb-book-{}-{}", std::process::id(), files.len()));
        for (file, text) in files {
            let path = book.join(file);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }
        let complaints = complaints(&book).unwrap();
        fs::remove_dir_all(&book).unwrap();
        complaints
    }

    #[test]
    fn every_link_of_the_book_leads_somewhere_and_nothing_in_it_needs_a_script() {
        let root = Workspace::find().unwrap().root().to_path_buf();
        let made = std::env::temp_dir().join(format!("klimb-made-{}", std::process::id()));
        let book = made.join("book");
        // Refuses what is wrong.
        write(&root.join("docs"), &made.join("made"), &book).unwrap();
        let files = files_below(&book).unwrap();
        assert!(files.iter().all(|file| !file.ends_with(".js") && !file.contains("font")), "{files:?}");
        for chapter in files_below(&root.join("docs")).unwrap().iter().filter_map(|file| file.strip_suffix(".md")) {
            let is_there = chapter == "SUMMARY" || files.contains(&format!("{chapter}.html"));
            assert!(is_there, "docs/SUMMARY.md does not name {chapter}.md");
        }
        let deep = fs::read_to_string(book.join("guide/settings.html")).unwrap();
        assert!(deep.contains("<a href=\"../guide/settings.html\" aria-current=\"page\">"), "{deep}");
        fs::remove_dir_all(&made).unwrap();
    }

    #[test]
    fn the_rules_find_what_leads_nowhere() {
        let good =
            "<h1 id=\"top\">A</h1><a href=\"b/c.html#top\"></a><a href=\"#top\"></a><a href=\"https://a.org\"></a>";
        let deep = "<h1 id=\"top\">C</h1><a href=\"../a.html\"></a><a href=\"../../index.html\"></a>";
        assert_eq!(complaints_about(&[("a.html", good), ("b/c.html", deep)]), [""; 0]);
        for bad in ["b.html", "#nowhere", "b/c.html#nowhere", "http://a.org", "../other.html"] {
            let bad = format!("<a href=\"{bad}\"></a>");
            let complaints = complaints_about(&[("a.html", &bad), ("b/c.html", deep), ("d.txt", "")]);
            assert_eq!(complaints.len(), 1, "{bad}: {complaints:?}");
        }
    }

    #[test]
    fn the_rules_find_what_the_policy_stops() {
        for bad in ["<script>1</script>", "<p style=\"color: red\">", "<p onclick=\"f()\">", "<b id=\"x\"><i id=\"x\">"]
        {
            assert_eq!(complaints_about(&[("a.html", bad)]).len(), 1, "{bad}");
        }
    }
}
