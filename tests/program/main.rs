//! The built program, run as a person runs it: what it prints, what it leaves on disk, and its exit codes.
#![cfg(not(target_arch = "wasm32"))]

mod book;
mod compatible;
mod interrupted;
mod merge;
mod models;
mod outputs;
mod preferences;
mod refusals;
mod score;
mod studies;
mod sweep;
mod verify;

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::Command;

/// What a run answered.
struct Answer {
    code: Option<i32>,
    out: String,
    error: String,
}

impl Answer {
    /// Fails unless the program ended with `code`; shows what it said.
    #[track_caller]
    fn ended(self, code: i32) -> Self {
        assert_eq!(self.code, Some(code), "standard output:\n{}\nstandard error:\n{}", self.out, self.error);
        self
    }

    /// Fails unless the input was refused in one sentence that has `words` in it.
    #[track_caller]
    fn refused(self, words: &str) {
        let error = self.ended(2).error;
        assert!(error.starts_with("klimb: ") && error.trim_end().lines().count() == 1, "no sentence: {error}");
        assert!(error.contains(words), "{words:?} is not in: {error}");
    }
}

fn program() -> Command {
    Command::new(env!("CARGO_BIN_EXE_klimb"))
}

fn klimb<A: AsRef<OsStr>>(arguments: impl IntoIterator<Item = A>) -> Answer {
    let output = program().args(arguments).output().expect("the program was built");
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).expect("the program prints UTF-8");
    let answer = Answer { code: output.status.code(), out: text(output.stdout), error: text(output.stderr) };
    // Of every run of every command here: what is not defined is said in words or is a dash.
    let is_defined = answer.code != Some(0) || ![&answer.out, &answer.error].iter().any(|it| it.contains("NaN"));
    assert!(is_defined, "not a number, and no error:\n{}\n{}", answer.out, answer.error);
    answer
}

#[test]
fn help_is_in_colours_where_they_are_shown() {
    let help = |variable: &str| {
        let output = program().arg("--help").env(variable, "1").output().expect("the program was built");
        assert_eq!(output.status.code(), Some(0));
        String::from_utf8(output.stdout).expect("the program prints UTF-8")
    };
    // As a terminal would be shown it, and as it is piped.
    let (coloured, plain) = (help("CLICOLOR_FORCE"), help("NO_COLOR"));
    assert!(coloured.contains("\u{1b}[") && !plain.contains('\u{1b}'), "{coloured}");
    assert!(coloured.contains("Usage:") && plain.contains("Usage:"), "{coloured}");
}

/// An empty folder of this name.
fn folder(name: &str) -> PathBuf {
    let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join("program").join(name);
    if path.exists() {
        std::fs::remove_dir_all(&path).expect("an old folder can be removed");
    }
    std::fs::create_dir_all(&path).expect("a folder can be made");
    path
}

/// A tiny SFT model, made by the program itself in `folder`.
fn tiny_reference(folder: &Path) -> PathBuf {
    let (base, sft) = (folder.join("base.safetensors"), folder.join("sft.safetensors"));
    let (base_path, sft_path) = (base.to_str().unwrap(), sft.to_str().unwrap());
    klimb(["pretrain", "--width", "16", "--layers", "1", "--heads", "2", "--steps", "2", "--out", base_path]).ended(0);
    klimb(["sft", "--from", base_path, "--steps", "2", "--out", sft_path]).ended(0);
    sft
}

#[test]
fn help_explains_and_what_is_not_understood_is_refused() {
    let help = klimb(["--help"]).ended(0).out;
    for command in [
        "pretrain",
        "sft",
        "dpo",
        "unlikelihood",
        "preferred-ft",
        "best-of-n",
        "ppo",
        "reward-model",
        "optimum",
        "sample",
        "score",
        "pairs",
        "sweep",
        "merge",
        "verify",
        "winrate",
        "scaling",
        "hack",
        "compare",
    ] {
        assert!(help.contains(command), "{command} is not in the help");
        let long = klimb([command, "--help"]).ended(0).out;
        assert!(long.contains("Example"), "{command}'s help has no example");
    }
    for arguments in [
        &["climb"][..],
        &[],
        &["score"],
        &["verify"],
        &["sweep", "--preset", "slow", "--out", "x"],
        &["sweep", "--preset", "quick"],
        &["dpo", "--beta", "low", "--out", "x"],
        &["pretrain", "--steps", "0", "--out", "x"],
        &["sample", "--backend", "abacus"],
    ] {
        let answer = klimb(arguments).ended(2);
        assert!(!answer.error.is_empty() && !answer.error.contains("panicked"), "{arguments:?}: {}", answer.error);
    }
}
