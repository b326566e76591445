//! What the charts over the steps show of the stage in focus, and what can be read off them at a step.

pub mod options;
mod table;

pub use table::{Table, table};

use super::runs::RunId;
use super::state::State;
use super::{format, runs};
use crate::engine::protocol::{Stage, StageKind};
use klimb_charts::{Curve, CurveChart, Trail, newest_at};
use klimb_metrics::{
    FrontierPoint, LearnsFrom, MarginLoss, Method, MetricRow, PairLoss, Series, SeriesStyle, definition,
};
use klimb_numerics::stats::smoothed;
use klimb_text::words::{key, say};

/// What the fourth chart shows until another metric is chosen, and where the chosen one is not reported.
pub const GRADIENT_NORM: &str = "optimiser/gradient_norm";
/// What the charts are called in the ids of `index.html` and in file names.
pub const IDS: [&str; 4] = ["loss", "kl", "reward", "also"];
/// Rows at either end among which a stage's metrics are looked for; not every row has every number.
const ENDS: usize = 128;
const LN_2: Option<(f64, &str)> = Some((std::f64::consts::LN_2, "ln 2"));

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

/// Every step at which some chart has a value, in order.
pub fn steps(charts: &[CurveCharts]) -> Vec<u64> {
    let points = charts.iter().flat_map(|chart| &chart.curves).flat_map(|curve| &curve.points);
    let mut steps: Vec<u64> = points.map(|(step, _)| *step as u64).collect();
    steps.sort_unstable();
    steps.dedup();
    steps
}

/// The step that has values nearest to a place across.
pub fn nearest(steps: &[u64], place: f64) -> Option<u64> {
    let distance = |step: &u64| (*step as f64 - place).abs();
    steps.iter().copied().min_by(|a, b| distance(a).total_cmp(&distance(b)))
}

/// The step `by` places further on in the list; from none, the last, or where `by` is all the way back the first.
pub fn beside(steps: &[u64], at: Option<u64>, by: isize) -> Option<u64> {
    let last = steps.len().checked_sub(1)?;
    let index = match at {
        None if by == isize::MIN => 0,
        None => last,
        Some(at) => steps.partition_point(|step| *step < at).saturating_add_signed(by).min(last),
    };
    Some(steps[index])
}

/// The exact values at a step, or at the newest one, in a line.
pub fn reading(charts: &[CurveCharts], at: Option<u64>) -> String {
    let Some(step) = at.or_else(|| steps(charts).last().copied()) else {
        return say("No step yet. Press Play.").into();
    };
    let of_chart = |chart: &CurveCharts| {
        let values: Vec<String> = chart.curves.iter().filter_map(|curve| of_curve(chart, curve, step)).collect();
        (!values.is_empty()).then(|| format!("{}: {}", chart.name, values.join("; ")))
    };
    let parts: Vec<String> = charts.iter().filter_map(of_chart).collect();
    let parts = parts.join(" · ");
    if at.is_some() { say!("Step {} · {}", step, parts) } else { say!("Newest: step {} · {}", step, parts) }
}

fn of_curve(chart: &CurveCharts, curve: &Curve, step: u64) -> Option<String> {
    let (at, value) = newest_at(curve.exact(), step as f64)?;
    let label = if chart.curves.len() > 1 { format!("{} ", curve.label) } else { String::new() };
    let mut asides = Vec::new();
    if at as u64 != step {
        asides.push(say!("at step {}", at));
    }
    if let Some((_, smooth)) = newest_at(&curve.points, step as f64).filter(|_| !curve.behind.is_empty()) {
        asides.push(say!("smoothed {}", format::significant(smooth)));
    }
    let aside = if asides.is_empty() { String::new() } else { format!(" ({})", asides.join(", ")) };
    Some(format!("{label}{}{aside}", format::significant(value)))
}

/// The loss with the line that a coin toss has, then KL and gold reward.
fn of_sft(state: &State) -> [CurveCharts; 3] {
    let (at_least, caption) = loss_of(Method::Dpo);
    let loss = series(state, Stage::Sft, "sft/loss", "SFT", 0.0);
    [of_loss(say("loss, nats"), loss, LN_2, at_least, caption), kl(state), reward(state)]
}

