//! VADER's rules for one word in its sentence, and the rule for "but".
//!
//! The order of the operations is the package's, to the last rounding: "but" looks values up by equality, so a
//! rounding difference could change which word it weighs.

use serde::{Deserialize, Serialize};

use super::{Lexicon, WordWorking};

/// A rule that changed a word's contribution. Distances count words back from the changed word: 1 is the word before.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "rule", rename_all = "snake_case")]
pub enum Rule {
    /// An intensifier or dampener: adds `change` (± .293, × .95 at distance 2, × .9 at distance 3).
    Booster {
        /// The intensifier or dampener, one word or two.
        word: String,
        /// Words back to it.
        distance: usize,
        /// What it adds to the valence.
        change: f64,
    },
    /// A negator: × −.74.
    Negation {
        /// The negator.
        word: String,
        /// Words back to it.
        distance: usize,
    },
    /// "never so" or "never this", which emphasise (and, by the package's precedence of `and` before `or`, any "so" or
    /// "this" right before a word that has three words before it): × 1.25.
    NeverSo {
        /// Words back to the word looked at when the rule fired, 2 or 3.
        distance: usize,
    },
    /// All in capitals, in a text that is not: ± .733, away from 0.
    Capitals {
        /// What it adds to the valence.
        change: f64,
    },
    /// "no" up to two words before (or three, before "or" and "nor"): × −.74 of the lexicon's valence.
    No {
        /// Words back to the "no".
        distance: usize,
    },
    /// "no" right before a word with a valence: it negates that word and has no valence itself.
    NoAsNegator,
    /// "least" right before, unless "at least" or "very least": × −.74.
    Least,
    /// Part of an idiom with a valence of its own.
    Idiom {
        /// The idiom.
        phrase: String,
        /// Its valence, which replaces the word's.
        valence: f64,
    },
    /// Before the first "but": × .5.
    BeforeBut,
    /// After the first "but": × 1.5.
    AfterBut,
}

impl Rule {
    /// What becomes of a contribution `before`, to a word that has the valence `own`.
    pub fn after(&self, before: f64, own: f64) -> f64 {
        match self {
            Self::Booster { change, .. } | Self::Capitals { change } => before + change,
            Self::Negation { .. } | Self::Least => before * NEGATED,
            Self::NeverSo { .. } => before * EMPHASISED,
            Self::No { .. } => own * NEGATED,
            Self::NoAsNegator => 0.0,
            Self::Idiom { valence, .. } => *valence,
            Self::BeforeBut => before * HALVED,
            Self::AfterBut => before * RAISED,
        }
    }
}

/// VADER's factors for a word after "never so", before "but" and after it.
const EMPHASISED: f64 = 1.25;
const HALVED: f64 = 0.5;
const RAISED: f64 = 1.5;
/// VADER's factor for a negated word.
const NEGATED: f64 = -0.74;
/// What VADER adds for a word in capitals.
const LOUDER: f64 = 0.733;

/// Idioms that replace the valence of a word in them.
const IDIOMS: [(&str, f64); 9] = [
    ("the shit", 3.0),
    ("the bomb", 3.0),
    ("bad ass", 1.5),
    ("badass", 1.5),
    ("bus stop", 0.0),
    ("yeah right", -2.0),
    ("kiss of death", -1.5),
    ("to die for", 3.0),
    ("beating heart", 3.5),
];

/// Dampeners of two words.
const DAMPENING_PHRASES: [(&str, f64); 3] = [("just enough", -0.293), ("kind of", -0.293), ("sort of", -0.293)];

/// What a word adds to the sum, and why.
#[derive(Default)]
pub(super) struct Contribution {
    pub value: f64,
    pub rules: Vec<Rule>,
}

