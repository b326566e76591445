//! The axes of a chart, and where a value lies between them.

use std::ops::Range;

use plotters::coord::Shift;
use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, VPos};

use super::{ChartError, ChartStyle};
use klimb_text::words::decimal;

/// Where a chart's values lie: ranges of the axes and the pixels they span.
#[derive(Debug, Clone, PartialEq)]
pub struct Frame {
    /// Values across, left to right.
    pub x: Range<f64>,
    /// Values up, bottom to top.
    pub y: Range<f64>,
    /// Pixels across, left to right.
    pub across: Range<i32>,
    /// Pixels down, top to bottom.
    pub down: Range<i32>,
    /// Whether equal lengths up are equal ratios; then `y` is above 0.
    pub logarithmic: bool,
}

/// Room around the plotted values, in units of length.
pub(super) const LEFT: f64 = 44.0;
pub(super) const RIGHT: f64 = 14.0;
pub(super) const TOP: f64 = 26.0;
pub(super) const BOTTOM: f64 = 40.0;

impl Frame {
    /// A frame that fills `area` but for the axes.
    pub(super) fn new<DB: DrawingBackend>(
        area: &DrawingArea<DB, Shift>,
        look: &ChartStyle,
        x: Range<f64>,
        y: Range<f64>,
    ) -> Result<Self, ChartError> {
        let (width, height) = area.dim_in_pixel();
        let across = look.px(LEFT)..width as i32 - look.px(RIGHT);
        let down = look.px(TOP)..height as i32 - look.px(BOTTOM);
        if across.len() < 16 || down.len() < 16 {
            return Err(ChartError::TooSmall { width, height });
        }
        Ok(Self { x, y, across, down, logarithmic: false })
    }

    /// Whether a value up has a place: a logarithmic axis has none for 0 and below.
    pub(super) fn has_place(&self, y: f64) -> bool {
        !self.logarithmic || y > 0.0
    }

    /// The pixel of a value.
    pub fn pixel(&self, x: f64, y: f64) -> (i32, i32) {
        let right = (x - self.x.start) / (self.x.end - self.x.start);
        let length = |value: f64| if self.logarithmic { value.max(f64::MIN_POSITIVE).ln() } else { value };
        let up = (length(y) - length(self.y.start)) / (length(self.y.end) - length(self.y.start));
        let x = f64::from(self.across.start) + right * self.across.len() as f64;
        let y = f64::from(self.down.end) - up * self.down.len() as f64;
        (x.round() as i32, y.round() as i32)
    }

    /// The value across at a pixel, which may lie outside of the axes.
    pub fn value_across(&self, x: f64) -> f64 {
        let right = (x - f64::from(self.across.start)) / self.across.len() as f64;
        self.x.start + right * (self.x.end - self.x.start)
    }

    /// The value at a pixel: what [`Frame::pixel`] undoes.
    pub fn value(&self, right: f64, down: f64) -> (f64, f64) {
        let up = (f64::from(self.down.end) - down) / self.down.len() as f64;
        (self.value_across(right), self.y.start + up * (self.y.end - self.y.start))
    }

    /// Two thin axes with ticks and labels. The names stand at the ends of the axes, both to be read without turning
    /// one's head.
    pub(super) fn draw_axes<DB: DrawingBackend>(
        &self,
        area: &DrawingArea<DB, Shift>,
        look: &ChartStyle,
        x_name: &str,
        y_name: &str,
    ) -> Result<(), ChartError> {
        let palette = &look.palette;
        let axis = look.line(palette.hairline, 1.0);
        let (left, right, top, bottom) = (self.across.start, self.across.end, self.down.start, self.down.end);
        area.draw(&PathElement::new(vec![(left, top), (left, bottom), (right, bottom)], axis))?;
        let room = |length: usize, spacing: f64| (length as f64 / look.scale / spacing).clamp(2.0, 9.0) as usize;
        let label = |across, down| look.text(&palette.quiet, 12.0, across, down);
        for Tick { value, label: text } in ticks(&self.x, room(self.across.len(), 70.0)) {
            let (x, _) = self.pixel(value, self.y.start);
            area.draw(&PathElement::new(vec![(x, bottom), (x, bottom + look.px(4.0))], axis))?;
            area.draw(&Text::new(text, (x, bottom + look.px(7.0)), label(HPos::Center, VPos::Top)))?;
        }
        let up = room(self.down.len(), 34.0);
        let up = if self.logarithmic { logarithmic_ticks(&self.y, up) } else { ticks(&self.y, up) };
        for Tick { value, label: text } in up {
            let (_, y) = self.pixel(self.x.start, value);
            area.draw(&PathElement::new(vec![(left - look.px(4.0), y), (left, y)], axis))?;
            area.draw(&Text::new(text, (left - look.px(8.0), y), label(HPos::Right, VPos::Center)))?;
        }
        let below = bottom + look.px(23.0);
        area.draw(&Text::new(x_name.to_owned(), (right, below), label(HPos::Right, VPos::Top)))?;
        area.draw(&Text::new(y_name.to_owned(), (look.px(4.0), look.px(4.0)), label(HPos::Left, VPos::Top)))?;
        Ok(())
    }
}

/// A value that an axis marks.
struct Tick {
    value: f64,
    label: String,
}

