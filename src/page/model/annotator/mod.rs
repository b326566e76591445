//! Being the annotator: pairs that a person labels one by one, what the oracle thinks of her choices, and the labels as the
//! engine trains on them.

mod names;
mod pair_source;
mod saved_labels;
mod words;

pub use names::{KeptNames, PairNames};
pub use pair_source::PairSource;

use serde::{Deserialize, Serialize};

use crate::engine::protocol::{Command, DrawnPair, SampledCompletion};
use klimb_numerics::rng::Generator;
use klimb_world::preferences::{CompletionText, jsonl_line};

/// Labels a person is asked for at first: few, but a few minutes' work.
const FIRST_GOAL: usize = 20;
/// Labels more, for whoever goes on.
const MORE: usize = 10;

/// One of the two completions of a pair.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Side {
    /// The first.
    A,
    /// The second.
    B,
}

impl Side {
    fn index(self) -> usize {
        self as usize
    }

    fn other(self) -> Self {
        match self {
            Self::A => Self::B,
            Self::B => Self::A,
        }
    }
}

/// A pair with her choice.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Label<'a> {
    /// The pair.
    pub pair: &'a DrawnPair,
    /// The better one, to her.
    pub side: Side,
    /// Whether another reference than the one in use wrote the pair.
    pub is_earlier: bool,
}

impl Label<'_> {
    /// The completion she chose.
    pub fn chosen(&self) -> &SampledCompletion {
        &self.pair.completions[self.side.index()]
    }

    /// The other.
    pub fn rejected(&self) -> &SampledCompletion {
        &self.pair.completions[self.side.other().index()]
    }

    /// 1 where the oracle chooses as she did, 0 where it does not, ½ where it holds neither to be better.
    pub fn agreement(&self) -> f64 {
        let advantage = self.chosen().gold_reward - self.rejected().gold_reward;
        if advantage == 0.0 { 0.5 } else { f64::from(advantage > 0.0) }
    }
}

/// The pairs, her answers to the first of them, and what is asked of her.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Annotator {
    pairs: Vec<DrawnPair>,
    /// Which reference wrote each pair, by its fingerprint.
    writers: Vec<String>,
    /// The reference in use.
    reference: String,
    /// One a pair, in order; `None` where she skipped it.
    answers: Vec<Option<Side>>,
    goal: usize,
    /// Whether pairs have been ordered that have not come.
    #[serde(skip)]
    is_waiting: bool,
    /// The first pair that was never asked for.
    next: usize,
    /// Which share of her labels is turned round before they are trained on, in percent.
    flips: u32,
}

impl Default for Annotator {
    fn default() -> Self {
        Self {
            pairs: Vec::new(),
            writers: Vec::new(),
            reference: String::new(),
            answers: Vec::new(),
            goal: FIRST_GOAL,
            is_waiting: false,
            next: 0,
            flips: 0,
        }
    }
}

impl Annotator {
    /// Whether she has begun.
    pub fn has_begun(&self) -> bool {
        self.is_waiting || !self.pairs.is_empty()
    }

    /// The pair to judge now: none where the goal is reached, or where pairs are on their way.
    pub fn current(&self) -> Option<&DrawnPair> {
        if self.is_done() { None } else { self.pairs.get(self.answers.len()) }
    }

