//! Proposals for the closed-form optimum: a ladder of policies, each fitted to the optimum at a lower β.
//!
//! The cross-entropy method (Rubinstein 1999) with adaptive tempering: the samples so far are weighed towards the
//! lowest β that they can carry, and SFT on completions drawn by those weights makes the next policy, which reaches
//! further. Whatever the policies turn out to be, the weights make the estimate right; they only decide how many samples it
//! takes.

use std::ops::ControlFlow;

use serde::{Deserialize, Serialize};

use super::mixture::{Mixture, PIECE, Worth};
use super::{OptimumSample, Tilted, optimum};
use crate::{Reference, limits};
use klimb_align::algorithms::{Sft, SftSettings};
use klimb_align::language::{Adamw, Schedule, Sequence, upload};
use klimb_metrics::OptimumPoint;
use klimb_network::backend::{BackendError, Kernels};
use klimb_numerics::rng::Generator;
use klimb_text::ConfigError;
use klimb_world::MAX_SEQUENCE;

/// From one β tried to the next.
const COOLING: f64 = 0.9;
/// The least β tried, as a share of the range of rewards.
const LEAST_BETA: f64 = 1e-4;
/// KL, in nats, by which two rungs differ that are both drawn from in the end.
const SPACING: f64 = 1.25;
/// How often a rung's samples the reference writes.
const FIRST: usize = 2;
/// Rungs that it mostly takes; for the remaining time alone.
const EXPECTED_RUNGS: usize = 3;
/// Sequences of a step of SFT.
const BATCH: usize = 128;

/// How far the optimum is to be known, and what that may cost.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct OptimumSettings {
    /// Names every draw.
    pub seed: u64,
    /// KL, in nats, to which the curve is wanted.
    pub goal: f64,
    /// Effective samples wanted at every prompt, at every β up to there.
    pub effective: f64,
    /// Completions per prompt that each rung writes for the next to be fitted to; the reference writes twice as many.
    pub rung_samples: usize,
    /// Effective samples, at half of the prompts, below which a rung is not fitted to so low a β.
    pub rung_effective: f64,
    /// Steps of SFT on a rung.
    pub rung_steps: u64,
    /// Most rungs.
    pub most_rungs: usize,
    /// Most completions per prompt and component in the end.
    pub most_samples: usize,
}

impl Default for OptimumSettings {
    fn default() -> Self {
        Self {
            seed: 1,
            goal: 6.0,
            effective: 100.0,
            rung_samples: 512,
            rung_effective: 32.0,
            rung_steps: 100,
            most_rungs: 6,
            most_samples: 16_384,
        }
    }
}

impl OptimumSettings {
    /// The settings, or all that cannot be used.
    ///
    /// # Errors
    /// The setting by name.
    pub fn validated(self) -> Result<Self, ConfigError> {
        ConfigError::all([
            limits::positive("kl", self.goal),
            limits::positive("effective", self.effective),
            limits::positive("rung effective", self.rung_effective),
            limits::count("rung samples", self.rung_samples as u64, limits::MOST_SAMPLES, limits::IN_MEMORY),
            limits::count("samples", self.most_samples as u64, limits::MOST_SAMPLES, limits::IN_MEMORY),
            limits::count("rung steps", self.rung_steps, limits::MOST_STEPS, limits::TOO_LONG),
            limits::count("rungs", self.most_rungs as u64, limits::MOST_DRAWS, limits::TOO_LONG),
        ])?;
        Ok(self)
    }

    /// Settings that prove the plumbing in a second and reach nowhere.
    pub fn smoke() -> Self {
        let least = Self { rung_samples: 16, rung_effective: 2.0, rung_steps: 2, ..Self::default() };
        Self { most_rungs: 1, most_samples: 16, ..least }
    }
}

/// What was drawn.
#[derive(Debug, Clone, PartialEq)]
pub struct OptimumSamples {
    /// By prompt.
    pub samples: Vec<Vec<OptimumSample>>,
    /// The completion of each sample, with its prompt.
    pub sequences: Vec<Vec<Sequence>>,
    /// The optimum that each rung was fitted to, as it was estimated then.
    pub rungs: Vec<OptimumPoint>,
}

