//! What the papers say must hold, whatever the numbers.
//!
//! More than 400 lines, because it is a list of laws.

use std::f64::consts::LN_2;

use klimb::objectives::{
    DpoLoss, adapted_beta, k1, k2, k3, kl_per_sequence, preference_probability, sft, sigmoid, whiten,
};
use klimb::rng::Generator;

use super::{
    Failures, Minibatch, PPO_SETTINGS, PpoSettings, normals, run_bradley_terry, run_dpo, run_gae, run_kl,
    run_unlikelihood, run_variant,
};

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
    failures.compare("accuracies", &answer.accuracies, &[0.5; PAIRS], 0.0);
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

/// The first step, where policy and reference agree: SLiC's loss is its margin, and IPO's the square of 1/(2β).
#[test]
fn every_loss_starts_where_its_paper_says() {
    let (sequence_logprobs, _) = pairs();
    for (loss, first, pull) in
        [(DpoLoss::Sigmoid, LN_2, 0.5), (DpoLoss::Hinge, 1.0, 1.0), (DpoLoss::Ipo, 0.25 / 0.09, 1.0 / 0.09)]
    {
        let answer = run_variant(loss, 0.3, 0.0, &sequence_logprobs, &sequence_logprobs);
        let mut failures = Failures::default();
        failures.compare("losses", &answer.losses, &[first; PAIRS], TOLERANCE);
        let gradient = -0.3 * pull / PAIRS as f64;
        failures.compare("gradient", &answer.dsequence_logprobs[..PAIRS], &[gradient; PAIRS], TOLERANCE);
        failures.report();
    }
}

/// Zhao et al. (2023), equation 1: max(0, δ − log π(y_w) + log π(y_l)), here without a reference and δ = 1/β, times β.
#[test]
fn the_hinge_without_a_reference_is_slic() {
    let (sequence_logprobs, _) = pairs();
    let answer = run_variant(DpoLoss::Hinge, 0.3, 0.0, &sequence_logprobs, &[0.0; 2 * PAIRS]);
    let (chosen, rejected) = sequence_logprobs.split_at(PAIRS);
    let slic = chosen.iter().zip(rejected).map(|(chosen, rejected)| 0.3 * (1.0 / 0.3 - chosen + rejected).max(0.0));
    let slic: Vec<f64> = slic.collect();
    assert!(slic.contains(&0.0) && slic.iter().any(|&loss| loss > 0.0), "both sides of the hinge: {slic:?}");
    let mut failures = Failures::default();
    failures.compare("losses", &answer.losses, &slic, TOLERANCE);
    failures.report();
}

/// Azar et al. (2023), equation 17: (h − 1/(2τ))² on the log-ratio margin h, which stands still at h = 1/(2τ) and is
/// pulled back beyond, where DPO goes on for ever.
#[test]
fn ipo_has_a_margin_at_which_it_stops() {
    let at = |loss, margin: f64| run_variant(loss, 0.25, 0.0, &[margin, 0.0], &[0.0, 0.0]);
    for margin in [-3.0, 0.0, 1.9, 5.0] {
        assert!((at(DpoLoss::Ipo, margin).losses[0] - (margin - 2.0).powi(2)).abs() < TOLERANCE, "h = {margin}");
    }
    assert_eq!(at(DpoLoss::Ipo, 2.0).dsequence_logprobs[0], 0.0);
    assert!(at(DpoLoss::Ipo, 5.0).dsequence_logprobs[0] > 0.0 && at(DpoLoss::Ipo, 0.0).dsequence_logprobs[0] < 0.0);
    assert!(at(DpoLoss::Sigmoid, 5.0).dsequence_logprobs[0] < 0.0);
}

