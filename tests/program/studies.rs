//! `winrate`, `scaling`, `hack` and `compare`, on tiny models: what they leave on disk, and what they refuse.

use std::path::Path;

use klimb::model::Checkpoint;
use serde_json::Value;

use super::{folder, klimb, tiny_reference};

fn text(path: &Path) -> String {
    std::fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// The records of a CSV file without its header, each split at its commas.
fn records(path: &Path) -> Vec<Vec<String>> {
    text(path).lines().skip(1).map(|line| line.split(',').map(str::to_owned).collect()).collect()
}

fn number(record: &[String], column: usize) -> f64 {
    record[column].parse().unwrap_or_else(|_| panic!("column {column} of {record:?} is not a number"))
}

#[test]
fn win_rates_are_measured_over_temperature() {
    let folder = folder("winrate");
    let sft = tiny_reference(&folder);
    let (sft, out) = (sft.to_str().unwrap(), folder.join("out"));
    let (named, other) = (format!("sft={sft}"), format!("base={}", folder.join("base.safetensors").display()));
    let run = |out: &Path, more: &[&str]| {
        let fixed = ["winrate", &named, &other, "--reference", sft, "--best-of", "3", "--instances", "40", "--out"];
        klimb(fixed.iter().chain(&[out.to_str().unwrap()]).chain(more))
    };
    run(&out, &["--temperatures", "0,1"]).ended(0);
    let rows = records(&out.join("winrate.csv"));
    let methods: Vec<(&str, &str)> = rows.iter().map(|row| (row[0].as_str(), row[1].as_str())).collect();
    let expected = ["sft", "base", "best-of-3-gold"].map(|method| [(method, "0"), (method, "1")]).concat();
    assert_eq!(methods, expected);
    for row in &rows {
        assert!((0.0..=1.0).contains(&number(row, 2)) && number(row, 7) == 40.0, "{row:?}");
    }
    // The best of three by gold reward has at least the gold reward of one, and at temperature 0 exactly that.
    assert_eq!(rows[4][2..], rows[0][2..]);
    assert!(number(&rows[5], 4) > number(&rows[1], 4), "{rows:?}");
    assert!(text(&out.join("winrate.svg")).contains("best-of-3-gold"));
    let run_json: Value = serde_json::from_str(&text(&out.join("run.json"))).unwrap();
    assert_eq!(run_json["study"]["name"], "winrate");
    assert_eq!(run_json["study"]["settings"]["temperatures"], serde_json::json!([0.0, 1.0]));
    assert_eq!(run_json["models"].as_array().unwrap().len(), 3);

    let before = text(&out.join("winrate.csv"));
    run(&out, &["--temperatures", "0,1"]).ended(0);
    assert_eq!(text(&out.join("winrate.csv")), before, "the same arguments, the same file");
    run(&out, &["--temperatures", "0.5"]).refused("another study");
    run(&out, &["--temperatures", "-1"]).refused("outside 0 to 10");
    run(&folder, &[]).refused("other files");
    klimb(["winrate", &named, "--instances", "1", "--out", "x"]).refused("instances");
    assert!(klimb(["winrate", "sft", "--out", "x"]).ended(2).error.contains("METHOD=FILE"));
}

#[test]
fn hacking_is_measured_along_kl() {
    let folder = folder("hack");
    let (sft, out) = (tiny_reference(&folder), folder.join("out"));
    let run = |out: &Path, more: &[&str]| {
        let fixed = ["hack", "--preset", "smoke", "--reference", sft.to_str().unwrap(), "--out", out.to_str().unwrap()];
        klimb(fixed.iter().chain(more))
    };
    let said = run(&out, &[]).ended(0).out;
    assert!(said.contains("of the gold order (no interval: one prompt), step") && said.contains("gap"), "{said}");
    let rows = records(&out.join("hacking.csv"));
    assert_eq!(rows.iter().map(|row| row[0].as_str()).collect::<Vec<_>>(), ["0", "4", "6"]);
    for column in [1, 3, 5, 7] {
        assert!(number(&rows[0], column).abs() < 1e-4, "the reference is where counting begins: {:?}", rows[0]);
    }
    for row in &rows {
        let (score, gold, gap) = (number(row, 3), number(row, 5), number(row, 7));
        assert!((score - gold - gap).abs() < 1e-9 && number(row, 12) == 16.0, "{row:?}");
    }
    assert!(text(&out.join("hacking.svg")).contains("what the reward model says"));
    let policy = out.join("policy.safetensors");
    klimb(["sample", "--from", policy.to_str().unwrap(), "--count", "1"]).ended(0);
    let judge = out.join("reward-model.safetensors");
    klimb(["score", "--reward-model", judge.to_str().unwrap(), "the plot was dull ."]).ended(0);
    let before = text(&out.join("hacking.csv"));
    run(&out, &[]).ended(0);
    assert_eq!(text(&out.join("hacking.csv")), before, "the same arguments, the same file");
    run(&out, &["--seed", "2"]).refused("another study");
    let other = folder.join("other");
    run(&other, &["--pairs", "30", "--word", "film", "--bonus", "1", "--beta", "0.5"]).ended(0);
    let run_json: Value = serde_json::from_str(&text(&other.join("run.json"))).unwrap();
    let settings = &run_json["study"]["settings"];
    assert_eq!((&settings["instances"], &settings["loophole"]["word"]), (&Value::from(5), &Value::from("film")));
    assert_eq!(settings["ppo"]["ppo"]["kl_coefficient"], 0.5);
    run(&folder.join("none"), &["--word", "zorgian"]).refused("zorgian");
    run(&folder.join("none"), &["--pairs", "6"]).refused("instances");
}

#[test]
fn sizes_are_compared_in_shares_and_a_second_start_goes_on() {
    let folder = folder("scaling");
    let run = |out: &Path, more: &[&str]| {
        let fixed = ["scaling", "--preset", "smoke", "--out", out.to_str().unwrap()];
        klimb(fixed.iter().chain(more)).ended(0)
    };
    let (whole, first, second) = (folder.join("whole"), folder.join("first"), folder.join("second"));
    run(&whole, &["--jobs", "2"]);
    let rows = records(&whole.join("scaling.csv"));
    let methods: Vec<(&str, &str)> = rows.iter().map(|row| (row[0].as_str(), row[1].as_str())).collect();
    let of_size = |width| ["base", "base-cued", "sft", "ppo-gt", "ppo-gt-ptx"].map(|method| (method, width));
    assert_eq!(methods, [of_size("16"), of_size("32")].concat());
    for row in &rows {
        assert!((0.0..=1.0).contains(&number(row, 5)) && number(row, 10) == 40.0, "{row:?}");
    }
    assert!(text(&whole.join("scaling.svg")).contains("ppo-gt-ptx"));

    // Two shares, of which neither measures before the other's models are there.
    assert!(run(&first, &["--shard", "1/2"]).out.contains("4 models of other shares are missing"));
    run(&second, &["--shard", "2/2"]);
    let names = |out: &Path| {
        let files = std::fs::read_dir(out.join("checkpoints")).unwrap().map(|it| it.unwrap().file_name());
        let mut names: Vec<String> = files.map(|name| name.into_string().unwrap()).collect();
        names.sort();
        names
    };
    assert!(names(&first).iter().all(|name| name.contains("-32x1-")), "{:?}", names(&first));
    assert!(!first.join("scaling.csv").exists());
    for name in names(&second) {
        let path = format!("checkpoints/{name}");
        std::fs::copy(second.join(&path), first.join(&path)).unwrap();
    }
    let said = run(&first, &[]).error;
    assert_eq!(said.matches("not repeated").count(), 8, "{said}");
    assert_eq!(text(&first.join("scaling.csv")), text(&whole.join("scaling.csv")));

    // As if it had been killed in the last stage of the largest size.
    std::fs::remove_file(whole.join("checkpoints/ppo-gt-ptx-32x1-1.safetensors")).unwrap();
    let said = run(&whole, &[]).error;
    assert_eq!(said.matches("not repeated").count(), 7, "{said}");
    assert_eq!(text(&first.join("scaling.csv")), text(&whole.join("scaling.csv")));
    let checkpoint = |name: &str| whole.join(format!("checkpoints/{name}-32x1-1.safetensors"));
    let (base, of_ppo, ptx) = (checkpoint("base"), checkpoint("ppo-gt"), checkpoint("ppo-gt-ptx"));
    let kept = std::fs::read(&base).unwrap();
    // A model that could be that one, and is another.
    let other = Checkpoint::from_bytes(&kept, None).unwrap();
    let parameters = other.parameters.iter().map(|parameter| 1.5 * parameter).collect();
    std::fs::write(&base, Checkpoint { parameters, ..other }.to_bytes()).unwrap();
    let again = || klimb(["scaling", "--preset", "smoke", "--out", whole.to_str().unwrap()]);
    assert!(again().ended(2).error.contains("another file lies in its place"));
    std::fs::write(&base, &kept).unwrap();
    let mine = std::fs::read(&ptx).unwrap();
    std::fs::copy(&of_ppo, &ptx).unwrap();
    assert!(again().ended(2).error.contains("another file lies in its place"));
    std::fs::write(&ptx, mine).unwrap();
    std::fs::write(&base, &std::fs::read(&base).unwrap()[..500]).unwrap();
    let said = klimb(["scaling", "--preset", "smoke", "--out", whole.to_str().unwrap()]).ended(2).error;
    assert!(said.contains("cut off") && said.contains("done again") && !said.contains("fetch"), "{said}");
    for bad in ["0/2", "3/2", "1", "a/b"] {
        assert!(klimb(["scaling", "--preset", "smoke", "--out", "x", "--shard", bad]).ended(2).error.contains("I/N"));
    }
    klimb(["scaling", "--preset", "smoke", "--seed", "2", "--out", whole.to_str().unwrap()]).refused("another study");
}

#[test]
fn an_ablation_goes_on_where_it_stopped() {
    let folder = folder("ablate");
    let out = folder.join("out");
    let run = |more: &[&str]| {
        let fixed = ["ablate", "--preset", "smoke", "--out", out.to_str().unwrap()];
        klimb(fixed.iter().chain(more))
    };
    let said = run(&[]).ended(0).out;
    assert!(said.contains("its own") && said.contains("ppo-gt"), "{said}");
    let rows = records(&out.join("ablation.csv"));
    let arms: Vec<(&str, &str, &str)> =
        rows.iter().map(|row| (row[0].as_str(), row[2].as_str(), row[5].as_str())).collect();
    let runs = |arm| [(arm, "dpo", "2"), (arm, "dpo", "4"), (arm, "ppo-gt", "16")];
    assert_eq!(arms, [runs("base"), runs("unembedding")].concat());
    for row in &rows {
        let (gold, optimal, gap) = (number(row, 8), number(row, 10), number(row, 11));
        assert!((optimal - gold - gap).abs() < 1e-9 && number(row, 17) == 32.0, "{row:?}");
    }
    assert!(text(&out.join("unembedding.svg")).contains("ppo-gt, its own"));
    let run_json: Value = serde_json::from_str(&text(&out.join("run.json"))).unwrap();
    assert_eq!(run_json["study"]["name"], "ablation");

    // A part that is there is not repeated, and one that is missing comes out as it was.
    let part = std::fs::read_dir(out.join("parts")).unwrap().next().unwrap().unwrap().path();
    let (before, table) = (text(&part), text(&out.join("ablation.csv")));
    std::fs::remove_file(&part).unwrap();
    run(&[]).ended(0);
    assert_eq!(without_seconds(&text(&part)), without_seconds(&before));
    assert_eq!(text(&out.join("ablation.csv")), table);
    // As an earlier version wrote it, and what a program that was killed left behind.
    let points = serde_json::from_str::<Value>(&text(&part)).unwrap()["points"].take();
    std::fs::write(&part, points.to_string()).unwrap();
    let leftovers = [out.join("parts/.klimb-aB3dE6.part"), out.join(".klimb-aB3dE6.part")];
    leftovers.iter().for_each(|path| std::fs::write(path, "[").unwrap());
    run(&[]).ended(0);
    assert_eq!(text(&out.join("ablation.csv")), table);
    assert!(leftovers.iter().all(|path| !path.exists()));
    let reference = std::fs::read_dir(out.join("references")).unwrap().map(|it| it.unwrap().path());
    let reference = reference.filter(|path| path.extension().is_some_and(|it| it == "safetensors")).min().unwrap();
    std::fs::write(&reference, &std::fs::read(&reference).unwrap()[..500]).unwrap();
    run(&[]).refused("done again");
    std::fs::remove_file(&reference).unwrap();
    run(&[]).ended(0);
    assert_eq!(text(&out.join("ablation.csv")), table);
    run(&["--factor", "colour"]).refused("none of");
}

#[test]
fn a_part_of_an_ablation_is_held_to_its_run_and_its_reference() {
    let folder = folder("ablate-exchanged");
    let out = folder.join("out");
    let run = |seed: &str| {
        let fixed = ["ablate", "--preset", "smoke", "--factor", "base", "--seed", seed, "--out", out.to_str().unwrap()];
        klimb(fixed)
    };
    run("1").ended(0);
    run("2").ended(0);
    let part =
        |method: &str, seed: u64| out.join(format!("parts/base-400-128-fresh-pairs-{method}-beta-1-seed-{seed}.json"));
    let second = part("dpo", 2);
    let (whole, edit) = (text(&second), |from: &Path, change: fn(&mut Value)| {
        let mut part: Value = serde_json::from_str(&text(from)).unwrap();
        change(&mut part);
        drop(part.as_object_mut().and_then(|part| part.remove("checksum")));
        std::fs::write(&second, part.to_string()).unwrap();
    });
    // Another seed and another method, as this version and an earlier one write them; and a run that diverged at once.
    for other in [part("dpo", 1), part("ppo-gt", 2)] {
        std::fs::copy(&other, &second).unwrap();
        run("2").refused("is of another run");
        edit(&other, |part| drop(part.as_object_mut().unwrap().remove("run")));
        run("2").refused("is of another run");
        edit(&other, |part| part["points"].as_array_mut().unwrap().clear());
        run("2").refused("is of another run");
    }
    edit(&part("dpo", 1), |part| *part = part["points"].take());
    run("2").refused("is of another run");
    let earlier: Value = serde_json::from_str(&whole).unwrap();
    std::fs::write(&second, earlier["points"].to_string()).unwrap();
    run("2").ended(0);
    std::fs::write(&second, &whole).unwrap();

    // Another reference in the place of the one that was trained, and then as if it had been trained so.
    let named = |ending: &str| {
        let files = std::fs::read_dir(out.join("references")).unwrap().map(|it| it.unwrap().path());
        files.into_iter().find(|path| path.extension().is_some_and(|it| it == ending)).unwrap()
    };
    let (reference, curve) = (named("safetensors"), named("json"));
    let found = Checkpoint::from_bytes(&std::fs::read(&reference).unwrap(), None).unwrap();
    let parameters = found.parameters.iter().map(|parameter| 1.5 * parameter).collect();
    std::fs::write(&reference, Checkpoint { parameters, ..found.clone() }.to_bytes()).unwrap();
    run("1").refused("another file lies in its place");
    std::fs::remove_file(out.join("files.json")).unwrap();
    run("1").refused("is the optimum of another reference");
    std::fs::remove_file(&curve).unwrap();
    run("1").refused("was trained from another reference");
    for (step, stage) in [(3, "sft"), (found.step, "base")] {
        std::fs::remove_file(out.join("files.json")).unwrap();
        std::fs::write(&reference, Checkpoint { step, stage: stage.into(), ..found.clone() }.to_bytes()).unwrap();
        run("1").refused("is another model");
    }
}

/// A part's lines but for those that tell the time, and the checksum over them.
fn without_seconds(part: &str) -> Vec<&str> {
    part.lines().filter(|line| !line.contains("\"seconds\"") && !line.contains("\"checksum\"")).collect()
}

#[test]
fn methods_are_compared_in_shares_and_a_second_start_goes_on() {
    let folder = folder("compare");
    let sft = tiny_reference(&folder);
    let run = |out: &Path, more: &[&str]| {
        let fixed =
            ["compare", "--preset", "smoke", "--reference", sft.to_str().unwrap(), "--out", out.to_str().unwrap()];
        klimb(fixed.iter().chain(more))
    };
    let (whole, first, second) = (folder.join("whole"), folder.join("first"), folder.join("second"));
    let said = run(&whole, &[]).ended(0).out;
    assert!(said.contains("gold_at_kl_5") && said.contains("preferred_ft"), "{said}");
    let rows = records(&whole.join("comparison.csv"));
    let cell = |method: &str, quantity: &str| {
        let row = rows.iter().find(|row| row[0] == method && row[1] == quantity);
        row.unwrap_or_else(|| panic!("no {quantity} of {method}"))
    };
    for method in ["preferred_ft", "dpo", "ppo-gt", "ppo"] {
        for quantity in ["forward_tokens", "backward_tokens", "seconds", "gold_at_kl_2", "gold_at_learning_rate_four"] {
            let row = cell(method, quantity);
            assert!(number(row, 2) > 0.0 && row[5] == "2", "{row:?}");
        }
    }
    let of = |method, quantity| number(cell(method, quantity), 2);
    assert_eq!(["preferred_ft", "dpo", "ppo-gt", "ppo"].map(|method| of(method, "networks")), [1.0, 2.0, 3.0, 4.0]);
    // Four steps on sixteen pairs, two completions of 26 positions each, once there and once back.
    assert_eq!(of("dpo", "backward_tokens"), 4.0 * 2.0 * 16.0 * 26.0);
    assert_eq!(of("preferred_ft", "backward_tokens"), of("dpo", "backward_tokens") / 2.0, "the chosen alone");
    // One rollout of 256 episodes: four epochs through policy and value model.
    assert_eq!(of("ppo-gt", "backward_tokens"), 2.0 * 4.0 * 256.0 * 26.0);
    assert!(of("ppo", "backward_tokens") > of("ppo-gt", "backward_tokens"), "the reward model learns too");

    let without_seconds = |out: &Path| {
        let text = text(&out.join("comparison.csv"));
        text.lines().filter(|line| !line.contains(",seconds,")).map(str::to_owned).collect::<Vec<String>>()
    };
    assert!(run(&first, &["--shard", "1/2"]).ended(0).out.contains("trainings of other shares are missing"));
    run(&second, &["--shard", "2/2"]).ended(0);
    assert!(!first.join("comparison.csv").exists());
    for below in ["parts", "checkpoints"] {
        for entry in std::fs::read_dir(second.join(below)).unwrap() {
            let path = entry.unwrap().path();
            std::fs::copy(&path, first.join(below).join(path.file_name().unwrap())).unwrap();
        }
    }
    let said = run(&first, &[]).ended(0).error;
    assert_eq!(said.matches("not repeated").count(), 26, "{said}");
    assert_eq!(without_seconds(&first), without_seconds(&whole));

    // As if it had been killed in one of the last trainings.
    std::fs::remove_file(whole.join("parts/dpo-0.3-four-2.json")).unwrap();
    let before = without_seconds(&whole);
    assert_eq!(run(&whole, &[]).ended(0).error.matches("not repeated").count(), 25);
    assert_eq!(without_seconds(&whole), before);
    // A training that was cut short, as an earlier version took it for finished, and a reward model that is lost.
    let part = whole.join("parts/ppo-0.3-one-1.json");
    let mut cut: Value = serde_json::from_str(&text(&part)).unwrap();
    cut["points"].as_array_mut().unwrap().clear();
    cut.as_object_mut().unwrap().remove("checksum");
    std::fs::write(&part, cut.to_string()).unwrap();
    std::fs::remove_file(whole.join("checkpoints/reward-model-2.safetensors")).unwrap();
    let said = run(&whole, &[]).ended(0).error;
    assert_eq!(said.matches("not repeated").count(), 24, "{said}");
    assert!(said.contains("ppo-0.3-one-1.json: is not complete; the training is done again"), "{said}");
    assert!(said.contains("reward-model-2.safetensors: is missing; the training is done again"), "{said}");
    assert_eq!(without_seconds(&whole), before);
    // An optimum that is not the one that was sampled.
    let optimum = whole.join("optimum.csv");
    let kept = text(&optimum);
    let lines: Vec<&str> = kept.lines().collect();
    std::fs::write(&optimum, lines[..lines.len() - 1].join("\n") + "\n").unwrap();
    assert!(run(&whole, &[]).ended(2).error.contains("optimum.csv: is lost (another file lies in its place"));
    std::fs::remove_file(&optimum).unwrap();
    run(&whole, &[]).ended(0);
    assert_eq!(text(&optimum), kept);
    // Two reward models that were exchanged, whose policies are still those of the right ones.
    let models = [1, 2].map(|seed| whole.join(format!("checkpoints/reward-model-{seed}.safetensors")));
    let kept = models.clone().map(|model| std::fs::read(model).unwrap());
    std::fs::write(&models[0], &kept[1]).unwrap();
    std::fs::write(&models[1], &kept[0]).unwrap();
    let said = run(&whole, &[]).ended(0).error;
    assert_eq!(said.matches("is another reward model than the one that was trained").count(), 2, "{said}");
    assert_eq!(said.matches("not repeated").count(), 24, "{said}");
    assert_eq!(models.map(|model| std::fs::read(model).unwrap()), kept);
    assert_eq!(without_seconds(&whole), before);
    // A policy that another reward model judged, and a part that does not say which, as an earlier version's.
    let (whole_part, mut judged) = (text(&part), serde_json::from_str::<Value>(&text(&part)).unwrap());
    judged.as_object_mut().unwrap().remove("checksum");
    judged["reward_model"] = "0123456789abcdef".into();
    std::fs::write(&part, judged.to_string()).unwrap();
    assert!(run(&whole, &[]).ended(2).error.contains("was judged by another reward model"));
    judged.as_object_mut().unwrap().remove("reward_model");
    std::fs::write(&part, judged.to_string()).unwrap();
    run(&whole, &[]).ended(0);
    std::fs::write(&part, whole_part).unwrap();
    std::fs::copy(whole.join("parts/dpo-0.3-one-2.json"), whole.join("parts/dpo-0.3-four-2.json")).unwrap();
    assert!(run(&whole, &[]).ended(2).error.contains("of another training"));
    let other = text(&whole.join("parts/dpo-0.3-one-2.json"));
    let edited = other.replacen("\"kl_per_sequence\": ", "\"kl_per_sequence\": 1", 1);
    assert_ne!(edited, other);
    std::fs::write(whole.join("parts/dpo-0.3-one-2.json"), edited).unwrap();
    assert!(run(&whole, &[]).ended(2).error.contains("was changed after it was written"));
    std::fs::write(whole.join("parts/dpo-0.3-one-2.json"), other).unwrap();
    std::fs::write(whole.join("parts/dpo-0.3-four-2.json"), "{").unwrap();
    assert!(run(&whole, &[]).ended(2).error.contains("done again"));
    run(&whole, &["--seed", "2"]).refused("another study");
}
