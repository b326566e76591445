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
        // Every command's numbers, beside what cannot be read.
        (
            "pretrain --width 9 --layers 7 --noise 0.9 --seed x --out o",
            &["width: 9", "layers: 7", "noise: 0.9", "'x' for"],
        ),
        ("sft --noise 0.9 --label-temperature 99 --seed x --out o", &["noise: 0.9", "temperature: 99", "'x' for"]),
        ("unlikelihood --alpha 3 --steps 0 --seed x --out o", &["alpha: 3", "steps: 0", "'x' for"]),
        ("preferred-ft --batch 0 --learning-rate 99 --seed x --out o", &["batch: 0", "learning rate: 99", "'x' for"]),
        ("best-of-n --samples 1 --seed x", &["samples: 1", "'x' for"]),
        ("pairs --label-temperature 99 --count 0 --seed x", &["temperature: 99", "pairs: 0", "'x' for"]),
        (
            "reward-model --epochs 0 --validation-share 1 --seed x --out o",
            &["epochs: 0", "validation_share: 1", "'x' for"],
        ),
        ("ppo --beta -1 --rollouts 0 --seed x --out o", &["beta: -1", "rollouts: 0", "'x' for"]),
        ("hack --preset smoke --pairs 6 --word zorgian --seed x --out o", &["instances", "zorgian", "'x' for"]),
    ] {
        all_are_named(line, words);
    }
    assert!(!std::path::Path::new("o").exists());
}

/// What was taken away may have been what the others fit to.
#[test]
fn values_that_nobody_gave_are_no_reason_to_refuse_others() {
    for (line, words, single) in [
        ("pretrain --width forty --heads 5 --out o", "'forty' for", "heads"),
        ("pretrain --width forty --heads 40 --out o", "'forty' for", "heads"),
        ("best-of-n --largest x --samples 90000", "'x' for", "samples"),
        ("best-of-n --samples x --largest 1024", "'x' for", "largest:"),
    ] {
        all_are_named(line, &[words]);
        let error = klimb(line.split(' ')).ended(2).error;
        assert!(!error.contains(&format!("error: {single}")), "{line}: {error}");
    }
    for (line, words) in [
        ("pretrain --width 32 --heads 5 --out o", "heads: 5 heads do not divide a width of 32"),
        ("best-of-n --largest 128 --samples 90000", "samples times largest"),
        // No width has so many, or none.
        ("pretrain --width forty --heads 0 --out o", "heads: 0"),
    ] {
        assert!(klimb(line.split(' ')).ended(2).error.contains(words), "{line}");
    }
}

#[test]
fn an_empty_value_is_refused_once() {
    for (line, words) in [
        (&["dpo", "--seed", "", "--out", "o"][..], &["'' for '--seed"][..]),
        (&["dpo", "--seed=", "--batch", "x", "--out", "o"], &["for '--seed", "'x' for '--batch"]),
        (&["dpo", "--seed", "", "--batch", "", "--out", "o"], &["'' for '--seed", "'' for '--batch"]),
        (
            &["winrate", "a=b", "--temperatures", "0,", "--best-of", "x", "--out", "o"],
            &["for '--temperatures", "'x' for"],
        ),
        (&["winrate", "", "--best-of", "x", "--out", "o"], &["'' for '<", "'x' for"]),
        (&["dpo", "--out", "o", "--batch", "x", "--seed"], &["required for '--seed", "'x' for '--batch"]),
        (&["dpo", "--seed", "--batch", "x", "--out", "o"], &["required for '--seed", "'x' for '--batch"]),
        (&["dpo", "--batch", "x", "--out", ""], &["'x' for '--batch", "required for '--out"]),
    ] {
        let error = klimb(line).ended(2).error;
        for word in words {
            assert_eq!(error.matches(word).count(), 1, "{line:?}: {word:?} is to be said once in: {error}");
        }
        assert_eq!(error.matches("error: ").count(), words.len(), "{line:?}: {error}");
    }
}
