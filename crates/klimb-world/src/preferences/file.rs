//! Files of pairs: JSON lines, or one JSON array, with texts or single turns of conversations. What is read was written by
//! anybody.

use std::borrow::Cow;
use std::ops::RangeInclusive;

use serde::Serialize;
use thiserror::Error;

use super::Pair;
use crate::vocabulary::{Encoded, Vocabulary};
use crate::{MAX_PROMPT, MAX_SEQUENCE, World};
use klimb_text::json::{self, Value};
use klimb_text::shorten::excerpt;
use klimb_text::text::without_mark;
use klimb_text::{Message, display_message, message};

/// Where in a file a pair stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum FilePosition {
    /// On a line of its own, from 1.
    Line(usize),
    /// In an array, from 1.
    Item(usize),
}

impl FilePosition {
    /// It, as a clause begins.
    pub fn message(&self) -> Message {
        match self {
            Self::Line(it) => message!("line {}", it),
            Self::Item(it) => message!("pair {}", it),
        }
    }
}

display_message!(FilePosition);

/// Why a file of pairs cannot be used.
#[derive(Debug, Error, PartialEq, Eq)]
pub enum PairError {
    /// The file holds nothing.
    Empty,
    /// The line is not a JSON object.
    Format {
        /// Where.
        place: FilePosition,
        /// What is wrong, or what the reader says.
        problem: Message,
    },
    /// A pair lacks a field.
    Missing {
        /// Where.
        place: FilePosition,
        /// `prompt`, `chosen` or `rejected`.
        field: &'static str,
    },
    /// A field is of another kind.
    Kind {
        /// Where.
        place: FilePosition,
        /// The field.
        field: &'static str,
        /// What is there.
        found: &'static str,
        /// What belongs there.
        wanted: &'static str,
    },
    /// A field is a conversation of more than a question and an answer.
    Conversation {
        /// Where.
        place: FilePosition,
        /// The field.
        field: &'static str,
        /// Its messages.
        count: usize,
        /// Whose they are.
        roles: String,
    },
    /// A conversation is about something else.
    Question {
        /// Where.
        place: FilePosition,
        /// The field.
        field: &'static str,
    },
    /// A text holds words the world does not have.
    UnknownWords {
        /// Where.
        place: FilePosition,
        /// `prompt`, `chosen` or `rejected`.
        field: &'static str,
        /// The words, quoted.
        words: String,
    },
    /// A text has no word, or too many.
    Length {
        /// Where.
        place: FilePosition,
        /// `prompt`, `chosen` or `rejected`.
        field: &'static str,
        /// Words found.
        count: usize,
        /// Fewest words allowed.
        low: usize,
        /// Most words allowed.
        high: usize,
    },
}

impl PairError {
    /// What is wrong, as a clause.
    pub fn message(&self) -> Message {
        match self {
            Self::Empty => message!(
                "there is no pair in it; write one a line, like {\"prompt\": \"the acting in this film\", \"chosen\": \"was superb .\", \"rejected\": \"was dull .\"}"
            ),
            Self::Format { place, problem } => message!(
                "{}: {}; each line must be an object like {\"prompt\": \"the acting in this film\", \"chosen\": \"was superb .\", \"rejected\": \"was dull .\"}",
                place.message(),
                problem
            ),
            Self::Missing { place, field } => message!(
                "{}: it has no `{}`; each pair must be an object like {\"prompt\": \"the acting in this film\", \"chosen\": \"was superb .\", \"rejected\": \"was dull .\"}",
                place.message(),
                field
            ),
            Self::Kind { place, field, found, wanted } => message!(
                "{}, field `{}`: {} stands where {} belongs",
                place.message(),
                field,
                Message::named(*found),
                Message::named(*wanted)
            ),
            Self::Conversation { place, field, count, roles } => message!(
                "{}, field `{}`: messages in this conversation: {} ({}); what is read is a text, or a conversation of one message of the user and one answer of the assistant, whose `content` is a text or made of texts",
                place.message(),
                field,
                count,
                roles
            ),
            Self::Question { place, field } => message!(
                "{}, field `{}`: the question in it is not that of `prompt`, or of the other conversation",
                place.message(),
                field
            ),
            Self::UnknownWords { place, field, words } => message!(
                "{}, field `{}`: the world has no word for {}; use the words of its vocabulary",
                place.message(),
                field,
                words
            ),
            Self::Length { place, field, count, low, high } => {
                message!("{}, field `{}`: {} words; write {} to {}", place.message(), field, count, low, high)
            }
        }
    }
}

display_message!(PairError);

/// One line of a file of pairs, as it is written.
#[derive(Serialize)]
struct Line<'a> {
    prompt: &'a str,
    chosen: &'a str,
    rejected: &'a str,
    /// The completion stops without its end token.
    #[serde(skip_serializing_if = "is_false")]
    chosen_truncated: bool,
    #[serde(skip_serializing_if = "is_false")]
    rejected_truncated: bool,
}

