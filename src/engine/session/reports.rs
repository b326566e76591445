//! From the engine's numbers to what the page is told: texts, rows, working, and failures in words.

use crate::algorithms::{DpoMetrics, DpoSettings, PairOutcome};
use crate::backend::BackendError;
use crate::engine::protocol::{
    Batch, CompletionNumbers, Failure, PairNumbers, SampleRow, SampledCompletion, Samples, Stage, Word,
};
use crate::language::{Sequence, TokenComparison};
use crate::model::ConfigError;
use crate::world::gold::Rule;
use crate::world::{MAX_PROMPT, World};

/// The pairs of a DPO step; `told` and `numbers` hold chosen and rejected in turn.
pub fn batch(
    world: &World,
    settings: &DpoSettings,
    told: &[Sequence],
    numbers: &[TokenComparison],
    outcomes: &[PairOutcome],
    metrics: Option<&DpoMetrics>,
) -> Batch {
    let side = |sequence: &Sequence, numbers: &TokenComparison, implicit_reward: f64| CompletionNumbers {
        words: sequence.completion().iter().map(|&token| world.vocabulary().word(token).to_owned()).collect(),
        log_ratios: numbers.logprobs.iter().zip(&numbers.reference_logprobs).map(|(p, q)| p - q).collect(),
        logprob: numbers.logprobs.iter().sum(),
        reference_logprob: numbers.reference_logprobs.iter().sum(),
        implicit_reward,
        gold_reward: world.gold_reward(&sequence.tokens),
    };
    let pairs = told.chunks_exact(2).zip(numbers.chunks_exact(2)).zip(outcomes);
    let pairs = pairs.map(|((sequences, numbers), outcome)| PairNumbers {
        prompt: world.vocabulary().text(sequences[0].prompt()),
        chosen: side(&sequences[0], &numbers[0], outcome.chosen_reward),
        rejected: side(&sequences[1], &numbers[1], outcome.rejected_reward),
        weight: outcome.weight,
        loss: outcome.loss,
    });
    Batch {
        step: metrics.map_or(0, |metrics| metrics.step as usize),
        beta: settings.beta,
        label_smoothing: settings.label_smoothing,
        variant: settings.variant(),
        mean_loss: metrics.map_or(f64::NAN, |metrics| metrics.loss),
        accuracy: metrics.map_or(f64::NAN, |metrics| metrics.accuracies),
        size: settings.pairs,
        pairs: pairs.collect(),
    }
}

/// Completions side by side, with the gold reward's working.
pub fn samples(world: &World, step: usize, typed: bool, written: &[(Stage, Vec<Sequence>)]) -> Samples {
    let prompts = written.first().map_or(0, |(_, sequences)| sequences.len());
    let rows = (0..prompts).map(|i| SampleRow {
        prompt: world.vocabulary().text(written[0].1[i].prompt()),
        completions: written.iter().map(|(stage, sequences)| completion(world, *stage, &sequences[i])).collect(),
    });
    Samples { step, typed, rows: rows.collect() }
}

fn completion(world: &World, stage: Stage, sequence: &Sequence) -> SampledCompletion {
    let working = world.gold(&sequence.tokens);
    let words = working.words.iter().skip(sequence.prompt_length).map(|word| Word {
        text: word.word.clone(),
        valence: word.contribution,
        rule: word.rules.iter().map(rule).collect::<Vec<_>>().join(", "),
    });
    SampledCompletion { stage, words: words.collect(), gold_reward: working.gold_reward, ended: working.ended }
}

fn rule(rule: &Rule) -> String {
    match rule {
        Rule::Booster { word, change, .. } if *change < 0.0 => format!("dampened by “{word}”"),
        Rule::Booster { word, .. } => format!("strengthened by “{word}”"),
        Rule::Negation { word, .. } => format!("negated by “{word}”"),
        Rule::NeverSo { .. } => "emphasised by “never so”".into(),
        Rule::No { .. } | Rule::NoAsNegator => "negated by “no”".into(),
        Rule::Least => "negated by “least”".into(),
        Rule::Idiom { phrase, .. } => format!("part of “{phrase}”"),
        Rule::BeforeBut => "halved before “but”".into(),
        Rule::AfterBut => "half as much again after “but”".into(),
    }
}

/// A typed prompt as tokens.
pub fn typed_prompt(world: &World, text: &str) -> Result<Vec<u32>, Failure> {
    let encoded = world.vocabulary().encode(text);
    let refuse = |sentence: String, remedy: &str| {
        let (remedy, field) = (remedy.into(), Some("prompt".into()));
        Err(Failure { sentence, remedy, field, stopped: false })
    };
    if !encoded.unknown.is_empty() {
        let words = encoded.unknown.join("”, “");
        return refuse(
            format!("The model has never seen “{words}”."),
            "It knows a few hundred words only: try “the acting in this film”.",
        );
    }
    let longest = MAX_PROMPT + world.cue().len();
    match encoded.tokens.len() {
        0 => refuse("The prompt is empty.".into(), "Type a few words, such as “the acting in this film”."),
        count if count > longest => refuse(
            format!("The prompt has {count} words."),
            &format!("Use at most {longest}, so that a completion has room."),
        ),
        _ => Ok(encoded.tokens),
    }
}

/// Training that broke down.
pub fn not_finite(stage: Stage) -> Failure {
    let (what, field) = match stage {
        Stage::Dpo => ("DPO", "learning_rate"),
        _ => ("SFT", "learning_rate"),
    };
    Failure {
        sentence: format!(
            "{what} produced a number that is not finite, so training has stopped at the last good step."
        ),
        remedy: "Lower the learning rate, or reset and try again.".into(),
        field: Some(field.into()),
        stopped: true,
    }
}

/// An error's words as a sentence: a capital first, a full stop last.
pub fn sentence(error: &impl std::fmt::Display) -> String {
    let words = error.to_string();
    let mut letters = words.chars();
    let first: String = letters.next().into_iter().flat_map(char::to_uppercase).collect();
    format!("{first}{}.", letters.as_str().trim_end_matches('.'))
}

/// The device failed.
pub fn backend_failure(error: &BackendError) -> Failure {
    Failure {
        sentence: sentence(error),
        remedy: "Choose the CPU backend, or reload the page.".into(),
        field: Some("backend".into()),
        stopped: true,
    }
}

/// A setting that cannot be used.
pub fn setting_failure(error: &ConfigError) -> Failure {
    Failure {
        sentence: format!("{error}."),
        remedy: "The setting before it is still in use.".into(),
        field: Some(error.field.into()),
        stopped: false,
    }
}
