//! Inside a step of a method whose loss is of the margin between implicit rewards, such as DPO: the formula, with the first
//! pair's numbers in it where it is DPO's, and the pairs of the batch.

use web_sys::Element;

use super::tokens::{self, Place};
use super::{formulas, pull, tinted};
use crate::engine::protocol::{Batch, CompletionNumbers, Inside, PairNumbers, Stage};
use crate::page::model::state::State;
use crate::page::{model::format, view::dom};
use klimb_metrics::{MarginLoss, Method, PairLoss};
use klimb_text::words::say;

/// The stage whose step is shown, and its method: those in focus, if that has implicit rewards, or else DPO's.
fn shown(focused: Stage) -> (Stage, Method) {
    let method = focused.policy().filter(|method| method.has_implicit_rewards());
    method.map_or((Stage::Dpo, Method::Dpo), |method| (focused, method))
}

/// The batch that was looked into last.
fn batch(state: &State) -> Option<&Batch> {
    state.records.inside.get(&shown(state.training.focused).0).and_then(Inside::dpo)
}

/// Writes the batch that was stepped through.
pub fn draw(state: &State) {
    let list = dom::element("pairs");
    dom::clear(&list);
    let (stage, method) = shown(state.training.focused);
    formulas::show(stage, Method::has_implicit_rewards);
    let batch = batch(state);
    let has_formula = |batch: &Batch| !batch.pairs.is_empty() && is_log_sigmoid(method, batch);
    dom::flag("live-formula", "hidden", !batch.is_some_and(has_formula));
    let Some(batch) = batch else {
        return dom::set_text(
            "batch-summary",
            say("Press Step to look into one batch: its pairs, their implicit rewards, and how hard each one pulls."),
        );
    };
    dom::set_text("batch-summary", &summary(method, batch));
    if let Some(first) = batch.pairs.first() {
        formula(batch, first);
    }
    for (index, pair) in batch.pairs.iter().enumerate() {
        dom::append(&list, &[&item(index, pair)]);
    }
}

/// Whether the loss of a step is −log σ of β's log-ratios, as in DPO's paper: a variant's numbers would not fit that.
fn is_log_sigmoid(method: Method, batch: &Batch) -> bool {
    method.info().pair_loss == Some(PairLoss::Margin(MarginLoss::LogSigmoid)) && batch.variant.is_empty()
}

fn summary(method: Method, batch: &Batch) -> String {
    let start = if !batch.variant.is_empty() {
        say!(" A variant of {}: {}.", method.label(), batch.variant.said())
    } else if batch.step == 1 && is_log_sigmoid(method, batch) {
        say(" The policy is still the reference, so every pair is a coin toss: ln 2.").into()
    } else {
        String::new()
    };
    let pull = if is_log_sigmoid(method, batch) {
        say("the pull of a pair is σ(rejected − chosen) of its implicit rewards r̂")
    } else {
        say("the pull of a pair is how steeply its loss falls with its margin")
    };
    say!(
        "Step {}: {} pairs, mean loss {} nats, {} of them in order before the update.{} The first {} follow, each word tinted by how much likelier or rarer it has become; {}. Choose a word to see its numbers.",
        batch.step,
        format::count(batch.size),
        format::fixed(batch.mean_loss, 3),
        format!("{}\u{a0}%", format::fixed(100.0 * batch.accuracy, 0)),
        start,
        batch.pairs.len(),
        pull
    )
}

fn formula(batch: &Batch, pair: &PairNumbers) {
    let ratio = |side: &CompletionNumbers| format::signed(side.logprob - side.reference_logprob, 2);
    let beta = format::beta(batch.beta);
    let values = [
        ("live-beta-chosen", beta.clone()),
        ("live-beta-rejected", beta),
        ("live-chosen", ratio(&pair.chosen)),
        ("live-rejected", ratio(&pair.rejected)),
        ("live-margin", format::signed(pair.chosen.implicit_reward - pair.rejected.implicit_reward, 3)),
        ("live-loss", format::fixed(pair.loss, 3)),
    ];
    for (id, value) in values {
        dom::set_text(id, &value);
    }
}

fn item(index: usize, pair: &PairNumbers) -> Element {
    let item = dom::make("li", "batch-pair", "");
    let prompt = dom::make_written("p", "prompt", &format!("{} …", pair.prompt));
    let margin = pair.chosen.implicit_reward - pair.rejected.implicit_reward;
    let pull = pull(pair.weight, margin, pair.loss);
    let sides = [side(say("chosen"), &pair.chosen, (index, 0)), side(say("rejected"), &pair.rejected, (index, 1))];
    dom::append(&item, &[&prompt, &sides[0], &sides[1], &pull, &tokens::line()]);
    item
}

fn side(name: &str, numbers: &CompletionNumbers, place: (usize, usize)) -> Element {
    let row = dom::make("div", "side", "");
    let words = tinted(&numbers.words, &numbers.log_ratios, place);
    let reward = say!(
        "r̂ {}   log π {} → {}   gold {}",
        format::signed(numbers.implicit_reward, 3),
        format::fixed(numbers.logprob, 2),
        format::fixed(numbers.logprobs_after.iter().sum(), 2),
        format::fixed(numbers.gold_reward, 2),
    );
    dom::append(&row, &[&dom::make("span", "quiet", name), &words, &dom::make("span", "quiet numeric", &reward)]);
    row
}

/// The numbers of a token.
pub fn tell(state: &State, place: Place) -> Option<String> {
    let pair = batch(state)?.pairs.get(place.item)?;
    let side = if place.side == 0 { &pair.chosen } else { &pair.rejected };
    let (word, share) = (side.words.get(place.at)?, *side.shares.get(place.at)?);
    let logprob = *side.logprobs.get(place.at)?;
    let ratio = *side.log_ratios.get(place.at)?;
    let after = *side.logprobs_after.get(place.at)?;
    Some(say!(
        "“{}”: log π {}, log π_ref {}, log-ratio {}. Its share of the implicit reward: {} of {}. After the update log π {}: Δ {}.",
        word,
        format::fixed(logprob, 3),
        format::fixed(logprob - ratio, 3),
        format::signed(ratio, 3),
        format::signed(share, 3),
        format::signed(side.implicit_reward, 3),
        format::fixed(after, 3),
        format::signed(after - logprob, 3),
    ))
}
