//! Inside a step of a method whose loss is of likelihoods, such as unlikelihood or Preferred-FT: the pairs of the batch, and what was asked of each side.

use web_sys::Element;

use super::tokens::{self, Place};
use super::{formulas, tinted};
use crate::engine::protocol::{Inside, Likelihood, LikelihoodBatch, LikelihoodPair};
use crate::page::model::state::State;
use crate::page::{model::format, view::dom};
use klimb_metrics::{LikelihoodLoss, LossSides, Method, PairLoss};
use klimb_text::words::say;

/// Writes the batch that was stepped through.
pub fn draw(state: &State) {
    let list = dom::element("likelihood-pairs");
    dom::clear(&list);
    formulas::show(state.training.focused, |method| loss(method).is_some());
    let shown = state.records.inside.get(&state.training.focused).and_then(Inside::likelihood);
    dom::flag("live-likelihood", "hidden", shown.is_none_or(|batch| batch.pairs.is_empty()));
    let Some((batch, loss)) = shown.zip(state.training.focused.policy().and_then(loss)) else {
        return dom::set_text("likelihood-summary", say("Press Step to look into one batch."));
    };
    dom::set_text("likelihood-summary", &summary(batch, loss));
    if let Some(first) = batch.pairs.first() {
        dom::set_text("live-likelihood-words", &formula(batch, loss.of, first));
    }
    for (index, pair) in batch.pairs.iter().enumerate() {
        dom::append(&list, &[&item(index, pair)]);
    }
}

/// What a method makes of likelihoods, if its loss is of them.
fn loss(method: Method) -> Option<LikelihoodLoss> {
    match method.info().pair_loss? {
        PairLoss::Likelihood(loss) => Some(loss),
        PairLoss::Margin(_) => None,
    }
}

fn summary(batch: &LikelihoodBatch, loss: LikelihoodLoss) -> String {
    let unit = match loss.of {
        LossSides::Both => say("a pair"),
        LossSides::Chosen => say("a token"),
    };
    say!(
        "Step {}: {} pairs, mean loss {} nats {}. {} The first {} follow, each word tinted by how much likelier or rarer it has become. Choose a word to see its numbers.",
        batch.step,
        format::count(batch.size),
        format::fixed(batch.mean_loss, 3),
        unit,
        say(loss.remark),
        batch.pairs.len()
    )
}

/// The first pair's loss in numbers.
fn formula(batch: &LikelihoodBatch, of: LossSides, pair: &LikelihoodPair) -> String {
    let chosen = format!("−({})", format::fixed(pair.chosen.logprob, 2));
    let loss = format::fixed(pair.loss, 2);
    match of {
        LossSides::Both => {
            let (alpha, rejected) = (format::fixed(batch.alpha, 2), format::fixed(pair.rejected.logprob, 2));
            say!("{} + {} × ({}) = {} nats", chosen, alpha, rejected, loss)
        }
        LossSides::Chosen => say!("{} = {} nats, over {} tokens", chosen, loss, pair.chosen.words.len()),
    }
}

fn item(index: usize, pair: &LikelihoodPair) -> Element {
    let item = dom::make("li", "batch-pair", "");
    let prompt = dom::make_written("p", "prompt", &format!("{} …", pair.prompt));
    let sides = [side(say("chosen"), &pair.chosen, (index, 0)), side(say("rejected"), &pair.rejected, (index, 1))];
    dom::append(&item, &[&prompt, &sides[0], &sides[1], &tokens::line()]);
    item
}

fn side(name: &str, it: &Likelihood, place: (usize, usize)) -> Element {
    let row = dom::make("div", "side", "");
    let numbers = say!(
        "log π {} → {}   gold {}",
        format::fixed(it.logprob, 2),
        format::fixed(it.logprobs_after.iter().sum(), 2),
        format::fixed(it.gold_reward, 2),
    );
    let words = tinted(&it.words, &it.log_ratios, place);
    dom::append(&row, &[&dom::make("span", "quiet", name), &words, &dom::make("span", "quiet numeric", &numbers)]);
    row
}

/// The numbers of a token.
pub fn tell(state: &State, place: Place) -> Option<String> {
    let pair = state.records.inside.get(&state.training.focused)?.likelihood()?.pairs.get(place.item)?;
    let side = if place.side == 0 { &pair.chosen } else { &pair.rejected };
    let (word, logprob) = (side.words.get(place.at)?, *side.logprobs.get(place.at)?);
    let (ratio, after) = (*side.log_ratios.get(place.at)?, *side.logprobs_after.get(place.at)?);
    Some(say!(
        "“{}”: log π {}, log π_ref {}, log-ratio {}. After the update log π {}: Δ {}.",
        word,
        format::fixed(logprob, 3),
        format::fixed(logprob - ratio, 3),
        format::signed(ratio, 3),
        format::fixed(after, 3),
        format::signed(after - logprob, 3),
    ))
}
