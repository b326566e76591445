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

const PAIR: &str = r#"{"prompt":"the plot","chosen":"was superb .","rejected":"was dull ."}"#;

/// A chat's message.
fn said(role: &str, text: &str) -> String {
    format!(r#"{{"role":"{role}","content":"{text}","name":null}}"#)
}

/// The same pair in every form that other programs give it.
#[test]
fn the_forms_of_other_programs_are_read_and_mean_the_same() {
    let world = World::new(WorldSettings::default()).unwrap();
    let read = |text: &str| from_jsonl(&world, text).unwrap_or_else(|error| panic!("{text}: {error}"));
    let one = read(PAIR);
    assert_eq!(one.len(), 1);
    let (question, best, worst) =
        (said("user", "the plot"), said("assistant", "was superb ."), said("assistant", "was dull ."));
    for text in [
        format!("\u{feff}{PAIR}\r\n\u{feff}\r\n"),
        format!("[{PAIR}]"),
        format!("\u{feff} [\n  {PAIR}\n]\n"),
        PAIR.replace('}', r#","chosen_truncated":null,"rejected_truncated":false,"id":1.5e3}"#),
        format!(r#"{{"prompt":[{question}],"chosen":[{best}],"rejected":[{worst}]}}"#),
        PAIR.replace(r#""the plot""#, r#"[{"role":"user","content":[{"type":"text","text":"the plot"}]}]"#),
        PAIR.replace(
            r#""the plot""#,
            r#"[{"role":"user","content":[{"type":"text","text":"the"},{"type":"text","text":"plot"}]}]"#,
        ),
        format!(r#"{{"prompt":"the plot","chosen":[{question},{best}],"rejected":[{question},{worst}]}}"#),
        format!(r#"{{"chosen":[{question},{best}],"rejected":[{question},{worst}],"prompt":null}}"#),
    ] {
        assert_eq!(read(&text), one, "{text}");
    }
    assert_eq!(read(&format!("{PAIR}\n\u{feff}{PAIR}")).len(), 2, "files put one behind the other");
    assert_eq!(read(&format!("[{PAIR},{PAIR}]")).len(), 2);
}

#[test]
fn what_is_no_pair_is_refused_by_place_field_and_form() {
    let world = World::new(WorldSettings::default()).unwrap();
    let (question, best) = (said("user", "the plot"), said("assistant", "was superb ."));
    let chat = |prompt: &str, chosen: &str| {
        format!(
            r#"{PAIR}
{{"prompt":[{prompt}],"chosen":[{chosen}],"rejected":"was dull ."}}"#
        )
    };
    let system = said("system", "be kind");
    for (text, words) in [
        (PAIR.replace(r#""chosen":"#, r#""prompt":"the music","chosen":"#), "line 1: `prompt` stands in it twice"),
        (format!("{PAIR}\n{}", PAIR.replace("\"was dull .\"", "null")), "line 2: it has no `rejected`"),
        (format!("[{PAIR},{}]", PAIR.replace("\"the plot\"", "7")), "pair 2, field `prompt`: a number stands"),
        (format!("[{PAIR},7]"), "pair 2: it is a number"),
        (format!("[{PAIR}"), "line 1: "),
        ("[]".into(), "there is no pair"),
        (format!("{PAIR}\n\"{{}}\""), "line 2: it is a text"),
        (format!("{PAIR}\n[{PAIR}]"), "line 2: it is a list"),
        (PAIR.replace('}', r#","chosen_truncated":1}"#), "`chosen_truncated`: a number stands where true or false"),
        (
            chat(&format!("{system},{question}"), &best),
            "field `prompt`: messages in this conversation: 2 (system, user)",
        ),
        (chat(&question, &format!("{question},{best},{question}")), "`chosen`: messages in this conversation: 3"),
        (chat(&best, &best), "`prompt`: messages in this conversation: 1 (assistant)"),
        (chat(&question, ""), "`chosen`: messages in this conversation: 0"),
        (chat(&question, &format!("{},{best}", said("user", "the music"))), "`chosen`: the question in it is not"),
        (PAIR.replace("the plot", &"é".repeat(100_000)), "the world has no word for"),
        (PAIR.replace("the plot", "\\ud800"), "half a letter"),
        (PAIR.replace('}', ",\"score\":1e400}"), "too large a number"),
    ] {
        let told = from_jsonl(&world, &text).unwrap_err().to_string();
        assert!(told.contains(words) && told.len() < 500, "{words:?} is not in: {told}");
    }
}
