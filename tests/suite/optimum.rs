//! The closed-form optimum: the recorded curve reaches as far as the page says, and agrees with samples of the reference;
//! the whole way of sampling it agrees with a case that is known exactly.

use std::ops::ControlFlow;

use klimb::backend::SequenceSize;
use klimb::backend::cpu::Cpu;
use klimb::backend::network::Network;
use klimb::experiments::{
    OptimumSamples, OptimumSettings, RecordedOptimum, Reference, Worth, optimum_with_errors, sample_optimum,
};
use klimb::language::{Scorer, Sequence, upload};
use klimb::metrics::OptimumPoint;
use klimb::model::Checkpoint;
use klimb::world::{MAX_SEQUENCE, World, WorldSettings};
use pollster::block_on;

/// KL up to which the curve must be solid, and what solid means.
const SOLID_KL: f64 = 6.0;
const SOLID_SAMPLES: f64 = 100.0;

fn recorded() -> RecordedOptimum {
    RecordedOptimum::from_bytes(include_bytes!("../../www/assets/optimum.json")).expect("the shipped optimum is valid")
}

fn shipped() -> Checkpoint {
    Checkpoint::from_bytes(include_bytes!("../../www/assets/sft.safetensors"), None)
        .expect("the shipped model is valid")
}

/// Both widths' optimum with its reference.
fn every_recorded() -> [(RecordedOptimum, Checkpoint); 2] {
    let optimum = RecordedOptimum::from_bytes(include_bytes!("../../www/assets/optimum-64.json"));
    let reference = Checkpoint::from_bytes(include_bytes!("../../www/assets/sft-64.safetensors"), None);
    let wide = (optimum.expect("the wide optimum is valid"), reference.expect("the wide model is valid"));
    [(recorded(), shipped()), wide]
}

fn world() -> World {
    World::new(WorldSettings::default()).expect("the default world is valid")
}

/// Samples for the optimum of `worth` on prompts, from the shipped reference.
fn sampled(prompts: &[Vec<u32>], worth: impl Fn(&Sequence) -> Worth, settings: &OptimumSettings) -> OptimumSamples {
    let (mut k, reference) = (Cpu::<f32>::new(), shipped());
    let network = Network::new(reference.config);
    let start = Reference { network: &network, parameters: &reference.parameters };
    let judge = async |_: &mut Cpu<f32>, sequences: &[Sequence]| Ok(sequences.iter().map(&worth).collect());
    let go_on = |_, _| ControlFlow::Continue(());
    let samples = sample_optimum(&mut k, start, prompts, judge, settings, go_on);
    block_on(samples).expect("the CPU does not fail").expect("nobody ended it")
}

#[test]
fn the_recorded_optimum_is_that_of_the_shipped_reference_and_solid_as_far_as_promised() {
    for (recorded, reference) in every_recorded() {
        assert_eq!(recorded.reference, reference.fingerprint(), "make it anew: `klimb optimum`");
        let (solid, beyond): (Vec<&OptimumPoint>, Vec<&OptimumPoint>) =
            recorded.points.iter().partition(|point| point.kl_per_sequence <= SOLID_KL);
        assert!(!beyond.is_empty(), "the curve goes on beyond a KL of {SOLID_KL}");
        for point in &solid {
            assert!(point.effective_sample_size >= SOLID_SAMPLES, "{point:?}");
        }
        let reach = solid.iter().map(|point| point.kl_per_sequence).fold(0.0, f64::max);
        assert!(reach > 5.5, "the solid part ends at {reach}");
    }
}

#[test]
fn a_longer_leash_never_earns_less_on_the_recorded_optimum() {
    for (recorded, _) in every_recorded() {
        let is_solid = |point: &OptimumPoint| point.effective_sample_size >= SOLID_SAMPLES;
        let solid: Vec<OptimumPoint> = recorded.points.into_iter().filter(is_solid).collect();
        assert!(solid.len() > 30);
        for pair in solid.windows(2) {
            assert!(pair[0].gold_reward >= pair[1].gold_reward, "{pair:?}");
            assert!(pair[0].kl_per_sequence >= pair[1].kl_per_sequence, "{pair:?}");
        }
    }
}

