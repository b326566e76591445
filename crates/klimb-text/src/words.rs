//! What is said to people, in the language of the page. The English text is the key and stands where it is used; a
//! catalogue has the same in another language, and what it lacks stays English.
//!
//! A text that never changes goes through [`say`], one with values in it through the macro of the same name, a constant is
//! marked by [`key`], and what the engine reported as finished English sentences is recognised by [`heard`].
//! `tests/suite/words.rs` finds all four and holds them against the catalogues in `www/languages`.

use std::cell::Cell;
use std::fmt::{Display, Write};

use crate::json;

thread_local! {
    /// English and the other language, by the English. Set once, before anything is said.
    static CATALOGUE: Cell<&'static [(String, String)]> = const { Cell::new(&[]) };
}

/// The English decimal mark: a catalogue has its own language's under it.
const DECIMAL_MARK: &str = ".";
/// Longest text that is looked for, in bytes: several times any sentence with the values in it.
const LONGEST: usize = 4096;
/// Where a value goes in a text.
const PLACE: &str = "{}";

/// Speaks another language from now on: `entries` are texts in English with what they are in it. None is English.
///
/// The entries are never freed: a page has one language as long as it is there.
pub fn speak(mut entries: Vec<(String, String)>) {
    entries.sort_by(|(one, _), (other, _)| one.cmp(other));
    CATALOGUE.set(entries.leak());
}

fn entry(text: &str) -> Option<&'static str> {
    let catalogue = CATALOGUE.get();
    let at = catalogue.binary_search_by(|(english, _)| english.as_str().cmp(text)).ok()?;
    Some(&catalogue[at].1)
}

/// The text in the page's language.
pub fn say(text: &str) -> &str {
    entry(text).unwrap_or(text)
}

