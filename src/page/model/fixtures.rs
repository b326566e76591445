//! What the page's unit tests have in common.

use super::runs::{RunId, RunMark};
use super::state::State;
use crate::engine::protocol::{Command, Event};
use crate::engine::protocol::{Kept, Point, Stage};
use crate::engine::settings::Settings;
use klimb_metrics::{FrontierPoint, Method, Setting};
use klimb_network::objectives::DpoLoss;

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
        saved_policies: Vec::new(),
    }
}

/// A page with three runs of DPO: on generated pairs, on a person's labels with another loss, and one that has a name of its own.
pub fn runs() -> State {
    let settings = Settings { seed: 9, ..Settings::default() };
    let mut state = State::new(settings);
    let mut taken_up = |command: Command, points: &[Point]| {
        let request = state.request(command);
        state.apply(Event::Acknowledged(request.id));
        points.iter().for_each(|it| state.apply(Event::Point(it.clone())));
    };
    taken_up(Command::Start(settings), &[point(1, "sft", 0), point(1, "dpo", 10), point(1, "dpo", 20)]);
    let ipo = Settings { loss: DpoLoss::Ipo, ..settings };
    taken_up(Command::Configure(ipo), &[]);
    taken_up(Command::LoadPreferences(Vec::new()), &[point(2, "dpo", 10)]);
    taken_up(Command::GeneratePreferences, &[point(3, "dpo", 10)]);
    let name = Some("Ada’s".into());
    state.results.marks.insert(RunId { run: 3, method: Method::Dpo }, RunMark { hidden: false, name });
    state
}

/// A point of a run at β 0.3.
pub fn point(run: u32, method: &str, step: u64) -> Point {
    let point = FrontierPoint {
        method: Method::of_file_name(method).expect("a method"),
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
