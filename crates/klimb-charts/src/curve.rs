//! Curves of one quantity over optimiser steps.

use plotters::coord::Shift;
use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, VPos};

use super::dashes::dashes;
use super::frame::{spanning, spanning_ratios};
use super::labels::Labels;
use super::marker::draw_marker;
use super::{ChartError, ChartStyle, Frame};
use klimb_metrics::SeriesStyle;
use klimb_text::words::say;

/// Height of a curve's name and of the line it stands on, in units of length.
const SIZE: f64 = 12.0;
const LINE: f64 = 15.0;

/// One series.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Curve {
    /// What stands beside its end.
    pub label: String,
    /// Hue and marker.
    pub style: SeriesStyle,
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
    pub fn draw<DB: DrawingBackend>(
        &self,
        area: &DrawingArea<DB, Shift>,
        look: &ChartStyle,
    ) -> Result<Frame, ChartError> {
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
        if let Some(row) = self.level_row(&frame) {
            let line = vec![(frame.across.start, row), (frame.across.end, row)];
            area.draw(&PathElement::new(line, look.line(look.palette.hairline, 1.0)))?;
        }
        self.draw_changes(area, look, &frame)?;
        let name = if self.logarithmic { say!("{} (log scale)", self.name) } else { self.name.to_owned() };
        frame.draw_axes(area, look, say("step →"), &name)?;
        for curve in self.curves {
            draw_curve(curve, area, look, &frame)?;
        }
        self.draw_cross(area, look, &frame)?;
        let mut labels = self.draw_labels(area, look, &frame)?;
        if let Some((row, (_, name))) = self.level_row(&frame).zip(self.level) {
            labels.name_level(row, name, area)?;
            labels.keep_clear(&[(frame.across.start, row), (frame.across.end, row)], false, 1.0);
        }
        if self.curves.iter().all(|curve| curve.points.len() < 2) {
            self.draw_empty(area, look, &frame, &mut labels)?;
        }
        area.present()?;
        Ok(frame)
    }

    fn draw_cross<DB: DrawingBackend>(
        &self,
        area: &DrawingArea<DB, Shift>,
        look: &ChartStyle,
        frame: &Frame,
    ) -> Result<(), ChartError> {
        let Some(step) = self.cross.filter(|step| (frame.x.start..=frame.x.end).contains(step)) else { return Ok(()) };
        let (x, _) = frame.pixel(step, frame.y.end);
        let line = vec![(x, frame.down.start), (x, frame.down.end)];
        area.draw(&PathElement::new(line, look.line(look.palette.quiet, 1.0)))?;
        for curve in self.curves {
            if let Some((x, y)) = newest_at(&curve.points, step).filter(|(_, y)| frame.has_place(*y)) {
                let hue = look.palette.color(curve.style.hue);
                area.draw(&Circle::new(frame.pixel(x, y), look.px(4.0), look.palette.paper.filled()))?;
                area.draw(&Circle::new(frame.pixel(x, y), look.px(4.0), look.line(hue, 1.5)))?;
            }
        }
        Ok(())
    }

    fn draw_gap<DB: DrawingBackend>(
        &self,
        area: &DrawingArea<DB, Shift>,
        look: &ChartStyle,
        frame: &Frame,
    ) -> Result<(), ChartError> {
        let [first, second, ..] = self.curves else { return Ok(()) };
        let pixel = |(x, y): &(f64, f64)| frame.pixel(*x, *y);
        let outline: Vec<(i32, i32)> =
            first.points.iter().map(pixel).chain(second.points.iter().rev().map(pixel)).collect();
        if self.gap && outline.len() > 3 {
            let hue = look.palette.color(first.style.hue);
            area.draw(&Polygon::new(outline, hue.mix(0.18).filled()))?;
        }
        Ok(())
    }

    /// A name beside the end of each curve, from the highest end down, none over another; and what they and the markers
    /// take up.
    fn draw_labels<'a, DB: DrawingBackend>(
        &self,
        area: &DrawingArea<DB, Shift>,
        look: &'a ChartStyle,
        frame: &'a Frame,
    ) -> Result<Labels<'a>, ChartError> {
        let mut names: Vec<Name> = Vec::new();
        for curve in self.curves {
            if let Some((x, y)) = curve.points.last().filter(|(_, y)| frame.has_place(*y)) {
                let style = look.text(&look.palette.quiet, SIZE, HPos::Left, VPos::Bottom);
                let width = area.estimate_text_size(&curve.label, &style)?.0 as i32;
                let end = frame.pixel(*x, *y);
                names.push(Name { curve, end, width, left: end.0, bottom: end.1 - look.px(6.0) });
            }
        }
        set_beside_ends(&mut names, frame, look);
        stack(&mut names, frame, look);
        let height = look.px(LINE);
        let mut labels = Labels::new(frame, look);
        names.iter().for_each(|name| labels.keep_clear(&[name.end], true, 1.0));
        for Name { curve, width, left, bottom, .. } in names {
            let hue = look.palette.color(curve.style.hue);
            let style = look.text(&hue, SIZE, HPos::Left, VPos::Bottom);
            let (top, edge) = (bottom - height, look.px(2.0));
            // A curve that is noisy runs through its own name; it is seen through what makes that legible.
            let ground = look.palette.paper.mix(0.7).filled();
            area.draw(&Rectangle::new([(left - edge, top), (left + width + edge, bottom)], ground))?;
            area.draw(&Text::new(curve.label.clone(), (left, bottom), style))?;
            labels.take((left - edge, top), (width + 2 * edge, height));
        }
        Ok(labels)
    }

    /// What is said while no curve has two points: in the middle, or as near to it as it lies on nothing.
    fn draw_empty<DB: DrawingBackend>(
        &self,
        area: &DrawingArea<DB, Shift>,
        look: &ChartStyle,
        frame: &Frame,
        labels: &mut Labels,
    ) -> Result<(), ChartError> {
        let style = look.text(&look.palette.quiet, 13.0, HPos::Left, VPos::Top);
        let (width, height) = (area.estimate_text_size(self.empty, &style)?.0 as i32, look.px(17.0));
        let left = frame.across.start + (frame.across.len() as i32 - width) / 2;
        let middle = frame.down.start + (frame.down.len() as i32 - height) / 2;
        let most = (middle - frame.down.start) / height;
        let aways = (0..=most).flat_map(|rows| [-rows, rows]).map(|rows| rows * height);
        let corners: Vec<(i32, i32)> = aways.map(|away| (left, middle + away)).collect();
        let corner = labels.clearest(&corners, (width, height));
        area.draw(&Text::new(self.empty.to_owned(), corner, style))?;
        Ok(())
    }

    fn level_row(&self, frame: &Frame) -> Option<i32> {
        let (value, _) = self.level.filter(|(value, _)| frame.y.contains(value))?;
        Some(frame.pixel(frame.x.start, value).1)
    }

    fn draw_changes<DB: DrawingBackend>(
        &self,
        area: &DrawingArea<DB, Shift>,
        look: &ChartStyle,
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

/// The name of a curve, and where it stands.
struct Name<'a> {
    curve: &'a Curve,
    end: (i32, i32),
    width: i32,
    left: i32,
    bottom: i32,
}

