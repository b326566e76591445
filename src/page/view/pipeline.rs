//! The stages: what each is doing, how far it is, and which one Play trains.

use super::action::run;
use super::{Act, Action, Page, View, dom};
use crate::engine::protocol::{Command, Origin, Stage, StageKind, StageState, StageStatus};
use crate::page::model::change::Change;
use crate::page::model::format;
use crate::page::model::state::State;
use klimb_metrics::Series;
use klimb_text::words::say;

/// The stages and their files.
pub struct Pipeline;

const ACTIONS: &[Action<Pipeline>] = &[
    Action::click("focus-stage", |_, page, act| request_of(page, act, Command::Focus)),
    Action::click("step-stage", |_, page, act| {
        request_of(page, act, Command::Focus);
        request_of(page, act, Command::Step);
    }),
    Action::click("save-stage", |_, page, act| request_of(page, act, Command::ExportCheckpoint)),
    Action::click("retrain", |_, page, _| page.request(Command::Retrain)),
    Action::click("save-pairs", |_, page, _| page.request(Command::ExportPreferences)),
    Action::click("generate-pairs", |_, page, _| page.request(Command::GeneratePreferences)),
];

impl View for Pipeline {
    fn shows(&self) -> &'static [Change] {
        use Change::{Failure, Metrics, Playing, Requests, Stages};
        &[Requests, Playing, Stages, Metrics, Failure]
    }

    fn draw(&mut self, page: &mut Page) {
        draw(&page.state);
    }

    fn act(&mut self, page: &mut Page, act: &Act) -> bool {
        run(ACTIONS, self, page, act)
    }
}

/// Asks for what is to be done with the stage that the control is of.
fn request_of(page: &mut Page, act: &Act, command: fn(Stage) -> Command) {
    if let Some(stage) = Stage::ALL.into_iter().find(|stage| stage.id() == act.value) {
        page.request(command(stage));
    }
}

/// Points of a sparkline; a longer run is thinned out.
const SPARK: usize = 60;

/// The metric that the small line of a stage follows. `None` where there is nothing to play; empty, as its line stays, where
/// nothing is trained.
fn progress(stage: Stage) -> Option<&'static str> {
    match stage.kind() {
        StageKind::Base | StageKind::Pairs => None,
        StageKind::RewardModel => Some("reward_model/loss"),
        StageKind::Sft | StageKind::Policy(_) | StageKind::BestOfN => {
            Some(stage.method().and_then(|method| method.info().progress).unwrap_or_default())
        }
    }
}

/// Writes every stage.
fn draw(state: &State) {
    for stage in Stage::ALL {
        let (id, Some(status)) = (stage.id(), state.training.stage(stage)) else { continue };
        dom::set_text(&format!("state-{id}"), &describe(status, state.results.pair_names.are_hers()));
        let name = match status.state {
            StageState::Waiting => "waiting",
            StageState::Ready => "ready",
            StageState::Running => "running",
            StageState::Done => "done",
        };
        dom::set_attribute(&dom::element(&format!("card-{id}")), "data-state", Some(name));
    }
    let pairs = match state.training.stage(Stage::Pairs).map(|pairs| pairs.origin) {
        Some(Origin::Loaded) if state.results.pair_names.are_hers() => {
            say("The reference wrote two completions of each prompt, and you chose the better.")
        }
        Some(Origin::Loaded) => say("From a file: a person chose the better of two completions."),
        _ => say("The reference writes four completions a prompt; the happier of two is “chosen”."),
    };
    dom::set_text("what-pairs", pairs);
    let idle = state.training.ready.is_some() && !state.training.playing;
    for (stage, metric) in Stage::ALL.into_iter().filter_map(|stage| Some((stage, progress(stage)?))) {
        let id = stage.id();
        let is_focused = state.training.focused == stage;
        let pressed = if is_focused { "true" } else { "false" };
        dom::flag(&format!("what-{id}"), "hidden", !is_focused);
        dom::set_attribute(&dom::element(&format!("stage-{id}")), "aria-pressed", Some(pressed));
        let ends = matches!(stage, Stage::RewardModel | Stage::BestOfN);
        let finished = |status: &StageStatus| ends && status.state == StageState::Done;
        let blocked = state.training.stage(stage).is_none_or(|it| it.state == StageState::Waiting || finished(it));
        dom::flag(&format!("step-{id}"), "disabled", !idle || blocked);
        let rows = state.records.metrics.get(&stage).map_or(&[][..], Vec::as_slice);
        let values: Vec<f64> = Series::from_rows(metric, rows).points.into_iter().map(|(_, value)| value).collect();
        dom::set_attribute(&dom::element(&format!("spark-{id}")), "points", Some(&spark(&values)));
    }
    dom::flag("retrain", "disabled", !idle);
}

fn needs_reward_model(stage: Stage) -> bool {
    stage.policy().is_some_and(|method| method.info().needs_reward_model)
}

fn describe(status: &StageStatus, pairs_are_hers: bool) -> String {
    let steps = format::count(status.steps);
    match (status.stage, status.state, status.origin) {
        (stage, StageState::Waiting, Origin::Live) if needs_reward_model(stage) => {
            say("waiting for the reward model").into()
        }
        (_, StageState::Waiting, _) => say("waiting").into(),
        (Stage::Pairs, _, Origin::Loaded) if pairs_are_hers => say!("yours, {} pairs", steps),
        (Stage::Pairs, _, Origin::Loaded) => say!("loaded, {} pairs", steps),
        (_, StageState::Ready, _) if status.steps == 0 => say("ready").into(),
        (Stage::Pairs, StageState::Done, _) => say!("done, {} pairs", steps),
        (Stage::Pairs, ..) => say!("{} pairs so far", steps),
        (Stage::BestOfN, StageState::Done, _) => say!("done, {} points", steps),
        (Stage::BestOfN, StageState::Running, _) => say("drawing").into(),
        (Stage::BestOfN, ..) if status.steps > 0 => say!("{} points", steps),
        (_, StageState::Done, Origin::Recorded | Origin::Loaded) => say("done, recorded").into(),
        (_, StageState::Done, Origin::Live) => say!("done, {} steps here", steps),
        (_, StageState::Running, _) => say!("training, step {}", steps),
        (_, StageState::Ready, _) => say!("step {}", steps),
    }
}

/// Coordinates of a polyline in a box of 100 × 24, from the values that are finite.
fn spark(values: &[f64]) -> String {
    let stride = values.len().div_ceil(SPARK).max(1);
    let kept: Vec<f64> = values.iter().copied().step_by(stride).filter(|value| value.is_finite()).collect();
    let (low, high) = kept.iter().fold((f64::INFINITY, f64::NEG_INFINITY), |(l, h), v| (l.min(*v), h.max(*v)));
    let span = (high - low).max(1e-9);
    if kept.len() < 2 {
        return String::new();
    }
    let across = (kept.len() - 1) as f64;
    let point = |(index, value): (usize, &f64)| {
        format!("{:.1},{:.1}", 100.0 * index as f64 / across, 22.0 - 20.0 * (value - low) / span)
    };
    kept.iter().enumerate().map(point).collect::<Vec<_>>().join(" ")
}
