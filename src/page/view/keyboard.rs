//! Keys: space plays, `.` steps, `r` resets and `u` takes that back, arrows move β, walk through a chart or the tokens of a completion, or choose as annotator, `?` lists them, and `t` opens the tour,
//! inside of which arrows walk and Escape closes. Keys that type a letter or sign can be turned off: whoever speaks to the
//! computer, or types by mistake, would set off one after another. What has the focus keeps its own.

use wasm_bindgen::JsCast;
use web_sys::{Element, KeyboardEvent};

use super::{Act, Page, annotator, curves, frontier, inside, presentation, studies};
use crate::page::model::tour::Move;

/// What came of a key.
pub enum Pressed {
    /// It means nothing here.
    Nothing,
    /// It is obeyed.
    Done,
    /// It asks for what a control does.
    Act(Act),
}

/// Obeys a key, or says what it asks for, unless the person is typing, or the key already means something where the focus is.
pub fn press(page: &mut Page, event: &KeyboardEvent) -> Pressed {
    if event.ctrl_key() || event.meta_key() || event.alt_key() {
        return Pressed::Nothing;
    }
    let target = event.target().and_then(|target| target.dyn_into::<Element>().ok());
    let within =
        |selector: &str| target.as_ref().is_some_and(|target| target.closest(selector).ok().flatten().is_some());
    if within("input:not([type=range]), select, textarea, dialog") {
        return Pressed::Nothing;
    }
    if within("#annotator-desk") && annotator::press(page, &event.key()) {
        return Pressed::Done;
    }
    let is_single = event.key().chars().count() == 1;
    if is_single && !page.single_keys {
        return Pressed::Nothing;
    }
    let act = |name: &str, value: &str| Pressed::Act(Act::of_key(name, value));
    if let Some(to) = Move::of_key(&event.key(), within("#tour")) {
        return act("move-tour", to.name());
    }
    if target.as_ref().is_some_and(|target| inside::walk(target, &event.key())) {
        return Pressed::Done;
    }
    let (on_chart, on_curve) = (within("#frontier"), within(".charts canvas"));
    match event.key().as_str() {
        " " if within("button, summary, a") => return Pressed::Nothing,
        " " => return act("play", ""),
        "." => return act("step", ""),
        "r" => return act("reset", ""),
        "u" if page.state.undo().is_some() => return act("undo", ""),
        "?" => return act("show-keys", ""),
        digit if presentation::go(digit) => {}
        "ArrowLeft" if on_chart => frontier::walk(page, -1),
        "ArrowRight" if on_chart => frontier::walk(page, 1),
        "Enter" if on_chart => frontier::open_selected(page),
        "ArrowLeft" if on_curve => curves::walk(page, -1),
        "ArrowRight" if on_curve => curves::walk(page, 1),
        "Home" if on_curve => curves::walk(page, isize::MIN),
        "End" if on_curve => curves::walk(page, isize::MAX),
        "Escape" if on_curve => curves::select(page, None),
        "ArrowLeft" if within("[role=tab]") => studies::walk(page, -1),
        "ArrowRight" if within("[role=tab]") => studies::walk(page, 1),
        "ArrowLeft" | "ArrowRight" if within("input") => return Pressed::Nothing,
        "ArrowLeft" => return act("beta-by", "-1"),
        "ArrowRight" => return act("beta-by", "1"),
        _ => return Pressed::Nothing,
    }
    Pressed::Done
}
