//! What can be read off the charts over the steps at a step.

use super::CurveCharts;
use crate::page::model::format;
use klimb_charts::{Curve, newest_at};
use klimb_text::words::say;

/// Every step at which some chart has a value, in order.
pub fn steps(charts: &[CurveCharts]) -> Vec<u64> {
    let points = charts.iter().flat_map(|chart| &chart.curves).flat_map(|curve| &curve.points);
    let mut steps: Vec<u64> = points.map(|(step, _)| *step as u64).collect();
    steps.sort_unstable();
    steps.dedup();
    steps
}

/// The step that has values nearest to a place across.
pub fn nearest(steps: &[u64], place: f64) -> Option<u64> {
    let distance = |step: &u64| (*step as f64 - place).abs();
    steps.iter().copied().min_by(|a, b| distance(a).total_cmp(&distance(b)))
}

/// The step `by` places further on in the list; from none, the last, or where `by` is all the way back the first.
pub fn beside(steps: &[u64], at: Option<u64>, by: isize) -> Option<u64> {
    let last = steps.len().checked_sub(1)?;
    let index = match at {
        None if by == isize::MIN => 0,
        None => last,
        Some(at) => steps.partition_point(|step| *step < at).saturating_add_signed(by).min(last),
    };
    Some(steps[index])
}

/// The exact values at a step, or at the newest one, in a line.
pub fn reading(charts: &[CurveCharts], at: Option<u64>) -> String {
    let Some(step) = at.or_else(|| steps(charts).last().copied()) else {
        return say("No step yet. Press Play.").into();
    };
    let of_chart = |chart: &CurveCharts| {
        let values: Vec<String> = chart.curves.iter().filter_map(|curve| of_curve(chart, curve, step)).collect();
        (!values.is_empty()).then(|| format!("{}: {}", chart.name, values.join("; ")))
    };
    let parts: Vec<String> = charts.iter().filter_map(of_chart).collect();
    let parts = parts.join(" · ");
    if at.is_some() { say!("Step {} · {}", step, parts) } else { say!("Newest: step {} · {}", step, parts) }
}

fn of_curve(chart: &CurveCharts, curve: &Curve, step: u64) -> Option<String> {
    let (at, value) = newest_at(curve.exact(), step as f64)?;
    let label = if chart.curves.len() > 1 { format!("{} ", curve.label) } else { String::new() };
    let mut asides = Vec::new();
    if at as u64 != step {
        asides.push(say!("at step {}", at));
    }
    if let Some((_, smooth)) = newest_at(&curve.points, step as f64).filter(|_| !curve.behind.is_empty()) {
        asides.push(say!("smoothed {}", format::significant(smooth)));
    }
    let aside = if asides.is_empty() { String::new() } else { format!(" ({})", asides.join(", ")) };
    Some(format!("{label}{}{aside}", format::significant(value)))
}
