//! From the engine's numbers to what the page is told: texts, rows, working, and failures in words.

mod inside;
mod mass;
mod pairs;
mod seen;

pub use inside::{episodes, scored_batch, sft_batch};
pub use pairs::PairReport;
pub use seen::SeenPairs;

use crate::engine::protocol::{Failure, SampleRow, SampledCompletion, Samples, Stage, Word};
use klimb_align::algorithms::RewardModelMetrics;
use klimb_align::language::{Sequence, TokenComparison};
use klimb_lab::{RewardModelReport, Round};
use klimb_metrics::{LearnsFrom, MetricRow};
use klimb_network::backend::BackendError;
use klimb_text::message::Separator;
use klimb_text::{ConfigError, Message};
use klimb_world::gold::{Rule, RuleStep, WordWorking};
use klimb_world::{MAX_PROMPT, World};

/// One step of the reward model by the field's names.
pub fn reward_model_row(metrics: &RewardModelMetrics) -> MetricRow {
    let values = [("reward_model/loss", metrics.loss), ("optimiser/gradient_norm", metrics.gradient_norm)];
    row(metrics.step, &values)
}

/// The row of the step behind which the reward model was validated.
pub fn validated_row(step: &MetricRow, report: &RewardModelReport) -> MetricRow {
    let mut row = step.clone();
    for (name, value) in [
        ("reward_model/accuracy", report.label_accuracy.share),
        ("reward_model/gold_accuracy", report.gold_accuracy.share),
        ("reward_model/calibration_error", report.calibration_error),
    ] {
        row.values.insert(name.into(), value);
    }
    row
}

/// The row of a step whose loss is no number.
pub fn diverged_row(step: u64) -> MetricRow {
    row(step, &[("reward_model/loss", f64::NAN)])
}

/// Puts a rollout's numbers into the row of its first update.
pub fn add_rollout(row: &mut MetricRow, round: &Round) {
    // With returns that are all alike there is no variance to explain.
    row.values.extend(round.row().values.into_iter().filter(|(_, value)| value.is_finite()));
}

/// Puts the extremes of a round's last ratios into the row of its last update.
pub fn add_ratios(row: &mut MetricRow, ratios: &[(usize, Vec<f64>)]) {
    let all = || ratios.iter().flat_map(|(_, ratios)| ratios.iter().copied());
    row.values.insert("ppo/ratio_min".into(), all().fold(f64::INFINITY, f64::min));
    row.values.insert("ppo/ratio_max".into(), all().fold(f64::NEG_INFINITY, f64::max));
}

fn row(step: u64, values: &[(&str, f64)]) -> MetricRow {
    MetricRow::new(step, values)
}

/// A stage with the steps of its model, and what that wrote, compared with the reference.
pub type Written = ((Stage, usize), Vec<(Sequence, TokenComparison)>);

/// Completions side by side, with the gold reward's working.
pub fn samples(world: &World, typed: bool, written: &[Written]) -> Samples {
    let prompts = written.first().map_or(0, |(_, sequences)| sequences.len());
    let rows = (0..prompts).map(|i| SampleRow {
        prompt: world.vocabulary().text(written[0].1[i].0.prompt()),
        completions: written
            .iter()
            .map(|(stage, sequences)| {
                let (sequence, numbers) = &sequences[i];
                completion(world, *stage, sequence, &numbers.log_ratios())
            })
            .collect(),
    });
    Samples { typed, rows: rows.collect() }
}

/// A completion with its gold reward's working.
pub fn completion(
    world: &World,
    (stage, step): (Stage, usize),
    sequence: &Sequence,
    log_ratios: &[f64],
) -> SampledCompletion {
    let working = world.gold(&sequence.tokens);
    let words = working.words.iter().skip(sequence.prompt_length).enumerate().map(|(index, word)| Word {
        log_ratio: log_ratios.get(index).copied().unwrap_or_default(),
        text: word.word.clone(),
        valence: word.contribution,
        rule: rules(&working.words, sequence.prompt_length + index),
    });
    SampledCompletion { stage, step, words: words.collect(), gold_reward: working.gold_reward, ended: working.ended }
}

/// What rules did to a word of a text, in words that agree with the numbers.
fn rules(words: &[WordWorking], index: usize) -> Message {
    let back = |distance: usize| index.checked_sub(distance).map_or("", |at| words[at].word.as_str());
    Message::list(words[index].steps().map(|step| rule(step, &back)).collect(), Separator::Comma)
}