impl Name<'_> {
    /// Whether two names would meet on the same line.
    fn meets(&self, other: &Self) -> bool {
        self.left < other.left + other.width && other.left < self.left + self.width
    }
}

/// Names stand before their ends, where the eye comes from; or behind them and all others near, where there is no room
/// for each of those that end together.
fn set_beside_ends(names: &mut [Name], frame: &Frame, look: &ChartStyle) {
    let away = look.px(7.0);
    // As many lines up or down a name may have to give way.
    let reach = look.px(LINE) * names.len() as i32;
    let ends: Vec<((i32, i32), i32)> = names.iter().map(|name| (name.end, name.width)).collect();
    for name in names {
        let (x, y) = name.end;
        let widest = ends.iter().filter(|(end, _)| end.0 == x).map(|(_, width)| *width).max().unwrap_or(name.width);
        let mut near: Vec<i32> =
            ends.iter().filter(|(end, _)| (end.1 - y).abs() < reach).map(|(end, _)| end.0).collect();
        near.sort_unstable();
        near.dedup();
        let (first, before) = (frame.across.start + look.px(4.0), x - away - widest);
        let has_room = before >= first && !near.iter().any(|other| (before - away..x).contains(other));
        let past = |left: i32, other: &i32| if other - away < left + widest { left.max(other + away) } else { left };
        let behind = near.iter().filter(|other| **other >= x).fold(x + away, past);
        let stands_before = has_room || behind + widest > frame.across.end;
        name.left = if stands_before { (x - away - name.width).max(first) } else { behind };
    }
}

/// Moves names that would meet down, and up again where they would leave the chart.
fn stack(names: &mut [Name], frame: &Frame, look: &ChartStyle) {
    let height = look.px(LINE);
    names.sort_by_key(|name| name.bottom);
    for index in 0..names.len() {
        let (above, from) = names.split_at_mut(index);
        let lowest = above.iter().filter(|it| it.meets(&from[0])).map(|it| it.bottom).max();
        let highest = frame.down.start.max(lowest.unwrap_or(i32::MIN));
        from[0].bottom = from[0].bottom.max(highest + height);
    }
    for index in (0..names.len()).rev() {
        let (to, below) = names.split_at_mut(index + 1);
        let highest = below.iter().filter(|it| it.meets(&to[index])).map(|it| it.bottom - height).min();
        let lowest = (frame.down.end - look.px(2.0)).min(highest.unwrap_or(i32::MAX));
        to[index].bottom = to[index].bottom.min(lowest);
    }
}

fn draw_curve<DB: DrawingBackend>(
    curve: &Curve,
    area: &DrawingArea<DB, Shift>,
    look: &ChartStyle,
    frame: &Frame,
) -> Result<(), ChartError> {
    let hue = look.palette.color(curve.style.hue);
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
    let marker = curve.style.marker;
    for (index, pixel) in pixels.iter().enumerate() {
        if curve.marked || index + 1 == pixels.len() {
            draw_marker(marker, area, *pixel, look.px(3.0), hue.filled())?;
        }
    }
    Ok(())
}
