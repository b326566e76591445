//! Where the probability of a batch's completions went.

use serde::{Deserialize, Serialize};

/// How a policy's probability is split over the completions of a prompt; means over the pairs of a batch.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Mass {
    /// π(y_w|x).
    pub chosen: f64,
    /// π(y_l|x).
    pub rejected: f64,
    /// What is left for every other completion of the prompt: with the other two, 1.
    pub rest: f64,
    /// log π(y_w|x), nats.
    pub chosen_logprob: f64,
    /// log π(y_l|x), nats.
    pub rejected_logprob: f64,
}

/// The same pairs at three moments, and how many of them lost their chosen completion some of its probability.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Masses {
    /// Pairs in the batch.
    pub pairs: usize,
    /// Under the reference.
    pub reference: Mass,
    /// Under the policy before the step.
    pub before: Mass,
    /// Under the policy after the step.
    pub after: Mass,
    /// Pairs whose chosen completion the step has made rarer.
    pub chosen_fell: usize,
    /// Pairs whose chosen completion is rarer after the step than under the reference.
    pub chosen_fell_since: usize,
}