    /// Her labels, in the order she gave them.
    pub fn labels(&self) -> impl Iterator<Item = Label<'_>> {
        (0..self.answers.len()).filter_map(|index| self.label(index))
    }

    fn label(&self, index: usize) -> Option<Label<'_>> {
        let side = (*self.answers.get(index)?)?;
        Some(Label { pair: self.pairs.get(index)?, side, is_earlier: self.writers[index] != self.reference })
    }

    /// How many labels there are.
    pub fn count(&self) -> usize {
        self.answers.iter().flatten().count()
    }

    /// How many she is asked for.
    pub fn goal(&self) -> usize {
        self.goal
    }

    /// Whether she has labelled as many as she was asked for.
    pub fn is_done(&self) -> bool {
        self.count() >= self.goal
    }

    /// Whether there is an answer to take back.
    pub fn can_undo(&self) -> bool {
        !self.answers.is_empty()
    }

    /// The last answer, where it was a label.
    pub fn last(&self) -> Option<Label<'_>> {
        self.label(self.answers.len().checked_sub(1)?)
    }

    /// The better one of the pair at hand.
    pub fn choose(&mut self, side: Side) {
        if self.current().is_some() {
            self.answers.push(Some(side));
        }
    }

    /// No label for the pair at hand.
    pub fn skip(&mut self) {
        if self.current().is_some() {
            self.answers.push(None);
        }
    }

    /// Takes the last answer back: its pair is at hand again, unless an earlier reference wrote it.
    pub fn undo(&mut self) {
        let index = self.answers.len().saturating_sub(1);
        if self.answers.pop().is_some() && self.writers[index] != self.reference {
            self.pairs.remove(index);
            self.writers.remove(index);
        }
    }

    /// Begins, or begins again.
    pub fn begin(&mut self) {
        self.goal = self.goal.max(FIRST_GOAL);
    }

    /// No more pairs can be had.
    pub fn give_up(&mut self) {
        self.forget_unanswered();
        self.goal = self.count();
    }

    /// Asks for more labels than the first twenty.
    pub fn go_on(&mut self) {
        self.goal = self.count() + MORE;
    }

    /// The order for pairs that she will need to reach the goal, unless they are there or on their way.
    pub fn wanted(&mut self) -> Option<Command> {
        let missing = self.goal.saturating_sub(self.count());
        let count = missing.saturating_sub(self.pairs.len() - self.answers.len());
        if self.is_waiting || count == 0 {
            return None;
        }
        self.is_waiting = true;
        let from = self.next;
        self.next += count;
        Some(Command::DrawPairs { from, count })
    }

    /// Takes drawn pairs.
    pub fn take(&mut self, drawn: Vec<DrawnPair>) {
        if self.is_waiting {
            self.is_waiting = false;
            self.writers.resize(self.pairs.len() + drawn.len(), self.reference.clone());
            self.pairs.extend(drawn);
        }
    }

    /// Another engine is there: what has no answer yet was written by the one before, and what was ordered of that one
    /// will not come.
    pub fn forget_unanswered(&mut self) {
        self.is_waiting = false;
        self.pairs.truncate(self.answers.len());
        self.writers.truncate(self.answers.len());
    }

    /// The reference is another, by its fingerprint: what has no answer yet is to be written anew.
    pub fn refer_to(&mut self, reference: String) {
        if reference != self.reference {
            self.forget_unanswered();
            self.reference = reference;
        }
    }

    /// The share of labels that is turned round, in percent.
    pub fn flips(&self) -> u32 {
        self.flips
    }

    /// Sets that share, 0 to 50 %.
    pub fn set_flips(&mut self, percent: u32) {
        self.flips = percent.min(50);
    }

    /// Which labels are turned round. A larger share turns the same ones and some more, so that shares can be compared.
    pub fn flipped(&self, seed: u32) -> Vec<bool> {
        let count = self.count();
        let mut order: Vec<usize> = (0..count).collect();
        Generator::new(u64::from(seed), "flips of a person's labels").shuffle(&mut order);
        let share = f64::from(self.flips) / 100.0;
        let mut flipped = vec![false; count];
        order.iter().take((share * count as f64).round() as usize).for_each(|&label| flipped[label] = true);
        flipped
    }

    /// Whether DPO and reward model can learn from the labels: the latter needs two prompts, one of them to be validated on.
    pub fn is_trainable(&self) -> bool {
        let mut prompts = self.labels().map(|label| label.pair.prompt.as_str());
        prompts.next().is_some_and(|first| prompts.any(|other| other != first))
    }

    /// The labels as JSON lines, as she gave them.
    pub fn jsonl(&self) -> String {
        self.labels().map(|label| line(&label)).collect()
    }

    /// The labels as JSON lines, with the flips that were asked for.
    pub fn jsonl_with_flips(&self, seed: u32) -> String {
        let labels = self.labels().zip(self.flipped(seed));
        labels
            .map(|(label, flips)| line(&Label { side: if flips { label.side.other() } else { label.side }, ..label }))
            .collect()
    }
}

