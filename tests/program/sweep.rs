//! `sweep`: what it leaves can be recomputed, and it goes on where it stopped.

use std::path::{Path, PathBuf};

use klimb::backend::cpu::Cpu;
use klimb::backend::network::Network;
use klimb::backend::{Kernels, SequenceSize};
use klimb::language::{Scorer, Sequence};
use klimb::metrics::{FrontierPoint, Setting, parse_frontier_csv, parse_learned_optimum_csv, parse_optimum_csv};
use klimb::model::Checkpoint;
use klimb::stats::{half_width, mean};
use klimb::world::{World, WorldSettings};
use serde::Deserialize;
use serde_json::Value;

use super::{Answer, folder, klimb, tiny_reference};

#[derive(Deserialize)]
struct Sample {
    tokens: Vec<u32>,
    prompt_length: usize,
    text: String,
    logprobs: Vec<f64>,
    reference_logprobs: Vec<f64>,
    kl_per_token: Vec<f64>,
    gold_reward: f64,
}

pub fn sweep(reference: &Path, out: &Path, more: &[&str]) -> Answer {
    let fixed = ["sweep", "--preset", "smoke", "--reference", reference.to_str().unwrap(), "--out"];
    klimb(fixed.iter().chain(&[out.to_str().unwrap()]).chain(more))
}

