//! The closed-form optimum: how much gold reward any policy can have at a given KL.
//!
//! max E[r] − β·KL(π‖π_ref) is solved by π = π_ref·exp(r/β)/Z (Rafailov et al. 2023, equation 4). Self-normalised
//! importance weights, prompt by prompt, give its mean reward, Z, and its KL, E*[r]/β − log Z. Samples of the reference
//! alone carry that to a KL of about 2; samples of policies fitted for the purpose carry it further ([`sample_optimum`]).
//! What was computed so for the shipped reference is kept ([`RecordedOptimum`]). Any reward of a sequence can be put in the
//! place of r: with a reward model's score it is what PPO on that reward model aims at ([`learned_optimum`]).

mod ladder;
mod learned;
mod mixture;
mod recorded;

pub use ladder::{OptimumSamples, OptimumSettings, sample_optimum};
pub use learned::{LearnedReward, learned_optimum};
pub use mixture::Worth;
pub use recorded::{RecordedOptimum, RecordedOptimumError};

use klimb_metrics::OptimumPoint;

/// How many β the curve is computed at: over the slider's range, 0.01 to 5, evenly in the logarithm.
pub const BETA_GRID: usize = 64;

/// A completion drawn for a prompt.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct OptimumSample {
    /// Its gold reward.
    pub gold_reward: f64,
    /// r, in the unit of β.
    pub reward: f64,
    /// log π_ref − log q for the proposal q it was drawn from; 0 for the reference itself.
    pub log_weight: f64,
}

impl OptimumSample {
    /// A completion that the reference itself wrote.
    pub fn of_reference(worth: Worth) -> Self {
        Self { gold_reward: worth.gold_reward, reward: worth.reward, log_weight: 0.0 }
    }
}

/// The optimum of one prompt, with its uncertainty.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Tilted {
    gold_reward: f64,
    reward: f64,
    kl: f64,
    effective_sample_size: f64,
    /// Squared standard errors of both, by the delta method.
    gold_variance: f64,
    kl_variance: f64,
}

impl Tilted {
    /// From samples, at least one.
    fn new(samples: &[OptimumSample], beta: f64) -> Self {
        let log = |sample: &OptimumSample| sample.reward / beta + sample.log_weight;
        let high = samples.iter().map(log).fold(f64::NEG_INFINITY, f64::max);
        let weight = |sample: &OptimumSample| (log(sample) - high).exp();
        let sum = |number: &dyn Fn(&OptimumSample) -> f64| samples.iter().map(number).sum::<f64>();
        let total = sum(&weight);
        let references = sum(&|sample| sample.log_weight.exp());
        let gold_reward = sum(&|sample| weight(sample) * sample.gold_reward) / total;
        let reward = sum(&|sample| weight(sample) * sample.reward) / total;
        // log Z = log Σ w·exp(r/β) − log Σ w, with w the weights that make the proposals the reference
        let kl = reward / beta - (high + total.ln() - references.ln());
        // What each sample adds to the error: the derivative of the estimate by the sample's share.
        let square = |x: f64| x * x;
        let gold_variance = sum(&|sample| square(weight(sample) / total * (sample.gold_reward - gold_reward)));
        let kl_variance = sum(&|sample| {
            let (share, reference) = (weight(sample) / total, sample.log_weight.exp() / references);
            square(share * ((sample.reward - reward) / beta - 1.0) + reference)
        });
        let effective_sample_size = total * total / sum(&|sample| square(weight(sample)));
        Self { gold_reward, reward, kl: kl.max(0.0), effective_sample_size, gold_variance, kl_variance }
    }
}

/// The optimum at one β, from samples grouped by prompt.
pub fn optimum(samples: &[Vec<OptimumSample>], beta: f64) -> OptimumPoint {
    optimum_with_errors(samples, beta).0
}

/// [`optimum`], and the standard errors of its KL and of its gold reward. They are too small where fewer than some
/// thirty samples are effective.
pub fn optimum_with_errors(samples: &[Vec<OptimumSample>], beta: f64) -> (OptimumPoint, [f64; 2]) {
    let prompts = tilted(samples, beta);
    let share = 1.0 / prompts.len().max(1) as f64;
    let error = |variance: fn(&Tilted) -> f64| share * prompts.iter().map(variance).sum::<f64>().sqrt();
    (point_of(&prompts, beta), [error(|prompt| prompt.kl_variance), error(|prompt| prompt.gold_variance)])
}

/// The optimum of each prompt that has samples.
fn tilted(samples: &[Vec<OptimumSample>], beta: f64) -> Vec<Tilted> {
    samples.iter().filter(|prompt| !prompt.is_empty()).map(|prompt| Tilted::new(prompt, beta)).collect()
}

/// Mean over prompts.
fn mean_over(prompts: &[Tilted], number: fn(&Tilted) -> f64) -> f64 {
    prompts.iter().map(number).sum::<f64>() / prompts.len().max(1) as f64
}

