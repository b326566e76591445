//! The objectives against numbers from outside, against finite differences, and against what the papers say must hold.
#![cfg(not(target_arch = "wasm32"))]

mod golden;
mod gradients;
mod laws;

use klimb::objectives::{
    DpoLoss, GaeSettings, PPO_POLICY_COLUMNS, PPO_VALUE_COLUMNS, PpoPolicyBatch, PpoValueBatch, bradley_terry, dpo,
    gae, kl_per_sequence, ppo_policy, ppo_value, unlikelihood,
};
use klimb::rng::Generator;

/// What DPO answers, with the columns of its statistics named.
struct DpoAnswer {
    dsequence_logprobs: Vec<f64>,
    losses: Vec<f64>,
    chosen_rewards: Vec<f64>,
    rejected_rewards: Vec<f64>,
    accuracies: Vec<f64>,
    logprobs: Vec<f64>,
}

fn run_dpo(beta: f64, label_smoothing: f64, sequence_logprobs: &[f64], references: &[f64]) -> DpoAnswer {
    run_variant(DpoLoss::Sigmoid, beta, label_smoothing, sequence_logprobs, references)
}

fn run_variant(
    loss: DpoLoss,
    beta: f64,
    label_smoothing: f64,
    sequence_logprobs: &[f64],
    references: &[f64],
) -> DpoAnswer {
    let pairs = sequence_logprobs.len() / 2;
    let (mut dsequence_logprobs, mut statistics) = (vec![f64::NAN; 2 * pairs], vec![f64::NAN; 6 * pairs]);
    dpo(loss, beta, label_smoothing, sequence_logprobs, references, &mut dsequence_logprobs, &mut statistics);
    let column = |index: usize| statistics[index * pairs..(index + 1) * pairs].to_vec();
    DpoAnswer {
        dsequence_logprobs,
        losses: column(0),
        chosen_rewards: column(1),
        rejected_rewards: column(2),
        accuracies: column(3),
        logprobs: statistics[4 * pairs..].to_vec(),
    }
}

/// The statistics by column (losses, accuracies, chosen, rejected) and the gradient of the mean loss.
fn run_unlikelihood(alpha: f64, sequence_logprobs: &[f64]) -> (Vec<Vec<f64>>, Vec<f64>) {
    let pairs = sequence_logprobs.len() / 2;
    let (mut dsequence_logprobs, mut statistics) = (vec![f64::NAN; 2 * pairs], vec![f64::NAN; 4 * pairs]);
    unlikelihood(alpha, sequence_logprobs, &mut dsequence_logprobs, &mut statistics);
    (statistics.chunks_exact(pairs).map(<[f64]>::to_vec).collect(), dsequence_logprobs)
}

/// The losses, the accuracies and the gradient of the mean loss.
fn run_bradley_terry(scores: &[f64]) -> (Vec<f64>, Vec<f64>, Vec<f64>) {
    let (mut dscores, mut statistics) = (vec![f64::NAN; scores.len()], vec![f64::NAN; 2 * scores.len()]);
    bradley_terry(scores, &mut dscores, &mut statistics);
    let pairs = scores.len() / 2;
    assert_eq!(statistics[pairs..3 * pairs], *scores, "the scores are reported as they are");
    (statistics[..pairs].to_vec(), statistics[3 * pairs..].to_vec(), dscores)
}

/// The advantages and the returns.
fn run_gae(
    gamma: f64,
    gae_lambda: f64,
    length: usize,
    rewards: &[f64],
    values: &[f64],
    mask: &[f64],
) -> (Vec<f64>, Vec<f64>) {
    let (mut advantages, mut returns) = (vec![f64::NAN; rewards.len()], vec![f64::NAN; rewards.len()]);
    gae(GaeSettings { gamma, gae_lambda }, length, rewards, values, mask, &mut advantages, &mut returns);
    (advantages, returns)
}

/// k1, k2 and k3 of one completion.
fn run_kl(logprobs: &[f64], reference_logprobs: &[f64]) -> [f64; 3] {
    let mut estimates = [f64::NAN; 3];
    kl_per_sequence(logprobs.len(), logprobs, reference_logprobs, &vec![1.0; logprobs.len()], &mut estimates);
    estimates
}