fn is_false(flag: &bool) -> bool {
    !flag
}

/// Writes pairs as JSON lines with the texts of `prompt`, `chosen` and `rejected`.
pub fn to_jsonl(world: &World, pairs: &[Pair]) -> String {
    // Padding that a model wrote, as one may that has learned little, stays a token of its completion.
    let text = |tokens: &[u32]| {
        let body = tokens.iter().take_while(|&&token| token != Vocabulary::END);
        body.map(|&token| world.vocabulary().word(token)).collect::<Vec<&str>>().join(" ")
    };
    let ended = |tokens: &[u32]| tokens.contains(&Vocabulary::END);
    let line = |Pair { prompt, chosen, rejected, .. }: &Pair| {
        let chosen = CompletionText { text: &text(chosen), ended: ended(chosen) };
        let rejected = CompletionText { text: &text(rejected), ended: ended(rejected) };
        jsonl_line(&text(prompt), chosen, rejected)
    };
    pairs.iter().map(line).collect()
}

/// A completion as a file of pairs has it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CompletionText<'a> {
    /// Its words, without the end token.
    pub text: &'a str,
    /// Whether its end token came.
    pub ended: bool,
}

/// One line of a file of pairs, line break included, from the text of the prompt and both completions.
pub fn jsonl_line(prompt: &str, chosen: CompletionText, rejected: CompletionText) -> String {
    let line = Line {
        prompt,
        chosen: chosen.text,
        rejected: rejected.text,
        chosen_truncated: !chosen.ended,
        rejected_truncated: !rejected.ended,
    };
    json::to_text(&line) + "\n"
}

/// Reads pairs and computes their gold rewards: JSON lines (blank ones are skipped), or one array of such objects. Further
/// fields are ignored, and a field that is `null` counts as absent. A completion ends with the end token unless its
/// object says `chosen_truncated` or `rejected_truncated`; one that ends may be empty, since a model may end at once. In the
/// place of a text may stand the messages of a single turn, as TRL's conversational data sets have them: the user's as
/// `prompt`, the assistant's as `chosen` and `rejected`, or both together in these two.
///
/// # Errors
/// `Empty` if there is no pair; otherwise the first pair that is not of the format, or whose texts the world cannot read.
pub fn from_jsonl(world: &World, text: &str) -> Result<Vec<Pair>, PairError> {
    let text = without_mark(text);
    let read = |place, text: &str| {
        json::from_text::<Value>(text).map_err(|problem| PairError::Format { place, problem: problem.message() })
    };
    let pairs: Vec<Pair> = if text.trim_start().starts_with('[') {
        let Value::List(items) = read(FilePosition::Line(1), text)? else { return Err(PairError::Empty) };
        let pair = |(index, item): (usize, &Value)| Reader { world, place: FilePosition::Item(index + 1) }.pair(item);
        items.iter().enumerate().map(pair).collect::<Result<_, _>>()?
    } else {
        let lines = text.lines().map(without_mark).enumerate().filter(|(_, line)| !line.trim().is_empty());
        let pair = |(index, line): (usize, &str)| {
            let place = FilePosition::Line(index + 1);
            Reader { world, place }.pair(&read(place, line)?)
        };
        lines.map(pair).collect::<Result<_, _>>()?
    };
    if pairs.is_empty() { Err(PairError::Empty) } else { Ok(pairs) }
}

/// What a field of a pair says.
struct Turns<'v> {
    /// What the user said first, where the field has both.
    question: Option<Cow<'v, str>>,
    text: Cow<'v, str>,
}

/// Reads the object at a place.
#[derive(Clone, Copy)]
struct Reader<'a> {
    world: &'a World,
    place: FilePosition,
}