pub fn text(path: &Path) -> String {
    std::fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

fn points(out: &Path) -> Vec<FrontierPoint> {
    parse_frontier_csv(&text(&out.join("frontier.csv"))).expect("frontier.csv has the published header and values")
}

fn name(point: &FrontierPoint) -> String {
    match &point.setting {
        Setting::Number(beta) => format!("{}-{beta}-{}-{}", point.method, point.seed, point.step),
        Setting::Label(label) => format!("{}-{label}-{}-{}", point.method, point.seed, point.step),
    }
}

fn samples(out: &Path, point: &FrontierPoint) -> Vec<Sample> {
    let lines = text(&out.join(format!("samples/{}.jsonl", name(point))));
    lines.lines().map(|line| serde_json::from_str(line).expect("a sample has its fields")).collect()
}

fn checkpoint(path: &Path) -> Checkpoint {
    Checkpoint::from_bytes(&std::fs::read(path).unwrap(), None).unwrap()
}

#[test]
fn every_point_can_be_recomputed_from_the_files() {
    let folder = folder("sweep");
    let (reference, out) = (tiny_reference(&folder), folder.join("out"));
    sweep(&reference, &out, &[]).ended(0);
    let points = points(&out);
    let names: Vec<String> = points.iter().map(name).collect();
    let expected = [
        "sft-reference-1-2",
        "dpo-0.3-1-2",
        "dpo-0.3-1-4",
        "dpo-1-1-2",
        "dpo-1-1-4",
        "ppo-3-1-16",
        "ppo-gt-0.3-1-16",
        "unlikelihood-0.1-1-2",
        "unlikelihood-0.1-1-4",
        "preferred_ft-chosen-1-2",
        "preferred_ft-chosen-1-4",
        "best_of_n-2-1-0",
        "best_of_n-4-1-0",
    ];
    assert_eq!(names, expected);
    assert_eq!((points[0].kl_per_sequence, points[0].kl_half_width), (0.0, 0.0), "the reference is at KL 0");
    assert!(points[1..].iter().all(|point| point.kl_per_sequence > 0.0 && point.seconds > 0.0));

    let world = World::new(WorldSettings::default()).unwrap();
    for point in &points {
        let samples = samples(&out, point);
        assert_eq!(samples.len() as u64, point.samples);
        let kl: Vec<f64> = samples.iter().map(|sample| sample.kl_per_token.iter().sum()).collect();
        let gold: Vec<f64> = samples.iter().map(|sample| sample.gold_reward).collect();
        assert!((mean(&kl) - point.kl_per_sequence).abs() < 1e-6, "{}", name(point));
        assert!((half_width(&kl) - point.kl_half_width).abs() < 1e-6, "{}", name(point));
        assert!((mean(&gold) - point.gold_reward).abs() < 1e-12, "{}", name(point));
        assert!((half_width(&gold) - point.gold_reward_half_width).abs() < 1e-12, "{}", name(point));
        for sample in &samples {
            let completion = sample.tokens.len() - sample.prompt_length;
            assert_eq!(sample.logprobs.len(), completion);
            assert_eq!(sample.kl_per_token.len(), completion);
            assert_eq!(world.vocabulary().text(&sample.tokens), sample.text);
            // Reading a number from JSON may cost its last digit.
            assert!((world.gold_reward(&sample.tokens) - sample.gold_reward).abs() < 1e-12, "{}", sample.text);
        }
    }

    let optimum = parse_optimum_csv(&text(&out.join("optimum.csv"))).expect("optimum.csv has the published header");
    assert!(optimum.iter().all(|point| point.kl_per_sequence >= 0.0 && (0.0..=1.0).contains(&point.gold_reward)));
    assert!(text(&out.join("frontier.svg")).contains("closed-form optimum"));
    let learned = parse_learned_optimum_csv(&text(&out.join("optimum_learned.csv"))).expect("the published header");
    assert_eq!(learned.len(), optimum.len(), "one reward model, the same β");
    for (learned, gold) in learned.iter().zip(&optimum) {
        assert_eq!((learned.seed, learned.optimum.beta), (1, gold.beta));
        assert!(learned.optimum.gold_reward <= 1.0 && learned.score.is_finite());
    }
    let loosest = |points: &[f64]| points.windows(2).all(|pair| pair[0] >= pair[1] - 1e-9);
    assert!(loosest(&learned.iter().map(|point| point.score).collect::<Vec<f64>>()), "a longer leash earns more score");
    let reward_model = checkpoint(&out.join("checkpoints/reward-model-1.safetensors"));
    assert_eq!((reward_model.stage.as_str(), reward_model.head), ("reward_model", true));
    let run: Value = serde_json::from_str(&text(&out.join("run.json"))).unwrap();
    assert_eq!(run["backend"], "cpu");
    let last = serde_json::json!({"method": {"name": "best_of_n", "largest": 4}, "seed": 1});
    assert_eq!(run["settings"]["runs"][6], last);
    assert_eq!(run["vocabulary"].as_array().unwrap().len(), world.vocabulary().len());
}

#[test]
fn the_checkpoints_are_the_policies_that_wrote_the_samples() {
    let folder = folder("checkpoints");
    let (reference, out) = (tiny_reference(&folder), folder.join("out"));
    sweep(&reference, &out, &["--jobs", "1"]).ended(0);
    let points = points(&out);
    assert!(!out.join(format!("checkpoints/{}.safetensors", name(&points[12]))).exists(), "Best-of-N has none");
    for point in [&points[5], &points[8]] {
        let samples = samples(&out, point);
        let policy = checkpoint(&out.join(format!("checkpoints/{}.safetensors", name(point))));
        let reference = checkpoint(&out.join("checkpoints/reference.safetensors"));
        let mut k = Cpu::<f64>::new();
        let mut upload = |checkpoint: &Checkpoint| {
            let mut buffer = k.floats("parameters", checkpoint.parameters.len());
            let values: Vec<f64> = checkpoint.parameters.iter().copied().map(f64::from).collect();
            k.write_floats(&mut buffer, 0, &values);
            buffer
        };
        let (policy_parameters, reference_parameters) = (upload(&policy), upload(&reference));
        let size = SequenceSize { batch: samples.len(), length: 26 };
        let mut scorer = Scorer::new(&mut k, Network::new(policy.config), size);
        let sequences: Vec<Sequence> = samples
            .iter()
            .map(|sample| Sequence { tokens: sample.tokens.clone(), prompt_length: sample.prompt_length })
            .collect();
        let compared =
            pollster::block_on(scorer.compare(&mut k, &policy_parameters, &reference_parameters, &sequences)).unwrap();
        for (sample, recomputed) in samples.iter().zip(&compared) {
            let close = |found: &[f64], exact: &[f64]| {
                found.iter().zip(exact).all(|(found, exact)| (found - exact).abs() < 1e-4)
            };
            assert!(close(&sample.logprobs, &recomputed.logprobs), "{}", sample.text);
            assert!(close(&sample.reference_logprobs, &recomputed.reference_logprobs), "{}", sample.text);
            assert!(close(&sample.kl_per_token, &recomputed.kl_per_token), "{}", sample.text);
        }
    }
}

#[test]
fn it_goes_on_where_it_stopped_and_gives_the_same_whatever_the_order() {
    let folder = folder("resumed");
    let (reference, out, other) = (tiny_reference(&folder), folder.join("out"), folder.join("other"));
    sweep(&reference, &out, &["--jobs", "2"]).ended(0);
    let whole = text(&out.join("frontier.csv"));
    // As if it had been killed in the second run and in the last: their last points are missing.
    let lines: Vec<&str> = whole.lines().collect();
    let is_kept = |line: &&&str| !line.starts_with("dpo,1,1,4") && !line.starts_with("best_of_n,4");
    let kept: Vec<&str> = lines.iter().filter(is_kept).copied().collect();
    assert_eq!(kept.len(), lines.len() - 2);
    std::fs::write(out.join("frontier.csv"), kept.join("\n")).unwrap();
    let said = sweep(&reference, &out, &[]).ended(0).error;
    assert!(said.contains("not repeated: 5 of 7 runs") && !said.contains("dpo 0.3"), "{said}");
    sweep(&reference, &other, &["--jobs", "1"]).ended(0);
    let without_seconds =
        |text: &str| -> Vec<String> { text.lines().map(|line| line.rsplit_once(',').unwrap().0.to_owned()).collect() };
    assert_eq!(without_seconds(&text(&out.join("frontier.csv"))), without_seconds(&whole));
    assert_eq!(without_seconds(&text(&other.join("frontier.csv"))), without_seconds(&whole));
}

#[test]
fn what_was_lost_of_a_run_is_noticed_and_made_again() {
    let folder = folder("lost");
    let (reference, out) = (tiny_reference(&folder), folder.join("out"));
    sweep(&reference, &out, &[]).ended(0);
    let path = |name: &str| out.join(name);
    let whole = text(&path("frontier.csv"));
    let without_seconds =
        |text: &str| -> Vec<String> { text.lines().map(|line| line.rsplit_once(',').unwrap().0.to_owned()).collect() };
    let (lost, kept) =
        (path("checkpoints/dpo-0.3-1-2.safetensors"), std::fs::read(path("checkpoints/dpo-0.3-1-2.safetensors")));
    for file in
        ["checkpoints/dpo-0.3-1-2.safetensors", "samples/best_of_n-2-1-0.jsonl", "checkpoints/reference.safetensors"]
    {
        std::fs::remove_file(path(file)).unwrap();
    }
    // A point in the midst of another run, too.
    let middle: Vec<&str> = whole.lines().filter(|line| !line.starts_with("unlikelihood,0.1,1,2")).collect();
    std::fs::write(path("frontier.csv"), middle.join("\n")).unwrap();
    let said = sweep(&reference, &out, &[]).ended(0).error;
    assert!(said.contains("not repeated: 4 of 7 runs"), "{said}");
    assert!(said.contains("point dpo-0.3-1-2; it is made again") && said.contains("best_of_n-2-1-0"), "{said}");
    assert_eq!(without_seconds(&text(&path("frontier.csv"))), without_seconds(&whole));
    assert_eq!(std::fs::read(lost).unwrap(), kept.unwrap());
    assert!(path("checkpoints/reference.safetensors").is_file());

    // Files that are there and are not what they were: of another step, of another run, cut off, of another point.
    let contents = || -> Vec<(PathBuf, Vec<u8>)> {
        let below = ["checkpoints", "samples"].map(|below| std::fs::read_dir(path(below)).unwrap());
        let mut files: Vec<PathBuf> = below.into_iter().flatten().map(|entry| entry.unwrap().path()).collect();
        files.sort();
        files.into_iter().map(|file| (file.clone(), std::fs::read(file).unwrap())).collect()
    };
    let before = contents();
    let copy = |from: &str, to: &str| std::fs::copy(path(from), path(to)).map(drop).unwrap();
    copy("checkpoints/dpo-1-1-4.safetensors", "checkpoints/dpo-1-1-2.safetensors");
    copy("checkpoints/unlikelihood-0.1-1-2.safetensors", "checkpoints/unlikelihood-0.1-1-4.safetensors");
    copy("checkpoints/dpo-1-1-4.safetensors", "checkpoints/dpo-0.3-1-4.safetensors");
    copy("samples/best_of_n-2-1-0.jsonl", "samples/best_of_n-4-1-0.jsonl");
    std::fs::write(path("checkpoints/unlikelihood-0.1-1-2.safetensors"), &before[0].1[..99]).unwrap();
    let said = sweep(&reference, &out, &[]).ended(0).error;
    assert!(said.contains("not repeated: 3 of 7 runs"), "{said}");
    for words in [
        "dpo-1-1-2.safetensors: is lost (in its place lies dpo after 4 steps)",
        "dpo-0.3-1-4.safetensors: is lost (another file lies in its place",
        "best_of_n-4-1-0.jsonl: is lost (another file",
        "cut off or something was appended), and so is its point unlikelihood-0.1-1-2; it is made again",
    ] {
        assert!(said.contains(words), "{words} is not in {said}");
    }
    assert!(contents() == before, "everything is as it was");

    let doubled = whole.clone() + whole.lines().nth(3).unwrap();
    std::fs::write(path("frontier.csv"), doubled).unwrap();
    sweep(&reference, &out, &[]).refused("line 15: the same as line 4");
    std::fs::write(path("frontier.csv"), &whole).unwrap();
    std::fs::copy(path("checkpoints/dpo-1-1-4.safetensors"), path("checkpoints/reference.safetensors")).unwrap();
    sweep(&reference, &out, &[]).refused("another reference");
}

#[test]
fn a_reward_model_is_trained_once_a_seed_and_again_where_it_is_missing() {
    let folder = folder("reward-models");
    let (reference, out) = (tiny_reference(&folder), folder.join("out"));
    sweep(&reference, &out, &[]).ended(0);
    let (model, learned) = (out.join("checkpoints/reward-model-1.safetensors"), out.join("optimum_learned.csv"));
    let (trained, curve, frontier) = (std::fs::read(&model).unwrap(), text(&learned), text(&out.join("frontier.csv")));
    // Another one in its place: neither the optimum nor the run that is made again goes by it.
    let other = Checkpoint::from_bytes(&trained, None).unwrap();
    let parameters = other.parameters.iter().map(|parameter| -parameter).collect();
    let other = Checkpoint { parameters, ..other }.to_bytes();
    std::fs::write(&model, &other).unwrap();
    std::fs::remove_file(out.join("samples/ppo-3-1-16.jsonl")).unwrap();
    let said = sweep(&reference, &out, &[]).ended(0).error;
    assert!(said.contains("another file lies in its place") && said.contains("it is trained again"), "{said}");
    assert_eq!((std::fs::read(&model).unwrap(), text(&learned)), (trained.clone(), curve.clone()));
    let without_seconds = |text: &str| -> Vec<String> {
        text.lines().map(|line| line.rsplit_once(',').expect("a column of seconds").0.to_owned()).collect()
    };
    let now = text(&out.join("frontier.csv"));
    assert_eq!(without_seconds(&now), without_seconds(&frontier));
    let frontier = now;
    // Nor is it taken into another folder.
    std::fs::write(&model, &other).unwrap();
    let merged = folder.join("merged");
    let said = klimb(["merge", out.to_str().unwrap(), "--out", merged.to_str().unwrap()]).ended(0).error;
    assert!(said.contains("reward-model-1.safetensors: is lost") && said.contains("it is left out"), "{said}");
    assert_eq!(std::fs::read(merged.join("checkpoints/reward-model-1.safetensors")).unwrap(), trained);
    // As an older program would have left it.
    std::fs::remove_file(&model).unwrap();
    std::fs::remove_file(&learned).unwrap();
    sweep(&reference, &out, &[]).ended(0);
    assert_eq!((std::fs::read(&model).unwrap(), text(&learned)), (trained.clone(), curve));
    assert_eq!(text(&out.join("frontier.csv")), frontier);
    // PPO again, on the reward model that is there: it must be the file that judges, so another one is put in its place.
    let is_kept = |line: &&str| !line.starts_with("ppo,3,1,16");
    std::fs::write(out.join("frontier.csv"), frontier.lines().filter(is_kept).collect::<Vec<&str>>().join("\n"))
        .unwrap();
    let other = Checkpoint::from_bytes(&trained, None).unwrap();
    let turned = other.parameters.iter().enumerate().map(|(i, &it)| if i % 3 == 0 { 3.0 * it + 0.1 } else { it });
    let other = Checkpoint { parameters: turned.collect(), ..other };
    std::fs::write(&model, other.to_bytes()).unwrap();
    // A folder of an earlier version does not know its files.
    let forget = || std::fs::remove_file(out.join("files.json")).unwrap();
    forget();
    sweep(&reference, &out, &[]).ended(0);
    let ppo = |text: &str| text.lines().find(|line| line.starts_with("ppo,3,1,16")).map(|line| line[..30].to_owned());
    assert_ne!(ppo(&text(&out.join("frontier.csv"))), ppo(&frontier));
    std::fs::write(&model, &trained[..50]).unwrap();
    forget();
    let said = sweep(&reference, &out, &[]).ended(2).error;
    assert!(said.contains("reward-model-1.safetensors") && said.contains("done again"), "{said}");
}

#[test]
fn a_folder_of_something_else_is_refused() {
    let folder = folder("foreign");
    let (reference, out) = (tiny_reference(&folder), folder.join("out"));
    sweep(&reference, &out, &[]).ended(0);
    let before = text(&out.join("frontier.csv"));
    sweep(&reference, &out, &["--seed", "2"]).refused("other settings");
    let other = folder.join("base.safetensors");
    sweep(&other, &out, &[]).refused("other reference");
    assert_eq!(text(&out.join("frontier.csv")), before);
    sweep(&reference, &folder, &[]).refused("other files");
    sweep(&reference, &reference, &[]).refused("not a folder");
    std::fs::write(out.join("frontier.csv"), "not,a,frontier\n").unwrap();
    sweep(&reference, &out, &[]).refused("header");
    std::fs::write(out.join("frontier.csv"), b"method,\xff\n").unwrap();
    sweep(&reference, &out, &[]).refused("put back a copy of it, or delete it");
    std::fs::write(out.join("files.json"), "[").unwrap();
    sweep(&reference, &out, &[]).refused("files.json");
    std::fs::write(out.join("run.json"), "{").unwrap();
    sweep(&reference, &out, &[]).refused("run.json: is damaged");
}
