//! Where the probability went: to the chosen, to the rejected, or to everything else.

use web_sys::Element;

use crate::engine::protocol::{Inside, Mass, Masses};
use crate::page::model::state::State;
use crate::page::{model::format, view::dom};
use klimb_text::words::say;

/// Most of a bar's width that chosen and rejected take together.
const ROOM: f64 = 0.8;

/// Writes the masses of the batch that was stepped through, of the stage in focus.
pub fn draw(state: &State) {
    let masses = state.records.inside.get(&state.training.focused).and_then(|inside| match inside {
        Inside::Likelihood(batch) => Some(batch.masses),
        Inside::Dpo(batch) => Some(batch.masses),
        Inside::Sft(_) | Inside::RewardModel(_) | Inside::Ppo(_) | Inside::BestOfN(_) => None,
    });
    dom::flag("mass", "hidden", masses.is_none());
    let Some(masses) = masses else { return };
    let share = shown_share(&masses);
    dom::set_text("mass-verdict", &verdict(&masses));
    dom::set_text("mass-scale", &scale(share));
    for (moment, mass) in [("reference", masses.reference), ("before", masses.before), ("after", masses.after)] {
        bar(&dom::element(&format!("mass-bar-{moment}")), &mass, share);
    }
    let decimals = decimals(&masses);
    let percent = |share: f64| format!("{} %", format::fixed(100.0 * share, decimals));
    row("mass-chosen", &masses, |mass| mass.chosen, &percent);
    row("mass-rejected", &masses, |mass| mass.rejected, &percent);
    row("mass-rest", &masses, |mass| mass.rest, &percent);
    row("mass-chosen-logprob", &masses, |mass| mass.chosen_logprob, &nats);
    row("mass-rejected-logprob", &masses, |mass| mass.rejected_logprob, &nats);
}

/// How much of all probability the bars show: a round share, so that what is named has room.
fn shown_share(masses: &Masses) -> f64 {
    let named = |mass: Mass| mass.chosen + mass.rejected;
    let most = [masses.reference, masses.before, masses.after].map(named).into_iter().fold(0.0, f64::max);
    let rounds = (0..).flat_map(|power| [1.0, 0.5, 0.2].map(|digit| digit / 10f64.powi(power)));
    rounds.take_while(|share| most <= ROOM * share && *share > 1e-9).last().unwrap_or(1.0)
}

fn scale(share: f64) -> String {
    if share == 1.0 {
        return say("Each bar is all probability, from the left: chosen, rejected, everything else.").into();
    }
    say!(
        "Each bar is the first {} % of all probability, from the left: chosen, rejected, and then everything else, which goes on to the right for {} such bars.",
        trimmed(100.0 * share),
        format::count((1.0 / share).round() as usize),
    )
}

/// Without zeros at the end.
fn trimmed(value: f64) -> String {
    let text = format::fixed(value, 7);
    text.trim_end_matches('0').trim_end_matches(['.', ',']).to_owned()
}

fn verdict(masses: &Masses) -> String {
    let named = |mass: Mass| mass.chosen + mass.rejected;
    let went = if named(masses.after) < named(masses.reference) {
        say(
            "Since the reference, chosen and rejected together have lost: what they had went to completions that nobody compared.",
        )
    } else {
        say(
            "Since the reference, chosen and rejected together have not lost: what they gained came from everything else.",
        )
    };
    say!(
        "Of this batch’s {} pairs, the step made the chosen completion rarer in {}; since the reference, it has become rarer in {}. {}",
        format::count(masses.pairs),
        format::count(masses.chosen_fell),
        format::count(masses.chosen_fell_since),
        went,
    )
}

fn bar(bar: &Element, mass: &Mass, share: f64) {
    let (chosen, rejected) = (mass.chosen / share, mass.rejected / share);
    for (part, from, to) in
        [("chosen", 0.0, chosen), ("rejected", chosen, chosen + rejected), ("rest", chosen + rejected, 1.0)]
    {
        let Some(part) = bar.query_selector(&format!(".{part}")).ok().flatten() else { continue };
        for (name, value) in [("x", from), ("width", (to - from).max(0.0))] {
            dom::set_attribute(&part, name, Some(&format!("{:.4}%", 100.0 * value)));
        }
    }
}

fn row(id: &str, masses: &Masses, of: fn(Mass) -> f64, tell: &dyn Fn(f64) -> String) {
    let [reference, before, after] = [masses.reference, masses.before, masses.after].map(of);
    let change = |by: f64| {
        let text = tell(by);
        let is_more = by > 0.0 && text.chars().any(|letter| matches!(letter, '1'..='9'));
        if is_more { format!("+{text}") } else { text }
    };
    let cells = dom::element(id).children();
    let values = [tell(reference), tell(before), tell(after), change(after - before), change(after - reference)];
    for (index, value) in values.iter().enumerate() {
        if let Some(cell) = cells.item(index as u32 + 1) {
            cell.set_text_content(Some(value));
        }
    }
}

/// Decimals of every percentage, so that columns add up: as many as give the smallest mass three digits.
fn decimals(masses: &Masses) -> usize {
    let all = [masses.reference, masses.before, masses.after];
    let least = all.into_iter().flat_map(|mass| [mass.chosen, mass.rejected]).fold(1.0, f64::min);
    // Single precision, in which the policy computes, has no more.
    (2.0 - (100.0 * least.max(1e-12)).log10().floor()).clamp(2.0, 8.0) as usize
}

fn nats(value: f64) -> String {
    format::fixed(value, 3)
}
