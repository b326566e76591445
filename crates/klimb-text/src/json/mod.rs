//! JSON: natively by serde_json, in a browser by the browser's own reader and writer, which need not travel with the page.
//! Both read and write the same texts, but for the last digits that a number may be written with: `1.0` natively, `1` by
//! a browser. A text that they would understand differently is refused by both.

mod unlike;
mod value;

use std::borrow::Cow;
use std::collections::HashSet;

use serde::Serialize;
use serde::de::DeserializeOwned;
use thiserror::Error;

pub use self::value::Value;
use crate::Message;
use crate::shorten::shortened;
use crate::text;

/// Why a text is not what was expected.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub struct JsonError(Message);

impl JsonError {
    /// What is wrong, as a clause: ours, or in the reader's words.
    pub fn message(&self) -> Message {
        self.0.clone()
    }

    /// A reader's complaint. Both readers say in the same words that a field is missing, and both pass on what a type of ours
    /// says of its names: these two are ours to say.
    fn of_reader(reason: &str) -> Self {
        let quoted = |before: &str, behind: char| {
            let (name, rest) = reason.strip_prefix(before)?.split_once(behind)?;
            rest.is_empty().then_some(name)
        };
        if let Some(field) = quoted("missing field `", '`') {
            Self(message!("missing field `{}`", field))
        } else if let Some(name) = quoted("there is no method “", '”') {
            Self(message!("there is no method “{}”", shortened(name)))
        } else if reason.is_empty() {
            Self(message!("it is not JSON"))
        } else {
            Self(Message::verbatim(shortened(reason)))
        }
    }
}

display_message!(JsonError);

/// The number, finite or so large that it counts as infinite, that `text` is: digits with a sign, a point or an exponent.
pub fn number(text: &str) -> Option<f64> {
    let is_part = |byte: u8| byte.is_ascii_digit() || matches!(byte, b'+' | b'-' | b'.' | b'e' | b'E');
    (!text.is_empty() && text.bytes().all(is_part)).then(|| machine::number(text)).flatten()
}

/// The value that `text` describes; a byte order mark may stand in front of it.
///
/// # Errors
/// If it is not JSON, or describes something else; if an object in it has a key twice, or it has a number, a letter or a depth
/// that not every reader of JSON understands alike.
pub fn from_text<T: DeserializeOwned>(text: &str) -> Result<T, JsonError> {
    let text = text::without_mark(text);
    let doubled = || doubled_key(text).map(|key| message!("`{}` stands in it twice", shortened(&key)));
    match unlike::unlike(text).or_else(doubled) {
        Some(problem) => Err(JsonError(problem)),
        None => machine::from_text(text).map_err(|reason| JsonError::of_reader(&reason)),
    }
}

/// The value that a file's bytes describe.
///
/// # Errors
/// As [`from_text`], and if the bytes are no text.
pub fn from_bytes<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, JsonError> {
    from_text(&text::of_bytes(bytes).map_err(|error| JsonError(error.message()))?)
}

/// Levels of brackets that [`doubled_key`] looks into: as many as serde_json reads.
const DEEPEST: usize = 128;

/// The first key that one object of `text`, at any depth, has twice. The two readers differ here: serde_json refuses a
/// doubled field where it knows it, and the browser takes the last value. Keys are compared as they are read, so `"a"` is
/// `"\u0061"`. Whether the rest is JSON is for [`from_text`] to say.
pub fn doubled_key(text: &str) -> Option<String> {
    /// What an opened bracket holds: the keys so far, and whether a key comes next; of an array, nothing.
    enum Open<'a> {
        Object { keys: HashSet<Cow<'a, str>>, expects_key: bool },
        Array,
    }
    let bytes = text.as_bytes();
    let (mut open, mut at) = (Vec::new(), 0);
    while let Some(&byte) = bytes.get(at) {
        at += 1;
        if open.len() > DEEPEST {
            return None;
        }
        match byte {
            b'{' => open.push(Open::Object { keys: HashSet::new(), expects_key: true }),
            b'[' => open.push(Open::Array),
            b'}' | b']' => drop(open.pop()),
            b',' => {
                if let Some(Open::Object { expects_key, .. }) = open.last_mut() {
                    *expects_key = true;
                }
            }
            b'"' => {
                let start = at;
                while bytes.get(at).is_some_and(|&byte| byte != b'"') {
                    at += 1 + usize::from(bytes[at] == b'\\');
                }
                if at >= bytes.len() {
                    // A string without an end.
                    return None;
                }
                let inside = &text[start..at];
                at += 1;
                if let Some(Open::Object { keys, expects_key }) = open.last_mut()
                    && std::mem::take(expects_key)
                {
                    let read = inside.contains('\\').then(|| from_text(&format!("\"{inside}\"")).ok()).flatten();
                    let key = read.map_or(Cow::Borrowed(inside), Cow::Owned);
                    if keys.contains(&key) {
                        return Some(key.into_owned());
                    }
                    keys.insert(key);
                }
            }
            _ => {}
        }
    }
    None
}

