//! Best-of-N on held-out prompts, by any scorer, as points like every other method's.

use std::ops::ControlFlow;

use serde::{Deserialize, Serialize};

use super::limits;
use super::training::PIECE;
use super::{Evaluation, EvaluationSettings, PointKey, Reference, Sample, Sink, SweepError, SweepPoint};
use klimb_align::algorithms::{ScoreDistribution, best_of};
use klimb_align::language::{Generation, GenerationSettings, Judge, Scorer, Sequence, TokenComparison, upload};
use klimb_metrics::{Method, Setting};
use klimb_network::backend::network::Network;
use klimb_network::backend::{BackendError, Kernels, SequenceSize};
use klimb_numerics::rng::Generator;
use klimb_text::ConfigError;
use klimb_world::{MAX_SEQUENCE, Vocabulary, World};

/// What Best-of-N is measured with.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct BestOfNSettings {
    /// The largest N.
    pub largest: usize,
    /// Draws a point.
    pub samples: usize,
    /// Fewest completions of a prompt behind its distribution of scores.
    pub completions: usize,
}

impl Default for BestOfNSettings {
    fn default() -> Self {
        Self { largest: 128, samples: EvaluationSettings::default().samples, completions: 4096 }
    }
}

impl BestOfNSettings {
    /// The settings, or all that cannot be used.
    pub fn validated(self) -> Result<Self, ConfigError> {
        ConfigError::all([
            EvaluationSettings { samples: self.samples, ..EvaluationSettings::default() }.validated().map(drop),
            limits::count("largest", self.largest as u64, limits::MOST_DRAWS, limits::IN_MEMORY),
            limits::count("completions", self.completions as u64, limits::MOST_COMPLETIONS, limits::IN_MEMORY),
        ])?;
        let drawn = self.samples as u64 * self.largest as u64;
        limits::count("samples times largest", drawn, limits::MOST_COMPLETIONS, limits::IN_MEMORY)
            .map_err(|error| ConfigError::of_several(error.field, error.reason))?;
        Ok(self)
    }

    /// Every N: powers of two from 2 on, and the largest.
    pub fn counts(&self) -> impl Iterator<Item = usize> + use<> {
        let largest = self.largest;
        std::iter::successors(Some(2), |n| Some(2 * n)).take_while(move |&n| n < largest).chain([largest])
    }
}

/// Which completions a pool consists of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PoolPlan {
    /// Completions of every held-out prompt.
    pub per_prompt: usize,
    /// Names the coins.
    pub seed: u64,
}

/// Draws of Best-of-N.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BestOfNDraws {
    /// Completions of which each draw is the best.
    pub n: usize,
    /// Draws, prompts in turn.
    pub samples: usize,
}

/// A run of Best-of-N.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct BestOfNRun<'a> {
    /// What it is measured with.
    pub settings: &'a BestOfNSettings,
    /// The parameters of the reward model whose score decides, which has the reference's sizes; without one, the gold
    /// reward does.
    pub reward_model: Option<&'a [f32]>,
    /// Names the coins.
    pub seed: u64,
}

/// The reference's completions of every held-out prompt: a pool from which Best-of-N is drawn, for any N and scorer.
///
/// The same completions serve as the distribution of scores behind the KL and, in disjoint groups of N, as the draws.
#[derive(Debug, Clone, PartialEq)]
pub struct CompletionPool {
    /// By held-out prompt.
    completions: Vec<Vec<Sequence>>,
}

/// A pool that is being drawn, piece by piece, so that a page stays alive meanwhile.
pub struct PoolDrawing<K: Kernels> {
    generation: Generation<K>,
    per_prompt: usize,
    seed: u64,
    /// The coins of the prompt at hand.
    coins: Generator,
    completions: Vec<Vec<Sequence>>,
}

impl<K: Kernels> PoolDrawing<K> {
    /// Nothing drawn yet of what is planned.
    pub fn new(k: &mut K, network: &Network, plan: PoolPlan) -> Self {
        let PoolPlan { per_prompt, seed } = plan;
        let generation = Generation::new(k, network.clone(), PIECE, MAX_SEQUENCE);
        Self { generation, per_prompt, seed, coins: Generator::new(seed, "best of n"), completions: Vec::new() }
    }

    /// Completions drawn.
    pub fn done(&self) -> usize {
        self.completions.iter().map(Vec::len).sum()
    }

