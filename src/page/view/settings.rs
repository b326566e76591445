//! The fields of the other knobs, built from the engine's table: label, help, and what is wrong with a value.

use super::{Page, address, dom};
use crate::engine::protocol::Command;
use crate::engine::settings::{KNOBS, Knob, Section, Settings};
use crate::page::model::state::State;
use klimb_text::words::{decimal, heard, say, typed};

/// Those that have no control of their own in the bar or beside the chart.
fn knobs() -> impl Iterator<Item = &'static Knob> {
    KNOBS.iter().filter(|knob| knob.section == Section::Settings)
}

fn id(knob: &Knob) -> String {
    format!("knob-{}", knob.name)
}

/// Puts the fields into the document, unless a page before this one did.
pub fn build() {
    let list = dom::element("knobs");
    if list.child_element_count() > 0 {
        return;
    }
    for knob in knobs() {
        let id = id(knob);
        let is_named = !knob.values.names.is_empty();
        let label = dom::make("label", "", say(knob.label));
        let field = dom::make(if is_named { "select" } else { "input" }, "", "");
        for name in knob.values.names {
            let option = dom::make("option", "", say(name));
            dom::set_attribute(&option, "value", Some(name));
            dom::append(&field, &[&option]);
        }
        let (help, error) = (dom::make("p", "quiet", say(knob.meaning)), dom::make("p", "invalid", ""));
        dom::set_attribute(&label, "for", Some(&id));
        let mode = if knob.values.grain > 0.0 { "numeric" } else { "decimal" };
        let described = format!("{id}-help {id}-error");
        dom::set_attribute(&field, "id", Some(&id));
        dom::set_attribute(&field, "aria-describedby", Some(&described));
        if !is_named {
            dom::set_attribute(&field, "inputmode", Some(mode));
            dom::set_attribute(&field, "autocomplete", Some("off"));
        }
        dom::set_attribute(&help, "id", Some(&format!("{id}-help")));
        dom::set_attribute(&error, "id", Some(&format!("{id}-error")));
        dom::set_attribute(&error, "role", Some("alert"));
        let row = dom::make("div", "setting", "");
        dom::set_attribute(&row, "id", Some(&format!("setting-{}", knob.name)));
        dom::append(&row, &[&label, &field, &help, &error]);
        dom::append(&list, &[&row]);
    }
}

/// Sends the knob whose field was changed, or says beside it why the value cannot be used.
pub fn change(page: &mut Page, field: &str) {
    let Some(knob) = field.strip_prefix("knob-").and_then(Knob::named) else { return };
    let mut settings = page.state.settings;
    let text =
        if knob.values.names.is_empty() { typed(&dom::input(field).value()) } else { dom::select(field).value() };
    let outcome = settings.set_from_text(knob.name, text.trim());
    dom::set_attribute(&dom::element(field), "aria-invalid", outcome.is_err().then_some("true"));
    match outcome {
        Ok(()) => {
            dom::set_text(&format!("{field}-error"), "");
            page.request(Command::Configure(settings));
            address::write(&page.state);
        }
        Err(error) => dom::set_text(
            &format!("{field}-error"),
            &say!("{}. The old value stays in use.", heard(&error.to_string())),
        ),
    }
}

/// Shows the knobs of the stage in focus with the settings in use, but not over a value that is being typed or was
/// refused.
pub fn draw(state: &State) {
    let stage = state.focused;
    let is_shown = |knob: &Knob| knob.stages.contains(&stage);
    dom::set_text("settings-title", &say!("Settings of {}", say(stage.name())));
    dom::flag("no-settings", "hidden", knobs().any(is_shown));
    for knob in knobs() {
        dom::flag(&format!("setting-{}", knob.name), "hidden", !is_shown(knob));
        let id = id(knob);
        let text = knob.text(&state.settings);
        if !knob.values.names.is_empty() {
            dom::select(&id).set_value(&text);
        } else if !dom::element(&id).has_attribute("aria-invalid") {
            dom::write_unless_focused(&id, &decimal(text));
        }
    }
}

/// The setting of the knob `name` as the address has it.
pub fn text(name: &str, settings: &Settings) -> String {
    Knob::named(name).map_or_else(String::new, |knob| knob.text(settings))
}
