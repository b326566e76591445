//! The road without an SFT model: pairs that the grammar wrote, and a reference made of their chosen completions.

use klimb::algorithms::Sft;
use klimb::backend::SequenceSize;
use klimb::backend::cpu::Cpu;
use klimb::backend::network::Network;
use klimb::experiments::{PAIRS_PER_CHUNK, PreferenceData, PreferenceSettings, TextSource, Writer, sft_settings};
use klimb::language::{Scorer, Sequence, upload};
use klimb::model::Checkpoint;
use klimb::stats::mean;
use klimb::world::preferences::LabelSettings;
use klimb::world::{MAX_SEQUENCE, World, WorldSettings};
use pollster::block_on;

const NOISE_FREE: LabelSettings = LabelSettings { temperature: 0.0, flip_probability: 0.0 };

fn world() -> World {
    World::new(WorldSettings::default()).expect("the default world is valid")
}

fn base() -> Checkpoint {
    Checkpoint::from_bytes(include_bytes!("../../www/assets/base.safetensors"), None)
        .expect("the shipped checkpoint is valid")
}

#[test]
fn the_grammar_s_pairs_are_reviews_and_the_reference_weighs_them() {
    let (mut k, world, base) = (Cpu::<f32>::new(), world(), base());
    let network = Network::new(base.config);
    let settings =
        PreferenceSettings { chunks: 1, labels: NOISE_FREE, writer: Writer::Grammar, ..PreferenceSettings::default() };
    let mut data = PreferenceData::new(&mut k, &network, 1, settings);
    let parameters = upload(&mut k, &base.parameters);
    block_on(data.extend(&mut k, &world, &parameters)).expect("scoring works");
    assert_eq!(data.len(), PAIRS_PER_CHUNK);
    for pair in data.pairs() {
        for completion in [&pair.chosen, &pair.rejected] {
            let likelihood = world.log_likelihood(&pair.prompt, completion).expect("one of the world's prompts");
            assert!(likelihood.is_finite(), "{}", world.vocabulary().text(completion));
        }
        assert!(pair.chosen_gold >= pair.rejected_gold);
    }
    let batch = data.next_batch(4);
    let size = SequenceSize { batch: 4, length: MAX_SEQUENCE - 1 };
    let mut scorer = Scorer::new(&mut k, network, size);
    let scores = block_on(scorer.sequence_logprobs(&mut k, &parameters, &batch.chosen)).expect("scoring works");
    assert!(scores.iter().zip(&batch.reference_chosen).all(|(score, kept)| (score - kept).abs() < 1e-3), "{scores:?}");
}

#[test]
fn chosen_reviews_are_happier_than_any_and_as_grammatical() {
    let world = world();
    let gold = |text: TextSource| -> f64 {
        let mut text = text;
        mean(&text.batch(&world, 1500).iter().map(|review| world.gold_reward(&review.tokens)).collect::<Vec<f64>>())
    };
    let (any, chosen) = (gold(TextSource::reviews(1)), gold(TextSource::chosen(1, NOISE_FREE)));
    assert!(chosen > any + 0.1, "gold reward {chosen} of the chosen, {any} of any");
    let coins = LabelSettings { temperature: 0.0, flip_probability: 0.5 };
    let tossed = gold(TextSource::chosen(1, coins));
    assert!((tossed - any).abs() < 0.03, "labels of a coin choose nothing: {tossed} and {any}");
}

#[test]
fn a_reference_is_made_of_the_chosen_from_the_base_model() {
    let (mut k, world, base) = (Cpu::<f32>::new(), world(), base());
    let network = Network::new(base.config);
    let fresh: Vec<Sequence> = TextSource::chosen(77, NOISE_FREE).batch(&world, 512);
    let mut scorer = Scorer::new(&mut k, network.clone(), SequenceSize { batch: 128, length: MAX_SEQUENCE - 1 });
    let mut surprise = |k: &mut Cpu<f32>, parameters: &Vec<f32>| {
        -mean(&block_on(scorer.sequence_logprobs(k, parameters, &fresh)).expect("scoring works"))
    };
    let before = surprise(&mut k, &base.parameters);
    let mut settings = sft_settings(120);
    settings.batch = 48;
    let mut reference = Sft::new(&mut k, network, &base.parameters, MAX_SEQUENCE - 1, settings);
    let mut text = TextSource::chosen(1, NOISE_FREE);
    for _ in 0..120 {
        let chosen = text.batch(&world, settings.batch);
        reference.step(&mut k, &chosen);
    }
    let after = surprise(&mut k, &reference.learner().parameters);
    assert!(after < before - 1.0, "{before} nats a chosen review before, {after} after");
}
