//! Inside one step of the stage in focus: its formula with live numbers in it, and what it was computed from.

mod best_of_n;
mod dpo;
mod formulas;
mod likelihood;
mod mass;
mod ppo;
mod reward_model;
mod sft;
mod tokens;

use web_sys::Element;

use super::action::run;
use super::{Act, Action, On, Page, View, dom};
use crate::engine::protocol::StageKind;
use crate::page::model::change::Change;
use crate::page::model::format;
use crate::page::model::state::State;
use klimb_metrics::{Method, PairLoss};
use klimb_text::words::say;
use tokens::{Chosen, Place};

/// The inside of a step.
#[derive(Default)]
pub struct Inside {
    /// The token whose numbers are told.
    chosen: Option<Chosen>,
}

const ACTIONS: &[Action<Inside>] = &[Action::on(&[On::Click, On::Focus], "choose-token", |view, page, act| {
    if let Some(token) = &act.element {
        view.chosen = tokens::choose(&page.state, view.chosen.take(), token);
    }
})];

impl View for Inside {
    fn shows(&self) -> &'static [Change] {
        &[Change::Inside, Change::Focus]
    }

    fn take_over(&mut self, _page: &mut Page) {
        self.chosen = Chosen::left();
    }

    fn draw(&mut self, page: &mut Page) {
        let had_focus = self.chosen.as_ref().is_some_and(Chosen::has_focus);
        draw(&page.state);
        self.chosen = self.chosen.take().and_then(|before| tokens::restore(&page.state, before, had_focus));
    }

    fn act(&mut self, page: &mut Page, act: &Act) -> bool {
        run(ACTIONS, self, page, act)
    }
}

/// Writes the step that was looked into.
fn draw(state: &State) {
    let (shown, title) = match state.training.focused.kind() {
        StageKind::Sft => ("inside-sft", say("Inside a step of SFT").to_owned()),
        StageKind::RewardModel => ("inside-reward-model", say("Inside a step of the reward model").to_owned()),
        StageKind::Policy(method) => of_policy(method),
        StageKind::BestOfN => ("inside-best-of-n", say("Inside Best-of-N").to_owned()),
        StageKind::Base | StageKind::Pairs => of_policy(Method::Dpo),
    };
    dom::set_text("inside-title", &title);
    for id in ["inside-sft", "inside-dpo", "inside-reward-model", "inside-ppo", "inside-likelihood", "inside-best-of-n"]
    {
        dom::flag(id, "hidden", id != shown);
    }
    sft::draw(state);
    dpo::draw(state);
    reward_model::draw(state);
    ppo::draw(state);
    likelihood::draw(state);
    best_of_n::draw(state);
    mass::draw(state);
}

/// The part that shows what a method does, and its title.
fn of_policy(method: Method) -> (&'static str, String) {
    match method.info().pair_loss {
        Some(PairLoss::Margin(_)) if method == Method::Dpo => ("inside-dpo", say("Inside a DPO step").to_owned()),
        Some(PairLoss::Margin(_)) => ("inside-dpo", say!("Inside a step of {}", method.label())),
        Some(PairLoss::Likelihood(_)) => ("inside-likelihood", say!("Inside a step of {}", method.label())),
        None => ("inside-ppo", say!("Inside a round of {}", method.label())),
    }
}

/// Walks from the token that has the focus; answers whether the key does.
pub fn walk(target: &Element, key: &str) -> bool {
    tokens::token(target).is_some_and(|token| tokens::walk(&token, key))
}

/// The numbers of a token of one of the lists.
fn tell(state: &State, list: &str, place: Place) -> Option<String> {
    match list {
        "reviews" => sft::tell(state, place),
        "pairs" => dpo::tell(state, place),
        "likelihood-pairs" => likelihood::tell(state, place),
        "episodes" => ppo::tell(state, place),
        _ => None,
    }
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

/// How much likelier or rarer a word has become, as a class.
fn tint(log_ratio: f64) -> &'static str {
    match log_ratio {
        r if r > 0.05 => "word good",
        r if r < -0.05 => "word bad",
        _ => "word",
    }
}

/// The words of a pair's `chosen` or `rejected`, which is side 0 or 1 of a pair, each tinted and a way to its numbers.
fn tinted(words: &[String], log_ratios: &[f64], (item, side): (usize, usize)) -> Element {
    let name = if side == 0 { say("chosen") } else { say("rejected") };
    let tokens = tokens::toolbar(&say!("{} completion of pair {}, token by token", name, item + 1));
    for (at, (word, ratio)) in words.iter().zip(log_ratios).enumerate() {
        dom::append(&tokens, &[&tokens::button(word, tint(*ratio), Place { item, side, at })]);
        space(&tokens);
    }
    tokens
}

fn space(behind: &Element) {
    // A text node cannot be refused by a span.
    let _ = behind.append_child(&dom::document().create_text_node(" "));
}
