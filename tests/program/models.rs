//! `pretrain`, `sft`, `dpo`, `ppo`, `reward-model`, `sample` and `pairs` on tiny models, and Ctrl-C.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use klimb::metrics::METHODS;
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

    for stage in METHODS.iter().filter(|info| info.method.learns_from_pairs()).map(|info| info.file_name) {
        let command = stage.replace('_', "-");
        let other = folder.join(format!("{stage}-again.safetensors"));
        klimb([&command, "--from", sft, "--out", other.to_str().unwrap()].iter().chain(&short)).ended(0);
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
fn a_policy_is_trained_by_ppo_with_the_gold_reward_and_with_a_reward_model() {
    let folder = folder("ppo");
    let sft = tiny_reference(&folder);
    let sft = sft.to_str().unwrap();
    let path = |name: &str| folder.join(name).to_str().unwrap().to_owned();
    let (gold, learned, judge) = (path("gold.safetensors"), path("learned.safetensors"), path("judge.safetensors"));

    let short = ["--rollouts", "3", "--samples", "16", "--evaluate-every", "2"];
    let ppo = |out: &str, more: &[&str]| {
        klimb(["ppo", "--from", sft, "--out", out].iter().chain(&short).chain(more)).ended(0).out
    };
    let out = ppo(&gold, &["--value", "shared", "--value-clip", "1", "--entropy", "0.01"]);
    let steps: Vec<&str> = out.lines().filter_map(|line| line.split_whitespace().next()).collect();
    assert_eq!(steps[..4], ["step", "0", "32", "48"], "{out}");
    let trained = |path: &str| Checkpoint::from_bytes(&std::fs::read(path).unwrap(), None).unwrap();
    let (policy, reference) = (trained(&gold), trained(sft));
    assert_eq!((policy.stage.as_str(), policy.step, policy.head), ("ppo-gt", 48, false));
    assert_eq!(policy.parameters.len(), reference.parameters.len(), "the value's head is no part of the policy");
    assert_ne!(policy.parameters, reference.parameters);

    klimb(["reward-model", "--from", sft, "--pairs", "384", "--batch", "16", "--out", &judge]).ended(0);
    ppo(&learned, &["--reward", &judge, "--target-kl", "3", "--ptx", "0.1", "--whiten-rewards"]);
    let policy = trained(&learned);
    assert_eq!((policy.stage.as_str(), policy.head), ("ppo", false));
    let best = |more: &[&str]| {
        klimb(["best-of-n", "--from", sft, "--largest", "8", "--samples", "16"].iter().chain(more)).ended(0).out
    };
    let reward = |out: &str| out.lines().last().unwrap().split_whitespace().nth(5).unwrap().parse::<f64>().unwrap();
    let (by_gold, by_score) = (best(&[]), best(&["--reward", &judge]));
    assert!(reward(&by_score) <= reward(&by_gold), "by gold {by_gold}, by score {by_score}");
    assert_ne!(by_score, by_gold);
    klimb(["best-of-n", "--from", sft, "--reward", sft]).refused("language model");
    klimb(["ppo", "--from", sft, "--out", &gold, "--reward", sft]).refused("language model");
    klimb(["ppo", "--from", sft, "--out", &gold, "--beta", "-1"]).refused("beta");
}

#[test]
fn a_reward_model_is_trained_and_scores_texts() {
    let folder = folder("reward-model");
    let sft = tiny_reference(&folder);
    let sft = sft.to_str().unwrap();
    let path = |name: &str| folder.join(name).to_str().unwrap().to_owned();
    let (made, repeated, labelled) = (path("made.safetensors"), path("repeated.safetensors"), path("labelled.jsonl"));

    let short = ["reward-model", "--from", sft, "--pairs", "384", "--batch", "16", "--validate-every", "10"];
    let out = klimb(short.iter().copied().chain(["--out", &made])).ended(0).out;
    let steps: Vec<&str> = out.lines().filter_map(|line| line.split_whitespace().next()).collect();
    // 384 pairs less six or seven of 64 instances, twice, in batches of 16.
    assert_eq!(steps[..6], ["step", "10", "20", "30", "40", "43"], "{out}");
    for words in ["confidence", "to mean 0 under the reference", "not rescaled", "reward_model after"] {
        assert!(out.contains(words), "{words:?} is not in {out}");
    }
    let reward_model = Checkpoint::from_bytes(&std::fs::read(&made).unwrap(), None).unwrap();
    assert_eq!((reward_model.stage.as_str(), reward_model.head), ("reward_model", true));
    klimb(short.iter().copied().chain(["--out", &repeated])).ended(0);
    assert!(std::fs::read(&made).unwrap() == std::fs::read(&repeated).unwrap(), "the same arguments, the same file");

    let texts = ["the acting in this film was superb .", "the plot was dull ."];
    let out = klimb(["score", "--json", "--reward-model", &made].iter().chain(&texts)).ended(0).out;
    let scores: Vec<f64> =
        out.lines().map(|line| serde_json::from_str::<Value>(line).unwrap()["score"].as_f64().unwrap()).collect();
    assert!(scores.len() == 2 && scores[0] != scores[1], "{scores:?}");
    assert!(klimb(["score", "--reward-model", &made, texts[0]]).ended(0).out.contains("reward model"));
    klimb(["score", "--reward-model", &made, "a zorgian film"]).refused("zorgian");
    klimb(["score", "--reward-model", sft, texts[0]]).refused("without a scalar head");
    klimb(["sample", "--from", &made]).refused("judges texts and writes none");

    // A person's pairs: twenty copies of two opinions, which even two steps of a tiny model get right.
    let line = |prompt: &str| {
        format!("{{\"prompt\": \"{prompt}\", \"chosen\": \"was superb .\", \"rejected\": \"was dull .\"}}\n")
    };
    let pairs: String = ["the plot", "the music", "the acting in this film"].map(|it| line(it).repeat(20)).concat();
    std::fs::write(&labelled, pairs).unwrap();
    let mine = path("mine.safetensors");
    let arguments = ["--preferences", &labelled, "--epochs", "20", "--batch", "8", "--out", &mine];
    klimb(["reward-model", "--from", sft].iter().chain(&arguments)).ended(0);
    let opinions = ["the plot was superb .", "the plot was dull ."];
    let out = klimb(["score", "--json", "--reward-model", &mine].iter().chain(&opinions)).ended(0).out;
    let scores: Vec<f64> =
        out.lines().map(|line| serde_json::from_str::<Value>(line).unwrap()["score"].as_f64().unwrap()).collect();
    assert!(scores[0] > scores[1] + 1.0, "{scores:?}");
    std::fs::write(&labelled, line("the plot")).unwrap();
    klimb(["reward-model", "--from", sft].iter().chain(&arguments)).refused("another prompt");
    klimb(["reward-model", "--from", sft, "--out", &mine, "--validation-share", "1"]).refused("validation_share");
    klimb(["reward-model", "--from", sft, "--out", &mine, "--epochs", "0"]).refused("epochs");
}

#[test]
fn the_same_arguments_give_the_same_file() {
    let (one, other) = (folder("same-1"), folder("same-2"));
    assert_eq!(std::fs::read(tiny_reference(&one)).unwrap(), std::fs::read(tiny_reference(&other)).unwrap());
}

#[test]
fn noise_changes_the_text_that_models_learn_from_and_its_default_does_not() {
    let folder = folder("noise");
    let tiny = ["pretrain", "--width", "16", "--layers", "1", "--heads", "2", "--steps", "2"];
    let made = |command: &[&str], name: &str, noise: &[&str]| {
        let out = folder.join(name);
        klimb(command.iter().chain(noise).chain(&["--out", out.to_str().unwrap()])).ended(0);
        out
    };
    let read = |path: &std::path::Path| std::fs::read(path).unwrap();
    let [default, same, clean] = [&[][..], &["--noise", "0.03"], &["--noise", "0"]];
    let base = made(&tiny, "base", default);
    assert!(read(&base) == read(&made(&tiny, "base-3", same)), "3 % is the default");
    assert!(read(&base) != read(&made(&tiny, "base-0", clean)));
    for more in [&[][..], &["--from-chosen"]] {
        let tiny = [&["sft", "--steps", "2", "--from", base.to_str().unwrap()][..], more].concat();
        let sft = read(&made(&tiny, "sft", default));
        assert!(sft == read(&made(&tiny, "sft-3", same)), "3 % is the default");
        assert!(sft != read(&made(&tiny, "sft-0", clean)), "{more:?}");
    }
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
    klimb(["pretrain", "--width", "30", "--out", out]).refused("width: 30 is not a multiple of 4");
    klimb(["pretrain", "--noise", "0.6", "--out", out]).refused("noise");
    klimb(["sft", "--noise", "-0.1", "--out", out]).refused("noise");
    klimb(["pretrain", "--width", "9999999", "--out", out]).refused("width");
    klimb(["pairs", "--from", sft, "--label-temperature", "-1"]).refused("temperature");
    klimb(["sample", "--from", sft, "--prompt", "a zorgian film"]).refused("zorgian");
    klimb(["sample", "--from", sft, "--prompt", " "]).refused("at least one word");
    klimb(["sample", "--from", sft, "--prompt", &"film ".repeat(40)]).refused("words");
    klimb(["sample", "--from", sft, "--temperature", "-1"]).refused("temperature");
    assert!(!folder.join("out.safetensors").exists());
}

/// Reads lines of `from` until one that has `words` in it.
#[cfg(unix)]
fn read_until(from: &mut impl BufRead, words: &str) {
    let mut line = String::new();
    while !line.contains(words) {
        line.clear();
        assert!(from.read_line(&mut line).unwrap() > 0, "it ended without saying {words:?}");
    }
}

#[cfg(unix)]
fn send(signal: &str, to: &Child) {
    let status = Command::new("kill").args([signal, &to.id().to_string()]).status().expect("kill is there");
    assert!(status.success(), "{signal} reached nobody");
}

/// A long training told to end by signals, once it listens. How it ended, and the step it came to.
#[cfg(unix)]
fn ended_by(mut command: Command, signals: &[&str], (steps, width): (u64, &str), out: &Path) -> (Option<i32>, u64) {
    let mut child = command
        .args(["pretrain", "--width", width, "--steps", &steps.to_string(), "--out", out.to_str().unwrap()])
        .stderr(Stdio::piped())
        .stdout(Stdio::null())
        .spawn()
        .expect("the program was built");
    // Its first line says that it listens.
    let mut error = BufReader::new(child.stderr.take().unwrap());
    read_until(&mut error, "parameters");
    for (index, signal) in signals.iter().enumerate() {
        if index > 0 {
            read_until(&mut error, "stopping behind this step");
        }
        send(signal, &child);
    }
    let code = child.wait().unwrap().code();
    (code, Checkpoint::from_bytes(&std::fs::read(out).unwrap(), None).unwrap().step)
}

#[cfg(unix)]
#[test]
fn ctrl_c_writes_what_was_learned_and_so_does_a_system_that_ends() {
    let out = folder("interrupted").join("base.safetensors");
    for signal in ["-INT", "-TERM"] {
        let (code, step) = ended_by(program(), &[signal], (1_000_000, "16"), &out);
        assert!(code == Some(130) && step < 1_000_000, "{signal}: {code:?} after {step} steps");
    }
}

/// The terminal goes away, and under `nohup` that is nothing to the program.
#[cfg(target_os = "linux")]
#[test]
fn a_hangup_writes_what_was_learned_unless_it_is_to_be_outlived() {
    let out = folder("hung-up").join("base.safetensors");
    let with = |option: &str| {
        let mut command = Command::new("env");
        command.arg(option).arg(program().get_program());
        command
    };
    // A shell passes on what it was told, and ends: its programs in front of the terminal are told twice. A wide model's step
    // is long enough for that.
    for (signals, width) in [(&["-HUP"][..], "16"), (&["-HUP", "-HUP"], "128")] {
        let (code, step) = ended_by(with("--default-signal=HUP"), signals, (1_000_000, width), &out);
        assert!(code == Some(130) && step < 1_000_000, "{signals:?}: {code:?} after {step} steps");
        std::fs::remove_file(&out).unwrap();
    }
    assert_eq!(ended_by(with("--ignore-signal=HUP"), &["-HUP"], (40, "16"), &out), (Some(0), 40));
}

/// What has begun is long: a batch of thousands of pairs, which have to be made first.
#[cfg(unix)]
#[test]
fn who_asks_a_second_time_need_not_wait() {
    let folder = folder("impatient");
    let (sft, out) = (tiny_reference(&folder), folder.join("policy.safetensors"));
    for [first, second] in [["-INT", "-INT"], ["-TERM", "-TERM"], ["-INT", "-TERM"], ["-HUP", "-TERM"]] {
        let long = ["--batch", "4096", "--steps", "1", "--pairs", "400000", "--out"];
        let mut command = Command::new("env");
        command.arg("--default-signal=HUP").arg(program().get_program()).args(["dpo", "--from", sft.to_str().unwrap()]);
        command.args(long).arg(&out).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().expect("the program was built");
        read_until(&mut BufReader::new(child.stdout.take().unwrap()), "loss");
        send(first, &child);
        read_until(&mut BufReader::new(child.stderr.take().unwrap()), "stopping behind this step");
        send(second, &child);
        assert_eq!(child.wait().unwrap().code(), Some(130), "{first}, {second}");
        assert!(!out.exists(), "{first}, {second}: it waited");
    }
}
