//! Every algorithm learns: seeded, short, on both backends.

use crate::common;
use klimb::algorithms::{Dpo, DpoSettings, Sft, SftSettings};
use klimb::backend::cpu::Cpu;
use klimb::backend::network::Network;
use klimb::backend::{Kernels, SequenceSize};
use klimb::experiments::{EvaluationSettings, Evaluator, PreferenceData, PreferenceSettings, TextSource, sft_settings};
use klimb::language::{Schedule, Scorer, Sequence, upload};
use klimb::model::{Checkpoint, Expectation};
use klimb::world::preferences::LabelSettings;
use klimb::world::{MAX_SEQUENCE, World, WorldSettings};

fn world() -> World {
    World::new(WorldSettings::default()).expect("the default world is valid")
}

fn shipped(bytes: &[u8]) -> Checkpoint {
    let expected =
        Expectation { config: None, vocabulary_fingerprint: world().vocabulary().fingerprint(), head: false };
    Checkpoint::from_bytes(bytes, Some(&expected)).expect("the shipped checkpoint is valid")
}

fn base() -> Checkpoint {
    shipped(include_bytes!("../../www/assets/base.safetensors"))
}

fn sft() -> Checkpoint {
    shipped(include_bytes!("../../www/assets/sft.safetensors"))
}

/// Mean −log p(review) under `parameters` minus the grammar's own, nats a review, on fresh reviews.
fn excess<K: Kernels>(k: &mut K, network: &Network, parameters: &K::Floats, reviews: usize) -> f64 {
    let world = world();
    let reviews: Vec<Sequence> = TextSource::reviews(77).batch(&world, reviews);
    let size = SequenceSize { batch: 128, length: MAX_SEQUENCE - 1 };
    let mut scorer = Scorer::new(k, network.clone(), size);
    let model = pollster::block_on(scorer.sequence_logprobs(k, parameters, &reviews)).expect("scoring works");
    let grammar = |review: &Sequence| world.log_likelihood(review.prompt(), review.completion()).expect("its prompt");
    let difference = reviews.iter().zip(model).map(|(review, model)| grammar(review) - model).sum::<f64>();
    difference / reviews.len() as f64
}

/// SFT over `steps` of a schedule that decays from `peak`: nats a review above the grammar's entropy, before and after.
fn sft_approaches_the_grammar<K: Kernels>(
    mut k: K,
    from: &Checkpoint,
    (steps, batch, peak): (u64, usize, f64),
) -> (f64, f64) {
    let world = world();
    let network = Network::new(from.config);
    let settings = sft_settings(steps);
    let settings = SftSettings { batch, schedule: Schedule { peak, ..settings.schedule }, ..settings };
    let mut sft = Sft::new(&mut k, network.clone(), &from.parameters, MAX_SEQUENCE - 1, settings);
    let before = excess(&mut k, &network, &sft.learner().parameters, 2048);
    let mut text = TextSource::reviews(5);
    for _ in 0..steps {
        let reviews = text.batch(&world, batch);
        sft.step(&mut k, &reviews);
    }
    (before, excess(&mut k, &network, &sft.learner().parameters, 2048))
}

/// Given the beginning of a review, the base model often writes something else; a few steps cure most of that.
fn sft_makes_the_base_model_write_reviews<K: Kernels>(k: K) {
    let (before, after) = sft_approaches_the_grammar(k, &base(), (60, 32, 4e-3));
    assert!(before > 1.2 && after < 1.0, "excess over the grammar's entropy: {before} before, {after} after");
}

/// The last stretch, quick enough for a software adapter: from a model trained 2,500 steps at a constant rate (by
/// `klimb sft --steps 100000 --stop-after 2500`), the decay of the rate brings SFT to the grammar.
fn sft_comes_within_0_3_nats_of_the_grammar<K: Kernels>(k: K) {
    let unsettled = shipped(include_bytes!("../data/sft_unsettled.safetensors"));
    let (before, after) = sft_approaches_the_grammar(k, &unsettled, (60, 128, 2e-3));
    assert!(before > 0.36 && after < 0.3, "excess over the grammar's entropy: {before} before, {after} after");
}