/// One line of JSON. What is not finite is `null`.
///
/// # Panics
/// If the value has a part that JSON has no form for, such as a map by anything but names.
pub fn to_text(value: &impl Serialize) -> String {
    machine::to_text(value, false).expect("what is written has a form in JSON")
}

/// JSON for people to read, two spaces a level.
///
/// # Panics
/// As [`to_text`].
pub fn to_pretty_text(value: &impl Serialize) -> String {
    machine::to_text(value, true).expect("what is written has a form in JSON")
}

#[cfg(not(target_arch = "wasm32"))]
mod machine {
    use serde::Serialize;
    use serde::de::DeserializeOwned;
    use serde_json::Value;

    /// The largest whole number that JavaScript tells from its neighbours.
    const MOST_EXACT: f64 = 9_007_199_254_740_991.0;

    pub fn number(text: &str) -> Option<f64> {
        text.parse().ok()
    }

    pub fn from_text<T: DeserializeOwned>(text: &str) -> Result<T, String> {
        let value = serde_json::from_str(text).map_err(|error| error.to_string())?;
        serde_json::from_value(as_browsers_have(value)).map_err(|error| error.to_string())
    }

    /// JavaScript has one kind of number: 1.0 is 1, also where only a whole number is read.
    fn as_browsers_have(value: Value) -> Value {
        match value {
            Value::Number(number) => match number.as_f64() {
                Some(it) if number.is_f64() && it.fract() == 0.0 && it != 0.0 && it.abs() <= MOST_EXACT => {
                    Value::from(it as i64)
                }
                _ => Value::Number(number),
            },
            Value::Array(items) => items.into_iter().map(as_browsers_have).collect(),
            Value::Object(fields) => {
                Value::Object(fields.into_iter().map(|(name, its)| (name, as_browsers_have(its))).collect())
            }
            other @ (Value::Null | Value::Bool(_) | Value::String(_)) => other,
        }
    }

    pub fn to_text(value: &impl Serialize, pretty: bool) -> Result<String, String> {
        let text = if pretty { serde_json::to_string_pretty(value) } else { serde_json::to_string(value) };
        text.map_err(|error| error.to_string())
    }
}

#[cfg(target_arch = "wasm32")]
mod machine {
    use js_sys::JSON;
    use serde::Serialize;
    use serde::de::DeserializeOwned;
    use serde_wasm_bindgen::Serializer;
    use wasm_bindgen::{JsCast, JsValue};

    /// Spaces a level.
    const INDENT: u32 = 2;

    pub fn number(text: &str) -> Option<f64> {
        let number = JsValue::from_str(text).unchecked_into_f64();
        (!number.is_nan()).then_some(number)
    }

    pub fn from_text<T: DeserializeOwned>(text: &str) -> Result<T, String> {
        let value = JSON::parse(text).map_err(reason)?;
        serde_wasm_bindgen::from_value(value).map_err(|error| error.to_string())
    }

    pub fn to_text(value: &impl Serialize, pretty: bool) -> Result<String, String> {
        let value = value.serialize(&Serializer::json_compatible()).map_err(|error| error.to_string())?;
        let indent = if pretty { JsValue::from(INDENT) } else { JsValue::UNDEFINED };
        JSON::stringify_with_replacer_and_space(&value, &JsValue::NULL, &indent).map(String::from).map_err(reason)
    }

