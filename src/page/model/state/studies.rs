//! The experiments beside the frontier: which of them is open, and what this page's own models came to in them.

use crate::page::model::study::Study;
use klimb_metrics::{ScalingPoint, WinRatePoint};

/// The experiments beside the frontier.
#[derive(Debug, Clone, Default)]
pub struct Studies {
    /// The one that is open: by its tab, or by a stop of the tour.
    pub open: Study,
    /// Win rates of this page's own models.
    pub win_rates: Vec<WinRatePoint>,
    /// Win rates of models of several sizes, trained here.
    pub scaling: Vec<ScalingPoint>,
}

impl Studies {
    /// Another engine is there: what was measured of the one before says nothing of its models.
    pub(super) fn engine_is_there(&mut self) {
        self.win_rates.clear();
        self.scaling.clear();
    }
}