fn line(label: &Label) -> String {
    let (chosen, rejected) = (label.chosen(), label.rejected());
    jsonl_line(
        &label.pair.prompt,
        CompletionText { text: &text(chosen), ended: chosen.ended },
        CompletionText { text: &text(rejected), ended: rejected.ended },
    )
}

/// The completion as one line, its words with a space between.
pub fn text(completion: &SampledCompletion) -> String {
    completion.words.iter().map(|word| word.text.as_str()).collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::protocol::{Stage, Word};
    use klimb_world::preferences::{PairError, from_jsonl};
    use klimb_world::{World, WorldSettings};

    const NOUNS: [&str; 5] = ["acting", "plot", "story", "music", "ending"];

    fn completion(text: &str, gold_reward: f64) -> SampledCompletion {
        let word = |text: &str| Word {
            text: text.into(),
            valence: 0.0,
            rule: klimb_text::Message::verbatim(""),
            log_ratio: 0.0,
        };
        SampledCompletion {
            stage: Stage::Sft,
            step: 1,
            words: text.split(' ').map(word).collect(),
            gold_reward,
            ended: true,
        }
    }

    fn pair(number: usize) -> DrawnPair {
        DrawnPair {
            number,
            prompt: format!("the {} in this film", NOUNS[number % NOUNS.len()]),
            completions: [completion("was superb .", 0.8), completion("was dull .", 0.3)],
        }
    }

    fn begun() -> Annotator {
        let mut annotator = Annotator::default();
        assert_eq!(annotator.wanted(), Some(Command::DrawPairs { from: 0, count: 20 }));
        assert_eq!(annotator.wanted(), None, "they are on their way");
        annotator.take((0..20).map(pair).collect());
        annotator
    }

    pub fn labelled(sides: &[Side]) -> Annotator {
        let mut annotator = begun();
        sides.iter().for_each(|&side| annotator.choose(side));
        annotator
    }

    #[test]
    fn a_choice_leads_to_the_next_pair_and_can_be_taken_back() {
        let mut annotator = begun();
        annotator.choose(Side::B);
        annotator.skip();
        assert_eq!((annotator.count(), annotator.current().unwrap().number), (1, 2));
        assert_eq!(annotator.last(), None, "of a skipped pair nothing is told");
        annotator.undo();
        assert_eq!((annotator.count(), annotator.current().unwrap().number), (1, 1));
        assert!(
            annotator
                .last()
                .unwrap()
                .verdict()
                .starts_with("the oracle would have chosen the other, with gold reward 0.30")
        );
        annotator.undo();
        annotator.undo();
        annotator.choose(Side::A);
        assert!(annotator.last().unwrap().verdict().starts_with("the oracle agrees"));
        assert_eq!(annotator.count(), 1);
    }

    #[test]
    fn a_skipped_pair_is_replaced_and_whoever_wants_goes_on() {
        let mut annotator = begun();
        annotator.skip();
        assert_eq!(annotator.wanted(), Some(Command::DrawPairs { from: 20, count: 1 }));
        annotator.take(vec![pair(20)]);
        (0..20).for_each(|_| annotator.choose(Side::A));
        assert!(annotator.is_done() && annotator.current().is_none() && annotator.wanted().is_none());
        annotator.choose(Side::A);
        assert_eq!(annotator.count(), 20, "nothing is at hand");
        annotator.go_on();
        assert_eq!(annotator.wanted(), Some(Command::DrawPairs { from: 21, count: 10 }));
        assert_eq!(annotator.goal(), 30);
    }

    #[test]
    fn another_engine_takes_the_pairs_without_answer_and_leaves_the_labels() {
        let mut annotator = labelled(&[Side::A, Side::B]);
        annotator.forget_unanswered();
        assert_eq!((annotator.count(), annotator.current()), (2, None));
        assert_eq!(annotator.wanted(), Some(Command::DrawPairs { from: 20, count: 18 }));
        annotator.forget_unanswered();
        annotator.take(vec![pair(0)]);
        assert_eq!(annotator.current(), None, "what the old engine still sends is not taken");
    }

    #[test]
    fn another_reference_writes_anew_what_has_no_answer_and_the_labels_are_said_to_be_of_the_earlier_one() {
        let mut annotator = Annotator::default();
        annotator.refer_to("first".into());
        annotator.wanted();
        annotator.take((0..20).map(pair).collect());
        annotator.choose(Side::A);
        annotator.choose(Side::B);
        annotator.refer_to("first".into());
        assert!(annotator.current().is_some() && annotator.labels().all(|label| !label.is_earlier));
        annotator.refer_to("second".into());
        assert_eq!((annotator.count(), annotator.current()), (2, None));
        assert_eq!(annotator.wanted(), Some(Command::DrawPairs { from: 20, count: 18 }));
        annotator.take((20..38).map(pair).collect());
        annotator.choose(Side::A);
        assert_eq!(annotator.labels().map(|label| label.is_earlier).collect::<Vec<_>>(), [true, true, false]);
        assert!(annotator.summary(1).contains(" 2 of these labels are of completions by an earlier model"));
        assert_eq!(annotator.jsonl().lines().count(), 3, "they are labels all the same");
        annotator.undo();
        assert_eq!(annotator.current().unwrap().number, 20, "its pair is at hand again");
        annotator.undo();
        assert_eq!((annotator.count(), annotator.current().unwrap().number), (1, 20), "an earlier model's is not");
        annotator.refer_to("first".into());
        assert!(annotator.labels().all(|label| !label.is_earlier), "it is back");
    }

    #[test]
    fn labels_are_read_as_a_file_of_pairs_is() {
        let world = World::new(WorldSettings::default()).unwrap();
        let mut annotator = labelled(&[Side::A]);
        assert!(!annotator.is_trainable(), "a reward model needs a second prompt");
        annotator.choose(Side::B);
        annotator.pairs[1].completions[0].ended = false;
        assert!(annotator.is_trainable());
        let pairs = from_jsonl(&world, &annotator.jsonl()).unwrap();
        let text = |tokens: &[u32]| world.vocabulary().text(tokens);
        let read: Vec<_> = pairs.iter().map(|it| (text(&it.prompt), text(&it.chosen), text(&it.rejected))).collect();
        let expected = [("acting", "was superb .", "was dull ."), ("plot", "was dull .", "was superb .")];
        assert_eq!(read, expected.map(|(noun, a, b)| (format!("the {noun} in this film"), a.into(), b.into())));
        assert_eq!(pairs[1].rejected_gold, 0.0, "it never ended");
        assert_eq!(from_jsonl(&world, &Annotator::default().jsonl()), Err(PairError::Empty));
    }

    #[test]
    fn flips_are_the_seed_s_are_as_many_as_asked_for_and_only_grow() {
        let mut annotator = labelled(&[Side::A; 20]);
        let mut flipped_at = |percent, seed| {
            annotator.set_flips(percent);
            (annotator.flipped(seed), annotator.jsonl_with_flips(seed), annotator.source().words())
        };
        let (none, lines, name) = flipped_at(0, 1);
        assert_eq!((none, name.as_str()), (vec![false; 20], "my labels"));
        let (some, turned, name) = flipped_at(25, 1);
        assert_eq!((some.iter().filter(|it| **it).count(), name.as_str()), (5, "my labels, 25 % flipped"));
        let differing = lines.lines().zip(turned.lines()).map(|(before, after)| before != after);
        assert_eq!(differing.collect::<Vec<_>>(), some);
        assert_eq!(flipped_at(25, 1).0, some);
        assert_ne!(flipped_at(25, 2).0, some);
        let (half, ..) = flipped_at(80, 1);
        assert_eq!(half.iter().filter(|it| **it).count(), 10, "at most half");
        assert!(some.iter().zip(&half).all(|(few, many)| !few || *many));
    }
}
