//! What the page's unit tests have in common.

use crate::engine::protocol::{Kept, Point, Stage};
use crate::engine::settings::Settings;
use crate::metrics::{FrontierPoint, Setting};

/// What an engine tells to be kept, without a model.
pub fn kept(settings: Settings, focus: Stage) -> Kept {
    Kept {
        settings,
        focus,
        base: Vec::new(),
        sft: Vec::new(),
        optimum: Vec::new(),
        preferences: Vec::new(),
        policies: Vec::new(),
        reward_model: None,
        moments: Vec::new(),
    }
}

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
