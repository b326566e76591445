//! The cases in the document, and their two buttons.

use super::action::run;
use super::{Act, Action, Page, View, address, dom};
use crate::engine::protocol::Command;
use crate::page::model::change::Change;
use crate::page::model::clinic::{CASES, Case};
use crate::page::model::state::State;
use klimb_text::words::say;

/// The clinic.
pub struct Clinic;

const ACTIONS: &[Action<Clinic>] = &[
    Action::click("run-case", |_, page, act| {
        if let Some(case) = Case::named(&act.value) {
            start(page, case);
        }
    }),
    Action::click("cure-case", |_, page, _| cure(page)),
];

impl View for Clinic {
    fn shows(&self) -> &'static [Change] {
        &[Change::Requests]
    }

    fn build(&mut self, _page: &mut Page) {
        build();
    }

    fn draw(&mut self, page: &mut Page) {
        draw(&page.state);
    }

    fn act(&mut self, page: &mut Page, act: &Act) -> bool {
        run(ACTIONS, self, page, act)
    }
}

/// Puts the cases into the document, unless a page before this one did.
fn build() {
    let list = dom::element("cases");
    if list.child_element_count() > 0 {
        return;
    }
    for case in &CASES {
        let item = dom::make("details", "case", "");
        dom::set_attribute(&item, "id", Some(&format!("case-{}", case.id)));
        dom::append(&item, &[&dom::make("summary", "", say(case.title))]);
        for (head, text) in
            [(say("What you will see. "), case.see), (say("Why. "), case.why), (say("The cure. "), case.cure)]
        {
            let line = dom::make("p", "", "");
            dom::append(&line, &[&dom::make("em", "", head), &dom::make("span", "", say(text))]);
            dom::append(&item, &[&line]);
        }
        let acts = dom::make("p", "acts", "");
        let (run, cure) =
            (dom::make("button", "", say("Run it")), dom::make("button", "", say("Cure it and play again")));
        for (button, act, action) in [(&run, "run", "run-case"), (&cure, "cure", "cure-case")] {
            dom::set_attribute(button, "type", Some("button"));
            dom::set_attribute(button, "data-action", Some(action));
            dom::set_attribute(button, "data-value", Some(case.id));
            dom::set_attribute(button, "id", Some(&format!("{act}-{}", case.id)));
            dom::set_attribute(
                button,
                "aria-label",
                Some(&format!("{}: {}", button.text_content().unwrap_or_default(), say(case.title))),
            );
            dom::append(&acts, &[button]);
        }
        dom::append(&item, &[&acts]);
        dom::append(&list, &[&item]);
    }
}

/// Starts the case's stage over with its settings and plays it.
pub fn start(page: &mut Page, case: &'static Case) {
    let settings = page.state.training.settings;
    let settings = page.state.lesson.clinic.run(case, settings);
    page.request(Command::Pause);
    page.request(Command::Configure(settings));
    page.request(Command::Focus(case.stage));
    play_anew(page);
    dom::set_text("said", &say!("Running: {}.", say(case.title)));
}

/// Gives the earlier settings back and plays the same stage from the start.
fn cure(page: &mut Page) {
    let Some(case) = page.state.lesson.clinic.running() else { return };
    restore(page);
    page.request(Command::Focus(case.stage));
    play_anew(page);
    dom::set_text("said", say("The former settings are back, and it plays from the start."));
}

/// Gives the earlier settings back and rests.
pub fn restore(page: &mut Page) {
    if page.state.lesson.clinic.running().is_some() {
        let settings = page.state.training.settings;
        let settings = page.state.lesson.clinic.cure(settings);
        page.request(Command::Pause);
        page.request(Command::Configure(settings));
        address::write(&page.state);
    }
}

fn play_anew(page: &mut Page) {
    page.request(Command::Reset);
    page.request(Command::Play);
    address::write(&page.state);
}

/// Says which case is running.
fn draw(state: &State) {
    let running = state.lesson.clinic.running();
    for case in &CASES {
        dom::flag(&format!("run-{}", case.id), "disabled", state.training.ready.is_none());
        dom::flag(&format!("cure-{}", case.id), "disabled", running != Some(case));
    }
    let words = running.map_or_else(String::new, |case| {
        say!("In use now: {}. Its points land on the frontier above, beside the earlier trails.", say(case.title))
    });
    dom::set_text("clinic-summary", &words);
}
