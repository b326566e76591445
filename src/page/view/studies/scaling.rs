//! Alignment against size (Ouyang et al. 2022, Figure 1): does a small aligned model beat a large one that is not?

use super::{chart, fill, row};
use crate::engine::protocol::Work;
use crate::page::model::state::State;
use crate::page::model::study::Study;
use crate::page::{model::format, view::dom};
use klimb_charts::{Line, LineChart, LinePoint};
use klimb_metrics::{Method, ScalingPoint};
use klimb_numerics::stats::{half_width, mean};

/// A method at a size: what its seeds have in common.
struct Cell {
    method: Method,
    parameters: u64,
    seeds: Vec<ScalingPoint>,
}

impl Cell {
    /// The mean over seeds and its interval; of one seed, that over instances.
    fn over(&self, number: fn(&ScalingPoint) -> (f64, f64)) -> (f64, f64) {
        match self.seeds.as_slice() {
            [one] => number(one),
            several => {
                let numbers: Vec<f64> = several.iter().map(|it| number(it).0).collect();
                (mean(&numbers), half_width(&numbers))
            }
        }
    }

    fn win_rate(&self) -> (f64, f64) {
        self.over(|it| (it.result.win_rate, it.result.win_rate_half_width))
    }
}

/// Writes chart, table and summary: recorded lines, and over them what was done here.
pub fn draw(state: &mut State) {
    dom::flag("scaling-run", "disabled", state.training.ready.is_none() || state.training.is_at(Work::Scaling));
    dom::flag("scaling-cancel", "hidden", !state.training.is_at(Work::Scaling));
    let recorded = state.others.recorded.scaling.as_ref();
    let (known, here) = (cells(recorded.map_or(&[], |table| &table.rows)), cells(&state.studies.scaling));
    let provenance = recorded.map(|table| table.provenance.words());
    dom::set_text("scaling-summary", &summary(&known, provenance.as_deref()));
    dom::set_text("scaling-here", &summary_of_here(&here));
    let rows = known.iter().map(|cell| (cell, say("recorded"))).chain(here.iter().map(|cell| (cell, say("here"))));
    fill("scaling-rows", rows.map(|(cell, origin)| table_row(cell, origin)));
    chart(state, Study::Scaling);
}

/// The chart without its lines.
pub const AXES: LineChart<'static> = LineChart {
    x_name: key("parameters, powers of ten →"),
    y_name: key("↑ win rate"),
    lines: &[],
    level: Some((0.5, key("as good as the largest SFT model"))),
    x_at_least: (3.75, 6.6),
    y_at_least: (0.2, 1.0),
};
use klimb_text::words::{key, say};

/// Recorded lines, and over them those of models that were trained here.
pub fn lines(state: &State) -> Vec<Line> {
    let recorded = state.others.recorded.scaling.as_ref();
    let (known, here) = (cells(recorded.map_or(&[], |table| &table.rows)), cells(&state.studies.scaling));
    let mut lines: Vec<Line> = known.chunk_by(|a, b| a.method == b.method).map(|cells| line(cells, "")).collect();
    lines.iter_mut().for_each(|line| line.pale = !here.is_empty());
    lines.extend(here.chunk_by(|a, b| a.method == b.method).map(|cells| line(cells, say(", here"))));
    lines
}

fn cells(rows: &[ScalingPoint]) -> Vec<Cell> {
    let mut sorted = rows.to_vec();
    sorted.sort_by(|a, b| (&a.method, a.parameters, a.seed).cmp(&(&b.method, b.parameters, b.seed)));
    let cell = |seeds: &[ScalingPoint]| Cell {
        method: seeds[0].method,
        parameters: seeds[0].parameters,
        seeds: seeds.to_vec(),
    };
    sorted.chunk_by(|a, b| (&a.method, a.parameters) == (&b.method, b.parameters)).map(cell).collect()
}

fn line(cells: &[Cell], origin: &str) -> Line {
    let at = |cell: &Cell| {
        let (y, half_width) = cell.win_rate();
        LinePoint { x: (cell.parameters as f64).log10(), y, half_width }
    };
    Line {
        label: format!("{}{origin}", cells[0].method.label()),
        // The base model's hue for the base model with the cue, PPO's for both kinds of it.
        style: cells[0].method.into(),
        points: cells.iter().map(at).collect(),
        pale: false,
    }
}

fn table_row(cell: &Cell, origin: &str) -> web_sys::Element {
    let shown = |(value, error): (f64, f64)| format!("{} ± {}", format::fixed(value, 3), format::fixed(error, 3));
    row(
        cell.method.label(),
        [
            format::count(cell.parameters as usize),
            shown(cell.win_rate()),
            shown(cell.over(|it| (it.result.gold_reward, it.result.gold_reward_half_width))),
            cell.seeds.len().to_string(),
            origin.to_owned(),
        ],
    )
}

fn summary(cells: &[Cell], provenance: Option<&str>) -> String {
    let Some(provenance) = provenance else {
        return say("The recorded experiment is not here; “run it here” does it anew.").into();
    };
    let Some(verdict) = verdict(cells) else { return String::new() };
    let of = |method: Method, size: u64| cells.iter().find(|it| it.method == method && it.parameters == size);
    let apart = cells.iter().filter(|cell| cell.method == Method::Sft).filter_map(|sft| {
        let base = of(Method::Base, sft.parameters)?;
        Some((base.win_rate().0 - sft.win_rate().0).abs())
    });
    say!(
        "{} But the gold reward sees sentiment alone, so a base model that writes a cast list is neutral and loses nothing by it: base models and SFT models of one size differ by at most {}. {}.",
        verdict,
        format::fixed(apart.fold(0.0, f64::max), 2),
        format::capital(provenance)
    )
}

/// What was done here, and whom it met: another opponent than the recorded models had.
fn summary_of_here(cells: &[Cell]) -> String {
    let Some(opponent) = cells.iter().filter(|cell| cell.method == Method::Sft).max_by_key(|cell| cell.parameters)
    else {
        return String::new();
    };
    say!(
        "Lines marked “here” were trained on this page from nothing, with its seed, and met the largest SFT model trained here ({} parameters). {}",
        format::count(opponent.parameters as usize),
        verdict(cells).unwrap_or_default()
    )
}

fn verdict(cells: &[Cell]) -> Option<String> {
    let small = cells.iter().filter(|cell| cell.method == Method::PpoGt).min_by_key(|cell| cell.parameters)?;
    let large = cells.iter().filter(|cell| cell.method == Method::Sft).max_by_key(|cell| cell.parameters)?;
    if small.parameters == large.parameters {
        return None;
    }
    let (rate, half_width) = small.win_rate();
    let [small, large] = [small, large].map(|cell| format::count(cell.parameters as usize));
    let shown = format::fixed(rate, 2);
    Some(match rate - 0.5 {
        ahead if ahead > half_width => say!(
            "The smallest aligned model ({} parameters) beats the largest SFT model ({} parameters): win rate {}.",
            small,
            large,
            shown
        ),
        ahead if -ahead > half_width => say!(
            "The smallest aligned model ({} parameters) loses to the largest SFT model ({} parameters): win rate {}.",
            small,
            large,
            shown
        ),
        _ => say!(
            "The smallest aligned model ({} parameters) is about as good as the largest SFT model ({} parameters): win rate {}.",
            small,
            large,
            shown
        ),
    })
}
