//! Reward hacking: a policy exploits a reward model of few pairs; the score rises, the gold reward falls.

use super::chart;
use crate::page::model::state::State;
use crate::page::model::study::Study;
use crate::page::{model::format, view::dom};
use klimb_charts::{Line, LineChart, LinePoint};
use klimb_metrics::{HackingPoint, Method};

/// Writes chart and summary.
pub fn draw(state: &mut State) {
    let summary = state.others.recorded.hacking.as_ref().map(|table| summary(&table.rows, &table.provenance.words()));
    let Some(summary) = summary else {
        dom::set_text("hacking-summary", say("The recorded experiment is not here."));
        return;
    };
    dom::set_text("hacking-summary", &summary);
    chart(state, Study::Hacking);
}

/// The chart without its lines.
pub const AXES: LineChart<'static> = LineChart {
    x_name: key("KL to the reference, nats →"),
    y_name: key("↑ reward, from the reference’s mean"),
    lines: &[],
    level: Some((0.0, key("the reference"))),
    x_at_least: (0.0, 5.0),
    y_at_least: (-1.0, 4.0),
};
use klimb_text::words::{key, say};

/// What the reward model says, and what the world says.
pub fn lines(state: &State) -> Vec<Line> {
    let rows = state.others.recorded.hacking.as_ref().map_or(&[][..], |table| &table.rows);
    let line = |label: &str, method: Method, number: fn(&HackingPoint) -> (f64, f64)| Line {
        label: label.into(),
        style: method.into(),
        points: rows
            .iter()
            .map(|it| LinePoint { x: it.kl_per_sequence, y: number(it).0, half_width: number(it).1 })
            .collect(),
        pale: false,
    };
    vec![
        line(say("what the reward model says"), Method::Ppo, |it| (it.score, it.score_half_width)),
        line(say("what the world says"), Method::PpoGt, |it| (it.gold_score, it.gold_score_half_width)),
    ]
}

fn summary(rows: &[HackingPoint], provenance: &str) -> String {
    let best = rows.iter().max_by(|a, b| a.gold_reward.total_cmp(&b.gold_reward));
    let (Some(best), Some(last)) = (best, rows.last()) else { return String::new() };
    say!(
        "A reward model of few pairs, and a policy pushed far: gold reward was highest, {}, at {} nats. At the end it is {}, while the score says {}: a gap of {}. {}.",
        format::fixed(best.gold_reward, 2),
        format::fixed(best.kl_per_sequence, 1),
        format::fixed(last.gold_reward, 2),
        format::signed(last.score, 1),
        format::fixed(last.gap, 1),
        format::capital(provenance)
    )
}
