//! Being the annotator: pairs that a person labels one by one, what the oracle thinks of these choices, and the labels as the
//! engine trains on them.

mod names;
mod pair_source;
mod saved_labels;
mod words;

pub use names::{PairNames, SavedNames};
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

/// A pair with the choice between its completions.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Label<'a> {
    /// The pair.
    pub pair: &'a DrawnPair,
    /// The better one, to the annotator.
    pub side: Side,
    /// Whether another reference than the one in use wrote the pair.
    pub is_earlier: bool,
}

impl Label<'_> {
    /// The completion that was chosen.
    pub fn chosen(&self) -> &SampledCompletion {
        &self.pair.completions[self.side.index()]
    }

    /// The other.
    pub fn rejected(&self) -> &SampledCompletion {
        &self.pair.completions[self.side.other().index()]
    }

    /// 1 where the oracle chooses the same, 0 where it does not, ½ where it holds neither to be better.
    pub fn agreement(&self) -> f64 {
        let advantage = self.chosen().gold_reward - self.rejected().gold_reward;
        if advantage == 0.0 { 0.5 } else { f64::from(advantage > 0.0) }
    }
}

/// The pairs, the answers to the first of them, and how many are asked for.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Annotator {
    pairs: Vec<DrawnPair>,
    /// Which reference wrote each pair, by its fingerprint.
    writers: Vec<String>,
    /// The reference in use.
    reference: String,
    /// One a pair, in order; `None` where it was skipped.
    answers: Vec<Option<Side>>,
    goal: usize,
    /// Whether pairs have been ordered that have not come.
    #[serde(skip)]
    is_waiting: bool,
    /// The first pair that was never asked for.
    next: usize,
    /// Which share of the labels is turned round before they are trained on, in percent.
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
    /// Whether labelling has begun.
    pub fn has_begun(&self) -> bool {
        self.is_waiting || !self.pairs.is_empty()
    }

    /// The pair to judge now: none where the goal is reached, or where pairs are on their way.
    pub fn current(&self) -> Option<&DrawnPair> {
        if self.is_done() { None } else { self.pairs.get(self.answers.len()) }
    }

    /// The labels, in the order in which they were given.
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

    /// How many labels are asked for.
    pub fn goal(&self) -> usize {
        self.goal
    }

    /// Whether there are as many labels as were asked for.
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

    /// The order for the pairs that are missing for the goal, unless they are there or on their way.
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

    /// The labels as JSON lines, as they were given.
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
mod tests;
