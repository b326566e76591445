//! `score`: the gold reward of a text, with its working, and what a reward model makes of it.

use std::fmt::Write;
use std::path::{Path, PathBuf};

use clap::Args;
use klimb::backend::SequenceSize;
use klimb::backend::cpu::Cpu;
use klimb::language::{Judge, Sequence, upload};
use klimb::world::gold::{Lexicon, Rule, WordWorking, Working};
use klimb::world::{Encoded, Vocabulary};
use serde::Serialize;

use super::{End, Failure, files};

/// Texts judged at a time.
const PIECE: usize = 16;

/// Score texts by the gold reward, word by word
#[derive(Debug, Args)]
#[command(
    long_about = "Score texts by the gold reward, word by word.\n\n\
        The gold reward is (1 + c)/2 with c the compound of VADER (Hutto and Gilbert 2014) over the world's words. Each \
        word is shown with its valence in the lexicon, what it adds to the sum, and the rules that changed it. Words \
        the world does not know, emoticons among them, count as neutral and are named as unknown: there VADER, whose lexicon \
        has 7,500 words, may say something else. A reward model scores texts of the world's words only; \
        its score estimates (gold reward − the reference's mean)/τ.",
    after_long_help = "Examples:\n  \
        klimb score \"the plot was not very good .\"\n  \
        klimb score the music was lovely but the script was dull\n  \
        klimb score --reward-model reward-model.safetensors \"the plot was not very good .\"\n  \
        klimb score --json \"a superb film\" \"an awful film\""
)]
pub struct Score {
    /// Texts, each quoted; words without quotes are one text
    #[arg(required = true, value_name = "TEXT")]
    texts: Vec<String>,
    /// Print one JSON object a text, each on a line
    #[arg(long)]
    json: bool,
    /// Score them by this reward model too
    #[arg(long, value_name = "FILE")]
    reward_model: Option<PathBuf>,
}

#[derive(Serialize)]
struct Scored<'a> {
    text: &'a str,
    #[serde(flatten)]
    working: Working,
    /// The reward model's.
    #[serde(skip_serializing_if = "Option::is_none")]
    score: Option<f64>,
}

impl Score {
    pub fn run(self) -> Result<End, Failure> {
        let are_words = self.texts.iter().all(|text| !text.trim().contains(char::is_whitespace));
        let texts = if are_words { vec![self.texts.join(" ")] } else { self.texts };
        let scores = match &self.reward_model {
            Some(path) => judged(path, &texts)?.into_iter().map(Some).collect(),
            None => vec![None; texts.len()],
        };
        for (text, score) in texts.iter().zip(scores) {
            let working = Lexicon::klimb().score_text(text);
            if self.json {
                files::print_answer(&(serde_json::to_string(&Scored { text, working, score })? + "\n"))?;
            } else {
                files::print_answer(&table(text, &working, score)?)?;
            }
        }
        Ok(End::Done)
    }
}

/// Each text's score under the reward model in a file, the end token behind it.
fn judged(path: &Path, texts: &[String]) -> Result<Vec<f64>, Failure> {
    let world = files::world()?;
    let reward_model = files::read_reward_model(path, &world)?;
    let length = reward_model.config.context;
    let mut sequences = Vec::with_capacity(texts.len());
    for text in texts {
        let Encoded { tokens, unknown } = world.vocabulary().encode(text);
        if !unknown.is_empty() {
            return Err(Failure::about(text, format!("the reward model has no word for {}", unknown.join(", "))));
        }
        if tokens.is_empty() || tokens.len() >= length {
            let reason = format!("{} words; the reward model reads 1 to {}", tokens.len(), length - 1);
            return Err(Failure::about(text, reason));
        }
        sequences.push(Sequence::new(&tokens, &[Vocabulary::END]));
    }
    let mut k = Cpu::<f32>::new();
    let parameters = upload(&mut k, &reward_model.parameters);
    let mut judge = Judge::new(&mut k, reward_model.config, SequenceSize { batch: PIECE, length });
    Ok(pollster::block_on(judge.scores(&mut k, &parameters, &sequences))?)
}

fn table(text: &str, working: &Working, score: Option<f64>) -> Result<String, std::fmt::Error> {
    let mut table = format!("{text}\n\n");
    let widest = working.words.iter().map(|it| it.word.chars().count()).max().unwrap_or(0).max("word".len());
    writeln!(table, "  {:widest$}  valence  adds to sum  rules", "word")?;
    for WordWorking { word, valence, contribution, rules } in &working.words {
        let rules: Vec<String> = rules.iter().map(describe).collect();
        let line = format!("  {word:widest$}  {valence:>7.2}  {contribution:>+11.4}  {}", rules.join("; "));
        writeln!(table, "{}", line.trim_end())?;
    }
    writeln!(table, "\n  sum s            {:>+9.4}", working.sum)?;
    writeln!(table, "  compound         {:>+9.4}   s / √(s² + 15)", working.compound)?;
    writeln!(table, "  gold reward      {:>9.4}   (1 + compound) / 2", working.gold_reward)?;
    if let Some(score) = score {
        writeln!(table, "  reward model     {score:>+9.4}   estimates (gold reward − reference's mean) / τ")?;
    }
    if !working.unknown.is_empty() {
        writeln!(table, "  unknown words, taken as neutral: {}", working.unknown.join(", "))?;
    }
    table.push('\n');
    Ok(table)
}

/// A rule in words.
fn describe(rule: &Rule) -> String {
    match rule {
        Rule::Booster { word, distance, change } => format!("\"{word}\" {distance} before: {change:+.4}"),
        Rule::Negation { word, distance } => format!("\"{word}\" {distance} before: × −0.74"),
        Rule::NeverSo { distance } => format!("emphasised {distance} before: × 1.25"),
        Rule::Capitals { change } => format!("in capitals: {change:+.3}"),
        Rule::No { distance } => format!("\"no\" {distance} before: × −0.74"),
        Rule::NoAsNegator => "negates the next word".into(),
        Rule::Least => "\"least\" before: × −0.74".into(),
        Rule::Idiom { phrase, valence } => format!("part of \"{phrase}\": {valence:+.2}"),
        Rule::BeforeBut => "before \"but\": × 0.5".into(),
        Rule::AfterBut => "after \"but\": × 1.5".into(),
    }
}
