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

#[cfg(test)]
mod tests {
    use super::*;
    use klimb_metrics::{Method, WinRate};

    #[test]
    fn another_engine_takes_what_was_measured_and_leaves_the_tab_open() {
        let result = WinRate {
            win_rate: 0.5,
            win_rate_half_width: 0.1,
            gold_reward: 0.6,
            gold_reward_half_width: 0.1,
            ended: 1.0,
            instances: 10,
        };
        let point = ScalingPoint { method: Method::Sft, width: 32, layers: 2, parameters: 1, seed: 1, result };
        let mut studies = Studies { open: Study::Scaling, scaling: vec![point], ..Studies::default() };
        studies.engine_is_there();
        assert!(studies.scaling.is_empty() && studies.open == Study::Scaling);
    }
}