/// Samples for the closed-form optimum of the reward that `judge` gives, on `prompts`: builds the ladder, then draws
/// anew from the reference and from rungs far enough apart, for each prompt until its effective samples suffice or the
/// most samples are drawn. `watch` is told how many pieces are done, and about how many there are in all, before each
/// piece and each step of SFT, and may end it; then the answer is `None`.
///
/// # Errors
/// As any read of the backend: `DeviceLost` or `Readback`.
pub async fn sample_optimum<K, J>(
    k: &mut K,
    reference: Reference<'_>,
    prompts: &[Vec<u32>],
    mut judge: J,
    settings: &OptimumSettings,
    mut watch: impl FnMut(usize, usize) -> ControlFlow<()>,
) -> Result<Option<OptimumSamples>, BackendError>
where
    K: Kernels,
    J: AsyncFnMut(&mut K, &[Sequence]) -> Result<Vec<Worth>, BackendError>,
{
    let Reference { network, parameters: reference } = reference;
    let coins = Generator::new(settings.seed, "optimum");
    let reference_parameters = upload(k, reference);
    let mut mixture = Mixture::new(k, network, reference_parameters, prompts, coins);
    let mut resampling = Generator::new(settings.seed, "optimum rungs");
    let everywhere: Vec<usize> = (0..prompts.len()).collect();
    let (mut rungs, mut parameters): (Vec<OptimumPoint>, _) = (Vec::new(), reference.to_vec());
    let (mut done, rung_pieces) = (0, (settings.rung_samples * prompts.len()).div_ceil(PIECE));
    while rungs.last().is_none_or(|rung| rung.kl_per_sequence < settings.goal) && rungs.len() < settings.most_rungs {
        let newest = mixture.components() - 1;
        let pieces = if newest == 0 { FIRST * rung_pieces } else { rung_pieces };
        for _ in 0..pieces {
            if watch(done, 2 * (FIRST + EXPECTED_RUNGS) * rung_pieces).is_break() {
                return Ok(None);
            }
            mixture.draw(k, newest, &everywhere, &mut judge).await?;
            done += 1;
        }
        let samples = mixture.samples();
        let target = next_target(&samples, settings);
        let weights: Vec<Vec<f64>> = samples.iter().map(|samples| cumulative_weights(samples, target.beta)).collect();
        let mut sft = Sft::new(k, network.clone(), &parameters, MAX_SEQUENCE - 1, sft_settings(settings.rung_steps));
        for _ in 0..settings.rung_steps {
            if watch(done, 2 * (FIRST + EXPECTED_RUNGS) * rung_pieces).is_break() {
                return Ok(None);
            }
            let sequence = |i: usize| {
                let prompt = i % prompts.len();
                mixture.sequence(prompt, pick(&weights[prompt], &mut resampling)).clone()
            };
            sft.step(k, &(0..BATCH).map(sequence).collect::<Vec<Sequence>>());
            k.finished().await?;
        }
        parameters = sft.learner().read_parameters(k).await?;
        let proposal = upload(k, &parameters);
        mixture.add(k, proposal).await?;
        rungs.push(target);
    }
    // Fresh draws: those above chose the proposals.
    let kept = spaced(&rungs);
    mixture.restart(|component| component == 0 || kept.contains(&(component - 1)));
    let (mut lacking, mut left) = (everywhere, 0);
    loop {
        for component in 0..mixture.components() {
            if watch(done, done + left).is_break() {
                return Ok(None);
            }
            mixture.draw(k, component, &lacking, &mut judge).await?;
            (done, left) = (done + 1, left.saturating_sub(1));
        }
        let samples = mixture.samples();
        let effective = worst_effective(&samples, settings.goal);
        let most = settings.most_samples * mixture.components();
        lacking.retain(|&prompt| effective[prompt] < settings.effective && mixture.draws(prompt) < most);
        let wanting = |&prompt: &usize| mixture.draws(prompt) as f64 * (settings.effective / effective[prompt] - 1.0);
        left = (lacking.iter().map(wanting).sum::<f64>() / PIECE as f64) as usize;
        if lacking.is_empty() {
            return Ok(Some(OptimumSamples { samples, sequences: mixture.into_sequences(), rungs }));
        }
    }
}

