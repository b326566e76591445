//! Where outputs go: into files that are replaced as a whole, devices and pipes that are written to, and folders that one
//! program has at a time; what cannot be written is refused before the work, and nobody has to read along.
//!
//! More than 400 lines, because it is a list of tests, one for each way in which an output can fail.
#![cfg(unix)]

use std::fs::File;
use std::io::{BufRead, BufReader, Read};
use std::os::unix::fs::{FileTypeExt, PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use klimb::model::{Checkpoint, with_zero_head};
use serde_json::Value;

use super::{folder, klimb, program, tiny_reference};

fn names(folder: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(folder).unwrap();
    let mut names: Vec<String> = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

fn mode(path: &Path) -> u32 {
    std::fs::symlink_metadata(path).unwrap().permissions().mode() & 0o777
}

fn pairs(sft: &Path, out: &Path) -> super::Answer {
    klimb(["pairs", "--from", sft.to_str().unwrap(), "--count", "6", "--out", out.to_str().unwrap()])
}

#[test]
fn devices_and_pipes_are_written_to_links_and_modes_stay() {
    let folder = folder("outputs");
    let sft = tiny_reference(&folder);
    let [plain, link, target, dangling, there, pipe] =
        ["plain", "link", "target", "dangling", "there", "pipe"].map(|name| folder.join(name));
    let written = || std::fs::read_to_string(&plain).unwrap();
    pairs(&sft, &plain).ended(0);
    assert_eq!(written().lines().count(), 6);
    File::create(folder.join("any")).unwrap();
    assert_eq!(mode(&plain), mode(&folder.join("any")), "a new file's mode is any new file's");

    std::fs::write(&target, "before").unwrap();
    std::fs::set_permissions(&target, PermissionsExt::from_mode(0o600)).unwrap();
    symlink("target", &link).unwrap();
    symlink(&there, &dangling).unwrap();
    for (path, behind) in [(&link, &target), (&dangling, &there)] {
        pairs(&sft, path).ended(0);
        assert!(path.is_symlink() && !behind.is_symlink(), "{}", path.display());
        assert_eq!(std::fs::read_to_string(behind).unwrap(), written());
    }
    assert_eq!(mode(&target), 0o600);

    assert!(Command::new("mkfifo").arg(&pipe).status().expect("mkfifo is there").success());
    let reader = std::thread::spawn({
        let pipe = pipe.clone();
        move || std::fs::read_to_string(pipe).unwrap()
    });
    pairs(&sft, &pipe).ended(0);
    assert_eq!(reader.join().unwrap(), written());
    assert!(std::fs::symlink_metadata(&pipe).unwrap().file_type().is_fifo());
    // A copy of the null device, where this user may make one.
    let node = folder.join("node");
    if Command::new("mknod")
        .arg(&node)
        .args(["c", "1", "3"])
        .stderr(Stdio::null())
        .status()
        .is_ok_and(|it| it.success())
    {
        pairs(&sft, &node).ended(0);
        assert!(std::fs::symlink_metadata(&node).unwrap().file_type().is_char_device());
    }
    assert!(names(&folder).iter().all(|name| !name.ends_with(".part")), "{:?}", names(&folder));
}

#[test]
fn what_cannot_be_written_is_refused_before_the_work_and_nothing_is_left() {
    let folder = folder("unwritable");
    let sft = tiny_reference(&folder);
    let (inner, kept) = (folder.join("inner"), folder.join("kept.safetensors"));
    std::fs::create_dir(&inner).unwrap();
    std::fs::write(&kept, "kept").unwrap();
    std::fs::set_permissions(&kept, PermissionsExt::from_mode(0o444)).unwrap();
    let before = names(&folder);
    let sft = sft.to_str().unwrap();
    let below = |name: &str| folder.join(name).to_str().unwrap().to_owned();
    let long = below(&"x".repeat(300));
    for (out, words) in [
        (below("inner"), "is a folder"),
        (below("inner/"), "is a folder"),
        (below("o/"), "is a folder"),
        (below("nowhere/out.safetensors"), "no such folder"),
        (below("kept.safetensors"), "may not be written"),
        (format!("{sft}/out.safetensors"), ""),
        ("/proc/x.safetensors".into(), "/proc/x.safetensors"),
        (long, ""),
    ] {
        // Work for days, if it began.
        klimb(["dpo", "--from", sft, "--steps", "1000000", "--out", &out]).refused(words);
        klimb(["pretrain", "--steps", "1000000", "--out", &out]).refused(words);
        klimb(["optimum", "--from", sft, "--effective", "100000", "--out", &out]).refused(words);
    }
    assert_eq!((names(&folder), names(&inner)), (before, Vec::new()));
    assert_eq!(std::fs::read(&kept).unwrap(), b"kept");
}

#[test]
fn a_folder_has_one_program_at_a_time() {
    let folder = folder("locked");
    let sft = tiny_reference(&folder);
    let out = folder.join("out");
    let sweep = || {
        let fixed = ["sweep", "--preset", "smoke", "--shard", "99/99", "--reference", sft.to_str().unwrap(), "--out"];
        klimb(fixed.iter().chain(&[out.to_str().unwrap()]))
    };
    sweep().ended(0);
    let before = names(&out);
    let lock = File::options().write(true).open(out.join("klimb.lock")).unwrap();
    lock.try_lock().unwrap();
    sweep().refused("another klimb is at work in this folder");
    let merged = folder.join("merged");
    let merge = || klimb(["merge", out.to_str().unwrap(), "--out", merged.to_str().unwrap()]);
    merge().refused("klimb.lock");
    assert!(!merged.exists());
    drop(lock);
    sweep().ended(0);
    merge().ended(0);
    assert_eq!(names(&out), before);
}

/// A program killed while it wrote its first file left a part of that, this version's or an earlier one's, and the lock.
#[test]
fn every_study_goes_on_in_a_folder_whose_first_write_was_cut_short() {
    let folder = folder("cut-short");
    let sft = tiny_reference(&folder);
    for (study, share) in
        [("sweep", "99/99"), ("scaling", "99/99"), ("compare", "99/99"), ("hack", ""), ("ablate", ""), ("winrate", "")]
    {
        let out = folder.join(study);
        std::fs::create_dir(&out).unwrap();
        for part in ["run.json.part", ".klimb-x1Y2z3.part", "klimb.lock"] {
            std::fs::write(out.join(part), "{").unwrap();
        }
        let (out, sft) = (out.to_str().unwrap(), sft.to_str().unwrap());
        let named = format!("sft={sft}");
        let more: &[&str] = match study {
            "scaling" => &["--preset", "smoke", "--shard", share],
            "ablate" => &["--preset", "smoke", "--factor", "unembedding"],
            "winrate" => &[&named, "--reference", sft, "--best-of", "0", "--instances", "4", "--temperatures", "1"],
            "hack" => &["--preset", "smoke", "--reference", sft],
            _ => &["--preset", "smoke", "--reference", sft, "--shard", share],
        };
        klimb([study].iter().chain(more).chain(&["--out", out])).ended(0);
        assert!(Path::new(out).join("run.json").is_file(), "{study}");
        assert!(!Path::new(out).join(".klimb-x1Y2z3.part").exists(), "{study}");
    }
}

/// What another program is writing there is not cleared away: it would be lost at the end of its training.
#[test]
fn an_unfinished_file_that_somebody_is_writing_is_left_alone() {
    let folder = folder("living");
    let sft = tiny_reference(&folder);
    let out = folder.join("out");
    let sweep = || {
        let fixed = ["sweep", "--preset", "smoke", "--shard", "99/99", "--reference", sft.to_str().unwrap(), "--out"];
        klimb(fixed.iter().chain(&[out.to_str().unwrap()])).ended(0);
    };
    sweep();
    std::fs::create_dir(out.join("other")).unwrap();
    let below = |names: [&str; 3]| names.map(|name| out.join(name));
    let living = below([".klimb-aB3dE6.part", "samples/.klimb-aB3dE6.part", "checkpoints/.klimb-aB3dE6.part"]);
    let dead = below([".klimb-xY3zE6.part", "samples/.klimb-xY3zE6.part", "checkpoints/.klimb-xY3zE6.part"]);
    // In a folder that merely lies there, and what has no such name.
    let foreign = below(["other/.klimb-xY3zE6.part", "notes.part", "samples/.klimb-notes"]);
    living.iter().chain(&dead).chain(&foreign).for_each(|path| std::fs::write(path, "half of it").unwrap());
    let held = living.clone().map(|path| {
        let file = File::options().write(true).open(path).unwrap();
        file.try_lock().unwrap();
        file
    });
    sweep();
    assert!(living.iter().chain(&foreign).all(|path| path.is_file()), "{:?}", names(&out));
    assert!(!dead.iter().any(|path| path.exists()), "{:?}", names(&out));
    drop(held);
    sweep();
    assert!(!living.iter().any(|path| path.exists()) && foreign.iter().all(|path| path.is_file()), "{:?}", names(&out));
}

#[cfg(target_os = "linux")]
#[test]
fn nobody_has_to_read_what_is_said() {
    let folder = folder("unread");
    let sft = tiny_reference(&folder);
    let full = || Stdio::from(File::options().write(true).open("/dev/full").unwrap());
    let out = folder.join("out.safetensors");
    let pretrain = |error: Stdio| {
        let arguments =
            ["pretrain", "--width", "16", "--layers", "1", "--steps", "600", "--out", out.to_str().unwrap()];
        program().args(arguments).stdout(Stdio::null()).stderr(error).spawn().expect("the program was built")
    };
    assert_eq!(pretrain(full()).wait().unwrap().code(), Some(0), "its disk is full");
    let mut child = pretrain(Stdio::piped());
    drop(child.stderr.take());
    assert_eq!(child.wait().unwrap().code(), Some(0), "its reader is gone");
    let refused = program().args(["dpo", "--beta", "0", "--out", "x"]).stderr(full()).status().unwrap();
    assert_eq!(refused.code(), Some(2));
    let unknown = program().arg("climb").stderr(full()).status().unwrap();
    assert_eq!(unknown.code(), Some(2));

    // A full standard output loses what is said, once, and none of the work.
    let unsaid = |arguments: &[&str]| {
        let output = program().args(arguments).stdout(full()).stderr(Stdio::piped()).output().unwrap();
        let error = String::from_utf8(output.stderr).unwrap();
        assert_eq!(error.matches("standard output cannot be written (").count(), 1, "{arguments:?}: {error}");
        assert_eq!(output.status.code(), Some(2), "{arguments:?}: {error}");
    };
    let (reference, kept) = (sft.to_str().unwrap(), folder.join("kept.safetensors"));
    let few = ["--steps", "3", "--evaluate-every", "1", "--samples", "8", "--batch", "6", "--pairs", "192"];
    unsaid(&[&["dpo", "--from", reference, "--out", kept.to_str().unwrap()], &few[..]].concat());
    let dpo = ["dpo", "--from", reference, "--out", out.to_str().unwrap()];
    klimb([&dpo[..], &few[..]].concat()).ended(0);
    assert_eq!(std::fs::read(&kept).unwrap(), std::fs::read(&out).unwrap());
    let study = folder.join("hack");
    unsaid(&["hack", "--preset", "smoke", "--reference", reference, "--out", study.to_str().unwrap()]);
    assert!(study.join("policy.safetensors").is_file() && study.join("hacking.svg").is_file());
    for asked in [&["score", "a film"][..], &["sample", "--from", reference], &["--help"]] {
        unsaid(asked);
    }

    // As under `head -1`: whoever asks for an answer and goes ends the program, and a training goes on.
    let read_a_line = |arguments: &[&str]| {
        let mut child = program().args(arguments).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let (code, mut error) = (child.wait().unwrap().code(), String::new());
        child.stderr.take().unwrap().read_to_string(&mut error).unwrap();
        assert!(!line.is_empty() && !error.contains("klimb:") && !error.contains("panicked"), "{error}");
        code
    };
    let sft = sft.to_str().unwrap();
    assert_eq!(read_a_line(&["sample", "--from", sft, "--count", "18446744073709551615"]), Some(141));
    let out = folder.join("policy.safetensors");
    let dpo =
        ["dpo", "--from", sft, "--steps", "4", "--batch", "4", "--evaluate-every", "1", "--samples", "4", "--out"];
    assert_eq!(read_a_line(&[&dpo[..], &[out.to_str().unwrap()]].concat()), Some(0));
    assert!(out.is_file());
}

#[test]
fn what_is_not_a_number_is_no_result() {
    let folder = folder("not-finite");
    let sft = tiny_reference(&folder);
    let read = Checkpoint::from_bytes(&std::fs::read(&sft).unwrap(), None).unwrap();
    let huge = folder.join("huge.safetensors");
    let parameters = read.parameters.iter().map(|parameter| 1e20 * parameter).collect();
    std::fs::write(&huge, Checkpoint { parameters, ..read }.to_bytes()).unwrap();
    let (sft, huge, out) = (sft.to_str().unwrap(), huge.to_str().unwrap(), folder.join("out"));
    let path = out.to_str().unwrap();
    for command in
        ["dpo", "ppo", "unlikelihood", "preferred-ft", "reward-model", "optimum", "pairs", "sft", "sample", "best-of-n"]
    {
        let outputs: &[&str] = if ["sample", "best-of-n"].contains(&command) { &[] } else { &["--out", path] };
        klimb([command, "--from", huge].iter().chain(outputs)).refused("not a finite number");
    }
    for study in ["sweep", "hack", "compare"] {
        klimb([study, "--preset", "smoke", "--reference", huge, "--out", path]).refused("not a finite number");
    }
    let [named, other] = [huge, sft].map(|file| format!("it={file}"));
    klimb(["winrate", &named, "--reference", sft, "--out", path]).refused("not a finite number");
    klimb(["winrate", &other, "--reference", huge, "--out", path]).refused("not a finite number");
    // A reward model of such parameters.
    let read = Checkpoint::from_bytes(&std::fs::read(sft).unwrap(), None).unwrap();
    let judge = folder.join("judge.safetensors");
    let parameters: Vec<f32> =
        with_zero_head(&read.config, &read.parameters).iter().map(|it| 1e20 * it + 1.0).collect();
    std::fs::write(&judge, Checkpoint { parameters, head: true, ..read }.to_bytes()).unwrap();
    let judge = judge.to_str().unwrap();
    klimb(["score", "--reward-model", judge, "the plot was dull ."]).refused("not a finite number");
    klimb(["best-of-n", "--from", sft, "--reward", judge]).refused("not a finite number");
    klimb(["ppo", "--from", sft, "--reward", judge, "--out", path]).refused("not a finite number");
    klimb(["winrate", &other, "--reference", sft, "--reward-model", judge, "--out", path])
        .refused("not a finite number");
    assert!(!out.exists(), "refused before anything is written");
    let out = folder.join("out.safetensors");
    let out = out.to_str().unwrap();
    klimb(["dpo", "--from", sft, "--steps", "1", "--learning-rate", "1e39", "--out", out]).refused("learning rate");
    assert!(!Path::new(out).exists());

    // Gold rewards that tie, and one prompt to validate on: what is not defined is a dash.
    let file = folder.join("ties.jsonl");
    let line = |prompt: &str| {
        format!("{{\"prompt\": \"{prompt}\", \"chosen\": \"was a film .\", \"rejected\": \"was a story .\"}}\n")
    };
    std::fs::write(&file, line("the plot") + &line("the music")).unwrap();
    let said =
        klimb(["reward-model", "--from", sft, "--preferences", file.to_str().unwrap(), "--out", out]).ended(0).out;
    assert!(said.contains("–") && !said.contains("NaN"), "{said}");
}

#[test]
fn too_much_is_refused_with_a_reason_before_anything_is_written() {
    let folder = folder("too-much");
    let sft = tiny_reference(&folder);
    let out = folder.join("out");
    let (sft, path) = (sft.to_str().unwrap(), out.to_str().unwrap());
    let most = u64::MAX.to_string();
    let rollouts = ((1u64 << 60) + 1).to_string();
    for (command, option) in [
        ("dpo", "--samples"),
        ("dpo", "--batch"),
        ("dpo", "--pairs"),
        ("dpo", "--steps"),
        ("unlikelihood", "--pairs"),
        ("preferred-ft", "--batch"),
        ("pairs", "--count"),
        ("reward-model", "--pairs"),
        ("reward-model", "--batch"),
        ("reward-model", "--epochs"),
        ("ppo", "--rollouts"),
        ("ppo", "--samples"),
        ("sft", "--steps"),
        ("best-of-n", "--samples"),
        ("best-of-n", "--largest"),
    ] {
        for value in ["1000000000", &most, &rollouts, "0"] {
            let outputs: &[&str] = if command == "best-of-n" { &[] } else { &["--out", path] };
            let answer = klimb([command, "--from", sft, option, value].iter().chain(outputs)).ended(2);
            let reasons =
                ["is more than", "is not a positive number", "cannot have an interval", "is not in", "too large"];
            let is_told = reasons.iter().any(|reason| answer.error.contains(reason));
            assert!(is_told, "{command} {option} {value}: {}", answer.error);
        }
    }
    for (command, option) in [("dpo", "--beta"), ("dpo", "--learning-rate"), ("ppo", "--beta"), ("ppo", "--entropy")] {
        for value in ["1e39", "inf", "NaN"] {
            klimb([command, "--from", sft, option, value, "--out", path]).refused("");
        }
    }
    let named = format!("sft={sft}");
    for (option, value) in [("--instances", "1000000000"), ("--instances", &most), ("--best-of", &most)] {
        klimb(["winrate", &named, "--reference", sft, option, value, "--out", path]).ended(2);
    }
    let hack = ["hack", "--preset", "smoke", "--reference", sft, "--out", path];
    for (option, value) in [("--pairs", "1000000000"), ("--pairs", &most), ("--bonus", "1e39"), ("--beta", "1e39")] {
        klimb(hack.iter().chain(&[option, value])).refused("");
    }
    let (passed, largest) = ("9007199254740987", "9007199254740991");
    for (study, preset, seed, words) in [
        ("sweep", "paper", passed, "6 seeds count up from it; begin at 9007199254740986 or below"),
        ("sweep", "paper-noisy", largest, "begin at"),
        ("ablate", "full", largest, "3 seeds count up"),
        ("scaling", "full", largest, "3 seeds count up"),
        ("compare", "smoke", largest, "2 seeds count up"),
    ] {
        klimb([study, "--preset", preset, "--seed", seed, "--out", path]).refused(words);
    }
    for (study, preset) in [("sweep", "smoke"), ("sweep", "quick"), ("ablate", "smoke")] {
        klimb([study, "--preset", preset, "--seeds", "3", "--out", path]).refused("--seeds: this preset has one seed");
    }
    klimb(["optimum", "--from", sft, "--effective", "1e300", "--out", path]).refused("effective");
    klimb(["optimum", "--from", sft, "--label-temperature", "1e-300", "--out", path]).refused("--label-temperature");
    klimb(["winrate", &named, &named, "--reference", sft, "--out", path]).refused("two policies");
    assert!(!out.exists(), "nothing was written");
}

#[test]
fn what_is_long_is_quoted_by_its_ends() {
    let folder = folder("long");
    let (sft, long) = (tiny_reference(&folder), "x".repeat(100_000));
    let (sft, file) = (sft.to_str().unwrap(), folder.join("file"));
    let path = file.to_str().unwrap();
    let short = |arguments: &[&str]| {
        let error = klimb(arguments).ended(2).error;
        assert!(
            error.len() < 5000 && error.contains("xx") && error.contains('…'),
            "{} bytes: {:.300}",
            error.len(),
            error
        );
    };
    short(&["dpo", "--beta", &long, "--out", path]);
    short(&["sample", "--from", sft, "--prompt", &long]);
    short(&["sample", "--from", &long]);
    short(&["hack", "--preset", "smoke", "--word", &long, "--out", path]);
    short(&["ablate", "--preset", "smoke", "--factor", &long, "--out", path]);
    short(&["winrate", &long, "--out", path]);
    let out = folder.join("out");
    let dpo = ["dpo", "--from", sft, "--out", out.to_str().unwrap(), "--preferences", path];
    for line in [
        format!(r#"{{"prompt": "the plot", "chosen": "{long}", "rejected": "was dull ."}}"#),
        format!(r#"{{"prompt": "the plot", "chosen": 7, "rejected": "{long}", "{long}": 1}}"#),
        format!(r#"{{"prompt": "the plot", "chosen_truncated": "{long}"}}"#),
    ] {
        std::fs::write(&file, line).unwrap();
        let error = klimb(dpo).ended(2).error;
        assert!(error.len() < 5000, "{} bytes", error.len());
    }
}

/// A git that answers something else is in the path: only the build may have asked.
#[test]
fn a_run_names_the_commit_of_the_program_and_not_of_today_s_sources() {
    let folder = folder("build");
    let sft = tiny_reference(&folder);
    let (tools, out): (PathBuf, PathBuf) = (folder.join("tools"), folder.join("out"));
    std::fs::create_dir(&tools).unwrap();
    std::fs::write(tools.join("git"), "#!/bin/sh\necho of-today\n").unwrap();
    std::fs::set_permissions(tools.join("git"), PermissionsExt::from_mode(0o755)).unwrap();
    let arguments = ["sweep", "--preset", "smoke", "--shard", "99/99", "--reference", sft.to_str().unwrap(), "--out"];
    let status = program().args(arguments).arg(&out).env("PATH", &tools).stdout(Stdio::null()).status().unwrap();
    assert!(status.success());
    let run: Value = serde_json::from_slice(&std::fs::read(out.join("run.json")).unwrap()).unwrap();
    assert_eq!(run["build"], serde_json::json!(option_env!("KLIMB_BUILD")));
    // Another build's folder is gone on with, and that is said.
    let other =
        std::fs::read_to_string(out.join("run.json")).unwrap().replacen("\"build\": null", "\"build\": \"old\"", 1);
    std::fs::write(out.join("run.json"), other).unwrap();
    let said = klimb(arguments.iter().copied().chain([out.to_str().unwrap()])).ended(0).error;
    assert!(option_env!("KLIMB_BUILD").is_some() || said.contains("begun by build old"), "{said}");
}
