//! Tokens as the way to their numbers: one that is clicked, tapped or walked to says in a line below what it is made of.
//!
//! The tokens of a completion are one stop of the Tab key, within which arrow keys walk. The view remembers which token is
//! chosen; the document says it to whoever looks or listens (`aria-current`), and has the numbers, which are written when
//! they are asked for.

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

/// A token whose numbers are told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Chosen {
    /// The list in which it stands, by its id.
    list: String,
    place: Place,
    /// What it reads: after a list is written anew, another may stand in its place.
    word: Option<String>,
}

impl Chosen {
    fn of(token: &Element) -> Option<Self> {
        let list = token.closest("ol").ok().flatten()?.id();
        Some(Self { list, place: Place::of(token)?, word: token.text_content() })
    }

    /// What a page before this one left chosen in the document.
    pub fn left() -> Option<Self> {
        Self::of(&find(&dom::element("inside"), "[data-token][aria-current]")?)
    }

    /// What stands in its place now.
    fn element(&self) -> Option<Element> {
        find(&dom::element(&self.list), &self.place.selector())
    }

    /// Whether it has the focus.
    pub fn has_focus(&self) -> bool {
        self.element().is_some_and(|token| dom::document().active_element().is_some_and(|active| active == token))
    }
}

/// Tells the numbers of `token`, and of no other; answers what is chosen then.
pub fn choose(state: &State, before: Option<Chosen>, token: &Element) -> Option<Chosen> {
    let (Some(item), Some(chosen)) = (token.closest("li").ok().flatten(), Chosen::of(token)) else { return before };
    let Some(numbers) = super::tell(state, &chosen.list, chosen.place) else { return before };
    if let Some(earlier) = before.and_then(|before| before.element()) {
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
    if let Some(line) = find(&item, ".token-line").filter(|line| line.text_content().as_ref() != Some(&numbers)) {
        line.set_text_content(Some(&numbers));
    }
    Some(chosen)
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

/// Chooses again what was chosen before the lists were written anew: the same token, or, for whoever is there by key, the
/// one in its place. Answers what is chosen then.
pub fn restore(state: &State, before: Chosen, had_focus: bool) -> Option<Chosen> {
    let token = before.element()?;
    if had_focus {
        focus(&token);
    }
    if had_focus || token.text_content() == before.word { choose(state, Some(before), &token) } else { None }
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
