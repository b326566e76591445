//! A Python script that does the page's run with TRL, the library of the field.

use crate::engine::protocol::{Stage, StageKind};
use crate::engine::settings::{Knob, Settings};
use crate::page::model::build_name::{BUILD, program};
use crate::page::model::state::State;
use klimb_metrics::Method;
use klimb_network::objectives::DpoLoss;
use klimb_world::{MAX_COMPLETION, MAX_SEQUENCE};

/// What the script does, below the run's own numbers.
const BODY: &str = include_str!("trl.py");
/// Steps where the page has taken none.
const STEPS: usize = 200;
/// Steps of the script's own reference.
const SFT_STEPS: usize = 1000;

/// The script for the run of the stage in focus, with the page's settings.
pub fn script(state: &State) -> String {
    let settings = &state.training.settings;
    let stage = state.training.focused;
    let method = method(stage);
    let taken = state.training.stage(stage).map_or(0, |status| status.steps);
    let steps = if taken > 0 && method == stage { taken } else { STEPS };
    let (width, layers) = state.training.ready.as_ref().map_or((32, 2), |ready| (ready.width, ready.layers));
    let loss = match settings.loss {
        DpoLoss::Sigmoid if settings.length_normalised => "sigmoid_norm",
        DpoLoss::Sigmoid => "sigmoid",
        DpoLoss::Hinge => "hinge",
        DpoLoss::Ipo => "ipo",
    };
    let numbers: Vec<(&str, String, &str)> = vec![
        ("METHOD", format!("\"{}\"", method.id()), ""),
        ("SEED", settings.seed.to_string(), "names other random numbers than on the page"),
        ("BETA", settings.beta.to_string(), "the leash: high is short"),
        ("LEARNING_RATE", settings.learning_rate.to_string(), "of what learns from pairs"),
        ("BATCH_SIZE", settings.batch_size.to_string(), "pairs a step"),
        ("STEPS", steps.to_string(), if taken > 0 { "taken on the page" } else { "none was taken on the page" }),
        ("LABEL_SMOOTHING", settings.label_smoothing.to_string(), ""),
        ("LABEL_TEMPERATURE", settings.label_temperature.to_string(), "of the labels; 0 counts as 0.1 here"),
        ("DPO_LOSS", format!("\"{loss}\""), ""),
        ("SFT_STEPS", SFT_STEPS.to_string(), "of the tiny reference; a longer recipe made the page's"),
        ("SFT_LEARNING_RATE", "0.004".into(), "of the tiny reference"),
        ("REWARD_MODEL_PAIRS", settings.reward_model_pairs.to_string(), ""),
        ("REWARD_MODEL_EPOCHS", settings.reward_model_epochs.to_string(), ""),
        ("REWARD_MODEL_BATCH", "64".into(), ""),
        ("REWARD_MODEL_LEARNING_RATE", "0.004".into(), ""),
        ("ROLLOUT_SIZE", settings.rollout_size.to_string(), "episodes"),
        ("PPO_EPOCHS", settings.ppo_epochs.to_string(), "passes over a rollout"),
        ("PPO_LEARNING_RATE", settings.ppo_learning_rate.to_string(), ""),
        ("MISSING_EOS_PENALTY", settings.missing_eos_penalty.to_string(), "off the reward of what never ends"),
        ("MAX_COMPLETION", MAX_COMPLETION.to_string(), "tokens"),
        ("CONTEXT", (MAX_SEQUENCE + 5).to_string(), "tokens"),
        ("WIDTH", width.to_string(), ""),
        ("LAYERS", layers.to_string(), ""),
        ("HEADS", "4".into(), ""),
    ];
    let line = |(name, value, note): (&str, String, &str)| {
        if note.is_empty() { format!("{name} = {value}\n") } else { format!("{name} = {value}  # {note}\n") }
    };
    let numbers: String = numbers.into_iter().map(line).collect();
    let differences: String = differences(state).iter().map(|it| format!("# - {it}\n")).collect();
    let (program, build) = (program(), BUILD.map_or_else(String::new, |build| format!(", build {build}")));
    let address = settings.to_query();
    format!("{}{differences}{IMPORTS}{numbers}\n{BODY}", header(&program, &build, &address))
}

