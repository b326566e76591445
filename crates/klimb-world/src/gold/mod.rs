//! The gold reward: what the world itself thinks of a review, with its working.
//!
//! It is VADER (Hutto & Gilbert 2014) as the package vaderSentiment 3.3.2 computes it, over a lexicon of a few dozen
//! words. Where the package's own lexicon knows more, the text has words that are named as unknown here: gold reward = (1 + compound) / 2, between 0 and 1. Every rule that fires is recorded
//! next to the word it changed, so that a student can follow the sum.

mod lexicon;
mod rules;

pub use lexicon::{Example, Lexicon, LexiconError};
use rules::Contribution;
pub use rules::Rule;

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

/// How one word's contribution came about.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct WordWorking {
    /// The word.
    pub word: String,
    /// Its valence in the lexicon, −4 to 4; 0 for a word that carries no sentiment of its own.
    pub valence: f64,
    /// What it adds to the sum after all rules.
    pub contribution: f64,
    /// The rules that changed it, in the order in which they fired.
    pub rules: Vec<Rule>,
}

/// What a rule did to a word's contribution.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct RuleStep<'a> {
    /// The rule.
    pub rule: &'a Rule,
    /// The contribution before it.
    pub before: f64,
    /// The contribution after it.
    pub after: f64,
}

impl WordWorking {
    /// What each rule did, in the order in which they fired.
    pub fn steps(&self) -> impl Iterator<Item = RuleStep<'_>> {
        self.rules.iter().scan(self.valence, |now, rule| {
            let before = std::mem::replace(now, rule.after(*now, self.valence));
            Some(RuleStep { rule, before, after: *now })
        })
    }
}

/// The gold reward of a text and every step that led to it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Working {
    /// One entry a word, in the order of the text.
    pub words: Vec<WordWorking>,
    /// Sum of the contributions and of the emphasis of "!" and "?", s.
    pub sum: f64,
    /// s / √(s² + 15) rounded to four decimals as the package does, −1 to 1.
    pub compound: f64,
    /// (1 + compound) / 2, or 0 for a completion without its end token.
    pub gold_reward: f64,
    /// Whether the text ended with the end token. A bare text counts as ended.
    pub ended: bool,
    /// Words the lexicon does not list, in order of first appearance. They count as neutral.
    pub unknown: Vec<String>,
}

/// The gold reward of `words` by the world's own lexicon; see [`Lexicon::score_words`].
pub fn score_words(words: &[&str]) -> Working {
    Lexicon::klimb().score_words(words)
}

impl Lexicon {
    /// Scores a text: splits on white space, lower-cases, and strips punctuation that is attached to a word.
    pub fn score_text(&self, text: &str) -> Working {
        self.score_words(&text.split_whitespace().collect::<Vec<_>>())
    }

    /// Scores the words of a text. The world writes no capitals; in a text of both, a word all in capitals is louder.
    pub fn score_words(&self, words: &[&str]) -> Working {
        let bare: Vec<&str> = words.iter().map(|word| strip_punctuation(word)).collect();
        let lowered: Vec<String> = bare.iter().map(|word| word.to_ascii_lowercase()).collect();
        let plain: Vec<&str> = lowered.iter().map(String::as_str).collect();
        let mut loud: Vec<bool> = bare.iter().map(|word| is_in_capitals(word)).collect();
        if loud.iter().all(|&is_loud| is_loud) {
            loud.fill(false);
        }
        let mut workings: Vec<WordWorking> = (0..plain.len())
            .map(|index| {
                let Contribution { value: contribution, rules } = rules::contribution(self, &plain, &loud, index);
                let valence = self.valence(plain[index]).unwrap_or(0.0);
                WordWorking { word: plain[index].to_owned(), valence, contribution, rules }
            })
            .collect();
        if let Some(but) = plain.iter().position(|&word| word == "but") {
            rules::weigh_around_but(&mut workings, but);
        }
        // From 0 on: the library's sum of nothing is -0.
        let sum = emphasised(workings.iter().fold(0.0, |sum, word| sum + word.contribution), words);
        let compound = (sum / (sum * sum + 15.0).sqrt() * 1e4).round() / 1e4;
        let mut seen = BTreeSet::new();
        let first_unknown = plain.iter().filter(|word| !self.knows(word) && seen.insert(**word));
        let unknown = first_unknown.map(|word| (*word).to_owned()).collect();
        Working { words: workings, sum, compound, gold_reward: (1.0 + compound) / 2.0, ended: true, unknown }
    }
}

/// The word without punctuation around it; a token that would keep two characters or fewer stays as it is (an
/// emoticon, for the package).
fn strip_punctuation(token: &str) -> &str {
    let stripped = token.trim_matches(|character: char| character.is_ascii_punctuation());
    if stripped.chars().count() <= 2 { token } else { stripped }
}

/// Whether a word has capitals and no small letter.
fn is_in_capitals(word: &str) -> bool {
    word.bytes().any(|letter| letter.is_ascii_uppercase()) && !word.bytes().any(|letter| letter.is_ascii_lowercase())
}

/// "!" and repeated "?" push a sum away from 0.
fn emphasised(sum: f64, words: &[&str]) -> f64 {
    let count = |mark| words.iter().map(|word| word.matches(mark).count()).sum::<usize>();
    let exclamations = count('!').min(4) as f64 * 0.292;
    let questions = match count('?') {
        0 | 1 => 0.0,
        few @ (2 | 3) => few as f64 * 0.18,
        _ => 0.96,
    };
    if sum == 0.0 { sum } else { sum + sum.signum() * (exclamations + questions) }
}
