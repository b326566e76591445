//! Tokens as the way to their numbers: one that is clicked, tapped or walked to says in a line below what it is made of.
//!
//! The tokens of a completion are one stop of the Tab key, within which arrow keys walk. What is chosen is in the
//! document alone (`aria-current`), and so are the numbers, which are written when they are asked for.

use wasm_bindgen::JsCast;
use web_sys::{Element, HtmlElement};

use crate::page::model::state::State;
use crate::page::view::dom;

/// Where a token stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Place {
    /// The pair, review or episode, from 0.
    pub item: usize,
    /// The completion: 1 for the rejected of a pair, else 0.
    pub side: usize,
    /// The token, from 0.
    pub at: usize,
}

impl Place {
    fn of(token: &Element) -> Option<Self> {
        let text = token.get_attribute("data-token")?;
        let mut numbers = text.split('-').map(str::parse);
        let mut next = || numbers.next()?.ok();
        Some(Self { item: next()?, side: next()?, at: next()? })
    }

    fn selector(self) -> String {
        let Self { item, side, at } = self;
        format!("[data-token=\"{item}-{side}-{at}\"]")
    }
}

/// The tokens of one completion, to be filled with buttons.
pub fn toolbar(label: &str) -> Element {
    let tokens = dom::make("span", "tokens", "");
    for (name, value) in [("role", "toolbar"), ("aria-label", label), ("data-tokens", "")] {
        dom::set_attribute(&tokens, name, Some(value));
    }
    tokens
}

/// A token that can be chosen.
pub fn button(word: &str, class: &str, place: Place) -> Element {
    let button = dom::make_written("button", class, word);
    let Place { item, side, at } = place;
    let stop = if at == 0 { "0" } else { "-1" };
    for (name, value) in [
        ("type", "button"),
        ("tabindex", stop),
        ("data-action", "choose-token"),
        ("data-token", &format!("{item}-{side}-{at}")),
    ] {
        dom::set_attribute(&button, name, Some(value));
    }
    button
}

/// Where the numbers of a pair's, review's or episode's chosen token are written.
pub fn line() -> Element {
    let line = dom::make("p", "token-line quiet numeric", "");
    dom::set_attribute(&line, "aria-live", Some("polite"));
    line
}

/// The token that `element` is.
pub fn token(element: &Element) -> Option<Element> {
    element.closest("[data-token]").ok().flatten()
}

/// Tells the numbers of `token`, and of no other.
pub fn choose(state: &State, token: &Element) {
    let item = token.closest("li").ok().flatten();
    let list = item.as_ref().and_then(|item| item.parent_element()).map(|list| list.id());
    let (Some(item), Some(list), Some(place)) = (item, list, Place::of(token)) else { return };
    let Some(told) = super::tell(state, &list, place) else { return };
    if let Some(earlier) = current() {
        dom::set_attribute(&earlier, "aria-current", None);
        let left = earlier.closest("li").ok().flatten().filter(|left| *left != item);
        if let Some(line) = left.and_then(|left| find(&left, ".token-line")) {
            line.set_text_content(None);
        }
    }
    dom::set_attribute(token, "aria-current", Some("true"));
    if let Some(tokens) = token.closest("[data-tokens]").ok().flatten() {
        if let Some(stop) = find(&tokens, "[data-token][tabindex=\"0\"]") {
            dom::set_attribute(&stop, "tabindex", Some("-1"));
        }
        dom::set_attribute(token, "tabindex", Some("0"));
    }
    if let Some(line) = find(&item, ".token-line").filter(|line| line.text_content().as_ref() != Some(&told)) {
        line.set_text_content(Some(&told));
    }
}

/// Moves the focus from a token to another of the same completion; answers whether the key is one that does.
pub fn walk(token: &Element, key: &str) -> bool {
    let tokens = token.closest("[data-tokens]").ok().flatten();
    let (Some(tokens), Some(place)) = (tokens, Place::of(token)) else { return false };
    let neighbour = |at: usize| find(&tokens, &Place { at, ..place }.selector());
    let to = match key {
        "ArrowLeft" | "ArrowUp" => place.at.checked_sub(1).and_then(neighbour),
        "ArrowRight" | "ArrowDown" => neighbour(place.at + 1),
        "Home" => neighbour(0),
        "End" => (place.at..).map_while(neighbour).last(),
        _ => return false,
    };
    // The browser says that the focus has come, and then the token is chosen.
    if let Some(to) = to {
        focus(&to);
    }
    true
}

/// The token that was chosen before a list is written anew.
pub struct Held {
    list: String,
    place: Place,
    word: Option<String>,
    had_focus: bool,
}

/// What to hold on to.
pub fn held() -> Option<Held> {
    let token = current()?;
    let list = token.closest("ol").ok().flatten()?.id();
    let had_focus = dom::document().active_element().is_some_and(|active| active == token);
    Some(Held { list, place: Place::of(&token)?, word: token.text_content(), had_focus })
}

/// Chooses again what was chosen: the same token, or, for whoever is there by key, the one in its place.
pub fn restore(state: &State, held: &Held) {
    let Some(token) = find(&dom::element(&held.list), &held.place.selector()) else { return };
    if held.had_focus {
        focus(&token);
    }
    if held.had_focus || token.text_content() == held.word {
        choose(state, &token);
    }
}

fn current() -> Option<Element> {
    find(&dom::element("inside"), "[data-token][aria-current]")
}

fn find(within: &Element, selector: &str) -> Option<Element> {
    within.query_selector(selector).ok().flatten()
}

fn focus(token: &Element) {
    if let Some(token) = token.dyn_ref::<HtmlElement>() {
        // Only an element that is not in the document refuses the focus.
        let _ = token.focus();
    }
}
