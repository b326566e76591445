//! Where the names of things stand in a chart: beside what they name, clear of each other and of what is drawn.

use plotters::coord::Shift;
use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, VPos};

use super::{ChartError, ChartStyle, Frame};

/// A pixel.
type Pixel = (i32, i32);

/// Height of a line of text, in units of length.
const LINE: f64 = 17.0;
/// From a point to the nearest edge of its label.
const NEAR: f64 = 8.0;
/// A label further from its point than this is tied to it by a thin line.
const TIED: f64 = 20.0;
/// What only stands behind is not named from further away than this.
const FAR: f64 = 45.0;
/// How far the places are apart that a label may take, and how many there are in each direction.
const STEP: f64 = 9.0;
const STEPS: usize = 9;
/// Directions from a point to its label, the best first: right and left by the first, down and up by the second.
const DIRECTIONS: [(f64, f64); 8] =
    [(1.0, 1.0), (1.0, 0.0), (1.0, -1.0), (0.0, 1.0), (0.0, -1.0), (-1.0, 1.0), (-1.0, 0.0), (-1.0, -1.0)];
/// What it costs to lie on another label; on what is drawn it costs what that weighs.
const ON_A_LABEL: f64 = 1000.0;
/// What it weighs that a label lies on a run or on the optimum, and on something recorded.
pub const LIVE: f64 = 1.0;
pub const PALE: f64 = 0.1;
/// What a step away from the point costs.
const FARTHER: f64 = 0.25;

/// A rectangle: left and top edge inside, right and bottom edge outside.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Rect {
    left: i32,
    top: i32,
    right: i32,
    bottom: i32,
}

impl Rect {
    fn overlaps(&self, other: &Self) -> bool {
        self.left < other.right && other.left < self.right && self.top < other.bottom && other.top < self.bottom
    }

    /// Whether a line between two pixels enters it: what of the line lies between each pair of edges in turn.
    fn is_crossed(&self, from: Pixel, to: Pixel) -> bool {
        let (mut enters, mut leaves) = (0.0_f64, 1.0_f64);
        for (from, to, low, high) in
            [(from.0, to.0, self.left, self.right - 1), (from.1, to.1, self.top, self.bottom - 1)]
        {
            let along = f64::from(to - from);
            if along == 0.0 {
                if from < low || from > high {
                    return false;
                }
                continue;
            }
            let (one, other) = (f64::from(low - from) / along, f64::from(high - from) / along);
            (enters, leaves) = (enters.max(one.min(other)), leaves.min(one.max(other)));
        }
        enters <= leaves
    }

    fn nearest(&self, (x, y): Pixel) -> Pixel {
        (x.clamp(self.left, self.right), y.clamp(self.top, self.bottom))
    }
}

/// The labels of one chart while it is drawn.
pub(super) struct Labels<'a> {
    frame: &'a Frame,
    look: &'a ChartStyle<'a>,
    written: Vec<Rect>,
    /// What is drawn, each with its weight: a line between two pixels, or a point, whose ends are the same.
    drawn: Vec<(Pixel, Pixel, f64)>,
}

impl<'a> Labels<'a> {
    /// None yet.
    pub fn new(frame: &'a Frame, look: &'a ChartStyle<'a>) -> Self {
        Self { frame, look, written: Vec::new(), drawn: Vec::new() }
    }

    /// Remembers what no label should lie on, the less the more it weighs: a line through `pixels`, and, where it has
    /// `markers`, a marker at each of them.
    pub fn keep_clear(&mut self, pixels: &[Pixel], markers: bool, weight: f64) {
        self.drawn.extend(pixels.windows(2).map(|ends| (ends[0], ends[1], weight)));
        if markers {
            let reach = self.look.px(4.0);
            for (x, y) in pixels {
                // A cross is as much of a marker as a label can touch.
                self.drawn.push(((x - reach, *y), (x + reach, *y), weight));
                self.drawn.push(((*x, y - reach), (*x, y + reach), weight));
            }
        }
    }

