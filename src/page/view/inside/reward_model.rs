//! Inside a step of the reward model: pairs, both scores, and how hard each pair pulls them apart.

use web_sys::Element;

use super::pull;
use crate::engine::protocol::{Inside, ScoredBatch, ScoredCompletion, ScoredPairNumbers, Stage};
use crate::page::model::state::State;
use crate::page::{model::format, view::dom};
use klimb_text::words::say;

/// Writes the batch that was stepped through.
pub fn draw(state: &State) {
    let list = dom::element("scored-pairs");
    dom::clear(&list);
    let batch = state.records.inside.get(&Stage::RewardModel).and_then(Inside::reward_model);
    let first = batch.and_then(|batch| batch.pairs.first());
    dom::flag("live-score", "hidden", first.is_none());
    let (Some(batch), Some(first)) = (batch, first) else {
        return dom::set_text(
            "scored-summary",
            say("Press Step to look into one batch: its pairs, their scores, and how hard each one pulls."),
        );
    };
    dom::set_text("scored-summary", &summary(batch));
    for (id, value) in [
        ("live-score-chosen", format::signed(first.chosen.score, 2)),
        ("live-score-rejected", format::signed(first.rejected.score, 2)),
        ("live-score-margin", format::signed(first.margin, 3)),
        ("live-score-loss", format::fixed(first.loss, 3)),
    ] {
        dom::set_text(id, &value);
    }
    for pair in &batch.pairs {
        dom::append(&list, &[&item(pair)]);
    }
}

fn summary(batch: &ScoredBatch) -> String {
    let start = if batch.step == 1 { say(" Its head is still random: near ln 2 = 0.693, a coin’s.") } else { "" };
    say!(
        "Step {}: {} pairs, mean loss {} nats, {} of them in order before the update.{} The first {} follow; the pull of a pair is σ(rejected − chosen) of its scores.",
        batch.step,
        format::count(batch.size),
        format::fixed(batch.mean_loss, 3),
        format!("{}\u{a0}%", format::fixed(100.0 * batch.accuracy, 0)),
        start,
        batch.pairs.len()
    )
}

fn item(pair: &ScoredPairNumbers) -> Element {
    let item = dom::make("li", "batch-pair", "");
    let prompt = dom::make_written("p", "prompt", &format!("{} …", pair.prompt));
    let pull = pull(pair.weight, pair.margin, pair.loss);
    dom::append(&item, &[&prompt, &side(say("chosen"), &pair.chosen), &side(say("rejected"), &pair.rejected), &pull]);
    item
}

fn side(name: &str, completion: &ScoredCompletion) -> Element {
    let row = dom::make("div", "side", "");
    let score =
        say!("score {}   gold {}", format::signed(completion.score, 2), format::fixed(completion.gold_reward, 2));
    let tokens = dom::make_written("span", "tokens", &completion.words.join(" "));
    dom::append(&row, &[&dom::make("span", "quiet", name), &tokens, &dom::make("span", "quiet numeric", &score)]);
    row
}
