//! What is said to people, in the language of the page. The English text is the key and stands where it is used; a
//! catalogue has the same in another language, and what it lacks stays English.
//!
//! A text that never changes goes through [`say`], one with values in it through the macro of the same name, a constant is
//! marked by [`key`], and what is said later and elsewhere, as the engine's failures are by the page, is a
//! [`Message`](crate::Message). `tests/suite/words.rs` finds all four and holds them against the catalogues in `www/languages`.

use std::cell::Cell;
use std::fmt::Display;

use crate::Message;

thread_local! {
    /// English and the other language, by the English. Set once, before anything is said.
    static CATALOGUE: Cell<&'static [(String, String)]> = const { Cell::new(&[]) };
}

/// The English decimal mark: a catalogue has its own language's under it.
const DECIMAL_MARK: &str = ".";

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
    filled_in(say(template), &values.iter().map(ToString::to_string).collect::<Vec<_>>())
}

/// A text with values in the place of `{}`, or of the numbers of values in braces.
pub(crate) fn filled_in(template: &str, values: &[String]) -> String {
    let (mut text, mut rest, mut next) = (String::new(), template, 0);
    while let Some((before, behind)) = rest.split_once('{') {
        text.push_str(before);
        let inside = behind.split_once('}').filter(|(inside, _)| inside.bytes().all(|it| it.is_ascii_digit()));
        if let Some((inside, after)) = inside {
            text.extend(values.get(inside.parse().unwrap_or(next)).map(String::as_str));
            (rest, next) = (after, next + 1);
        } else {
            text.push('{');
            rest = behind;
        }
    }
    text + rest
}

/// The value of a setting, a name or a number, in the page's language.
pub fn value(text: &str) -> String {
    Message::typed(text).said()
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

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    pub(crate) fn in_german(test: impl FnOnce()) {
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
}