    /// Writes the name of a level, the line across at `row`, near it, where it lies on nothing else if there is such a place.
    pub fn name_level<DB: DrawingBackend>(
        &mut self,
        row: i32,
        name: &str,
        area: &DrawingArea<DB, Shift>,
    ) -> Result<(), ChartError> {
        let style = self.look.text(&self.look.palette.quiet, 11.0, HPos::Left, VPos::Top);
        let (width, height) = (area.estimate_text_size(name, &style)?.0 as i32, self.look.px(14.0));
        let across = &self.frame.across;
        let (left, right) = (across.start + self.look.px(6.0), across.end - self.look.px(6.0) - width);
        let columns = [left, (left + right) / 2, right];
        let (below, above) = (row + self.look.px(3.0), row - self.look.px(2.0) - height);
        let rows = [below, above, below + height, above - height];
        let corners: Vec<Pixel> = rows.iter().flat_map(|row| columns.map(|column| (column, *row))).collect();
        let corner = self.clearest(&corners, (width, height));
        area.draw(&Text::new(name.to_owned(), corner, style))?;
        Ok(())
    }

    /// Writes `text` beside a point where it lies on nothing, or on what matters least; where it `is_behind`, only if that
    /// is near.
    pub fn write<DB: DrawingBackend>(
        &mut self,
        text: &str,
        point: Pixel,
        color: &RGBColor,
        is_behind: bool,
        area: &DrawingArea<DB, Shift>,
    ) -> Result<(), ChartError> {
        let style = self.look.text(color, 13.0, HPos::Left, VPos::Top);
        let (width, _) = area.estimate_text_size(text, &style)?;
        let place = self.place(point, (width as i32, self.look.px(LINE)));
        let end = place.nearest(point);
        let away = f64::from(end.0 - point.0).hypot(f64::from(end.1 - point.1)) / self.look.scale;
        if is_behind && away > FAR {
            self.written.pop();
            return Ok(());
        }
        if self.drawn_on(&place) >= 1.0 {
            let ground = self.look.palette.paper.mix(0.7).filled();
            area.draw(&Rectangle::new([(place.left, place.top), (place.right, place.bottom)], ground))?;
        }
        if away > TIED {
            area.draw(&PathElement::new(vec![point, end], self.look.line(color.mix(0.5), 1.0)))?;
        }
        area.draw(&Text::new(text.to_owned(), (place.left, place.top), style))?;
        Ok(())
    }

    /// Takes a place for what is written by others.
    pub fn take(&mut self, (left, top): Pixel, (width, height): Pixel) {
        self.written.push(Rect { left, top, right: left + width, bottom: top + height });
    }

    /// Which of some places for a text lies on the least, by its left upper corner; it is taken from now on.
    pub fn clearest(&mut self, corners: &[Pixel], (width, height): Pixel) -> Pixel {
        let place = |&(left, top): &Pixel| Rect { left, top, right: left + width, bottom: top + height };
        let places = corners.iter().map(place).map(|place| (self.cost(&place), place));
        let best = places.min_by(|(one, _), (other, _)| one.total_cmp(other));
        best.map_or((0, 0), |(_, place)| {
            self.written.push(place);
            (place.left, place.top)
        })
    }

