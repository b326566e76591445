//! Inside Best-of-N: what each N came to, beside the bound on its KL.

use crate::engine::protocol::{BestOfNNumbers, Estimate, Inside, Stage};
use crate::page::model::state::State;
use crate::page::{model::format, view::dom};
use klimb_text::words::say;

/// Writes a row for every N that was measured.
pub fn draw(state: &State) {
    let body = dom::element("best-of-n-rows");
    dom::clear(&body);
    let all = state.records.inside.get(&Stage::BestOfN).and_then(Inside::best_of_n).unwrap_or_default();
    dom::flag("best-of-n-table", "hidden", all.is_empty());
    for numbers in all {
        dom::append(&body, &[&row(numbers)]);
    }
}

fn row(it: &BestOfNNumbers) -> web_sys::Element {
    let row = dom::make("tr", "", "");
    let head = dom::make("th", "", &it.n.to_string());
    dom::set_attribute(&head, "scope", Some("row"));
    dom::append(&row, &[&head]);
    let interval = |Estimate { mean, half_width }: Estimate| {
        format!("{} ± {}", format::fixed(mean, 3), format::fixed(half_width, 3))
    };
    let judge = if it.learned { say("reward model") } else { say("gold reward") };
    for value in [judge.to_owned(), interval(it.kl), format::fixed(it.bound, 3), interval(it.gold_reward)] {
        dom::append(&row, &[&dom::make("td", "", &value)]);
    }
    row
}