/// Of a method that learns from pairs: its loss, then KL and gold reward.
fn of_pairs(state: &State, method: Method) -> [CurveCharts; 3] {
    let (at_least, caption) = loss_of(method);
    let metric = method.info().loss.unwrap_or_default();
    let stage = Stage::of(method).unwrap_or(state.training.focused);
    let loss = series(state, stage, metric, method.label(), 0.0);
    // Other losses begin elsewhere.
    let is_log_sigmoid = method.info().pair_loss == Some(PairLoss::Margin(MarginLoss::LogSigmoid));
    let coin = if is_log_sigmoid { LN_2 } else { None };
    [of_loss(say("loss, nats"), loss, coin, at_least, caption), kl(state), reward(state)]
}

/// The range that the loss of a method on pairs shows at least, and what is said under it.
const LOSSES: [(Method, (f64, f64), &str); 3] = [
    (Method::Dpo, (0.4, 0.8), key("Loss, in nats. DPO begins at ln 2, a coin toss; the loss is not a quality.")),
    (
        Method::Unlikelihood,
        (15.0, 25.0),
        key("Loss, nats a pair. It has no end: there is no leash, and the rejected may fall for ever."),
    ),
    (Method::PreferredFt, (0.5, 1.5), key("Loss on the chosen, nats a token.")),
];

/// The same for any method: of one that has no words of its own, what its metric is defined as.
fn loss_of(method: Method) -> ((f64, f64), &'static str) {
    let own = LOSSES.iter().find(|(its, ..)| *its == method);
    own.map_or_else(
        || ((0.4, 0.8), method.info().loss.and_then(definition).map_or("", |it| say(it.definition))),
        |(_, at_least, caption)| (*at_least, say(caption)),
    )
}

fn kl(state: &State) -> CurveCharts {
    let caption = say("KL to the reference, in nats a completion, at every evaluation. Flat is a leash that holds.");
    plain("kl", say("KL, nats"), evaluated(state, |point| point.kl_per_sequence), (0.0, 2.0), caption)
}

fn of_reward_model(state: &State) -> [CurveCharts; 3] {
    let of = |name, label, dash| series(state, Stage::RewardModel, name, label, dash);
    let caption = say("Loss on the pairs it learns from, in nats. It begins near ln 2, a coin’s.");
    let loss = of_loss(say("loss, nats"), of("reward_model/loss", say("loss"), 0.0), LN_2, (0.4, 0.8), caption);
    let caption = say("Held-out pairs in order: by their labels, some of which are noise, and by the gold reward.");
    let curves =
        vec![of("reward_model/gold_accuracy", say("gold"), 0.0), of("reward_model/accuracy", say("labels"), 4.0)];
    let level = Some((0.5, say("a coin")));
    let accuracy = CurveCharts { level, ..plain("kl", say("in order"), curves, (0.4, 1.0), caption) };
    let caption =
        say("Calibration error: how far its confidence is from how often it is right. Near 0, β means what it says.");
    let curves = vec![of("reward_model/calibration_error", say("error"), 0.0)];
    [loss, accuracy, plain("reward", say("calibration"), curves, (0.0, 0.2), caption)]
}

fn of_rollouts(state: &State, stage: Stage) -> [CurveCharts; 3] {
    let of = |name, label, dash| series(state, stage, name, label, dash);
    let curves = vec![of("objective/score", say("score"), 0.0), of("objective/gold_score", say("gold"), 4.0)];
    let caption = if stage.policy().is_some_and(|method| method.info().needs_reward_model) {
        say(
            "The reward model’s score of each rollout, and the gold reward on the same scale. Where the score rises above the gold reward, the policy pleases the model and nobody else.",
        )
    } else {
        say("The score of each rollout is the gold reward itself, so no gap can open: there is nothing to exploit.")
    };
    let level = Some((0.0, say("reference")));
    let score = CurveCharts { level, gap: true, ..plain("loss", say("score"), curves, (-0.5, 2.0), caption) };
    let curves = vec![
        of("objective/kl", say("exact"), 0.0),
        of("objective/k1", "k1", 2.0),
        of("objective/k2", "k2", 4.0),
        of("objective/k3", "k3", 8.0),
    ];
    let caption = say(
        "KL of each rollout, in nats a completion: exact over the vocabulary, and guessed from the drawn tokens by k1, k2 and k3.",
    );
    [score, plain("kl", say("KL, nats"), curves, (0.0, 2.0), caption), reward(state)]
}