    /// The cheapest place for a label of that size, which is taken from now on. Of equal ones the nearest, and of those the
    /// first direction.
    fn place(&mut self, point: Pixel, size: Pixel) -> Rect {
        let mut best = (f64::INFINITY, self.beside(point, size, DIRECTIONS[0], 0));
        'all: for step in 0..STEPS {
            for direction in DIRECTIONS {
                let farther = FARTHER * step as f64;
                if best.0 <= farther {
                    break 'all;
                }
                let place = self.beside(point, size, direction, step);
                let cost = farther + self.cost(&place);
                if cost < best.0 {
                    best = (cost, place);
                }
            }
        }
        self.written.push(best.1);
        best.1
    }

    /// A place in that direction, so many steps away, but inside of the frame.
    fn beside(&self, (x, y): Pixel, (width, height): Pixel, (right, down): (f64, f64), step: usize) -> Rect {
        let away = self.look.px(NEAR + STEP * step as f64);
        let along = |at: i32, size: i32, direction: f64, ends: &std::ops::Range<i32>| {
            let start = match direction {
                forth if forth > 0.0 => at + away,
                back if back < 0.0 => at - away - size,
                _ => at - size / 2,
            };
            start.min(ends.end - size).max(ends.start)
        };
        let (left, top) = (along(x, width, right, &self.frame.across), along(y, height, down, &self.frame.down));
        Rect { left, top, right: left + width, bottom: top + height }
    }

    /// What all weighs that a place lies on, labels left out.
    fn drawn_on(&self, place: &Rect) -> f64 {
        let drawn = self.drawn.iter().filter(|(from, to, _)| place.is_crossed(*from, *to));
        drawn.map(|(.., weight)| weight).sum()
    }

    fn cost(&self, place: &Rect) -> f64 {
        let labels = self.written.iter().filter(|label| label.overlaps(place)).count();
        ON_A_LABEL * labels as f64 + self.drawn_on(place)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FRAME: Frame = Frame { x: 0.0..1.0, y: 0.0..1.0, across: 0..400, down: 0..300, logarithmic: false };
    const SIZE: Pixel = (80, 17);

    /// Five runs that come from one corner and end side by side, as after a sweep.
    fn trails() -> Vec<Vec<Pixel>> {
        (0..5)
            .map(|run| (0..8).map(|step| (10 + step * (14 + 2 * run), 280 - step * (20 + 3 * run))).collect())
            .collect()
    }

    #[test]
    fn labels_after_a_sweep_lie_on_nothing() {
        let look = ChartStyle::default();
        let (mut labels, trails) = (Labels::new(&FRAME, &look), trails());
        trails.iter().for_each(|trail| labels.keep_clear(trail, true, 1.0));
        let places: Vec<Rect> = trails.iter().map(|trail| labels.place(trail[7], SIZE)).collect();
        for (index, place) in places.iter().enumerate() {
            assert!(places[..index].iter().all(|other| !other.overlaps(place)), "{places:?}");
            let crossed =
                trails.iter().flat_map(|trail| trail.windows(2)).any(|ends| place.is_crossed(ends[0], ends[1]));
            assert!(!crossed, "label {index} lies on a trail: {place:?}");
            assert!(FRAME.across.contains(&place.left) && place.right <= FRAME.across.end, "{place:?}");
            assert!(FRAME.down.contains(&place.top) && place.bottom <= FRAME.down.end, "{place:?}");
        }
    }

    #[test]
    fn a_label_stands_below_on_the_right_where_nothing_is() {
        let look = ChartStyle::default();
        let mut labels = Labels::new(&FRAME, &look);
        assert_eq!(labels.place((100, 100), SIZE), Rect { left: 108, top: 108, right: 188, bottom: 125 });
        let second = labels.place((100, 100), SIZE);
        assert_eq!((second.left, second.top), (108, 75), "above on the right, clear of the first");
    }

    #[test]
    fn without_room_it_lies_on_what_weighs_least_and_on_no_label() {
        let look = ChartStyle::default();
        let mut labels = Labels::new(&FRAME, &look);
        let hatched = |labels: &mut Labels, rows: std::ops::Range<i32>, weight| {
            rows.step_by(5).for_each(|y| labels.keep_clear(&[(0, y), (400, y)], false, weight));
        };
        hatched(&mut labels, 0..150, 0.1);
        hatched(&mut labels, 150..300, 1.0);
        let first = labels.place((200, 150), SIZE);
        assert!(first.bottom <= 150, "{first:?}");
        assert!(!labels.place((200, 150), SIZE).overlaps(&first));
    }

    #[test]
    fn a_line_is_found_that_only_touches_a_corner_and_none_that_passes_by() {
        let place = Rect { left: 10, top: 10, right: 20, bottom: 20 };
        assert!(place.is_crossed((0, 20), (20, 0)), "through the corner");
        assert!(place.is_crossed((12, 0), (12, 40)) && place.is_crossed((15, 15), (15, 15)), "through and inside");
        assert!(!place.is_crossed((0, 8), (40, 8)) && !place.is_crossed((0, 18), (18, 38)), "past it");
        assert!(!place.is_crossed((0, 15), (5, 15)), "before it");
    }
}
