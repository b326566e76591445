//! The numbers of one step, for a reader who wants to follow it.

use serde::{Deserialize, Serialize};

use super::{Masses, Stage};
use klimb_text::Message;

/// What a step did, or what a stage came to, in the terms of the stage.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum Inside {
    /// A batch of SFT.
    Sft(SftBatch),
    /// A batch of a method whose loss is of the margin between implicit rewards, such as DPO.
    Dpo(Batch),
    /// A batch of a method whose loss is of likelihoods, such as unlikelihood or Preferred-FT.
    Likelihood(LikelihoodBatch),
    /// A batch of the reward model.
    RewardModel(ScoredBatch),
    /// A round of PPO or PPO-GT.
    Ppo(Round),
    /// What Best-of-N came to, N by N.
    BestOfN(Vec<BestOfNNumbers>),
}

impl Inside {
    /// A batch of SFT, if it is one.
    pub fn sft(&self) -> Option<&SftBatch> {
        if let Self::Sft(batch) = self { Some(batch) } else { None }
    }

    /// A batch with implicit rewards, if it is one.
    pub fn dpo(&self) -> Option<&Batch> {
        if let Self::Dpo(batch) = self { Some(batch) } else { None }
    }

    /// A batch of a method whose loss is of likelihoods, if it is one.
    pub fn likelihood(&self) -> Option<&LikelihoodBatch> {
        if let Self::Likelihood(batch) = self { Some(batch) } else { None }
    }

    /// A batch of the reward model, if it is one.
    pub fn reward_model(&self) -> Option<&ScoredBatch> {
        if let Self::RewardModel(batch) = self { Some(batch) } else { None }
    }

    /// A round of PPO, if it is one.
    pub fn ppo(&self) -> Option<&Round> {
        if let Self::Ppo(round) = self { Some(round) } else { None }
    }

    /// What Best-of-N came to, if it is that.
    pub fn best_of_n(&self) -> Option<&[BestOfNNumbers]> {
        if let Self::BestOfN(numbers) = self { Some(numbers) } else { None }
    }
}

/// The reviews of one SFT step, with the numbers before the update and after it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SftBatch {
    /// Optimiser step, from 1.
    pub step: usize,
    /// Reviews in the batch.
    pub size: usize,
    /// Tokens that count: of the completions, end tokens included.
    pub tokens: usize,
    /// Σ log π over them before the update, nats.
    pub logprob: f64,
    /// The loss: mean −log π before the update, nats a token.
    pub mean_loss: f64,
    /// The same tokens' mean −log π after the update.
    pub mean_loss_after: f64,
    /// L2 norm of the gradient before clipping.
    pub gradient_norm: f64,
    /// The step's learning rate.
    pub learning_rate: f64,
    /// The first few reviews.
    pub reviews: Vec<ReviewNumbers>,
}

/// One review in SFT's formula.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ReviewNumbers {
    /// The prompt's text, which is given and does not count.
    pub prompt: String,
    /// The tokens of the completion, the end token included.
    pub words: Vec<String>,
    /// log π of each before the update.
    pub logprobs: Vec<f64>,
    /// log π of each after it.
    pub logprobs_after: Vec<f64>,
}

/// The pairs of one step of DPO, or of another method with implicit rewards, with the numbers before the update.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Batch {
    /// Optimiser step, from 1.
    pub step: usize,
    /// β of the step.
    pub beta: f64,
    /// Label smoothing ε of the step.
    pub label_smoothing: f64,
    /// In what the step is not the method of the paper, in words ("IPO, length-normalised"); empty where it is.
    pub variant: Message,
    /// Mean loss over the whole batch: for the paper's DPO in nats, ln 2 at the first step.
    pub mean_loss: f64,
    /// Share of the batch with a positive margin.
    pub accuracy: f64,
    /// Pairs in the batch.
    pub size: usize,
    /// Where the probability of the whole batch's completions went.
    pub masses: Masses,
    /// The first few of them.
    pub pairs: Vec<PairNumbers>,
}

/// One pair in DPO's formula.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct PairNumbers {
    /// The prompt's text.
    pub prompt: String,
    /// The preferred completion, y_w.
    pub chosen: CompletionNumbers,
    /// The other, y_l.
    pub rejected: CompletionNumbers,
    /// How hard the pair pulls: in the paper's DPO σ(r̂_l − r̂_w), 1 where the order is quite wrong.
    pub weight: f64,
    /// −log σ(r̂_w − r̂_l) in nats, or its smoothed or other form.
    pub loss: f64,
}

/// A completion's side of a pair.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct CompletionNumbers {
    /// Its tokens, the end token included.
    pub words: Vec<String>,
    /// log π(token) − log π_ref(token), one per token.
    pub log_ratios: Vec<f64>,
    /// log π of each token.
    pub logprobs: Vec<f64>,
    /// log π of each token after the update.
    pub logprobs_after: Vec<f64>,
    /// What each token adds to the implicit reward: β·log π/π_ref, or what the variant has for it.
    pub shares: Vec<f64>,
    /// Σ log π, nats.
    pub logprob: f64,
    /// Σ log π_ref, nats.
    pub reference_logprob: f64,
    /// r̂ = β·Σ log-ratios.
    pub implicit_reward: f64,
    /// What the world says.
    pub gold_reward: f64,
}

/// The pairs of one step of a method whose loss is of likelihoods, with the numbers before the update.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct LikelihoodBatch {
    /// The stage, which trains by that method.
    pub stage: Stage,
    /// Optimiser step, from 1.
    pub step: usize,
    /// Weight of pushing the rejected down; 0 where they play no part.
    pub alpha: f64,
    /// Mean loss over the whole batch: nats a pair where both sides count, nats a token where the chosen
    /// does.
    pub mean_loss: f64,
    /// Pairs in the batch.
    pub size: usize,
    /// Where the probability of the whole batch's completions went.
    pub masses: Masses,
    /// The first few of them.
    pub pairs: Vec<LikelihoodPair>,
}

