//! What the charts over the steps show of the stage in focus, and what can be read off them at a step.

pub mod options;
mod reading;
mod stages;
mod table;

pub use reading::{beside, nearest, reading, steps};
pub use table::{Table, table};

use super::format;
use super::state::State;
use crate::engine::protocol::{Stage, StageKind};
use klimb_charts::{Curve, CurveChart};
use klimb_metrics::{LearnsFrom, Method, MetricRow, definition};
use klimb_numerics::stats::smoothed;
use klimb_text::words::say;
use stages::{also, of_pairs, of_reward_model, of_rollouts, of_sft};

/// What the fourth chart shows until another metric is chosen, and where the chosen one is not reported.
pub const GRADIENT_NORM: &str = "optimiser/gradient_norm";
/// What the charts are called in the ids of `index.html` and in file names.
pub const IDS: [&str; 4] = ["loss", "kl", "reward", "also"];
/// Rows at either end among which a stage's metrics are looked for; not every row has every number.
const ENDS: usize = 128;

/// What one chart shows, and the caption under it.
#[derive(Debug, Clone)]
pub struct CurveCharts {
    /// What it is called in the ids of `index.html` and in file names.
    pub id: &'static str,
    /// Name and unit of the values.
    pub name: String,
    /// The series.
    pub curves: Vec<Curve>,
    /// How to read it.
    pub caption: String,
    level: Option<(f64, &'static str)>,
    gap: bool,
    at_least: (f64, f64),
    logarithmic: bool,
    until: f64,
}

impl CurveCharts {
    /// The chart, with the β changes and the step that is pointed at.
    pub fn chart<'a>(&'a self, changes: &'a [(f64, String)], at: Option<u64>) -> CurveChart<'a> {
        let Self { name, curves, level, gap, at_least, logarithmic, until, .. } = self;
        CurveChart {
            name,
            curves,
            level: *level,
            changes,
            gap: *gap,
            at_least: *at_least,
            logarithmic: *logarithmic,
            until: *until,
            cross: at.map(|step| step as f64),
            empty: self.too_few(),
        }
    }

    /// What is said in place of a curve.
    fn too_few(&self) -> &'static str {
        let points = self.curves.iter().map(|curve| curve.points.len()).max();
        match (points, self.curves.iter().any(|curve| curve.marked) || matches!(self.id, "kl" | "reward")) {
            (Some(1), true) => say("One evaluation so far; a line needs two"),
            (Some(1), false) => say("One step so far; a line needs two"),
            (_, true) => say("No evaluation yet"),
            _ => say("No step yet: press Play"),
        }
    }
}

/// Steps at which β was changed while the stage in focus was training.
pub fn changes(state: &State) -> Vec<(f64, String)> {
    let changes = state.records.beta_changes.get(&state.training.focused).map_or(&[][..], Vec::as_slice);
    changes.iter().map(|(step, beta)| (*step as f64, format!("β {}", format::beta(*beta)))).collect()
}

/// The four charts of the stage in focus.
pub fn charted(state: &State) -> [CurveCharts; 4] {
    let stage = state.training.focused;
    let [loss, second, third] = match stage.kind() {
        StageKind::RewardModel => of_reward_model(state),
        StageKind::Policy(method) => match method.info().learns_from {
            LearnsFrom::Rollouts => of_rollouts(state, stage),
            LearnsFrom::Pairs | LearnsFrom::Texts | LearnsFrom::Nothing => of_pairs(state, method),
        },
        StageKind::Sft if state.records.metrics.contains_key(&stage) => of_sft(state),
        // What is trained next is DPO.
        StageKind::Base | StageKind::Sft | StageKind::Pairs | StageKind::BestOfN => of_pairs(state, Method::Dpo),
    };
    let mut all = [loss, second, third, also(state)];
    let last = rows(state, stage).last().map_or(0.0, |row| row.step as f64);
    for chart in &mut all {
        chart.until = last;
        chart.logarithmic &= state.curves.logarithmic;
        // An evaluation is a mean over hundreds of samples already.
        for curve in chart.curves.iter_mut().filter(|curve| !curve.marked && state.curves.smoothing > 0.0) {
            let values: Vec<f64> = curve.points.iter().map(|(_, value)| *value).collect();
            curve.behind = curve.points.clone();
            for ((_, value), smooth) in curve.points.iter_mut().zip(smoothed(&values, state.curves.smoothing)) {
                *value = smooth;
            }
        }
        if chart.logarithmic && chart.curves.iter().any(|curve| curve.exact().iter().any(|(_, value)| *value <= 0.0)) {
            chart.caption += say(" Values of 0 and below have no place on a log scale.");
        }
    }
    all
}

