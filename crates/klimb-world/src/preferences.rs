//! Preference pairs: who prefers what, and files of such pairs.
//!
//! Labels follow Bradley & Terry (1952) on the gold reward: p(A ≻ B) = σ((gold_A − gold_B) / τ).

mod file;

use serde::{Deserialize, Serialize};

pub use self::file::{CompletionText, FilePosition, PairError, from_jsonl, jsonl_line, to_jsonl};
use super::settings::within;
use klimb_numerics::rng::Generator;
use klimb_text::ConfigError;

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
    /// The settings outside their ranges, by name.
    pub fn validated(self) -> Result<Self, ConfigError> {
        ConfigError::all([
            within("temperature", self.temperature, 10.0),
            within("flip_probability", self.flip_probability, 0.5),
        ])?;
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