/// One pair in the formula of unlikelihood.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct LikelihoodPair {
    /// The prompt's text.
    pub prompt: String,
    /// The preferred completion, y_w.
    pub chosen: Likelihood,
    /// The other, y_l, which plays no part in Preferred-FT.
    pub rejected: Likelihood,
    /// −log π(y_w) + α·log π(y_l), nats.
    pub loss: f64,
}

/// A completion's side of such a pair.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Likelihood {
    /// Its tokens, the end token included.
    pub words: Vec<String>,
    /// log π(token) − log π_ref(token), one per token.
    pub log_ratios: Vec<f64>,
    /// log π of each token.
    pub logprobs: Vec<f64>,
    /// log π of each token after the update.
    pub logprobs_after: Vec<f64>,
    /// Σ log π, nats.
    pub logprob: f64,
    /// What the world says.
    pub gold_reward: f64,
}

/// A mean over samples. It is written as a pair, as it always was.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(from = "(f64, f64)", into = "(f64, f64)")]
pub struct Estimate {
    /// The mean.
    pub mean: f64,
    /// Half the width of its 95 % interval.
    pub half_width: f64,
}

impl From<(f64, f64)> for Estimate {
    fn from((mean, half_width): (f64, f64)) -> Self {
        Self { mean, half_width }
    }
}

impl From<Estimate> for (f64, f64) {
    fn from(Estimate { mean, half_width }: Estimate) -> Self {
        (mean, half_width)
    }
}

/// Best-of-N at one N.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct BestOfNNumbers {
    /// How many are drawn.
    pub n: usize,
    /// Whether the reward model's score decides, instead of the gold reward.
    pub learned: bool,
    /// KL to the reference, nats a completion.
    pub kl: Estimate,
    /// log N − (N − 1)/N, which no KL of Best-of-N exceeds.
    pub bound: f64,
    /// Gold reward, 0 to 1.
    pub gold_reward: Estimate,
}

/// The pairs of one step of the reward model, with the numbers before the update.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ScoredBatch {
    /// Optimiser step, from 1.
    pub step: usize,
    /// Mean loss over the whole batch, in nats: about ln 2 at the first step.
    pub mean_loss: f64,
    /// Share of the batch whose chosen completion has the higher score.
    pub accuracy: f64,
    /// Pairs in the batch.
    pub size: usize,
    /// The first few of them.
    pub pairs: Vec<ScoredPairNumbers>,
}

/// One pair in the reward model's formula.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ScoredPairNumbers {
    /// The prompt's text.
    pub prompt: String,
    /// The preferred completion, y_w.
    pub chosen: ScoredCompletion,
    /// The other, y_l.
    pub rejected: ScoredCompletion,
    /// r(x, y_w) − r(x, y_l).
    pub margin: f64,
    /// σ(−margin): how hard the pair pulls its scores apart.
    pub weight: f64,
    /// −log σ(margin), in nats.
    pub loss: f64,
}

/// A completion's side of a scored pair.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ScoredCompletion {
    /// Its tokens, the end token included.
    pub words: Vec<String>,
    /// r(x, y). Only differences mean anything until the finished model's scores are shifted.
    pub score: f64,
    /// What the world says.
    pub gold_reward: f64,
}

/// A round of PPO: a rollout and what was learned from it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Round {
    /// `Ppo` or `PpoGt`.
    pub stage: Stage,
    /// Rounds done, this one included.
    pub number: usize,
    /// Optimiser steps done, this round's included.
    pub step: usize,
    /// Episodes in the rollout.
    pub size: usize,
    /// Updates it was learned from in.
    pub updates: usize,
    /// β of the rollout.
    pub beta: f64,
    /// Mean score over the rollout.
    pub score: f64,
    /// Mean exact KL over the rollout, nats a completion.
    pub kl: f64,
    /// How far a ratio may leave 1 before its token stops pulling.
    pub clip_range: f64,
    /// A few episodes of the last minibatch.
    pub episodes: Vec<EpisodeNumbers>,
}

/// One completion in PPO's formula.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct EpisodeNumbers {
    /// The prompt's text.
    pub prompt: String,
    /// What the whole completion earned.
    pub score: f64,
    /// What the world says.
    pub gold_reward: f64,
    /// Token by token, the end token included.
    pub tokens: Vec<TokenNumbers>,
}

/// One token of an episode.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct TokenNumbers {
    /// The token.
    pub word: String,
    /// log π_old, of the policy that drew it.
    pub logprob: f64,
    /// log π_ref.
    pub reference_logprob: f64,
    /// −β·(log π_old − log π_ref), plus the score at the last token.
    pub reward: f64,
    /// The value model's forecast of the rewards still to come.
    pub value: f64,
    /// What the value model is taught to expect: the advantage before whitening, plus the value.
    pub returns: f64,
    /// Â, whitened over the rollout.
    pub advantage: f64,
    /// ρ = π/π_old before the round's last update.
    pub ratio: f64,
    /// Whether the clip keeps the token from pulling further.
    pub clipped: bool,
}

#[cfg(test)]
mod tests {
    use super::*;
    use klimb_text::json;

    #[test]
    fn an_estimate_is_written_as_a_pair() {
        let estimate = Estimate { mean: 1.5, half_width: 0.25 };
        assert_eq!(json::to_text(&estimate), "[1.5,0.25]");
        assert_eq!(json::from_text("[1.5,0.25]"), Ok(estimate));
    }
}