    /// The browser's words; nothing where it has none.
    fn reason(error: JsValue) -> String {
        error.dyn_into::<js_sys::Error>().map_or_else(|_| String::new(), |error| String::from(&error.message()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_is_read_whatever_its_form_and_nothing_else() {
        for (text, number) in [("0.05", 0.05), ("1e-3", 1e-3), ("-7", -7.0), (".5", 0.5), ("+1.", 1.0), ("007", 7.0)] {
            assert_eq!(super::number(text), Some(number), "{text}");
        }
        for text in ["", " 1", "NaN", "inf", "0x10", "1e", "-", ".", "1-2", "1,5", "1_000", "٣"] {
            assert_eq!(super::number(text), None, "{text}");
        }
        assert_eq!(super::number("0.30000000000000004"), Some(0.1 + 0.2), "to the last digit");
    }

    #[test]
    fn what_is_written_is_read_again_and_another_kind_is_refused() {
        let text = to_text(&("a \"word\"", [1.5, 0.1 + 0.2], None::<u32>));
        assert_eq!(text, r#"["a \"word\"",[1.5,0.30000000000000004],null]"#);
        assert_eq!(from_text(&text), Ok(("a \"word\"".to_owned(), [1.5, 0.1 + 0.2], None::<u32>)));
        assert_eq!(to_pretty_text(&[1]), "[\n  1\n]");
        assert!(from_text::<u32>("\"one\"").is_err() && from_text::<u32>("[").is_err());
    }

    #[test]
    fn a_number_is_read_to_its_last_bit() {
        let mut bits = 1_u64;
        for _ in 0..20_000 {
            bits = bits.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            let number = f64::from_bits(bits);
            if !number.is_finite() {
                continue;
            }
            assert_eq!(from_text::<f64>(&format!("{number:e}")).map(f64::to_bits), Ok(number.to_bits()));
        }
    }

    #[test]
    fn a_text_means_what_it_means_in_a_browser() {
        assert_eq!(from_text("\u{feff}[1.0, 1e2]"), Ok([1_u64, 100]));
        assert_eq!(
            from_text::<[f64; 3]>("[-0.0, 1.0, 0.1]").map(|it| it.map(f64::to_bits)),
            Ok([-0.0, 1.0, 0.1].map(f64::to_bits))
        );
        assert_eq!(from_bytes::<u32>(b"\xef\xbb\xbf7"), Ok(7));
        assert_eq!(from_bytes::<u32>(b"\xff\xfe7\0"), Ok(7));
        for (text, word) in [
            (r#"{"a":1,"a":1}"#, "`a` stands in it twice"),
            ("1e400", "too large"),
            ("[1.5]", "1.5"),
            ("[1] 2", ""),
            ("NaN", ""),
            ("", ""),
        ] {
            let refused = from_text::<[u64; 1]>(text).unwrap_err().to_string();
            assert!(refused.contains(word), "{text}: {refused}");
        }
    }

    #[test]
    fn a_key_that_an_object_has_twice_is_found_at_any_depth() {
        for (text, key) in [
            (r#"{"a":1,"b":2,"a":3}"#, "a"),
            (r#"{"a":{"b":[{"c":1},{"c":2,"d":[],"c":3}]}}"#, "c"),
            (r#"{"a":1,"\u0061":2}"#, "a"),
            (r#"{"":1,"":2}"#, ""),
            (r#"{"a\"":1, "a\"" : 2}"#, "a\""),
            (r#"{"é":"x","é":"y"}"#, "é"),
            (r#"[{"a":1},{"b":[1,2],"b":0}]"#, "b"),
        ] {
            assert_eq!(doubled_key(text).as_deref(), Some(key), "{text}");
        }
        for text in [
            r#"{"a":"a","b":["a","a"],"c":{"a":{"a":1}}}"#,
            r#"[{"a":1},{"a":2}]"#,
            r#"{"a":"\"a\":1,\"a\":2","b":"\\"}"#,
            r#""a":1,"a":2"#,
            "[]]}}{",
            "",
            r#"{"a":1,"a"#,
            r#"{"a\"#,
            "{\"a\\é",
        ] {
            assert_eq!(doubled_key(text), None, "{text}");
        }
    }
}