/// The metrics that the stage in focus reports, with what people call them, by that.
pub fn metrics(state: &State) -> Vec<(&'static str, &'static str)> {
    let rows = rows(state, state.training.focused);
    let ends = rows.iter().take(ENDS).chain(rows.iter().rev().take(ENDS));
    let mut names: Vec<&str> = ends.flat_map(|row| row.values.keys()).map(String::as_str).collect();
    names.sort_unstable();
    names.dedup();
    let known = names.into_iter().chain([GRADIENT_NORM]).filter_map(definition);
    let mut metrics: Vec<(&str, &str)> = known.map(|it| (it.name, say(it.label))).collect();
    metrics.sort_by_key(|(_, label)| *label);
    metrics.dedup();
    metrics
}

/// The metric of the fourth chart.
pub fn also_shown(state: &State) -> &'static str {
    let chosen = state.curves.also.as_deref();
    let found = metrics(state).into_iter().find(|(name, _)| Some(*name) == chosen);
    found.map_or(GRADIENT_NORM, |(name, _)| name)
}

fn rows(state: &State, stage: Stage) -> &[MetricRow] {
    state.records.metrics.get(&stage).map_or(&[], Vec::as_slice)
}

#[cfg(test)]
mod tests {
    use super::stages::evaluated;
    use super::*;
    use crate::engine::protocol::{Event, SweepRun};
    use crate::engine::settings::Settings;
    use crate::page::model::fixtures::point;

    pub fn state(rows: &[(u64, &[(&str, f64)])], stage: Stage) -> State {
        let mut state = State::new(Settings::default());
        state.training.focused = stage;
        let rows = rows.iter().map(|(step, values)| MetricRow::new(*step, values)).collect();
        state.apply(Event::Metrics(stage, rows));
        state
    }

    pub const DPO: [(u64, &[(&str, f64)]); 3] = [
        (1, &[("dpo/loss", 0.7), ("optimiser/gradient_norm", 2.0)]),
        (2, &[("dpo/loss", 0.5), ("optimiser/gradient_norm", 1.0), ("rewards/margins", 0.1)]),
        (3, &[("dpo/loss", 0.6), ("optimiser/gradient_norm", 0.5)]),
    ];

    #[test]
    fn a_reading_has_the_exact_values_at_its_step() {
        let mut state = state(&DPO, Stage::Dpo);
        let charts = charted(&state);
        assert_eq!(reading(&charts, Some(2)), "Step 2 · loss, nats: 0.5000 · gradient norm: 1.000");
        assert_eq!(reading(&charts, None), "Newest: step 3 · loss, nats: 0.6000 · gradient norm: 0.5000");
        state.curves.smoothing = 0.5;
        let smooth = reading(&charted(&state), Some(2));
        assert!(smooth.starts_with("Step 2 · loss, nats: 0.5000 (smoothed 0.5667) ·"), "{smooth}");
        let empty = State::new(Settings::default());
        assert_eq!(reading(&charted(&empty), None), "No step yet. Press Play.");
        assert_eq!(charted(&empty)[0].too_few(), "No step yet: press Play");
        assert_eq!(charted(&empty)[1].too_few(), "No evaluation yet");
    }

