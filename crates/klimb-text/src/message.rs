//! What is to be said to a person, before it is put into words: the English text with `{}` where values go, and the values, each
//! as what it is. The text is the key of the catalogues, so the page says a message in its own language, and nothing has to
//! recognise a finished sentence. `Display` writes it in English.

use std::borrow::Cow;
use std::fmt::{self, Display, Formatter};

use serde::{Deserialize, Serialize};

use crate::json;
use crate::words::{decimal, filled_in, say};

/// A text with its values, in no language yet.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Message {
    /// A text of the catalogues with a value in place of each `{}`. The macro `message!` makes it.
    Text {
        /// In English.
        template: Cow<'static, str>,
        /// In the order of the English text.
        values: Box<[Self]>,
    },
    /// The digits of a number, with a point.
    Number(String),
    /// Several, one after another.
    List {
        /// They.
        items: Box<[Self]>,
        /// What stands between two.
        separator: Separator,
    },
    /// Another one in the shape that its place asks for.
    Shaped {
        /// It.
        message: Box<Self>,
        /// How it begins and ends.
        shape: Shape,
    },
    /// A name, what a person typed, or another program's words: the same in every language. It is written as a plain text,
    /// and so are the finished sentences that earlier versions kept.
    #[serde(untagged)]
    Verbatim(String),
}

/// What stands between two messages of a list.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Separator {
    /// Between words.
    Comma,
    /// Between clauses.
    Semicolon,
}

/// How a message begins and ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Shape {
    /// With a capital, and with a full stop.
    Sentence,
    /// With a small letter, and without a full stop.
    Clause,
    /// As it does, but without a full stop.
    WithoutStop,
}

/// A text of the catalogues with values in it, as a [`Message`]: numbers are said with the language's decimal mark, texts stand
/// as they are, and a message that is a value is said in the language too.
#[macro_export]
macro_rules! message {
    ($template:literal $(, $value:expr)* $(,)?) => {
        $crate::Message::text($template, ::std::vec![$($crate::message::Value::value(&$value)),*])
    };
}

/// Writes an error as its message in English.
#[macro_export]
macro_rules! display_message {
    ($error:ty) => {
        impl ::std::fmt::Display for $error {
            fn fmt(&self, f: &mut ::std::fmt::Formatter<'_>) -> ::std::fmt::Result {
                ::std::fmt::Display::fmt(&self.message(), f)
            }
        }
    };
}

/// What can stand in a message.
pub trait Value {
    /// It as a message of its own.
    fn value(&self) -> Message;
}

impl Message {
    /// What the macro `message!` makes. It is public for the macro, which the tests of the catalogues find.
    pub fn text(template: &'static str, values: Vec<Self>) -> Self {
        Self::Text { template: Cow::Borrowed(template), values: values.into() }
    }

    /// A text that stands in a table of the catalogues' texts, such as the name of a stage; one that no catalogue has stays as
    /// it is.
    pub fn named(name: impl Into<Cow<'static, str>>) -> Self {
        Self::Text { template: name.into(), values: Box::default() }
    }

    /// A name, what a person typed, or another program's words.
    pub fn verbatim(text: impl Into<String>) -> Self {
        Self::Verbatim(text.into())
    }

    /// The value of a setting as a person typed it: a number, or one of the setting's names.
    pub fn typed(text: &str) -> Self {
        match json::number(text.trim_start_matches(['+', '−'])) {
            Some(number) if number.is_finite() => Self::Number(text.to_owned()),
            _ => Self::named(text.to_owned()),
        }
    }

    /// Several with a separator between them.
    pub fn list(items: Vec<Self>, separator: Separator) -> Self {
        Self::List { items: items.into(), separator }
    }

    /// As a sentence: a capital first, a full stop last.
    pub fn as_sentence(self) -> Self {
        self.shaped(Shape::Sentence)
    }

    /// As a clause: a small letter first, no full stop last. A clause that was made a sentence is what it was.
    pub fn as_clause(self) -> Self {
        match self {
            Self::Shaped { message, shape: Shape::Sentence } => *message,
            other @ (Self::Text { .. }
            | Self::Verbatim(_)
            | Self::Number(_)
            | Self::List { .. }
            | Self::Shaped { shape: Shape::Clause | Shape::WithoutStop, .. }) => other.shaped(Shape::Clause),
        }
    }

    /// Without the full stop.
    pub fn without_stop(self) -> Self {
        self.shaped(Shape::WithoutStop)
    }

    fn shaped(self, shape: Shape) -> Self {
        Self::Shaped { message: Box::new(self), shape }
    }

    /// In the page's language.
    pub fn said(&self) -> String {
        self.in_words(say, decimal)
    }

    /// Whether it says nothing at all.
    pub fn is_empty(&self) -> bool {
        match self {
            Self::Text { template: text, .. } => text.is_empty(),
            Self::Verbatim(text) | Self::Number(text) => text.is_empty(),
            Self::List { items, .. } => items.iter().all(Self::is_empty),
            Self::Shaped { message, .. } => message.is_empty(),
        }
    }

