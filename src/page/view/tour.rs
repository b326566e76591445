//! The tour's panel: it stands beside the page, never over it, and marks the part that it speaks of.

use web_sys::Element;

use super::action;
use super::action::run;
use super::{Act, Page, View, address, clinic, dom, studies, web_storage};
use crate::engine::protocol::{Command, Stage, Work};
use crate::page::model::change::Change;
use crate::page::model::clinic::Case;
use crate::page::model::state::State;
use crate::page::model::study::Study;
use crate::page::model::tour::{self, Action, Move, STOPS};
use klimb_text::words::say;

const STORED: &str = "klimb-tour";
/// The class of the part that is spoken of.
const MARK: &str = "marked";

/// The tour's panel.
#[derive(Default)]
pub struct Tour {
    /// The stop whose text is written.
    written: Option<usize>,
}

const ACTIONS: &[action::Action<Tour>] = &[
    action::Action::click("move-tour", |view, page, act| {
        if let Some(to) = Move::named(&act.value) {
            view.go(page, to);
        }
    }),
    action::Action::click("try-stop", |view, page, _| view.try_stop(page)),
];

impl View for Tour {
    fn shows(&self) -> &'static [Change] {
        &[]
    }

    fn build(&mut self, page: &mut Page) {
        page.state.lesson.tour = restore();
    }

    fn draw(&mut self, page: &mut Page) {
        self.write(&page.state);
    }

    fn act(&mut self, page: &mut Page, act: &Act) -> bool {
        run(ACTIONS, self, page, act)
    }
}

/// The tour where this tab left it, or else where any other did last: two tabs may be at two stops.
fn restore() -> tour::Tour {
    let place =
        web_storage::read(web_storage::session(), STORED).or_else(|| web_storage::read(web_storage::local(), STORED));
    tour::Tour::resumed(place.as_deref())
}

impl Tour {
    /// Makes a move, keeps the place, and brings focus and marked part along.
    fn go(&mut self, page: &mut Page, to: Move) {
        let before = page.state.lesson.tour;
        page.state.lesson.tour.go(to);
        let tour = page.state.lesson.tour;
        if tour.at() != before.at() || !tour.is_open {
            leave(page, before.stop().action);
        }
        for storage in [web_storage::session(), web_storage::local()] {
            web_storage::write(storage, STORED, Some(&tour.at().to_string()));
        }
        if tour.is_open && tour.stop().action == Action::Contest {
            studies::open(page, Study::WinRate);
        }
        self.write(&page.state);
        mark(tour);
        if tour.is_open {
            dom::focus("tour-title");
            dom::set_text("said", &tour.place());
            dom::element(tour.stop().part).scroll_into_view();
        } else if before.is_open {
            dom::focus("tour-open");
            dom::set_text("said", say("The tour is closed; its place is kept."));
        }
        // The page may have become narrower or wider.
        page.state.mark(Change::Charts);
    }

    /// Does what the stop's button says.
    fn try_stop(&mut self, page: &mut Page) {
        let stop = page.state.lesson.tour.stop();
        let before = page.state.training.settings.beta;
        for command in stop.action.commands(page.state.training.settings.beta) {
            page.request(command);
        }
        match stop.action {
            Action::Contest => studies::open(page, Study::WinRate),
            Action::Fail(case) => {
                if let Some(case) = Case::named(case) {
                    page.state.lesson.tour.ran(case.id);
                    clinic::start(page, case);
                }
            }
            Action::MoveBeta(..) => {
                page.state.lesson.tour.move_beta(before, page.state.training.settings.beta);
                address::write(&page.state);
            }
            Action::Steps(count) => {
                let steps = dpo_steps(&page.state);
                page.state.lesson.tour.pause_after(steps, count);
            }
            Action::Complete(_) | Action::Step(_) | Action::Play(_) => {}
        }
        page.state.lesson.tour.has_acted = true;
        self.write(&page.state);
        // In a panel that scrolls by itself; then the page.
        dom::element("tour-then").scroll_into_view();
        let (part, result) = (dom::element(stop.part), dom::element(stop.result));
        let seen = if is_near(&part, &result) { part } else { result };
        seen.scroll_into_view();
    }

