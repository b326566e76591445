//! The annotator's desk: a pair, two keys, and what became of the labels.

use web_sys::Element;

use super::action::run;
use super::{Act, Action, On, Page, View, dom, samples, web_storage};
use crate::engine::protocol::{Command, Origin, SampledCompletion, Stage};
use crate::page::model::annotator::{self, Label, Side, text};
use crate::page::model::change::Change;
use crate::page::model::format;
use crate::page::model::runs::run_name;
use crate::page::model::state::{Export, State, Tint};
use klimb_text::words::say;

/// Where a tab keeps the labels.
const KEPT: &str = "klimb-labels";

/// The labels that this tab kept when it was left.
fn restore() -> annotator::Annotator {
    let mut annotator = annotator::Annotator::restored(web_storage::read(web_storage::session(), KEPT).as_deref());
    // The engine that is to come draws those anew: nothing is shown that would be taken away under the person's hands.
    annotator.forget_unanswered();
    annotator
}

fn keep(annotator: &annotator::Annotator) {
    web_storage::write(web_storage::session(), KEPT, annotator.to_text().as_deref());
}

/// The person's own labels.
pub struct Annotator;

const ACTIONS: &[Action<Annotator>] = &[
    Action::click("begin-labelling", |_, page, _| {
        page.state.annotator.begin();
        page.state.annotator.wanted().into_iter().for_each(|command| page.request(command));
        at_desk(page);
    }),
    Action::click("choose-a", |_, page, _| choose(page, Side::A)),
    Action::click("choose-b", |_, page, _| choose(page, Side::B)),
    Action::click("skip-pair", |_, page, _| {
        page.state.annotator.skip();
        at_desk(page);
    }),
    Action::click("undo-label", |_, page, _| {
        page.state.annotator.undo();
        at_desk(page);
    }),
    Action::click("label-more", |_, page, _| {
        page.state.annotator.go_on();
        at_desk(page);
    }),
    Action::click("train-on-labels", |_, page, _| {
        train(page);
        answered(page);
    }),
    Action::click("generated-instead", |_, page, _| {
        page.request(Command::GeneratePreferences);
        answered(page);
    }),
    Action::click("save-labels", |_, page, _| {
        page.state.files.export = Some(Export::Preferences(page.state.annotator.jsonl()));
        answered(page);
    }),
    Action::on(&[On::Input], "set-flips", |_, page, _| set_flips(page)),
];

impl View for Annotator {
    fn shows(&self) -> &'static [Change] {
        &[Change::Labels, Change::Stages, Change::Failure]
    }

    fn build(&mut self, page: &mut Page) {
        page.state.annotator = restore();
    }

    fn draw(&mut self, page: &mut Page) {
        draw(&page.state);
    }

    fn act(&mut self, page: &mut Page, act: &Act) -> bool {
        run(ACTIONS, self, page, act)
    }
}

fn choose(page: &mut Page, side: Side) {
    page.state.annotator.choose(side);
    at_desk(page);
}

/// What was pressed may be gone now, and the keys should go on working.
fn at_desk(page: &mut Page) {
    answered(page);
    dom::focus("annotator-desk");
}

/// Obeys a key at the desk; whether it meant something there.
pub fn press(page: &mut Page, key: &str) -> bool {
    let annotator = &mut page.state.annotator;
    match key {
        "a" | "A" | "ArrowLeft" => annotator.choose(Side::A),
        "b" | "B" | "ArrowRight" => annotator.choose(Side::B),
        "s" | "S" => annotator.skip(),
        "u" | "U" | "Backspace" => annotator.undo(),
        _ => return false,
    }
    answered(page);
    true
}

/// Takes over the share of flipped labels from its slider.
fn set_flips(page: &mut Page) {
    page.state.annotator.set_flips(dom::input("annotator-flips").value_as_number() as u32);
    keep(&page.state.annotator);
    page.state.mark(Change::Labels);
}

fn answered(page: &mut Page) {
    page.draw_pairs();
    keep(&page.state.annotator);
    // At once, so that what is focused next is there.
    draw(&page.state);
}

/// Trains on the labels what is in focus if it learns from pairs, and else DPO.
fn train(page: &mut Page) {
    if !page.state.annotator.is_trainable() {
        return;
    }
    let lines = page.state.annotator.jsonl_with_flips(page.state.training.settings.seed);
    let source = page.state.annotator.source();
    page.state.results.pair_names.announce(source);
    page.request(Command::LoadPreferences(lines.into_bytes()));
    if !Stage::learned_from_pairs().contains(&page.state.training.focused) {
        page.request(Command::Focus(Stage::Dpo));
    }
    page.request(Command::Play);
}

