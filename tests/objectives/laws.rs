//! What the papers say must hold, whatever the numbers.

use std::f64::consts::LN_2;

use klimb::objectives::{
    adapted_kl_coefficient, k1, k2, k3, kl_per_sequence, preference_probability, sft, sigmoid, whiten,
};
use klimb::rng::Generator;

use super::{Failures, Minibatch, PPO_SETTINGS, PpoSettings, normals, run_bradley_terry, run_dpo, run_gae, run_kl};

const TOLERANCE: f64 = 1e-12;
const PAIRS: usize = 6;

/// The policy's and the reference's log-probabilities of six pairs, chosen then rejected.
fn pairs() -> (Vec<f64>, Vec<f64>) {
    let generator = &mut Generator::new(3, "pairs");
    (normals(generator, 2 * PAIRS, -20.0, 3.0), normals(generator, 2 * PAIRS, -20.0, 3.0))
}

/// The rejected, then the chosen.
fn swapped(values: &[f64]) -> Vec<f64> {
    [&values[PAIRS..], &values[..PAIRS]].concat()
}

#[test]
fn dpo_starts_at_ln_2_with_the_weight_one_half() {
    let (sequence_logprobs, _) = pairs();
    let answer = run_dpo(0.3, 0.0, &sequence_logprobs, &sequence_logprobs);
    let mut failures = Failures::default();
    failures.compare("losses", &answer.losses, &[LN_2; PAIRS], TOLERANCE);
    failures.compare("gradient", &answer.dsequence_logprobs[..PAIRS], &[-0.3 / 2.0 / PAIRS as f64; PAIRS], TOLERANCE);
    failures.compare("accuracies", &answer.accuracies, &[0.0; PAIRS], 0.0);
    failures.compare("logprobs", &answer.logprobs, &sequence_logprobs, 0.0);
    failures.report();
}

/// Z(x) cancels: what is added to both completions of a prompt changes nothing (Rafailov et al. 2023, section 4).
#[test]
fn dpo_and_bradley_terry_see_differences_only() {
    let (sequence_logprobs, references) = pairs();
    let shifted: Vec<f64> = sequence_logprobs.iter().enumerate().map(|(i, x)| x + (i % PAIRS) as f64).collect();
    let (before, after) =
        (run_dpo(0.3, 0.1, &sequence_logprobs, &references), run_dpo(0.3, 0.1, &shifted, &references));
    let mut failures = Failures::default();
    failures.compare("dpo losses", &after.losses, &before.losses, TOLERANCE);
    failures.compare("dpo gradient", &after.dsequence_logprobs, &before.dsequence_logprobs, TOLERANCE);
    let (before, after) = (run_bradley_terry(&sequence_logprobs), run_bradley_terry(&shifted));
    failures.compare("bradley_terry losses", &after.0, &before.0, TOLERANCE);
    failures.compare("bradley_terry gradient", &after.2, &before.2, TOLERANCE);
    failures.report();
}

/// Labels that are right half of the time say nothing: swapping the pairs leaves the loss and turns the gradient over.
#[test]
fn dpo_with_labels_of_a_coin_does_not_know_which_is_chosen() {
    let (sequence_logprobs, references) = pairs();
    let answer = run_dpo(0.3, 0.5, &sequence_logprobs, &references);
    let swapped_answer = run_dpo(0.3, 0.5, &swapped(&sequence_logprobs), &swapped(&references));
    let mut failures = Failures::default();
    failures.compare("losses", &swapped_answer.losses, &answer.losses, TOLERANCE);
    failures.compare("gradient", &swapped(&swapped_answer.dsequence_logprobs), &answer.dsequence_logprobs, TOLERANCE);
    failures.report();
}

/// The gradient of equation 7 as the paper's section 4 prints it: β·σ(r̂_l − r̂_w), up for y_w and down for y_l.
#[test]
fn dpo_weighs_a_pair_by_how_wrongly_it_is_ordered() {
    let (sequence_logprobs, references) = pairs();
    let answer = run_dpo(0.3, 0.0, &sequence_logprobs, &references);
    let expected: Vec<f64> = answer
        .chosen_rewards
        .iter()
        .zip(&answer.rejected_rewards)
        .map(|(chosen, rejected)| -0.3 * sigmoid(rejected - chosen) / PAIRS as f64)
        .collect();
    let mut failures = Failures::default();
    failures.compare("chosen", &answer.dsequence_logprobs[..PAIRS], &expected, TOLERANCE);
    let negated: Vec<f64> = answer.dsequence_logprobs[PAIRS..].iter().map(|d| -d).collect();
    failures.compare("rejected", &negated, &expected, TOLERANCE);
    failures.report();
}

