//! What is measured, and in which units.

use serde::{Deserialize, Serialize};

/// One evaluated checkpoint on the reward-versus-KL chart.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct FrontierPoint {
    /// The method's name: `dpo`, `sft`, ….
    pub method: String,
    /// What distinguishes the run: `beta=0.1`.
    pub setting: String,
    /// The run's seed.
    pub seed: u64,
    /// Optimiser steps done.
    pub step: usize,
    /// Mean sequence-level KL to the reference, nats.
    pub kl_per_sequence: f64,
    /// Half-width of its 95 % interval.
    pub kl_half_width: f64,
    /// Mean gold reward.
    pub gold_reward: f64,
    /// Half-width of its 95 % interval.
    pub gold_reward_half_width: f64,
    /// Samples behind it.
    pub samples: usize,
    /// Seconds of training so far.
    pub seconds: f64,
}

/// The closed-form optimum at one β.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct OptimumPoint {
    /// β.
    pub beta: f64,
    /// KL of the optimum to the reference, nats.
    pub kl_per_sequence: f64,
    /// Its mean gold reward.
    pub gold_reward: f64,
    /// The smallest effective sample size of any prompt.
    pub effective_sample_size: f64,
}