/// Writes the section.
fn draw(state: &State) {
    let annotator = &state.annotator;
    let is_ready = state.training.ready.is_some();
    dom::flag("annotator-begin", "disabled", !is_ready);
    dom::flag("annotator-start", "hidden", annotator.has_begun());
    dom::flag("annotator-desk", "hidden", !annotator.has_begun());
    dom::flag("annotator-outcome", "hidden", !annotator.is_trainable());
    if !annotator.has_begun() {
        return;
    }
    let (count, goal) = (annotator.count(), annotator.goal());
    dom::set_text("annotator-count", &say!("{} of {}", count, goal));
    let progress = dom::element("annotator-progress");
    dom::set_attribute(&progress, "max", Some(&goal.max(1).to_string()));
    dom::set_attribute(&progress, "value", Some(&count.min(goal).to_string()));
    draw_pair(annotator);
    dom::flag("annotator-skip", "disabled", annotator.current().is_none());
    dom::flag("annotator-undo", "disabled", !annotator.can_undo());
    let verdict = annotator.last().map_or_else(String::new, |label| say!("Your last choice: {}", label.verdict()));
    dom::set_text("annotator-verdict", &verdict);
    draw_outcome(state);
}

fn draw_pair(annotator: &annotator::Annotator) {
    let current = annotator.current();
    dom::flag("annotator-pair", "hidden", current.is_none());
    dom::flag("annotator-rest", "hidden", current.is_some());
    match current {
        Some(pair) => {
            dom::set_text("annotator-prompt", &format!("{} …", pair.prompt));
            for (id, completion) in ["annotator-a", "annotator-b"].into_iter().zip(&pair.completions) {
                dom::set_text(id, &as_read(completion));
            }
        }
        None if annotator.is_done() => {
            dom::set_text(
                "annotator-rest",
                say("That is as many as were asked for. Train on them below, or label ten more."),
            );
        }
        None => dom::set_text("annotator-rest", say("The reference is writing …")),
    }
}

/// A completion without anything the oracle makes of it.
fn as_read(completion: &SampledCompletion) -> String {
    let unfinished = if completion.ended { "" } else { say(" … (never ends)") };
    // A full stop never stands alone on a line.
    format!("{}{unfinished}", text(completion).replace(" .", "\u{a0}."))
}

fn draw_outcome(state: &State) {
    let annotator = &state.annotator;
    dom::set_text("annotator-summary", &annotator.summary(state.training.settings.pairs));
    let flipped = annotator.flipped(state.training.settings.seed);
    let turned = flipped.iter().filter(|it| **it).count();
    dom::set_text("annotator-flips-value", &say!("{} %, {} of {}", annotator.flips(), turned, flipped.len()));
    let are_loaded = state.training.stage(Stage::Pairs).is_some_and(|pairs| pairs.origin == Origin::Loaded);
    dom::flag("annotator-train", "disabled", state.training.ready.is_none());
    dom::flag("annotator-more", "disabled", !annotator.is_done());
    dom::flag("annotator-generated", "disabled", !are_loaded);
    dom::set_text("annotator-training", &training(state));
    let body = dom::element("annotator-rows");
    dom::clear(&body);
    for (number, (label, is_flipped)) in annotator.labels().zip(flipped).enumerate() {
        dom::append(&body, &[&row(number + 1, &label, is_flipped)]);
    }
}

/// What the engine trains on, and how its runs are called.
fn training(state: &State) -> String {
    match state.results.pair_names.now() {
        Some(source) => {
            let newest =
                state.results.points.iter().rev().find(|point| state.results.pair_names.of(point) == Some(source));
            let seen = newest.map_or_else(String::new, |point| {
                say!(" On the chart they are called “{}”.", run_name(point, &state.results.pair_names))
            });
            say!(
                "What learns from pairs now learns from {}; its points are measured by the oracle’s gold reward like all others.{}",
                source.words(),
                seen
            )
        }
        None => say("What learns from pairs now learns from generated ones, which the oracle labelled.").into(),
    }
}

fn row(number: usize, label: &Label, is_flipped: bool) -> Element {
    let row = dom::make("tr", "", "");
    let head = dom::make("th", "", &number.to_string());
    if label.is_earlier {
        dom::append(&head, &[&dom::make("span", "quiet", say(" by an earlier model"))]);
    }
    dom::set_attribute(&head, "scope", Some("row"));
    let prompt = dom::make_written("td", "prompt", &format!("{} …", label.pair.prompt));
    dom::append(&row, &[&head, &prompt]);
    for completion in [label.chosen(), label.rejected()] {
        let (cell, text) = (dom::make("td", "", ""), dom::make("span", "", ""));
        samples::write_words(&text, completion, Tint::Sentiment);
        let reward = dom::make("span", "quiet numeric", &format!(" {}", format::fixed(completion.gold_reward, 2)));
        dom::append(&cell, &[&text, &reward]);
        dom::append(&row, &[&cell]);
    }
    let oracle = match label.agreement() {
        agreement if agreement > 0.5 => say("agrees"),
        agreement if agreement < 0.5 => say("differs"),
        _ => say("even"),
    };
    dom::append(
        &row,
        &[&dom::make("td", "", oracle), &dom::make("td", "", if is_flipped { say("flipped") } else { "" })],
    );
    row
}
