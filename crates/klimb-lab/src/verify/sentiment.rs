//! The gold reward against compounds that the published VADER package gave.

use super::{Check, ReferenceError, not_empty};
use klimb_world::gold::{Example, Lexicon};

/// Word lists and texts with their compounds.
#[derive(Debug)]
pub struct SentimentReference {
    lexicon: Lexicon,
    examples: Vec<Example>,
}

impl SentimentReference {
    /// Reads `valences`, `boosters`, `negations`, `neutral` and `examples` (each `text` and `compound`) from JSON.
    ///
    /// # Errors
    /// `Text`, `Format`, `Lexicon` or `Mismatch`, with what does not fit.
    pub fn from_json(json: &[u8]) -> Result<Self, ReferenceError> {
        let text = std::str::from_utf8(json)?;
        let (lexicon, examples) = (Lexicon::from_json(text)?, Lexicon::examples_from_json(text)?);
        not_empty("examples", &examples)?;
        if let Some(Example { text, compound }) = examples.iter().find(|it| !(-1.0..=1.0).contains(&it.compound)) {
            return Err(ReferenceError::mismatch(format!("compound of {text:?}"), "-1 to 1", compound));
        }
        Ok(Self { lexicon, examples })
    }

    /// Compares the compound of every text, by the file's own lexicon, to 1e-4.
    pub fn check(&self) -> Vec<Check> {
        let error = |example: &Example| self.lexicon.score_text(&example.text).compound - example.compound;
        let quantity = format!("compound of {} texts", self.examples.len());
        let worst = self.examples.iter().max_by(|a, b| error(a).abs().total_cmp(&error(b).abs()));
        let check = Check::new(quantity, 1e-4, self.examples.iter().map(error));
        vec![Check { place: worst.map(|example| format!("{:?}", example.text)), ..check }]
    }
}