/// Round values inside `range`, at most `count + 1` of them.
fn ticks(range: &Range<f64>, count: usize) -> Vec<Tick> {
    let rough = (range.end - range.start) / count as f64;
    let magnitude = 10f64.powf(rough.log10().floor());
    let step = [1.0, 2.0, 5.0, 10.0].map(|factor| factor * magnitude).into_iter().find(|step| *step >= rough * 0.999);
    let step = step.unwrap_or(10.0 * magnitude);
    let decimals = (-step.log10().floor()).max(0.0) as usize;
    let first = (range.start / step - 1e-6).ceil() as i64;
    let last = (range.end / step + 1e-6).floor() as i64;
    (first..=last)
        .map(|index| index as f64 * step)
        .map(|value| Tick { value, label: decimal(format!("{value:.decimals$}")) })
        .collect()
}

/// Round values inside a range above 0: powers of ten, or 1, 2 and 5 times those, where there are at least three; in a
/// shorter range the values that a linear axis would have.
fn logarithmic_ticks(range: &Range<f64>, count: usize) -> Vec<Tick> {
    let powers = range.start.log10().floor() as i32..=range.end.log10().ceil() as i32;
    for factors in [&[1.0, 2.0, 5.0][..], &[1.0]] {
        let values =
            powers.clone().flat_map(|power| factors.iter().map(move |factor| (power, factor * 10f64.powi(power))));
        let inside: Vec<(i32, f64)> = values.filter(|(_, value)| range.contains(value)).collect();
        if inside.len() < 3 {
            break;
        }
        if inside.len() <= count + 1 || factors.len() == 1 {
            let stride = inside.len().div_ceil(count + 1);
            let tick = |(power, value): (i32, f64)| Tick {
                value,
                label: decimal(format!("{value:.*}", (-power).max(0) as usize)),
            };
            return inside.into_iter().step_by(stride).map(tick).collect();
        }
    }
    ticks(range, count)
}

/// The range of a logarithmic axis: the values above 0 with a little room, and what of `at_least` is above 0 too.
pub(super) fn spanning_ratios(values: impl Iterator<Item = f64>, at_least: Range<f64>) -> Range<f64> {
    let ends = [at_least.start, at_least.end];
    let positive = values.chain(ends).filter(|value| *value > 0.0);
    let (low, high) = positive.fold((f64::INFINITY, 0.0_f64), |(low, high), v| (low.min(v), high.max(v)));
    if low >= high { 0.1..10.0 } else { low / (high / low).powf(0.05)..high * (high / low).powf(0.05) }
}

/// The smallest range that holds `values` with a little room, and everything of `at_least`.
pub(super) fn spanning(values: impl Iterator<Item = f64>, at_least: Range<f64>) -> Range<f64> {
    let (low, high) = values.fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), v| (low.min(v), high.max(v)));
    let (whole_low, whole_high) = (low.min(at_least.start), high.max(at_least.end));
    let room = 0.05 * (whole_high - whole_low);
    let low = if low < at_least.start { low - room } else { at_least.start };
    let high = if high > at_least.end { high + room } else { at_least.end };
    low..high
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ticks_are_round_and_inside() {
        let labels = |range, count| ticks(&range, count).into_iter().map(|tick| tick.label).collect::<Vec<_>>();
        assert_eq!(labels(0.0..7.0, 7), ["0", "1", "2", "3", "4", "5", "6", "7"]);
        assert_eq!(labels(0.4..1.0, 6), ["0.4", "0.5", "0.6", "0.7", "0.8", "0.9", "1.0"]);
        assert_eq!(labels(0.0..1.0, 3), ["0.0", "0.5", "1.0"]);
        assert_eq!(labels(-0.3..0.3, 4), ["-0.2", "0.0", "0.2"]);
        assert_eq!(labels(0.0..230.0, 5), ["0", "50", "100", "150", "200"]);
    }

    #[test]
    fn logarithmic_ticks_are_round_and_inside() {
        let labels =
            |range, count| logarithmic_ticks(&range, count).into_iter().map(|tick| tick.label).collect::<Vec<_>>();
        assert_eq!(labels(0.05..3.0, 6), ["0.05", "0.1", "0.2", "0.5", "1", "2"]);
        assert_eq!(labels(0.0005..3000.0, 4), ["0.001", "0.1", "10", "1000"]);
        assert_eq!(labels(0.4..0.8, 4), ["0.4", "0.5", "0.6", "0.7", "0.8"], "less than a decade is labelled evenly");
    }

    #[test]
    fn a_logarithmic_range_is_above_zero() {
        let range = spanning_ratios([-1.0, 0.0, 0.5, 50.0].into_iter(), 0.0..1.0);
        assert!(range.start > 0.3 && range.start < 0.5 && range.end > 50.0, "{range:?}");
        assert_eq!(spanning_ratios([-1.0].into_iter(), 0.0..0.0), 0.1..10.0);
        let even = spanning_ratios([2.0].into_iter(), 2.0..2.0);
        assert!(even.start < even.end);
    }

    #[test]
    fn a_range_holds_everything_and_never_collapses() {
        assert_eq!(spanning([].into_iter(), 0.0..1.0), 0.0..1.0);
        assert_eq!(spanning([0.5].into_iter(), 0.0..1.0), 0.0..1.0);
        let wide = spanning([-1.0, 3.0].into_iter(), 0.0..1.0);
        assert!(wide.start < -1.0 && wide.end > 3.0, "{wide:?}");
        let one = spanning([4.0].into_iter(), 0.0..1.0);
        assert!(one.start == 0.0 && one.end > 4.0, "{one:?}");
    }
}
