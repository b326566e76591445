//! Preference pairs: who prefers what, and files of such pairs.
//!
//! Labels follow Bradley & Terry (1952) on the gold reward: p(A ≻ B) = σ((gold_A − gold_B) / τ).

use serde::{Deserialize, Serialize};
use thiserror::Error;

use super::World;
use super::vocabulary::{Encoded, Vocabulary};
use crate::json;
use crate::model::ConfigError;
use crate::rng::Generator;
use crate::shorten::shortened;

/// Two completions of a prompt and which one was preferred.
#[derive(Debug, Clone, PartialEq)]
pub struct Pair {
    /// The prompt's tokens.
    pub prompt: Vec<u32>,
    /// Tokens of the preferred completion, with its end token if it has one.
    pub chosen: Vec<u32>,
    /// Tokens of the other.
    pub rejected: Vec<u32>,
    /// Gold reward of prompt and chosen completion.
    pub chosen_gold: f64,
    /// Gold reward of prompt and rejected completion.
    pub rejected_gold: f64,
}

/// How labels are drawn.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct LabelSettings {
    /// τ in gold reward, 0 to 10: 0 always prefers the higher gold reward, and tosses a coin on a tie.
    pub temperature: f64,
    /// Probability that a label is then turned round, 0 to 0.5.
    pub flip_probability: f64,
}

impl Default for LabelSettings {
    fn default() -> Self {
        Self { temperature: 0.1, flip_probability: 0.0 }
    }
}

impl LabelSettings {
    /// The settings.
    ///
    /// # Errors
    /// The first setting outside its range, by name.
    pub fn validated(self) -> Result<Self, ConfigError> {
        for (field, value, high) in
            [("temperature", self.temperature, 10.0), ("flip_probability", self.flip_probability, 0.5)]
        {
            if !(0.0..=high).contains(&value) {
                return Err(ConfigError::new(
                    field,
                    format!("{value} is outside 0 to {high}; choose a number between"),
                ));
            }
        }
        Ok(self)
    }

    /// Probability that A is labelled better than B, for `advantage` = gold_A − gold_B.
    pub fn probability(&self, advantage: f64) -> f64 {
        let preferred = if self.temperature > 0.0 {
            1.0 / (1.0 + (-advantage / self.temperature).exp())
        } else if advantage == 0.0 {
            0.5
        } else {
            f64::from(advantage > 0.0)
        };
        preferred * (1.0 - self.flip_probability) + (1.0 - preferred) * self.flip_probability
    }
}

/// Labels every pair of `completions` (six for four), given their gold rewards; one draw of `generator` a pair.
///
/// # Panics
/// If there are not as many gold rewards as completions.
pub fn label_pairs<C: AsRef<[u32]>>(
    prompt: &[u32],
    completions: &[C],
    gold_rewards: &[f64],
    settings: LabelSettings,
    generator: &mut Generator,
) -> Vec<Pair> {
    let (count, rewards) = (completions.len(), gold_rewards.len());
    assert_eq!(count, rewards, "label_pairs: {count} completions but {rewards} gold rewards");
    let mut pairs = Vec::with_capacity(count * count.saturating_sub(1) / 2);
    for first in 0..count {
        for second in first + 1..count {
            let first_wins = generator.uniform() < settings.probability(gold_rewards[first] - gold_rewards[second]);
            let (better, worse) = if first_wins { (first, second) } else { (second, first) };
            pairs.push(Pair {
                prompt: prompt.to_vec(),
                chosen: completions[better].as_ref().to_vec(),
                rejected: completions[worse].as_ref().to_vec(),
                chosen_gold: gold_rewards[better],
                rejected_gold: gold_rewards[worse],
            });
        }
    }
    pairs
}

/// Pairs of which each is turned round with a `probability`; one draw of `generator` a pair. What a label's noise is to
/// pairs that are made, this is to pairs that somebody has labelled already.
pub fn with_flips(pairs: Vec<Pair>, probability: f64, generator: &mut Generator) -> Vec<Pair> {
    let turned = |pair: Pair| Pair {
        chosen: pair.rejected,
        rejected: pair.chosen,
        chosen_gold: pair.rejected_gold,
        rejected_gold: pair.chosen_gold,
        ..pair
    };
    pairs.into_iter().map(|pair| if generator.uniform() < probability { turned(pair) } else { pair }).collect()
}

