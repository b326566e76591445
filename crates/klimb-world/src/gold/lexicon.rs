//! Word lists of the gold reward, and the file format they come in.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::OnceLock;

use serde::Deserialize;
use thiserror::Error;

use klimb_text::json::{self, JsonError};

/// Words with their published valences, boosters and negators, and the words known to be neutral.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub struct Lexicon {
    /// Word to valence, −4 to 4.
    pub(crate) valences: BTreeMap<String, f64>,
    /// Word to the change it makes to a following word's valence, ± .293.
    pub(crate) boosters: BTreeMap<String, f64>,
    /// Words that turn the sense of one of the three words that follow.
    pub(crate) negations: BTreeSet<String>,
    /// Words without effect.
    pub(crate) neutral: BTreeSet<String>,
}

/// A text and the compound that the published package gives it.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub struct Example {
    /// Lower-case, single-spaced; punctuation stands alone.
    pub text: String,
    /// −1 to 1, four decimals.
    pub compound: f64,
}

/// Why a sentiment file cannot be used.
#[derive(Debug, Error)]
pub enum LexiconError {
    /// Not JSON, or not of this format.
    #[error("the sentiment file is not of the format {{valences, boosters, negations, neutral, examples}}: {0}")]
    Format(#[from] JsonError),
    /// A number VADER could not have.
    #[error("the sentiment file gives {word:?} the {kind} {value}; it must lie between -4 and 4")]
    Value {
        /// The word it is given for.
        word: String,
        /// `valence` or `booster`.
        kind: &'static str,
        /// The number.
        value: f64,
    },
}

/// Words that a rule names and that have no valence in the package's lexicon. They are known even where no list has them.
const RULE_WORDS: [&str; 3] = ["but", "this", "least"];

impl Lexicon {
    /// The world's own lexicon, with the published valences.
    pub fn klimb() -> &'static Self {
        static LEXICON: OnceLock<Lexicon> = OnceLock::new();
        LEXICON.get_or_init(|| Self::from_json(include_str!("lexicon.json")).expect("the built-in lexicon is valid"))
    }

    /// Reads `valences`, `boosters`, `negations` and `neutral` from JSON.
    ///
    /// # Errors
    /// `Format` if the text is not JSON or lacks a list, `Value` if a number lies outside −4 to 4.
    pub fn from_json(text: &str) -> Result<Self, LexiconError> {
        let lexicon: Self = json::from_text(text)?;
        for (kind, list) in [("valence", &lexicon.valences), ("booster", &lexicon.boosters)] {
            if let Some((word, &value)) = list.iter().find(|(_, value)| !(-4.0..=4.0).contains(*value)) {
                return Err(LexiconError::Value { word: word.clone(), kind, value });
            }
        }
        Ok(lexicon)
    }

    /// Reads the `examples` of such a file; none if it has none.
    ///
    /// # Errors
    /// `Format` if the text is not JSON or an example is not of the format.
    pub fn examples_from_json(text: &str) -> Result<Vec<Example>, LexiconError> {
        #[derive(Deserialize)]
        struct File {
            #[serde(default)]
            examples: Vec<Example>,
        }
        Ok(json::from_text::<File>(text)?.examples)
    }

    /// The word's valence, if it has one.
    pub fn valence(&self, word: &str) -> Option<f64> {
        self.valences.get(word).copied()
    }

    /// What the word adds to the valence of a word after it, if it is a booster.
    pub fn booster(&self, word: &str) -> Option<f64> {
        self.boosters.get(word).copied()
    }

    /// Whether the word is a negator.
    pub fn negates(&self, word: &str) -> bool {
        self.negations.contains(word)
    }

    /// Whether the word is in any list, is named by a rule, or is punctuation: one mark, be it repeated. Several marks may
    /// be an emoticon, which the package would give a valence.
    pub fn knows(&self, word: &str) -> bool {
        self.valences.contains_key(word)
            || self.boosters.contains_key(word)
            || self.negations.contains(word)
            || self.neutral.contains(word)
            || RULE_WORDS.contains(&word)
            || word.bytes().all(|mark| mark.is_ascii_punctuation() && word.as_bytes()[0] == mark)
    }
}
