//! Every text that people read is in every catalogue of `www/languages`, and nothing else is. The texts are found in
//! `index.html`, in the sources, by how they are said, and in the tables of knobs, numbers, tour and clinic.
//!
//! More than 400 lines, because every kind of text has its own place where it is looked for.

#[path = "../../xtask/src/translation.rs"]
#[allow(dead_code)]
mod translation;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use klimb::engine::protocol::Stage;
use klimb::engine::settings::{KNOBS, Settings};
use klimb::metrics::{DEFINITIONS, QUANTITIES};
use klimb::page::model::clinic::CASES;
use klimb::page::model::presentation::Presentation;
use klimb::page::model::receipt::Receipt;
use klimb::page::model::sweep::SweepState;
use klimb::page::model::tour::STOPS;
use klimb::words;
use klimb::world::preferences::from_jsonl;
use klimb::world::{World, WorldSettings};

/// How a text is said, or marked to be said later.
const SAID: [&str; 3] = ["say(", "say!(", "key("];
/// Where sentences are put together in English that the page recognises: failures with their remedies, and what the engine
/// reports in words. All that has several words there is taken for one.
const REPORTED: &[&str] = &[
    "crates/klimb-metrics/src/method.rs",
    "crates/klimb-network/src/backend/error.rs",
    "crates/klimb-charts/src/lib.rs",
    "src/engine/session",
    "src/engine/settings",
    "src/engine/worker",
    "crates/klimb-text/src/json",
    "crates/klimb-network/src/model/checkpoint.rs",
    "crates/klimb-network/src/model/config.rs",
    "src/page/view/address.rs",
    "src/page/model/chosen_files.rs",
    "src/page/view/controls.rs",
    "src/page/view/page.rs",
    "src/page/view/files.rs",
    "src/page/model/submitted_files.rs",
    "src/page/model/imported_runs.rs",
    "src/page/model/saved_session",
    "src/page/view/presentation.rs",
    "src/page/model/presentation.rs",
    "src/page/view/notices.rs",
    "src/page/model/receipt.rs",
    "src/page/view/recorded.rs",
    "src/page/view/session_store",
    "crates/klimb-text/src/text.rs",
    "crates/klimb-world/src/preferences",
    "crates/klimb-world/src/preferences.rs",
    "crates/klimb-world/src/settings.rs",
];
/// What stands before a text that no visitor reads.
const UNSAID: &[&str] = &["expect", "panic!(", "unreachable!(", "assert", "Generator::", "strip_prefix("];
/// A catalogue's decimal mark, which numbers ask for.
const DECIMAL_MARK: &str = ".";

type Catalogue = BTreeMap<String, String>;

fn read(path: &str) -> String {
    fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(path))
        .unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// Every Rust file at or below a path, without its tests.
fn sources(path: &str) -> Vec<String> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join(path);
    let (mut found, mut left) = (Vec::new(), vec![root]);
    while let Some(path) = left.pop() {
        if path.is_dir() {
            let entries: Vec<PathBuf> = fs::read_dir(&path).unwrap().map(|entry| entry.unwrap().path()).collect();
            left.extend(entries);
        } else if path.extension().is_some_and(|it| it == "rs") && !path.ends_with("tests.rs") {
            found.push(fs::read_to_string(&path).unwrap());
        }
    }
    assert!(!found.is_empty(), "{path} has no sources");
    found.iter().map(|text| text.split("#[cfg(test)]\nmod tests {").next().unwrap_or_default().to_owned()).collect()
}

/// Every string literal of a source with what stands before it, comments left out.
fn literals(source: &str) -> Vec<(&str, String)> {
    let mut found = Vec::new();
    let (bytes, mut at, mut after) = (source.as_bytes(), 0, 0);
    while at < bytes.len() {
        match &bytes[at..] {
            [b'/', b'/', ..] => at += source[at..].find('\n').unwrap_or(source.len() - at),
            [b'\'', b'"', b'\'', ..] => at += 3,
            [b'"', ..] => {
                let (text, length) = literal(&source[at..]);
                found.push((&source[after..at], text));
                at += length;
                after = at;
            }
            _ => at += 1,
        }
    }
    found
}

