//! Pairs in a file, as a person would label them: every method on pairs trains on them, and so does the road over a
//! reward model to PPO.

use std::path::Path;

use klimb::metrics::METHODS;
use klimb::model::Checkpoint;

use super::{folder, klimb, tiny_reference};

fn trained(path: &Path) -> Checkpoint {
    Checkpoint::from_bytes(&std::fs::read(path).unwrap(), None).unwrap()
}

#[test]
fn methods_train_on_a_file_as_on_the_pairs_it_was_written_from() {
    let folder = folder("preferences");
    let sft = tiny_reference(&folder);
    let sft = sft.to_str().unwrap();
    let path = |name: &str| folder.join(name).to_str().unwrap().to_owned();
    let (file, made, given) = (path("pairs.jsonl"), path("made.safetensors"), path("given.safetensors"));
    klimb(["pairs", "--from", sft, "--written-by", "grammar", "--count", "192", "--out", &file]).ended(0);
    let short = ["--from", sft, "--steps", "5", "--batch", "48", "--samples", "16"];
    for info in METHODS.iter().filter(|info| info.method.learns_from_pairs()) {
        let method = info.file_name.replace('_', "-");
        let run = |more: &[&str]| klimb([method.as_str()].iter().chain(&short).chain(more));
        run(&["--pairs", "192", "--written-by", "grammar", "--out", &made]).ended(0);
        run(&["--preferences", &file, "--out", &given]).ended(0);
        let (made, given) = (trained(Path::new(&made)), trained(Path::new(&given)));
        let apart = made.parameters.iter().zip(&given.parameters).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
        assert!(apart < 1e-5, "{method}: {apart} apart");
        assert_ne!(made.parameters, trained(Path::new(sft)).parameters, "{method} moved");
    }
    let flipped = path("flipped.safetensors");
    let run = |more: &[&str]| klimb(["dpo"].iter().chain(&short).chain(&["--preferences", &file]).chain(more));
    run(&["--flip-probability", "0.5", "--out", &flipped]).ended(0);
    assert_ne!(trained(Path::new(&flipped)).parameters, trained(Path::new(&given)).parameters);
    for conflict in [&["--pairs", "192"][..], &["--written-by", "grammar"], &["--label-temperature", "0.2"]] {
        let said = run(&[conflict, &["--out", &flipped]].concat()).ended(2).error;
        assert!(said.contains("cannot be used with") && said.contains(conflict[0]), "{said}");
    }

    // A reward model of the same file, and PPO on its score.
    let (judge, ppo) = (path("judge.safetensors"), path("ppo.safetensors"));
    let more = ["--flip-probability", "0.1", "--batch", "16", "--out", &judge];
    klimb(["reward-model", "--from", sft, "--preferences", &file].iter().chain(&more)).ended(0);
    klimb(["ppo", "--from", sft, "--reward", &judge, "--rollouts", "1", "--samples", "16", "--out", &ppo]).ended(0);
    assert_eq!(trained(Path::new(&ppo)).stage, "ppo");

    std::fs::write(&file, "").unwrap();
    run(&["--out", &flipped]).refused("no pair in it");
    std::fs::write(&file, "{\"prompt\": \"the plot\", \"chosen\": \"was zorgian .\", \"rejected\": \"was dull .\"}")
        .unwrap();
    run(&["--out", &flipped]).refused("line 1, field `chosen`");
}
