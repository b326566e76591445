//! The three large numbers, and the rest with what each means.

use std::collections::BTreeMap;

use super::{Act, Page, View, dom};
use crate::page::model::change::Change;
use crate::page::model::format;
use crate::page::model::state::State;
use klimb_metrics::definition;
use klimb_text::words::say;

/// The newest numbers.
pub struct Numbers;

impl View for Numbers {
    fn shows(&self) -> &'static [Change] {
        &[Change::Metrics, Change::Points, Change::Optimum, Change::Focus]
    }

    fn draw(&mut self, page: &mut Page) {
        draw(&page.state);
    }

    fn act(&mut self, _page: &mut Page, _act: &Act) -> bool {
        false
    }
}

/// Rows among which a number's newest value is looked for.
const RECENT: usize = 128;

/// Writes the numbers of the newest point and of the last optimiser step.
fn draw(state: &State) {
    if let Some(latest) = state.results.latest() {
        let p = &latest.point;
        large("number-reward", &format::fixed(p.gold_reward, 2), &half_width(p.gold_reward_half_width, ""));
        large("number-kl", &format::fixed(p.kl_per_sequence, 2), &half_width(p.kl_half_width, say(" nats")));
        let diversity = p.diversity.map_or_else(|| "–".into(), |diversity| format::fixed(diversity, 2));
        large("number-diversity", &diversity, &say!("of {}", p.samples));
    }
    let list = dom::element("other-numbers");
    dom::clear(&list);
    // Not every row has every number: a rollout's stand in the row of its first update.
    let rows = state.records.metrics.get(&state.training.focused).map_or(&[][..], Vec::as_slice);
    let mut newest: BTreeMap<&str, f64> = BTreeMap::default();
    for row in &rows[rows.len().saturating_sub(RECENT)..] {
        newest.extend(row.values.iter().map(|(name, value)| (name.as_str(), *value)));
    }
    for (name, value) in newest {
        let Some(entry) = definition(name) else { continue };
        let line = dom::make("div", "", "");
        let value = dom::make("dd", "numeric", &format::fixed(value, 3));
        let unit = if entry.unit.is_empty() { String::new() } else { say!(" In {}.", say(entry.unit)) };
        let text = format!("{}{unit} {}", say(entry.definition), say(entry.how_to_read));
        dom::append(&line, &[&dom::make("dt", "", say(entry.label)), &value, &dom::make("dd", "quiet", &text)]);
        dom::append(&list, &[&line]);
    }
}

fn half_width(value: f64, unit: &str) -> String {
    format!("± {}{unit}", format::fixed(value, 2))
}

fn large(id: &str, value: &str, beside: &str) {
    let element = dom::element(id);
    element.set_text_content(Some(value));
    dom::append(&element, &[&dom::make("small", "", beside)]);
}
