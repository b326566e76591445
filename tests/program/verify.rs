//! `verify`: other program's numbers, right, wrong and broken.

use std::path::{Path, PathBuf};

use klimb::experiments::verify::{ObjectiveReference, Reference, SentimentReference};
use klimb::rng::Generator;
use serde_json::{Value, json};

use super::{Answer, folder, klimb};

const TRANSFORMER: &[u8] = include_bytes!("../data/transformer_small.json");
const PARAMETERS: &[u8] = include_bytes!("../data/transformer_small.params.f32");
const BATCHES: &[u8] = include_bytes!("../data/transformer_small.batches.i32");
const OBJECTIVES: &[u8] = include_bytes!("../data/objectives.json");
const SENTIMENT: &[u8] = include_bytes!("../data/vader.json");

/// Three files of one transformer in a folder of their own.
fn transformer(name: &str, json: &[u8], parameters: &[u8], batches: &[u8]) -> PathBuf {
    let folder = folder(name);
    write(&folder.join("x.params.f32"), parameters);
    write(&folder.join("x.batches.i32"), batches);
    write(&folder.join("x.json"), json);
    folder.join("x.json")
}

fn write(path: &Path, bytes: &[u8]) {
    std::fs::write(path, bytes).expect("a file can be written");
}

fn verify(flag: &str, path: &Path) -> Answer {
    klimb(["verify", flag, path.to_str().unwrap()])
}

/// The file with `value` at `pointer`.
fn changed(file: &[u8], pointer: &str, value: Value) -> Vec<u8> {
    let mut json: Value = serde_json::from_slice(file).unwrap();
    *json.pointer_mut(pointer).unwrap_or_else(|| panic!("no {pointer} in the data")) = value;
    json.to_string().into_bytes()
}

fn shifted(file: &[u8], pointer: &str, by: f64) -> Vec<u8> {
    let json: Value = serde_json::from_slice(file).unwrap();
    changed(file, pointer, json!(json.pointer(pointer).unwrap().as_f64().unwrap() + by))
}

#[test]
fn right_numbers_are_confirmed_with_a_table() {
    let data = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data");
    let out = verify("--reference", &data.join("transformer_small.json")).ended(0).out;
    for part in ["step-0 loss", "step-0 log-probabilities", "gradient of l1.w2", "20 AdamW steps", "all 32 quantities"]
    {
        assert!(out.contains(part), "{part} is not in\n{out}");
    }
    let objectives = data.join("objectives.json");
    let sentiment = data.join("vader.json");
    let both = ["verify", "--objectives", objectives.to_str().unwrap(), "--sentiment", sentiment.to_str().unwrap()];
    let out = klimb(both).ended(0).out;
    for part in ["PPO dvalues", "GAE", "Bradley-Terry", "compound of 600 texts"] {
        assert!(out.contains(part), "{part} is not in\n{out}");
    }
}

#[test]
fn wrong_numbers_are_found_and_named() {
    for (pointer, by, named) in [
        ("/step0_loss", 2e-5, "step-0 loss"),
        ("/step0_logprobs_row0/3", 3e-5, "step-0 log-probabilities"),
        ("/step0_gradients/l0.w1/first/2", 1e-3, "gradient of l0.w1"),
        ("/adamw_losses/19", 2e-3, "20 AdamW steps"),
    ] {
        let json = shifted(TRANSFORMER, pointer, by);
        let out = verify("--reference", &transformer("wrong", &json, PARAMETERS, BATCHES)).ended(1).out;
        let line = out.lines().find(|line| line.contains("TOO LARGE")).unwrap_or_else(|| panic!("{pointer}: {out}"));
        assert!(line.contains(named), "{pointer}: {line}");
    }
    let folder = folder("wrong");
    let path = folder.join("objectives.json");
    write(&path, &shifted(OBJECTIVES, "/gae/1/advantages/0/0", 1e-8));
    verify("--objectives", &path).ended(1);
    // Values that are never clipped are other numbers, where some were.
    write(&path, &changed(OBJECTIVES, "/ppo/value_clip_range", json!(null)));
    assert!(verify("--objectives", &path).ended(1).out.contains("PPO value loss"));
    let path = folder.join("sentiment.json");
    write(&path, &shifted(SENTIMENT, "/examples/7/compound", 2e-4));
    let out = verify("--sentiment", &path).ended(1).out;
    let json: Value = serde_json::from_slice(SENTIMENT).unwrap();
    assert!(out.contains(json["examples"][7]["text"].as_str().unwrap()), "the text is not named in\n{out}");
}