    fn in_words(&self, text: fn(&str) -> &str, number: fn(String) -> String) -> String {
        let each = |messages: &[Self]| -> Vec<String> { messages.iter().map(|it| it.in_words(text, number)).collect() };
        match self {
            Self::Text { template, values } if values.is_empty() => text(template).to_owned(),
            Self::Text { template, values } => filled_in(text(template), &each(values)),
            Self::Verbatim(text) => text.clone(),
            Self::Number(digits) => number(digits.clone()),
            Self::List { items, separator } => each(items).join(separator.text()),
            Self::Shaped { message, shape } => shape.of(&message.in_words(text, number)),
        }
    }
}

impl Separator {
    const fn text(self) -> &'static str {
        match self {
            Self::Comma => ", ",
            Self::Semicolon => "; ",
        }
    }
}

impl Shape {
    fn of(self, text: &str) -> String {
        let text = text.trim_end_matches('.');
        let mut letters = text.chars();
        match self {
            Self::Sentence => {
                let first: String = letters.next().into_iter().flat_map(char::to_uppercase).collect();
                first + letters.as_str() + "."
            }
            Self::Clause => {
                let first = letters.next().map(|letter| letter.to_ascii_lowercase());
                first.into_iter().chain(letters).collect()
            }
            Self::WithoutStop => text.to_owned(),
        }
    }
}

impl Display for Message {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.pad(&self.in_words(|text| text, |digits| digits))
    }
}

impl Value for Message {
    fn value(&self) -> Message {
        self.clone()
    }
}

impl Value for str {
    fn value(&self) -> Message {
        Message::verbatim(self)
    }
}

impl Value for String {
    fn value(&self) -> Message {
        self.as_str().value()
    }
}

impl Value for Cow<'_, str> {
    fn value(&self) -> Message {
        self.as_ref().value()
    }
}

impl<T: Value + ?Sized> Value for &T {
    fn value(&self) -> Message {
        (**self).value()
    }
}

macro_rules! numbers {
    ($($number:ty)*) => {
        $(impl Value for $number {
            fn value(&self) -> Message {
                Message::Number(self.to_string())
            }
        })*
    };
}

numbers!(i32 u32 u64 usize f64);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::words::tests::in_german;

    fn lost(reason: &str) -> Message {
        message!("the device was lost ({})", reason)
    }

    #[test]
    fn a_message_is_said_in_english_and_in_the_page_s_language() {
        let outside = message!("{} is outside {} to {}", 9, 0.01, 5);
        let several = Message::list(
            vec![message!("{}: {}", "beta", outside), message!("{} is not a pair", 0.5)],
            Separator::Semicolon,
        );
        let refused = message!("That cannot be used: {}.", several);
        assert_eq!(refused.to_string(), "That cannot be used: beta: 9 is outside 0.01 to 5; 0.5 is not a pair.");
        assert_eq!(refused.said(), refused.to_string(), "without a catalogue it is English");
        in_german(|| {
            assert_eq!(refused.said(), "Das geht nicht: beta: 9 liegt nicht zwischen 0,01 und 5; 0,5 ist kein Paar.");
            assert!(refused.to_string().starts_with("That cannot be used: beta: 9 is outside 0.01"));
        });
    }

    #[test]
    fn what_a_person_typed_or_another_program_said_is_not_translated_and_not_filled_in() {
        in_german(|| {
            assert_eq!(lost("Play {} 0.5").said(), "das Gerät ging verloren (Play {} 0.5)");
            assert_eq!(Message::named("Play").said(), "Abspielen");
            assert_eq!(Message::named("a {} b".to_owned()).said(), "a {} b");
            let typed = ["0.5", "Play", "1e999", "x"].map(|text| Message::typed(text).said());
            assert_eq!(typed, ["0,5", "Abspielen", "1e999", "x"]);
        });
    }

    #[test]
    fn a_clause_becomes_a_sentence_and_a_clause_again() {
        let sentence = lost("it says so.").as_sentence();
        assert_eq!(sentence.to_string(), "The device was lost (it says so.).");
        assert_eq!(sentence.clone().without_stop().to_string(), "The device was lost (it says so.)");
        assert_eq!(message!("Nobody knows.").as_clause().to_string(), "nobody knows");
        assert_eq!(Message::verbatim("").as_sentence().to_string(), ".");
        in_german(|| {
            assert_eq!(sentence.said(), "Das Gerät ging verloren (it says so.).");
            assert_eq!(sentence.clone().without_stop().said(), "Das Gerät ging verloren (it says so.)");
            assert_eq!(sentence.as_clause().said(), "das Gerät ging verloren (it says so.)");
        });
    }

    #[test]
    fn a_message_crosses_to_the_page_whole() {
        let message = message!("{} of {} pairs", 3, lost("x").as_sentence());
        let items = vec![message, Message::verbatim("y"), Message::named("Play")];
        let list = Message::list(items, Separator::Comma);
        assert_eq!(json::from_text(&json::to_text(&list)), Ok(list));
        for text in ["strengthened by “very”", "Text", ""] {
            assert_eq!(
                json::from_text(&json::to_text(&text)),
                Ok(Message::verbatim(text)),
                "as earlier versions kept it"
            );
        }
    }
}