/// The value of the literal that a text begins with, and its length in the source.
fn literal(source: &str) -> (String, usize) {
    let (mut value, mut letters) = (String::new(), source.char_indices().skip(1).peekable());
    while let Some((at, letter)) = letters.next() {
        match letter {
            '"' => return (value, at + 1),
            '\\' => match letters.next().map(|(_, escaped)| escaped) {
                Some('n') => value.push('\n'),
                Some('\n') => while letters.next_if(|(_, letter)| letter.is_whitespace()).is_some() {},
                Some('u') => {
                    let digits: String =
                        letters.by_ref().skip(1).map(|(_, it)| it).take_while(|it| *it != '}').collect();
                    value.extend(u32::from_str_radix(&digits, 16).ok().and_then(char::from_u32));
                }
                escaped => value.extend(escaped),
            },
            letter => value.push(letter),
        }
    }
    panic!("a literal has no end: {source:.60}");
}

fn stands_behind(before: &str, marks: &[&str]) -> bool {
    marks.iter().any(|mark| {
        before
            .trim_end()
            .strip_suffix(mark)
            .is_some_and(|rest| !rest.ends_with(|it: char| it.is_alphanumeric() || it == '_'))
    })
}

/// The texts that a source says.
fn said(source: &str) -> Vec<String> {
    literals(source).into_iter().filter(|(before, _)| stands_behind(before, &SAID)).map(|(_, text)| text).collect()
}

/// The sentences of a source that reports in English, with `{}` where `format!` or an error has values.
fn reported(source: &str) -> Vec<String> {
    let is_unsaid = |before: &str| {
        let statement = before.rsplit([';', '{', '}']).next().unwrap_or_default();
        UNSAID.iter().any(|mark| statement.contains(mark))
    };
    let texts = literals(source).into_iter().filter(|(before, _)| !is_unsaid(before));
    texts.map(|(_, text)| template(&text)).filter(|text| has_several_words(text)).collect()
}

/// A text of `format!` as catalogues have it.
fn template(text: &str) -> String {
    let (mut template, mut rest) = (String::new(), text);
    while let Some(at) = rest.find(['{', '}']) {
        template += &rest[..at];
        let (brace, inside) = rest[at..].split_at(1);
        rest = match inside.find('}') {
            _ if inside.starts_with(brace) => {
                template += &inside[..1];
                &inside[1..]
            }
            Some(end) => {
                template += "{}";
                &inside[end + 1..]
            }
            None => inside,
        };
    }
    template + rest
}

fn has_several_words(text: &str) -> bool {
    let plain = text.replace("{}", "");
    plain.trim().contains(' ')
        && plain.split_whitespace().any(|word| word.chars().filter(|it| it.is_alphabetic()).count() > 1)
}

fn tables() -> Vec<&'static str> {
    let mut texts: Vec<&str> = Stage::ALL.iter().map(|stage| stage.name()).collect();
    for knob in &KNOBS {
        texts.extend([knob.label, knob.meaning]);
        texts.extend(knob.values.names);
    }
    for number in DEFINITIONS {
        texts.extend([number.label, number.unit, number.definition, number.how_to_read]);
    }
    for stop in &STOPS {
        texts.extend([stop.title, stop.act, stop.then]);
        texts.extend(stop.text);
    }
    for case in &CASES {
        texts.extend([case.title, case.see, case.why, case.cure]);
    }
    texts.extend(QUANTITIES.iter().flat_map(|(_, label, meaning)| [*label, *meaning]));
    texts.retain(|text| text.chars().any(char::is_alphabetic));
    texts
}

/// Every text of the page.
fn keys() -> BTreeSet<String> {
    let page = translation::texts(&read("index.html")).into_iter().map(|text| text.key);
    let speaking = [
        "src/page",
        "src/engine/session",
        "crates/klimb-charts/src",
        "crates/klimb-metrics/src/method.rs",
        "crates/klimb-align/src/algorithms",
    ];
    let said = speaking.into_iter().flat_map(sources).flat_map(|source| said(&source));
    let reported = REPORTED.iter().flat_map(|path| sources(path)).flat_map(|source| reported(&source));
    page.chain(said).chain(reported).chain(tables().into_iter().map(str::to_owned)).collect()
}

fn catalogues() -> Vec<(String, Catalogue)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("www/languages");
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).expect("www/languages") {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        let text = fs::read_to_string(&path).unwrap();
        let catalogue: Catalogue = serde_json::from_str(&text).unwrap_or_else(|error| panic!("{name}: {error}"));
        let lines = text.lines().filter(|line| line.contains("\": \"")).count();
        assert_eq!(catalogue.len(), lines, "{name} has a text twice, or two in a line");
        found.push((name, catalogue));
    }
    found
}

