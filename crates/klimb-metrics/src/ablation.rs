//! What an ablation reports: points of the frontier with what was varied, their distance from the optimum, and their KL by
//! what the reference thought of the tokens.

use serde::{Deserialize, Serialize};

use super::FrontierPoint;
use super::csv::table;

/// The limits of π_ref(token) between the columns of KL in `ablation.csv`.
pub const REFERENCE_PROBABILITIES: [f64; 3] = [0.001, 0.01, 0.1];

/// The header of `ablation.csv`.
pub const ABLATION_COLUMNS: [&str; 18] = [
    "factor",
    "level",
    "method",
    "setting",
    "seed",
    "step",
    "kl_per_sequence",
    "kl_half_width",
    "gold_reward",
    "gold_reward_half_width",
    "optimal_reward",
    "gap",
    "kl_below_0.001",
    "kl_below_0.01",
    "kl_below_0.1",
    "kl_above_0.1",
    "rare_samples",
    "samples",
];

/// A measured policy of an ablation.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct AblationPoint {
    /// What was varied.
    pub factor: String,
    /// The value it had.
    pub level: String,
    /// Its place on the frontier.
    pub point: FrontierPoint,
    /// The most gold reward that any policy has at its KL to the same reference.
    pub optimal_reward: f64,
    /// Its KL in nats by π_ref of the sampled tokens: below each of [`REFERENCE_PROBABILITIES`], and the rest.
    pub kl_by_reference_probability: [f64; REFERENCE_PROBABILITIES.len() + 1],
    /// Share of its samples with a token below the first limit.
    pub rare_samples: f64,
}

impl AblationPoint {
    /// Gold reward that it lacks for its KL.
    pub fn gap(&self) -> f64 {
        self.optimal_reward - self.point.gold_reward
    }
}

/// The text of `ablation.csv`.
pub fn ablation_csv(points: &[AblationPoint]) -> String {
    let row = |it: &AblationPoint| {
        let FrontierPoint { method, setting, seed, step, samples, .. } = &it.point;
        let [rare, uncommon, common, frequent] = it.kl_by_reference_probability.map(|kl| kl.to_string());
        [
            it.factor.clone(),
            it.level.clone(),
            method.to_string(),
            setting.to_string(),
            seed.to_string(),
            step.to_string(),
            it.point.kl_per_sequence.to_string(),
            it.point.kl_half_width.to_string(),
            it.point.gold_reward.to_string(),
            it.point.gold_reward_half_width.to_string(),
            it.optimal_reward.to_string(),
            it.gap().to_string(),
            rare,
            uncommon,
            common,
            frequent,
            it.rare_samples.to_string(),
            samples.to_string(),
        ]
    };
    table(ABLATION_COLUMNS, points.iter().map(row))
}
