//! The keyboard's focus, which no drawing may lose: from nowhere the next key does nothing, and whoever cannot see the
//! page would have to begin at its top again.

use wasm_bindgen::JsCast;
use web_sys::{Element, HtmlElement};

use super::dom;

/// What takes the focus by the Tab key, where it is to be seen.
const FOCUSABLE: &str = ":is(button, input, select, textarea, summary, a[href], [tabindex=\"0\"])\
    :not(:disabled, [tabindex=\"-1\"], [hidden], [hidden] *, \
    details:not([open]) > :not(summary), details:not([open]) > :not(summary) *)";

/// What had the focus before the page was drawn, and what that stood in, from the inside out.
pub struct Held {
    element: Element,
    around: Vec<Element>,
}

/// What has the focus; none where only the page as a whole has.
pub fn held() -> Option<Held> {
    let element = dom::document().active_element().filter(|it| it.tag_name() != "BODY")?;
    let around = std::iter::successors(element.parent_element(), |it| it.parent_element()).collect();
    Some(Held { element, around })
}

/// Where drawing took away, hid or disabled what had the focus, gives it to what is nearest.
pub fn restore(held: &Held) {
    if can_hold(&held.element) || is_elsewhere(held) {
        return;
    }
    let heir = held.around.iter().filter(|it| it.is_connected() && !is(it, "[hidden], [hidden] *")).find_map(|it| {
        if it.tag_name() == "MAIN" {
            // As far out as this nothing is near: the bar has what is wanted next.
            return Some(dom::element("play")).filter(can_hold);
        }
        if is(it, FOCUSABLE) { Some(it.clone()) } else { it.query_selector(FOCUSABLE).ok().flatten() }
    });
    if let Some(heir) = heir.as_ref().and_then(|it| it.dyn_ref::<HtmlElement>()) {
        // Only an element that is not in the document refuses the focus.
        let _ = heir.focus();
    }
}

/// Moves the focus to a part of the page that the Tab key passes over.
pub fn go(part: &Element) {
    if !is(part, "[tabindex]") {
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
