//! The reward-versus-KL frontier (Rafailov et al. 2023, Figure 2 left), with the closed-form optimum behind it.

use std::ops::Range;

use plotters::coord::Shift;
use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, VPos};

use super::dashes::dashes;
use super::frame::spanning;
use super::labels::{LIVE, Labels};
use super::marker::draw_marker;
use super::trail::{Trail, draw_ghost, draw_read_off, draw_trail, is_in};
use super::{ChartError, ChartStyle, Frame};
use klimb_metrics::{FrontierPoint, Marker, Method, OptimumPoint};
use klimb_text::words::say;

/// Below this effective sample size a point of the optimum is a guess, and drawn dashed.
pub const RELIABLE_SAMPLES: f64 = 100.0;
/// Below this effective sample size not even what bounds nothing is drawn.
const USABLE_SAMPLES: f64 = 10.0;

/// Where a perfect learner of another reward would go: no bound, so it is drawn thin, and never solid.
#[derive(Debug, Clone, PartialEq)]
pub struct Aim {
    /// What stands beside its end.
    pub label: String,
    /// Whose aim it is; decides the hue.
    pub method: Method,
    /// Its points, by KL in either direction. Those carried by too few samples are left out.
    pub points: Vec<OptimumPoint>,
}

/// Everything on the chart.
#[derive(Debug, Clone, Copy)]
pub struct FrontierChart<'a> {
    /// Recorded runs, drawn faintly behind the others, where they lie in the frame; equal labels are written once.
    pub ghosts: &'a [Trail],
    /// Curves that somebody read off another figure, drawn dashed, without markers.
    pub read_off: &'a [Trail],
    /// The runs; later ones are drawn over earlier ones.
    pub trails: &'a [Trail],
    /// The closed-form optimum, by KL in either direction.
    pub optimum: &'a [OptimumPoint],
    /// The optima of learned rewards, which PPO aims at.
    pub aims: &'a [Aim],
    /// The optimum at the β chosen now, with its label.
    pub target: Option<(OptimumPoint, &'a str)>,
    /// The trail and point that is pointed at.
    pub selected: Option<(usize, usize)>,
    /// Where somebody thought that the optimum would be (KL, gold reward), with a label.
    pub guess: Option<((f64, f64), &'a str)>,
    /// What to say in the middle while there is nothing to see.
    pub empty: &'a str,
}

/// What has a name in the chart.
struct Named<'a> {
    text: &'a str,
    /// Where it ends.
    end: (i32, i32),
    /// Of the name.
    color: RGBColor,
    /// Whether it only stands behind.
    is_behind: bool,
}

