//! A chart on its canvas, or, where it cannot be drawn there, a sentence in its place.

use plotters::coord::Shift;
use plotters::drawing::IntoDrawingArea;
use plotters::prelude::DrawingArea;

use super::{Surface, dom};
use klimb_charts::{ChartError, ChartStyle, Frame};
use klimb_text::words::say;

/// What draws a chart on a surface, and may answer where its values lie.
type Paint<'a> = &'a dyn Fn(&DrawingArea<Surface<'static>, Shift>, &ChartStyle) -> Result<Option<Frame>, ChartError>;

/// Draws a chart on the canvas of this id; nothing while the canvas is hidden. `has_table` tells whether a table below it
/// has the same numbers.
///
/// # Errors
/// `NotFinite`, which says something of the numbers and not of the browser.
pub fn draw(id: &str, has_table: bool, paint: Paint) -> Result<Option<Frame>, ChartError> {
    let outcome = match dom::surface(id) {
        Ok(None) => return Ok(None),
        Ok(Some((surface, look))) => paint(&surface.into_drawing_area(), &look),
        Err(error) => Err(error),
    };
    let instead = match &outcome {
        Ok(_) | Err(ChartError::NotFinite { .. }) => String::new(),
        Err(ChartError::TooSmall { .. }) => say("There is no room to draw the chart here.").into(),
        Err(ChartError::Surface(reason)) => say!("This browser does not draw the chart ({}).", reason.said()),
    };
    let table = if has_table { say("All of its points are in the table below.") } else { "" };
    write_instead(id, &instead, table);
    match outcome {
        Err(ChartError::TooSmall { .. } | ChartError::Surface(_)) => Ok(None),
        outcome => outcome,
    }
}

/// Writes why there is no chart below its canvas, or takes that away.
fn write_instead(id: &str, why: &str, table: &str) {
    let name = format!("{id}-undrawn");
    let text = [why, table].join(" ");
    if dom::is_there(&name) {
        dom::flag(&name, "hidden", why.is_empty());
        dom::set_text(&name, &text);
    } else if !why.is_empty() {
        let sentence = dom::make("p", "quiet", &text);
        dom::set_attribute(&sentence, "id", Some(&name));
        let canvas = dom::element(id);
        // A frame of a fixed height has room for the canvas alone.
        let place = canvas.closest(".chart").ok().flatten().unwrap_or(canvas);
        // What stands in the document has a place behind it.
        let _ = place.insert_adjacent_element("afterend", &sentence);
    }
}
