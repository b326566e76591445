//! Curves of one quantity over optimiser steps.

use plotters::coord::Shift;
use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, VPos};

use super::dashes::dashes;
use super::frame::{spanning, spanning_ratios};
use super::{ChartError, Frame, Look, Marker};
use crate::order;
use crate::words::say;

/// One series.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Curve {
    /// What stands beside its end.
    pub label: String,
    /// Decides hue and marker.
    pub method: String,
    /// (step, value), by rising step.
    pub points: Vec<(f64, f64)>,
    /// The same before it was smoothed, drawn pale; empty where it was not.
    pub behind: Vec<(f64, f64)>,
    /// Whether every value is an evaluation of its own and deserves a marker.
    pub marked: bool,
    /// Length of its dashes; 0 is a solid line. Tells curves of one hue apart.
    pub dash: f64,
}

impl Curve {
    /// The values as they were reported.
    pub fn exact(&self) -> &[(f64, f64)] {
        if self.behind.is_empty() { &self.points } else { &self.behind }
    }
}

/// The newest of `points` at or before a step.
pub fn newest_at(points: &[(f64, f64)], step: f64) -> Option<(f64, f64)> {
    let after = points.partition_point(|(at, _)| *at <= step);
    Some(points[after.checked_sub(1)?])
}

/// One small chart.
#[derive(Debug, Clone, Copy, Default)]
pub struct CurveChart<'a> {
    /// Name and unit of the values.
    pub name: &'a str,
    /// The series.
    pub curves: &'a [Curve],
    /// A value worth a thin line, with its name: ln 2 for DPO's first loss.
    pub level: Option<(f64, &'a str)>,
    /// Steps at which a knob was turned, with what stands there.
    pub changes: &'a [(f64, String)],
    /// Whether the gap between the first two curves is shaded.
    pub gap: bool,
    /// Values that are always in sight.
    pub at_least: (f64, f64),
    /// A step that is always in sight, so that charts beside each other begin and end alike.
    pub until: f64,
    /// Whether equal lengths up are equal ratios. Values of 0 and below have no place then.
    pub logarithmic: bool,
    /// A step that is pointed at: a thin line, and a mark on every curve.
    pub cross: Option<f64>,
    /// What stands in the middle while no curve has two points.
    pub empty: &'a str,
}

