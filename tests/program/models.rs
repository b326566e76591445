//! `pretrain`, `sft`, `dpo`, `sample` and `pairs` on tiny models, and Ctrl-C.

use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};

use klimb::model::Checkpoint;
use serde_json::Value;

use super::{folder, klimb, program, tiny_reference};

#[test]
fn models_are_trained_sampled_and_judged() {
    let folder = folder("models");
    let sft = tiny_reference(&folder);
    let sft = sft.to_str().unwrap();
    let checkpoint = Checkpoint::from_bytes(&std::fs::read(sft).unwrap(), None).unwrap();
    assert_eq!((checkpoint.stage.as_str(), checkpoint.step, checkpoint.config.width), ("sft", 2, 16));

    let dpo = folder.join("dpo.safetensors");
    let dpo = dpo.to_str().unwrap();
    let short = ["--steps", "3", "--batch", "8", "--pairs", "384", "--samples", "16", "--evaluate-every", "2"];
    let out = klimb(["dpo", "--from", sft, "--out", dpo].iter().chain(&short)).ended(0).out;
    let steps: Vec<&str> = out.lines().filter_map(|line| line.split_whitespace().next()).collect();
    assert_eq!(steps[..4], ["step", "0", "2", "3"], "{out}");
    let trained = Checkpoint::from_bytes(&std::fs::read(dpo).unwrap(), None).unwrap();
    assert_eq!((trained.stage.as_str(), trained.step), ("dpo", 3));
    assert_ne!(trained.parameters, checkpoint.parameters);

    for (command, stage) in [("unlikelihood", "unlikelihood"), ("preferred-ft", "preferred_ft")] {
        let other = folder.join(format!("{stage}.safetensors"));
        klimb([command, "--from", sft, "--out", other.to_str().unwrap()].iter().chain(&short)).ended(0);
        let trained = Checkpoint::from_bytes(&std::fs::read(other).unwrap(), None).unwrap();
        assert_eq!((trained.stage.as_str(), trained.step), (stage, 3));
    }
    let out = klimb(["best-of-n", "--from", sft, "--largest", "4", "--samples", "16"]).ended(0).out;
    let counts: Vec<&str> = out.lines().skip(1).filter_map(|line| line.split_whitespace().next()).collect();
    assert_eq!(counts, ["2", "4"], "{out}");

    let out = klimb(["sample", "--from", dpo, "--json", "--count", "5"]).ended(0).out;
    for line in out.lines() {
        let sample: Value = serde_json::from_str(line).unwrap();
        let text = format!("{} {}", sample["prompt"].as_str().unwrap(), sample["completion"].as_str().unwrap());
        let scored: Value = serde_json::from_str(&klimb(["score", "--json", &text]).ended(0).out).unwrap();
        assert_eq!(sample["compound"], scored["compound"], "{text}");
        let gold = if sample["ended"] == true { scored["gold_reward"].clone() } else { Value::from(0.0) };
        assert_eq!(sample["gold_reward"], gold, "{text}");
    }
    assert_eq!(out.lines().count(), 5);

    let out = klimb(["pairs", "--from", sft, "--count", "7"]).ended(0).out;
    assert_eq!(out.lines().count(), 7);
    for line in out.lines() {
        let pair: Value = serde_json::from_str(line).unwrap();
        assert!(["prompt", "chosen", "rejected"].iter().all(|field| pair[field].is_string()), "{line}");
    }
    assert_eq!(klimb(["pairs", "--from", sft, "--count", "7"]).ended(0).out, out, "the same seed gives the same pairs");
}

#[test]
fn the_same_arguments_give_the_same_file() {
    let (one, other) = (folder("same-1"), folder("same-2"));
    assert_eq!(std::fs::read(tiny_reference(&one)).unwrap(), std::fs::read(tiny_reference(&other)).unwrap());
}

#[test]
fn what_cannot_be_used_is_refused_before_the_work() {
    let folder = folder("refused");
    let sft = tiny_reference(&folder);
    let bytes = std::fs::read(&sft).unwrap();
    let sft = sft.to_str().unwrap();
    let out = folder.join("out.safetensors");
    let out = out.to_str().unwrap();
    let cut = folder.join("cut.safetensors");
    std::fs::write(&cut, &bytes[..bytes.len() - 5]).unwrap();
    klimb(["sample", "--from", cut.to_str().unwrap()]).refused("cut off");
    klimb(["dpo", "--from", "nowhere.safetensors", "--out", out]).refused("no such file");
    klimb(["dpo", "--from", sft, "--out", out, "--beta", "0"]).refused("beta");
    klimb(["dpo", "--from", sft, "--out", out, "--beta", "NaN"]).refused("beta");
    klimb(["dpo", "--from", sft, "--out", out, "--samples", "1"]).refused("samples");
    klimb(["dpo", "--from", sft, "--out", out, "--loss", "loud"]).ended(2);
    klimb(["unlikelihood", "--from", sft, "--out", out, "--alpha", "1.5"]).refused("alpha");
    klimb(["unlikelihood", "--from", sft, "--out", out, "--learning-rate", "-1"]).refused("learning rate");
    klimb(["preferred-ft", "--from", sft, "--out", out, "--steps", "0"]).refused("steps");
    klimb(["best-of-n", "--from", sft, "--samples", "1"]).refused("samples");
    klimb(["dpo", "--from", sft, "--out", "nowhere/out.safetensors"]).refused("no such folder");
    klimb(["pretrain", "--width", "30", "--out", out]).refused("heads");
    klimb(["pretrain", "--width", "9999999", "--out", out]).refused("width");
    klimb(["pairs", "--from", sft, "--label-temperature", "-1"]).refused("temperature");
    klimb(["sample", "--from", sft, "--prompt", "a zorgian film"]).refused("zorgian");
    klimb(["sample", "--from", sft, "--prompt", " "]).refused("at least one word");
    klimb(["sample", "--from", sft, "--prompt", &"film ".repeat(40)]).refused("words");
    klimb(["sample", "--from", sft, "--temperature", "-1"]).refused("temperature");
    assert!(!folder.join("out.safetensors").exists());
}

#[cfg(unix)]
#[test]
fn ctrl_c_writes_what_was_learned() {
    let out = folder("interrupted").join("base.safetensors");
    let mut child = program()
        .args(["pretrain", "--width", "16", "--steps", "1000000", "--out", out.to_str().unwrap()])
        .stderr(Stdio::piped())
        .stdout(Stdio::null())
        .spawn()
        .expect("the program was built");
    // Its first line says that it listens.
    let mut line = String::new();
    BufReader::new(child.stderr.as_mut().unwrap()).read_line(&mut line).unwrap();
    assert!(line.contains("parameters"), "{line}");
    let status = Command::new("kill").args(["-INT", &child.id().to_string()]).status().expect("kill is there");
    assert!(status.success());
    assert_eq!(child.wait().unwrap().code(), Some(130));
    let checkpoint = Checkpoint::from_bytes(&std::fs::read(out).unwrap(), None).unwrap();
    assert!(checkpoint.step < 1_000_000);
}