/// What is wrong with a catalogue.
fn complaints(keys: &BTreeSet<String>, catalogue: &Catalogue) -> Vec<String> {
    let missing = keys.iter().filter(|key| !catalogue.contains_key(*key)).map(|key| format!("is missing: “{key}”"));
    let is_unused = |key: &&String| !keys.contains(*key) && *key != DECIMAL_MARK;
    let unused = catalogue.keys().filter(is_unused).map(|key| format!("is said nowhere: “{key}”"));
    let broken =
        catalogue.iter().filter_map(|(key, text)| Some(format!("{}: “{key}” is “{text}”", disagreement(key, text)?)));
    missing.chain(unused).chain(broken).collect()
}

/// In what a text is not the same in the other language, beside the words.
fn disagreement(key: &str, text: &str) -> Option<&'static str> {
    let ends = |text: &str| (text.starts_with(' '), text.ends_with(' '), text.trim().is_empty());
    match () {
        () if places(key) != places(text) => Some("other values"),
        () if translation::tags(key) != translation::tags(text) => Some("other elements"),
        () if ends(key) != ends(text) => Some("other spaces at the ends"),
        () => None,
    }
}

/// The values that a text asks for, by their numbers.
fn places(text: &str) -> Vec<usize> {
    let inside = text.split('{').skip(1).filter_map(|part| part.split_once('}')).map(|(inside, _)| inside);
    let is_place = |inside: &&str| inside.bytes().all(|it| it.is_ascii_digit());
    let mut places: Vec<usize> =
        inside.filter(is_place).enumerate().map(|(next, inside)| inside.parse().unwrap_or(next)).collect();
    places.sort_unstable();
    places
}

fn assert_none(complaints: Vec<String>) {
    assert!(complaints.is_empty(), "\n{}\n", complaints.join("\n"));
}

#[test]
fn every_catalogue_has_every_text_and_no_other() {
    let keys = keys();
    for (name, catalogue) in catalogues() {
        assert_none(complaints(&keys, &catalogue).into_iter().map(|it| format!("{name} {it}")).collect());
    }
}

#[test]
fn german_is_set_as_german() {
    let (_, german) = catalogues().into_iter().find(|(name, _)| name == "de.json").expect("www/languages/de.json");
    assert_eq!(german[DECIMAL_MARK], ",");
    let is_english = |text: &str| {
        let plain: String =
            text.split('<').map(|part| part.split_once('>').map_or(part, |(_, behind)| behind)).collect();
        plain.contains('”') || plain.matches('„').count() != plain.matches('“').count() || plain.contains(" - ")
    };
    let wrong = german.values().filter(|text| is_english(text) && !text.contains("\": \""));
    assert_none(wrong.map(|text| format!("quotes or dashes are not German: {text}")).collect());
}

#[test]
fn texts_are_found_however_they_are_said() {
    let source = r#"
        dom::set_text("said", say("Opened."));
        let text = say!("{} of {}", a, b); // say("not this")
        let long = say!(
            "One \
             line, “quoted” and \"quoted\"",
            a
        );
        const C: [&str; 1] = [key("later")];
        let other = essay("no"); monkey("no"); '"'; say(name)
    "#;
    assert_eq!(said(source), ["Opened.", "{} of {}", "One line, “quoted” and \"quoted\"", "later"]);
    let source = r#"
        #[error("{field}: the width is {0:?}, {{or}} not")]
        sentence: format!("It is {noise:.0} % at {}.", x), remedy: "Try again.".into(), field: Some("seed".into()),
        let it = x.expect("a bug of ours");
    "#;
    assert_eq!(reported(source), ["{}: the width is {}, {or} not", "It is {} % at {}.", "Try again."]);
}

#[test]
fn a_catalogue_that_is_not_whole_is_complained_of() {
    let keys: BTreeSet<String> = ["a {} of {}", "<b>bold</b> ", "c"].map(str::to_owned).into();
    let good: Catalogue = [("a {} of {}", "{1}, {0}"), ("<b>bold</b> ", "<b>fett</b> "), ("c", "d"), (".", ",")]
        .map(|(key, text)| (key.to_owned(), text.to_owned()))
        .into();
    assert_none(complaints(&keys, &good));
    let with =
        |key: &str, text: &str| Catalogue::from_iter(good.clone().into_iter().chain([(key.into(), text.into())]));
    let mut without = good.clone();
    without.remove("c");
    for (catalogue, words) in [
        (without, "is missing: “c”"),
        (with("e", "f"), "is said nowhere: “e”"),
        (with("a {} of {}", "{0}, {0}"), "other values"),
        (with("a {} of {}", "{}"), "other values"),
        (with("<b>bold</b> ", "fett "), "other elements"),
        (with("<b>bold</b> ", "<b>fett</b>"), "other spaces"),
    ] {
        let complaints = complaints(&keys, &catalogue);
        assert!(complaints.len() == 1 && complaints[0].contains(words), "{words}: {complaints:?}");
    }
}