#[test]
fn dpo_is_the_reward_model_s_loss_on_implicit_rewards() {
    let (sequence_logprobs, references) = pairs();
    let answer = run_dpo(0.3, 0.0, &sequence_logprobs, &references);
    let rewards = [&answer.chosen_rewards[..], &answer.rejected_rewards].concat();
    let (losses, accuracies, _) = run_bradley_terry(&rewards);
    let mut failures = Failures::default();
    failures.compare("losses", &answer.losses, &losses, TOLERANCE);
    failures.compare("accuracies", &answer.accuracies, &accuracies, 0.0);
    failures.report();
    assert!(accuracies.contains(&1.0) && accuracies.contains(&0.0), "{accuracies:?}");
}

#[test]
fn dpo_stays_finite_and_exact_a_thousand_nats_away() {
    for margin in [1e3, -1e3] {
        let answer = run_dpo(1.0, 0.1, &[margin, 0.0], &[0.0, 0.0]);
        let loss = if margin > 0.0 { 100.0 } else { 900.0 };
        assert!((answer.losses[0] - loss).abs() < 1e-9, "{}", answer.losses[0]);
        let gradient = if margin > 0.0 { 0.1 } else { -0.9 };
        assert!((answer.dsequence_logprobs[0] - gradient).abs() < 1e-9, "{:?}", answer.dsequence_logprobs);
    }
}

/// At first a coin's loss and weight; and whatever one score gains the other loses.
#[test]
fn bradley_terry_starts_at_ln_2_and_pulls_both_ways_alike() {
    let mut failures = Failures::default();
    let (losses, accuracies, dscores) = run_bradley_terry(&[0.7; 2 * PAIRS]);
    failures.compare("losses", &losses, &[LN_2; PAIRS], TOLERANCE);
    failures.compare("accuracies", &accuracies, &[0.0; PAIRS], 0.0);
    failures.compare("gradient", &dscores[..PAIRS], &[-0.5 / PAIRS as f64; PAIRS], TOLERANCE);
    let (scores, _) = pairs();
    let (_, _, dscores) = run_bradley_terry(&scores);
    let sums: Vec<f64> = (0..PAIRS).map(|pair| dscores[pair] + dscores[PAIRS + pair]).collect();
    failures.compare("sums of a pair's gradient", &sums, &[0.0; PAIRS], TOLERANCE);
    failures.report();
}

#[test]
fn preferences_sum_to_1_and_grow_with_the_reward() {
    for (first, second) in [(0.0, 0.0), (1.3, -0.4), (-40.0, 2.0), (700.0, -700.0)] {
        let sum: f64 = preference_probability(first, second) + preference_probability(second, first);
        assert!((sum - 1.0).abs() < TOLERANCE, "{first} {second}: {sum}");
    }
    assert!(preference_probability(1.0, 0.0) > preference_probability(0.5, 0.0));
}

#[test]
fn sft_with_equal_weights_is_the_mean_surprise_of_what_counts() {
    let (mut dlogprobs, mut statistics) = ([f64::NAN; 4], [f64::NAN; 4]);
    sft(&[-1.0, -5.0, -2.0, -3.0], &[0.5, 0.0, 0.5, 0.0], &mut dlogprobs, &mut statistics);
    assert_eq!(statistics.iter().sum::<f64>(), 1.5);
    assert_eq!(dlogprobs, [-0.5, 0.0, -0.5, 0.0]);
}

/// Rewards, values and a mask of three rows of six: one full, one behind a prompt and with padding, one of one token.
fn episodes() -> (Vec<f64>, Vec<f64>, Vec<f64>) {
    let generator = &mut Generator::new(5, "episodes");
    let mask = [[1.0; 6], [0.0, 0.0, 1.0, 1.0, 1.0, 0.0], [0.0, 0.0, 0.0, 0.0, 0.0, 1.0]].concat();
    (normals(generator, 18, 0.0, 1.0), normals(generator, 18, 0.0, 1.0), mask)
}

