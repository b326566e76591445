//! Three small charts over the steps of the stage in focus.

use plotters::drawing::IntoDrawingArea;

use super::state::State;
use super::trails::trails;
use super::{dom, format, notices, pipeline};
use crate::charts::{Curve, CurveChart};
use crate::engine::protocol::Stage;
use crate::metrics::{FrontierPoint, Series};

const CHARTS: [&str; 3] = ["loss", "kl", "reward"];
const LN_2: Option<(f64, &str)> = Some((std::f64::consts::LN_2, "ln 2"));

/// What one chart shows, and the caption under it.
struct Shown {
    name: &'static str,
    curves: Vec<Curve>,
    level: Option<(f64, &'static str)>,
    gap: bool,
    at_least: (f64, f64),
    caption: &'static str,
}

/// Draws the three small charts.
pub fn draw(state: &mut State) {
    let stage = state.focused;
    let changes = state.beta_changes.get(&stage).map_or(&[][..], Vec::as_slice);
    let changes: Vec<(f64, String)> =
        changes.iter().map(|(step, beta)| (*step as f64, format!("β {}", format::beta(*beta)))).collect();
    let shown = match stage {
        Stage::RewardModel => of_reward_model(state),
        Stage::Ppo | Stage::PpoGt => of_ppo(state, stage),
        Stage::Unlikelihood | Stage::PreferredFt => of_likelihood(state, stage),
        _ => of_losses(state, stage),
    };
    let mut failed = None;
    for (id, Shown { name, curves, level, gap, at_least, caption }) in CHARTS.into_iter().zip(shown) {
        dom::set_text(&format!("caption-{id}"), caption);
        let chart = CurveChart { name, curves: &curves, level, changes: &changes, gap, at_least };
        if let Some((surface, look)) = dom::surface(&format!("curve-{id}")) {
            failed = chart.draw(&surface.into_drawing_area(), &look).err().or(failed);
        }
    }
    if let Some(error) = failed {
        notices::chart_failed(state, &error);
    }
}

fn of_losses(state: &State, stage: Stage) -> [Shown; 3] {
    let loss = if stage == Stage::Sft && state.metrics.contains_key(&Stage::Sft) {
        series(state, Stage::Sft, "sft/loss", "SFT", 0.0)
    } else {
        series(state, Stage::Dpo, "dpo/loss", "DPO", 0.0)
    };
    let caption = "Loss, in nats. DPO begins at ln 2, a coin toss; the loss is not a quality.";
    let loss = Shown { name: "loss, nats", curves: vec![loss], level: LN_2, gap: false, at_least: (0.4, 0.8), caption };
    let caption = "KL to the reference, in nats a completion, at every evaluation.";
    let curves = evaluated(state, |point| point.kl_per_sequence);
    let kl = Shown { name: "KL, nats", curves, level: None, gap: false, at_least: (0.0, 2.0), caption };
    [loss, kl, reward(state)]
}

fn of_likelihood(state: &State, stage: Stage) -> [Shown; 3] {
    let (metric, at_least, caption) = if stage == Stage::Unlikelihood {
        (
            "unlikelihood/loss",
            (15.0, 25.0),
            "Loss, nats a pair. It has no end: there is no leash, and the rejected may fall for ever.",
        )
    } else {
        ("sft/loss", (0.5, 1.5), "Loss on the chosen, nats a token.")
    };
    let curves = vec![series(state, stage, metric, stage.name(), 0.0)];
    let loss = Shown { name: "loss, nats", curves, level: None, gap: false, at_least, caption };
    let [_, kl, reward] = of_losses(state, stage);
    [loss, kl, reward]
}

fn of_reward_model(state: &State) -> [Shown; 3] {
    let of = |name, label, dash| series(state, Stage::RewardModel, name, label, dash);
    let caption = "Loss on the pairs it learns from, in nats. It begins near ln 2, a coin’s.";
    let curves = vec![of("reward_model/loss", "loss", 0.0)];
    let loss = Shown { name: "loss, nats", curves, level: LN_2, gap: false, at_least: (0.4, 0.8), caption };
    let caption = "Held-out pairs in order: by their labels, some of which are noise, and by the gold reward.";
    let curves = vec![of("reward_model/gold_accuracy", "gold", 0.0), of("reward_model/accuracy", "labels", 4.0)];
    let level = Some((0.5, "a coin"));
    let accuracy = Shown { name: "in order", curves, level, gap: false, at_least: (0.4, 1.0), caption };
    let caption =
        "Calibration error: how far its confidence is from how often it is right. Near 0, β means what it says.";
    let curves = vec![of("reward_model/calibration_error", "error", 0.0)];
    [loss, accuracy, Shown { name: "calibration", curves, level: None, gap: false, at_least: (0.0, 0.2), caption }]
}

fn of_ppo(state: &State, stage: Stage) -> [Shown; 3] {
    let of = |name, label, dash| series(state, stage, name, label, dash);
    let curves = vec![of("objective/score", "score", 0.0), of("objective/gold_score", "gold", 4.0)];
    let caption = if stage == Stage::Ppo {
        "The reward model’s score of each rollout, and the gold reward on the same scale. Where the score rises above the gold reward, the policy pleases the model and nobody else."
    } else {
        "The score of each rollout is the gold reward itself, so no gap can open: there is nothing to exploit."
    };
    let level = Some((0.0, "reference"));
    let score = Shown { name: "score", curves, level, gap: true, at_least: (-0.5, 2.0), caption };
    let curves = vec![
        of("objective/kl", "exact", 0.0),
        of("objective/k1", "k1", 2.0),
        of("objective/k2", "k2", 4.0),
        of("objective/k3", "k3", 8.0),
    ];
    let caption = "KL of each rollout, in nats a completion: exact over the vocabulary, and guessed from the drawn tokens by k1, k2 and k3.";
    let kl = Shown { name: "KL, nats", curves, level: None, gap: false, at_least: (0.0, 2.0), caption };
    [score, kl, reward(state)]
}

fn reward(state: &State) -> Shown {
    let caption = "Gold reward at every evaluation, on held-out prompts.";
    let curves = evaluated(state, |point| point.gold_reward);
    Shown { name: "gold reward", curves, level: None, gap: false, at_least: (0.4, 1.0), caption }
}

fn series(state: &State, stage: Stage, metric: &str, label: &str, dash: f64) -> Curve {
    let rows = state.metrics.get(&stage).map_or(&[][..], Vec::as_slice);
    let points = Series::from_rows(metric, rows).points.into_iter().map(|(step, value)| (step as f64, value)).collect();
    Curve { label: label.into(), method: pipeline::id(stage).into(), points, marked: false, dash }
}

fn evaluated(state: &State, value: impl Fn(&FrontierPoint) -> f64) -> Vec<Curve> {
    // What is not trained has no steps.
    let is_trained = |method: &str| method != "sft" && !method.starts_with("best");
    let live =
        trails(&state.points, &state.pair_names).into_iter().filter(|trail| trail.live && is_trained(&trail.method));
    let curve = |points: Vec<FrontierPoint>| points.iter().map(|point| (point.step as f64, value(point))).collect();
    let of = |trail: crate::charts::Trail| Curve {
        points: curve(trail.points),
        label: trail.label,
        method: trail.method,
        marked: true,
        dash: 0.0,
    };
    live.map(of).collect()
}
