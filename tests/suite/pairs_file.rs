//! Pairs that a model wrote, through a file and back: what is written is read, and is the same.

use std::path::Path;

use klimb::backend::cpu::Cpu;
use klimb::backend::network::Network;
use klimb::experiments::{PAIRS_PER_CHUNK, PreferenceData, PreferenceSettings, model_config};
use klimb::language::upload;
use klimb::model::{Checkpoint, ModelConfig, initial_parameters};
use klimb::world::preferences::{LabelSettings, Pair, from_jsonl, to_jsonl};
use klimb::world::{Vocabulary, World, WorldSettings};
use pollster::block_on;

/// Chunks of pairs of each model and seed. The third of the wide model has an empty completion.
const CHUNKS: usize = 3;

fn shipped(file: &str) -> (ModelConfig, Vec<f32>) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("www/assets").join(file);
    let reference = Checkpoint::from_bytes(&std::fs::read(path).unwrap(), None).unwrap();
    (reference.config, reference.parameters)
}

/// Pairs that a model writes.
fn written_by(
    (config, parameters): &(ModelConfig, Vec<f32>),
    seed: u64,
    labels: LabelSettings,
    world: &World,
) -> Vec<Pair> {
    let (k, network) = (&mut Cpu::<f32>::new(), Network::new(*config));
    let parameters = upload(k, parameters);
    let settings = PreferenceSettings { chunks: CHUNKS, labels, ..PreferenceSettings::default() };
    let mut data = PreferenceData::new(k, &network, seed, settings);
    while data.len() < CHUNKS * PAIRS_PER_CHUNK {
        block_on(data.extend(k, world, &parameters)).expect("the processor fails no read");
    }
    data.pairs().cloned().collect()
}

#[test]
fn what_models_write_is_read_token_for_token() {
    let world = World::new(WorldSettings::default()).unwrap();
    let untrained = model_config(&world, 16).unwrap();
    let models = [
        ("narrow", shipped("sft.safetensors")),
        ("wide", shipped("sft-64.safetensors")),
        // Any word behind any other, an end at once, no end at all, and padding.
        ("untrained", (untrained, initial_parameters(&untrained, 1))),
    ];
    let (mut empty, mut unended, mut padded) = (0, 0, 0);
    for (name, model) in &models {
        for (seed, temperature) in [(1, 0.1), (2, 0.0), (3, 10.0)] {
            let pairs = written_by(model, seed, LabelSettings { temperature, ..LabelSettings::default() }, &world);
            let read = from_jsonl(&world, &to_jsonl(&world, &pairs));
            assert_eq!(read.as_ref(), Ok(&pairs), "{name}, seed {seed}, label temperature {temperature}");
            let completions = || pairs.iter().flat_map(|pair| [&pair.chosen, &pair.rejected]);
            empty += completions().filter(|it| it[..] == [Vocabulary::END]).count();
            padded += completions().filter(|it| it.contains(&Vocabulary::PADDING)).count();
            unended += completions().filter(|it| it.last() != Some(&Vocabulary::END)).count();
        }
    }
    assert!(empty > 0 && unended > 0 && padded > 0, "{empty} empty, {unended} without an end, {padded} with padding");
}
