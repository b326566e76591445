//! The experiments beside the frontier, one panel at a time: both roads in numbers, win rate against temperature,
//! alignment against size, and a reward model exploited.

mod comparison;
mod hacking;
mod scaling;
mod win_rate;

use plotters::coord::Shift;
use plotters::prelude::{DrawingArea, DrawingBackend};
use web_sys::Element;

use super::action::run;
use super::{Act, Action, Page, View, chart, dom, notices};
use crate::engine::protocol::{Command, Extent};
use crate::page::model::change::Change;
use crate::page::model::state::State;
use crate::page::model::study::Study;
use klimb_charts::{ChartError, ChartStyle, LineChart};
use klimb_text::words::say;

/// The experiments.
pub struct Studies;

const ACTIONS: &[Action<Studies>] = &[
    Action::click("open-study", |_, page, act| {
        if let Some(study) = Study::named(&act.value) {
            open(page, study);
        }
    }),
    Action::click("play-win-rate", |_, page, _| page.request(Command::Contest(true))),
    Action::click("cancel-win-rate", |_, page, _| page.request(Command::Contest(false))),
    Action::click("run-scaling", |_, page, _| {
        let extent = if dom::input("scaling-full").checked() { Extent::Full } else { Extent::Small };
        page.request(Command::Scaling(Some(extent)));
    }),
    Action::click("cancel-scaling", |_, page, _| page.request(Command::Scaling(None))),
];

impl View for Studies {
    fn shows(&self) -> &'static [Change] {
        use Change::{Charts, Points, Recorded, Studies, Works};
        &[Studies, Works, Points, Recorded, Charts]
    }

    fn take_over(&mut self, page: &mut Page) {
        let is_open = |study: &Study| !dom::element(&format!("view-{}", study.id())).has_attribute("hidden");
        page.state.studies.open = Study::ALL.into_iter().find(is_open).unwrap_or(page.state.studies.open);
    }

    fn draw(&mut self, page: &mut Page) {
        draw(&mut page.state);
    }

    fn act(&mut self, page: &mut Page, act: &Act) -> bool {
        run(ACTIONS, self, page, act)
    }
}

/// Draws the panel that is open.
fn draw(state: &mut State) {
    for study in Study::ALL {
        let (name, is_open) = (study.id(), state.studies.open == study);
        let tab = dom::element(&format!("tab-{name}"));
        dom::set_attribute(&tab, "aria-selected", Some(if is_open { "true" } else { "false" }));
        dom::set_attribute(&tab, "tabindex", Some(if is_open { "0" } else { "-1" }));
        dom::flag(&format!("view-{name}"), "hidden", !is_open);
    }
    match state.studies.open {
        Study::Comparison => comparison::draw(state),
        Study::WinRate => win_rate::draw(state),
        Study::Scaling => scaling::draw(state),
        Study::Hacking => hacking::draw(state),
    }
}

/// Opens a panel by its tab.
pub fn open(page: &mut Page, study: Study) {
    page.state.studies.open = study;
    page.state.mark(Change::Studies);
}

/// Moves to the tab beside, as arrow keys do in a list of tabs.
pub fn walk(page: &mut Page, by: isize) {
    let at = Study::ALL.iter().position(|study| *study == page.state.studies.open).unwrap_or_default();
    let next = (at as isize + by).rem_euclid(Study::ALL.len() as isize) as usize;
    open(page, Study::ALL[next]);
    dom::focus(&format!("tab-{}", Study::ALL[next].id()));
}

/// Draws the chart of a panel over all of `area`, whatever that is; the table of both roads has none.
pub fn paint<DB: DrawingBackend>(
    study: Study,
    state: &State,
    area: &DrawingArea<DB, Shift>,
    look: &ChartStyle,
) -> Result<(), ChartError> {
    let (lines, axes) = match study {
        Study::Comparison => return Ok(()),
        Study::WinRate => (win_rate::lines(state), win_rate::AXES),
        Study::Scaling => (scaling::lines(state), scaling::AXES),
        Study::Hacking => (hacking::lines(state), hacking::AXES),
    };
    let level = axes.level.map(|(value, name)| (value, say(name)));
    let (x_name, y_name) = (say(axes.x_name), say(axes.y_name));
    LineChart { x_name, y_name, lines: &lines, level, ..axes }.draw(area, look).map(drop)
}

fn chart(state: &mut State, study: Study) {
    let has_table = study != Study::Hacking;
    let id = format!("{}-chart", study.id());
    if let Err(error) = chart::draw(&id, has_table, &|area, look| paint(study, state, area, look).map(|()| None)) {
        notices::chart_failed(state, &error);
    }
}

/// A row of a table: its head and its values.
fn row(head: &str, values: impl IntoIterator<Item = String>) -> Element {
    let row = dom::make("tr", "", "");
    let head = dom::make("th", "", head);
    dom::set_attribute(&head, "scope", Some("row"));
    dom::append(&row, &[&head]);
    for value in values {
        dom::append(&row, &[&dom::make("td", "", &value)]);
    }
    row
}

/// Replaces the rows of a table's body.
fn fill(id: &str, rows: impl IntoIterator<Item = Element>) {
    let body = dom::element(id);
    dom::clear(&body);
    for row in rows {
        dom::append(&body, &[&row]);
    }
}
