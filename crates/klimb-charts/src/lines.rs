//! Measurements with intervals over anything: a win rate over temperature or size, a score over KL.

use plotters::coord::Shift;
use plotters::prelude::*;

use super::frame::spanning;
use super::labels::Labels;
use super::marker::draw_marker;
use super::{ChartError, ChartStyle, Frame};
use klimb_metrics::SeriesStyle;

/// A measured value.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct LinePoint {
    /// What was varied.
    pub x: f64,
    /// What came out.
    pub y: f64,
    /// Half the width of its 95 % interval.
    pub half_width: f64,
}

/// One series.
#[derive(Debug, Clone, PartialEq)]
pub struct Line {
    /// What stands beside its end.
    pub label: String,
    /// Hue and marker.
    pub style: SeriesStyle,
    /// Its points, by rising x.
    pub points: Vec<LinePoint>,
    /// Whether it stands behind the others.
    pub pale: bool,
}

/// Lines with their intervals.
#[derive(Debug, Clone, Copy)]
pub struct LineChart<'a> {
    /// Name and unit of what was varied.
    pub x_name: &'a str,
    /// Name and unit of what came out.
    pub y_name: &'a str,
    /// The series.
    pub lines: &'a [Line],
    /// A value worth a thin line, with its name.
    pub level: Option<(f64, &'a str)>,
    /// Values across that are always in sight.
    pub x_at_least: (f64, f64),
    /// Values up that are always in sight.
    pub y_at_least: (f64, f64),
}

impl LineChart<'_> {
    /// Draws the chart over all of `area`.
    ///
    /// # Errors
    /// A value that is not finite is refused before anything is drawn.
    pub fn draw<DB: DrawingBackend>(
        &self,
        area: &DrawingArea<DB, Shift>,
        look: &ChartStyle,
    ) -> Result<Frame, ChartError> {
        for line in self.lines {
            let is_finite = |it: &LinePoint| it.x.is_finite() && it.y.is_finite() && it.half_width.is_finite();
            if let Some(index) = line.points.iter().position(|point| !is_finite(point)) {
                return Err(ChartError::NotFinite { series: line.label.clone(), index });
            }
        }
        area.fill(&look.palette.paper)?;
        let points = || self.lines.iter().flat_map(|line| &line.points);
        let ends = points().flat_map(|point| [point.y - point.half_width, point.y + point.half_width]);
        let x = spanning(points().map(|point| point.x), self.x_at_least.0..self.x_at_least.1);
        let y = spanning(ends, self.y_at_least.0..self.y_at_least.1);
        let frame = Frame::new(area, look, x, y)?;
        let mut level = None;
        if let Some((value, name)) = self.level.filter(|(value, _)| frame.y.contains(value)) {
            let (left, right) = (frame.pixel(frame.x.start, value), frame.pixel(frame.x.end, value));
            area.draw(&PathElement::new(vec![left, right], look.line(look.palette.hairline, 1.0)))?;
            level = Some((left.1, name));
        }
        frame.draw_axes(area, look, self.x_name, self.y_name)?;
        for line in self.lines {
            draw_line(line, area, look, &frame)?;
        }
        let mut labels = Labels::new(&frame, look);
        for line in self.lines {
            let pixels: Vec<(i32, i32)> = line.points.iter().map(|point| frame.pixel(point.x, point.y)).collect();
            labels.keep_clear(&pixels, true, if line.pale { 0.4 } else { 1.0 });
        }
        if let Some((row, name)) = level {
            labels.name_level(row, name, area)?;
        }
        for line in self.lines {
            if let Some(last) = line.points.last() {
                labels.write(
                    &line.label,
                    frame.pixel(last.x, last.y),
                    &look.palette.color(line.style.hue),
                    false,
                    area,
                )?;
            }
        }
        area.present()?;
        Ok(frame)
    }
}

fn draw_line<DB: DrawingBackend>(
    line: &Line,
    area: &DrawingArea<DB, Shift>,
    look: &ChartStyle,
    frame: &Frame,
) -> Result<(), ChartError> {
    let hue = look.palette.color(line.style.hue).mix(if line.pale { 0.4 } else { 1.0 });
    let pixels: Vec<(i32, i32)> = line.points.iter().map(|point| frame.pixel(point.x, point.y)).collect();
    if pixels.len() > 1 {
        area.draw(&PathElement::new(pixels.clone(), look.line(hue, 1.5)))?;
    }
    let marker = line.style.marker;
    for (point, pixel) in line.points.iter().zip(pixels) {
        let ends = [point.y - point.half_width, point.y + point.half_width].map(|y| frame.pixel(point.x, y));
        area.draw(&PathElement::new(ends.to_vec(), look.line(hue, 1.0)))?;
        draw_marker(marker, area, pixel, look.px(3.5), hue.filled())?;
    }
    Ok(())
}