/// Two derivations of one number: the backward recursion, and equation 16's sum of discounted TD errors written out.
/// λ = 1 then telescopes to the discounted rewards to come, and λ = 0 leaves the TD error alone.
#[test]
fn gae_is_the_sum_of_discounted_td_errors() {
    let (rewards, values, mask) = episodes();
    let mut failures = Failures::default();
    let last = [5, 4, 5];
    let value_behind = |t: usize| if t % 6 == last[t / 6] { 0.0 } else { values[t + 1] };
    for (gamma, gae_lambda) in [(1.0, 0.95), (0.9, 0.5), (0.9, 1.0), (0.9, 0.0)] {
        let (advantages, returns) = run_gae(gamma, gae_lambda, 6, &rewards, &values, &mask);
        for t in (0..18).filter(|&t| mask[t] == 1.0) {
            let to_come = t..=t / 6 * 6 + last[t / 6];
            let discount = |rate: f64, later: usize| rate.powi((later - t) as i32);
            let td_error = |t: usize| rewards[t] + gamma * value_behind(t) - values[t];
            let name = |law: &str| format!("γ={gamma} λ={gae_lambda} token {t}: {law}");
            let sum: f64 = to_come.clone().map(|later| discount(gamma * gae_lambda, later) * td_error(later)).sum();
            failures.compare(&name("equation 16"), &[advantages[t]], &[sum], TOLERANCE);
            failures.compare(&name("return"), &[returns[t]], &[advantages[t] + values[t]], TOLERANCE);
            if gae_lambda == 1.0 {
                let monte_carlo: f64 = to_come.map(|later| discount(gamma, later) * rewards[later]).sum();
                failures.compare(&name("Monte-Carlo return"), &[returns[t]], &[monte_carlo], TOLERANCE);
            }
            if gae_lambda == 0.0 {
                failures.compare(&name("TD error"), &[advantages[t]], &[td_error(t)], TOLERANCE);
            }
        }
    }
    failures.report();
}

#[test]
fn gae_reads_and_writes_nothing_outside_the_completions() {
    let (rewards, values, mask) = episodes();
    let poison =
        |x: &[f64]| -> Vec<f64> { x.iter().zip(&mask).map(|(x, m)| if *m == 0.0 { 1e9 } else { *x }).collect() };
    let clean = run_gae(1.0, 0.95, 6, &rewards, &values, &mask);
    assert_eq!(run_gae(1.0, 0.95, 6, &poison(&rewards), &poison(&values), &mask), clean);
    assert!((0..18).filter(|&t| mask[t] == 0.0).all(|t| (clean.0[t], clean.1[t]) == (0.0, 0.0)));
}

/// One token whose ratio, value and so on are given, everything else neutral.
fn token(ratio: f64, advantage: f64, value: f64, target: f64) -> Minibatch {
    Minibatch {
        weights: vec![1.0],
        logprobs: vec![-2.0 + f64::ln(ratio)],
        old_logprobs: vec![-2.0],
        advantages: vec![advantage],
        values: vec![value],
        old_values: vec![0.0],
        returns: vec![target],
        entropies: vec![1.0],
    }
}

/// Equation 7's figure 1: a token is held only where moving further would gain; where it lost, it is pulled back.
#[test]
fn ppo_stops_pulling_only_where_it_has_gained_enough() {
    let gradient = |ratio, advantage| token(ratio, advantage, 0.0, 0.0).run(PPO_SETTINGS).dlogprobs[0];
    assert_eq!(gradient(1.3, 1.0), 0.0);
    assert_eq!(gradient(0.7, -1.0), 0.0);
    assert!((gradient(1.3, -1.0) - 1.3).abs() < TOLERANCE);
    assert!((gradient(0.7, 1.0) + 0.7).abs() < TOLERANCE);
    assert!((gradient(1.1, 1.0) + 1.1).abs() < TOLERANCE);
}

