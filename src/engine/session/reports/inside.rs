//! The numbers of one step in full.

use crate::algorithms::{DpoMetrics, DpoSettings, PairOutcome, PpoSettings, RewardModelMetrics, ScoredPair};
use crate::engine::protocol::{
    Batch, CompletionNumbers, EpisodeNumbers, Likelihood, LikelihoodBatch, LikelihoodPair, PairNumbers, ScoredBatch,
    ScoredCompletion, ScoredPairNumbers, Stage, TokenNumbers,
};
use crate::experiments::Round;
use crate::language::{Sequence, TokenComparison};
use crate::metrics::MetricRow;
use crate::world::World;

/// The pairs of a DPO step; `told` and `numbers` hold chosen and rejected in turn.
pub fn batch(
    world: &World,
    settings: &DpoSettings,
    told: &[Sequence],
    numbers: &[TokenComparison],
    outcomes: &[PairOutcome],
    metrics: Option<&DpoMetrics>,
) -> Batch {
    let side = |sequence: &Sequence, numbers: &TokenComparison, implicit_reward: f64| CompletionNumbers {
        words: words(world, sequence),
        log_ratios: numbers.log_ratios(),
        logprob: numbers.logprobs.iter().sum(),
        reference_logprob: numbers.reference_logprobs.iter().sum(),
        implicit_reward,
        gold_reward: world.gold_reward(&sequence.tokens),
    };
    let pairs = told.chunks_exact(2).zip(numbers.chunks_exact(2)).zip(outcomes);
    let pairs = pairs.map(|((sequences, numbers), outcome)| PairNumbers {
        prompt: world.vocabulary().text(sequences[0].prompt()),
        chosen: side(&sequences[0], &numbers[0], outcome.chosen_reward),
        rejected: side(&sequences[1], &numbers[1], outcome.rejected_reward),
        weight: outcome.weight,
        loss: outcome.loss,
    });
    Batch {
        step: metrics.map_or(0, |metrics| metrics.step as usize),
        beta: settings.beta,
        label_smoothing: settings.label_smoothing,
        variant: settings.variant(),
        mean_loss: metrics.map_or(f64::NAN, |metrics| metrics.loss),
        accuracy: metrics.map_or(f64::NAN, |metrics| metrics.accuracies),
        size: settings.pairs,
        pairs: pairs.collect(),
    }
}

/// The pairs of a step of unlikelihood or Preferred-FT; `told` has chosen and rejected in turn, with their numbers.
pub fn likelihood_batch(
    world: &World,
    (stage, alpha): (Stage, f64),
    (told, numbers): (&[Sequence], &[TokenComparison]),
    size: usize,
    row: Option<&MetricRow>,
) -> LikelihoodBatch {
    let side = |sequence: &Sequence, numbers: &TokenComparison| Likelihood {
        words: words(world, sequence),
        log_ratios: numbers.log_ratios(),
        logprob: numbers.logprobs.iter().sum(),
        gold_reward: world.gold_reward(&sequence.tokens),
    };
    let pair = |(sequences, numbers): (&[Sequence], &[TokenComparison])| {
        let (chosen, rejected) = (side(&sequences[0], &numbers[0]), side(&sequences[1], &numbers[1]));
        LikelihoodPair {
            prompt: world.vocabulary().text(sequences[0].prompt()),
            loss: -chosen.logprob + alpha * rejected.logprob,
            chosen,
            rejected,
        }
    };
    let loss = row.and_then(|row| row.values.get("unlikelihood/loss").or_else(|| row.values.get("sft/loss")));
    LikelihoodBatch {
        stage,
        step: row.map_or(0, |row| row.step as usize),
        alpha,
        mean_loss: loss.copied().unwrap_or(f64::NAN),
        size,
        pairs: told.chunks_exact(2).zip(numbers.chunks_exact(2)).map(pair).collect(),
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
fn words(world: &World, sequence: &Sequence) -> Vec<String> {
    sequence.completion().iter().map(|&token| world.vocabulary().word(token).to_owned()).collect()
}