    /// Whether every prompt has its completions.
    pub fn is_complete(&self, world: &World) -> bool {
        self.done() == self.per_prompt * world.held_out_prompts().len()
    }

    /// Lets the reference write the next piece at temperature 1.
    ///
    /// # Errors
    /// As any read of the backend: `DeviceLost` or `Readback`.
    pub async fn advance(&mut self, k: &mut K, world: &World, reference: &K::Floats) -> Result<(), BackendError> {
        if self.completions.last().is_none_or(|of_prompt| of_prompt.len() == self.per_prompt) {
            self.coins = Generator::numbered(self.seed, "best of n", self.completions.len() as u64);
            self.completions.push(Vec::with_capacity(self.per_prompt));
        }
        let index = self.completions.len() - 1;
        let count = PIECE.min(self.per_prompt - self.completions[index].len());
        let prompts = vec![world.held_out_prompts()[index].as_slice(); count];
        let coins = self.coins.coins(count * MAX_SEQUENCE);
        let settings = GenerationSettings { temperature: 1.0, end: Vocabulary::END, padding: Vocabulary::PADDING };
        let written = self.generation.generate(k, reference, &prompts, &coins, settings).await?;
        self.completions[index].extend(written);
        Ok(())
    }

    /// The pool, once [`PoolDrawing::is_complete`].
    pub fn finish(self) -> CompletionPool {
        CompletionPool { completions: self.completions }
    }
}

impl CompletionPool {
    /// Completions a prompt needs for `samples` draws of the best of `largest`.
    pub fn size(world: &World, settings: BestOfNSettings) -> usize {
        let BestOfNSettings { largest, samples, completions } = settings;
        completions.max(samples.div_ceil(world.held_out_prompts().len()) * largest)
    }

    /// Lets the reference write the completions that are planned, at temperature 1. `None` if `go_on`, asked before every
    /// piece of 256, ended it.
    ///
    /// # Errors
    /// As any read of the backend: `DeviceLost` or `Readback`.
    pub async fn draw<K: Kernels>(
        k: &mut K,
        world: &World,
        reference: Reference<'_>,
        plan: PoolPlan,
        mut go_on: impl FnMut() -> ControlFlow<()>,
    ) -> Result<Option<Self>, BackendError> {
        let parameters = upload(k, reference.parameters);
        let mut drawing = PoolDrawing::new(k, reference.network, plan);
        while !drawing.is_complete(world) {
            if go_on().is_break() {
                return Ok(None);
            }
            drawing.advance(k, world, &parameters).await?;
        }
        Ok(Some(drawing.finish()))
    }

    /// The completions, by held-out prompt, for a scorer that works on a device.
    pub fn completions(&self) -> &[Vec<Sequence>] {
        &self.completions
    }

    /// Every completion's score, laid out like the completions: the world's gold reward, or any other opinion.
    pub fn scores(&self, mut scorer: impl FnMut(&Sequence) -> f64) -> Vec<Vec<f64>> {
        self.completions.iter().map(|of_prompt| of_prompt.iter().map(&mut scorer).collect()).collect()
    }

    /// Every completion's score by the reward model `parameters`, of the sizes of `network`.
    ///
    /// # Errors
    /// As any read of the backend: `DeviceLost` or `Readback`.
    pub async fn judged<K: Kernels>(
        &self,
        k: &mut K,
        network: &Network,
        parameters: &[f32],
    ) -> Result<Vec<Vec<f64>>, BackendError> {
        let parameters = upload(k, parameters);
        let mut judge = Judge::new(k, *network.config(), SequenceSize { batch: PIECE, length: MAX_SEQUENCE });
        let mut scores = Vec::with_capacity(self.completions.len());
        for of_prompt in &self.completions {
            scores.push(judge.scores(k, &parameters, of_prompt).await?);
        }
        Ok(scores)
    }