    #[test]
    fn a_value_of_an_earlier_step_says_so() {
        let rows: [(u64, &[(&str, f64)]); 2] =
            [(1, &[("objective/kl", 1.5), ("objective/k1", 1.25)]), (2, &[("optimiser/gradient_norm", 3.0)])];
        let charts = charted(&state(&rows, Stage::Ppo));
        let expected = "Step 2 · KL, nats: exact 1.500 (at step 1); k1 1.250 (at step 1) · gradient norm: 3.000";
        assert_eq!(reading(&charts, Some(2)), expected);
    }

    #[test]
    fn in_a_sweep_all_curves_are_of_the_run_that_the_engine_makes_itself() {
        let mut state = state(&DPO, Stage::Dpo);
        [(1, 10), (2, 20)].into_iter().for_each(|(run, step)| state.apply(Event::Point(point(run, "dpo", step))));
        let steps = |state: &State| -> Vec<f64> {
            evaluated(state, |point| point.gold_reward)
                .iter()
                .flat_map(|it| &it.points)
                .map(|(step, _)| *step)
                .collect()
        };
        assert_eq!(steps(&state), [20.0], "the newest");
        let begun = |run, is_elsewhere| SweepRun {
            stage: Stage::Dpo,
            beta: 0.3,
            run,
            number: run as usize,
            of: 2,
            is_elsewhere,
        };
        [begun(1, false), begun(2, true)].into_iter().for_each(|run| state.apply(Event::Sweep(Some(run))));
        assert_eq!(steps(&state), [10.0], "a sweep worker's is not beside the engine's loss");
        state.apply(Event::Sweep(None));
        assert_eq!(steps(&state), [20.0]);
    }

    #[test]
    fn the_fourth_chart_shows_what_is_chosen_where_it_is_reported() {
        let mut state = state(&DPO, Stage::Dpo);
        let names: Vec<&str> = metrics(&state).into_iter().map(|(name, _)| name).collect();
        assert!(names.contains(&"rewards/margins") && names.contains(&GRADIENT_NORM), "{names:?}");
        state.curves.also = Some("rewards/margins".into());
        assert_eq!(charted(&state)[3].curves[0].points, [(2.0, 0.1)]);
        assert!(charted(&state)[3].caption.ends_with('.'));
        state.training.focused = Stage::Ppo;
        assert_eq!(also_shown(&state), GRADIENT_NORM, "PPO has no margins");
    }

    #[test]
    fn the_log_scale_is_for_losses_and_gradient_norms() {
        let mut state = state(&DPO, Stage::Dpo);
        let logarithmic = |state: &State| charted(state).map(|chart| chart.chart(&[], None).logarithmic);
        assert_eq!(logarithmic(&state), [false; 4]);
        state.curves.logarithmic = true;
        assert_eq!(logarithmic(&state), [true, false, false, true]);
        state.training.focused = Stage::Ppo;
        assert_eq!(logarithmic(&state), [false, false, false, true], "a score may be negative");
    }

    #[test]
    fn steps_are_walked_in_order_and_found_by_place() {
        let steps = [1, 2, 10];
        assert_eq!([0.0, 1.6, 5.0, 99.0].map(|place| nearest(&steps, place)), [1, 2, 2, 10].map(Some));
        assert_eq!((beside(&steps, None, -1), beside(&steps, Some(10), -1)), (Some(10), Some(2)));
        assert_eq!((beside(&steps, Some(1), -1), beside(&steps, Some(10), 1)), (Some(1), Some(10)));
        assert_eq!((beside(&steps, None, isize::MIN), beside(&steps, Some(2), isize::MIN)), (Some(1), Some(1)));
        assert_eq!((beside(&[], None, 1), nearest(&[], 0.0)), (None, None));
    }
}