/// The shipped SFT model on fresh reviews, nats a review above the grammar's entropy.
fn shipped_excess<K: Kernels>(mut k: K) -> f64 {
    let sft = sft();
    let parameters = upload(&mut k, &sft.parameters);
    excess(&mut k, &Network::new(sft.config), &parameters, 2048)
}

#[test]
fn the_shipped_sft_model_is_within_0_3_nats_of_the_grammar_on_the_cpu() {
    let excess = shipped_excess(Cpu::<f32>::new());
    assert!((0.0..0.3).contains(&excess), "{excess} nats a review above the grammar's entropy");
}

#[test]
fn the_shipped_sft_model_is_within_0_3_nats_of_the_grammar_on_the_gpu() {
    let excess = shipped_excess(common::gpu());
    assert!((0.0..0.3).contains(&excess), "{excess} nats a review above the grammar's entropy");
}

#[test]
fn sft_makes_the_base_model_write_reviews_on_the_cpu() {
    sft_makes_the_base_model_write_reviews(Cpu::<f32>::new());
}

#[test]
fn sft_makes_the_base_model_write_reviews_on_the_gpu() {
    sft_makes_the_base_model_write_reviews(common::gpu());
}

#[test]
fn sft_comes_within_0_3_nats_of_the_grammar_on_the_cpu() {
    sft_comes_within_0_3_nats_of_the_grammar(Cpu::<f32>::new());
}

#[test]
fn sft_comes_within_0_3_nats_of_the_grammar_on_the_gpu() {
    sft_comes_within_0_3_nats_of_the_grammar(common::gpu());
}

/// DPO on the shipped SFT model with noise-free labels.
fn dpo_raises_the_gold_reward<K: Kernels>(mut k: K) {
    const STEPS: u64 = 110;
    let (world, sft) = (world(), sft());
    let network = Network::new(sft.config);
    let reference = upload(&mut k, &sft.parameters);
    let settings = DpoSettings {
        beta: 1.0,
        schedule: Schedule { peak: 1.4e-3, floor: 1e-4, warm_up: 20, steps: 2 * STEPS },
        ..DpoSettings::default()
    };
    let labels = LabelSettings { temperature: 0.0, flip_probability: 0.0 };
    let mut data = PreferenceData::new(
        &mut k,
        &network,
        1,
        PreferenceSettings { chunks: 40, labels, ..PreferenceSettings::default() },
    );
    let mut dpo = Dpo::new(&mut k, network.clone(), &sft.parameters, MAX_SEQUENCE - 1, settings);
    let evaluation = EvaluationSettings { samples: 1024, ..EvaluationSettings::default() };
    let mut evaluator = Evaluator::new(&mut k, &network, 256, evaluation);
    pollster::block_on(async {
        let before = evaluator.evaluate(&mut k, &world, &reference, &reference).await.expect("evaluation works");
        for _ in 0..STEPS {
            while data.wants_more(settings.pairs) {
                data.extend(&mut k, &world, &reference).await.expect("generation works");
            }
            let batch = data.next_batch(settings.pairs);
            dpo.step(&mut k, &batch);
            if dpo.learner().steps() == 1 {
                let first = dpo.metrics(&mut k).await.expect("metrics can be read")[0].loss;
                assert!((first - std::f64::consts::LN_2).abs() < 1e-4, "the first loss is {first} instead of ln 2");
            }
        }
        let policy = &dpo.learner().parameters;
        let after = evaluator.evaluate(&mut k, &world, policy, &reference).await.expect("evaluation works");
        assert!(before.kl_per_sequence.abs() < 1e-4, "KL of the reference to itself: {}", before.kl_per_sequence);
        let gain = after.gold_reward - before.gold_reward;
        let half_width = before.gold_reward_half_width.hypot(after.gold_reward_half_width);
        assert!(gain >= 0.15 && gain - half_width > 0.1, "gold reward rose by {gain} ± {half_width}");
        assert!((0.1..4.0).contains(&after.kl_per_sequence), "KL {}", after.kl_per_sequence);
        println!("gain {gain:.3} ± {half_width:.3} at KL {:.2}, k1 {:?}", after.kl_per_sequence, after.estimators);
    });
}

#[test]
fn dpo_learns_on_the_cpu() {
    dpo_raises_the_gold_reward(Cpu::<f32>::new());
}

#[test]
fn dpo_learns_on_the_gpu() {
    dpo_raises_the_gold_reward(common::gpu());
}