fn rule<'a>(RuleStep { rule, before, after }: RuleStep, back: &impl Fn(usize) -> &'a str) -> Message {
    match rule {
        // What it adds says little: to a negative valence a dampener adds something positive.
        Rule::Booster { word, .. } if after.abs() > before.abs() => message!("strengthened by “{}”", word),
        Rule::Booster { word, .. } => message!("weakened by “{}”", word),
        Rule::Negation { word, .. } => message!("negated by “{}”", word),
        Rule::NeverSo { distance } if back(*distance) == "never" => {
            message!("strengthened by “never {}”", back(distance - 1))
        }
        Rule::NeverSo { .. } => message!("strengthened by “{}”", back(1)),
        Rule::Capitals { .. } => message!("strengthened by capitals"),
        Rule::No { .. } => message!("negated by “no”"),
        Rule::NoAsNegator => message!("negates the next word"),
        Rule::Least => message!("negated by “least”"),
        Rule::Idiom { phrase, .. } => message!("part of “{}”", phrase),
        Rule::BeforeBut => message!("halved before “but”"),
        Rule::AfterBut => message!("half as much again after “but”"),
    }
}

/// A typed prompt as tokens.
pub fn typed_prompt(world: &World, text: &str) -> Result<Vec<u32>, Failure> {
    let encoded = world.vocabulary().encode(text);
    let refuse = |sentence: Message, remedy: Message| {
        Err(Failure { sentence, remedy, field: Some("prompt".into()), stopped: false })
    };
    if !encoded.unknown.is_empty() {
        let words = encoded.unknown.join("”, “");
        return refuse(
            message!("The model has never seen “{}”.", words),
            message!("It knows a few hundred words only: try “the acting in this film”."),
        );
    }
    let longest = MAX_PROMPT + world.cue().len();
    match encoded.tokens.len() {
        0 => refuse(message!("The prompt is empty."), message!("Type a few words, such as “the acting in this film”.")),
        count if count > longest => refuse(
            message!("The prompt has {} words.", count),
            message!("Use at most {}, so that a completion has room.", longest),
        ),
        _ => Ok(encoded.tokens),
    }
}

/// Training that broke down.
pub fn not_finite(stage: Stage) -> Failure {
    Failure {
        sentence: message!(
            "Training of {} produced a number that is not finite, so training has stopped at the last good step.",
            Message::named(stage.name())
        ),
        remedy: message!("Lower the learning rate, or reset and try again."),
        field: Some(pace_of(stage).into()),
        stopped: true,
    }
}

/// A measurement with a number that is none: there is no point of it.
pub fn not_measured(stage: Stage) -> Failure {
    Failure {
        sentence: message!(
            "Measuring {} gave a number that is not finite, so there is no point of it.",
            Message::named(stage.name())
        ),
        remedy: message!(
            "Reset and try again; if it happens again, lower the learning rate or choose the other backend."
        ),
        field: Some("backend".into()),
        stopped: true,
    }
}

/// A run of a sweep that broke down at `beta`, the sweep's last one or not; with it, `broken` have.
pub fn run_given_up(stage: Stage, beta: f64, broken: usize, is_last: bool) -> Failure {
    let name = Message::named(stage.name());
    let sentence = if broken == 1 {
        message!(
            "The run of {} at β {} produced a number that is not finite, so it was stopped at its last good step.",
            name,
            beta
        )
    } else {
        message!(
            "{} runs of this sweep have produced a number that is not finite and were stopped at their last good step, the newest that of {} at β {}.",
            broken,
            name,
            beta
        )
    };
    let remedy = if is_last {
        message!("It was the sweep’s last run; a lower learning rate is steadier.")
    } else {
        message!("The sweep goes on with the next β; a lower learning rate is steadier.")
    };
    Failure { sentence, remedy, field: Some(pace_of(stage).into()), stopped: false }
}

/// The knob that sets how fast a stage learns.
fn pace_of(stage: Stage) -> &'static str {
    let rolls_out = stage.policy().is_some_and(|method| method.info().learns_from == LearnsFrom::Rollouts);
    if rolls_out { "ppo_learning_rate" } else { "learning_rate" }
}

/// A policy that is to go on without the reward model that judges it.
pub fn no_reward_model() -> Failure {
    Failure {
        sentence: message!("PPO cannot go on from this point, because its reward model has started over."),
        remedy: message!("Train the reward model first, then go on from the point."),
        field: Some("moment".into()),
        stopped: false,
    }
}

/// A model that was asked for before it was trained.
pub fn no_model(stage: Stage) -> Failure {
    Failure {
        sentence: message!("There is no model of {} to save yet.", Message::named(stage.name())),
        remedy: message!("Train it first: focus it and press Play."),
        field: None,
        stopped: false,
    }
}

