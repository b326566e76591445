//! Unlikelihood, Preferred-FT and DPO's variants learn from preference pairs: seeded, short, on both backends. Pairs and
//! evaluation are the CPU's either way, so that only the training differs.

use crate::common;
use klimb::algorithms::{Dpo, DpoSettings, PairBatch, PreferredFt, SftSettings, Unlikelihood, UnlikelihoodSettings};
use klimb::backend::Kernels;
use klimb::backend::cpu::Cpu;
use klimb::backend::network::Network;
use klimb::experiments::{Evaluation, EvaluationSettings, Evaluator, PreferenceData, PreferenceSettings};
use klimb::language::{Adamw, Schedule, upload};
use klimb::model::Checkpoint;
use klimb::objectives::DpoLoss;
use klimb::world::preferences::LabelSettings;
use klimb::world::{MAX_SEQUENCE, World, WorldSettings};
use pollster::block_on;

const LENGTH: usize = MAX_SEQUENCE - 1;

/// How long a test trains: a software adapter takes long over a step.
#[derive(Clone, Copy)]
struct Effort {
    steps: u64,
    pairs: usize,
}

const CPU: Effort = Effort { steps: 50, pairs: 64 };
const GPU: Effort = Effort { steps: 24, pairs: 24 };

impl Effort {
    fn schedule(self) -> Schedule {
        Schedule { peak: 2e-3, floor: 1e-4, warm_up: 5, steps: self.steps }
    }
}

fn sft() -> Checkpoint {
    Checkpoint::from_bytes(include_bytes!("../../www/assets/sft.safetensors"), None)
        .expect("the shipped checkpoint is valid")
}

fn world() -> World {
    World::new(WorldSettings::default()).expect("the default world is valid")
}

/// Noise-free pairs of the shipped SFT model, a batch a step.
fn batches(effort: Effort) -> Vec<PairBatch> {
    let (mut k, sft) = (Cpu::<f32>::new(), sft());
    let labels = LabelSettings { temperature: 0.0, flip_probability: 0.0 };
    let settings = PreferenceSettings { chunks: 64, labels, ..PreferenceSettings::default() };
    let mut data = PreferenceData::new(&mut k, &Network::new(sft.config), 1, settings);
    let (world, reference) = (world(), upload(&mut k, &sft.parameters));
    let mut batch = || {
        while data.wants_more(effort.pairs) {
            block_on(data.extend(&mut k, &world, &reference)).expect("generation works");
        }
        data.next_batch(effort.pairs)
    };
    (0..effort.steps).map(|_| batch()).collect()
}

/// The policy and the reference under the same coins.
fn evaluate(policy: &[f32]) -> (Evaluation, Evaluation) {
    let (mut k, sft) = (Cpu::<f32>::new(), sft());
    let settings = EvaluationSettings { samples: 1024, ..EvaluationSettings::default() };
    let mut evaluator = Evaluator::new(&mut k, &Network::new(sft.config), 256, settings);
    let (policy, reference) = (upload(&mut k, policy), upload(&mut k, &sft.parameters));
    let mut measure =
        |parameters| block_on(evaluator.evaluate(&mut k, &world(), parameters, &reference)).expect("evaluation works");
    (measure(&policy), measure(&reference))
}

/// Fails unless the gold reward rose by `gain` at least, beyond chance, at a KL below `most`.
#[track_caller]
fn assert_learned(what: &str, policy: &[f32], gain: f64, most: f64) {
    let (after, before) = evaluate(policy);
    let gold = |evaluation: &Evaluation| evaluation.samples.iter().map(|it| it.gold_reward).collect::<Vec<f64>>();
    let gains: Vec<f64> = gold(&after).iter().zip(gold(&before)).map(|(after, before)| after - before).collect();
    let (rise, half_width) = (klimb::stats::mean(&gains), klimb::stats::half_width(&gains));
    println!("{what}: {rise:.3} ± {half_width:.3} at KL {:.2}", after.kl_per_sequence);
    assert!(rise >= gain && rise > half_width, "{what}: gold reward rose by {rise} ± {half_width}");
    assert!((0.0..most).contains(&after.kl_per_sequence), "{what}: KL {}", after.kl_per_sequence);
}

