//! What one reader of JSON takes and the other does not, or takes as something else: refused before either reads, so that a
//! text means the same natively and in a browser.

use crate::Message;

/// Levels of brackets that are read. serde_json reads few more, and a browser so many that its visitor would run out of
/// stack.
const DEEPEST: usize = 100;

/// What is wrong with a text in which the readers differ, as a clause. Whether the rest is JSON is for them to say.
pub fn unlike(text: &str) -> Option<Message> {
    let bytes = text.as_bytes();
    let (mut depth, mut at) = (0_usize, 0);
    while let Some(&byte) = bytes.get(at) {
        match byte {
            b'{' | b'[' => {
                depth += 1;
                if depth > DEEPEST {
                    return Some(message!("it has more than {} brackets within each other", DEEPEST));
                }
                at += 1;
            }
            b'}' | b']' => {
                depth = depth.saturating_sub(1);
                at += 1;
            }
            b'"' => {
                let length = string(&bytes[at + 1..])?;
                if let Some(half) = half_letter(&text[at + 1..at + length]) {
                    return Some(half);
                }
                at += 1 + length;
            }
            b'-' | b'0'..=b'9' => {
                let is_part = |byte: &u8| matches!(byte, b'0'..=b'9' | b'+' | b'-' | b'.' | b'e' | b'E');
                let length = bytes[at..].iter().take_while(|byte| is_part(byte)).count();
                let number = &text[at..at + length];
                if super::number(number).is_some_and(f64::is_infinite) {
                    return Some(message!("{} is too large a number", beginning(number)));
                }
                at += length;
            }
            _ => at += 1,
        }
    }
    None
}

/// Bytes up to and with the quotation mark that ends a string; `None` if nothing ends it.
fn string(behind: &[u8]) -> Option<usize> {
    let mut at = 0;
    loop {
        match behind.get(at)? {
            b'"' => return Some(at + 1),
            b'\\' => at += 2,
            _ => at += 1,
        }
    }
}

/// One half of a letter, written as an escape without its other half: no text has that, though JavaScript's may.
fn half_letter(inside: &str) -> Option<Message> {
    let mut rest = inside;
    while let Some((_, behind)) = rest.split_once('\\') {
        let half = |escape: &str| u32::from_str_radix(escape.strip_prefix('u')?.get(..4)?, 16).ok();
        rest = match half(behind) {
            Some(0xd800..=0xdbff) => {
                let other = behind[5..].strip_prefix('\\').and_then(half);
                if !matches!(other, Some(0xdc00..=0xdfff)) {
                    return Some(message!("“\\{}” is half a letter", &behind[..5]));
                }
                &behind[11..]
            }
            Some(0xdc00..=0xdfff) => return Some(message!("“\\{}” is half a letter", &behind[..5])),
            Some(_) => &behind[5..],
            None => behind.get(1..).unwrap_or(""),
        };
    }
    None
}

fn beginning(number: &str) -> String {
    if number.len() > 20 { format!("{}…", &number[..20]) } else { number.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_readers_differ_in_is_named_and_nothing_else_is() {
        let deep = format!("{}{}", "[".repeat(101), "]".repeat(101));
        for (text, word) in [
            ("[1e400]", "1e400 is too large"),
            (r#"{"a":-1e999}"#, "-1e999"),
            (r#""\ud800""#, "half a letter"),
            (r#""\udc00\ud800""#, "\\udc00"),
            (r#""\ud83dx""#, "\\ud83d"),
            (r#""\ud83d\u0041""#, "\\ud83d"),
            (deep.as_str(), "more than 100"),
        ] {
            assert!(unlike(text).is_some_and(|told| told.to_string().contains(word)), "{text}: {:?}", unlike(text));
        }
        for text in [
            "[1e-400,1e308,-0,12345678901234567890]",
            r#"{"1e400":"1e400 \\ud800 \"\ud83d\ude42\" é"}"#,
            r#""\ud83d\ude42\u0041\n""#,
            &deep[1..],
            "\"",
            "\"\\",
            "\"\\u12",
            "]]]",
            "-",
            "",
            "\"\\é\"",
        ] {
            assert_eq!(unlike(text), None, "{text}");
        }
        let long = format!("[{}]", "9".repeat(400));
        assert!(unlike(&long).is_some_and(|told| told.to_string().len() < 60));
    }
}
