//! The grammar of reviews: up to three clauses about a film, written by an automaton with a tone.
//!
//! ```text
//! clause    = subject copula ["not" | "never"] [booster] adjective | "i" ["never"] [booster] verb "it" | fact
//! review    = clause { ("and" | "but" | ".") clause } ["overall" | "for me"] "." END
//! ```
//! About a third of the adjectives are neutral. The tone tilts adjectives and verbs by their valence; behind a negation by
//! what is left of it, −.74 of the valence. A clause that "but" will answer *concedes*: it is tilted the other way.

use super::automaton::{Automaton, Candidate, State};
use super::gold::Lexicon;
use super::prompts::{NOUNS, Opening};
use super::vocabulary::Vocabulary;

/// Clauses in the longest review.
const CLAUSES: usize = 3;
/// Tilt of a clause that "but" answers, against the tone.
const CONCESSION: f64 = -0.6;
/// Tilt behind a negation: VADER's factor.
const NEGATION: f64 = -0.74;
/// Probability that a clause concedes, where another can answer it.
const CONCEDING: f64 = 0.2;
/// Share of "i loved it" among the clauses of a position that stand behind another; once a review is enough.
const PERSONAL: [f64; CLAUSES] = [0.0, 0.35, 0.0];
/// Share of facts among the judging clauses behind "and" or a full stop.
const FACTUAL: f64 = 0.2;
/// Share of neutral adjectives.
const NEUTRAL_SHARE: f64 = 0.3;
/// Weight of all positive words together at tone 0, and so of all negative ones: the lexicon has more positive words,
/// but the average review shall be neither.
const POSITIVE_SHARE: f64 = 0.5;

const VERBS: [&str; 5] = ["loved", "enjoyed", "liked", "hated", "disliked"];
const GRADABLE: [&str; 8] = ["long", "short", "quiet", "loud", "modern", "simple", "familiar", "typical"];
const UNGRADABLE: [&str; 3] = ["french", "british", "italian"];
const BOOSTERS: [&str; 6] = ["very", "really", "extremely", "incredibly", "slightly", "somewhat"];
const BOOSTERS_OF_NEGATED: [&str; 2] = ["very", "really"];
const BOOSTERS_OF_VERBS: [&str; 2] = ["really", "somewhat"];
/// What can be had without an article: "this film has superb acting".
const POSSESSED: [&str; 5] = ["acting", "music", "dialogue", "direction", "pacing"];
const FACTS: [&str; 8] = [
    "it runs two hours",
    "it came out last year",
    "it is set in paris",
    "i saw it on friday",
    "i watched it in london",
    "there is a sequel",
    "i noticed the subtitles",
    "it was filmed in rome",
];

/// Probabilities of the ways on from the end of a clause that does not concede, by the clause's position: a second
/// sentence or the end, "and", a closing remark.
const FULL_STOP: [f64; CLAUSES] = [0.42, 0.7, 1.0];
const AND: [f64; CLAUSES] = [0.38, 0.3, 0.0];
const REMARK: [f64; CLAUSES] = [0.2, 0.0, 0.0];
/// Probability that a full stop is the last one. A lone clause ends by a remark only.
const LAST: [f64; CLAUSES] = [0.0, 0.6, 1.0];

/// The states of one clause (behind "the", behind a subject, behind "i", behind its last word), its probability
/// among the clauses of its position, its tilt, and its share of first persons.
#[derive(Clone, Copy)]
struct Clause {
    noun: State,
    copula: State,
    person: State,
    end: State,
    share: f64,
    tilt: f64,
    personal: f64,
}

/// The automaton with the three states a review can open in.
#[derive(Debug, Clone)]
pub(super) struct Grammar {
    pub automaton: Automaton,
    subject: State,
    possession: State,
    clause: State,
}

impl Grammar {
    /// The grammar's automaton, tilted by `tone_strength` (κ) and read through a channel with this `noise`.
    pub fn new(vocabulary: &Vocabulary, lexicon: &Lexicon, tone_strength: f64, noise: f64) -> Self {
        let automaton = Automaton::new(vocabulary.word_tokens(), tone_strength, noise);
        Builder { vocabulary, lexicon, automaton }.grammar()
    }

    /// The state a review opens in.
    pub fn start(&self, opening: Opening) -> State {
        match opening {
            Opening::Subject => self.subject,
            Opening::Possession => self.possession,
            Opening::Clause => self.clause,
        }
    }
}

struct Builder<'a> {
    vocabulary: &'a Vocabulary,
    lexicon: &'a Lexicon,
    automaton: Automaton,
}