fn unlikelihood<K: Kernels>(mut k: K, effort: Effort) -> Vec<f32> {
    let sft = sft();
    let settings =
        UnlikelihoodSettings { alpha: 0.5, pairs: effort.pairs, schedule: effort.schedule(), adamw: Adamw::default() };
    let mut policy = Unlikelihood::new(&mut k, Network::new(sft.config), &sft.parameters, LENGTH, settings);
    batches(effort).iter().for_each(|pairs| policy.step(&mut k, pairs));
    block_on(policy.learner().read_parameters(&mut k)).expect("a policy")
}

fn preferred_ft<K: Kernels>(mut k: K, effort: Effort) -> Vec<f32> {
    let sft = sft();
    let settings = SftSettings { batch: effort.pairs, schedule: effort.schedule(), adamw: Adamw::default() };
    let mut policy = PreferredFt::new(&mut k, Network::new(sft.config), &sft.parameters, LENGTH, settings);
    batches(effort).iter().for_each(|pairs| policy.step(&mut k, pairs));
    block_on(policy.learner().read_parameters(&mut k)).expect("a policy")
}

fn dpo<K: Kernels>(mut k: K, effort: Effort, settings: DpoSettings) -> Vec<f32> {
    let sft = sft();
    let settings = DpoSettings { pairs: effort.pairs, schedule: effort.schedule(), ..settings };
    let mut policy = Dpo::new(&mut k, Network::new(sft.config), &sft.parameters, LENGTH, settings);
    batches(effort).iter().for_each(|pairs| policy.step(&mut k, pairs));
    block_on(policy.learner().read_parameters(&mut k)).expect("a policy")
}

#[test]
fn unlikelihood_learns_on_the_cpu() {
    assert_learned("unlikelihood", &unlikelihood(Cpu::<f32>::new(), CPU), 0.05, 2.0);
}

#[test]
fn unlikelihood_learns_on_the_gpu() {
    assert_learned("unlikelihood", &unlikelihood(common::gpu(), GPU), 0.01, 2.0);
}

#[test]
fn preferred_ft_learns_a_little_on_the_cpu() {
    assert_learned("Preferred-FT", &preferred_ft(Cpu::<f32>::new(), CPU), 0.03, 1.0);
}

#[test]
fn preferred_ft_learns_a_little_on_the_gpu() {
    assert_learned("Preferred-FT", &preferred_ft(common::gpu(), GPU), 0.0, 1.0);
}

#[test]
fn every_variant_of_dpo_learns_on_the_cpu() {
    let plain = DpoSettings { beta: 1.0, ..DpoSettings::default() };
    // Without a reference nothing holds the policy back: it learns a little and runs far.
    for (settings, gain, most) in [
        (DpoSettings { loss: DpoLoss::Hinge, ..plain }, 0.05, 2.0),
        (DpoSettings { loss: DpoLoss::Ipo, beta: 0.3, ..plain }, 0.05, 2.0),
        (DpoSettings { length_normalised: true, beta: 10.0, ..plain }, 0.05, 2.0),
        (DpoSettings { reference_free: true, ..plain }, 0.01, 40.0),
    ] {
        assert_learned(&settings.variant().to_string(), &dpo(Cpu::<f32>::new(), CPU, settings), gain, most);
    }
}

#[test]
fn ipo_learns_on_the_gpu() {
    let settings = DpoSettings { loss: DpoLoss::Ipo, beta: 0.3, ..DpoSettings::default() };
    assert_learned("IPO", &dpo(common::gpu(), GPU, settings), 0.01, 2.0);
}