/// What the script trains: DPO for what TRL does not train.
fn method(stage: Stage) -> Stage {
    if TRAINED_BY_TRL.contains(&stage) { stage } else { Stage::Dpo }
}

/// What TRL has a trainer for, or one that stands in for it.
const TRAINED_BY_TRL: [Stage; 5] = [Stage::Dpo, Stage::RewardModel, Stage::Ppo, Stage::PpoGt, Stage::PreferredFt];

fn header(program: &str, build: &str, address: &str) -> String {
    format!(
        r#"#!/usr/bin/env python3
"""A run of Klimb's page with TRL, from the pairs that the page saves ("save pairs", klimb-pairs.jsonl).

    pip install "trl==1.16.*" vaderSentiment
    python THIS_FILE klimb-pairs.jsonl

Written by {program}{build}; the page's address ended in "?{address}".
This file itself was not run. Its pattern was, on a processor with TRL 1.16.0 and transformers 5.24.0, every method and every
loss for two steps, to see that nothing is refused (`cargo xtask test trl` in Klimb's sources). What a whole run comes to was
not compared with the page.
"""

# What differs from the page:
"#
    )
}

const IMPORTS: &str = r#"
import argparse
import json
from pathlib import Path

import torch
from datasets import Dataset
from tokenizers import Tokenizer
from tokenizers.models import WordLevel
from tokenizers.pre_tokenizers import WhitespaceSplit
from transformers import (
    AutoModelForSequenceClassification,
    AutoTokenizer,
    GPT2Config,
    GPT2LMHeadModel,
    PreTrainedTokenizerFast,
    set_seed,
)
from trl import DPOConfig, DPOTrainer, RewardConfig, RewardTrainer, RLOOConfig, RLOOTrainer, SFTConfig, SFTTrainer

"#;

/// What the script does otherwise than the page, a sentence each.
fn differences(state: &State) -> Vec<String> {
    let settings = &state.training.settings;
    let mut all: Vec<String> = [
        "Another base model: a tiny GPT-2 of the page's sizes, which first learns the chosen completions, or any that\n#   --model names. The page's own checkpoints have an architecture that transformers does not know.",
        "Learning rates are the page's, for a tiny model; for a pretrained one of --model take 1e-6 to 1e-5.",
        "No warm-up, and a cosine that ends at 0 where the page's ends above; other random numbers for the same seed.",
        "The pairs are those of the file, labelled as the page's settings had it and once shuffled by the trainer; the page\n#   writes new ones as it goes.",
        "Pairs with a completion that never came to its end are left out, for TRL's trainers put an end behind every one; the\n#   page learns from them too.",
        "Nothing is measured on the way: the page's points, and how often and with how many samples it makes them, are left out.",
    ]
    .map(Into::into)
    .into();
    let own = match state.training.focused.kind() {
        StageKind::Base | StageKind::Sft | StageKind::Pairs => "This is the DPO run; its reference is the SFT.".into(),
        StageKind::Policy(Method::Ppo) => "No PPO: TRL 1.x has none. RLOO stands in for it, with the same reward, beta, rollout and clipping, but with the\n#   mean of four completions of a prompt as its baseline in place of a value model.".into(),
        StageKind::Policy(Method::PpoGt) => "No PPO: TRL 1.x has none. RLOO stands in for it; the gold reward is computed by the package vaderSentiment.".into(),
        StageKind::Policy(Method::PreferredFt) => "The tiny reference has learned the chosen completions already.".into(),
        StageKind::RewardModel | StageKind::Policy(_) | StageKind::BestOfN if TRAINED_BY_TRL.contains(&state.training.focused) => String::new(),
        StageKind::RewardModel | StageKind::Policy(_) | StageKind::BestOfN => {
            format!("TRL has no trainer for {}; this is the DPO run with the same settings.", state.training.focused.name())
        }
    };
    all.extend((!own.is_empty()).then_some(own));
    let trains = |stages: &[Stage]| stages.contains(&method(state.training.focused));
    if trains(&[Stage::RewardModel, Stage::Ppo]) {
        all.push("The reward model learns from all of its pairs; the page holds a tenth back to judge it by.".into());
    }
    if trains(&[Stage::Ppo, Stage::PpoGt]) {
        all.push(format!(
            "The value coefficient (vf_coef {}) has no counterpart: RLOO learns no values. The missing-EOS penalty is a reward\n#   function of its own, for RLOO has no setting of that name.",
            settings.vf_coef
        ));
    }
    if trains(&[Stage::Dpo]) {
        all.extend(dpo_differences(settings).map(Into::into));
    }
    let flags = [
        ("reference_free", "no reference"),
        ("online_pairs", "pairs by the policy"),
        ("target_kl", "an adaptive beta"),
    ];
    for (name, what) in flags {
        let is_on = |knob: &Knob| trains(knob.stages) && knob.value(settings) > 0.0;
        if Knob::named(name).is_some_and(is_on) {
            all.push(format!("The page's run had {what}, which this script leaves out."));
        }
    }
    if state.records.beta_changes.get(&state.training.focused).is_some_and(|changes| !changes.is_empty()) {
        all.push("Beta was moved while the page trained; this is its last value.".into());
    }
    all
}

