//! Which curves each stage has: those of its own, then KL and gold reward, and the metric that was chosen.

use super::{CurveCharts, also_shown, rows};
use crate::engine::protocol::Stage;
use crate::page::model::runs::RunId;
use crate::page::model::state::State;
use klimb_charts::{Curve, Trail};
use klimb_metrics::{FrontierPoint, MarginLoss, Method, PairLoss, Series, SeriesStyle, definition};
use klimb_text::words::{key, say};

/// The loss of a coin toss.
const LN_2: Option<(f64, &str)> = Some((std::f64::consts::LN_2, "ln 2"));

/// The loss with the line that a coin toss has, then KL and gold reward.
pub(super) fn of_sft(state: &State) -> [CurveCharts; 3] {
    let (at_least, caption) = loss_of(Method::Dpo);
    let loss = series(state, Stage::Sft, "sft/loss", "SFT", 0.0);
    [of_loss(say("loss, nats"), loss, LN_2, at_least, caption), kl(state), reward(state)]
}

/// Of a method that learns from pairs: its loss, then KL and gold reward.
pub(super) fn of_pairs(state: &State, method: Method) -> [CurveCharts; 3] {
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

pub(super) fn of_reward_model(state: &State) -> [CurveCharts; 3] {
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

pub(super) fn of_rollouts(state: &State, stage: Stage) -> [CurveCharts; 3] {
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
pub(super) fn also(state: &State) -> CurveCharts {
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

pub(super) fn evaluated(state: &State, value: impl Fn(&FrontierPoint) -> f64) -> Vec<Curve> {
    // What is not trained has no steps.
    // In a sweep, the curves beside these are of the engine's own run; a sweep worker's may be newer.
    let own = state.sweep.own.as_ref();
    let is_shown =
        |id: &RunId, trail: &Trail| own.filter(|own| own.method == id.method).map_or(trail.live, |own| own == id);
    let live = state
        .results
        .runs()
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
