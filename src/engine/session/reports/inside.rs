//! The numbers of one step in full.

use super::seen::{SeenCompletion, SeenPairs};
use crate::engine::protocol::{
    Batch, CompletionNumbers, EpisodeNumbers, Likelihood, LikelihoodBatch, LikelihoodPair, PairNumbers, ReviewNumbers,
    ScoredBatch, ScoredCompletion, ScoredPairNumbers, SftBatch, Stage, TokenNumbers,
};
use klimb_align::algorithms::{DpoSettings, PairOutcome, PpoSettings, RewardModelMetrics, ScoredPair, SftMetrics};
use klimb_align::language::{Sequence, TokenComparison};
use klimb_lab::Round;
use klimb_metrics::{Method, MetricRow, SettingKind};
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

/// The loss of a method in a row of its metrics.
fn loss_in(row: Option<&MetricRow>, method: Method) -> f64 {
    let loss = row.zip(method.info().loss).and_then(|(row, loss)| row.values.get(loss));
    loss.copied().unwrap_or(f64::NAN)
}

/// The first pairs of a DPO step.
pub fn batch(
    world: &World,
    (method, settings): (Method, &DpoSettings),
    seen: &SeenPairs,
    outcomes: &[PairOutcome],
    row: Option<&MetricRow>,
) -> Batch {
    let side = |seen: SeenCompletion, implicit_reward: f64| CompletionNumbers {
        words: words(world, seen.sequence),
        log_ratios: seen.numbers.log_ratios(),
        logprobs: seen.numbers.logprobs.clone(),
        logprobs_after: seen.after.to_vec(),
        shares: shares(settings, seen.numbers),
        logprob: seen.numbers.logprobs.iter().sum(),
        reference_logprob: seen.numbers.reference_logprobs.iter().sum(),
        implicit_reward,
        gold_reward: world.gold_reward(&seen.sequence.tokens),
    };
    let pairs = seen.pairs().zip(outcomes).map(|((chosen, rejected), outcome)| PairNumbers {
        prompt: world.vocabulary().text(chosen.sequence.prompt()),
        chosen: side(chosen, outcome.chosen_reward),
        rejected: side(rejected, outcome.rejected_reward),
        weight: outcome.weight,
        loss: outcome.loss,
    });
    Batch {
        step: row.map_or(0, |row| row.step as usize),
        beta: settings.beta,
        label_smoothing: settings.label_smoothing,
        variant: settings.variant(),
        mean_loss: loss_in(row, method),
        accuracy: row.and_then(|row| row.values.get("rewards/accuracies")).copied().unwrap_or(f64::NAN),
        size: settings.pairs,
        pairs: pairs.collect(),
        masses: seen.masses,
    }
}

/// What each token adds to its completion's implicit reward.
fn shares(settings: &DpoSettings, numbers: &TokenComparison) -> Vec<f64> {
    let tokens = numbers.logprobs.len().max(1) as f64;
    let weight = settings.beta / if settings.length_normalised { tokens } else { 1.0 };
    let logs = if settings.reference_free { numbers.logprobs.clone() } else { numbers.log_ratios() };
    logs.into_iter().map(|log| weight * log).collect()
}

/// The first pairs of a step of unlikelihood or Preferred-FT.
pub fn likelihood_batch(
    world: &World,
    (method, alpha): (Method, f64),
    seen: &SeenPairs,
    row: Option<&MetricRow>,
) -> LikelihoodBatch {
    // A method without α does not push the rejected down.
    let alpha = if method.info().setting == SettingKind::Alpha { alpha } else { 0.0 };
    let side = |seen: SeenCompletion| Likelihood {
        words: words(world, seen.sequence),
        log_ratios: seen.numbers.log_ratios(),
        logprobs: seen.numbers.logprobs.clone(),
        logprobs_after: seen.after.to_vec(),
        logprob: seen.numbers.logprobs.iter().sum(),
        gold_reward: world.gold_reward(&seen.sequence.tokens),
    };
    let pair = |(chosen, rejected): (SeenCompletion, SeenCompletion)| {
        let prompt = world.vocabulary().text(chosen.sequence.prompt());
        let (chosen, rejected) = (side(chosen), side(rejected));
        LikelihoodPair { prompt, loss: -chosen.logprob + alpha * rejected.logprob, chosen, rejected }
    };
    LikelihoodBatch {
        stage: Stage::of(method).expect("a method that the page trains by"),
        step: row.map_or(0, |row| row.step as usize),
        alpha,
        mean_loss: loss_in(row, method),
        size: seen.masses.pairs,
        pairs: seen.pairs().map(pair).collect(),
        masses: seen.masses,
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
fn words(world: &World, sequence: &Sequence) -> Vec<String> {
    sequence.completion().iter().map(|&token| world.vocabulary().word(token).to_owned()).collect()
}
