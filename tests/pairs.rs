//! What the algorithms on preference pairs compute in one step, against the same numbers put together by hand from
//! scored sequences and the pure objectives, in f64.
#![cfg(not(target_arch = "wasm32"))]

use klimb::algorithms::{Dpo, DpoSettings, PairBatch};
use klimb::backend::SequenceSize;
use klimb::backend::cpu::Cpu;
use klimb::backend::network::Network;
use klimb::language::{Scorer, Sequence, upload};
use klimb::model::{ModelConfig, initial_parameters};
use klimb::objectives::DpoLoss;
use klimb::rng::Generator;
use pollster::block_on;

const CONFIG: ModelConfig = ModelConfig { vocabulary: 23, context: 12, width: 16, layers: 1, heads: 2 };
const LENGTH: usize = 9;
const PAIRS: usize = 3;

/// A completion of `length` random tokens, the last of them an end.
fn sequence(generator: &mut Generator, length: usize) -> Sequence {
    let mut token = || 2 + generator.below(21) as u32;
    let prompt = [token(), token()];
    let mut completion: Vec<u32> = (1..length).map(|_| token()).collect();
    completion.push(1);
    Sequence::new(&prompt, &completion)
}

/// Pairs whose completions differ in length.
fn pairs() -> PairBatch {
    let generator = &mut Generator::new(5, "pairs");
    PairBatch {
        chosen: [1, 4, 6].map(|length| sequence(generator, length)).into(),
        rejected: [7, 2, 6].map(|length| sequence(generator, length)).into(),
        reference_chosen: vec![-4.0, -13.0, -20.0],
        reference_rejected: vec![-21.0, -7.0, -19.0],
    }
}

/// log π of the chosen completions, then of the rejected.
fn logprobs(k: &mut Cpu<f64>, parameters: &[f32], pairs: &PairBatch) -> Vec<f64> {
    let sequences: Vec<Sequence> = pairs.sequences().cloned().collect();
    let size = SequenceSize { batch: sequences.len(), length: LENGTH };
    let buffer = upload(k, parameters);
    block_on(Scorer::new(k, Network::new(CONFIG), size).sequence_logprobs(k, &buffer, &sequences)).expect("a score")
}

#[track_caller]
fn assert_close(what: &str, found: f64, expected: f64) {
    assert!((found - expected).abs() < 1e-5 * expected.abs().max(1.0), "{what}: {found} instead of {expected}");
}

#[test]
fn every_variant_of_dpo_trains_on_what_its_name_says() {
    let (mut k, parameters, pairs) = (Cpu::<f64>::new(), initial_parameters(&CONFIG, 1), pairs());
    let policy = logprobs(&mut k, &parameters, &pairs);
    let references = [&pairs.reference_chosen[..], &pairs.reference_rejected].concat();
    let lengths: Vec<f64> = pairs.sequences().map(|sequence| sequence.completion().len() as f64).collect();
    for loss in DpoLoss::ALL {
        for (length_normalised, reference_free) in [(false, false), (true, false), (false, true), (true, true)] {
            let settings = DpoSettings {
                beta: 0.4,
                label_smoothing: 0.1,
                loss,
                length_normalised,
                reference_free,
                pairs: PAIRS,
                ..DpoSettings::default()
            };
            let case = format!("{loss:?}, {}", settings.variant());
            let mut dpo = Dpo::new(&mut k, Network::new(CONFIG), &parameters, LENGTH, settings);
            dpo.step(&mut k, &pairs);
            let outcomes = block_on(dpo.outcomes(&mut k)).expect("outcomes");
            let metrics = block_on(dpo.metrics(&mut k)).expect("metrics").remove(0);

            let reward = |i: usize| {
                let reference = if reference_free { 0.0 } else { references[i] };
                0.4 * (policy[i] - reference) / if length_normalised { lengths[i] } else { 1.0 }
            };
            let mut mean_loss = 0.0;
            for (pair, outcome) in outcomes.iter().enumerate() {
                let (chosen, rejected) = (reward(pair), reward(PAIRS + pair));
                let (expected, weight) = loss.of(0.4, 0.1, chosen - rejected);
                assert_close(&case, outcome.chosen_reward, chosen);
                assert_close(&case, outcome.rejected_reward, rejected);
                assert_close(&case, outcome.loss, expected);
                assert_close(&case, outcome.weight, weight);
                mean_loss += expected / PAIRS as f64;
            }
            assert_close(&case, metrics.loss, mean_loss);
            assert!(metrics.gradient_norm > 0.0, "{case}");
            assert_eq!(metrics.row().values["dpo/loss"], metrics.loss);
        }
    }
}

#[test]
fn the_paper_s_dpo_is_no_variant() {
    assert_eq!(DpoSettings::default().variant(), "");
    let settings = DpoSettings { loss: DpoLoss::Ipo, reference_free: true, ..DpoSettings::default() };
    assert_eq!(settings.variant(), "IPO, reference-free");
}
