//! Inside one step of the stage in focus: its formula with live numbers in it, and what it was computed from.

mod best_of_n;
mod dpo;
mod likelihood;
mod ppo;
mod reward_model;

use web_sys::Element;

use super::state::State;
use super::{dom, format};
use crate::engine::protocol::Stage;
use crate::words::say;

/// Writes the step that was looked into.
pub fn draw(state: &State) {
    let (shown, title) = match state.focused {
        Stage::RewardModel => ("inside-reward-model", say("Inside a step of the reward model")),
        Stage::Ppo => ("inside-ppo", say("Inside a round of PPO")),
        Stage::PpoGt => ("inside-ppo", say("Inside a round of PPO-GT")),
        Stage::Unlikelihood => ("inside-likelihood", say("Inside a step of unlikelihood")),
        Stage::PreferredFt => ("inside-likelihood", say("Inside a step of Preferred-FT")),
        Stage::BestOfN => ("inside-best-of-n", say("Inside Best-of-N")),
        _ => ("inside-dpo", say("Inside a DPO step")),
    };
    dom::set_text("inside-title", title);
    for id in ["inside-dpo", "inside-reward-model", "inside-ppo", "inside-likelihood", "inside-best-of-n"] {
        dom::flag(id, "hidden", id != shown);
    }
    dpo::draw(state);
    reward_model::draw(state);
    ppo::draw(state);
    likelihood::draw(state);
    best_of_n::draw(state);
}

/// How hard a pair pulls, with its margin and loss.
fn pull(weight: f64, margin: f64, loss: f64) -> Element {
    let pull = dom::make("p", "pull", "");
    let meter = dom::make("meter", "", "");
    dom::set_attribute(&meter, "value", Some(&format!("{weight:.3}")));
    dom::set_attribute(&meter, "aria-label", Some(&say!("pull {}", format::fixed(weight, 2))));
    let rest = say!("margin {}   loss {}", format::signed(margin, 3), format::fixed(loss, 3));
    let shown = dom::make("span", "numeric", say("pull "));
    dom::append(&shown, &[&dom::make("b", "", &format::fixed(weight, 2))]);
    dom::append(&pull, &[&shown, &meter, &dom::make("span", "numeric", &rest)]);
    pull
}

/// Words tinted by how much likelier or rarer each has become; without log-ratios, plain.
fn tinted(words: &[String], log_ratios: &[f64]) -> Element {
    let tokens = dom::make_written("span", "tokens", "");
    for (at, word) in words.iter().enumerate() {
        let ratio = log_ratios.get(at).copied();
        let class = match ratio.unwrap_or_default() {
            r if r > 0.05 => "word good",
            r if r < -0.05 => "word bad",
            _ => "word",
        };
        let span = dom::make("span", class, word);
        let title = ratio.map(|ratio| say!("log π/π_ref {}", format::signed(ratio, 3)));
        dom::set_attribute(&span, "title", title.as_deref());
        dom::append(&tokens, &[&span]);
        // A text node cannot be refused by a span.
        let _ = tokens.append_child(&dom::document().create_text_node(" "));
    }
    tokens
}
