//! Charts: the reward-versus-KL frontier, curves over steps and lines over anything, drawn by plotters on anything it can draw on.
//!
//! Invariant: a chart sees metrics, never a trainer or a browser; the same code draws SVG in tests and the canvas of
//! the page. A chart holds no state: it is given everything and answers with its [`Frame`], which says where a value
//! lies.
//!
//! [`recorded`] reads what was measured once and ships with the page as files.
//!
//! ```
//! use klimb_charts::{Line, LineChart, LinePoint, ChartStyle, line_svg};
//! use klimb_metrics::Method;
//!
//! let points = [(1.0, 0.6, 0.05), (2.0, 0.8, 0.04)].map(|(x, y, half_width)| LinePoint { x, y, half_width });
//! let line = Line { label: "DPO".into(), style: Method::Dpo.into(), points: points.to_vec(), pale: false };
//! let chart = LineChart {
//!     x_name: "KL, nats",
//!     y_name: "gold reward",
//!     lines: &[line],
//!     level: None,
//!     x_at_least: (0.0, 3.0),
//!     y_at_least: (0.0, 1.0),
//! };
//! let svg = line_svg(&chart, &ChartStyle::default(), (400, 300))?;
//! assert!(svg.contains("gold reward"));
//! # Ok::<(), klimb_charts::ChartError>(())
//! ```

#![warn(missing_docs)]
#![cfg_attr(not(test), warn(clippy::wildcard_enum_match_arm))]

#[macro_use]
extern crate klimb_text;

mod chart_style;
mod curve;
mod dashes;
mod frame;
mod frontier;
mod labels;
mod lines;
mod marker;
pub mod recorded;
mod svg;
mod trail;

pub use chart_style::{ChartStyle, Palette};
pub use curve::{Curve, CurveChart, newest_at};
pub use frame::Frame;
pub use frontier::{Aim, FrontierChart};
pub use lines::{Line, LineChart, LinePoint};
pub use svg::{curve_svg, frontier_svg, line_svg};
pub use trail::Trail;

use klimb_text::Message;
use plotters::drawing::DrawingAreaErrorKind;
use thiserror::Error;

/// Why a chart could not be drawn.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum ChartError {
    /// A value that has no place on an axis: training broke down, or a file was edited.
    NotFinite {
        /// The series as the person knows it.
        series: String,
        /// Which of its values, from 0.
        index: usize,
    },
    /// No room for the axes.
    TooSmall {
        /// Pixels across.
        width: u32,
        /// Pixels down.
        height: u32,
    },
    /// The surface refused.
    Surface(Message),
}

impl ChartError {
    /// What is wrong, as a clause.
    pub fn message(&self) -> Message {
        match self {
            Self::NotFinite { series, index } => message!(
                "{}: value {} is not a finite number, so it cannot be drawn",
                Message::named(series.clone()),
                index
            ),
            Self::TooSmall { width, height } => {
                message!("a chart of {} × {} pixels has no room for its axes", width, height)
            }
            Self::Surface(it) => message!("the drawing surface refused: {}", it),
        }
    }
}

display_message!(ChartError);

impl<E: std::error::Error + Send + Sync> From<DrawingAreaErrorKind<E>> for ChartError {
    fn from(error: DrawingAreaErrorKind<E>) -> Self {
        // What the surface says, without the names of the layers that it came through.
        let told = error.to_string();
        let told = told.strip_prefix("backend error: ").unwrap_or(&told);
        let cause = told.strip_prefix("Drawing backend error: ").unwrap_or(told);
        Self::Surface(Message::named(cause.to_owned()))
    }
}