fn point_of(prompts: &[Tilted], beta: f64) -> OptimumPoint {
    OptimumPoint {
        beta,
        kl_per_sequence: mean_over(prompts, |prompt| prompt.kl),
        gold_reward: mean_over(prompts, |prompt| prompt.gold_reward),
        effective_sample_size: prompts.iter().map(|prompt| prompt.effective_sample_size).fold(f64::INFINITY, f64::min),
    }
}

/// [`optimum`] over the slider's range, by rising β.
pub fn optimum_curve(samples: &[Vec<OptimumSample>]) -> Vec<OptimumPoint> {
    (0..BETA_GRID).map(|step| optimum(samples, beta_at(step as f64))).collect()
}

/// The most gold reward at a KL, between the neighbours of a `curve` by monotone β. `None` beyond its ends.
pub fn optimal_reward(curve: &[OptimumPoint], kl: f64) -> Option<f64> {
    let between = |ends: &[OptimumPoint]| {
        let (near, far) = if ends[0].kl_per_sequence <= ends[1].kl_per_sequence { (0, 1) } else { (1, 0) };
        let (near, far) = (ends[near], ends[far]);
        let span = far.kl_per_sequence - near.kl_per_sequence;
        let share = if span > 0.0 { (kl - near.kl_per_sequence) / span } else { 0.0 };
        let is_between = (near.kl_per_sequence..=far.kl_per_sequence).contains(&kl);
        is_between.then_some(near.gold_reward + share * (far.gold_reward - near.gold_reward))
    };
    curve.windows(2).find_map(between)
}

/// β at a step of the grid.
fn beta_at(step: f64) -> f64 {
    0.01 * 500f64.powf(step / (BETA_GRID - 1) as f64)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Two completions, gold 0 and 1, with probability 1 − p and p under the reference: everything is known exactly.
    fn exact(p: f64, beta: f64) -> (f64, f64) {
        let (low, high) = (1.0 - p, p * (10.0 / beta).exp());
        let tilted = high / (low + high);
        let kl = tilted * (tilted / p).ln() + (1.0 - tilted) * ((1.0 - tilted) / (1.0 - p)).ln();
        (tilted, kl)
    }

    #[test]
    fn a_world_of_two_completions_has_its_known_optimum() {
        let sample = |gold_reward| OptimumSample::of_reference(Worth::of_gold(gold_reward, 0.1));
        let prompt: Vec<_> = (0..1000).map(|i| sample(if i < 250 { 1.0 } else { 0.0 })).collect();
        for beta in [0.5, 2.0, 5.0, 20.0] {
            let point = optimum(&[prompt.clone(), prompt.clone()], beta);
            let (reward, kl) = exact(0.25, beta);
            assert!((point.gold_reward - reward).abs() < 1e-9, "β {beta}: {point:?} instead of {reward}");
            assert!((point.kl_per_sequence - kl).abs() < 1e-9, "β {beta}: {point:?} instead of {kl}");
        }
    }

    #[test]
    fn proposals_with_their_weights_give_the_same_optimum() {
        // Drawn half and half instead of one in four: π_ref/q is 1/2 for the good and 3/2 for the bad.
        let good = OptimumSample { gold_reward: 1.0, reward: 10.0, log_weight: 0.5f64.ln() };
        let bad = OptimumSample { gold_reward: 0.0, reward: 0.0, log_weight: 1.5f64.ln() };
        let prompt: Vec<_> = (0..1000).map(|i| if i % 2 == 0 { good } else { bad }).collect();
        let point = optimum(&[prompt], 3.0);
        let (reward, kl) = exact(0.25, 3.0);
        assert!((point.gold_reward - reward).abs() < 1e-9 && (point.kl_per_sequence - kl).abs() < 1e-9, "{point:?}");
    }

    #[test]
    fn the_most_reward_at_a_kl_lies_between_the_curve_s_points() {
        let point = |kl_per_sequence, gold_reward| OptimumPoint {
            beta: 1.0,
            kl_per_sequence,
            gold_reward,
            effective_sample_size: 1.0,
        };
        let curve = [point(4.0, 0.9), point(2.0, 0.8), point(0.0, 0.5)];
        let close = |kl, reward: f64| (optimal_reward(&curve, kl).unwrap() - reward).abs() < 1e-12;
        assert!(close(3.0, 0.85) && close(1.0, 0.65) && close(4.0, 0.9) && close(0.0, 0.5));
        assert_eq!(optimal_reward(&curve, 4.1), None);
    }

    #[test]
    fn a_longer_leash_never_earns_less() {
        let prompt: Vec<_> =
            (0..400).map(|i| OptimumSample::of_reference(Worth::of_gold(f64::from(i) / 400.0, 0.0))).collect();
        let curve = optimum_curve(&[prompt]);
        assert_eq!(curve.len(), BETA_GRID);
        for pair in curve.windows(2) {
            assert!(pair[0].gold_reward >= pair[1].gold_reward && pair[0].kl_per_sequence >= pair[1].kl_per_sequence);
        }
        assert!(curve.iter().all(|point| point.effective_sample_size >= 1.0 - 1e-9));
    }
}
