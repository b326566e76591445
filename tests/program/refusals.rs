//! What is wrong with a command line is named in one go.

use super::klimb;

/// Runs it, and finds each of `words` in what is said, once.
fn all_are_named(line: &str, words: &[&str]) {
    let error = klimb(line.split(' ')).ended(2).error;
    for word in words {
        assert_eq!(error.matches(word).count(), 1, "{line}: {word:?} is to be said once in: {error}");
    }
    assert!(error.matches("try '--help'").count() <= 1, "{line}: {error}");
}

#[test]
fn all_bad_options_are_named_in_one_go() {
    for (line, words) in [
        ("dpo --beta low --seed x --out o", &["'low' for '--beta", "'x' for '--seed"][..]),
        ("dpo --beta=low --loss loud --seed 1.5 --out o", &["'low' for", "'loud' for", "'1.5' for"]),
        ("dpo --beat 3 --seed x --out o", &["argument '--beat'", "'x' for '--seed"]),
        (
            "sweep --preset slow --seeds 0 --jobs 0 --shard 3/2 --out o",
            &["'slow'", "'0' for '--seeds", "'0' for '--jobs", "'3/2'"],
        ),
        (
            "winrate sft --best-of 9999 --temperatures 0,x --out o",
            &["'sft' for", "9999 is not in", "'x' for '--temperatures"],
        ),
        // A browser would read 2^53 + 1 as 2^53.
        ("dpo --seed 9007199254740993 --batch x --out o", &["is above 9007199254740991", "'x' for '--batch"]),
        ("scaling --preset none --seed -1 --out o", &["'none'", "argument '-1'"]),
        ("sample --count x --temperature y", &["'x' for '--count", "'y' for '--temperature"]),
        // What is missing was not taken away by the program itself.
        ("sweep --preset slow --out o", &["'slow'"]),
        // Numbers that could be read and cannot be used, alone and beside what could not be read.
        ("dpo --beta -9 --steps 0 --batch 0 --samples 1 --out o", &["beta: -9", "steps: 0", "batch: 0", "samples: 1"]),
        ("dpo --beta -9 --seed x --out o", &["beta: -9", "'x' for '--seed"]),
        ("ppo --beta -1 --learning-rate 99 --rollouts 0 --out o", &["beta: -1", "learning rate: 99", "rollouts: 0"]),
        (
            "reward-model --epochs 0 --validation-share 1 --label-temperature 99 --out o",
            &["epochs: 0", "validation_share: 1", "temperature: 99"],
        ),
        ("pretrain --width 9 --layers 7 --noise 0.9 --out o", &["width: 9", "layers: 7", "noise: 0.9"]),
        ("hack --preset smoke --pairs 6 --word zorgian --beta -1 --out o", &["instances", "zorgian", "beta: -1"]),
    ] {
        all_are_named(line, words);
    }
    assert!(!std::path::Path::new("o").exists());
}