fn reward(state: &State) -> CurveCharts {
    let caption = say("Gold reward at every evaluation, on held-out prompts. Read it with the KL that it cost.");
    plain("reward", say("gold reward"), evaluated(state, |point| point.gold_reward), (0.4, 1.0), caption)
}

/// The fourth chart: whatever else the stage reports.
fn also(state: &State) -> CurveCharts {
    let name = also_shown(state);
    let curve = series(state, state.training.focused, name, say(state.training.focused.name()), 0.0);
    // Values near each other still fill the chart: no range is kept in sight, but a little room.
    let values = || curve.points.iter().map(|(_, value)| *value).filter(|value| value.is_finite());
    let ends = (values().fold(f64::INFINITY, f64::min), values().fold(f64::NEG_INFINITY, f64::max));
    let at_least = match ends {
        (low, high) if low < high => {
            let room = 0.08 * (high - low);
            (if low >= 0.0 { (low - room).max(0.0) } else { low - room }, high + room)
        }
        (low, _) if low.is_finite() => (low - 0.5, low + 0.5),
        _ => (0.0, 1.0),
    };
    let (title, caption) = definition(name).map_or((name.to_owned(), String::new()), |it| {
        let unit = if it.unit.is_empty() { String::new() } else { format!(", {}", say(it.unit)) };
        // A language may write nouns with a capital wherever they stand.
        let label = say(it.label);
        let label = if label == it.label { label.to_ascii_lowercase().replace("kl", "KL") } else { label.to_owned() };
        (format!("{label}{unit}"), format!("{} {}", say(it.definition), say(it.how_to_read)))
    });
    let logarithmic = name.ends_with("gradient_norm") || name.ends_with("loss");
    CurveCharts { logarithmic, caption, ..plain("also", &title, vec![curve], at_least, "") }
}

fn of_loss(
    name: &str,
    curve: Curve,
    level: Option<(f64, &'static str)>,
    at_least: (f64, f64),
    caption: &str,
) -> CurveCharts {
    CurveCharts { level, logarithmic: true, ..plain("loss", name, vec![curve], at_least, caption) }
}

fn plain(id: &'static str, name: &str, curves: Vec<Curve>, at_least: (f64, f64), caption: &str) -> CurveCharts {
    let (name, caption) = (name.to_owned(), caption.to_owned());
    CurveCharts { id, name, curves, caption, level: None, gap: false, at_least, logarithmic: false, until: 0.0 }
}

fn rows(state: &State, stage: Stage) -> &[MetricRow] {
    state.records.metrics.get(&stage).map_or(&[], Vec::as_slice)
}

fn series(state: &State, stage: Stage, metric: &str, label: &str, dash: f64) -> Curve {
    let points = Series::from_rows(metric, rows(state, stage)).points;
    let points = points.into_iter().map(|(step, value)| (step as f64, value)).collect();
    Curve {
        label: label.into(),
        style: stage.method().map_or(SeriesStyle::QUIET, SeriesStyle::from),
        points,
        dash,
        ..Curve::default()
    }
}

fn evaluated(state: &State, value: impl Fn(&FrontierPoint) -> f64) -> Vec<Curve> {
    // What is not trained has no steps.
    // In a sweep, the curves beside these are of the engine's own run; a sweep worker's may be newer.
    let own = state.sweep.own.as_ref();
    let is_shown =
        |id: &RunId, trail: &Trail| own.filter(|own| own.method == id.method).map_or(trail.live, |own| own == id);
    let live = runs::runs(&state.results.points, &state.results.pair_names)
        .into_iter()
        .filter(|(id, trail)| is_shown(id, trail) && trail.method.has_runs())
        .map(|(_, trail)| trail);
    let curve = |points: Vec<FrontierPoint>| points.iter().map(|point| (point.step as f64, value(point))).collect();
    let of = |trail: Trail| Curve {
        points: curve(trail.points),
        label: trail.label,
        style: trail.method.into(),
        marked: true,
        ..Curve::default()
    };
    live.map(of).collect()
}

#[cfg(test)]
mod tests {
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