impl CurveChart<'_> {
    /// Draws the chart over all of `area`.
    ///
    /// # Errors
    /// A value that is not finite is refused before anything is drawn.
    pub fn draw<DB: DrawingBackend>(&self, area: &DrawingArea<DB, Shift>, look: &Look) -> Result<Frame, ChartError> {
        for curve in self.curves {
            let points = [&curve.points, &curve.behind].map(|points| points.iter());
            let is_broken = |(x, y): &(f64, f64)| !x.is_finite() || !y.is_finite();
            if let Some(index) = points.into_iter().find_map(|mut points| points.position(is_broken)) {
                return Err(ChartError::NotFinite { series: format!("{}, {}", self.name, curve.label), index });
            }
        }
        area.fill(&look.palette.paper)?;
        let points = || self.curves.iter().flat_map(|curve| curve.points.iter().chain(&curve.behind));
        let x = 0.0..points().map(|(step, _)| *step).fold(self.until.max(10.0), f64::max);
        let (values, at_least) = (points().map(|(_, value)| *value), self.at_least.0..self.at_least.1);
        let y = if self.logarithmic { spanning_ratios(values, at_least) } else { spanning(values, at_least) };
        let frame = Frame { logarithmic: self.logarithmic, ..Frame::new(area, look, x, y)? };
        self.draw_gap(area, look, &frame)?;
        self.draw_level(area, look, &frame)?;
        self.draw_changes(area, look, &frame)?;
        let name = if self.logarithmic { say!("{} (log scale)", self.name) } else { self.name.to_owned() };
        frame.draw_axes(area, look, say("step →"), &name)?;
        for curve in self.curves {
            draw_curve(curve, area, look, &frame)?;
        }
        self.draw_cross(area, look, &frame)?;
        self.draw_labels(area, look, &frame)?;
        if self.curves.iter().all(|curve| curve.points.len() < 2) {
            let middle = |range: &std::ops::Range<i32>| range.start + range.len() as i32 / 2;
            let style = look.text(&look.palette.quiet, 13.0, HPos::Center, VPos::Center);
            area.draw(&Text::new(self.empty.to_owned(), (middle(&frame.across), middle(&frame.down)), style))?;
        }
        area.present()?;
        Ok(frame)
    }

    fn draw_cross<DB: DrawingBackend>(
        &self,
        area: &DrawingArea<DB, Shift>,
        look: &Look,
        frame: &Frame,
    ) -> Result<(), ChartError> {
        let Some(step) = self.cross.filter(|step| (frame.x.start..=frame.x.end).contains(step)) else { return Ok(()) };
        let (x, _) = frame.pixel(step, frame.y.end);
        let line = vec![(x, frame.down.start), (x, frame.down.end)];
        area.draw(&PathElement::new(line, look.line(look.palette.quiet, 1.0)))?;
        for curve in self.curves {
            if let Some((x, y)) = newest_at(&curve.points, step).filter(|(_, y)| frame.has_place(*y)) {
                let hue = look.palette.method(&curve.method);
                area.draw(&Circle::new(frame.pixel(x, y), look.px(4.0), look.palette.paper.filled()))?;
                area.draw(&Circle::new(frame.pixel(x, y), look.px(4.0), look.line(hue, 1.5)))?;
            }
        }
        Ok(())
    }

    fn draw_gap<DB: DrawingBackend>(
        &self,
        area: &DrawingArea<DB, Shift>,
        look: &Look,
        frame: &Frame,
    ) -> Result<(), ChartError> {
        let [first, second, ..] = self.curves else { return Ok(()) };
        let pixel = |(x, y): &(f64, f64)| frame.pixel(*x, *y);
        let outline: Vec<(i32, i32)> =
            first.points.iter().map(pixel).chain(second.points.iter().rev().map(pixel)).collect();
        if self.gap && outline.len() > 3 {
            let hue = look.palette.method(&first.method);
            area.draw(&Polygon::new(outline, hue.mix(0.18).filled()))?;
        }
        Ok(())
    }

    /// A name beside the end of each curve, from the highest end down, none over another.
    fn draw_labels<DB: DrawingBackend>(
        &self,
        area: &DrawingArea<DB, Shift>,
        look: &Look,
        frame: &Frame,
    ) -> Result<(), ChartError> {
        let mut ends: Vec<(i32, i32, &Curve)> = Vec::new();
        for curve in self.curves {
            if let Some((x, y)) = curve.points.last().filter(|(_, y)| frame.has_place(*y)) {
                let (x, y) = frame.pixel(*x, *y);
                ends.push((x, y - look.px(6.0), curve));
            }
        }
        order::sort_by_key(&mut ends, |(_, y, _)| *y);
        let height = look.px(14.0);
        let mut free = i32::MIN;
        for (_, y, _) in &mut ends {
            *y = (*y).max(free);
            free = *y + height;
        }
        let mut free = frame.down.end - look.px(2.0);
        for (_, y, _) in ends.iter_mut().rev() {
            *y = (*y).min(free);
            free = *y - height;
        }
        for (x, y, curve) in ends {
            let hue = look.palette.method(&curve.method);
            let style = look.text(&hue, 12.0, HPos::Right, VPos::Bottom);
            let (width, _) = area.estimate_text_size(&curve.label, &style)?;
            let x = (x - look.px(7.0)).max(frame.across.start + look.px(4.0) + width as i32);
            // A curve that is noisy runs through its own name; it is seen through what makes that legible.
            let ground = look.palette.paper.mix(0.7).filled();
            area.draw(&Rectangle::new([(x - width as i32 - look.px(2.0), y - height), (x + look.px(2.0), y)], ground))?;
            area.draw(&Text::new(curve.label.clone(), (x, y), style))?;
        }
        Ok(())
    }

    fn draw_level<DB: DrawingBackend>(
        &self,
        area: &DrawingArea<DB, Shift>,
        look: &Look,
        frame: &Frame,
    ) -> Result<(), ChartError> {
        let Some((value, name)) = self.level.filter(|(value, _)| frame.y.contains(value)) else { return Ok(()) };
        let (left, right) = (frame.pixel(frame.x.start, value), frame.pixel(frame.x.end, value));
        area.draw(&PathElement::new(vec![left, right], look.line(look.palette.hairline, 1.0)))?;
        let style = look.text(&look.palette.quiet, 11.0, HPos::Left, VPos::Top);
        area.draw(&Text::new(name.to_owned(), (left.0 + look.px(6.0), left.1 + look.px(3.0)), style))?;
        Ok(())
    }

    fn draw_changes<DB: DrawingBackend>(
        &self,
        area: &DrawingArea<DB, Shift>,
        look: &Look,
        frame: &Frame,
    ) -> Result<(), ChartError> {
        for (step, text) in self.changes.iter().filter(|(step, _)| frame.x.contains(step)) {
            let (x, _) = frame.pixel(*step, frame.y.start);
            let line = vec![(x, frame.down.start), (x, frame.down.end)];
            area.draw(&PathElement::new(line, look.line(look.palette.hairline, 1.0)))?;
            let style = look.text(&look.palette.quiet, 11.0, HPos::Left, VPos::Top);
            area.draw(&Text::new(text.clone(), (x + look.px(3.0), frame.down.start), style))?;
        }
        Ok(())
    }
}

fn draw_curve<DB: DrawingBackend>(
    curve: &Curve,
    area: &DrawingArea<DB, Shift>,
    look: &Look,
    frame: &Frame,
) -> Result<(), ChartError> {
    let hue = look.palette.method(&curve.method);
    let pixels = |points: &[(f64, f64)]| -> Vec<(i32, i32)> {
        points.iter().filter(|(_, y)| frame.has_place(*y)).map(|(x, y)| frame.pixel(*x, *y)).collect()
    };
    let (pixels, behind) = (pixels(&curve.points), pixels(&curve.behind));
    if behind.len() > 1 {
        area.draw(&PathElement::new(behind, look.line(hue.mix(0.28), 1.0)))?;
    }
    if pixels.len() > 1 && curve.dash > 0.0 {
        for dash in dashes(&pixels, f64::from(look.px(curve.dash))) {
            area.draw(&PathElement::new(dash, look.line(hue, 1.5)))?;
        }
    } else if pixels.len() > 1 {
        area.draw(&PathElement::new(pixels.clone(), look.line(hue, 1.5)))?;
    }
    let marker = Marker::of(&curve.method);
    for (index, pixel) in pixels.iter().enumerate() {
        if curve.marked || index + 1 == pixels.len() {
            marker.draw(area, *pixel, look.px(3.0), hue.filled())?;
        }
    }
    Ok(())
}
