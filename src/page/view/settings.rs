//! The fields of the other knobs, built from the engine's table: label, help, and what is wrong with a value.

use std::collections::BTreeSet;

use super::action::run;
use super::{Act, Action, Page, View, address, dom};
use crate::engine::protocol::Command;
use crate::engine::settings::{self, KNOBS, Knob, Section};
use crate::page::model::change::Change;
use crate::page::model::state::State;
use klimb_text::words::{decimal, say, typed};

/// The fields of the knobs.
#[derive(Default)]
pub struct Settings {
    /// The knobs whose field has a value that was refused: it stays there, to be mended.
    refused: BTreeSet<&'static str>,
}

const ACTIONS: &[Action<Settings>] = &[Action::change("change-knob", |view, page, act| {
    if let Some(knob) = Knob::named(&act.value) {
        view.change(page, knob);
    }
})];

impl View for Settings {
    fn shows(&self) -> &'static [Change] {
        use Change::{Beta, Failure, Fetching, Guess, Playing, Requests, Stages};
        &[Requests, Fetching, Playing, Stages, Failure, Beta, Guess]
    }

    fn build(&mut self, _page: &mut Page) {
        build();
    }

    /// What a field shows is the setting in use then: what was refused is gone with the page that refused it.
    fn take_over(&mut self, _page: &mut Page) {
        for id in knobs().map(id) {
            dom::set_attribute(&dom::element(&id), "aria-invalid", None);
            dom::set_text(&format!("{id}-error"), "");
        }
    }

    fn draw(&mut self, page: &mut Page) {
        self.write(&page.state);
    }

    fn act(&mut self, page: &mut Page, act: &Act) -> bool {
        run(ACTIONS, self, page, act)
    }
}

/// Those that have no control of their own in the bar or beside the chart.
fn knobs() -> impl Iterator<Item = &'static Knob> {
    KNOBS.iter().filter(|knob| knob.section == Section::Settings)
}

fn id(knob: &Knob) -> String {
    format!("knob-{}", knob.name)
}

/// Puts the fields into the document, unless a page before this one did.
fn build() {
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
        dom::set_attribute(&field, "data-action", Some("change-knob"));
        dom::set_attribute(&field, "data-value", Some(knob.name));
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

impl Settings {
    /// Sends the knob whose field was changed, or says beside it why the value cannot be used.
    fn change(&mut self, page: &mut Page, knob: &'static Knob) {
        let field = &id(knob);
        let mut settings = page.state.training.settings;
        let text =
            if knob.values.names.is_empty() { typed(&dom::input(field).value()) } else { dom::select(field).value() };
        let outcome = settings.set_from_text(knob.name, text.trim());
        dom::set_attribute(&dom::element(field), "aria-invalid", outcome.is_err().then_some("true"));
        match outcome {
            Ok(()) => {
                self.refused.remove(knob.name);
                dom::set_text(&format!("{field}-error"), "");
                page.request(Command::Configure(settings));
                address::write(&page.state);
            }
            Err(error) => {
                self.refused.insert(knob.name);
                dom::set_text(
                    &format!("{field}-error"),
                    &say!("{}. The old value stays in use.", error.message().said()),
                );
            }
        }
    }

    /// Shows the knobs of the stage in focus with the settings in use, but not over a value that is being typed or was
    /// refused.
    fn write(&self, state: &State) {
        let stage = state.training.focused;
        let is_shown = |knob: &Knob| knob.stages.contains(&stage);
        dom::set_text("settings-title", &say!("Settings of {}", say(stage.name())));
        dom::flag("no-settings", "hidden", knobs().any(is_shown));
        for knob in knobs() {
            dom::flag(&format!("setting-{}", knob.name), "hidden", !is_shown(knob));
            let id = id(knob);
            let text = knob.text(&state.training.settings);
            if !knob.values.names.is_empty() {
                dom::select(&id).set_value(&text);
            } else if !self.refused.contains(knob.name) {
                dom::write_unless_focused(&id, &decimal(text));
            }
        }
    }
}

/// The setting of the knob `name` as the address has it.
pub fn text(name: &str, settings: &settings::Settings) -> String {
    Knob::named(name).map_or_else(String::new, |knob| knob.text(settings))
}