/// A rollout that owns its numbers.
#[derive(Clone)]
struct Minibatch {
    weights: Vec<f64>,
    logprobs: Vec<f64>,
    old_logprobs: Vec<f64>,
    advantages: Vec<f64>,
    values: Vec<f64>,
    old_values: Vec<f64>,
    returns: Vec<f64>,
    entropies: Vec<f64>,
}

/// What PPO's two losses are told.
#[derive(Clone, Copy)]
struct PpoSettings {
    clip_range: f64,
    value_clip_range: f64,
    value_coefficient: f64,
    entropy_coefficient: f64,
}

/// What PPO's two losses answer together, with the columns of their statistics summed.
struct PpoAnswer {
    dlogprobs: Vec<f64>,
    dvalues: Vec<f64>,
    dentropies: Vec<f64>,
    total: f64,
    /// k1, k2 and k3 of KL(π_old‖π).
    approx_kl: [f64; 3],
    clip_fraction: f64,
    ratio: f64,
    entropy: f64,
    value_clip_fraction: f64,
}

impl Minibatch {
    fn run(&self, settings: PpoSettings) -> PpoAnswer {
        let PpoSettings { clip_range, value_clip_range, value_coefficient, entropy_coefficient } = settings;
        let rows = self.weights.len();
        let [mut dlogprobs, mut dvalues, mut dentropies] = [(); 3].map(|()| vec![f64::NAN; rows]);
        let mut policy = vec![f64::NAN; PPO_POLICY_COLUMNS * rows];
        let mut value = vec![f64::NAN; PPO_VALUE_COLUMNS * rows];
        let batch = PpoPolicyBatch {
            weights: &self.weights,
            logprobs: &self.logprobs,
            entropies: &self.entropies,
            old_logprobs: &self.old_logprobs,
            advantages: &self.advantages,
        };
        ppo_policy(clip_range, entropy_coefficient, batch, &mut dlogprobs, &mut dentropies, &mut policy);
        let batch = PpoValueBatch {
            weights: &self.weights,
            values: &self.values,
            old_values: &self.old_values,
            returns: &self.returns,
        };
        ppo_value(value_clip_range, value_coefficient, batch, &mut dvalues, &mut value);
        let sum = |columns: &[f64], index: usize| columns[index * rows..(index + 1) * rows].iter().sum::<f64>();
        let entropy = sum(&policy, 6);
        PpoAnswer {
            total: sum(&policy, 0) + value_coefficient * sum(&value, 0) - entropy_coefficient * entropy,
            approx_kl: [1, 2, 3].map(|column| sum(&policy, column)),
            clip_fraction: sum(&policy, 4),
            ratio: sum(&policy, 5),
            entropy,
            value_clip_fraction: sum(&value, 1),
            dlogprobs,
            dvalues,
            dentropies,
        }
    }
}

const PPO_SETTINGS: PpoSettings =
    PpoSettings { clip_range: 0.2, value_clip_range: 0.2, value_coefficient: 0.1, entropy_coefficient: 0.01 };

/// `count` normal numbers with this mean and standard deviation.
fn normals(generator: &mut Generator, count: usize, mean: f64, deviation: f64) -> Vec<f64> {
    (0..count).map(|_| mean + deviation * generator.normal()).collect()
}

/// Collects every disagreement, so that one run shows all of them.
#[derive(Default)]
struct Failures(Vec<String>);

impl Failures {
    /// Notes where `found` is further than `tolerance` from `expected`, or is not a number.
    fn compare(&mut self, name: &str, found: &[f64], expected: &[f64], tolerance: f64) {
        assert_eq!(found.len(), expected.len(), "{name}");
        for (index, (found, expected)) in found.iter().zip(expected).enumerate() {
            let error = (found - expected).abs();
            if error.is_nan() || error > tolerance {
                self.0.push(format!("{name}[{index}]: {found} instead of {expected}, off by {error:.2e}"));
            }
        }
    }

    fn report(self) {
        assert!(self.0.is_empty(), "{} disagreements:\n{}", self.0.len(), self.0.join("\n"));
    }
}
