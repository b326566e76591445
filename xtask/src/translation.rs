//! The texts of an HTML page, and the page in another language.
//!
//! A text is what a translator wants to see at once: a sentence with the elements inside of it, so that it can be put in
//! another order. What is not written for people, and what is marked as another language by `lang`, is left alone.

use std::collections::BTreeMap;
use std::ops::Range;

use html5gum::{DefaultEmitter, Span, StartTag, Token, Tokenizer};

/// Elements that stand inside of a sentence; every other one is where a text begins or ends.
const INLINE: &[&str] = &["b", "br", "cite", "code", "em", "i", "kbd", "small", "span", "strong", "sub", "sup"];
/// Elements without an end.
const VOID: &[&str] = &["br", "img", "input", "link", "meta", "source"];
/// Attributes that people read or hear.
const ATTRIBUTES: &[&str] = &["alt", "aria-label", "placeholder", "title"];

/// A text of the page.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Text {
    /// Where it stands in the page.
    pub place: Range<usize>,
    /// What it is in a catalogue: the text with single spaces.
    pub key: String,
}

/// Every text of a page, in order.
pub fn texts(html: &str) -> Vec<Text> {
    let mut reader = Reader { html, texts: Vec::new(), open: Vec::new(), begin: 0, has_decimals: false };
    // Reading from memory cannot fail.
    for Ok(token) in Tokenizer::new_with_emitter(html, DefaultEmitter::<usize>::new_with_span()) {
        match token {
            Token::StartTag(tag) => reader.start(&tag),
            Token::EndTag(tag) => reader.end(&text(&tag.name), tag.span),
            _ => {}
        }
    }
    reader.texts
}

/// The page in `language`, by a catalogue that has it under the English.
///
/// # Errors
/// The texts that the catalogue lacks.
pub fn translated(html: &str, language: &str, catalogue: &BTreeMap<String, String>) -> Result<String, Vec<String>> {
    let texts = texts(html);
    let missing: Vec<String> =
        texts.iter().map(|text| &text.key).filter(|key| !catalogue.contains_key(*key)).cloned().collect();
    if !missing.is_empty() {
        return Err(missing);
    }
    let mut page = html.to_owned();
    for text in texts.into_iter().rev() {
        page.replace_range(text.place, &catalogue[&text.key]);
    }
    Ok(page.replacen("<html lang=\"en\"", &format!("<html lang=\"{language}\""), 1))
}

/// The tags of a text, in alphabetical order: a translation has the same.
#[cfg(test)]
pub fn tags(text: &str) -> Vec<&str> {
    let parts = text.split('<').skip(1).filter_map(|part| Some(&part[..part.find('>')?]));
    let mut tags: Vec<&str> = parts.collect();
    tags.sort_unstable();
    tags
}

struct Open {
    name: String,
    is_foreign: bool,
}

struct Reader<'a> {
    html: &'a str,
    texts: Vec<Text>,
    open: Vec<Open>,
    /// Where the last text ended, or could not begin earlier.
    begin: usize,
    /// Whether the formula has decimals in it, or numbers that the page writes: what stands between them is punctuation of
    /// the language, too.
    has_decimals: bool,
}

impl Reader<'_> {
    fn start(&mut self, tag: &StartTag<usize>) {
        let name = text(&tag.name);
        let is_inline = INLINE.contains(&name.as_str());
        // Foreign words inside of a sentence are the translator's business.
        let has_language = tag.attributes.contains_key(&b"lang"[..]) && name != "html" && !is_inline;
        let is_foreign = self.is_foreign() || has_language || matches!(name.as_str(), "script" | "style");
        if !is_inline {
            self.finish(tag.span.start);
            self.begin = tag.span.end;
        }
        if name == "math" {
            let formula = self.html[tag.span.end..].split("</math>").next().unwrap_or_default();
            let mut numbers = formula.split("</mn>").filter_map(|it| it.split_once("<mn")?.1.split_once('>'));
            self.has_decimals = numbers.any(|(_, number)| number.is_empty() || number.contains('.'));
        }
        if !is_foreign {
            self.attributes(&name, tag);
        }
        if !tag.self_closing && !VOID.contains(&name.as_str()) {
            self.open.push(Open { name, is_foreign });
        }
    }

    fn end(&mut self, name: &str, span: Span<usize>) {
        if !INLINE.contains(&name) {
            self.finish(span.start);
            self.begin = span.end;
        }
        if let Some(at) = self.open.iter().rposition(|open| open.name == name) {
            self.open.truncate(at);
        }
    }

    fn is_foreign(&self) -> bool {
        self.open.last().is_some_and(|open| open.is_foreign)
    }

    fn attributes(&mut self, name: &str, tag: &StartTag<usize>) {
        let is_description =
            name == "meta" && tag.attributes.get(&b"name"[..]).is_some_and(|its| its.as_slice() == b"description");
        for (attribute, value) in &tag.attributes {
            let (attribute, value) = (text(attribute), text(value));
            if ATTRIBUTES.contains(&attribute.as_str()) || is_description && attribute == "content" {
                // Where a value stands is not among what the tokenizer tells reliably.
                let (before, all) = (format!(" {attribute}=\""), &self.html[tag.span.start..tag.span.end]);
                let at = all.find(&format!("{before}{value}\"")).expect("attributes stand in quotes, without escapes");
                let start = tag.span.start + at + before.len();
                self.take(start..start + value.len());
            }
        }
    }

    /// Ends the text that began after the last tag that is none of a sentence.
    fn finish(&mut self, end: usize) {
        if self.is_foreign() || self.begin >= end {
            return;
        }
        let is_formula = self.open.iter().any(|open| open.name == "math");
        let parent = self.open.last().map_or("", |open| &open.name);
        let is_written = match parent {
            _ if !is_formula => true,
            "mtext" | "mn" => true,
            "mo" => self.has_decimals && self.html[self.begin..end].trim() == ",",
            _ => false,
        };
        if is_written {
            self.take(self.begin..end);
        }
    }

    fn take(&mut self, place: Range<usize>) {
        let mut place = trimmed(self.html, place);
        while let Some(inner) = unwrapped(self.html, &place) {
            place = trimmed(self.html, inner);
        }
        let key = self.html[place.clone()].split_whitespace().collect::<Vec<_>>().join(" ");
        if key == "," || is_said(&key) {
            self.texts.push(Text { place, key });
        }
    }
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