/// At the first minibatch of a rollout, ρ = 1: PPO is then the policy gradient with a baseline (Williams 1992).
#[test]
fn ppo_begins_as_the_policy_gradient() {
    let advantages = normals(&mut Generator::new(8, "advantages"), 5, 0.0, 1.0);
    let rows = vec![0.0; 5];
    let minibatch = Minibatch {
        weights: vec![0.2; 5],
        logprobs: vec![-1.5; 5],
        old_logprobs: vec![-1.5; 5],
        advantages: advantages.clone(),
        values: rows.clone(),
        old_values: rows.clone(),
        returns: rows.clone(),
        entropies: rows,
    };
    let answer = minibatch.run(PPO_SETTINGS);
    let expected: Vec<f64> = advantages.iter().map(|advantage| -advantage / 5.0).collect();
    let mut failures = Failures::default();
    failures.compare("dlogprobs", &answer.dlogprobs, &expected, TOLERANCE);
    failures.compare("k1, k2, k3", &answer.approx_kl, &[0.0; 3], 0.0);
    failures.compare("clip fraction, ratio", &[answer.clip_fraction, answer.ratio], &[0.0, 1.0], TOLERANCE);
    failures.report();
}

/// Nothing better or worse than expected, nothing to learn: whatever the ratios, and with no bonus, no gradient.
#[test]
fn ppo_without_advantage_leaves_the_policy_alone() {
    for ratio in [0.5, 1.0, 1.1, 3.0] {
        let free = PpoSettings { entropy_coefficient: 0.0, ..PPO_SETTINGS };
        let answer = token(ratio, 0.0, 0.3, 0.5).run(free);
        assert_eq!((answer.dlogprobs[0], answer.dentropies[0]), (0.0, 0.0), "ratio {ratio}");
        assert_eq!(
            answer.dvalues[0] == 0.0,
            answer.value_clip_fraction == 1.0,
            "the value learns where no clip holds it"
        );
    }
}

/// The estimators of how far the policy went since the rollout are those of the tokens' log-ratios.
#[test]
fn ppo_s_approximate_kl_is_the_estimators_mean() {
    let mut minibatch = token(1.3, 1.0, 0.0, 0.0);
    let answer = minibatch.run(PPO_SETTINGS);
    let log_ratio = 1.3_f64.ln();
    let mut failures = Failures::default();
    failures.compare("one token", &answer.approx_kl, &[k1(log_ratio), k2(log_ratio), k3(log_ratio)], TOLERANCE);
    failures.compare("ratio, clip fraction", &[answer.ratio, answer.clip_fraction], &[1.3, 1.0], TOLERANCE);
    minibatch.weights = vec![0.25];
    failures.compare(
        "a quarter of it",
        &minibatch.run(PPO_SETTINGS).approx_kl,
        &answer.approx_kl.map(|k| k / 4.0),
        TOLERANCE,
    );
    failures.report();
}

#[test]
fn whitened_numbers_have_mean_0_and_variance_1_over_what_counts() {
    let mask: Vec<f64> = (0..40).map(|i| if i % 4 == 0 { 0.0 } else { 1.0 }).collect();
    let values = normals(&mut Generator::new(9, "whitening"), 40, 3.0, 5.0);
    let moments = |values: &[f64]| {
        let kept: Vec<f64> = values.iter().zip(&mask).filter(|(_, m)| **m == 1.0).map(|(x, _)| *x).collect();
        let mean = kept.iter().sum::<f64>() / 30.0;
        (mean, kept.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / 30.0)
    };
    let (mean, variance) = moments(&values);
    let (mut shifted, mut scaled) = (values.clone(), values.clone());
    whiten(&mut shifted, &mask, true);
    whiten(&mut scaled, &mask, false);
    let ((shifted_mean, shifted_variance), (scaled_mean, scaled_variance)) = (moments(&shifted), moments(&scaled));
    let mut failures = Failures::default();
    failures.compare("means", &[shifted_mean, scaled_mean], &[0.0, mean / variance.sqrt()], 1e-8);
    failures.compare("variances", &[shifted_variance, scaled_variance], &[1.0, 1.0], 1e-8);
    failures.report();
    assert!((0..40).step_by(4).all(|i| (shifted[i], scaled[i]) == (0.0, 0.0)));

    let (mut equal, mut none) = (vec![2.0; 3], vec![f64::NAN; 3]);
    whiten(&mut equal, &[1.0; 3], true);
    whiten(&mut none, &[0.0; 3], true);
    assert_eq!((equal, none), (vec![0.0; 3], vec![0.0; 3]));
}