/// In what DPO's losses are others in TRL.
fn dpo_differences(settings: &Settings) -> impl Iterator<Item = &'static str> {
    let Settings { loss, length_normalised, label_smoothing, .. } = *settings;
    let is_plain = loss == DpoLoss::Sigmoid && !length_normalised;
    let said = [
        (
            loss == DpoLoss::Ipo && !length_normalised,
            "TRL's IPO takes the mean of a completion's log-ratios; the page's run took their sum.",
        ),
        (
            loss == DpoLoss::Hinge && length_normalised,
            "The page's run had length-normalised log-probabilities, which this script leaves out: TRL's hinge has none.",
        ),
        (
            label_smoothing > 0.0 && !is_plain,
            "TRL smooths labels in the plain sigmoid loss alone; the page's run smoothed those of this loss too.",
        ),
    ];
    said.into_iter().filter(|(is_so, _)| *is_so).map(|(_, sentence)| sentence)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::settings::KNOBS;

    fn of(stage: Stage, settings: Settings) -> String {
        let mut state = State::new(settings);
        state.training.focused = stage;
        script(&state)
    }

    #[test]
    fn the_script_has_the_page_s_numbers() {
        let settings = Settings {
            seed: 7,
            beta: 0.05,
            learning_rate: 5e-4,
            batch_size: 32,
            label_smoothing: 0.1,
            loss: DpoLoss::Ipo,
            ..Settings::default()
        };
        let text = of(Stage::Dpo, settings);
        for line in [
            "METHOD = \"dpo\"",
            "SEED = 7",
            "BETA = 0.05",
            "LEARNING_RATE = 0.0005",
            "BATCH_SIZE = 32",
            "LABEL_SMOOTHING = 0.1",
            "DPO_LOSS = \"ipo\"",
            "STEPS = 200",
        ] {
            assert!(text.lines().any(|it| it.split("  #").next() == Some(line)), "no line {line}");
        }
        assert!(text.contains("was not run") && text.contains("Another base model"));
        assert!(text.starts_with("#!/usr/bin/env python3\n\"\"\"") && text.ends_with("main()\n"));
    }

    #[test]
    fn every_number_that_the_body_uses_is_given_and_every_one_given_is_used() {
        let text = of(Stage::Dpo, Settings::default());
        let above = text.strip_suffix(BODY).expect("the body stands last");
        let given: Vec<&str> = above.lines().filter_map(|line| line.split_once(" = ")).map(|(name, _)| name).collect();
        let is_constant = |word: &&str| word.len() > 3 && word.chars().all(|c| c.is_ascii_uppercase() || c == '_');
        let words =
            |text: &'static str| text.split(|c: char| !c.is_ascii_alphanumeric() && c != '_').filter(is_constant);
        let words: Vec<&str> = words(BODY).filter(|word| !["RLOO", "VADER", "JSON"].contains(word)).collect();
        for word in &words {
            assert!(given.contains(word), "{word} is used and not given");
        }
        for name in &given {
            assert!(words.contains(name), "{name} is given and not used");
        }
    }

    /// The optimisers of the page, as the body has them.
    #[test]
    fn the_script_s_optimisers_are_the_page_s() {
        let decay = |it: &klimb_align::language::Adamw| format!("{:?}", it.weight_decay);
        let (dpo, reward) =
            (klimb_align::algorithms::DpoSettings::default(), klimb_align::algorithms::RewardModelSettings::default());
        assert!(BODY.contains(&format!(
            "LEARNING_RATE, adam_beta2=0.98, weight_decay={},\n        beta=BETA",
            decay(&dpo.adamw)
        )));
        let preferred = format!("\"preferred-ft\", given.steps, LEARNING_RATE, {})", decay(&dpo.adamw));
        assert!(BODY.contains(&preferred), "Preferred-FT has the optimiser of what learns from pairs");
        assert!(
            BODY.contains(&format!(
                "REWARD_MODEL_LEARNING_RATE, adam_beta2=0.98, weight_decay={}",
                decay(&reward.adamw)
            ))
        );
        let text = of(Stage::Dpo, Settings::default());
        assert!(text.contains("left out, for TRL's trainers put an end") && BODY.contains("chosen_truncated"));
    }

    #[test]
    fn what_differs_is_said() {
        assert!(of(Stage::Ppo, Settings::default()).contains("RLOO stands in"));
        assert!(of(Stage::Ppo, Settings::default()).contains("METHOD = \"ppo\""));
        assert!(of(Stage::Unlikelihood, Settings::default()).contains("no trainer for unlikelihood"));
        let online = of(Stage::Dpo, Settings { online_pairs: true, ..Settings::default() });
        assert!(online.contains("pairs by the policy, which this script leaves out"));
        assert!(!of(Stage::Dpo, Settings::default()).contains("leaves out"));
        let steered = Settings { target_kl: 3.0, online_pairs: true, ..Settings::default() };
        let (dpo, ppo) = (of(Stage::Dpo, steered), of(Stage::Ppo, steered));
        assert!(ppo.contains("an adaptive beta") && !dpo.contains("an adaptive beta"), "of PPO alone");
        assert!(!ppo.contains("pairs by the policy"), "of DPO alone");
    }

    #[test]
    fn a_length_normalised_loss_is_trl_s_where_it_has_one_and_otherwise_said() {
        let with = |loss, length_normalised, label_smoothing| {
            of(Stage::Dpo, Settings { loss, length_normalised, label_smoothing, ..Settings::default() })
        };
        let has = |text: &str, loss: &str| text.contains(&format!("DPO_LOSS = \"{loss}\"\n"));
        let [plain, mean] = [false, true].map(|normalised| with(DpoLoss::Sigmoid, normalised, 0.1));
        assert!(has(&plain, "sigmoid") && !plain.contains("smooths labels"));
        assert!(has(&mean, "sigmoid_norm") && mean.contains("smooths labels"));
        let [sum, mean] = [false, true].map(|normalised| with(DpoLoss::Ipo, normalised, 0.0));
        assert!(sum.contains("took their sum") && !mean.contains("took their sum") && has(&mean, "ipo"));
        assert!(with(DpoLoss::Hinge, true, 0.0).contains("TRL's hinge has none"));
    }

    /// The page's knobs that the script has no need of: the file of pairs has them in it, the reference is another one, or
    /// they are about what is measured or which machine computes, which is said for every run.
    const ELSEWHERE: [&str; 12] = [
        "pairs",
        "flip_probability",
        "loophole_bonus",
        "unlikelihood_alpha",
        "largest_n",
        "best_of_n_completions",
        "evaluate_every",
        "evaluation_samples",
        "evaluate_rollouts",
        "backend",
        "width",
        "breadth",
    ];

    #[test]
    fn every_other_knob_is_a_number_of_the_script_or_a_sentence_in_it() {
        // Without the header, in which the address tells every knob.
        let told = |stage, settings| of(stage, settings).split_once("# What differs").expect("a header").1.to_owned();
        for knob in &KNOBS {
            let mut other = Settings::default();
            let now = knob.value(&other);
            let values = [knob.values.range.0, knob.values.range.1];
            let value = values.into_iter().find(|value| *value != now).expect("two values at least");
            knob.set(&mut other, value).expect("a value in range");
            let differs = knob.stages.iter().any(|&stage| told(stage, other) != told(stage, Settings::default()));
            assert_eq!(differs, !ELSEWHERE.contains(&knob.name), "{}", knob.name);
        }
    }
}
