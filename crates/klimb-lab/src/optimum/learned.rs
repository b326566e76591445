//! The optimum of a learned reward: what PPO would end at if it were perfect. What lies between it and the optimum of the
//! gold reward is the reward model's fault; what lies between it and a policy of PPO is PPO's.

use std::ops::ControlFlow;

use super::mixture::PIECE;
use super::{BETA_GRID, OptimumSample, OptimumSamples, beta_at, mean_over, point_of, tilted};
use klimb_align::language::{Judge, upload};
use klimb_metrics::LearnedOptimumPoint;
use klimb_network::backend::{BackendError, Kernels, SequenceSize};
use klimb_network::model::ModelConfig;
use klimb_world::MAX_SEQUENCE;

/// The reward model of a seed.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct LearnedReward<'a> {
    /// Its sizes, without its head.
    pub config: ModelConfig,
    /// Its parameters, flat, with its head.
    pub parameters: &'a [f32],
    /// The seed, which the points carry.
    pub seed: u64,
}

/// The optimum of the score that the reward model gives, over the slider's range of β and by
/// rising β, from completions `drawn` already. Proposals fitted to another reward leave the estimate right; they decide,
/// like there, how many of the samples are effective. `watch` is asked before each piece, and may end it; then the answer
/// is `None`.
///
/// # Errors
/// As any read of the backend: `DeviceLost` or `Readback`.
///
/// # Panics
/// If its parameters are not of a network of these sizes with a head.
pub async fn learned_optimum<K: Kernels>(
    k: &mut K,
    reward_model: LearnedReward<'_>,
    drawn: &OptimumSamples,
    mut watch: impl FnMut() -> ControlFlow<()>,
) -> Result<Option<Vec<LearnedOptimumPoint>>, BackendError> {
    let LearnedReward { config, parameters, seed } = reward_model;
    let mut judge = Judge::new(k, config, SequenceSize { batch: PIECE, length: MAX_SEQUENCE });
    let parameters = upload(k, parameters);
    let mut samples = drawn.samples.clone();
    for (samples, sequences) in samples.iter_mut().zip(&drawn.sequences) {
        for (samples, sequences) in samples.chunks_mut(PIECE).zip(sequences.chunks(PIECE)) {
            if watch().is_break() {
                return Ok(None);
            }
            let scores = judge.scores(k, &parameters, sequences).await?;
            samples.iter_mut().zip(scores).for_each(|(sample, score)| sample.reward = score);
        }
    }
    Ok(Some((0..BETA_GRID).map(|step| point(&samples, beta_at(step as f64), seed)).collect()))
}

/// The optimum at one β, from samples whose reward is the score.
fn point(samples: &[Vec<OptimumSample>], beta: f64, seed: u64) -> LearnedOptimumPoint {
    let prompts = tilted(samples, beta);
    let score = mean_over(&prompts, |prompt| prompt.reward);
    LearnedOptimumPoint { seed, score, optimum: point_of(&prompts, beta) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_score_that_is_wrong_half_of_the_time_earns_score_and_no_gold() {
        // Four completions: score and gold reward are independent, so tilting by one leaves the other where it was.
        let sample = |reward, gold_reward| OptimumSample { gold_reward, reward, log_weight: 0.0 };
        let prompt = [(0.0, 0.2), (0.0, 0.8), (3.0, 0.2), (3.0, 0.8)].map(|(reward, gold)| sample(reward, gold));
        let LearnedOptimumPoint { seed, score, optimum } = point(&[prompt.to_vec()], 1.5, 7);
        let tilted = 2f64.exp() / (1.0 + 2f64.exp());
        assert!((score - 3.0 * tilted).abs() < 1e-12, "{score}");
        assert!((optimum.gold_reward - 0.5).abs() < 1e-12, "{optimum:?}");
        let kl = tilted * (2.0 * tilted).ln() + (1.0 - tilted) * (2.0 * (1.0 - tilted)).ln();
        assert!((optimum.kl_per_sequence - kl).abs() < 1e-12 && seed == 7, "{optimum:?} instead of {kl}");
    }
}