#[test]
fn ppo_s_value_is_held_only_where_it_came_closer() {
    let gradient = |value, target| token(1.0, 0.0, value, target).run(PPO_SETTINGS).dvalues[0];
    assert_eq!(gradient(0.3, 1.0), 0.0);
    assert!((gradient(0.3, -1.0) - 0.1 * 1.3).abs() < TOLERANCE);
    assert!((gradient(0.1, 1.0) + 0.1 * 0.9).abs() < TOLERANCE);
    let free = PpoSettings { value_clip_range: f64::INFINITY, ..PPO_SETTINGS };
    assert!((token(1.0, 0.0, 0.3, 1.0).run(free).dvalues[0] + 0.1 * 0.7).abs() < TOLERANCE);
}

#[test]
fn ppo_ignores_what_stands_outside_the_completions() {
    let mut minibatch = token(1.1, 1.0, 0.3, 0.5);
    let alone = minibatch.run(PPO_SETTINGS);
    for (numbers, outside) in [
        (&mut minibatch.weights, 0.0),
        (&mut minibatch.logprobs, f64::NEG_INFINITY),
        (&mut minibatch.old_logprobs, 0.0),
        (&mut minibatch.advantages, f64::NAN),
        (&mut minibatch.values, 1e9),
        (&mut minibatch.old_values, 0.0),
        (&mut minibatch.returns, f64::INFINITY),
        (&mut minibatch.entropies, 7.0),
    ] {
        numbers.push(outside);
    }
    let beside = minibatch.run(PPO_SETTINGS);
    assert_eq!((beside.total, beside.entropy), (alone.total, alone.entropy));
    assert_eq!((beside.dlogprobs[1], beside.dvalues[1], beside.dentropies[1]), (0.0, 0.0, 0.0));
}

#[test]
fn kl_estimators_vanish_together_and_only_k1_goes_below_0() {
    for log_ratio in [-3.0, -1e-3, 1e-3, 2.0_f64] {
        assert!(k2(log_ratio) > 0.0 && k3(log_ratio) > 0.0, "log ρ = {log_ratio}");
        assert_eq!(k1(log_ratio) < 0.0, log_ratio > 0.0);
    }
    assert_eq!(run_kl(&[-1.0, -2.0], &[-1.0, -2.0]), [0.0; 3]);
    let [one, two, three] = run_kl(&[-1.0, -2.0], &[-0.5, -1.9]);
    assert!((one + 0.6).abs() < TOLERANCE, "k1 is the policy's log-probability less the reference's: {one}");
    assert!((two - 0.13).abs() < TOLERANCE, "{two}");
    assert!((three - (0.5_f64.exp() + 0.1_f64.exp() - 2.6)).abs() < TOLERANCE, "{three}");
}

#[test]
fn kl_sums_each_completion_and_nothing_else() {
    let logprobs = [-9.0, -1.0, -2.0, -1.0, -9.0, -9.0];
    let (references, mask) = ([0.0, -2.0, -4.0, -1.5, 0.0, 0.0], [0.0, 1.0, 1.0, 1.0, 0.0, 0.0]);
    let mut estimates = [f64::NAN; 6];
    kl_per_sequence(3, &logprobs, &references, &mask, &mut estimates);
    assert_eq!(estimates[..2], [3.0, 0.5]);
    assert_eq!(estimates[2..4], [2.5, 0.125]);
}

/// k1 and k3 are unbiased: weighted by the distribution that the token is drawn from, they *are* the divergence.
#[test]
fn k1_and_k3_have_the_divergence_as_their_mean() {
    let (policy, reference) = ([0.5, 0.3, 0.2_f64], [0.2, 0.2, 0.6_f64]);
    let expected: f64 = policy.iter().zip(&reference).map(|(p, q)| p * (p / q).ln()).sum();
    for estimator in [k1, k3] {
        let mean: f64 = policy.iter().zip(&reference).map(|(p, q)| p * estimator((q / p).ln())).sum();
        assert!((mean - expected).abs() < TOLERANCE, "{mean} instead of {expected}");
    }
}

#[test]
fn the_kl_controller_steers_towards_its_target_a_fifth_at_a_time() {
    let next = |kl| adapted_kl_coefficient(0.5, kl, 4.0, 256, 1024.0);
    assert_eq!(next(4.0), 0.5);
    assert!((next(4.4) - 0.5 * (1.0 + 0.1 / 4.0)).abs() < TOLERANCE, "10 % too far");
    for far in [5.0, 40.0] {
        assert!((next(far) - 0.5 * 1.05).abs() < TOLERANCE, "KL {far}");
    }
    assert!((next(0.0) - 0.5 * 0.95).abs() < TOLERANCE);
}
