//! A batch of pairs as it is looked at: under the policy before a step, after it, and under the reference.

use super::mass::masses;
use crate::engine::protocol::Masses;
use klimb_align::algorithms::PairBatch;
use klimb_align::language::{Comparison, Sequence, TokenComparison};

/// The pairs of one step, seen before it and after it.
pub struct SeenPairs {
    /// Chosen and rejected in turn, of the pairs that are told.
    told: Vec<Sequence>,
    /// Their numbers before the step, beside the reference's.
    numbers: Comparison,
    /// log π of their tokens after it.
    after: Vec<Vec<f64>>,
    /// Where the probability of the whole batch went.
    pub masses: Masses,
}

/// A completion of a pair that is told.
#[derive(Clone, Copy)]
pub struct SeenCompletion<'a> {
    /// Prompt and completion.
    pub sequence: &'a Sequence,
    /// Before the step, beside the reference's.
    pub numbers: &'a TokenComparison,
    /// log π of its tokens after it.
    pub after: &'a [f64],
}

impl SeenPairs {
    /// Of `pairs` the first `numbers.len() / 2` are told; `before` and `after` have log π of every token, the chosen
    /// completions of the whole batch first.
    pub fn new(pairs: &PairBatch, numbers: Comparison, before: &[Vec<f64>], after: &[Vec<f64>]) -> Self {
        let sums = |tokens: &[Vec<f64>]| -> Vec<f64> { tokens.iter().map(|logprobs| logprobs.iter().sum()).collect() };
        let masses = masses(pairs, &sums(before), &sums(after));
        let (after_chosen, after_rejected) = after.split_at(pairs.chosen.len());
        let pair = |index: usize| [after_chosen[index].clone(), after_rejected[index].clone()];
        let after = (0..numbers.len() / 2).flat_map(pair).collect();
        Self { told: Self::told(pairs, numbers.len() / 2), numbers, after, masses }
    }

    /// Chosen and rejected in turn, of the first `count` pairs.
    pub fn told(pairs: &PairBatch, count: usize) -> Vec<Sequence> {
        let pair = |index: usize| [pairs.chosen[index].clone(), pairs.rejected[index].clone()];
        (0..count.min(pairs.chosen.len())).flat_map(pair).collect()
    }

    /// The pairs that are told.
    pub fn pairs(&self) -> impl Iterator<Item = (SeenCompletion<'_>, SeenCompletion<'_>)> {
        let completion = |index: usize| SeenCompletion {
            sequence: &self.told[index],
            numbers: &self.numbers[index],
            after: &self.after[index],
        };
        (0..self.told.len() / 2).map(move |pair| (completion(2 * pair), completion(2 * pair + 1)))
    }
}