#[test]
fn the_recorded_optimum_agrees_with_samples_of_the_reference_alone() {
    let (world, recorded) = (world(), recorded());
    let settings = OptimumSettings { seed: 12, goal: 1.2, most_rungs: 0, most_samples: 1024, ..Default::default() };
    let worth = |sequence: &Sequence| Worth::of_gold(world.gold_reward(&sequence.tokens), recorded.temperature);
    let live = sampled(world.held_out_prompts(), worth, &settings);
    assert!(live.rungs.is_empty() && live.samples.iter().flatten().all(|sample| sample.log_weight.abs() < 1e-9));
    let mut compared = 0;
    for point in recorded.curve(recorded.temperature) {
        let (live, [kl_error, gold_error]) = optimum_with_errors(&live.samples, point.beta);
        if live.effective_sample_size >= SOLID_SAMPLES {
            compared += 1;
            let (kl, gold) = (live.kl_per_sequence - point.kl_per_sequence, live.gold_reward - point.gold_reward);
            assert!(kl.abs() < 4.0 * kl_error, "{live:?} ± {kl_error} instead of {point:?}");
            assert!(gold.abs() < 4.0 * gold_error, "{live:?} ± {gold_error} instead of {point:?}");
        }
    }
    assert!(compared >= 10, "only {compared} points could be compared");
}

#[test]
fn a_reward_on_the_first_word_has_its_known_optimum_far_from_the_reference() {
    let (world, reference) = (world(), shipped());
    let prompts = &world.held_out_prompts()[..2];
    let tokens = world.vocabulary().len() as u32;
    let mut k = Cpu::<f32>::new();
    let size = SequenceSize { batch: 128, length: MAX_SEQUENCE - 1 };
    let mut scorer = Scorer::new(&mut k, Network::new(reference.config), size);
    let parameters = upload(&mut k, &reference.parameters);
    let first_words: Vec<Vec<f64>> = prompts
        .iter()
        .map(|prompt| {
            let words: Vec<Sequence> = (0..tokens).map(|token| Sequence::new(prompt, &[token])).collect();
            block_on(scorer.sequence_logprobs(&mut k, &parameters, &words)).expect("the CPU does not fail")
        })
        .collect();
    // First words that the reference writes less than once in fifty are worth 1, the others nothing.
    let is_rare = |prompt: usize, token: u32| first_words[prompt][token as usize] < 0.02f64.ln();
    let worth = |sequence: &Sequence| {
        let prompt = prompts.iter().position(|prompt| prompt == sequence.prompt()).expect("one of the prompts");
        let reward = f64::from(u8::from(is_rare(prompt, sequence.completion()[0])));
        Worth { gold_reward: reward, reward }
    };
    let ladder = OptimumSettings { rung_samples: 256, rung_steps: 30, most_rungs: 2, ..OptimumSettings::default() };
    let settings = OptimumSettings { goal: 1.5, most_samples: 4096, ..ladder };
    let OptimumSamples { samples, rungs, .. } = sampled(prompts, worth, &settings);
    assert!(!rungs.is_empty());

    let exact = |beta: f64| {
        let mut mean = (0.0, 0.0);
        for (prompt, logprobs) in first_words.iter().enumerate() {
            let reward = |token| f64::from(u8::from(is_rare(prompt, token)));
            let tilted = || logprobs.iter().zip(0..).map(|(logprob, token)| (logprob.exp(), reward(token)));
            let normaliser: f64 = tilted().map(|(p, r)| p * (r / beta).exp()).sum();
            let earned = tilted().map(|(p, r)| p * (r / beta).exp() / normaliser * r).sum::<f64>();
            mean.0 += (earned / beta - normaliser.ln()) / prompts.len() as f64;
            mean.1 += earned / prompts.len() as f64;
        }
        mean
    };
    let mut reach = 0.0f64;
    for step in 0..150 {
        let beta = 0.97f64.powi(step);
        let (kl, gold_reward) = exact(beta);
        if kl > settings.goal - 0.1 {
            break;
        }
        let (point, [kl_error, gold_error]) = optimum_with_errors(&samples, beta);
        assert!(point.effective_sample_size >= settings.effective, "{point:?}");
        let (kl_off, gold_off) = (point.kl_per_sequence - kl, point.gold_reward - gold_reward);
        assert!(kl_off.abs() < 4.0 * kl_error, "{point:?} ± {kl_error} instead of a KL of {kl}");
        assert!(gold_off.abs() < 4.0 * gold_error, "{point:?} ± {gold_error} instead of a reward of {gold_reward}");
        reach = kl;
    }
    assert!(reach > 1.2, "compared up to a KL of {reach} only");
}

#[test]
fn whoever_watches_can_end_it() {
    let (mut k, reference, world) = (Cpu::<f32>::new(), shipped(), world());
    let network = Network::new(reference.config);
    let start = Reference { network: &network, parameters: &reference.parameters };
    let judge = async |_: &mut Cpu<f32>, _: &[Sequence]| panic!("nothing was to be drawn");
    let end = |_, _| ControlFlow::Break(());
    let settings = OptimumSettings::default();
    let prompts = world.held_out_prompts();
    let ended = sample_optimum(&mut k, start, prompts, judge, &settings, end);
    assert!(matches!(block_on(ended), Ok(None)));
}
