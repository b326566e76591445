//! Charts as files.

use plotters::prelude::*;

use super::{ChartError, ChartStyle, CurveChart, FrontierChart, LineChart};

/// The chart as an SVG document of `width` × `height` units.
///
/// # Errors
/// As [`FrontierChart::draw`].
pub fn frontier_svg(
    chart: &FrontierChart,
    look: &ChartStyle,
    (width, height): (u32, u32),
) -> Result<String, ChartError> {
    let mut svg = String::new();
    chart.draw(&SVGBackend::with_string(&mut svg, (width, height)).into_drawing_area(), look)?;
    Ok(svg)
}

/// The chart as an SVG document of `width` × `height` units.
///
/// # Errors
/// As [`LineChart::draw`].
pub fn line_svg(chart: &LineChart, look: &ChartStyle, (width, height): (u32, u32)) -> Result<String, ChartError> {
    let mut svg = String::new();
    chart.draw(&SVGBackend::with_string(&mut svg, (width, height)).into_drawing_area(), look)?;
    Ok(svg)
}

/// The chart as an SVG document of `width` × `height` units.
///
/// # Errors
/// As [`CurveChart::draw`].
pub fn curve_svg(chart: &CurveChart, look: &ChartStyle, (width, height): (u32, u32)) -> Result<String, ChartError> {
    let mut svg = String::new();
    chart.draw(&SVGBackend::with_string(&mut svg, (width, height)).into_drawing_area(), look)?;
    Ok(svg)
}
