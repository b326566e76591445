//! The points of one run in the frontier: a run on this page, a recorded one, or the curve of another figure.

use plotters::coord::Shift;
use plotters::prelude::*;

use super::dashes::dashes;
use super::labels::{LIVE, Labels, PALE};
use super::marker::draw_marker;
use super::{ChartError, ChartStyle, Frame};
use klimb_metrics::{FrontierPoint, Method};

/// The checkpoints of one run, in the order of training.
#[derive(Debug, Clone, PartialEq)]
pub struct Trail {
    /// What stands beside its end: what differed ("DPO, β 0.30").
    pub label: String,
    /// Decides hue and marker.
    pub method: Method,
    /// Whether it grows now: drawn in full colour, with error bars on its last point.
    pub live: bool,
    /// Its points.
    pub points: Vec<FrontierPoint>,
}

/// A run on this page: its points, its newest one with intervals, and which of them is selected.
pub fn draw_trail<DB: DrawingBackend>(
    trail: &Trail,
    selected: Option<usize>,
    area: &DrawingArea<DB, Shift>,
    look: &ChartStyle,
    frame: &Frame,
    labels: &mut Labels,
) -> Result<(), ChartError> {
    let hue = look.palette.method(trail.method);
    let color = if trail.live { hue.mix(1.0) } else { hue.mix(0.45) };
    let marker = trail.method.info().marker;
    let pixels: Vec<(i32, i32)> = trail.points.iter().map(|p| frame.pixel(p.kl_per_sequence, p.gold_reward)).collect();
    labels.keep_clear(&pixels, true, LIVE);
    if pixels.len() > 1 {
        area.draw(&PathElement::new(pixels.clone(), look.line(color, 1.0)))?;
    }
    if let (true, Some(last)) = (trail.live, trail.points.last()) {
        draw_error_bars(last, area, look.line(color, 1.0), frame)?;
    }
    for (index, pixel) in pixels.iter().enumerate() {
        let last = index + 1 == pixels.len();
        let radius = look.px(if last && trail.live { 6.0 } else { 3.5 });
        draw_marker(marker, area, *pixel, radius, color.filled())?;
        if selected == Some(index) {
            draw_marker(marker, area, *pixel, radius + look.px(4.0), look.line(look.palette.ink, 1.5))?;
        }
    }
    Ok(())
}

/// Whether a point has a place in the frame.
pub fn is_in(point: &FrontierPoint, frame: &Frame) -> bool {
    frame.x.contains(&point.kl_per_sequence) && frame.y.contains(&point.gold_reward)
}

/// A recorded run, as far as it lies in the frame: thin and pale, small markers.
pub fn draw_ghost<DB: DrawingBackend>(
    ghost: &Trail,
    area: &DrawingArea<DB, Shift>,
    look: &ChartStyle,
    frame: &Frame,
    labels: &mut Labels,
) -> Result<(), ChartError> {
    let hue = look.palette.method(ghost.method);
    for stretch in ghost.points.chunk_by(|a, b| is_in(a, frame) == is_in(b, frame)) {
        if !is_in(&stretch[0], frame) {
            continue;
        }
        let pixels: Vec<(i32, i32)> = stretch.iter().map(|p| frame.pixel(p.kl_per_sequence, p.gold_reward)).collect();
        labels.keep_clear(&pixels, true, PALE);
        if pixels.len() > 1 {
            area.draw(&PathElement::new(pixels.clone(), look.line(hue.mix(0.16), 1.0)))?;
        }
        for pixel in pixels {
            draw_marker(ghost.method.info().marker, area, pixel, look.px(2.5), hue.mix(0.3).filled())?;
        }
    }
    Ok(())
}

/// A curve of another figure, up to the frame's right edge.
pub fn draw_read_off<DB: DrawingBackend>(
    curve: &Trail,
    area: &DrawingArea<DB, Shift>,
    look: &ChartStyle,
    frame: &Frame,
) -> Result<(), ChartError> {
    let at = |p: &FrontierPoint| (p.kl_per_sequence, p.gold_reward);
    let mut path: Vec<(f64, f64)> = curve.points.iter().filter(|point| is_in(point, frame)).map(at).collect();
    let leaves = |ends: &&[FrontierPoint]| is_in(&ends[0], frame) && ends[1].kl_per_sequence > frame.x.end;
    if let Some(ends) = curve.points.windows(2).find(leaves) {
        let ((x0, y0), (x1, y1)) = (at(&ends[0]), at(&ends[1]));
        path.push((frame.x.end, y0 + (frame.x.end - x0) / (x1 - x0) * (y1 - y0)));
    }
    let pixels: Vec<(i32, i32)> = path.into_iter().map(|(kl, reward)| frame.pixel(kl, reward)).collect();
    for dash in dashes(&pixels, f64::from(look.px(6.0))) {
        area.draw(&PathElement::new(dash, look.line(look.palette.method(curve.method).mix(0.7), 1.0)))?;
    }
    Ok(())
}

/// 95 % intervals of KL and reward.
fn draw_error_bars<DB: DrawingBackend>(
    p: &FrontierPoint,
    area: &DrawingArea<DB, Shift>,
    style: ShapeStyle,
    frame: &Frame,
) -> Result<(), ChartError> {
    let (kl, reward) = (p.kl_per_sequence, p.gold_reward);
    let across = [kl - p.kl_half_width, kl + p.kl_half_width].map(|kl| frame.pixel(kl, reward));
    let up = [reward - p.gold_reward_half_width, reward + p.gold_reward_half_width].map(|r| frame.pixel(kl, r));
    area.draw(&PathElement::new(across.to_vec(), style))?;
    area.draw(&PathElement::new(up.to_vec(), style))?;
    Ok(())
}
