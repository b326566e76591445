//! Texts from files and arguments as messages quote them: a sentence that says what is wrong stays readable, whatever was
//! found.

use std::borrow::Cow;

/// Characters of a text that is quoted whole.
const WHOLE: usize = 240;

/// The text, or where it is long its beginning and its end, with an ellipsis between.
pub fn shortened(text: &str) -> Cow<'_, str> {
    shortened_to(text, WHOLE)
}

/// [`shortened`] to about `most` characters: three quarters from the beginning and a quarter from the end.
pub fn shortened_to(text: &str, most: usize) -> Cow<'_, str> {
    if text.len() <= most || text.chars().nth(most).is_none() {
        return Cow::Borrowed(text);
    }
    let start: String = text.chars().take(most - most / 4).collect();
    let end: Vec<char> = text.chars().rev().take(most / 4).collect();
    Cow::Owned(format!("{start} … {}", end.into_iter().rev().collect::<String>()))
}

/// The beginning of what somebody wrote: enough to be recognised, and never a screenful.
pub fn excerpt(text: &str) -> String {
    match text.char_indices().nth(40) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_short_stays_and_of_what_is_long_both_ends_do() {
        for text in ["", "a word", &"é".repeat(WHOLE)] {
            assert_eq!(shortened(text), text);
        }
        let long = format!("begins {} ends", "é".repeat(100_000));
        let short = shortened(&long);
        assert!(short.starts_with("begins é") && short.ends_with("é ends") && short.contains(" … "), "{short}");
        assert_eq!(short.chars().count(), WHOLE + 3);
    }
}
