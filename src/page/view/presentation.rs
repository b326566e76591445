//! For a room: parts out of sight, larger type, and keys that go from part to part.

use super::{dom, focus};
use crate::page::model::presentation::{Presentation, STOPS};

/// Hides and enlarges what the address asks for.
pub fn show(presentation: &Presentation) {
    for selector in presentation.hidden() {
        if let Ok(Some(part)) = dom::document().query_selector(selector) {
            dom::set_attribute(&part, "hidden", Some(""));
        }
    }
    if let Some(root) = dom::document().document_element() {
        dom::set_attribute(&root, "data-type", presentation.is_large.then_some("large"));
    }
}

/// Goes to the part of a key from 1 to 9, and takes the focus along; whether it was one.
pub fn go(key: &str) -> bool {
    let stop = key.parse::<usize>().ok().and_then(|number| STOPS.get(number.checked_sub(1)?));
    let Some(part) = stop.and_then(|selector| dom::document().query_selector(selector).ok().flatten()) else {
        return false;
    };
    focus::go(&part);
    part.scroll_into_view();
    true
}
