//! What the base model reads besides reviews: cast lists, showtimes, questions, trivia.
//!
//! Most of them begin with a review's prompt, so that the base model, given one, often goes on with something else.

use super::prompts::{NOUNS, Opening};
use super::vocabulary::Vocabulary;
use klimb_numerics::rng::Generator;

/// A word in braces is a slot, filled from its list.
const SLOTS: [(&str, &[&str]); 8] = [
    ("{who}", &["anna", "john", "maria", "paul", "claire", "george"]),
    ("{city}", &["paris", "rome", "london"]),
    ("{day}", &["friday", "monday", "sunday"]),
    ("{number}", &["two", "three", "seven", "eight", "nine", "ten"]),
    ("{time}", &["morning", "evening", "night"]),
    ("{maker}", &["director", "writer", "singer", "producer", "actor"]),
    ("{nation}", &["french", "british", "italian"]),
    ("{noun}", &NOUNS),
];

/// Trivia, a question, a cast list, a showtime behind a prompt that is a subject.
const SUBJECT: [&str; 10] = [
    "is the work of {who} from {city} .",
    "was made in {number} weeks by {who} and {who} .",
    "comes from a {nation} book by {who} .",
    "took {number} months in {city} and {number} in {city} .",
    "is by {who} , the {maker} .",
    ": {who} , {who} , {who} and {who} .",
    ": {day} at {number} in {city} .",
    ", who is the {maker} ?",
    ": what does {who} remember ?",
    "was first seen in {city} on a {day} {time} .",
];

/// The same behind a prompt that ends in "has".
const POSSESSION: [&str; 6] = [
    "one {maker} from {city} and one from {city} .",
    "a cast of {number} : {who} , {who} , {who} .",
    "a new {maker} , {who} from {city} .",
    "tickets for {day} {time} at {number} .",
    "one scene in {city} and one in {city} .",
    "which {maker} ? {who} or {who} ?",
];

/// The same behind a prompt that ends in "and".
const CLAUSE: [&str; 6] = [
    "then took the train to {city} .",
    "{who} wrote it in {city} .",
    "who is the {maker} now ?",
    "the theater opens at {number} on {day} .",
    "then met {who} , the {maker} , in {city} .",
    "the cast were {who} , {who} and {who} .",
];

/// Documents without a review's prompt.
const FREE: [&str; 8] = [
    "cast : {who} , {who} , {who} , {who} .",
    "who wrote the {noun} of this film ?",
    "when does the {nation} film begin ? at {number} .",
    "{day} at {number} : the {nation} film , {city} .",
    "tickets for the {day} {time} are {number} at the theater .",
    "{who} was the {maker} and {who} was the {maker} .",
    "what is the name of the {maker} in this film ?",
    "the theater in {city} opens at {number} .",
];

/// Words that go on from a prompt with this opening, or make a document by themselves for `None`; with the end token.
pub(super) fn continuation(vocabulary: &Vocabulary, opening: Option<Opening>, generator: &mut Generator) -> Vec<u32> {
    let templates: &[&str] = match opening {
        Some(Opening::Subject) => &SUBJECT,
        Some(Opening::Possession) => &POSSESSION,
        Some(Opening::Clause) => &CLAUSE,
        None => &FREE,
    };
    let template = templates[generator.below(templates.len())];
    let mut words: Vec<&str> = Vec::new();
    for part in template.split(' ') {
        let filler = SLOTS.iter().find(|(slot, _)| *slot == part).map(|(_, fillers)| {
            // Nobody is in a cast twice.
            let fresh: Vec<&str> = fillers.iter().copied().filter(|filler| !words.contains(filler)).collect();
            fresh[generator.below(fresh.len())]
        });
        words.push(filler.unwrap_or(part));
    }
    let token = |word| vocabulary.token(word).unwrap_or_else(|| panic!("template: {word:?} is not in the vocabulary"));
    words.into_iter().map(token).chain([Vocabulary::END]).collect()
}
