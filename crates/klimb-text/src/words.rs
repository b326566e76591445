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
/// word, together with what is known of the values in it. What is not found stays as it is.
pub fn heard(text: &str) -> String {
    heard_within(text, &Cell::new(MOST_COMPARED)).text
}

/// The same of a list of clauses.
pub fn each_heard(list: &str) -> String {
    list.split(", ").map(heard).collect::<Vec<_>>().join(", ")
}

/// How many templates that fit a text, or what stands in it, are compared. Then the longest is taken: a text could be made to
/// fit without end.
const MOST_COMPARED: usize = 200;

/// A text in the page's language, and how much of the English one the catalogue has word for word, in bytes.
struct Heard {
    text: String,
    known: usize,
}

fn heard_within(text: &str, left: &Cell<usize>) -> Heard {
    recognised(text, left).unwrap_or_else(|| Heard { text: text.to_owned(), known: 0 })
}

fn recognised(text: &str, left: &Cell<usize>) -> Option<Heard> {
    if text.is_empty() || text.len() > LONGEST || CATALOGUE.get().is_empty() {
        return None;
    }
    let is_number = |text: &str| json::number(text.trim_start_matches(['+', '−'])).is_some_and(f64::is_finite);
    let whole = entry(text).map(|other| Heard { text: other.to_owned(), known: text.len() });
    let number = || is_number(text).then(|| Heard { text: decimal(text.to_owned()), known: 0 });
    whole
        .or_else(number)
        .or_else(|| match left.get() {
            0 => by_clauses(text, left).or_else(|| by_field(text, left)).or_else(|| by_template(text, left)),
            _ => {
                let readings = [by_template(text, left), by_field(text, left), by_clauses(text, left)];
                readings.into_iter().flatten().max_by_key(|heard| heard.known)
            }
        })
        .or_else(|| {
            let clause = text.strip_suffix('.').filter(|rest| !rest.ends_with('.'))?;
            recognised(clause, left).map(|heard| Heard { text: heard.text + ".", ..heard })
        })
        .or_else(|| as_clause(text, left))
}

/// Several clauses, each of which is known: no sentence, which ends in a full stop.
fn by_clauses(text: &str, left: &Cell<usize>) -> Option<Heard> {
    let clauses = (text.contains("; ") && !text.ends_with('.')).then(|| text.split("; "))?;
    let clauses = clauses.map(|clause| recognised(clause, left)).collect::<Option<Vec<Heard>>>()?;
    let known = clauses.iter().map(|clause| clause.known).sum();
    Some(Heard { text: clauses.into_iter().map(|clause| clause.text).collect::<Vec<_>>().join("; "), known })
}

/// A clause behind the name of a setting or field that it is about: as a whole it would fit templates that begin with a value,
/// and the words of the clause would be taken for values.
fn by_field(text: &str, left: &Cell<usize>) -> Option<Heard> {
    let (field, clause) = text.split_once(": ")?;
    let is_field = !field.is_empty() && field.bytes().all(|it| it.is_ascii_lowercase() || it == b'_');
    let clause = is_field.then(|| recognised(clause, left)).flatten()?;
    Some(Heard { text: format!("{field}: {}", clause.text), ..clause })
}

/// A sentence that was made of an error's clause, by a capital.
fn as_clause(text: &str, left: &Cell<usize>) -> Option<Heard> {
    let first = text.chars().next().filter(char::is_ascii_uppercase)?;
    let clause = recognised(&format!("{}{}", first.to_ascii_lowercase(), &text[1..]), left)?;
    let mut letters = clause.text.chars();
    let text = letters.next()?.to_uppercase().chain(letters).collect();
    Some(Heard { text, ..clause })
}

fn by_template(text: &str, left: &Cell<usize>) -> Option<Heard> {
    let length = |english: &str| english.replace(PLACE, "").len();
    let fits = |(english, _): &&(String, String)| english.contains(PLACE) && values(english, text).is_some();
    let fitting = CATALOGUE.get().iter().filter(fits).map(|(english, _)| english);
    let fill = |english: &String| {
        let values: Vec<Heard> = values(english, text)?.into_iter().map(|value| heard_within(value, left)).collect();
        let known = length(english) + values.iter().map(|value| value.known).sum::<usize>();
        let text = filled(english, &values.iter().map(|value| &value.text as &dyn Display).collect::<Vec<_>>());
        Some(Heard { text, known })
    };
    let (mut best, mut longest) = (None::<Heard>, None::<&String>);
    for english in fitting {
        let is_longer = longest.is_none_or(|other| length(other) <= length(english));
        if let Some(rest) = left.get().checked_sub(1) {
            left.set(rest);
            let heard = fill(english)?;
            best = if best.as_ref().is_none_or(|best| best.known <= heard.known) { Some(heard) } else { best };
        } else if is_longer {
            longest = Some(english);
        }
    }
    best.or_else(|| fill(longest?))
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
            ("{} is not a pair", "{} ist kein Paar"),
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
                ("That cannot be used: width: 9 is not a pair.", "Das geht nicht: width: 9 ist kein Paar."),
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
