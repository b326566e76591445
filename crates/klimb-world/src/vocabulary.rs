//! The world's words and their token numbers.

use std::collections::{BTreeSet, HashMap};

use super::gold::Lexicon;
use klimb_numerics::hash::fingerprint;

/// Punctuation the world writes; a token each.
const PUNCTUATION: [&str; 4] = [".", ",", "?", ":"];

/// A text as tokens, with what could not be encoded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Encoded {
    /// The tokens of the words the vocabulary has, in order.
    pub tokens: Vec<u32>,
    /// The words it does not have, in order of appearance, each once.
    pub unknown: Vec<String>,
}

/// Every token: padding, the end token, then the words.
#[derive(Debug, Clone)]
pub struct Vocabulary {
    words: Vec<String>,
    tokens: HashMap<String, u32>,
}

impl Vocabulary {
    /// Fills a batch's rows; never a target and never sampled.
    pub const PADDING: u32 = 0;
    /// Ends every document.
    pub const END: u32 = 1;
    /// The first token that is a word.
    pub const FIRST_WORD: u32 = 2;

    /// Punctuation and "but", then the lexicon's words by list and alphabet, so that the same lists give the same
    /// tokens everywhere.
    pub(super) fn new(lexicon: &Lexicon) -> Self {
        let lists = PUNCTUATION.into_iter().chain(["but"]).chain(
            (lexicon
                .valences
                .keys()
                .chain(lexicon.boosters.keys())
                .chain(lexicon.negations.iter())
                .chain(lexicon.neutral.iter()))
            .map(String::as_str),
        );
        let mut vocabulary = Self { words: vec!["<padding>".into(), "<end>".into()], tokens: HashMap::new() };
        for word in lists {
            let token = vocabulary.words.len() as u32;
            if vocabulary.tokens.insert(word.to_owned(), token).is_some() {
                panic!("the lexicon lists {word:?} twice");
            }
            vocabulary.words.push(word.to_owned());
        }
        vocabulary
    }

    /// Number of tokens, V, with padding and the end token.
    pub fn len(&self) -> usize {
        self.words.len()
    }

    /// Always false: the special tokens are always there.
    pub fn is_empty(&self) -> bool {
        self.words.is_empty()
    }

    /// The tokens that are words (no padding, no end token).
    pub fn word_tokens(&self) -> std::ops::Range<u32> {
        Self::FIRST_WORD..self.len() as u32
    }

    /// The word of a token, which must be below [`Self::len`]; `<padding>` and `<end>` for the special ones.
    pub fn word(&self, token: u32) -> &str {
        &self.words[token as usize]
    }

    /// The token of a word.
    pub fn token(&self, word: &str) -> Option<u32> {
        self.tokens.get(word).copied()
    }

    /// Encodes any text: lower-cased, split on white space, punctuation a token of its own. Adds no end token.
    pub fn encode(&self, text: &str) -> Encoded {
        let (mut tokens, mut unknown, mut seen) = (Vec::new(), Vec::new(), BTreeSet::new());
        let lowered = text.to_ascii_lowercase();
        for piece in lowered.split_whitespace().flat_map(split_punctuation) {
            match self.token(piece) {
                Some(token) => tokens.push(token),
                None if seen.insert(piece) => unknown.push(piece.to_owned()),
                None => {}
            }
        }
        Encoded { tokens, unknown }
    }

    /// The text of a sequence up to its end token, words separated by single spaces, padding left out.
    pub fn text(&self, tokens: &[u32]) -> String {
        self.words(tokens).join(" ")
    }

    /// The words of a sequence up to its end token, padding left out.
    pub fn words(&self, tokens: &[u32]) -> Vec<&str> {
        let body = tokens.iter().take_while(|&&token| token != Self::END);
        body.filter(|&&token| token != Self::PADDING).map(|&token| self.word(token)).collect()
    }

    /// A hash of all words in order. Checkpoints carry it, because a network trained
    /// on another vocabulary would read other words.
    pub fn fingerprint(&self) -> String {
        fingerprint(self.words.iter().flat_map(|word| word.bytes().chain([b'\n'])))
    }
}

/// Cuts a word from the punctuation around it. An apostrophe or hyphen inside a word stays.
fn split_punctuation(word: &str) -> Vec<&str> {
    let is_mark = |character: char| character.is_ascii_punctuation();
    let core = word.trim_matches(is_mark);
    let start = word.len() - word.trim_start_matches(is_mark).len();
    let marks = |text: &'_ str| text.char_indices().map(|(at, mark)| at..at + mark.len_utf8()).collect::<Vec<_>>();
    let mut pieces: Vec<&str> = marks(&word[..start]).into_iter().map(|range| &word[range]).collect();
    if !core.is_empty() {
        pieces.push(core);
        let tail = &word[start + core.len()..];
        pieces.extend(marks(tail).into_iter().map(|range| &tail[range]));
    }
    pieces
}
