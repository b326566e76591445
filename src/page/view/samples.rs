//! The same prompts through base, SFT and every policy, each word tinted by what it did to the gold reward.

use wasm_bindgen::JsCast;
use web_sys::{Element, HtmlElement};

use super::action::run;
use super::{Act, Action, On, Page, View, dom};
use crate::engine::protocol::{Command, SampleRow, SampledCompletion, Stage, StageKind, Word};
use crate::page::model::change::Change;
use crate::page::model::format;
use crate::page::model::state::{State, Tint};
use klimb_text::json;
use klimb_text::words::say;

/// The completions.
pub struct Samples;

const ACTIONS: &[Action<Samples>] = &[
    Action::change("set-tint", |_, page, _| read_tint(page)),
    Action::change("set-temperature", |_, page, _| {
        if let Some(temperature) = json::number(&dom::select("reading").value()) {
            page.request(Command::ReadAt(temperature));
        }
    }),
    Action::on(&[On::Submit], "write-on", |_, page, act| {
        act.prevent_default();
        let prompt = dom::input("prompt").value().trim().to_ascii_lowercase();
        if !prompt.is_empty() {
            page.request(Command::SamplePrompt(prompt));
        }
    }),
];

impl View for Samples {
    fn shows(&self) -> &'static [Change] {
        &[Change::Samples, Change::Tint]
    }

    fn take_over(&mut self, page: &mut Page) {
        read_tint(page);
    }

    fn draw(&mut self, page: &mut Page) {
        draw(&page.state);
    }

    fn act(&mut self, page: &mut Page, act: &Act) -> bool {
        run(ACTIONS, self, page, act)
    }
}

/// Takes over what words are tinted by.
fn read_tint(page: &mut Page) {
    page.state.samples.tint = if dom::select("tint").value() == "ratio" { Tint::LogRatio } else { Tint::Sentiment };
    page.state.mark(Change::Tint);
}

/// A valence that is tinted as strongly as any; the lexicon's strongest is 4.
const STRONGEST_VALENCE: f64 = 3.0;
/// A log-ratio, in nats, that is tinted as strongly as any.
const STRONGEST_RATIO: f64 = 2.0;
/// Below this, in nats, a word is about as likely as it was.
const FAINTEST_RATIO: f64 = 0.05;

/// Writes the standing samples and those of the person's own prompt.
fn draw(state: &State) {
    dom::flag("tinted-by-sentiment", "hidden", state.samples.tint != Tint::Sentiment);
    dom::flag("tinted-by-ratio", "hidden", state.samples.tint != Tint::LogRatio);
    for (id, samples) in [("typed-list", &state.samples.typed), ("sample-list", &state.samples.standing)] {
        if let Some(samples) = samples {
            let list = dom::element(id);
            dom::clear(&list);
            for row in &samples.rows {
                dom::append(&list, &[&sample(row, state.samples.tint)]);
            }
        }
    }
}

/// A prompt with what each model made of it.
pub(super) fn sample(row: &SampleRow, by: Tint) -> Element {
    let article = dom::make("article", "sample", "");
    dom::append(&article, &[&dom::make_written("p", "prompt", &format!("{} …", row.prompt))]);
    let models = dom::make("div", "models", "");
    for completion in &row.completions {
        dom::append(&models, &[&written(completion, by)]);
    }
    dom::append(&article, &[&models]);
    article
}

fn written(completion: &SampledCompletion, by: Tint) -> Element {
    let stage = completion.stage;
    let (method, name) = match stage.kind() {
        StageKind::Base => ("base", say(stage.name()).to_owned()),
        StageKind::Policy(_) => (stage.id(), say!("{}, step {}", say(stage.name()), completion.step)),
        StageKind::Sft | StageKind::Pairs | StageKind::RewardModel | StageKind::BestOfN => {
            ("sft", Stage::Sft.name().to_owned())
        }
    };
    let block = dom::make("div", "completion", "");
    let model = dom::make("p", "model", &name);
    dom::set_attribute(&model, "data-method", Some(method));
    let text = dom::make("p", "", "");
    write_words(&text, completion, by);
    let details = dom::make("details", "", "");
    let unfinished = if completion.ended { "" } else { say(", never ends") };
    let score = say!("gold reward {}{}", format::fixed(completion.gold_reward, 2), unfinished);
    dom::append(&details, &[&dom::make("summary", "", &score), &working(completion)]);
    if by == Tint::LogRatio {
        dom::append(&details, &[&ratios(completion)]);
    }
    dom::append(&block, &[&model, &text, &details]);
    block
}

