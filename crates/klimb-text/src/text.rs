//! Text out of files that other programs wrote: Windows' editors put a mark in front of it, and its shell writes two bytes a
//! letter.

use std::borrow::Cow;

use thiserror::Error;

use crate::Message;

/// U+FEFF, which programs of Windows put in front of UTF-8 and everybody in front of UTF-16.
const MARK: char = '\u{feff}';

/// Bytes that are no text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub struct NotText {
    /// The first byte that fits no letter, from 1.
    pub at: usize,
}

impl NotText {
    /// What is wrong, as a clause.
    pub fn message(&self) -> Message {
        message!("it is no text: byte {} belongs to no letter of UTF-8", self.at)
    }
}

display_message!(NotText);

/// The text of a file: UTF-8, with or without the mark, or UTF-16 with it.
///
/// # Errors
/// If the bytes are neither.
pub fn of_bytes(bytes: &[u8]) -> Result<Cow<'_, str>, NotText> {
    let wide = |behind: &[u8], number: fn([u8; 2]) -> u16| {
        let (letters, rest) = behind.as_chunks::<2>();
        let text =
            rest.is_empty().then(|| String::from_utf16(&letters.iter().map(|two| number(*two)).collect::<Vec<_>>()));
        text.and_then(Result::ok).map(Cow::Owned).ok_or(NotText { at: 1 })
    };
    match bytes {
        [0xff, 0xfe, behind @ ..] => wide(behind, u16::from_le_bytes),
        [0xfe, 0xff, behind @ ..] => wide(behind, u16::from_be_bytes),
        _ => {
            let text = std::str::from_utf8(bytes).map_err(|error| NotText { at: error.valid_up_to() + 1 })?;
            Ok(Cow::Borrowed(without_mark(text)))
        }
    }
}

/// A text without the marks in front of it. Files that were put one behind the other have some in their midst, so lines are
/// asked too.
pub fn without_mark(text: &str) -> &str {
    text.trim_start_matches(MARK)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn marks_are_no_part_of_a_text_and_other_encodings_are_read_or_refused() {
        let wide = |number: fn(u16) -> [u8; 2], text: &str| -> Vec<u8> {
            format!("\u{feff}{text}").encode_utf16().flat_map(number).collect()
        };
        for (bytes, text) in [
            ("é".as_bytes().to_vec(), "é"),
            ("\u{feff}é".as_bytes().to_vec(), "é"),
            (wide(u16::to_le_bytes, "é🙂"), "é🙂"),
            (wide(u16::to_be_bytes, "é🙂"), "é🙂"),
            (Vec::new(), ""),
        ] {
            assert_eq!(of_bytes(&bytes).as_deref(), Ok(text));
        }
        assert_eq!(of_bytes(b"ab\xff"), Err(NotText { at: 3 }));
        for torn in [&wide(u16::to_le_bytes, "ab")[..5], &[0xff, 0xfe, 0x00, 0xd8]] {
            assert_eq!(of_bytes(torn), Err(NotText { at: 1 }));
        }
    }
}
