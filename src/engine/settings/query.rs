//! The parts of an address as other programs hand it on: mail and chats escape it, some of them twice, word processors put
//! their own signs into it, and many add names of their own.

use std::borrow::Cow;

use percent_encoding::percent_decode_str;

use super::KNOBS;
use klimb_text::ConfigError;
use klimb_text::shorten::excerpt;

/// Names in an address that are the page's own.
const OF_THE_PAGE: [&str; 2] = ["hide", "type"];
/// How often a part may have been escaped: each program on the way does it at most once.
const MOST_ESCAPES: usize = 8;
/// What is left in front of a name where its `&` was escaped for a document.
const LEFT_OF_AMPERSAND: [&str; 4] = ["amp;", "#38;", "#038;", "#x26;"];

/// A name in an address, and its text.
pub type Part = (String, String);

/// The names of a query with their texts, such as `beta=0%2E1`, as they were before any program handed it on. Ours are in small
/// letters; nothing that changes a value is guessed at.
pub fn parts(query: &str) -> Vec<Part> {
    query.trim_start_matches('?').split('&').filter(|part| !part.is_empty()).flat_map(parts_of).collect()
}

/// The query of an address. Where `&` was written as `&#38;`, a browser takes what is behind it for the fragment.
pub fn whole<'a>(search: &'a str, hash: &str) -> Cow<'a, str> {
    match behind_ampersand(hash) {
        Some(rest) => format!("{search}&{rest}").into(),
        None => search.into(),
    }
}

/// What stands in a fragment behind the rest of an `&` that was escaped for a document.
pub fn behind_ampersand(hash: &str) -> Option<&str> {
    LEFT_OF_AMPERSAND.iter().filter(|left| left.starts_with('#')).find_map(|left| hash.strip_prefix(left))
}

fn parts_of(part: &str) -> Vec<Part> {
    let whole = unescaped(part);
    let (name, _) = pair(&whole);
    let is_address = whole.contains("://");
    if is_ours(&name) || (!part.contains('=') && !is_address) {
        // No text of ours has these signs in it: they were escaped along with the rest.
        whole.split(['&', '?']).filter(|piece| !piece.is_empty()).map(pair).collect()
    } else if is_address {
        vec![pair(&whole)]
    } else {
        // What a program puts behind a query that is there already may begin with another question mark.
        part.split('?').filter(|piece| !piece.is_empty()).map(|piece| pair(&unescaped(piece))).collect()
    }
}

fn unescaped(part: &str) -> String {
    let mut text = part.replace('+', " ");
    for _ in 0..MOST_ESCAPES {
        let decoded = percent_decode_str(&text).decode_utf8_lossy().into_owned();
        if decoded == text {
            break;
        }
        text = decoded;
    }
    text
}

fn pair(piece: &str) -> Part {
    let (name, text) = piece.split_once('=').unwrap_or((piece, ""));
    let (name, text) = (legible(name), legible(text));
    let mut rest = name.as_str();
    while let Some(behind) = LEFT_OF_AMPERSAND.iter().find_map(|left| rest.strip_prefix(left)) {
        rest = behind.trim_start();
    }
    let small = rest.to_ascii_lowercase();
    (if is_ours(&small) { small } else { rest.to_owned() }, text)
}

fn is_ours(name: &str) -> bool {
    KNOBS.iter().map(|knob| knob.name).chain(OF_THE_PAGE).any(|known| known == name)
}

/// A text without signs that nobody sees, with the hyphen that other programs replace by a minus or a dash, and without
/// blanks around it.
fn legible(text: &str) -> String {
    let sign = |letter| match letter {
        '\u{ad}' | '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{2064}' | '\u{feff}' => None,
        '\u{2010}'..='\u{2013}' | '\u{2212}' => Some('-'),
        letter => Some(letter),
    };
    text.chars().filter_map(sign).collect::<String>().trim().to_owned()
}

/// The error about a name that is meant to be one of ours; `None` where it is another program's. Mail may break a line at
/// `=`, so that a part of the name stands in `text`.
pub fn misspelled(name: &str, text: &str) -> Option<ConfigError> {
    let broken = text.rsplit_once('=').map(|(more, _)| format!("{name}={more}"));
    let known = meant(name).or_else(|| meant(broken.as_deref()?))?;
    let name = excerpt(name);
    Some(ConfigError::new("address", message!("there is no setting called “{}”, but one called {}", name, known)))
}

