//! The numbers of one step in full. Those of a step on pairs are in `pairs`.

use crate::engine::protocol::{
    EpisodeNumbers, ReviewNumbers, ScoredBatch, ScoredCompletion, ScoredPairNumbers, SftBatch, TokenNumbers,
};
use klimb_align::algorithms::{PpoSettings, RewardModelMetrics, ScoredPair, SftMetrics};
use klimb_align::language::Sequence;
use klimb_lab::Round;
use klimb_world::World;

/// The first `told` reviews of an SFT step, with log π of every token of the batch before the update and after it.
pub fn sft_batch(
    world: &World,
    reviews: &[Sequence],
    told: usize,
    (before, after): (&[Vec<f64>], &[Vec<f64>]),
    learning_rate: f64,
    metrics: Option<&SftMetrics>,
) -> SftBatch {
    let sum = |logprobs: &[Vec<f64>]| logprobs.iter().flatten().sum::<f64>();
    let tokens = before.iter().map(Vec::len).sum();
    let review = |(review, (before, after)): (&Sequence, (&Vec<f64>, &Vec<f64>))| ReviewNumbers {
        prompt: world.vocabulary().text(review.prompt()),
        words: words(world, review),
        logprobs: before.clone(),
        logprobs_after: after.clone(),
    };
    SftBatch {
        step: metrics.map_or(0, |metrics| metrics.step as usize),
        size: reviews.len(),
        tokens,
        logprob: sum(before),
        mean_loss: metrics.map_or(f64::NAN, |metrics| metrics.loss),
        mean_loss_after: -sum(after) / tokens as f64,
        gradient_norm: metrics.map_or(f64::NAN, |metrics| metrics.gradient_norm),
        learning_rate,
        reviews: reviews.iter().zip(before.iter().zip(after)).take(told).map(review).collect(),
    }
}

/// The pairs `told` of a step of the reward model, of which `outcomes` has more.
pub fn scored_batch(
    world: &World,
    told: &[(Sequence, Sequence)],
    outcomes: &[ScoredPair],
    metrics: Option<&RewardModelMetrics>,
) -> ScoredBatch {
    let side = |sequence: &Sequence, score| ScoredCompletion {
        words: words(world, sequence),
        score,
        gold_reward: world.gold_reward(&sequence.tokens),
    };
    let pairs = told.iter().zip(outcomes).map(|((chosen, rejected), scored)| ScoredPairNumbers {
        prompt: world.vocabulary().text(chosen.prompt()),
        chosen: side(chosen, scored.chosen_score),
        rejected: side(rejected, scored.rejected_score),
        margin: scored.margin(),
        weight: scored.weight(),
        loss: scored.loss(),
    });
    ScoredBatch {
        step: metrics.map_or(0, |metrics| metrics.step as usize),
        mean_loss: metrics.map_or(f64::NAN, |metrics| metrics.loss),
        accuracy: metrics.map_or(f64::NAN, |metrics| metrics.accuracy),
        size: outcomes.len(),
        pairs: pairs.collect(),
    }
}

/// Episodes of a round, by number, with the ratios of their tokens.
pub fn episodes<'a>(
    world: &World,
    settings: &PpoSettings,
    round: &Round,
    told: impl Iterator<Item = &'a (usize, Vec<f64>)>,
) -> Vec<EpisodeNumbers> {
    let episode = |(index, ratios): &(usize, Vec<f64>)| {
        let scored = &round.rollout.episodes[*index];
        let episode = &scored.episode;
        let token = |(at, word): (usize, String)| {
            let (advantage, ratio) = (scored.advantages[at], ratios[at]);
            // The smaller of both terms counts: the clip holds a token only where it would gain by going further.
            let clipped =
                if advantage > 0.0 { ratio > 1.0 + settings.clip_range } else { ratio < 1.0 - settings.clip_range };
            TokenNumbers {
                word,
                logprob: episode.logprobs[at],
                reference_logprob: episode.reference_logprobs[at],
                reward: scored.rewards[at],
                value: episode.values[at],
                returns: scored.returns[at],
                advantage,
                ratio,
                clipped,
            }
        };
        EpisodeNumbers {
            prompt: world.vocabulary().text(episode.sequence.prompt()),
            score: scored.score,
            gold_reward: round.gold_rewards[*index],
            tokens: words(world, &episode.sequence).into_iter().enumerate().map(token).collect(),
        }
    };
    told.map(episode).collect()
}

/// The words of a completion, the end token included.
pub(super) fn words(world: &World, sequence: &Sequence) -> Vec<String> {
    sequence.completion().iter().map(|&token| world.vocabulary().word(token).to_owned()).collect()
}
