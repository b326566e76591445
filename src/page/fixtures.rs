//! What the page's unit tests have in common.

use crate::engine::protocol::Point;
use crate::metrics::{FrontierPoint, Setting};

/// A point of a run at β 0.3.
pub fn point(run: u32, method: &str, step: u64) -> Point {
    let point = FrontierPoint {
        method: method.into(),
        setting: Setting::Number(0.3),
        seed: 1,
        step,
        kl_per_sequence: 1.0,
        kl_half_width: 0.1,
        gold_reward: 0.6,
        gold_reward_half_width: 0.01,
        samples: 512,
        seconds: 1.0,
        diversity: None,
    };
    Point { run, point }
}