fn sft_settings(steps: u64) -> SftSettings {
    let schedule = Schedule { peak: 1e-3, floor: 1e-4, warm_up: 10.min(steps), steps };
    SftSettings { batch: BATCH, schedule, adamw: Adamw::default() }
}

/// The optimum at one β.
struct OptimumAt {
    beta: f64,
    prompts: Vec<Tilted>,
}

/// The optimum at lower and lower β, until its KL reaches `goal`.
fn cooling(samples: &[Vec<OptimumSample>], goal: f64) -> impl Iterator<Item = OptimumAt> {
    let rewards = || samples.iter().flatten().map(|sample| sample.reward);
    let range = rewards().fold(f64::NEG_INFINITY, f64::max) - rewards().fold(f64::INFINITY, f64::min);
    let mut beta = range.max(f64::MIN_POSITIVE);
    let least = LEAST_BETA * beta;
    let mut is_there = false;
    std::iter::from_fn(move || {
        if is_there || beta < least {
            return None;
        }
        let tilted: Vec<Tilted> = samples.iter().map(|samples| Tilted::new(samples, beta)).collect();
        is_there = tilted.iter().map(|prompt| prompt.kl).sum::<f64>() >= goal * samples.len() as f64;
        let now = beta;
        beta *= COOLING;
        Some(OptimumAt { beta: now, prompts: tilted })
    })
}

/// The lowest β on the way to the goal that half of the prompts carry.
fn next_target(samples: &[Vec<OptimumSample>], settings: &OptimumSettings) -> OptimumPoint {
    let carried = cooling(samples, settings.goal).take_while(|at| {
        let mut effective: Vec<f64> = at.prompts.iter().map(|prompt| prompt.effective_sample_size).collect();
        effective.sort_by(f64::total_cmp);
        effective[effective.len() / 2] >= settings.rung_effective
    });
    let lowest = carried.last().map_or(f64::INFINITY, |at| at.beta);
    optimum(samples, lowest)
}

/// For each prompt the least effective sample size at any β on the way to the goal.
fn worst_effective(samples: &[Vec<OptimumSample>], goal: f64) -> Vec<f64> {
    cooling(samples, goal).fold(vec![f64::INFINITY; samples.len()], |worst, at| {
        worst.iter().zip(&at.prompts).map(|(worst, prompt)| worst.min(prompt.effective_sample_size)).collect()
    })
}

/// The rungs worth keeping: the last, and before it those that lie far enough apart in KL.
fn spaced(rungs: &[OptimumPoint]) -> Vec<usize> {
    let mut kept: Vec<usize> = Vec::new();
    for (index, rung) in rungs.iter().enumerate().rev() {
        let is_far = |&above: &usize| rungs[above].kl_per_sequence - rung.kl_per_sequence >= SPACING;
        if kept.last().is_none_or(is_far) {
            kept.push(index);
        }
    }
    kept
}

/// The weights of a prompt's samples at β, summed up.
fn cumulative_weights(samples: &[OptimumSample], beta: f64) -> Vec<f64> {
    let log = |sample: &OptimumSample| sample.reward / beta + sample.log_weight;
    let high = samples.iter().map(log).fold(f64::NEG_INFINITY, f64::max);
    let mut total = 0.0;
    let mut add = |sample| {
        total += (log(sample) - high).exp();
        total
    };
    samples.iter().map(&mut add).collect()
}

/// An index by weights that were summed up.
fn pick(cumulative: &[f64], generator: &mut Generator) -> usize {
    let drawn = generator.uniform() * cumulative.last().copied().unwrap_or(0.0);
    cumulative.partition_point(|&up_to| up_to <= drawn).min(cumulative.len() - 1)
}
