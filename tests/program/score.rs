//! `score`.

use serde_json::Value;

use super::klimb;

#[test]
fn a_text_is_scored_with_its_working() {
    let out = klimb(["score", "--json", "the plot was not very good ."]).ended(0).out;
    let scored: Value = serde_json::from_str(&out).expect("one JSON object");
    // VADER's own answer: (1.9 + 0.293)·(−0.74) = −1.62282; −1.62282/√(1.62282² + 15) = −0.3865.
    assert_eq!(scored["compound"], -0.3865);
    assert_eq!(scored["gold_reward"], (1.0 - 0.3865) / 2.0);
    assert_eq!(scored["words"][5]["word"], "good");
    assert_eq!(scored["words"][5]["rules"].as_array().unwrap().len(), 2);
    assert_eq!(scored["unknown"], serde_json::json!([]));

    let table = klimb(["score", "the plot was not very good ."]).ended(0).out;
    for part in ["-1.6228", "-0.3865", "0.3067", "\"not\" 2 before", "\"very\" 1 before"] {
        assert!(table.contains(part), "{part} is not in\n{table}");
    }
}

#[test]
fn nothing_is_nothing_and_not_less() {
    for text in ["", "a film", "not a film"] {
        let said = klimb(["score", "--json", text]).ended(0).out;
        assert!(said.contains("\"sum\":0.0,\"compound\":0.0,") && !said.contains("-0.0"), "{said}");
    }
}

#[test]
fn unknown_words_are_named() {
    let out = klimb(["score", "a zorgian film"]).ended(0).out;
    let line = out.lines().find(|line| line.contains("unknown words, taken as neutral"));
    assert!(line.is_some_and(|line| line.contains("zorgian")), "{out}");
    let out = klimb(["score", "--json", "a zorgian film"]).ended(0).out;
    let scored: Value = serde_json::from_str(&out).unwrap();
    assert!(scored["unknown"].as_array().unwrap().contains(&"zorgian".into()), "{out}");
    assert_eq!(scored["gold_reward"], 0.5);
}

#[test]
fn quoted_texts_are_scored_apart_and_bare_words_together() {
    let lines = |arguments: &[&str]| klimb(arguments).ended(0).out.lines().count();
    assert_eq!(lines(&["score", "--json", "a superb film", "an awful film"]), 2);
    assert_eq!(lines(&["score", "--json", "a", "superb", "film"]), 1);
}