    /// Draws of the best by `scores`, measured as every policy is: gold reward, and as KL the mean of log(π_N/π_ref) over
    /// the draws (see [`klimb_align::algorithms::ScoreDistribution`]).
    ///
    /// Best-of-N has no distribution token by token: in the samples, the whole log-ratio stands at the last token, in
    /// `kl_per_token` (where a bad draw's is negative) and in `logprobs`.
    ///
    /// # Errors
    /// As any read of the backend: `DeviceLost` or `Readback`.
    ///
    /// # Panics
    /// If the scores are of another pool, or a prompt has too few completions for its draws (see
    /// [`CompletionPool::size`]).
    pub async fn best_of_n<K: Kernels>(
        &self,
        k: &mut K,
        world: &World,
        reference: Reference<'_>,
        scores: &[Vec<f64>],
        draws: BestOfNDraws,
    ) -> Result<Evaluation, BackendError> {
        let BestOfNDraws { n, samples } = draws;
        let distributions: Vec<ScoreDistribution> =
            scores.iter().map(|scores| ScoreDistribution::new(scores)).collect();
        let prompts = self.completions.len();
        assert_eq!(scores.len(), prompts, "best_of_n: scores of another pool");
        let (wanted, least) = (samples.div_ceil(prompts) * n, scores.iter().map(Vec::len).min().unwrap_or(0));
        assert!(least >= wanted, "best_of_n: {least} completions of a prompt, {wanted} wanted");
        let draw = |sample: usize| {
            let (prompt, group) = (sample % prompts, sample / prompts);
            let best = group * n + best_of(&scores[prompt][group * n..(group + 1) * n]);
            (self.completions[prompt][best].clone(), distributions[prompt].log_ratio(scores[prompt][best], n))
        };
        let (sequences, log_ratios): (Vec<Sequence>, Vec<f64>) = (0..samples).map(draw).unzip();

        let parameters = upload(k, reference.parameters);
        let mut scorer =
            Scorer::new(k, reference.network.clone(), SequenceSize { batch: PIECE, length: MAX_SEQUENCE - 1 });
        let comparison = scorer.compare(k, &parameters, &parameters, &sequences).await?;
        let sample = |((sequence, mut tokens), log_ratio): ((Sequence, TokenComparison), f64)| {
            let TokenComparison { logprobs, kl_per_token, .. } = &mut tokens;
            kl_per_token.fill(0.0);
            if let (Some(kl), Some(logprob)) = (kl_per_token.last_mut(), logprobs.last_mut()) {
                *kl = log_ratio;
                *logprob += log_ratio;
            }
            let gold_reward = world.gold_reward(&sequence.tokens);
            Sample { sequence, tokens, gold_reward }
        };
        Ok(Evaluation::new(sequences.into_iter().zip(comparison).zip(log_ratios).map(sample).collect()))
    }
}

/// Best-of-N on held-out prompts, a point for each N: by gold reward, or by the score of a reward model, whose points then
/// have the *gold* reward of what it picked. Answers whether it came to its end.
///
/// # Errors
/// `Backend` if a read fails, `NotFinite` if a number is not finite, `Sink` if the sink refuses a point.
pub async fn run_best_of_n<K: Kernels, S: Sink>(
    k: &mut K,
    world: &World,
    reference: Reference<'_>,
    run: BestOfNRun<'_>,
    sink: &mut S,
) -> Result<bool, SweepError<S::Error>> {
    let BestOfNRun { settings, reward_model, seed } = run;
    let start = sink.seconds();
    let plan = PoolPlan { per_prompt: CompletionPool::size(world, *settings), seed };
    let mut pieces = 0;
    let go_on = || {
        pieces += 1;
        sink.stepped(pieces)
    };
    let Some(pool) = CompletionPool::draw(k, world, reference, plan, go_on).await? else {
        return Ok(false);
    };
    let (method, scores) = match reward_model {
        Some(parameters) => (Method::BestOfNScore, pool.judged(k, reference.network, parameters).await?),
        None => (Method::BestOfN, pool.scores(|sequence| world.gold_reward(&sequence.tokens))),
    };
    if scores.iter().flatten().any(|score| !score.is_finite()) {
        return Err(SweepError::NotFinite { model: "the reward model" });
    }
    let seconds = sink.seconds() - start;
    for n in settings.counts() {
        let evaluation =
            pool.best_of_n(k, world, reference, &scores, BestOfNDraws { n, samples: settings.samples }).await?;
        let setting = Setting::Number(n as f64);
        let point = evaluation.point(PointKey { method, setting, seed, step: 0, seconds });
        let point = SweepPoint { point, evaluation, parameters: None };
        if !point.is_finite() {
            return Err(SweepError::NotFinite { model: "the reference" });
        }
        sink.point(point).map_err(SweepError::Sink)?;
    }
    Ok(true)
}
