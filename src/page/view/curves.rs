//! Four small charts over the steps of the stage in focus, their crosshair, and the line that reads it.

use wasm_bindgen::JsCast;
use web_sys::{MouseEvent, PointerEvent};

use super::action::run;
use super::{Act, Action, On, Page, View, chart, dom, notices};
use crate::page::model::change::Change;
use crate::page::model::curves::options::SMOOTHEST;
use crate::page::model::curves::{self, CurveCharts, Table};
use crate::page::model::format;
use crate::page::model::state::State;
use klimb_charts::Frame;
use klimb_text::words::say;

/// The charts over the steps.
#[derive(Default)]
pub struct Curves {
    /// Where the values of each chart lie, for the pointer.
    frames: Vec<(&'static str, Frame)>,
    /// The metrics that are offered for the fourth chart.
    offered: Vec<&'static str>,
}

const ACTIONS: &[Action<Curves>] = &[
    Action::on(&[On::Click, On::PointerMove], "curve", |view, page, act| {
        if let Some(pointer) = act.pointer() {
            view.point_at(page, &act.value, pointer);
        }
    }),
    // A finger that is lifted leaves the crosshair where it was, to be read.
    Action::on(&[On::PointerOut], "curve", |_, page, act| {
        let is_of_mouse = |pointer: &MouseEvent| {
            pointer.dyn_ref::<PointerEvent>().is_some_and(|pointer| pointer.pointer_type() == "mouse")
        };
        if act.pointer().is_some_and(is_of_mouse) {
            select(page, None);
        }
    }),
    Action::on(&[On::Input, On::Change], "change-curves", |_, page, _| change(page)),
    // By the time it is drawn, the browser has opened or closed it.
    Action::click("open-curve-table", |_, page, _| page.state.mark(Change::Curves)),
];

impl View for Curves {
    fn shows(&self) -> &'static [Change] {
        use Change::{Charts, Curves, Focus, Metrics, Points};
        &[Curves, Metrics, Points, Focus, Charts]
    }

    fn take_over(&mut self, page: &mut Page) {
        change(page);
    }

    fn draw(&mut self, page: &mut Page) {
        self.frames = draw(&mut page.state);
        self.write_controls(&page.state);
    }

    fn act(&mut self, page: &mut Page, act: &Act) -> bool {
        run(ACTIONS, self, page, act)
    }
}

/// Draws the charts, their captions and the reading; answers where each chart's values lie.
fn draw(state: &mut State) -> Vec<(&'static str, Frame)> {
    let (charts, changes) = (curves::charted(state), curves::changes(state));
    let (mut frames, mut failed) = (Vec::new(), None);
    for chart in &charts {
        let id = chart.id;
        dom::set_text(&format!("caption-{id}"), &chart.caption);
        let canvas = format!("curve-{id}");
        match chart::draw(&canvas, true, &|area, look| {
            chart.chart(&changes, state.curves.at).draw(area, look).map(Some)
        }) {
            Ok(frame) => frames.extend(frame.map(|frame| (id, frame))),
            Err(error) => failed = Some(error),
        }
    }
    dom::set_text("curve-readout", &curves::reading(&charts, state.curves.at));
    write_table(&charts);
    if let Some(error) = failed {
        notices::chart_failed(state, &error);
    }
    frames
}

/// Writes the table while it is open.
fn write_table(charts: &[CurveCharts]) {
    if !dom::element("curve-table").has_attribute("open") {
        return;
    }
    let Table { columns, rows } = curves::table(charts);
    let (head, body) = (dom::element("curve-heads"), dom::element("curve-rows"));
    dom::clear(&head);
    dom::clear(&body);
    let heading = |scope, text: &str| {
        let heading = dom::make("th", "", text);
        dom::set_attribute(&heading, "scope", Some(scope));
        heading
    };
    dom::append(&head, &[&heading("col", say("step"))]);
    for column in columns {
        dom::append(&head, &[&heading("col", &column)]);
    }
    for (step, values) in rows {
        let row = dom::make("tr", "", "");
        dom::append(&row, &[&heading("row", &step.to_string())]);
        for value in values {
            dom::append(&row, &[&dom::make("td", "", &value)]);
        }
        dom::append(&body, &[&row]);
    }
}

impl Curves {
    fn write_controls(&mut self, state: &State) {
        dom::set_text("smoothing-value", &format::fixed(state.curves.smoothing, 2));
        let (metrics, shown) = (curves::metrics(state), curves::also_shown(state));
        let select = dom::select("also");
        let names: Vec<_> = metrics.iter().map(|(name, _)| *name).collect();
        // Written anew only when others are offered, so that an open list stays open.
        if self.offered != names {
            self.offered = names;
            dom::clear(&select);
            for (name, label) in metrics {
                let option = dom::make("option", "", label);
                dom::set_attribute(&option, "value", Some(name));
                dom::append(&select, &[&option]);
            }
        }
        select.set_value(shown);
    }

    /// Points at the step nearest to the pointer on the chart of that id.
    fn point_at(&self, page: &mut Page, id: &str, pointer: &MouseEvent) {
        let Some((_, frame)) = self.frames.iter().find(|(name, _)| *name == id) else { return };
        let place = frame.value_across(f64::from(pointer.offset_x()) * dom::sharpness());
        let steps = curves::steps(&curves::charted(&page.state));
        select(page, curves::nearest(&steps, place));
    }
}

/// Takes up the controls above the charts.
fn change(page: &mut Page) {
    let options = &mut page.state.curves;
    options.smoothing = dom::input("smoothing").value_as_number().clamp(0.0, SMOOTHEST);
    options.logarithmic = dom::input("logarithmic").checked();
    options.also = Some(dom::select("also").value());
    page.state.mark(Change::Curves);
}

/// Points every chart at a step, or at none.
pub fn select(page: &mut Page, at: Option<u64>) {
    if page.state.curves.at != at {
        page.state.curves.at = at;
        page.state.mark(Change::Curves);
    }
}

/// Moves the crosshair by steps that have values, from the last one on, and reads it aloud.
pub fn walk(page: &mut Page, by: isize) {
    let charts = curves::charted(&page.state);
    let at = curves::beside(&curves::steps(&charts), page.state.curves.at, by);
    select(page, at);
    dom::set_text("said", &curves::reading(&charts, at));
}
