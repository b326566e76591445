//! Win rate against temperature (Rafailov et al. 2023, Figure 2 right), against the grammar's own reviews.

use super::{chart, fill, row};
use crate::engine::protocol::Work;
use crate::page::model::state::State;
use crate::page::model::study::Study;
use crate::page::{model::format, view::dom};
use klimb_charts::recorded::{READ_OFF_WIN_RATES, Table, contestant_label};
use klimb_charts::{Line, LineChart, LinePoint};
use klimb_metrics::{Method, SeriesStyle, WinRatePoint};

/// Writes chart, table and summary: recorded lines, and over them those that were played here.
pub fn draw(state: &mut State) {
    let live = state.studies.win_rates.clone();
    let recorded = state.others.recorded.win_rates.clone();
    let rows = recorded.as_ref().map_or(&[][..], |table| &table.rows);
    dom::set_text("win-rate-summary", &summary(recorded.as_ref(), &live));
    let all = rows.iter().map(|point| (point, say("recorded"))).chain(live.iter().map(|point| (point, say("here"))));
    fill("win-rate-rows", all.map(|(point, origin)| table_row(point, origin)));
    dom::flag("win-rate-run", "disabled", state.training.ready.is_none());
    dom::flag("win-rate-cancel", "hidden", !state.training.is_at(Work::Contest));
    chart(state, Study::WinRate);
}

/// The chart without its lines.
pub const AXES: LineChart<'static> = LineChart {
    x_name: key("sampling temperature →"),
    y_name: key("↑ win rate"),
    lines: &[],
    level: Some((0.5, key("as good as the grammar’s reviews"))),
    x_at_least: (0.0, 1.15),
    y_at_least: (0.4, 1.0),
};
use klimb_text::words::{key, say};

/// Recorded lines, and over them those that were played here.
pub fn lines(state: &State) -> Vec<Line> {
    let rows = state.others.recorded.win_rates.as_ref().map_or(&[][..], |table| &table.rows);
    let mut lines: Vec<Line> = rows.chunk_by(|a, b| a.method == b.method).map(|points| line(points, "")).collect();
    lines.iter_mut().for_each(|line| line.pale = !state.studies.win_rates.is_empty());
    lines.extend(
        state.studies.win_rates.chunk_by(|a, b| a.method == b.method).map(|points| line(points, say(", here"))),
    );
    lines
}

fn line(points: &[WinRatePoint], origin: &str) -> Line {
    let at = |it: &WinRatePoint| LinePoint {
        x: it.temperature,
        y: it.result.win_rate,
        half_width: it.result.win_rate_half_width,
    };
    let mut points: Vec<&WinRatePoint> = points.iter().collect();
    points.sort_by(|a, b| a.temperature.total_cmp(&b.temperature));
    Line {
        label: format!("{}{origin}", contestant_label(&points[0].method)),
        style: SeriesStyle::of_contestant(&points[0].method),
        points: points.into_iter().map(at).collect(),
        pale: false,
    }
}

fn table_row(point: &WinRatePoint, origin: &str) -> web_sys::Element {
    let it = &point.result;
    let quarter = point.temperature * 4.0;
    let in_paper = READ_OFF_WIN_RATES
        .iter()
        .find(|(method, _)| {
            let is_best_of_several = point.method.starts_with("best-of") && *method == Method::BestOfN;
            Method::of_file_name(&point.method) == Some(*method) || is_best_of_several
        })
        .filter(|_| quarter.fract() == 0.0)
        .and_then(|(_, rates)| rates.get(quarter as usize));
    row(
        contestant_label(&point.method),
        [
            format::fixed(point.temperature, 2),
            format!("{} ± {}", format::fixed(it.win_rate, 3), format::fixed(it.win_rate_half_width, 3)),
            format!("{} ± {}", format::fixed(it.gold_reward, 3), format::fixed(it.gold_reward_half_width, 3)),
            origin.to_owned(),
            in_paper.map_or_else(|| "–".into(), |rate| format::fixed(*rate, 2)),
        ],
    )
}

fn summary(recorded: Option<&Table<WinRatePoint>>, live: &[WinRatePoint]) -> String {
    let Some(table) = recorded else {
        return say("The recorded win rates are not here; “play it here” measures the models of this page.").into();
    };
    let best = table.rows.iter().max_by(|a, b| a.result.win_rate.total_cmp(&b.result.win_rate));
    let best = best.map_or_else(String::new, |it| {
        say!(
            " The highest recorded rate is {} ({} at temperature {}).",
            format::fixed(it.result.win_rate, 2),
            contestant_label(&it.method),
            format::fixed(it.temperature, 2)
        )
    });
    let here =
        if live.is_empty() { "" } else { say(" Lines marked “here” were played with the models of this page.") };
    format!("{}.{best}{here}", crate::page::model::format::capital(&table.provenance.words()))
}