/// What names the stages that β holds is made of the table, for any number of them.
#[test]
fn the_stages_that_beta_holds_are_named_in_german_too() {
    let (_, german) = catalogues().into_iter().find(|(name, _)| name == "de.json").expect("www/languages/de.json");
    words::speak(german.into_iter().collect());
    let found = [
        SweepState::default().words(Stage::Sft, None, false),
        words::heard("Choose DPO, PPO or PPO-GT: β holds these three."),
        words::heard("Choose DPO, PPO, PPO-GT or another: β holds these four."),
    ];
    words::speak(Vec::new());
    let expected = [
        "β hält DPO, PPO und PPO-GT: Wähle eines davon, um β zu durchlaufen.",
        "Wähle DPO, PPO oder PPO-GT: Diese drei hält β.",
        "Wähle DPO, PPO, PPO-GT oder another: Diese vier hält β.",
    ];
    assert_eq!(found, expected);
}

/// Everything that an address and a file of pairs can have wrong with it, as the engine and the page say it.
fn complaints_of_every_kind() -> Vec<String> {
    let mut told = Vec::new();
    for knob in &KNOBS {
        for value in ["x", "-7", "0.3", "1e9", "9.5"] {
            let query = format!("{}={value}", knob.name);
            told.extend(Settings::from_query(&query).1.iter().map(ToString::to_string));
        }
        let twice = format!("{0}=1&{0}=2&{0}s=1", knob.name);
        told.extend(Settings::from_query(&twice).1.iter().map(ToString::to_string));
    }
    told.extend(Presentation::from_query("hide=x&type=y").1);
    for receipt in ["", "{\"receipt\":2}", "{\"receipt\":2,\"receipt\":2}", "{\"receipt\":1e999}"] {
        told.extend(Receipt::parse(receipt).err());
    }
    let world = World::new(WorldSettings::default()).expect("the default world");
    let pair = |prompt: &str| format!(r#"{{"prompt":{prompt},"chosen":"was superb .","rejected":"was dull ."}}"#);
    let long = format!("\"{}\"", "was ".repeat(60));
    for prompt in
        ["1", "true", "[]", "{}", "\"\"", "\"zzz\"", &long, r#"[{"content":"a"},{"role":"user","content":"b"}]"#]
    {
        told.extend(from_jsonl(&world, &pair(prompt)).err().map(|error| error.to_string()));
    }
    for file in ["", "{}", "1", "[1]", r#"{"prompt":"the plot","prompt":"a"}"#, r#"{"prompt":1e999}"#] {
        told.extend(from_jsonl(&world, file).err().map(|error| error.to_string()));
    }
    told
}

#[test]
fn no_english_word_is_left_in_a_german_complaint() {
    let (_, german) = catalogues().into_iter().find(|(name, _)| name == "de.json").expect("www/languages/de.json");
    words::speak(german.into_iter().collect());
    let told = complaints_of_every_kind();
    assert!(told.len() > 4 * KNOBS.len(), "{} complaints", told.len());
    let english = [
        "is", "not", "a", "an", "the", "number", "text", "whole", "missing", "field", "multiple", "none", "of",
        "outside", "to", "twice",
    ];
    let german: Vec<(String, String)> =
        told.into_iter().map(|told| (words::heard(&format!("That cannot be used: {told}.")), told)).collect();
    words::speak(Vec::new());
    for (said, told) in german {
        // What is quoted are values, names and examples.
        let mut plain = String::new();
        let mut rest = said.as_str();
        while let Some(at) = rest.find(['„', '`', '{']) {
            plain += &rest[..at];
            let (opened, close) = match rest[at..].chars().next() {
                Some('„') => ('„', '“'),
                Some('`') => ('`', '`'),
                _ => ('{', '}'),
            };
            rest = rest[at + opened.len_utf8()..].split_once(close).map_or("", |(_, behind)| behind);
        }
        plain += rest;
        let left =
            plain.split(|letter: char| !letter.is_alphabetic() && letter != '_').find(|word| english.contains(word));
        assert_eq!(left, None, "“{told}” becomes “{said}”");
        assert!(said.starts_with("Das ist nicht verwendbar: "), "{said}");
    }
}