/// Smoothing is the expected loss when a label is wrong with probability ε, whatever the loss.
#[test]
fn smoothing_mixes_a_pair_with_its_mirror_image() {
    let (sequence_logprobs, references) = pairs();
    for loss in DpoLoss::ALL {
        let smoothed = run_variant(loss, 0.3, 0.2, &sequence_logprobs, &references);
        let right = run_variant(loss, 0.3, 0.0, &sequence_logprobs, &references);
        let wrong = run_variant(loss, 0.3, 0.0, &swapped(&sequence_logprobs), &swapped(&references));
        let mixed: Vec<f64> = right.losses.iter().zip(&wrong.losses).map(|(r, w)| 0.8 * r + 0.2 * w).collect();
        let mut failures = Failures::default();
        failures.compare(&format!("{loss:?}"), &smoothed.losses, &mixed, 1e-9);
        failures.report();
    }
}

/// At α = 0 it is the likelihood of the chosen alone, whatever the rejected are.
#[test]
fn unlikelihood_without_its_second_half_is_maximum_likelihood() {
    let (sequence_logprobs, _) = pairs();
    let (columns, gradient) = run_unlikelihood(0.0, &sequence_logprobs);
    let surprises: Vec<f64> = sequence_logprobs[..PAIRS].iter().map(|logprob| -logprob).collect();
    let mut failures = Failures::default();
    failures.compare("losses", &columns[0], &surprises, 0.0);
    failures.compare("rejected", &gradient[PAIRS..], &[0.0; PAIRS], 0.0);
    failures.report();
}

/// Every pair pulls alike, at whatever log-probabilities, and at α = 1 only their difference is left: so does DPO as β
/// falls to 0, where its weight σ(r̂_l − r̂_w) stays ½ and never notices what has been learned.
#[test]
fn unlikelihood_at_alpha_1_is_dpo_that_never_notices() {
    let (sequence_logprobs, references) = pairs();
    let (columns, gradient) = run_unlikelihood(1.0, &sequence_logprobs);
    let beta = 1e-9;
    let dpo = run_dpo(beta, 0.0, &sequence_logprobs, &references);
    let scaled: Vec<f64> = dpo.dsequence_logprobs.iter().map(|d| d * 2.0 / beta).collect();
    let mut failures = Failures::default();
    failures.compare("gradient", &scaled, &gradient, 1e-6);
    let accuracies: Vec<f64> = columns[0].iter().map(|&loss| f64::from(loss < 0.0)).collect();
    failures.compare("accuracies", &columns[1], &accuracies, 0.0);
    failures.compare("logprobs", &[&columns[2][..], &columns[3]].concat(), &sequence_logprobs, 0.0);
    failures.report();
}

#[test]
fn what_is_not_a_number_stays_so_in_every_loss() {
    for loss in DpoLoss::ALL {
        let answer = run_variant(loss, 0.3, 0.0, &[f64::NAN, 0.0], &[0.0, 0.0]);
        assert!(answer.losses[0].is_nan(), "{loss:?}: {:?}", answer.losses);
    }
}

/// At first a coin's loss and weight; and whatever one score gains the other loses.
#[test]
fn bradley_terry_starts_at_ln_2_and_pulls_both_ways_alike() {
    let mut failures = Failures::default();
    let (losses, accuracies, dscores) = run_bradley_terry(&[0.7; 2 * PAIRS]);
    failures.compare("losses", &losses, &[LN_2; PAIRS], TOLERANCE);
    failures.compare("accuracies", &accuracies, &[0.5; PAIRS], 0.0);
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
    let next = |kl| adapted_beta(0.5, kl, 4.0, 256, 1024.0);
    assert_eq!(next(4.0), 0.5);
    assert!((next(4.4) - 0.5 * (1.0 + 0.1 / 4.0)).abs() < TOLERANCE, "10 % too far");
    for far in [5.0, 40.0] {
        assert!((next(far) - 0.5 * 1.05).abs() < TOLERANCE, "KL {far}");
    }
    assert!((next(0.0) - 0.5 * 0.95).abs() < TOLERANCE);
}