/// A model that training broke.
pub fn model_not_finite(stage: Stage) -> Failure {
    Failure {
        sentence: message!(
            "The model of {} has parameters that are not finite, so it is not saved.",
            Message::named(stage.name())
        ),
        remedy: message!(
            "Reset and try again; if it happens again, lower the learning rate or choose the other backend."
        ),
        field: Some("backend".into()),
        stopped: false,
    }
}

/// An SFT model that its training broke.
pub fn reference_not_finite() -> Failure {
    Failure {
        sentence: message!(
            "The SFT model trained here has parameters that are not finite, so the reference stays as it was."
        ),
        remedy: message!("Train it again; if it happens again, choose the other backend."),
        field: Some("backend".into()),
        stopped: true,
    }
}

/// A reference that has but one thing to say.
pub fn nothing_to_choose() -> Failure {
    Failure {
        sentence: message!(
            "The reference writes the same completion again and again, so there is nothing to choose between."
        ),
        remedy: message!("Use a reference that varies more: the shipped SFT model, or one trained anew."),
        field: Some("drawn_pairs".into()),
        stopped: false,
    }
}

pub fn no_pairs() -> Failure {
    Failure {
        sentence: message!("There are no pairs to save yet."),
        remedy: message!("Make some first: press Step on the preferences."),
        field: None,
        stopped: false,
    }
}

/// The device failed.
pub fn backend_failure(error: &BackendError) -> Failure {
    Failure {
        sentence: error.message().as_sentence(),
        remedy: message!("Choose the CPU backend, or reload the page."),
        field: Some("backend".into()),
        stopped: true,
    }
}

/// A setting that cannot be used.
pub fn setting_failure(error: &ConfigError) -> Failure {
    Failure {
        sentence: message!("{}.", error.message()),
        remedy: message!("The setting before it is still in use."),
        field: Some(error.field.into()),
        stopped: false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use klimb_numerics::rng::Generator;
    use klimb_world::gold::Lexicon;

    /// What each rule is said to have done, and what it did.
    fn told(text: &str) -> Vec<(String, f64, f64)> {
        let words = Lexicon::klimb().score_text(text).words;
        let of = |index: usize| {
            let back = |distance: usize| words[index - distance].word.as_str();
            words[index]
                .steps()
                .map(|step| (rule(step, &back).to_string(), step.before, step.after))
                .collect::<Vec<_>>()
        };
        (0..words.len()).flat_map(of).collect()
    }

    #[test]
    fn the_words_of_a_rule_agree_with_what_it_did() {
        for (text, said) in [
            ("was slightly stupid overall .", "weakened by “slightly”"),
            ("was very stupid overall .", "strengthened by “very”"),
            ("was slightly good overall .", "weakened by “slightly”"),
            ("was very good overall .", "strengthened by “very”"),
            ("was not good .", "negated by “not”"),
        ] {
            assert!(told(text).iter().any(|(words, ..)| words == said), "{text}: {:?}", told(text));
        }
        let lexicon = ["good", "stupid", "awful", "lovely", "liked", "no", "bad", "hated"];
        let others = [
            "very",
            "slightly",
            "not",
            "never",
            "so",
            "this",
            "but",
            "kind",
            "of",
            "sort",
            "least",
            "film",
            "without",
            "doubt",
            "extremely",
            "somewhat",
            "nor",
            ".",
        ];
        let draws = &mut Generator::new(5, "texts");
        let pick = |list: &[&'static str], at: f64| list[(at * list.len() as f64) as usize];
        let mut seen = 0;
        for _ in 0..20_000 {
            let count = 2 + (draws.uniform() * 7.0) as usize;
            let words: Vec<&str> = (0..count)
                .map(|_| {
                    if draws.uniform() < 0.3 { pick(&lexicon, draws.uniform()) } else { pick(&others, draws.uniform()) }
                })
                .collect();
            let text = words.join(" ");
            for word in &Lexicon::klimb().score_text(&text).words {
                if let Some(step) = word.steps().last() {
                    assert_eq!(step.after, word.contribution, "{text}: {word:?}");
                }
            }
            for (said, before, after) in told(&text) {
                seen += 1;
                let holds = match said.split(' ').next().expect("it says something") {
                    "strengthened" => after.abs() > before.abs(),
                    "weakened" => after.abs() <= before.abs(),
                    "negated" => before * after <= 0.0,
                    "halved" => after == 0.5 * before,
                    "half" => after == 1.5 * before,
                    "negates" => after == 0.0,
                    "part" => true,
                    other => panic!("{other} is not known here"),
                };
                assert!(holds, "{text}: {said}, from {before} to {after}");
                let by = said.split(['“', '”']).nth(1).is_none_or(|by| text.contains(by));
                assert!(by, "{text}: {said}");
            }
        }
        assert!(seen > 10_000, "{seen}");
    }
}
