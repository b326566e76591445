//! What the algorithms on preference pairs compute in one step, against the same numbers put together by hand from
//! scored sequences and the pure objectives, in f64.

use klimb::algorithms::{Dpo, DpoSettings, PairBatch, PreferredFt, SftSettings, Unlikelihood, UnlikelihoodSettings};
use klimb::backend::SequenceSize;
use klimb::backend::cpu::Cpu;
use klimb::backend::network::Network;
use klimb::language::{Adamw, Schedule, Scorer, Sequence, upload};
use klimb::model::{ModelConfig, initial_parameters};
use klimb::objectives::DpoLoss;
use klimb::rng::Generator;
use pollster::block_on;

const CONFIG: ModelConfig =
    ModelConfig { vocabulary: 23, context: 12, width: 16, layers: 1, heads: 2, own_unembedding: false };
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

const SCHEDULE: Schedule = Schedule { peak: 1e-2, floor: 1e-2, warm_up: 0, steps: 0 };

#[test]
fn unlikelihood_pushes_the_chosen_up_and_the_rejected_down() {
    let (mut k, parameters, pairs) = (Cpu::<f64>::new(), initial_parameters(&CONFIG, 1), pairs());
    let before = logprobs(&mut k, &parameters, &pairs);
    let settings = UnlikelihoodSettings { alpha: 0.5, pairs: PAIRS, schedule: SCHEDULE, adamw: Adamw::default() };
    let mut unlikelihood = Unlikelihood::new(&mut k, Network::new(CONFIG), &parameters, LENGTH, settings);
    unlikelihood.step(&mut k, &pairs);
    let outcomes = block_on(unlikelihood.outcomes(&mut k)).expect("outcomes");
    for (pair, outcome) in outcomes.iter().enumerate() {
        assert_close("chosen", outcome.chosen_logprob, before[pair]);
        assert_close("rejected", outcome.rejected_logprob, before[PAIRS + pair]);
        assert_close("loss", outcome.loss, 0.5 * before[PAIRS + pair] - before[pair]);
    }
    let metrics = block_on(unlikelihood.metrics(&mut k)).expect("metrics").remove(0);
    assert_close("mean loss", metrics.loss, outcomes.iter().map(|outcome| outcome.loss).sum::<f64>() / PAIRS as f64);
    assert_eq!(metrics.row().values["unlikelihood/loss"], metrics.loss);
    let parameters = block_on(unlikelihood.learner().read_parameters(&mut k)).expect("parameters");
    let after = logprobs(&mut k, &parameters, &pairs);
    let loss = |logprobs: &[f64]| {
        let (chosen, rejected) = logprobs.split_at(PAIRS);
        0.5 * rejected.iter().sum::<f64>() - chosen.iter().sum::<f64>()
    };
    assert!(loss(&after) < loss(&before), "{} after {}", loss(&after), loss(&before));
}

#[test]
fn preferred_ft_is_sft_on_the_chosen_and_never_looks_at_the_rejected() {
    let (mut k, parameters, pairs) = (Cpu::<f64>::new(), initial_parameters(&CONFIG, 1), pairs());
    let before = logprobs(&mut k, &parameters, &pairs);
    let settings = SftSettings { batch: PAIRS, schedule: SCHEDULE, adamw: Adamw::default() };
    let mut trained = |pairs: &PairBatch| {
        let mut policy = PreferredFt::new(&mut k, Network::new(CONFIG), &parameters, LENGTH, settings);
        policy.step(&mut k, pairs);
        let outcomes = block_on(policy.outcomes(&mut k)).expect("outcomes");
        let loss = block_on(policy.metrics(&mut k)).expect("metrics")[0].loss;
        (block_on(policy.learner().read_parameters(&mut k)).expect("parameters"), outcomes, loss)
    };
    let (policy, outcomes, loss) = trained(&pairs);
    for (pair, tokens) in outcomes.iter().enumerate() {
        assert_eq!(tokens.len(), pairs.chosen[pair].completion().len());
        assert_close("log π(chosen)", tokens.iter().sum(), before[pair]);
    }
    let tokens: usize = outcomes.iter().map(Vec::len).sum();
    assert_close("loss", loss, -before[..PAIRS].iter().sum::<f64>() / tokens as f64);
    let other = PairBatch { rejected: pairs.chosen.clone(), reference_chosen: vec![0.0; PAIRS], ..pairs.clone() };
    assert_eq!(trained(&other).0, policy);
    let after = logprobs(&mut k, &policy, &pairs);
    assert!(after[..PAIRS].iter().sum::<f64>() > before[..PAIRS].iter().sum::<f64>(), "{after:?} after {before:?}");
}

#[test]
fn the_paper_s_dpo_is_no_variant() {
    assert_eq!(DpoSettings::default().variant().to_string(), "");
    let settings = DpoSettings { loss: DpoLoss::Ipo, reference_free: true, ..DpoSettings::default() };
    assert_eq!(settings.variant().to_string(), "IPO, reference-free");
}
