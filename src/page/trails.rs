//! Points as runs: which belong together, and what each is called.

use std::collections::BTreeMap;

use super::format;
use super::recorded::method_name;
use crate::charts::Trail;
use crate::engine::protocol::{Point, Stage};
use crate::metrics::Setting;

/// The points as trails: one per run and method, each method's newest run alive. Models that are no run of training, such
/// as the reference, stand once, as measured last.
pub fn trails(points: &[Point]) -> Vec<Trail> {
    let mut trails: BTreeMap<(u32, &str), Trail> = BTreeMap::new();
    let mut newest: BTreeMap<&str, u32> = BTreeMap::new();
    for Point { run, point } in points {
        let newest = newest.entry(&point.method).or_default();
        *newest = (*newest).max(*run);
    }
    for point in points {
        let standing = is_standing(&point.point.method);
        let run = if standing { 0 } else { point.run };
        let trail = trails.entry((run, &point.point.method)).or_insert_with(|| Trail {
            label: String::new(),
            method: point.point.method.clone(),
            live: standing || newest.get(point.point.method.as_str()) == Some(&run),
            points: Vec::new(),
        });
        if standing {
            trail.points.clear();
        }
        trail.label = run_name(point);
        trail.points.push(point.point.clone());
    }
    trails.into_values().collect()
}

/// Whether a method is no run of training.
pub fn is_standing(method: &str) -> bool {
    matches!(method, "sft" | "base")
}

/// What a run is called beside its trail.
pub fn run_name(point: &Point) -> String {
    let name = match point.point.method.as_str() {
        "dpo" => Stage::Dpo.name(),
        "ppo" => Stage::Ppo.name(),
        "ppo-gt" => Stage::PpoGt.name(),
        standing @ ("sft" | "base" | "preferred_ft") => return method_name(standing).to_owned(),
        other => method_name(other),
    };
    match &point.point.setting {
        Setting::Number(n) if point.point.method.starts_with("best_of_n") => format!("{name}, N {n}"),
        Setting::Number(alpha) if point.point.method == "unlikelihood" => format!("{name}, α {}", format::beta(*alpha)),
        Setting::Number(beta) => format!("{name}, β {}", format::beta(*beta)),
        Setting::Label(label) => format!("{name}, {label}"),
    }
}

/// A method's setting as people read it.
pub fn setting(setting: &Setting) -> String {
    match setting {
        Setting::Number(value) => format::beta(*value),
        Setting::Label(label) => label.clone(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metrics::FrontierPoint;

    fn point(run: u32, method: &str, step: u64) -> Point {
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

    #[test]
    fn only_the_newest_run_is_alive_and_the_reference_stands_once() {
        let measured = [(1, "sft", 0), (1, "dpo", 10), (1, "dpo", 20), (2, "sft", 0), (2, "dpo", 10)];
        let points = measured.map(|(run, method, step)| point(run, method, step));
        let trails = trails(&points);
        let seen: Vec<(&str, bool, usize)> =
            trails.iter().map(|trail| (trail.label.as_str(), trail.live, trail.points.len())).collect();
        assert_eq!(seen, [("SFT", true, 1), ("DPO, β 0.30", false, 2), ("DPO, β 0.30", true, 1)]);
    }

    #[test]
    fn a_new_run_of_one_method_leaves_the_others_alive() {
        let points = [(1, "dpo"), (1, "ppo-gt"), (2, "ppo-gt")].map(|(run, method)| point(run, method, 10));
        let trails = trails(&points);
        let seen: Vec<(&str, bool)> = trails.iter().map(|trail| (trail.label.as_str(), trail.live)).collect();
        assert_eq!(seen, [("DPO, β 0.30", true), ("PPO-GT, β 0.30", false), ("PPO-GT, β 0.30", true)]);
    }
}
