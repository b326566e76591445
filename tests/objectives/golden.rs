//! Agreement with PyTorch's autograd in float64, to 1e-9 in every number. `tests/data/make_objectives.py` computes the results in
//! `tests/data/objectives.json` again from the inputs there, and says how another objective comes in.

use klimb::experiments::verify::{Check, ObjectiveReference, ReferenceError};
use serde_json::{Value, json};

use super::run_dpo;

const GOLDEN: &str = include_str!("../data/objectives.json");

fn check(golden: &Value) -> Result<Vec<Check>, ReferenceError> {
    Ok(ObjectiveReference::from_json(golden.to_string().as_bytes())?.check())
}

fn golden() -> Value {
    serde_json::from_str(GOLDEN).expect("tests/data/objectives.json is readable")
}

#[test]
fn every_objective_agrees() {
    let checks = check(&golden()).unwrap();
    assert!(checks.len() >= 33, "{} quantities", checks.len());
    let failed: Vec<&Check> = checks.iter().filter(|check| !check.passed()).collect();
    assert!(failed.is_empty(), "beyond their tolerance: {failed:#?}");
}

/// Every number the check reads must be able to fail it.
#[test]
fn a_changed_number_is_noticed() {
    for (pointer, quantity) in [
        ("/dpo/1/losses/0", "losses"),
        ("/dpo/2/d_mean_loss_d_policy_rejected/1", "gradient"),
        ("/bradley_terry/losses/2", "Bradley-Terry losses"),
        ("/gae/0/returns/1/0", "returns"),
        ("/ppo/clip_fraction", "PPO clip fraction"),
        ("/ppo/dvalues/0/1", "PPO dvalues"),
    ] {
        let mut changed = golden();
        let number = changed.pointer_mut(pointer).unwrap_or_else(|| panic!("{pointer} is in the data"));
        *number = json!(number.as_f64().unwrap() + 1e-8);
        let failed: Vec<Check> = check(&changed).unwrap().into_iter().filter(|check| !check.passed()).collect();
        assert_eq!(failed.len(), 1, "{pointer}: {failed:?}");
        assert!(failed[0].quantity.contains(quantity), "{pointer}: {failed:?}");
    }
}

#[test]
fn lists_that_do_not_fit_each_other_are_refused_in_words() {
    for (pointer, value, word) in [
        ("/dpo", json!([]), "dpo"),
        ("/dpo/0/losses", json!([1.0]), "dpo losses"),
        ("/bradley_terry/chosen_scores", json!([]), "chosen_scores"),
        ("/gae/0/rewards", json!([]), "gae rewards"),
        ("/gae/0/rewards/1", json!([1.0]), "gae rewards"),
        ("/gae/0/lengths/0", json!(99), "gae lengths"),
        ("/ppo/lengths", json!([0, 0, 0]), "ppo lengths"),
        ("/ppo/values", json!([[0.0]]), "ppo values"),
        ("/ppo/total", json!("one"), "format"),
    ] {
        let mut changed = golden();
        *changed.pointer_mut(pointer).unwrap_or_else(|| panic!("{pointer} is in the data")) = value;
        let message = check(&changed).expect_err(pointer).to_string();
        assert!(message.contains(word), "{pointer}: {message}");
    }
}

/// An absolute tolerance says nothing about a loss of 3e-19, which `log(σ(s))` written naively makes 0.
#[test]
fn a_tiny_dpo_loss_keeps_its_digits() {
    let golden = golden();
    let cases = golden["dpo"].as_array().expect("a list of cases");
    let case = cases.iter().find(|case| case["beta"] == 5.0).expect("the data has β = 5");
    let list = |name: &str| -> Vec<f64> { serde_json::from_value(case[name].clone()).expect("a list of numbers") };
    let sequence_logprobs = [list("policy_chosen"), list("policy_rejected")].concat();
    let references = [list("reference_chosen"), list("reference_rejected")].concat();
    let answer = run_dpo(5.0, case["label_smoothing"].as_f64().unwrap(), &sequence_logprobs, &references);
    for (found, expected) in answer.losses.iter().zip(list("losses")) {
        assert!((found / expected - 1.0).abs() < 1e-9, "{found} instead of {expected}");
    }
}
