//! The sweep's button, which begins and cancels it, its progress and its words, under the slider.

use super::action::run;
use super::{Act, Action, Page, View, dom, sweep_workers};
use crate::engine::protocol::{Command, Work};
use crate::page::model::change::Change;
use crate::page::model::state::State;
use crate::page::model::sweep::{BETAS, plan};
use klimb_text::words::say;

/// The sweep under the slider.
pub struct Sweep;

const ACTIONS: &[Action<Sweep>] = &[Action::click("sweep", |_, page, _| press(page))];

impl View for Sweep {
    fn shows(&self) -> &'static [Change] {
        &[Change::Requests, Change::Playing, Change::Works, Change::Sweep]
    }

    fn draw(&mut self, page: &mut Page) {
        draw(&page.state);
    }

    fn act(&mut self, page: &mut Page, act: &Act) -> bool {
        run(ACTIONS, self, page, act)
    }
}

/// Begins a sweep of what is in focus, or cancels the one that is on.
fn press(page: &mut Page) {
    if page.state.sweep.stage.is_some() {
        page.request(Command::Sweep(None));
        dom::set_text("said", say("The sweep is cancelled; its points stay, and β is where it was."));
    } else if let Some(plan) = plan(page.state.training.focused, sweep_workers::available(&page.state, BETAS.len())) {
        page.request(Command::Sweep(Some(plan)));
        dom::set_text("said", say("The sweep begins."));
    }
}

/// Writes button, progress and words.
fn draw(state: &State) {
    let is_on = state.sweep.stage.is_some();
    let progress = state.training.works.get(&Work::Sweep);
    dom::set_text("sweep", if is_on { say("Cancel the sweep") } else { say("Sweep β") });
    dom::flag(
        "sweep",
        "disabled",
        state.training.ready.is_none() || !(is_on || plan(state.training.focused, 0).is_some()),
    );
    dom::flag("sweep-progress", "hidden", !is_on);
    let share = progress.map_or(0.0, |it| it.done as f64 / it.total.max(1) as f64);
    dom::set_attribute(&dom::element("sweep-progress"), "value", Some(&format!("{share:.3}")));
    dom::set_text("sweep-words", &state.sweep.words(state.training.focused, progress, state.training.playing));
}
