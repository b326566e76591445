//! The keyboard's focus, which no drawing may lose: from nowhere the next key does nothing, and whoever cannot see the
//! page would have to begin at its top again.

use wasm_bindgen::JsCast;
use web_sys::{Element, HtmlElement};

use super::dom;

/// What takes the focus by the Tab key, where it is to be seen.
const FOCUSABLE: &str = ":is(button, input, select, textarea, summary, a[href], [tabindex=\"0\"])\
    :not(:disabled, [tabindex=\"-1\"], [hidden], [hidden] *, \
    details:not([open]) > :not(summary), details:not([open]) > :not(summary) *)";

/// The group of Play, Step and Reset: it has the focus only where it waits for Play.
const BUTTONS_OF_TRAINING: &str = ".transport";

/// What had the focus before the page was drawn, and what that stood in, from the inside out.
pub struct Held {
    element: Element,
    around: Vec<Element>,
}

/// What has the focus; none where only the page as a whole has.
pub fn held() -> Option<Held> {
    let element = dom::document().active_element().filter(|it| it.tag_name() != "BODY");
    let waiting = dom::document().query_selector(BUTTONS_OF_TRAINING).ok().flatten();
    if let Some(group) = waiting.filter(|it| it.has_attribute("tabindex") && Some(it) != element.as_ref()) {
        // Whoever has gone on is not waiting, and a click beside the buttons must not begin it again.
        dom::set_attribute(&group, "tabindex", None);
    }
    let element = element?;
    let around = std::iter::successors(element.parent_element(), |it| it.parent_element()).collect();
    Some(Held { element, around })
}

/// Where drawing took away, hid or disabled what had the focus, gives it to what is nearest.
pub fn restore(held: &Held) {
    let waits_for_play = is(&held.element, BUTTONS_OF_TRAINING);
    if can_hold(&held.element) && !waits_for_play || is_elsewhere(held) {
        return;
    }
    let is_shown = |it: &&Element| it.is_connected() && !is(it, "[hidden], [hidden] *");
    // Further out nothing is near, and the first that takes the focus there is the way past the bar.
    let around = held.around.iter().take_while(|it| !is(it, "main, body")).filter(is_shown);
    let near = around
        .filter(|_| !waits_for_play)
        .find_map(|it| if is(it, FOCUSABLE) { Some(it.clone()) } else { it.query_selector(FOCUSABLE).ok().flatten() });
    match near.as_ref().and_then(|it| it.dyn_ref::<HtmlElement>()) {
        Some(near) => {
            // Only an element that is not in the document refuses the focus.
            let _ = near.focus();
        }
        None => go_to_play(),
    }
}

/// Moves the focus to Play, which is what is wanted next; until the engine is there, to the group that it stands in.
fn go_to_play() {
    let Some(group) = dom::document().query_selector(BUTTONS_OF_TRAINING).ok().flatten() else { return };
    let play = dom::element("play");
    if can_hold(&play) {
        go(&play);
        dom::set_attribute(&group, "tabindex", None);
    } else {
        go(&group);
    }
}

/// Moves the focus to a part of the page, also to one that the Tab key passes over.
pub fn go(part: &Element) {
    if !is(part, "button, [tabindex]") {
        dom::set_attribute(part, "tabindex", Some("-1"));
    }
    if let Some(part) = part.dyn_ref::<HtmlElement>() {
        let _ = part.focus();
    }
}

fn can_hold(element: &Element) -> bool {
    element.is_connected() && !is(element, ":disabled, [hidden], [hidden] *")
}

/// Whether what drew has given the focus to something else on purpose.
fn is_elsewhere(held: &Held) -> bool {
    dom::document().active_element().is_some_and(|now| now != held.element && now.tag_name() != "BODY")
}

fn is(element: &Element, selector: &str) -> bool {
    element.matches(selector).unwrap_or(false)
}
