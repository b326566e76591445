//! RLHF or DPO? What the literature says of both roads, beside what was measured.

use super::{fill, row};
use crate::page::model::state::State;
use crate::page::{model::format, view::dom};
use klimb_lab::COMPARED;
use klimb_metrics::{ComparisonCell, FrontierPoint, Method, QUANTITIES};
use klimb_text::words::say;

/// The columns of the table, as `index.html` names them.
const COLUMNS: [Method; COMPARED.len()] = [Method::Dpo, Method::Ppo, Method::PpoGt, Method::PreferredFt];
/// The limits of KL at which the student's own runs are looked at.
const LIMITS: [f64; 3] = [2.0, 5.0, 10.0];

/// Writes the recorded table and that of the student's own runs.
pub fn draw(state: &State) {
    match &state.others.recorded.comparison {
        Some(table) => {
            fill("comparison-rows", QUANTITIES.iter().filter_map(|quantity| recorded_row(quantity, &table.rows)));
            dom::set_text("comparison-summary", &format!("{}.", format::capital(&table.provenance.words())));
        }
        None => {
            dom::set_text("comparison-summary", say("The recorded comparison is not here; your own runs are below."))
        }
    }
    let points: Vec<&FrontierPoint> = state.results.points.iter().map(|point| &point.point).collect();
    fill(
        "own-rows",
        LIMITS.map(|limit| {
            row(&say!("best gold reward at KL ≤ {}", limit), COLUMNS.map(|method| best(&points, method, limit)))
        }),
    );
}

fn recorded_row((name, label, meaning): &(&str, &str, &str), cells: &[ComparisonCell]) -> Option<web_sys::Element> {
    let of = |method: Method| cells.iter().find(|cell| cell.quantity == *name && cell.method == method);
    COLUMNS.iter().any(|method| of(*method).is_some()).then(|| {
        let row = row(say(label), COLUMNS.map(|method| of(method).map_or_else(|| "–".into(), value)));
        if let Some(head) = row.first_element_child() {
            dom::append(&head, &[&dom::make("span", "meaning", say(meaning))]);
        }
        row
    })
}

/// A cell as people read it: counts whole, thousands apart; the rest with an interval, seconds to a tenth.
fn value(cell: &ComparisonCell) -> String {
    // What the line is called says what is counted.
    let unit = match cell.unit.as_str() {
        "s" => " s",
        "nats" => say(" nats"),
        _ => "",
    };
    if cell.value.fract() == 0.0 && cell.half_width == 0.0 {
        return format!("{}{unit}", format::count(cell.value as usize));
    }
    let digits = if cell.unit == "s" { 1 } else { 3 };
    let error =
        if cell.half_width > 0.0 { format!(" ± {}", format::fixed(cell.half_width, digits)) } else { String::new() };
    format!("{}{error}{unit}", format::fixed(cell.value, digits))
}

fn best(points: &[&FrontierPoint], method: Method, limit: f64) -> String {
    let within = points.iter().filter(|it| it.method == method && it.kl_per_sequence <= limit);
    let best = within.max_by(|a, b| a.gold_reward.total_cmp(&b.gold_reward));
    best.map_or_else(
        || say!("no {} run yet", method.label()),
        |it| format!("{} ± {}", format::fixed(it.gold_reward, 3), format::fixed(it.gold_reward_half_width, 3)),
    )
}
