//! A Python script that does the page's run with TRL, the library of the field.

use super::{BUILD, program};
use crate::engine::protocol::Stage;
use crate::objectives::DpoLoss;
use crate::page::state::State;
use crate::world::{MAX_COMPLETION, MAX_SEQUENCE};

/// What the script does, below the run's own numbers.
const BODY: &str = include_str!("trl.py");
/// Steps where the page has taken none.
const STEPS: usize = 200;
/// Steps of the script's own reference.
const SFT_STEPS: usize = 1000;

/// The script for the run of the stage in focus, with the page's settings.
pub fn script(state: &State) -> String {
    let settings = &state.settings;
    let stage = state.focused;
    let method = match stage {
        Stage::RewardModel | Stage::Ppo | Stage::PpoGt | Stage::PreferredFt => stage.id(),
        _ => "dpo",
    };
    let taken = state.stage(stage).map_or(0, |status| status.steps);
    let steps = if taken > 0 && method == stage.id() { taken } else { STEPS };
    let (width, layers) = state.ready.as_ref().map_or((32, 2), |ready| (ready.width, ready.layers));
    let loss = match settings.loss {
        DpoLoss::Sigmoid => "sigmoid",
        DpoLoss::Hinge => "hinge",
        DpoLoss::Ipo => "ipo",
    };
    let numbers: Vec<(&str, String, &str)> = vec![
        ("METHOD", format!("\"{method}\""), ""),
        ("SEED", settings.seed.to_string(), "names other random numbers than on the page"),
        ("BETA", settings.beta.to_string(), "the leash: high is short"),
        ("LEARNING_RATE", settings.learning_rate.to_string(), "of what learns from pairs"),
        ("BATCH_SIZE", settings.batch_size.to_string(), "pairs a step"),
        ("STEPS", steps.to_string(), if taken > 0 { "taken on the page" } else { "none was taken on the page" }),
        ("LABEL_SMOOTHING", settings.label_smoothing.to_string(), ""),
        ("LABEL_TEMPERATURE", settings.label_temperature.to_string(), "of the labels; 0 counts as 0.1 here"),
        ("DPO_LOSS", format!("\"{loss}\""), ""),
        ("SFT_STEPS", SFT_STEPS.to_string(), "of the tiny reference; a longer recipe made the page's"),
        ("SFT_LEARNING_RATE", "0.004".into(), ""),
        ("REWARD_MODEL_PAIRS", settings.reward_model_pairs.to_string(), ""),
        ("REWARD_MODEL_EPOCHS", settings.reward_model_epochs.to_string(), ""),
        ("REWARD_MODEL_BATCH", "64".into(), ""),
        ("REWARD_MODEL_LEARNING_RATE", "0.004".into(), ""),
        ("ROLLOUT_SIZE", settings.rollout_size.to_string(), "episodes"),
        ("PPO_EPOCHS", settings.ppo_epochs.to_string(), "passes over a rollout"),
        ("PPO_LEARNING_RATE", settings.ppo_learning_rate.to_string(), ""),
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

fn header(program: &str, build: &str, address: &str) -> String {
    format!(
        r#"#!/usr/bin/env python3
"""A run of Klimb's page with TRL, from the pairs that the page saves ("save pairs", klimb-pairs.jsonl).

    pip install "trl==1.16.*" vaderSentiment
    python THIS_FILE klimb-pairs.jsonl

Written by {program}{build}; the page's address ended in "?{address}".
This file itself was not run. Its pattern was, on a processor with TRL 1.16.0 and transformers 5.24.0, every method for a
few steps, to see that nothing is refused; what a whole run comes to was not compared with the page.
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
    let settings = &state.settings;
    let mut all = vec![
        "Another base model: a tiny GPT-2 of the page's sizes, which first learns the chosen completions, or any that\n#   --model names. The page's own checkpoints have an architecture that transformers does not know.".into(),
        "Learning rates are the page's, for a tiny model; for a pretrained one of --model take 1e-6 to 1e-5.".into(),
        "No warm-up, and a cosine that ends at 0 where the page's ends above; other random numbers for the same seed."
            .into(),
        "The pairs are those of the file, once shuffled by the trainer; the page writes new ones as it goes.".into(),
    ];
    match state.focused {
        Stage::Ppo => all.push(
            "No PPO: TRL 1.x has none. RLOO stands in for it, with the same reward, beta, rollout and clipping, but with the\n#   mean of four completions of a prompt as its baseline in place of a value model."
                .into(),
        ),
        Stage::PpoGt => all.push(
            "No PPO: TRL 1.x has none. RLOO stands in for it; the gold reward is computed by the package vaderSentiment."
                .into(),
        ),
        Stage::Unlikelihood | Stage::BestOfN => all.push(format!(
            "TRL has no trainer for {}; this is the DPO run with the same settings.",
            state.focused.name()
        )),
        Stage::Base | Stage::Sft | Stage::Pairs => all.push("This is the DPO run; its reference is the SFT.".into()),
        Stage::PreferredFt => all.push("The tiny reference has learned the chosen completions already.".into()),
        Stage::Dpo | Stage::RewardModel => {}
    }
    let flags = [
        (settings.length_normalised, "length-normalised log-probabilities"),
        (settings.reference_free, "no reference"),
        (settings.online_pairs, "pairs by the policy"),
        (settings.target_kl > 0.0, "an adaptive beta"),
    ];
    for (_, what) in flags.into_iter().filter(|(is_on, _)| *is_on) {
        all.push(format!("The page's run had {what}, which this script leaves out."));
    }
    if state.beta_changes.get(&state.focused).is_some_and(|changes| !changes.is_empty()) {
        all.push("Beta was moved while the page trained; this is its last value.".into());
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::settings::Settings;

    fn of(stage: Stage, settings: Settings) -> String {
        let mut state = State::new(settings);
        state.focused = stage;
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

    #[test]
    fn what_differs_is_said() {
        assert!(of(Stage::Ppo, Settings::default()).contains("RLOO stands in"));
        assert!(of(Stage::Ppo, Settings::default()).contains("METHOD = \"ppo\""));
        assert!(of(Stage::Unlikelihood, Settings::default()).contains("no trainer for unlikelihood"));
        let online = of(Stage::Dpo, Settings { online_pairs: true, ..Settings::default() });
        assert!(online.contains("pairs by the policy, which this script leaves out"));
        assert!(!of(Stage::Dpo, Settings::default()).contains("leaves out"));
    }
}
