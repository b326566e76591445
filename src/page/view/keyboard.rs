//! Keys: space plays, `.` steps, `r` resets and `u` takes that back, arrows move β, walk through a chart or the tokens of a completion, or choose as annotator, `?` lists them, and `t` opens the tour,
//! inside of which arrows walk and Escape closes. Keys that type a letter or sign can be turned off: whoever speaks to the
//! computer, or types by mistake, would set off one after another. What has the focus keeps its own.

use wasm_bindgen::JsCast;
use web_sys::{Element, KeyboardEvent};

use super::{Page, annotator, controls, curves, frontier, inside, presentation, runs, studies, tour};
use crate::engine::protocol::Command;
use crate::page::model::beta;
use crate::page::model::tour::Move;

/// Obeys a key unless the person is typing, or the key already means something where the focus is.
pub fn press(page: &mut Page, event: &KeyboardEvent) {
    if event.ctrl_key() || event.meta_key() || event.alt_key() {
        return;
    }
    let target = event.target().and_then(|target| target.dyn_into::<Element>().ok());
    let within =
        |selector: &str| target.as_ref().is_some_and(|target| target.closest(selector).ok().flatten().is_some());
    if within("input:not([type=range]), select, textarea, dialog") {
        return;
    }
    if within("#annotator-desk") && annotator::press(page, &event.key()) {
        return event.prevent_default();
    }
    let is_single = event.key().chars().count() == 1;
    if is_single && !page.state.single_keys {
        return;
    }
    if let Some(to) = Move::of_key(&event.key(), within("#tour")) {
        tour::go(page, to);
        return event.prevent_default();
    }
    if target.as_ref().is_some_and(|target| inside::walk(target, &event.key())) {
        return event.prevent_default();
    }
    let (on_chart, on_curve) = (within("#frontier"), within(".charts canvas"));
    match event.key().as_str() {
        " " if within("button, summary, a") => return,
        " " => controls::play(page),
        "." => controls::step(page),
        "r" => page.request(Command::Reset),
        "u" if page.state.undoable => controls::undo(page),
        "?" => controls::show_keys(),
        digit if presentation::go(digit) => {}
        "ArrowLeft" if on_chart => frontier::walk(page, -1),
        "ArrowRight" if on_chart => frontier::walk(page, 1),
        "Enter" if on_chart => runs::open_selected(page),
        "ArrowLeft" if on_curve => curves::walk(page, -1),
        "ArrowRight" if on_curve => curves::walk(page, 1),
        "Home" if on_curve => curves::walk(page, isize::MIN),
        "End" if on_curve => curves::walk(page, isize::MAX),
        "Escape" if on_curve => curves::select(page, None),
        "ArrowLeft" if within("[role=tab]") => studies::walk(page, -1),
        "ArrowRight" if within("[role=tab]") => studies::walk(page, 1),
        "ArrowLeft" | "ArrowRight" if within("input") => return,
        "ArrowLeft" => nudge(page, -1.0),
        "ArrowRight" => nudge(page, 1.0),
        _ => return,
    }
    event.prevent_default();
}

fn nudge(page: &mut Page, by: f64) {
    let position = beta::position(page.state.dragged_beta).round() + by;
    controls::drag_beta(page, position);
    controls::release_beta(page);
}
