//! Agreement with PyTorch's autograd in float64 (`tests/data/objectives.json`), to 1e-9 in every number.

use klimb::objectives::PpoSettings;
use serde::Deserialize;

use super::{Failures, Minibatch, run_bradley_terry, run_dpo, run_gae};

const TOLERANCE: f64 = 1e-9;

type Rows = Vec<Vec<f64>>;

#[derive(Deserialize)]
struct Golden {
    dpo: Vec<Dpo>,
    bradley_terry: BradleyTerry,
    gae: Vec<Gae>,
    ppo: Ppo,
}

#[derive(Deserialize)]
struct Dpo {
    beta: f64,
    label_smoothing: f64,
    policy_chosen: Vec<f64>,
    policy_rejected: Vec<f64>,
    reference_chosen: Vec<f64>,
    reference_rejected: Vec<f64>,
    losses: Vec<f64>,
    chosen_rewards: Vec<f64>,
    rejected_rewards: Vec<f64>,
    d_mean_loss_d_policy_chosen: Vec<f64>,
    d_mean_loss_d_policy_rejected: Vec<f64>,
}

#[derive(Deserialize)]
struct BradleyTerry {
    chosen_scores: Vec<f64>,
    rejected_scores: Vec<f64>,
    losses: Vec<f64>,
    d_mean_loss_d_chosen: Vec<f64>,
    d_mean_loss_d_rejected: Vec<f64>,
}

#[derive(Deserialize)]
struct Gae {
    gamma: f64,
    gae_lambda: f64,
    rewards: Rows,
    values: Rows,
    lengths: Vec<usize>,
    advantages: Rows,
    returns: Rows,
}

#[derive(Deserialize)]
struct Ppo {
    clip_range: f64,
    value_clip_range: f64,
    value_coefficient: f64,
    entropy_coefficient: f64,
    lengths: Vec<usize>,
    old_logprobs: Rows,
    logprobs: Rows,
    advantages: Rows,
    old_values: Rows,
    values: Rows,
    returns: Rows,
    entropies: Rows,
    policy_loss: f64,
    value_loss: f64,
    entropy: f64,
    total: f64,
    clip_fraction: f64,
    approx_kl_k3: f64,
    dlogprobs: Rows,
    dvalues: Rows,
    dentropies: Rows,
}

fn golden() -> Golden {
    serde_json::from_str(include_str!("../data/objectives.json")).expect("tests/data/objectives.json is readable")
}

/// 1 for the first `lengths[b]` tokens of each row.
fn mask(lengths: &[usize], length: usize) -> Vec<f64> {
    lengths.iter().flat_map(|&kept| (0..length).map(move |t| if t < kept { 1.0 } else { 0.0 })).collect()
}

#[test]
fn dpo_agrees() {
    let mut failures = Failures::default();
    for case in golden().dpo {
        let name = |column: &str| format!("dpo β={} ε={} {column}", case.beta, case.label_smoothing);
        let sequence_logprobs = [&case.policy_chosen[..], &case.policy_rejected].concat();
        let references = [&case.reference_chosen[..], &case.reference_rejected].concat();
        let answer = run_dpo(case.beta, case.label_smoothing, &sequence_logprobs, &references);
        let gradient = [&case.d_mean_loss_d_policy_chosen[..], &case.d_mean_loss_d_policy_rejected].concat();
        failures.compare(&name("losses"), &answer.losses, &case.losses, TOLERANCE);
        failures.compare(&name("chosen rewards"), &answer.chosen_rewards, &case.chosen_rewards, TOLERANCE);
        failures.compare(&name("rejected rewards"), &answer.rejected_rewards, &case.rejected_rewards, TOLERANCE);
        failures.compare(&name("gradient"), &answer.dsequence_logprobs, &gradient, TOLERANCE);
    }
    failures.report();
}

/// An absolute tolerance says nothing about a loss of 3e-19, which `log(σ(s))` written naively makes 0.
#[test]
fn a_tiny_dpo_loss_keeps_its_digits() {
    let golden = golden().dpo;
    let case = golden.iter().find(|case| case.beta == 5.0).expect("the data has β = 5");
    let sequence_logprobs = [&case.policy_chosen[..], &case.policy_rejected].concat();
    let references = [&case.reference_chosen[..], &case.reference_rejected].concat();
    let answer = run_dpo(case.beta, case.label_smoothing, &sequence_logprobs, &references);
    for (found, expected) in answer.losses.iter().zip(&case.losses) {
        assert!((found / expected - 1.0).abs() < TOLERANCE, "{found} instead of {expected}");
    }
}

#[test]
fn bradley_terry_agrees() {
    let case = golden().bradley_terry;
    let (losses, _, dscores) = run_bradley_terry(&[&case.chosen_scores[..], &case.rejected_scores].concat());
    let gradient = [case.d_mean_loss_d_chosen, case.d_mean_loss_d_rejected].concat();
    let mut failures = Failures::default();
    failures.compare("bradley_terry losses", &losses, &case.losses, TOLERANCE);
    failures.compare("bradley_terry gradient", &dscores, &gradient, TOLERANCE);
    failures.report();
}

#[test]
fn gae_agrees() {
    let mut failures = Failures::default();
    for case in golden().gae {
        let length = case.rewards[0].len();
        let (rewards, values) = (case.rewards.concat(), case.values.concat());
        let mask = mask(&case.lengths, length);
        let (advantages, returns) = run_gae(case.gamma, case.gae_lambda, length, &rewards, &values, &mask);
        let name = |column: &str| format!("gae γ={} λ={} {column}", case.gamma, case.gae_lambda);
        failures.compare(&name("advantages"), &advantages, &case.advantages.concat(), TOLERANCE);
        failures.compare(&name("returns"), &returns, &case.returns.concat(), TOLERANCE);
    }
    failures.report();
}

#[test]
fn ppo_agrees() {
    let case = golden().ppo;
    let kept = case.lengths.iter().sum::<usize>() as f64;
    let minibatch = Minibatch {
        weights: mask(&case.lengths, case.logprobs[0].len()).iter().map(|keep| keep / kept).collect(),
        logprobs: case.logprobs.concat(),
        old_logprobs: case.old_logprobs.concat(),
        advantages: case.advantages.concat(),
        values: case.values.concat(),
        old_values: case.old_values.concat(),
        returns: case.returns.concat(),
        entropies: case.entropies.concat(),
    };
    let answer = minibatch.run(PpoSettings {
        clip_range: case.clip_range,
        value_clip_range: case.value_clip_range,
        value_coefficient: case.value_coefficient,
        entropy_coefficient: case.entropy_coefficient,
    });
    let mut failures = Failures::default();
    for (name, found, expected) in [
        ("policy loss", answer.policy_loss, case.policy_loss),
        ("value loss", answer.value_loss, case.value_loss),
        ("entropy", answer.entropy, case.entropy),
        ("total", answer.total, case.total),
        ("clip fraction", answer.clip_fraction, case.clip_fraction),
        ("approximate KL", answer.approx_kl, case.approx_kl_k3),
    ] {
        failures.compare(&format!("ppo {name}"), &[found], &[expected], TOLERANCE);
    }
    failures.compare("ppo dlogprobs", &answer.dlogprobs, &case.dlogprobs.concat(), TOLERANCE);
    failures.compare("ppo dvalues", &answer.dvalues, &case.dvalues.concat(), TOLERANCE);
    failures.compare("ppo dentropies", &answer.dentropies, &case.dentropies.concat(), TOLERANCE);
    failures.report();
}