fn trimmed(html: &str, place: Range<usize>) -> Range<usize> {
    let text = &html[place.clone()];
    let start = place.start + text.len() - text.trim_start().len();
    let end = place.end - (text.len() - text.trim_end().len());
    start..end.max(start)
}

/// What is inside of an element that is all of the text.
fn unwrapped(html: &str, place: &Range<usize>) -> Option<Range<usize>> {
    let text = &html[place.clone()];
    let tag = text.strip_prefix('<')?.split('>').next()?;
    let name = tag.split_whitespace().next()?;
    let (opening, closing) = (format!("<{name}"), format!("</{name}>"));
    let inner = text.strip_suffix(closing.as_str())?.get(tag.len() + 2..)?;
    let is_one = inner.find(closing.as_str()).is_none_or(|end| inner[..end].contains(opening.as_str()));
    let start = place.start + tag.len() + 2;
    is_one.then(|| start..start + inner.len())
}

/// Whether a text has a word in it, or a number that another language writes otherwise.
fn is_said(text: &str) -> bool {
    let mut plain = String::new();
    for part in text.split('<') {
        plain += part.split_once('>').map_or(part, |(_, behind)| behind);
    }
    let bytes = plain.as_bytes();
    plain.chars().any(char::is_alphabetic)
        || bytes.windows(3).any(|it| it[0].is_ascii_digit() && it[1] == b'.' && it[2].is_ascii_digit())
}

#[cfg(test)]
mod tests {
    use super::*;

    const PAGE: &str = r#"<!doctype html>
<html lang="en"><head><meta name="description" content="All of it."><meta name="viewport" content="width=1"><title>A page</title>
<script>let words = "none";</script></head><body>
<p id="a">One   <b id="x">bold</b> word,
 π<sub>ref</sub>.</p>
<label title="A hint">seed <input placeholder="here" aria-label="Seed"> <select><option value="auto">auto</option><option>0.5</option><option>3 %</option></select></label>
<p><span class="wrapped">Alone.</span> <button>Go</button> <a lang="de" title="Auf Deutsch">Deutsch</a></p>
<p><em>One</em> and <em lang="la">duo</em></p><input lang="en" placeholder="a film">
<math aria-label="A loss"><mi>log</mi><mo>,</mo><mtext>old</mtext></math><math><mn>0.8</mn><mo>,</mo><mo>=</mo></math>
<math><mn>1</mn><mo>,</mo></math><math><mn id="b"></mn><mo>,</mo></math>
</body></html>"#;

    #[test]
    fn texts_are_whole_sentences_and_what_people_read_or_hear() {
        let keys: Vec<String> = texts(PAGE).into_iter().map(|text| text.key).collect();
        assert_eq!(
            keys,
            [
                "All of it.",
                "A page",
                "One <b id=\"x\">bold</b> word, π<sub>ref</sub>.",
                "A hint",
                "seed",
                "Seed",
                "here",
                "auto",
                "0.5",
                "Alone.",
                "Go",
                "<em>One</em> and <em lang=\"la\">duo</em>",
                "A loss",
                "old",
                "0.8",
                ",",
                ",",
            ]
        );
    }

    #[test]
    fn another_language_stands_in_the_same_places_and_what_is_missing_is_named() {
        let catalogue: BTreeMap<String, String> =
            texts(PAGE).into_iter().map(|text| (text.key.clone(), format!("[{}]", text.key))).collect();
        let page = translated(PAGE, "de", &catalogue).unwrap();
        assert!(page.starts_with("<!doctype html>\n<html lang=\"de\">"), "{page}");
        for part in [
            "content=\"[All of it.]\"",
            "<p id=\"a\">[One <b id=\"x\">bold</b> word, π<sub>ref</sub>.]</p>",
            "<label title=\"[A hint]\">[seed] <input placeholder=\"[here]\"",
            "<span class=\"wrapped\">[Alone.]</span>",
            "<a lang=\"de\" title=\"Auf Deutsch\">Deutsch</a>",
            "<mi>log</mi><mo>,</mo><mtext>[old]</mtext>",
            "<mo>[,]</mo>",
            "<mn>1</mn><mo>,</mo>",
        ] {
            assert!(page.contains(part), "{part} is not in {page}");
        }
        assert_eq!(translated(PAGE, "de", &BTreeMap::new()).unwrap_err().len(), 17);
    }

    #[test]
    fn tags_are_told_in_any_order() {
        assert_eq!(tags("a <b>c</b> <i x=\"1\">d</i>"), tags("<i x=\"1\">d</i> <b>c</b>"));
        assert_ne!(tags("a <b>c</b>"), tags("a c"));
    }
}