    /// Writes the panel and the button that opens it.
    fn write(&mut self, state: &State) {
        let (tour, stop) = (state.lesson.tour, state.lesson.tour.stop());
        dom::flag("tour", "hidden", !tour.is_open);
        if let Some(root) = dom::document().document_element() {
            dom::set_attribute(&root, "data-tour", tour.is_open.then_some("open"));
        }
        dom::set_text("tour-open", &tour.invitation());
        dom::set_attribute(
            &dom::element("tour-open"),
            "aria-expanded",
            Some(if tour.is_open { "true" } else { "false" }),
        );
        dom::set_text("tour-place", &tour.place());
        dom::set_text("tour-title", say(stop.title));
        dom::set_text("tour-act", say(stop.act));
        dom::set_text("tour-then", if tour.has_acted { say(stop.then) } else { "" });
        dom::set_text("tour-next", if tour.at() + 1 == STOPS.len() { say("Finish") } else { say("Next") });
        dom::flag("tour-back", "disabled", tour.at() == 0);
        dom::flag("tour-act", "disabled", state.training.ready.is_none());
        let text = dom::element("tour-text");
        if self.written.replace(tour.at()) == Some(tour.at()) {
            return;
        }
        dom::clear(&text);
        for paragraph in stop.text {
            dom::append(&text, &[&dom::make("p", "", say(paragraph))]);
        }
        if !stop.links.is_empty() {
            let list = dom::make("ul", "", "");
            for link in stop.links {
                let (item, anchor) = (dom::make("li", "", ""), dom::make_written("a", "", link.text));
                dom::set_attribute(&anchor, "href", Some(link.address));
                dom::set_attribute(&anchor, "rel", Some("noreferrer"));
                dom::append(&item, &[&anchor]);
                dom::append(&list, &[&item]);
            }
            dom::append(&text, &[&list]);
        }
    }
}

/// Ends what would disturb the next stop.
fn leave(page: &mut Page, action: Action) {
    if action == Action::Contest && page.state.training.is_at(Work::Contest) {
        page.request(Command::Contest(false));
    }
    if let Action::Fail(case) = action
        && page.state.lesson.clinic.running() == Case::named(case)
    {
        clinic::restore(page);
    }
    let settings = page.state.training.settings;
    let own = page.state.lesson.tour.leave(settings);
    if own != settings {
        page.request(Command::SetBeta(own.beta));
    }
    address::write(&page.state);
}

/// Whether a result is to be seen with the beginning of its part, where the panel takes half of a phone's window.
fn is_near(part: &Element, result: &Element) -> bool {
    let height = dom::window().inner_height().ok().and_then(|height| height.as_f64()).unwrap_or_default();
    result.get_bounding_client_rect().top() - part.get_bounding_client_rect().top() < 0.33 * height
}

/// Pauses training when the steps that the tour asked for are there.
pub fn watch(page: &mut Page) {
    let (steps, playing) = (dpo_steps(&page.state), page.state.training.playing);
    if page.state.lesson.tour.is_due(steps, playing) {
        page.request(Command::Pause);
    }
}

/// How far down the window the marked part begins, while the tour is open.
pub fn top(state: &State) -> Option<f64> {
    let tour = state.lesson.tour;
    tour.is_open.then(|| dom::element(tour.stop().part).get_bounding_client_rect().top())
}

/// Holds the marked part where it was before drawing, whatever came or went above it.
pub fn hold(state: &State, before: Option<f64>) {
    if let (Some(before), Some(now)) = (before, top(state)) {
        let moved = now - before;
        if moved.abs() >= 1.0 {
            dom::window().scroll_by_with_x_and_y(0.0, moved);
        }
    }
}

fn dpo_steps(state: &State) -> usize {
    state.training.stage(Stage::Dpo).map_or(0, |stage| stage.steps)
}

fn mark(tour: tour::Tour) {
    let marked = dom::document().get_elements_by_class_name(MARK);
    while let Some(part) = marked.item(0) {
        // The list is live: what loses the class leaves it.
        let _ = part.class_list().remove_1(MARK);
    }
    if tour.is_open {
        let _ = dom::element(tour.stop().part).class_list().add_1(MARK);
    }
}
