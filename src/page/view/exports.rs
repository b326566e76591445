//! What is exported: the numbers, a script, and charts as files: the same drawing as on the page, on white paper and in one
//! size, whatever the window's.

use plotters::coord::Shift;
use plotters::drawing::IntoDrawingArea;
use plotters::prelude::{DrawingArea, DrawingBackend};
use wasm_bindgen::JsCast;
use wasm_bindgen::closure::Closure;
use web_sys::{Blob, HtmlCanvasElement};

use super::action::run;
use super::canvas::Surface;
use super::{Act, Action, Page, View, dom, frontier, notices, studies};
use crate::page::model::change::Change;
use crate::page::model::state::{Export, State};
use crate::page::model::study::Study;
use crate::page::model::{curves, export};
use klimb_charts::{ChartError, ChartStyle, Palette};
use klimb_text::Message;

/// Width and height of a picture, in units of length.
const SIZE: (u32, u32) = (800, 500);
/// Pixels a unit, where a picture has pixels.
const SHARPNESS: u32 = 2;

/// The buttons of exports.
pub struct Exports;

const ACTIONS: &[Action<Exports>] = &[
    Action::click("export-text", |_, page, act| save_text(page, &act.value)),
    Action::click("export-chart", |_, page, act| {
        save_chart(page, &dom::select("export-chart").value(), act.value == "svg");
    }),
];

impl View for Exports {
    fn shows(&self) -> &'static [Change] {
        &[]
    }

    fn draw(&mut self, _page: &mut Page) {}

    fn act(&mut self, page: &mut Page, act: &Act) -> bool {
        run(ACTIONS, self, page, act)
    }
}

/// The numbers of this page, or a script for its run, as a file.
fn save_text(page: &mut Page, which: &str) {
    let (state, date) = (&page.state, String::from(js_sys::Date::new_0().to_iso_string()));
    let (what, ending, text) = match which {
        "csv" => ("run".to_owned(), "csv", export::csv(state, &date)),
        "json" => ("run".to_owned(), "json", export::json(state, &date)),
        _ => (format!("{}-trl", state.training.focused.id()), "py", export::script(state)),
    };
    let name = export::file_name(state, &what, ending);
    page.state.files.export = Some(Export::Document { name, text });
}

/// Saves the chart of that name as SVG, or else as PNG.
fn save_chart(page: &mut Page, chart: &str, as_svg: bool) {
    let ending = if as_svg { "svg" } else { "png" };
    let what = if curves::IDS.contains(&chart) {
        format!("{}-{chart}", page.state.training.focused.id())
    } else {
        chart.to_owned()
    };
    let name = export::file_name(&page.state, &what, ending);
    let Ok(canvas) = dom::make("canvas", "", "").dyn_into::<HtmlCanvasElement>() else { return };
    canvas.set_width(SIZE.0 * SHARPNESS);
    canvas.set_height(SIZE.1 * SHARPNESS);
    let outcome = if as_svg { svg(page, chart, name, &canvas) } else { png(&page.state, chart, name, &canvas) };
    match outcome {
        Ok(()) => {}
        Err(error @ ChartError::NotFinite { .. }) => notices::chart_failed(&mut page.state, &error),
        Err(ChartError::TooSmall { .. } | ChartError::Surface(_)) => {
            page.state.apply(crate::engine::Event::Failure(notices::no_picture()));
        }
    }
}

fn look(scale: u32) -> ChartStyle<'static> {
    ChartStyle { palette: Palette::LIGHT, scale: f64::from(scale), family: dom::FAMILY }
}

fn svg(page: &mut Page, chart: &str, name: String, canvas: &HtmlCanvasElement) -> Result<(), ChartError> {
    let mut text = String::new();
    paint(&page.state, chart, &Surface::svg(&mut text, SIZE, canvas).into_drawing_area(), &look(1))?;
    page.state.files.export = Some(Export::Document { name, text });
    Ok(())
}

fn png(state: &State, chart: &str, name: String, canvas: &HtmlCanvasElement) -> Result<(), ChartError> {
    paint(state, chart, &Surface::canvas(canvas)?.into_drawing_area(), &look(SHARPNESS))?;
    let done = Closure::once_into_js(move |blob: Option<Blob>| match blob {
        Some(blob) => notices::offer(&name, &blob),
        None => notices::tell(notices::no_picture()),
    });
    canvas.to_blob(done.unchecked_ref()).map_err(|error| ChartError::Surface(Message::verbatim(format!("{error:?}"))))
}

/// Draws the chart of that name.
fn paint<DB: DrawingBackend>(
    state: &State,
    chart: &str,
    area: &DrawingArea<DB, Shift>,
    look: &ChartStyle,
) -> Result<(), ChartError> {
    if let Some(study) = Study::named(chart) {
        return studies::paint(study, state, area, look);
    }
    if let Some(curves) = curves::charted(state).into_iter().find(|it| it.id == chart) {
        return curves.chart(&curves::changes(state), None).draw(area, look).map(drop);
    }
    frontier::paint(state, None, area, look).map(drop)
}