/// The name of ours that is meant.
fn meant(name: &str) -> Option<&'static str> {
    // Letters are what a slip of the pen leaves: quotation marks, brackets and hyphens come from other programs.
    let is_letter = |letter: char| letter.is_ascii_alphanumeric() || ('\u{370}'..='\u{3ff}').contains(&letter);
    let plain = |name: &str| name.to_ascii_lowercase().replace(|letter| !is_letter(letter), "");
    // Long names are other programs': the distance costs their square.
    let given = (name.len() <= 40).then(|| plain(name)).filter(|given| !given.is_empty())?;
    let is_label = |label: &str| plain(label) == given || (!given.is_ascii() && label.split(' ').any(|it| it == given));
    if let Some(knob) = KNOBS.iter().find(|knob| is_label(knob.label)) {
        return Some(knob.name);
    }
    let distance = |known: &&str| strsim::osa_distance(&given, &plain(known));
    let known = KNOBS.iter().map(|knob| knob.name).chain(OF_THE_PAGE).min_by_key(distance)?;
    // One letter of a short name, two of a long one.
    let near = if known.len() < 7 { 1 } else { 2 };
    (distance(&known) <= near).then_some(known)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn escapes_are_undone_and_blanks_go() {
        for (query, expected) in [
            ("hide=setup%2Cnumbers", &[("hide", "setup,numbers")] as &[_]),
            ("beta=0%2E1", &[("beta", "0.1")]),
            ("amp;beta=+0.1%20", &[("beta", "0.1")]),
            ("b%65ta=1", &[("beta", "1")]),
            ("seed", &[("seed", "")]),
            ("seed=%zz%e9", &[("seed", "%zz\u{fffd}")]),
            ("=", &[("", "")]),
            ("", &[]),
            ("?beta%253D0%252E1%2526seed%253D7", &[("beta", "0.1"), ("seed", "7")]),
            ("BETA=0.1%26amp%3BSeed=7", &[("beta", "0.1"), ("seed", "7")]),
            ("utm_source=x?beta=0.1", &[("utm_source", "x"), ("beta", "0.1")]),
            ("ref=https://a.b/?beta=9%26seed=7", &[("ref", "https://a.b/?beta=9&seed=7")]),
            ("text=a%26beta%3D9", &[("text", "a&beta=9")]),
            ("https%3A%2F%2Fa.b%2F%3Fx%3D1%26beta%3D9", &[("https://a.b/?x", "1&beta=9")]),
        ] {
            let expected: Vec<Part> = expected.iter().map(|(name, text)| ((*name).into(), (*text).into())).collect();
            assert_eq!(parts(query), expected, "{query}");
        }
    }

    #[test]
    fn what_a_browser_takes_for_the_fragment_belongs_to_the_query() {
        assert_eq!(whole("?beta=0.1", "#38;seed=7&#38;pairs=960"), "?beta=0.1&seed=7&#38;pairs=960");
        assert_eq!(parts(&whole("?beta=0.1", "#038;seed=7&#38;pairs=960")).len(), 3);
        for hash in ["", "#frontier", "#beta=0.1"] {
            assert_eq!(whole("?beta=0.1", hash), "?beta=0.1", "{hash}");
        }
    }

    #[test]
    fn a_slip_of_the_pen_is_named_and_what_others_add_is_not() {
        for (name, known) in [
            ("bata", "beta"),
            ("learning-rate", "learning_rate"),
            ("learning rate", "learning_rate"),
            ("learning\\_rate", "learning_rate"),
            ("learnignrate", "learning_rate"),
            ("sed", "seed"),
            ("hid", "hide"),
            ("“beta”", "beta"),
            ("\"beta\"", "beta"),
            ("<beta", "beta"),
            ("bèta", "beta"),
            ("β", "beta"),
            ("τ", "label_temperature"),
            ("evaluation_sample", "evaluation_samples"),
        ] {
            let told = misspelled(name, "1").unwrap_or_else(|| panic!("{name} is passed over")).to_string();
            assert!(told.contains(known) && told.contains(name), "{told}");
        }
        let told = misspelled("be", "ta=0.1").map(|error| error.to_string());
        assert!(told.is_some_and(|told| told.ends_with("called beta")));
        let long = "x".repeat(100_000);
        for name in [
            "fbclid",
            "gclid",
            "utm_source",
            "utm_medium",
            "utm_campaign",
            "utm_content",
            "utm_term",
            "igshid",
            "si",
            "ref",
            "mc_cid",
            "mc_eid",
            "msclkid",
            "_ga",
            "lang",
            "v",
            "time",
            "",
            "—",
            "<script>",
            &long,
        ] {
            assert_eq!(misspelled(name, ""), None, "{name:.20}");
        }
    }
}
