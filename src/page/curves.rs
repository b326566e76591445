//! Loss, KL and gold reward over the steps of the run that is on.

use plotters::drawing::IntoDrawingArea;

use super::state::State;
use super::{dom, format, notices};
use crate::charts::{Curve, CurveChart};
use crate::engine::protocol::Stage;
use crate::metrics::{FrontierPoint, Series};

/// Draws the three small charts.
pub fn draw(state: &mut State) {
    let changes: Vec<(f64, String)> =
        state.beta_changes.iter().map(|(step, beta)| (*step as f64, format!("β {}", format::beta(*beta)))).collect();
    let loss = if state.metrics.contains_key(&Stage::Dpo) || !state.metrics.contains_key(&Stage::Sft) {
        vec![metric(state, Stage::Dpo, "dpo/loss", "dpo", "DPO")]
    } else {
        vec![metric(state, Stage::Sft, "sft/loss", "sft", "SFT")]
    };
    let level = Some((std::f64::consts::LN_2, "ln 2"));
    let kl = evaluated(state, |point| point.kl_per_sequence);
    let reward = evaluated(state, |point| point.gold_reward);
    let charts = [
        (
            "curve-loss",
            CurveChart { name: "loss, nats", curves: &loss, level, changes: &changes, at_least: (0.4, 0.8) },
        ),
        (
            "curve-kl",
            CurveChart { name: "KL, nats", curves: &kl, level: None, changes: &changes, at_least: (0.0, 2.0) },
        ),
        (
            "curve-reward",
            CurveChart { name: "gold reward", curves: &reward, level: None, changes: &changes, at_least: (0.4, 1.0) },
        ),
    ];
    let mut failed = None;
    for (id, chart) in charts {
        if let Some((surface, look)) = dom::surface(id) {
            failed = chart.draw(&surface.into_drawing_area(), &look).err().or(failed);
        }
    }
    if let Some(error) = failed {
        notices::chart_failed(state, &error);
    }
}

fn metric(state: &State, stage: Stage, name: &str, method: &str, label: &str) -> Curve {
    let rows = state.metrics.get(&stage).map_or(&[][..], Vec::as_slice);
    let points = Series::from_rows(name, rows).points.into_iter().map(|(step, value)| (step as f64, value)).collect();
    Curve { label: label.into(), method: method.into(), points, marked: false }
}

fn evaluated(state: &State, value: impl Fn(&FrontierPoint) -> f64) -> Vec<Curve> {
    let live = state.trails().into_iter().filter(|trail| trail.live && trail.method != "sft");
    let curve = |points: Vec<FrontierPoint>| points.iter().map(|point| (point.step as f64, value(point))).collect();
    live.map(|trail| Curve { points: curve(trail.points), label: trail.label, method: trail.method, marked: true })
        .collect()
}