impl Reader<'_> {
    fn pair(self, object: &Value) -> Result<Pair, PairError> {
        let place = self.place;
        if !matches!(object, Value::Object(_)) {
            let problem = message!("it is {}", Message::named(object.kind()));
            return Err(PairError::Format { place, problem });
        }
        let Turns { question: chosen_prompt, text: chosen } = self.turns("chosen", object)?;
        let Turns { question: rejected_prompt, text: rejected } = self.turns("rejected", object)?;
        // Without a field of its own it is what the conversations begin with.
        let prompt = match object.field("prompt") {
            Some(_) => self.turns("prompt", object)?.text,
            None => chosen_prompt.clone().ok_or(self.missing("prompt"))?,
        };
        for (field, question) in [("chosen", &chosen_prompt), ("rejected", &rejected_prompt)] {
            if question.as_ref().is_some_and(|question| question.trim() != prompt.trim()) {
                return Err(PairError::Question { place: self.place, field });
            }
        }
        let prompt = self.encode("prompt", &prompt, 1..=MAX_PROMPT)?;
        // As long as a model may write: the longer the prompt, the shorter its completion.
        let room = MAX_SEQUENCE - prompt.len();
        let completion = |field, text: &str, truncated: bool| {
            // A model may end at once: then its end token is all of its completion.
            let lengths = if truncated { 1..=room } else { 0..=room - 1 };
            let mut tokens = self.encode(field, text, lengths)?;
            tokens.extend((!truncated).then_some(Vocabulary::END));
            Ok(tokens)
        };
        let chosen = completion("chosen", &chosen, self.flag("chosen_truncated", object)?)?;
        let rejected = completion("rejected", &rejected, self.flag("rejected_truncated", object)?)?;
        let gold = |completion: &[u32]| self.world.gold_reward(&[&prompt, completion].concat());
        let (chosen_gold, rejected_gold) = (gold(&chosen), gold(&rejected));
        Ok(Pair { prompt, chosen, rejected, chosen_gold, rejected_gold })
    }

    fn missing(self, field: &'static str) -> PairError {
        PairError::Missing { place: self.place, field }
    }

    /// A field's text, and in front of it that of the user where the field has both.
    fn turns<'v>(self, field: &'static str, object: &'v Value) -> Result<Turns<'v>, PairError> {
        let place = self.place;
        let messages = match object.field(field) {
            None => return Err(self.missing(field)),
            Some(Value::Text(text)) => return Ok(Turns { question: None, text: Cow::Borrowed(text) }),
            Some(Value::List(messages)) => messages,
            Some(other) => {
                return Err(PairError::Kind { place, field, found: other.kind(), wanted: "a text" });
            }
        };
        let read: Vec<(&str, Option<Cow<str>>)> =
            messages.iter().map(|it| (part(it, "role").unwrap_or("?"), content(it))).collect();
        let own = if field == "prompt" { "user" } else { "assistant" };
        match read.as_slice() {
            [(role, Some(text))] if *role == own => Ok(Turns { question: None, text: text.clone() }),
            [("user", Some(question)), ("assistant", Some(answer))] if field != "prompt" => {
                Ok(Turns { question: Some(question.clone()), text: answer.clone() })
            }
            others => {
                let roles = others.iter().take(6).map(|(role, _)| excerpt(role)).collect::<Vec<_>>();
                Err(PairError::Conversation { place, field, count: others.len(), roles: roles.join(", ") })
            }
        }
    }

    fn flag(self, field: &'static str, object: &Value) -> Result<bool, PairError> {
        match object.field(field) {
            None => Ok(false),
            Some(Value::Bool(flag)) => Ok(*flag),
            Some(other) => {
                Err(PairError::Kind { place: self.place, field, found: other.kind(), wanted: "true or false" })
            }
        }
    }

    /// A text's tokens, whose number must be among `lengths`.
    fn encode(self, field: &'static str, text: &str, lengths: RangeInclusive<usize>) -> Result<Vec<u32>, PairError> {
        let place = self.place;
        let encoded = encode_with_padding(self.world, text);
        if !encoded.unknown.is_empty() {
            let mut words: Vec<String> =
                encoded.unknown.iter().take(6).map(|word| format!("{:?}", excerpt(word))).collect();
            words.extend((encoded.unknown.len() > 6).then(|| "…".to_owned()));
            return Err(PairError::UnknownWords { place, field, words: words.join(", ") });
        }
        match encoded.tokens.len() {
            count if lengths.contains(&count) => Ok(encoded.tokens),
            count => Err(PairError::Length { place, field, count, low: *lengths.start(), high: *lengths.end() }),
        }
    }
}

/// A part of a message, where it is a text.
fn part<'v>(message: &'v Value, name: &str) -> Option<&'v str> {
    match message.field(name)? {
        Value::Text(text) => Some(text),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::List(_) | Value::Object(_) => None,
    }
}

/// What a message says: its text, or the texts that it is made of, one after another.
fn content(message: &Value) -> Option<Cow<'_, str>> {
    match message.field("content")? {
        Value::Text(text) => Some(Cow::Borrowed(text)),
        Value::List(parts) if !parts.is_empty() => {
            let text = |it| part(it, "text").filter(|_| part(it, "type") == Some("text"));
            let texts: Option<Vec<&str>> = parts.iter().map(text).collect();
            texts.map(|texts| Cow::Owned(texts.join(" ")))
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::List(_) | Value::Object(_) => None,
    }
}

/// A text's tokens; padding stands in it as [`to_jsonl`] writes it.
fn encode_with_padding(world: &World, text: &str) -> Encoded {
    let padding = world.vocabulary().word(Vocabulary::PADDING);
    let mut parts = text.split(padding).map(|part| world.vocabulary().encode(part));
    let mut encoded = parts.next().unwrap_or_else(|| world.vocabulary().encode(""));
    for Encoded { tokens, unknown } in parts {
        encoded.tokens.push(Vocabulary::PADDING);
        encoded.tokens.extend(tokens);
        encoded.unknown.extend(unknown);
    }
    encoded
}
