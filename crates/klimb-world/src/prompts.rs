//! The beginnings of reviews: about a hundred, a sixth of them held out for evaluation.

use super::vocabulary::Vocabulary;

/// What a prompt leaves the review to begin with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Opening {
    /// The prompt is a subject, such as "the acting in this film": a verb follows.
    Subject,
    /// The prompt ends in "has": an adjective and a noun follow.
    Possession,
    /// The prompt ends in "and": a clause follows.
    Clause,
}

/// A prompt and its opening.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Prompt {
    pub tokens: Vec<u32>,
    pub opening: Opening,
}

/// Aspects of a film that a review judges.
pub(super) const NOUNS: [&str; 11] =
    ["acting", "plot", "story", "music", "ending", "script", "cast", "dialogue", "direction", "pacing", "camera"];

const PLACES: [&str; 5] =
    ["in this film", "in this movie", "of the sequel", "in this french film", "in the recent movie"];
const FILMS: [&str; 18] = [
    "this british film",
    "this recent film",
    "this modern movie",
    "this quiet film",
    "this short film",
    "this long movie",
    "the recent french film",
    "the old italian movie",
    "the new british sequel",
    "the first half of it",
    "the second half of the film",
    "the final scene of this movie",
    "the first scene of the film",
    "the main actor in this film",
    "the whole story of this movie",
    "the last hour of this film",
    "the book of the film",
    "the second actor in this movie",
];
const POSSESSIONS: [&str; 12] = [
    "this film has",
    "this movie has",
    "the sequel has",
    "the film has",
    "the movie has",
    "the recent film has",
    "this french film has",
    "this short film has",
    "this long movie has",
    "the second half has",
    "the first hour has",
    "the new sequel has",
];
const CLAUSES: [&str; 12] = [
    "i saw this film and",
    "i saw this movie and",
    "i saw the sequel and",
    "i watched this film and",
    "i watched this movie and",
    "i watched the sequel and",
    "i saw it in paris and",
    "i saw it in london and",
    "i saw it on friday and",
    "i watched it on sunday and",
    "i watched it in rome and",
    "i remember this film and",
];

/// One prompt in this many is held out.
const HELD_OUT_EVERY: usize = 6;

/// All prompts. Every opening occurs in both parts.
pub(super) struct Prompts {
    /// Those for training.
    pub train: Vec<Prompt>,
    pub held_out: Vec<Prompt>,
}

/// The prompts of the world.
pub(super) fn prompts(vocabulary: &Vocabulary) -> Prompts {
    let aspects = PLACES.iter().flat_map(|place| NOUNS.iter().map(move |noun| format!("the {noun} {place}")));
    let subjects = aspects.chain(FILMS.map(str::to_owned)).map(|text| (text, Opening::Subject));
    let possessions = POSSESSIONS.into_iter().map(|text| (text.to_owned(), Opening::Possession));
    let clauses = CLAUSES.into_iter().map(|text| (text.to_owned(), Opening::Clause));
    let (mut train, mut held_out) = (Vec::new(), Vec::new());
    for (index, (text, opening)) in subjects.chain(possessions).chain(clauses).enumerate() {
        let encoded = vocabulary.encode(&text);
        assert!(encoded.unknown.is_empty(), "prompt {text:?} uses words without token: {:?}", encoded.unknown);
        let side = if index % HELD_OUT_EVERY == HELD_OUT_EVERY - 2 { &mut held_out } else { &mut train };
        side.push(Prompt { tokens: encoded.tokens, opening });
    }
    Prompts { train, held_out }
}