/// Marks a constant that [`say`] is given later.
pub const fn key(text: &'static str) -> &'static str {
    text
}

/// The text in the page's language, with values in place of `{}`. Where another language needs them in another order, its
/// text says which: `{1} … {0}`.
#[macro_export]
macro_rules! say {
    ($template:literal $(, $value:expr)* $(,)?) => {
        $crate::words::filled($template, &[$(&$value as &dyn std::fmt::Display),*])
    };
}

/// What the macro `say!` does.
pub fn filled(template: &str, values: &[&dyn Display]) -> String {
    let (mut text, mut rest, mut next) = (String::new(), say(template), 0);
    while let Some((before, behind)) = rest.split_once('{') {
        text.push_str(before);
        let inside = behind.split_once('}').filter(|(inside, _)| inside.bytes().all(|it| it.is_ascii_digit()));
        if let Some((inside, after)) = inside {
            // A string takes whatever is written to it.
            let _ = values.get(inside.parse().unwrap_or(next)).map(|value| write!(text, "{value}"));
            (rest, next) = (after, next + 1);
        } else {
            text.push('{');
            rest = behind;
        }
    }
    text + rest
}

/// A number's digits with the page's decimal mark.
pub fn decimal(digits: String) -> String {
    match entry(DECIMAL_MARK) {
        Some(mark) => digits.replace(DECIMAL_MARK, mark),
        None => digits,
    }
}

/// A number as somebody typed it, with the point that all else is written with: in settings, files and addresses.
pub fn typed(digits: &str) -> String {
    entry(DECIMAL_MARK).map_or_else(|| digits.to_owned(), |mark| digits.replace(mark, DECIMAL_MARK))
}

/// In the page's language what was put together in English elsewhere: by the engine, which knows one language, or by an
/// error of it. The text is looked for among the catalogue's, of those with `{}` the one that has most of it word for
/// word, and so are the values in it. What is not found stays as it is.
pub fn heard(text: &str) -> String {
    recognised(text).unwrap_or_else(|| text.to_owned())
}

/// The same of a list of clauses.
pub fn each_heard(list: &str) -> String {
    list.split(", ").map(heard).collect::<Vec<_>>().join(", ")
}

fn recognised(text: &str) -> Option<String> {
    if text.is_empty() || text.len() > LONGEST || CATALOGUE.get().is_empty() {
        return None;
    }
    let is_number = |text: &str| json::number(text.trim_start_matches(['+', '−'])).is_some_and(f64::is_finite);
    entry(text)
        .map(str::to_owned)
        .or_else(|| is_number(text).then(|| decimal(text.to_owned())))
        .or_else(|| by_clauses(text))
        .or_else(|| by_template(text))
        .or_else(|| Some(recognised(text.strip_suffix('.').filter(|rest| !rest.ends_with('.'))?)? + "."))
        .or_else(|| as_clause(text))
}

/// Several clauses, each of which is known: no sentence, which ends in a full stop.
fn by_clauses(text: &str) -> Option<String> {
    let mut clauses = (text.contains("; ") && !text.ends_with('.')).then(|| text.split("; "))?;
    Some(
        clauses
            .try_fold(Vec::new(), |mut known, clause| {
                known.push(recognised(clause)?);
                Some(known)
            })?
            .join("; "),
    )
}

/// A sentence that was made of an error's clause, by a capital.
fn as_clause(text: &str) -> Option<String> {
    let first = text.chars().next().filter(char::is_ascii_uppercase)?;
    let clause = recognised(&format!("{}{}", first.to_ascii_lowercase(), &text[1..]))?;
    let mut letters = clause.chars();
    Some(letters.next()?.to_uppercase().chain(letters).collect())
}

fn by_template(text: &str) -> Option<String> {
    let fits = |(english, _): &&(String, String)| english.contains(PLACE) && values(english, text).is_some();
    let (english, _) =
        CATALOGUE.get().iter().filter(fits).max_by_key(|(english, _)| english.replace(PLACE, "").len())?;
    let values: Vec<String> = values(english, text)?.into_iter().map(heard).collect();
    Some(filled(english, &values.iter().map(|value| value as &dyn Display).collect::<Vec<_>>()))
}

/// What stands in `text` in the places of `template`, if all else is alike.
fn values<'a>(template: &str, text: &'a str) -> Option<Vec<&'a str>> {
    let mut parts = template.split(PLACE);
    let mut rest = text.strip_prefix(parts.next()?)?;
    let mut values = Vec::new();
    let mut parts = parts.peekable();
    while let Some(part) = parts.next() {
        let at = if parts.peek().is_none() {
            rest.ends_with(part).then(|| rest.len() - part.len())?
        } else {
            rest.find(part)?
        };
        values.push(&rest[..at]);
        rest = &rest[at + part.len()..];
    }
    Some(values)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn in_german(test: impl FnOnce()) {
        let german = [
            (".", ","),
            ("Play", "Abspielen"),
            ("{} of {} pairs", "von {1} Paaren {0}"),
            ("{}: {}", "{}: {}"),
            ("{} is outside {} to {}", "{} liegt nicht zwischen {} und {}"),
            ("That cannot be used: {}.", "Das geht nicht: {}."),
            ("the device was lost ({})", "das Gerät ging verloren ({})"),
        ];
        speak(german.map(|(english, german)| (english.into(), german.into())).into());
        test();
        speak(Vec::new());
    }

    #[test]
    fn what_the_catalogue_lacks_stays_english() {
        assert_eq!((say("Play"), say!("{} of {} pairs", 3, 4).as_str()), ("Play", "3 of 4 pairs"));
        in_german(|| {
            assert_eq!((say("Play"), say("Step")), ("Abspielen", "Step"));
            assert_eq!(
                (say!("{} of {} pairs", 3, 4).as_str(), say!("{} steps", "{}").as_str()),
                ("von 4 Paaren 3", "{} steps")
            );
        });
    }

    #[test]
    fn numbers_have_the_language_s_decimal_mark_and_are_typed_with_it() {
        assert_eq!((decimal("0.5".into()).as_str(), typed("0.5").as_str()), ("0.5", "0.5"));
        in_german(|| {
            assert_eq!((decimal("0.5".into()).as_str(), typed("0,5").as_str()), ("0,5", "0.5"));
            assert_eq!(typed("0.5"), "0.5", "a point is understood too");
        });
    }

    #[test]
    fn a_finished_sentence_is_recognised_with_what_stands_in_it() {
        assert_eq!(heard("That cannot be used: x."), "That cannot be used: x.");
        in_german(|| {
            for (english, german) in [
                (
                    "That cannot be used: beta: 9 is outside 0.01 to 5.",
                    "Das geht nicht: beta: 9 liegt nicht zwischen 0,01 und 5.",
                ),
                (
                    "That cannot be used: beta: 9 is outside 0.01 to 5; seed: 0.5 is outside 1 to 2.",
                    "Das geht nicht: beta: 9 liegt nicht zwischen 0,01 und 5; seed: 0,5 liegt nicht zwischen 1 und 2.",
                ),
                ("The device was lost (so it says).", "Das Gerät ging verloren (so it says)."),
                ("Nobody knows.", "Nobody knows."),
                ("", ""),
                ("é", "é"),
            ] {
                assert_eq!(heard(english), german);
            }
        });
    }
}