/// Why a file of pairs cannot be used.
#[derive(Debug, Error, PartialEq, Eq)]
pub enum PairError {
    /// The file holds nothing.
    #[error(
        "there is no pair in it; write one a line, like {{\"prompt\": \"the acting in this film\", \"chosen\": \"was superb .\", \"rejected\": \"was dull .\"}}"
    )]
    Empty,
    /// The line is not a JSON object with the fields.
    #[error(
        "line {line}: {problem}; each line must be an object like {{\"prompt\": \"the acting in this film\", \"chosen\": \"was superb .\", \"rejected\": \"was dull .\"}}"
    )]
    Format {
        /// The line's number, from 1.
        line: usize,
        /// The parser's words.
        problem: String,
    },
    /// A text holds words the world does not have.
    #[error("line {line}, field `{field}`: the world has no word for {words}; use the words of its vocabulary")]
    UnknownWords {
        /// The line's number, from 1.
        line: usize,
        /// `prompt`, `chosen` or `rejected`.
        field: &'static str,
        /// The words, quoted.
        words: String,
    },
    /// A text has no word, or too many.
    #[error("line {line}, field `{field}`: {count} words; write {low} to {high}")]
    Length {
        /// The line's number, from 1.
        line: usize,
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

/// One line of a file of pairs.
#[derive(Serialize, Deserialize)]
struct Line {
    prompt: String,
    chosen: String,
    rejected: String,
    /// The completion stops without its end token.
    #[serde(default, skip_serializing_if = "is_false")]
    chosen_truncated: bool,
    #[serde(default, skip_serializing_if = "is_false")]
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
        jsonl_line(&text(prompt), (&text(chosen), ended(chosen)), (&text(rejected), ended(rejected)))
    };
    pairs.iter().map(line).collect()
}

/// One line of a file of pairs, line break included, from the texts of prompt, chosen and rejected; each completion with
/// whether its end token came.
pub fn jsonl_line(prompt: &str, chosen: (&str, bool), rejected: (&str, bool)) -> String {
    let line = Line {
        prompt: prompt.into(),
        chosen: chosen.0.into(),
        rejected: rejected.0.into(),
        chosen_truncated: !chosen.1,
        rejected_truncated: !rejected.1,
    };
    json::to_text(&line) + "\n"
}

/// Reads pairs from JSON lines (further fields are ignored, blank lines skipped) and computes their gold rewards. A
/// completion ends with the end token unless its line says `chosen_truncated` or `rejected_truncated`; one that ends may be
/// empty, since a model may end at once.
///
/// # Errors
/// `Empty` if there is no pair; otherwise the first line that is not of the format, or whose texts the world cannot read.
pub fn from_jsonl(world: &World, text: &str) -> Result<Vec<Pair>, PairError> {
    let lines = text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty());
    let pairs: Vec<Pair> = lines.map(|(index, line)| read_line(world, index + 1, line)).collect::<Result<_, _>>()?;
    if pairs.is_empty() { Err(PairError::Empty) } else { Ok(pairs) }
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

fn read_line(world: &World, line: usize, text: &str) -> Result<Pair, PairError> {
    let fields: Line =
        json::from_text(text).map_err(|problem| PairError::Format { line, problem: problem.to_string() })?;
    let encode = |field, text: &str, (low, high): (usize, usize)| {
        let encoded = encode_with_padding(world, text);
        if !encoded.unknown.is_empty() {
            let words = encoded.unknown.iter().map(|word| format!("{word:?}")).collect::<Vec<_>>().join(", ");
            return Err(PairError::UnknownWords { line, field, words: shortened(&words).into_owned() });
        }
        match encoded.tokens.len() {
            count if (low..=high).contains(&count) => Ok(encoded.tokens),
            count => Err(PairError::Length { line, field, count, low, high }),
        }
    };
    let prompt = encode("prompt", &fields.prompt, (1, super::MAX_PROMPT))?;
    // As long as a model may write: the longer the prompt, the shorter its completion.
    let room = super::MAX_SEQUENCE - prompt.len();
    let completion = |field, text: &str, truncated: bool| {
        // A model may end at once: then its end token is all of its completion.
        let range = if truncated { (1, room) } else { (0, room - 1) };
        let mut tokens = encode(field, text, range)?;
        tokens.extend((!truncated).then_some(Vocabulary::END));
        Ok(tokens)
    };
    let chosen = completion("chosen", &fields.chosen, fields.chosen_truncated)?;
    let rejected = completion("rejected", &fields.rejected, fields.rejected_truncated)?;
    let gold = |completion: &[u32]| world.gold_reward(&[&prompt, completion].concat());
    let (chosen_gold, rejected_gold) = (gold(&chosen), gold(&rejected));
    Ok(Pair { prompt, chosen, rejected, chosen_gold, rejected_gold })
}