/// What word `index` of `words`, of which those that are `loud` stand in capitals, adds to the sum before "but" is
/// considered.
pub(super) fn contribution(lexicon: &Lexicon, words: &[&str], loud: &[bool], index: usize) -> Contribution {
    let mut rules = Vec::new();
    let word = words[index];
    let next = words.get(index + 1).copied();
    let Some(own) = lexicon.valence(word) else { return Contribution::default() };
    if lexicon.booster(word).is_some() || (word == "kind" && next == Some("of")) {
        return Contribution::default();
    }
    let mut valence = own;
    if word == "no" && next.is_some_and(|next| lexicon.valence(next).is_some()) {
        valence = 0.0;
        rules.push(Rule::NoAsNegator);
    }
    let back = |distance: usize| index.checked_sub(distance).map(|at| words[at]);
    let no = (1..=2)
        .find(|&distance| back(distance) == Some("no"))
        .or_else(|| (back(3) == Some("no") && matches!(back(1), Some("or" | "nor"))).then_some(3));
    if let Some(distance) = no {
        valence = own * NEGATED;
        rules.push(Rule::No { distance });
    }
    let away = |valence: f64| if valence > 0.0 { LOUDER } else { -LOUDER };
    if loud[index] {
        let change = away(valence);
        valence += change;
        rules.push(Rule::Capitals { change });
    }
    for distance in 1..=3 {
        let Some(before) = back(distance).filter(|before| lexicon.valence(before).is_none()) else { continue };
        if let Some(boost) = lexicon.booster(before) {
            let signed = if valence < 0.0 { -boost } else { boost };
            let signed = if loud[index - distance] { signed + away(valence) } else { signed };
            let change = signed * [1.0, 0.95, 0.9][distance - 1];
            valence += change;
            rules.push(Rule::Booster { word: before.to_owned(), distance, change });
        }
        negate(lexicon, words, index, distance, &mut valence, &mut rules);
        if distance == 3 {
            idioms(words, index, &mut valence, &mut rules);
        }
    }
    let least = back(1) == Some("least") && lexicon.valence("least").is_none();
    if least && !matches!(back(2), Some("at" | "very")) {
        valence *= NEGATED;
        rules.push(Rule::Least);
    }
    Contribution { value: valence, rules }
}

/// Applies the negator, if any, that stands `distance` words before `index`.
fn negate(lexicon: &Lexicon, words: &[&str], index: usize, distance: usize, valence: &mut f64, rules: &mut Vec<Rule>) {
    let before = words[index - distance];
    let is_emphatic = |word: &str| matches!(word, "so" | "this");
    let never_so = match distance {
        2 => before == "never" && is_emphatic(words[index - 1]),
        3 => before == "never" && is_emphatic(words[index - 2]) || is_emphatic(words[index - 1]),
        _ => false,
    };
    let without_doubt = before == "without" && (1..distance).any(|nearer| words[index - nearer] == "doubt");
    if never_so {
        *valence *= EMPHASISED;
        rules.push(Rule::NeverSo { distance });
    } else if !without_doubt && lexicon.negates(before) {
        *valence *= NEGATED;
        rules.push(Rule::Negation { word: before.to_owned(), distance });
    }
}

/// Idioms around word `index`, which has at least three words before it.
fn idioms(words: &[&str], index: usize, valence: &mut f64, rules: &mut Vec<Rule>) {
    let phrase = |from: usize, to: usize| words.get(from..=to).map(|part| part.join(" "));
    let find = |text: &str| IDIOMS.iter().find(|(idiom, _)| *idiom == text).map(|&(_, value)| value);
    let mut replace = |candidates: &[Option<String>]| {
        let hit = candidates.iter().flatten().find_map(|text| find(text).map(|value| (text, value)));
        if let Some((text, value)) = hit {
            *valence = value;
            rules.push(Rule::Idiom { phrase: text.clone(), valence: value });
        }
    };
    replace(&[
        phrase(index - 1, index),
        phrase(index - 2, index),
        phrase(index - 2, index - 1),
        phrase(index - 3, index - 1),
        phrase(index - 3, index - 2),
    ]);
    replace(&[phrase(index, index + 1)]);
    replace(&[phrase(index, index + 2)]);
    for (from, to) in [(index - 3, index - 2), (index - 2, index - 1)] {
        let text = words[from..=to].join(" ");
        if let Some(&(_, change)) = DAMPENING_PHRASES.iter().find(|(dampener, _)| *dampener == text) {
            *valence += change;
            rules.push(Rule::Booster { word: text, distance: index - to, change });
        }
    }
}

/// Halves what precedes the first "but" and multiplies what follows by 1.5.
///
/// The package finds each word's position by searching for its *value*, in the list it is changing. A word whose value
/// equals an earlier (perhaps already changed) one therefore changes that earlier word instead; so do we.
pub(super) fn weigh_around_but(words: &mut [WordWorking], but: usize) {
    for current in 0..words.len() {
        let value = words[current].contribution;
        let found = words.iter().position(|word| word.contribution == value).unwrap_or(current);
        let (factor, rule) = match found.cmp(&but) {
            std::cmp::Ordering::Less => (HALVED, Rule::BeforeBut),
            std::cmp::Ordering::Greater => (RAISED, Rule::AfterBut),
            std::cmp::Ordering::Equal => continue,
        };
        words[found].contribution *= factor;
        if value != 0.0 {
            words[found].rules.push(rule);
        }
    }
}
