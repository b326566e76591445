//! The closed-form optimum: how much gold reward any policy can have at a given KL.
//!
//! max E[r*] − β·KL(π‖π_ref) is solved by π = π_ref·exp(r*/β)/Z (Rafailov et al. 2023, equation 4). Self-normalised
//! importance weights on samples of the reference, prompt by prompt, give its mean reward, Z, and its KL,
//! E*[r*]/β − log Z, without training anything.

use crate::metrics::OptimumPoint;

/// How many β the curve is computed at: over the slider's range, 0.01 to 5, evenly in the logarithm.
pub const BETA_GRID: usize = 64;

/// A completion drawn for a prompt.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct OptimumSample {
    /// Its gold reward.
    pub gold_reward: f64,
    /// log π_ref − log q for the proposal q it was drawn from; 0 for the reference itself.
    pub log_weight: f64,
}

/// The optimum at one β, from samples grouped by prompt. `temperature` is the labels' τ, r* = gold/τ up to a constant
/// that cancels; noise-free labels (0) count as 0.1, so that one β means one leash.
pub fn optimum(samples: &[Vec<OptimumSample>], temperature: f64, beta: f64) -> OptimumPoint {
    let scale = if temperature > 0.0 { 1.0 / temperature } else { 10.0 };
    let mut point = OptimumPoint { beta, kl_per_sequence: 0.0, gold_reward: 0.0, effective_sample_size: f64::INFINITY };
    let prompts = samples.iter().filter(|prompt| !prompt.is_empty());
    let share = 1.0 / prompts.clone().count().max(1) as f64;
    for prompt in prompts {
        let tilt = |sample: &OptimumSample| sample.gold_reward * scale / beta;
        let high = prompt.iter().map(|sample| tilt(sample) + sample.log_weight).fold(f64::NEG_INFINITY, f64::max);
        let (mut total, mut squares, mut rewards, mut references) = (0.0, 0.0, 0.0, 0.0);
        for sample in prompt {
            let weight = (tilt(sample) + sample.log_weight - high).exp();
            total += weight;
            squares += weight * weight;
            rewards += weight * sample.gold_reward;
            references += sample.log_weight.exp();
        }
        let gold_reward = rewards / total;
        // log Z = log Σ w·exp(r*/β) − log Σ w, with w the weights that make the proposals the reference
        let log_normaliser = high + total.ln() - references.ln();
        point.gold_reward += share * gold_reward;
        point.kl_per_sequence += share * (gold_reward * scale / beta - log_normaliser).max(0.0);
        point.effective_sample_size = point.effective_sample_size.min(total * total / squares);
    }
    point
}

/// [`optimum`] over the slider's range, by rising β.
pub fn optimum_curve(samples: &[Vec<OptimumSample>], temperature: f64) -> Vec<OptimumPoint> {
    let (low, high) = (0.01f64.ln(), 5.0f64.ln());
    let beta = |i: usize| (low + (high - low) * i as f64 / (BETA_GRID - 1) as f64).exp();
    (0..BETA_GRID).map(|i| optimum(samples, temperature, beta(i))).collect()
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
        let sample = |gold_reward| OptimumSample { gold_reward, log_weight: 0.0 };
        let prompt: Vec<_> = (0..1000).map(|i| sample(if i < 250 { 1.0 } else { 0.0 })).collect();
        for beta in [0.5, 2.0, 5.0, 20.0] {
            let point = optimum(&[prompt.clone(), prompt.clone()], 0.1, beta);
            let (reward, kl) = exact(0.25, beta);
            assert!((point.gold_reward - reward).abs() < 1e-9, "β {beta}: {point:?} instead of {reward}");
            assert!((point.kl_per_sequence - kl).abs() < 1e-9, "β {beta}: {point:?} instead of {kl}");
        }
    }

    #[test]
    fn proposals_with_their_weights_give_the_same_optimum() {
        // Drawn half and half instead of one in four: π_ref/q is 1/2 for the good and 3/2 for the bad.
        let good = OptimumSample { gold_reward: 1.0, log_weight: 0.5f64.ln() };
        let bad = OptimumSample { gold_reward: 0.0, log_weight: 1.5f64.ln() };
        let prompt: Vec<_> = (0..1000).map(|i| if i % 2 == 0 { good } else { bad }).collect();
        let point = optimum(&[prompt], 0.1, 3.0);
        let (reward, kl) = exact(0.25, 3.0);
        assert!((point.gold_reward - reward).abs() < 1e-9 && (point.kl_per_sequence - kl).abs() < 1e-9, "{point:?}");
    }

    #[test]
    fn a_longer_leash_never_earns_less() {
        let prompt: Vec<_> =
            (0..400).map(|i| OptimumSample { gold_reward: f64::from(i) / 400.0, log_weight: 0.0 }).collect();
        let curve = optimum_curve(&[prompt], 0.0);
        assert_eq!(curve.len(), BETA_GRID);
        for pair in curve.windows(2) {
            assert!(pair[0].gold_reward >= pair[1].gold_reward && pair[0].kl_per_sequence >= pair[1].kl_per_sequence);
        }
        assert!(curve.iter().all(|point| point.effective_sample_size >= 1.0 - 1e-9));
    }
}
