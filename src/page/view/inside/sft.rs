//! Inside a step of SFT: the loss with this batch's numbers in it, and its first reviews token by token.

use web_sys::Element;

use super::tokens::{self, Place};
use crate::engine::protocol::{Inside, ReviewNumbers, SftBatch, Stage};
use crate::page::model::state::State;
use crate::page::{model::format, view::dom};
use klimb_text::words::say;

/// Nats of surprise from which a token is tinted stronger.
const SURPRISES: [f64; 4] = [0.1, 0.7, 2.0, 4.0];

/// The batch that was looked into last.
fn batch(state: &State) -> Option<&SftBatch> {
    state.records.inside.get(&Stage::Sft).and_then(Inside::sft)
}

/// Writes the batch that was stepped through.
pub fn draw(state: &State) {
    let list = dom::element("reviews");
    dom::clear(&list);
    let batch = batch(state);
    dom::flag("live-sft", "hidden", batch.is_none());
    let Some(batch) = batch else {
        return dom::set_text(
            "sft-summary",
            say(
                "Press Step to look into one batch: its reviews, how likely each token was, and what the update did to it. SFT then starts from the base model.",
            ),
        );
    };
    dom::set_text("sft-summary", &summary(batch));
    for (id, value) in [
        ("live-sft-size", format::count(batch.size)),
        ("live-sft-tokens", format::count(batch.tokens)),
        ("live-sft-logprob", format::fixed(batch.logprob, 1)),
        ("live-sft-loss", format::fixed(batch.mean_loss, 3)),
    ] {
        dom::set_text(id, &value);
    }
    for (index, review) in batch.reviews.iter().enumerate() {
        dom::append(&list, &[&item(index, review)]);
    }
}

fn summary(batch: &SftBatch) -> String {
    say!(
        "Step {}: {} reviews of the grammar, {} tokens that count. Mean loss {} nats a token before the update, {} on the same reviews after it; gradient norm {}, learning rate {}. The first {} reviews follow. A token is tinted and underlined the stronger the more it surprised the policy, that is, the lower its log π was; below stands what the update did to log π. Choose a token to see its numbers.",
        batch.step,
        format::count(batch.size),
        format::count(batch.tokens),
        format::fixed(batch.mean_loss, 3),
        format::fixed(batch.mean_loss_after, 3),
        format::significant(batch.gradient_norm),
        format::significant(batch.learning_rate),
        batch.reviews.len(),
    )
}

fn item(index: usize, review: &ReviewNumbers) -> Element {
    let item = dom::make("li", "batch-pair", "");
    let given = dom::make_written("span", "prompt", &format!("{} …", review.prompt));
    let spelled = tokens::toolbar(&say!("review of “{}”, token by token", review.prompt));
    // The prompt is given, and no button.
    spelled.set_class_name("tokens spelled");
    for (at, word) in review.words.iter().enumerate() {
        let (logprob, after) = (review.logprobs[at], review.logprobs_after[at]);
        let button = tokens::button("", "token", Place { item: index, side: 0, at });
        let surprise = SURPRISES.iter().filter(|&&nats| -logprob >= nats).count();
        let shown = dom::make("span", "surprise", word);
        dom::set_attribute(&shown, "data-surprise", Some(&surprise.to_string()));
        dom::append(&button, &[&shown, &dom::make("small", "numeric", &format::signed(after - logprob, 3))]);
        dom::append(&spelled, &[&button]);
    }
    dom::append(&item, &[&given, &spelled, &tokens::line()]);
    item
}

/// The numbers of a token.
pub fn tell(state: &State, place: Place) -> Option<String> {
    let batch = batch(state)?;
    let review = batch.reviews.get(place.item)?;
    let (word, logprob) = (review.words.get(place.at)?, *review.logprobs.get(place.at)?);
    let after = *review.logprobs_after.get(place.at)?;
    Some(say!(
        "“{}”: log π {}, a probability of {} %; after the update log π {}, {} %: Δ {} nats. Its part of the loss: {} of {} nats, each of the {} tokens weighing the same.",
        word,
        format::fixed(logprob, 3),
        format::fixed(100.0 * logprob.exp(), 2),
        format::fixed(after, 3),
        format::fixed(100.0 * after.exp(), 2),
        format::signed(after - logprob, 3),
        format::significant(-logprob / batch.tokens as f64),
        format::fixed(batch.mean_loss, 3),
        format::count(batch.tokens),
    ))
}
