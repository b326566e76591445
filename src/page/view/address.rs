//! The address, which holds the settings: written when they change, and carried on to the page in other languages.

use std::collections::BTreeSet;

use wasm_bindgen::JsCast;
use web_sys::HtmlAnchorElement;

use super::{dom, web_storage};
use crate::engine::protocol::{Event, Failure};
use crate::engine::settings::{behind_ampersand, whole};
use crate::page::model::state::State;
use crate::page::model::temporary_settings::TemporarySettings;
use klimb_text::message::Separator;
use klimb_text::{ConfigError, Message, json};

const TEMPORARY: &str = "klimb-lent";

/// Keeps the settings in the address, and beside it which of them are in use for a while only.
pub fn write(state: &State) {
    let temporary = state.lesson.temporary_settings();
    let temporary = (!temporary.is_nothing()).then(|| json::to_text(&temporary));
    // Where storage is forbidden, a reload takes these for the person's own.
    web_storage::write(web_storage::session(), TEMPORARY, temporary.as_deref());
    if let Ok(history) = dom::window().history() {
        // A browser may refuse too many changes a minute; the next one brings the address up to date.
        let _ = history.replace_state_with_url(&wasm_bindgen::JsValue::NULL, "", Some(&below_host(state)));
    }
    carry();
}

/// What the address asks for.
pub fn query() -> String {
    let location = dom::window().location();
    whole(&location.search().unwrap_or_default(), &location.hash().unwrap_or_default()).into_owned()
}

/// The whole address of the settings, also where the browser would not take them into its own.
pub fn link(state: &State) -> String {
    format!("{}{}", dom::window().location().origin().unwrap_or_default(), below_host(state))
}

fn below_host(state: &State) -> String {
    let parts = [state.training.settings.to_query(), state.lesson.presentation.to_query()];
    let query = parts.into_iter().filter(|part| !part.is_empty()).collect::<Vec<_>>().join("&");
    let location = dom::window().location();
    let (path, mut hash) = (location.pathname().unwrap_or_default(), location.hash().unwrap_or_default());
    if behind_ampersand(&hash).is_some() {
        // It belonged to the query, and is in it now.
        hash.clear();
    }
    if query.is_empty() { format!("{path}{hash}") } else { format!("{path}?{query}{hash}") }
}

/// How many problems of an address are named.
const MOST_PROBLEMS: usize = 12;

/// Says what an address asks for in vain, all of it: `problems` of what is shown, and `errors` of settings.
pub fn blame(state: &mut State, problems: &[Message], errors: &[ConfigError]) {
    let mut seen = BTreeSet::new();
    let mut all: Vec<Message> = problems.iter().cloned().chain(errors.iter().map(ConfigError::message)).collect();
    all.retain(|problem| seen.insert(problem.to_string()));
    if let Some(more) = all.len().checked_sub(MOST_PROBLEMS).filter(|more| *more > 0) {
        all.truncate(MOST_PROBLEMS);
        all.push(message!("and {} more", more));
    }
    let all = Message::list(all, Separator::Semicolon);
    let (sentence, remedy) = match (problems, errors) {
        ([], []) => return,
        ([], _) => (
            message!("The address sets something that cannot be used: {}.", all),
            message!("The default is used instead."),
        ),
        _ => (
            message!("The address asks for something that cannot be done: {}.", all),
            message!("Everything else is as it asks."),
        ),
    };
    state.apply(Event::Failure(Failure {
        sentence,
        remedy,
        field: Some(errors.first().map_or("address", |error| error.field).into()),
        stopped: false,
    }));
}

/// Lets the links to the page in other languages lead to the same settings.
pub fn carry() {
    let (location, links) = (dom::window().location(), dom::document().get_elements_by_class_name("language"));
    for link in (0..links.length()).filter_map(|index| links.item(index)?.dyn_into::<HtmlAnchorElement>().ok()) {
        link.set_search(&location.search().unwrap_or_default());
        link.set_hash(&location.hash().unwrap_or_default());
    }
}

/// The settings that were in use for a while when this tab's page was left.
pub fn restore_temporary_settings() -> TemporarySettings {
    let text = web_storage::read(web_storage::session(), TEMPORARY);
    text.and_then(|text| json::from_text(&text).ok()).unwrap_or_default()
}
