//! Every gradient written by hand against central finite differences of its loss, in f64.
//!
//! One input at a time is moved by ±h = 1e-5, and (L(x + h) − L(x − h))/2h is compared with the gradient. The formula
//! errs by about h²·L‴/6 ≈ 1e-11 and rounding adds about 1e-16/h = 1e-11 of the loss, so 1e-6 of the gradient's L2 norm
//! leaves room for losses of a few nats and no room for a wrong factor or sign. PPO's loss has kinks where a clip
//! begins to bind; the test moves away from them first, for there no derivative exists. The hinge has one too, which no
//! margin of these pairs comes near.

use klimb::objectives::{DpoLoss, sft};
use klimb::rng::Generator;

use super::{Failures, Minibatch, PPO_SETTINGS, normals, run_bradley_terry, run_unlikelihood, run_variant};

const STEP: f64 = 1e-5;
const TOLERANCE: f64 = 1e-6;

/// Notes every element of `gradient` that central differences of `loss` at `x` contradict.
fn check(failures: &mut Failures, name: &str, x: &[f64], gradient: &[f64], loss: impl Fn(&[f64]) -> f64) {
    let mut moved = x.to_vec();
    let differences: Vec<f64> = (0..x.len())
        .map(|index| {
            let mut at = |value: f64| {
                moved[index] = value;
                loss(&moved)
            };
            let slope = (at(x[index] + STEP) - at(x[index] - STEP)) / (2.0 * STEP);
            moved[index] = x[index];
            slope
        })
        .collect();
    let norm = differences.iter().map(|slope| slope * slope).sum::<f64>().sqrt();
    assert!(norm > 0.0, "{name}: a loss that depends on nothing proves nothing");
    failures.compare(name, gradient, &differences, TOLERANCE * norm);
}

fn mean(values: &[f64]) -> f64 {
    values.iter().sum::<f64>() / values.len() as f64
}

#[test]
fn gradients_are_the_slopes_of_their_losses() {
    let generator = &mut Generator::new(1, "finite differences");
    let mut failures = Failures::default();

    let logprobs = normals(generator, 9, -2.0, 0.7);
    let weights: Vec<f64> = (0..9).map(|row| if row % 3 == 0 { 0.0 } else { 1.0 / 6.0 }).collect();
    let run_sft = |logprobs: &[f64]| {
        let (mut dlogprobs, mut statistics) = (vec![f64::NAN; 9], vec![f64::NAN; 9]);
        sft(logprobs, &weights, &mut dlogprobs, &mut statistics);
        (statistics.iter().sum::<f64>(), dlogprobs)
    };
    check(&mut failures, "sft", &logprobs, &run_sft(&logprobs).1, |logprobs| run_sft(logprobs).0);

    let sequence_logprobs = normals(generator, 14, -20.0, 3.0);
    let references = normals(generator, 14, -20.0, 3.0);
    for (beta, label_smoothing) in [(0.1, 0.0), (1.0, 0.0), (0.3, 0.1), (1.0, 0.5)] {
        for loss in DpoLoss::ALL {
            let name = format!("dpo {loss:?} β={beta} ε={label_smoothing}");
            let run =
                |sequence_logprobs: &[f64]| run_variant(loss, beta, label_smoothing, sequence_logprobs, &references);
            let gradient = run(&sequence_logprobs).dsequence_logprobs;
            check(&mut failures, &name, &sequence_logprobs, &gradient, |x| mean(&run(x).losses));
        }
    }

    for alpha in [0.0, 0.05, 1.0] {
        let name = format!("unlikelihood α={alpha}");
        let gradient = run_unlikelihood(alpha, &sequence_logprobs).1;
        check(&mut failures, &name, &sequence_logprobs, &gradient, |x| mean(&run_unlikelihood(alpha, x).0[0]));
    }

    let scores = normals(generator, 14, 0.0, 2.0);
    check(&mut failures, "bradley_terry", &scores, &run_bradley_terry(&scores).2, |scores| {
        mean(&run_bradley_terry(scores).0)
    });

    let minibatch = minibatch_off_the_kinks(generator, 40);
    let answer = minibatch.run(PPO_SETTINGS);
    assert!(answer.clip_fraction > 0.1 && answer.clip_fraction < 0.9, "both sides of the clip must be met");
    check(&mut failures, "ppo dlogprobs", &minibatch.logprobs, &answer.dlogprobs, |logprobs| {
        Minibatch { logprobs: logprobs.to_vec(), ..minibatch.clone() }.run(PPO_SETTINGS).total
    });
    check(&mut failures, "ppo dvalues", &minibatch.values, &answer.dvalues, |values| {
        Minibatch { values: values.to_vec(), ..minibatch.clone() }.run(PPO_SETTINGS).total
    });
    check(&mut failures, "ppo dentropies", &minibatch.entropies, &answer.dentropies, |entropies| {
        Minibatch { entropies: entropies.to_vec(), ..minibatch.clone() }.run(PPO_SETTINGS).total
    });

    failures.report();
}

/// Random numbers with every fifth token masked, and at least ten steps between each input and a clip or a tie of the
/// two squared errors.
fn minibatch_off_the_kinks(generator: &mut Generator, rows: usize) -> Minibatch {
    let away = |x: f64, kinks: &[f64]| kinks.iter().all(|kink| (x - kink).abs() > 10.0 * STEP);
    let old_logprobs = normals(generator, rows, -2.0, 0.5);
    let old_values = normals(generator, rows, 0.0, 0.5);
    let returns = normals(generator, rows, 0.0, 0.5);
    let mut draw = |old: &[f64], is_safe: &dyn Fn(usize, f64) -> bool| -> Vec<f64> {
        let mut moved = |row: usize| {
            let draws = std::iter::repeat_with(|| old[row] + 0.25 * generator.normal());
            draws.take(100).find(|&value| is_safe(row, value)).expect("most draws are off the kinks")
        };
        (0..rows).map(&mut moved).collect()
    };
    let logprobs = draw(&old_logprobs, &|row, logprob| away((logprob - old_logprobs[row]).exp(), &[0.8, 1.2]));
    let values = draw(&old_values, &|row, value| {
        let (low, high) = (old_values[row] - 0.2, old_values[row] + 0.2);
        away(value, &[low, high, 2.0 * returns[row] - low, 2.0 * returns[row] - high])
    });
    Minibatch {
        weights: (0..rows).map(|row| if row % 5 == 0 { 0.0 } else { 1.25 / rows as f64 }).collect(),
        advantages: normals(generator, rows, 0.0, 1.0),
        entropies: normals(generator, rows, 1.5, 0.3),
        logprobs,
        old_logprobs,
        values,
        old_values,
        returns,
    }
}