/// Writes a completion's words, each tinted.
pub(super) fn write_words(text: &Element, completion: &SampledCompletion, by: Tint) {
    for (index, word) in completion.words.iter().enumerate() {
        let strength = match by {
            Tint::Sentiment => word.valence / STRONGEST_VALENCE,
            Tint::LogRatio if word.log_ratio.abs() < FAINTEST_RATIO => 0.0,
            Tint::LogRatio => word.log_ratio / STRONGEST_RATIO,
        };
        // What is told of a word is in the page's language, the word itself is not.
        let (span, written) = (dom::make("span", tint(strength), ""), dom::make_written("span", "", &word.text));
        dom::set_attribute(&span, "title", Some(&numbers(word)));
        dom::append(&span, &[&written]);
        if strength != 0.0 {
            strengthen(&span, strength);
        }
        // A full stop never stands alone on a line.
        let space = dom::document().create_text_node(if index > 0 && is_mark(word) { "\u{a0}" } else { " " });
        if index > 0 {
            // A text node cannot be refused by an element of text.
            let _ = text.append_child(&space);
        }
        dom::append(text, &[&span]);
    }
}

fn is_mark(word: &Word) -> bool {
    matches!(word.text.as_str(), "." | "?" | ",")
}

fn tint(strength: f64) -> &'static str {
    match strength {
        v if v > 0.0 => "word good",
        v if v < 0.0 => "word bad",
        _ => "word",
    }
}

/// 1 is as strong as it gets.
fn strengthen(span: &Element, strength: f64) {
    if let Some(span) = span.dyn_ref::<HtmlElement>() {
        // By script this is allowed where a style attribute is not.
        let _ = span.style().set_property("--strength", &format!("{:.2}", strength.abs().clamp(0.25, 1.0)));
    }
}

/// A word's numbers, for whoever points at it.
fn numbers(word: &Word) -> String {
    let ratio = format::signed(word.log_ratio, 2);
    say!("sentiment {}{}; log π/π_ref {}", format::signed(word.valence, 2), rules(word), ratio)
}

/// The rules that changed what a word counts.
fn rules(word: &Word) -> String {
    if word.rule.is_empty() { String::new() } else { format!(" ({})", word.rule.said()) }
}

/// Every word with what its tint says, for whoever cannot point at it.
fn ratios(completion: &SampledCompletion) -> Element {
    let line = dom::make("p", "working", say("log π/π_ref: "));
    for (index, word) in completion.words.iter().enumerate() {
        let before = if index > 0 { "; " } else { "" };
        let number = format!(" {}", format::signed(word.log_ratio, 2));
        write_word(&line, before, word, &number);
    }
    line
}

/// Writes a word with its numbers.
fn write_word(line: &Element, before: &str, word: &Word, numbers: &str) {
    let parts =
        [dom::make("span", "", before), dom::make_written("span", "", &word.text), dom::make("span", "", numbers)];
    parts.iter().for_each(|part| dom::append(line, &[part]));
}

fn working(completion: &SampledCompletion) -> Element {
    let sentimental = || completion.words.iter().filter(|word| word.valence != 0.0);
    if !completion.ended {
        return dom::make("p", "working", say("A review that never ends earns nothing."));
    }
    if sentimental().next().is_none() {
        return dom::make("p", "working", say("No word of it has a sentiment: neutral, 0.5."));
    }
    let working = dom::make("p", "working", "");
    for (index, word) in sentimental().enumerate() {
        let before = if index > 0 { "; " } else { "" };
        let number = format!(" {}{}", format::signed(word.valence, 2), rules(word));
        write_word(&working, before, word, &number);
    }
    working
}
