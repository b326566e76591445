//! The numbers of one step on pairs in full. What they mean, the method says by itself.

use super::inside::words;
use super::seen::{SeenCompletion, SeenPairs};
use crate::engine::protocol::{
    Batch, CompletionNumbers, Likelihood, LikelihoodBatch, LikelihoodPair, PairNumbers, Stage,
};
use klimb_align::algorithms::{MarginTerms, PairOutcome};
use klimb_metrics::{Method, MetricRow};
use klimb_network::backend::Kernels;
use klimb_world::World;

/// A step on pairs that is told in full.
pub struct PairReport<'a> {
    /// Has the words and the gold reward.
    pub world: &'a World,
    /// Whose step it was.
    pub method: Method,
    /// Its first pairs, and where the probability of all of them went.
    pub seen: &'a SeenPairs,
    /// The metrics of the step.
    pub row: Option<&'a MetricRow>,
}

impl PairReport<'_> {
    /// Of a method whose loss is of a margin. `outcomes` are of all pairs.
    pub fn of_margins<K: Kernels>(&self, terms: &dyn MarginTerms<K>, outcomes: &[PairOutcome]) -> Batch {
        let side = |seen: SeenCompletion, implicit_reward: f64| CompletionNumbers {
            words: words(self.world, seen.sequence),
            log_ratios: seen.numbers.log_ratios(),
            logprobs: seen.numbers.logprobs.clone(),
            logprobs_after: seen.after.to_vec(),
            shares: terms.shares(seen.numbers),
            logprob: seen.numbers.logprobs.iter().sum(),
            reference_logprob: seen.numbers.reference_logprobs.iter().sum(),
            implicit_reward,
            gold_reward: self.world.gold_reward(&seen.sequence.tokens),
        };
        let pairs = self.seen.pairs().zip(outcomes).map(|((chosen, rejected), outcome)| PairNumbers {
            prompt: self.world.vocabulary().text(chosen.sequence.prompt()),
            chosen: side(chosen, outcome.chosen_reward),
            rejected: side(rejected, outcome.rejected_reward),
            weight: outcome.weight,
            loss: outcome.loss,
        });
        Batch {
            step: self.step(),
            beta: terms.beta(),
            label_smoothing: terms.label_smoothing(),
            variant: terms.variant(),
            mean_loss: self.loss(),
            accuracy: self.value("rewards/accuracies"),
            size: outcomes.len(),
            pairs: pairs.collect(),
            masses: self.seen.masses,
        }
    }

    /// Of a method whose loss is of likelihoods: −log π(y_w) + `alpha`·log π(y_l).
    pub fn of_likelihoods(&self, alpha: f64) -> LikelihoodBatch {
        let side = |seen: SeenCompletion| Likelihood {
            words: words(self.world, seen.sequence),
            log_ratios: seen.numbers.log_ratios(),
            logprobs: seen.numbers.logprobs.clone(),
            logprobs_after: seen.after.to_vec(),
            logprob: seen.numbers.logprobs.iter().sum(),
            gold_reward: self.world.gold_reward(&seen.sequence.tokens),
        };
        let pair = |(chosen, rejected): (SeenCompletion, SeenCompletion)| {
            let prompt = self.world.vocabulary().text(chosen.sequence.prompt());
            let (chosen, rejected) = (side(chosen), side(rejected));
            LikelihoodPair { prompt, loss: -chosen.logprob + alpha * rejected.logprob, chosen, rejected }
        };
        LikelihoodBatch {
            stage: Stage::of(self.method).expect("a method that the page trains by"),
            step: self.step(),
            alpha,
            mean_loss: self.loss(),
            size: self.seen.masses.pairs,
            pairs: self.seen.pairs().map(pair).collect(),
            masses: self.seen.masses,
        }
    }

    fn step(&self) -> usize {
        self.row.map_or(0, |row| row.step as usize)
    }

    fn loss(&self) -> f64 {
        self.method.info().loss.map_or(f64::NAN, |loss| self.value(loss))
    }

    /// A metric of the step; no number where the method does not report it.
    fn value(&self, name: &str) -> f64 {
        self.row.and_then(|row| row.values.get(name)).copied().unwrap_or(f64::NAN)
    }
}