#[test]
fn unusable_files_are_refused_in_a_sentence() {
    verify("--reference", Path::new("nowhere/x.json")).refused("there is no such file");
    verify("--sentiment", Path::new(env!("CARGO_MANIFEST_DIR"))).refused("folder");
    let broken = |json: &[u8]| verify("--reference", &transformer("broken", json, PARAMETERS, BATCHES));
    broken(&TRANSFORMER[..TRANSFORMER.len() / 2]).refused("format");
    broken(b"").refused("format");
    broken(b"[]").refused("format");
    broken(&changed(TRANSFORMER, "/cfg/D", json!(u64::MAX))).refused("width");
    broken(&changed(TRANSFORMER, "/cfg/B", json!(u64::MAX / 2))).refused("nb");
    broken(&changed(TRANSFORMER, "/cfg/H", json!(5))).refused("heads");
    broken(&changed(TRANSFORMER, "/cfg/H", json!(-4))).refused("format");
    broken(&changed(TRANSFORMER, "/nb", json!(0))).refused("batches");
    broken(&changed(TRANSFORMER, "/adamw_losses", json!([]))).refused("adamw_losses");
    broken(&changed(TRANSFORMER, "/step0_logprobs_row0", json!([0.5]))).refused("step0_logprobs_row0");
    broken(&changed(TRANSFORMER, "/step0_gradients", json!({}))).refused("wte");
    broken(&changed(TRANSFORMER, "/spec/2/0", json!("other"))).refused("spec");
    broken(&changed(TRANSFORMER, "/optimiser", json!({"lr": 1e-3}))).refused("b1");
    let sizes = |parameters: &[u8], batches: &[u8]| {
        verify("--reference", &transformer("sizes", TRANSFORMER, parameters, batches))
    };
    sizes(&PARAMETERS[..PARAMETERS.len() - 1], BATCHES).refused("bytes of parameters");
    sizes(PARAMETERS, &BATCHES[4..]).refused("bytes of batches");
    let mut not_a_number = PARAMETERS.to_vec();
    not_a_number[400..404].copy_from_slice(&f32::NAN.to_le_bytes());
    sizes(&not_a_number, BATCHES).refused("finite");
    let mut beyond = BATCHES.to_vec();
    beyond[..4].copy_from_slice(&(-1i32).to_le_bytes());
    sizes(PARAMETERS, &beyond).refused("token");
    let alone = folder("alone").join("x.json");
    write(&alone, TRANSFORMER);
    verify("--reference", &alone).refused("x.params.f32");
}

/// Whatever stands in a file, it is used or refused; a panic fails the test.
#[test]
fn no_file_makes_it_panic() {
    for file in [TRANSFORMER, OBJECTIVES, SENTIMENT] {
        for cut in (0..file.len()).step_by(file.len() / 60) {
            assert!(Reference::from_bytes(&file[..cut], PARAMETERS, BATCHES).is_err());
            assert!(ObjectiveReference::from_json(&file[..cut]).is_err());
            assert!(SentimentReference::from_json(&file[..cut]).is_err());
        }
    }
    let replacements = [
        json!(null),
        json!(-1),
        json!(0),
        json!(u64::MAX),
        json!(1e308),
        json!([]),
        json!([[], [1.0]]),
        json!({}),
        json!("x"),
    ];
    let mut generator = Generator::new(1, "broken files");
    let mut used = 0;
    for file in [TRANSFORMER, OBJECTIVES, SENTIMENT] {
        for _ in 0..400 {
            let mut json: Value = serde_json::from_slice(file).unwrap();
            *any_place(&mut json, &mut generator) = replacements[generator.below(replacements.len())].clone();
            let bytes = json.to_string().into_bytes();
            used += usize::from(Reference::from_bytes(&bytes, PARAMETERS, BATCHES).is_ok());
            used += ObjectiveReference::from_json(&bytes).map_or(0, |reference| reference.check().len().min(1));
            used += SentimentReference::from_json(&bytes).map_or(0, |reference| reference.check().len().min(1));
        }
    }
    assert!(used > 0, "every change was refused, so nothing was tried");
}

/// A random value somewhere in the tree.
fn any_place<'a>(json: &'a mut Value, generator: &mut Generator) -> &'a mut Value {
    let children = match json {
        Value::Array(items) => items.len(),
        Value::Object(fields) => fields.len(),
        _ => 0,
    };
    if children == 0 || generator.uniform() < 0.2 {
        return json;
    }
    let index = generator.below(children);
    let child = match json {
        Value::Array(items) => &mut items[index],
        Value::Object(fields) => fields.values_mut().nth(index).unwrap(),
        _ => unreachable!("a value without children was answered above"),
    };
    any_place(child, generator)
}