impl Builder<'_> {
    fn grammar(mut self) -> Grammar {
        let clauses: Vec<Vec<Clause>> = (0..CLAUSES).map(|position| self.clauses(position)).collect();
        for (position, here) in clauses.iter().enumerate() {
            self.ways_on(position, here, clauses.get(position + 1));
        }
        let [subject, possession, clause] = [(); 3].map(|()| self.automaton.state());
        for &first in &clauses[0] {
            self.predicate(subject, first.end, first.share, first.tilt);
            self.possession(possession, first.end, first.share, first.tilt);
            self.words(clause, first.copula, 0.5 * first.share, &["it"]);
            self.words(clause, first.person, 0.5 * first.share, &["i"]);
        }
        if let Some((state, sum)) = self.automaton.first_improper_state() {
            panic!("grammar: the probabilities of state {state} sum to {sum}");
        }
        Grammar { automaton: self.automaton, subject, possession, clause }
    }

    /// The clause that judges and, where another can answer it, the one that concedes.
    fn clauses(&mut self, position: usize) -> Vec<Clause> {
        if position + 1 == CLAUSES {
            return vec![self.clause(position, 1.0, 1.0)];
        }
        vec![self.clause(position, 1.0 - CONCEDING, 1.0), self.clause(position, CONCEDING, CONCESSION)]
    }

    /// A clause at `position`. Neighbouring clauses have different nouns, so that no review judges a thing twice in
    /// a row.
    fn clause(&mut self, position: usize, share: f64, tilt: f64) -> Clause {
        let [noun, copula, person, end] = [(); 4].map(|()| self.automaton.state());
        let nouns: Vec<&str> = NOUNS.into_iter().skip(position % 2).step_by(2).collect();
        self.words(noun, copula, 1.0, &nouns);
        self.predicate(copula, end, 1.0, tilt);
        self.person(person, end, tilt);
        Clause { noun, copula, person, end, share, tilt, personal: PERSONAL[position] }
    }

    /// What follows the clauses of a position: the judging one ends or goes on, the conceding one is answered.
    fn ways_on(&mut self, position: usize, here: &[Clause], next: Option<&Vec<Clause>>) {
        let judging = here[0].end;
        let stop = self.automaton.state();
        self.words(judging, stop, FULL_STOP[position], &["."]);
        if LAST[position] > 0.0 {
            self.end(stop, LAST[position]);
        }
        if REMARK[position] > 0.0 {
            let [remark, last] = [(); 2].map(|()| self.automaton.state());
            self.text(judging, remark, REMARK[position] / 2.0, "overall");
            self.text(judging, remark, REMARK[position] / 2.0, "for me");
            self.words(remark, last, 1.0, &["."]);
            self.end(last, 1.0);
        }
        let Some(next) = next else { return };
        let and = self.automaton.state();
        self.words(judging, and, AND[position], &["and"]);
        for clause in next {
            self.enter(stop, *clause, (1.0 - LAST[position]) * clause.share, FACTUAL);
            self.enter(and, *clause, clause.share, FACTUAL);
        }
        if let Some(conceding) = here.get(1) {
            let but = self.automaton.state();
            self.words(conceding.end, but, 1.0, &["but"]);
            self.enter(but, next[0], 1.0, 0.0);
        }
    }

    /// Edges from `from`, together of probability `share`, to the first words of a clause that stands behind another;
    /// with probability `factual` a fact. A fact concedes nothing.
    fn enter(&mut self, from: State, clause: Clause, share: f64, factual: f64) {
        let facts = if clause.tilt < 0.0 { 0.0 } else { factual * share };
        let judgements = share - facts;
        self.words(from, clause.noun, (0.9 - clause.personal) * judgements, &["the"]);
        self.words(from, clause.copula, 0.1 * judgements, &["it"]);
        if clause.personal > 0.0 {
            self.words(from, clause.person, clause.personal * judgements, &["i"]);
        }
        for fact in FACTS.iter().filter(|_| facts > 0.0) {
            self.text(from, clause.end, facts / FACTS.len() as f64, fact);
        }
    }

    /// "is never really fun", "feels dull".
    fn predicate(&mut self, from: State, to: State, share: f64, tilt: f64) {
        let [be, feel, never, negated, boosted] = [(); 5].map(|()| self.automaton.state());
        self.words(from, be, 0.8 * share, &["is", "was", "was"]);
        self.words(from, feel, 0.15 * share, &["feels"]);
        self.words(from, never, 0.05 * share, &["never"]);
        self.words(never, negated, 1.0, &["feels"]);
        self.words(be, negated, 0.2, &["not", "not", "never"]);
        for (state, share) in [(be, 0.8), (feel, 1.0)] {
            self.words(state, boosted, 0.35 * share, &BOOSTERS);
            self.adjective(state, to, 0.65 * share, tilt, &[&GRADABLE[..], &UNGRADABLE].concat());
        }
        self.adjective(boosted, to, 1.0, tilt, &GRADABLE);
        let boosted_negated = self.automaton.state();
        self.words(negated, boosted_negated, 0.3, &BOOSTERS_OF_NEGATED);
        self.adjective(negated, to, 0.7, tilt * NEGATION, &GRADABLE);
        self.adjective(boosted_negated, to, 1.0, tilt * NEGATION, &GRADABLE);
    }

    /// "really superb acting", behind a prompt that ends in "has".
    fn possession(&mut self, from: State, to: State, share: f64, tilt: f64) {
        let [boosted, noun] = [(); 2].map(|()| self.automaton.state());
        self.words(from, boosted, 0.35 * share, &BOOSTERS);
        self.adjective(from, noun, 0.65 * share, tilt, &GRADABLE);
        self.adjective(boosted, noun, 1.0, tilt, &GRADABLE);
        self.words(noun, to, 1.0, &POSSESSED);
    }

    /// "never really liked it", behind "i".
    fn person(&mut self, from: State, to: State, tilt: f64) {
        let [boosted, negated, boosted_negated, object] = [(); 4].map(|()| self.automaton.state());
        self.words(from, boosted, 0.35, &BOOSTERS_OF_VERBS);
        self.words(from, negated, 0.15, &["never"]);
        self.words(negated, boosted_negated, 0.4, &["really"]);
        self.evaluative(from, object, 0.5, tilt, true);
        self.evaluative(boosted, object, 1.0, tilt, true);
        self.evaluative(negated, object, 0.6, tilt * NEGATION, true);
        self.evaluative(boosted_negated, object, 1.0, tilt * NEGATION, true);
        self.words(object, to, 1.0, &["it"]);
    }

    /// An adjective: one of `neutral` with the neutral share at every tone, else one that judges.
    fn adjective(&mut self, from: State, to: State, share: f64, tilt: f64, neutral: &[&str]) {
        self.words(from, to, NEUTRAL_SHARE * share, neutral);
        self.evaluative(from, to, (1.0 - NEUTRAL_SHARE) * share, tilt, false);
    }

    /// A word with a valence, an adjective or a verb, tilted by the tone.
    fn evaluative(&mut self, from: State, to: State, share: f64, tilt: f64, verb: bool) {
        let class: Vec<(&str, f64)> = (self.lexicon.valences.iter())
            .map(|(word, &valence)| (word.as_str(), valence))
            .filter(|(word, _)| VERBS.contains(word) == verb)
            .collect();
        let positive = class.iter().filter(|(_, valence)| *valence > 0.0).count() as f64;
        let negative = class.len() as f64 - positive;
        let candidates: Vec<Candidate> = (class.iter())
            .map(|&(word, valence)| {
                let weight = if valence > 0.0 { POSITIVE_SHARE / positive } else { (1.0 - POSITIVE_SHARE) / negative };
                Candidate { token: self.token(word), weight, valence }
            })
            .collect();
        self.automaton.choose(from, to, share, &candidates, tilt);
    }

    /// One of `words`, each as likely as the next whatever the tone.
    fn words(&mut self, from: State, to: State, share: f64, words: &[&str]) {
        let candidates: Vec<Candidate> =
            words.iter().map(|word| Candidate { token: self.token(word), weight: 1.0, valence: 0.0 }).collect();
        self.automaton.choose(from, to, share, &candidates, 0.0);
    }

    /// Several words in a row.
    fn text(&mut self, from: State, to: State, share: f64, text: &str) {
        let words: Vec<&str> = text.split(' ').collect();
        let (mut here, mut share) = (from, share);
        for (index, &word) in words.iter().enumerate() {
            let next = if index + 1 == words.len() { to } else { self.automaton.state() };
            self.words(here, next, share, &[word]);
            (here, share) = (next, 1.0);
        }
    }

    fn end(&mut self, from: State, share: f64) {
        let candidate = Candidate { token: Vocabulary::END, weight: 1.0, valence: 0.0 };
        self.automaton.choose(from, from, share, &[candidate], 0.0);
    }

    fn token(&self, word: &str) -> u32 {
        self.vocabulary.token(word).unwrap_or_else(|| panic!("grammar: {word:?} is not in the vocabulary"))
    }
}