impl FrontierChart<'_> {
    /// Draws the chart over all of `area`.
    ///
    /// # Errors
    /// A value that is not finite is refused before anything is drawn.
    pub fn draw<DB: DrawingBackend>(
        &self,
        area: &DrawingArea<DB, Shift>,
        look: &ChartStyle,
    ) -> Result<Frame, ChartError> {
        self.check()?;
        area.fill(&look.palette.paper)?;
        let (x, y) = self.ranges();
        let frame = Frame::new(area, look, x, y)?;
        let mut labels = Labels::new(&frame, look);
        self.draw_optimum(area, look, &frame, &mut labels)?;
        frame.draw_axes(area, look, say("KL to the reference, nats →"), say("↑ gold reward"))?;
        for ghost in self.ghosts {
            draw_ghost(ghost, area, look, &frame, &mut labels)?;
        }
        for curve in self.read_off {
            draw_read_off(curve, area, look, &frame)?;
        }
        self.draw_aims(area, look, &frame)?;
        for (index, trail) in self.trails.iter().enumerate() {
            let selected = self.selected.filter(|(which, _)| *which == index).map(|(_, point)| point);
            draw_trail(trail, selected, area, look, &frame, &mut labels)?;
        }
        self.draw_guess(area, look, &frame)?;
        self.draw_target(area, look, &frame, &mut labels)?;
        self.describe_optimum(area, look, &frame, &mut labels)?;
        for Named { text, end, color, is_behind } in self.named(look, &frame) {
            labels.write(text, end, &color, is_behind, area)?;
        }
        if self.trails.iter().all(|trail| trail.points.is_empty()) && self.optimum.is_empty() {
            let middle = ((frame.across.start + frame.across.end) / 2, (frame.down.start + frame.down.end) / 2);
            let style = look.text(&look.palette.quiet, 14.0, HPos::Center, VPos::Center);
            area.draw(&Text::new(self.empty.to_owned(), middle, style))?;
        }
        area.present()?;
        Ok(frame)
    }

    fn check(&self) -> Result<(), ChartError> {
        for trail in self.trails.iter().chain(self.ghosts).chain(self.read_off) {
            let finite = |p: &FrontierPoint| {
                [p.kl_per_sequence, p.kl_half_width, p.gold_reward, p.gold_reward_half_width]
                    .iter()
                    .all(|v| v.is_finite())
            };
            if let Some(index) = trail.points.iter().position(|point| !finite(point)) {
                return Err(ChartError::NotFinite { series: trail.label.clone(), index });
            }
        }
        let finite = |p: &OptimumPoint| p.kl_per_sequence.is_finite() && p.gold_reward.is_finite();
        for aim in self.aims {
            if let Some(index) = aim.points.iter().position(|point| !finite(point)) {
                return Err(ChartError::NotFinite { series: aim.label.clone(), index });
            }
        }
        match self.optimum.iter().chain(self.target.iter().map(|(point, _)| point)).position(|p| !finite(p)) {
            Some(index) => Err(ChartError::NotFinite { series: "closed-form optimum".into(), index }),
            None => Ok(()),
        }
    }

    /// KL from 0 to at least 5, gold reward from at most 0.4 to 1.
    fn ranges(&self) -> (Range<f64>, Range<f64>) {
        let points = || self.trails.iter().flat_map(|trail| &trail.points);
        let reliable = || self.optimum.iter().filter(|point| point.effective_sample_size >= RELIABLE_SAMPLES);
        let kl = points().map(|p| p.kl_per_sequence + p.kl_half_width).chain(reliable().map(|p| p.kl_per_sequence));
        let reward = points().map(|p| p.gold_reward).chain(reliable().map(|p| p.gold_reward));
        (0.0..spanning(kl, 0.0..5.0).end, spanning(reward, 0.4..1.0))
    }

    /// The envelope, with what lies above it shaded: no policy is there.
    fn draw_optimum<DB: DrawingBackend>(
        &self,
        area: &DrawingArea<DB, Shift>,
        look: &ChartStyle,
        frame: &Frame,
        labels: &mut Labels,
    ) -> Result<(), ChartError> {
        let mut curve: Vec<&OptimumPoint> =
            self.optimum.iter().filter(|point| frame.x.contains(&point.kl_per_sequence)).collect();
        curve.sort_by(|a, b| a.kl_per_sequence.total_cmp(&b.kl_per_sequence));
        let pixels: Vec<(i32, i32)> = curve.iter().map(|p| frame.pixel(p.kl_per_sequence, p.gold_reward)).collect();
        let (Some(first), Some(last)) = (pixels.first(), pixels.last()) else { return Ok(()) };
        labels.keep_clear(&pixels, false, LIVE);
        let mut above = pixels.clone();
        above.extend([(last.0, frame.down.start), (first.0.min(frame.across.start), frame.down.start)]);
        above.push((frame.across.start, first.1));
        area.draw(&Polygon::new(above, look.palette.shade.filled()))?;
        let reliable: Vec<bool> =
            curve.windows(2).map(|ends| ends.iter().all(|p| p.effective_sample_size >= RELIABLE_SAMPLES)).collect();
        let mut start = 0;
        for stretch in reliable.chunk_by(|a, b| a == b) {
            let path = &pixels[start..=start + stretch.len()];
            start += stretch.len();
            if stretch[0] {
                area.draw(&PathElement::new(path.to_vec(), look.line(look.palette.ink, 1.5)))?;
            } else {
                for dash in dashes(path, f64::from(look.px(4.0))) {
                    area.draw(&PathElement::new(dash, look.line(look.palette.ink, 1.0)))?;
                }
            }
        }
        Ok(())
    }

    /// Says what the curve is: above it, or, where there is no room, at the bottom on the right, where runs come last.
    fn describe_optimum<DB: DrawingBackend>(
        &self,
        area: &DrawingArea<DB, Shift>,
        look: &ChartStyle,
        frame: &Frame,
        labels: &mut Labels,
    ) -> Result<(), ChartError> {
        let shown = || self.optimum.iter().filter(|point| frame.x.contains(&point.kl_per_sequence));
        if shown().next().is_none() {
            return Ok(());
        }
        let mut lines = vec![say("closed-form optimum: no policy lies above")];
        if shown().any(|point| point.effective_sample_size < RELIABLE_SAMPLES) {
            lines.push(say("dashed: fewer than 100 samples carry it"));
        }
        let style = look.text(&look.palette.quiet, 12.0, HPos::Left, VPos::Top);
        let widths = lines.iter().map(|line| area.estimate_text_size(line, &style).map(|(width, _)| width as i32));
        let width = widths.collect::<Result<Vec<i32>, _>>()?.into_iter().max().unwrap_or(0);
        let height = look.px(17.0) * lines.len() as i32;
        let above = (frame.across.start + look.px(10.0), frame.down.start + look.px(6.0));
        let below = (frame.across.end - look.px(4.0) - width, frame.down.end - look.px(8.0) - height);
        let (left, top) = labels.clearest(&[above, below], (width, height));
        for (line, row) in lines.into_iter().zip(0..) {
            area.draw(&Text::new(line.to_owned(), (left, top + row * look.px(17.0)), style.clone()))?;
        }
        Ok(())
    }

    /// What has a name; the most important first, since a place that is taken is given to no other.
    fn named(&self, look: &ChartStyle, frame: &Frame) -> Vec<Named<'_>> {
        let (palette, at) = (look.palette, |p: &FrontierPoint| frame.pixel(p.kl_per_sequence, p.gold_reward));
        let named = |text, end, color, is_behind| Named { text, end, color, is_behind };
        let target = self
            .target
            .map(|(p, label)| named(label, frame.pixel(p.kl_per_sequence, p.gold_reward), palette.ink, false));
        let guess =
            self.guess.zip(self.guessed(frame)).map(|((_, label), center)| named(label, center, palette.ink, false));
        let trails = self.trails.iter().rev().filter_map(|trail| {
            let color = if trail.live { palette.method(trail.method) } else { palette.quiet };
            Some(named(trail.label.as_str(), at(trail.points.last()?), color, false))
        });
        let aims = self.aims.iter().filter_map(|aim| {
            Some(named(aim.label.as_str(), *aim.pixels(frame).last()?, palette.method(aim.method), true))
        });
        // Each kind of ghost once, beside the point of it that lies furthest to the right in the frame.
        let quiet = || self.ghosts.iter().chain(self.read_off).filter(|ghost| !ghost.label.is_empty());
        let mut kinds: Vec<&str> = quiet().map(|ghost| ghost.label.as_str()).collect();
        kinds.sort_unstable();
        kinds.dedup();
        let ghosts = kinds.into_iter().filter_map(|kind| {
            let points = quiet().filter(|ghost| ghost.label == kind).flat_map(|ghost| &ghost.points);
            let last = points
                .filter(|point| is_in(point, frame))
                .max_by(|a, b| a.kl_per_sequence.total_cmp(&b.kl_per_sequence))?;
            Some(named(kind, at(last), palette.quiet, true))
        });
        target.into_iter().chain(guess).chain(trails).chain(ghosts).chain(aims).collect()
    }

    fn draw_aims<DB: DrawingBackend>(
        &self,
        area: &DrawingArea<DB, Shift>,
        look: &ChartStyle,
        frame: &Frame,
    ) -> Result<(), ChartError> {
        for aim in self.aims {
            let (hue, pixels) = (look.palette.method(aim.method), aim.pixels(frame));
            let dashes = if pixels.len() > 1 { dashes(&pixels, f64::from(look.px(3.0))) } else { Vec::new() };
            for dash in dashes {
                area.draw(&PathElement::new(dash, look.line(hue, 1.0)))?;
            }
        }
        Ok(())
    }

    /// Where somebody thought that the optimum would be, if that lies in the frame.
    fn guessed(&self, frame: &Frame) -> Option<(i32, i32)> {
        let ((kl, reward), _) = self.guess.filter(|((kl, _), _)| frame.x.contains(kl))?;
        Some(frame.pixel(kl, reward))
    }

    /// A cross, with a line to the optimum that it was a guess of.
    fn draw_guess<DB: DrawingBackend>(
        &self,
        area: &DrawingArea<DB, Shift>,
        look: &ChartStyle,
        frame: &Frame,
    ) -> Result<(), ChartError> {
        let Some(center) = self.guessed(frame) else { return Ok(()) };
        if let Some((point, _)) = &self.target {
            let path = [center, frame.pixel(point.kl_per_sequence, point.gold_reward)];
            for dash in dashes(&path, f64::from(look.px(3.0))) {
                area.draw(&PathElement::new(dash, look.line(look.palette.quiet, 1.0)))?;
            }
        }
        draw_marker(Marker::Cross, area, center, look.px(6.0), look.line(look.palette.ink, 2.0))
    }

    fn draw_target<DB: DrawingBackend>(
        &self,
        area: &DrawingArea<DB, Shift>,
        look: &ChartStyle,
        frame: &Frame,
        labels: &mut Labels,
    ) -> Result<(), ChartError> {
        let Some((point, _)) = &self.target else { return Ok(()) };
        let center = frame.pixel(point.kl_per_sequence, point.gold_reward);
        draw_marker(Marker::Diamond, area, center, look.px(7.0), look.palette.paper.filled())?;
        labels.keep_clear(&[center], true, LIVE);
        draw_marker(Marker::Diamond, area, center, look.px(7.0), look.line(look.palette.ink, 2.0))
    }
}

impl Aim {
    /// The points inside the frame that enough samples carry, by rising KL.
    fn pixels(&self, frame: &Frame) -> Vec<(i32, i32)> {
        let is_seen = |point: &&OptimumPoint| {
            point.effective_sample_size >= USABLE_SAMPLES && frame.x.contains(&point.kl_per_sequence)
        };
        let mut points: Vec<&OptimumPoint> = self.points.iter().filter(is_seen).collect();
        points.sort_by(|a, b| a.kl_per_sequence.total_cmp(&b.kl_per_sequence));
        points.iter().map(|point| frame.pixel(point.kl_per_sequence, point.gold_reward)).collect()
    }
}
