//! Drawing the markers of points: colour alone never tells methods apart.

use plotters::coord::Shift;
use plotters::prelude::*;

use klimb_metrics::Marker;

use super::ChartError;

/// Draws a marker around `center` with `radius` in pixels.
pub(super) fn draw_marker<DB: DrawingBackend>(
    marker: Marker,
    area: &DrawingArea<DB, Shift>,
    (x, y): (i32, i32),
    radius: i32,
    style: ShapeStyle,
) -> Result<(), ChartError> {
    let r = radius;
    match marker {
        Marker::Circle => area.draw(&Circle::new((x, y), r, style))?,
        Marker::Square => area.draw(&Rectangle::new([(x - r, y - r), (x + r, y + r)], style))?,
        Marker::Cross => {
            area.draw(&PathElement::new(vec![(x - r, y - r), (x + r, y + r)], style))?;
            area.draw(&PathElement::new(vec![(x - r, y + r), (x + r, y - r)], style))?;
        }
        Marker::Diamond => outline(area, vec![(x, y - r), (x + r, y), (x, y + r), (x - r, y)], style)?,
        Marker::Plus => {
            area.draw(&PathElement::new(vec![(x - r, y), (x + r, y)], style))?;
            area.draw(&PathElement::new(vec![(x, y - r), (x, y + r)], style))?;
        }
        Marker::Star => {
            let half = (r as f64 * 0.7).round() as i32;
            for (dx, dy) in [(r, 0), (0, r), (half, half), (half, -half)] {
                area.draw(&PathElement::new(vec![(x - dx, y - dy), (x + dx, y + dy)], style))?;
            }
        }
        Marker::Bowtie => outline(area, vec![(x - r, y - r), (x + r, y + r), (x + r, y - r), (x - r, y + r)], style)?,
        Marker::TriangleDown => outline(area, vec![(x, y + r), (x + r, y - r), (x - r, y - r)], style)?,
        Marker::Triangle => outline(area, vec![(x, y - r), (x + r, y + r), (x - r, y + r)], style)?,
    }
    Ok(())
}

/// A closed shape, filled or not.
fn outline<DB: DrawingBackend>(
    area: &DrawingArea<DB, Shift>,
    mut corners: Vec<(i32, i32)>,
    style: ShapeStyle,
) -> Result<(), ChartError> {
    if style.filled {
        area.draw(&Polygon::new(corners, style))?;
    } else {
        corners.push(corners[0]);
        area.draw(&PathElement::new(corners, style))?;
    }
    Ok(())
}
