//! One shape per method: colour alone never tells them apart.

use plotters::coord::Shift;
use plotters::prelude::*;

use super::ChartError;

/// The shape of a point.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Marker {
    /// The base model.
    Cross,
    /// SFT.
    Square,
    /// DPO.
    Circle,
    /// The closed-form optimum.
    Diamond,
    /// PPO.
    Triangle,
    /// PPO with the gold reward.
    TriangleDown,
    /// Preferred-FT.
    Bowtie,
    /// Unlikelihood.
    Star,
    /// Best-of-N, and any other method.
    Plus,
}

impl Marker {
    /// The shape of a method, by its name in [`klimb_metrics::FrontierPoint`].
    pub fn of(method: &str) -> Self {
        match method {
            "base" => Self::Cross,
            "sft" => Self::Square,
            "dpo" => Self::Circle,
            "ppo" => Self::Triangle,
            "ppo-gt" => Self::TriangleDown,
            "preferred_ft" => Self::Bowtie,
            "unlikelihood" => Self::Star,
            _ => Self::Plus,
        }
    }

    /// Draws it around `center` with `radius` in pixels.
    pub(super) fn draw<DB: DrawingBackend>(
        self,
        area: &DrawingArea<DB, Shift>,
        (x, y): (i32, i32),
        radius: i32,
        style: ShapeStyle,
    ) -> Result<(), ChartError> {
        let r = radius;
        match self {
            Self::Circle => area.draw(&Circle::new((x, y), r, style))?,
            Self::Square => area.draw(&Rectangle::new([(x - r, y - r), (x + r, y + r)], style))?,
            Self::Cross => {
                area.draw(&PathElement::new(vec![(x - r, y - r), (x + r, y + r)], style))?;
                area.draw(&PathElement::new(vec![(x - r, y + r), (x + r, y - r)], style))?;
            }
            Self::Diamond => outline(area, vec![(x, y - r), (x + r, y), (x, y + r), (x - r, y)], style)?,
            Self::Plus => {
                area.draw(&PathElement::new(vec![(x - r, y), (x + r, y)], style))?;
                area.draw(&PathElement::new(vec![(x, y - r), (x, y + r)], style))?;
            }
            Self::Star => {
                let half = (r as f64 * 0.7).round() as i32;
                for (dx, dy) in [(r, 0), (0, r), (half, half), (half, -half)] {
                    area.draw(&PathElement::new(vec![(x - dx, y - dy), (x + dx, y + dy)], style))?;
                }
            }
            Self::Bowtie => outline(area, vec![(x - r, y - r), (x + r, y + r), (x + r, y - r), (x - r, y + r)], style)?,
            Self::TriangleDown => outline(area, vec![(x, y + r), (x + r, y - r), (x - r, y - r)], style)?,
            Self::Triangle => outline(area, vec![(x, y - r), (x + r, y + r), (x - r, y + r)], style)?,
        }
        Ok(())
    }
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
