//! The bar and the slider.

use wasm_bindgen::JsCast;
use web_sys::HtmlDialogElement;

use super::action::run;
use super::{Act, Action, On, Page, View, address, clipboard, dom, settings, web_storage};
use crate::engine::protocol::{Command, Origin, Stage, StageKind, StageState, StageStatus};
use crate::page::model::change::Change;
use crate::page::model::guess::Guess;
use crate::page::model::state::State;
use crate::page::model::{badge, beta, format};
use klimb_metrics::Method;
use klimb_numerics::rng::Generator;
use klimb_text::ConfigError;
use klimb_text::json;
use klimb_text::words::say;

const THEME: &str = "klimb-theme";
const GUESSED: &str = "klimb-guess";
const SINGLE_KEYS: &str = "klimb-single-keys";

/// The bar and the slider.
pub struct Controls;

const ACTIONS: &[Action<Controls>] = &[
    Action::click("play", |_, page, _| play(page)),
    Action::click("step", |_, page, _| page.request(Command::Step(page.state.training.focused))),
    Action::click("reset", |_, page, _| page.request(Command::Reset)),
    Action::change("set-pace", |_, page, _| page.request(Command::SetPace(json::number(&dom::select("pace").value())))),
    Action::change("change-setup", |_, page, act| change(page, &act.value)),
    Action::click("draw-seed", |_, page, _| {
        page.state.training.settings.seed = Generator::new(js_sys::Date::now() as u64, "dice").below(10_000) as u32;
        settle(page);
    }),
    Action::on(&[On::Input], "beta", |_, page, _| drag_beta(page, dom::input("beta").value_as_number())),
    Action::change("beta", |_, page, _| release_beta(page)),
    Action::click("beta-by", |_, page, act| {
        // By a key, in steps of the slider.
        let by = json::number(&act.value).unwrap_or_default();
        drag_beta(page, beta::position(page.state.training.dragged_beta).round() + by);
        release_beta(page);
    }),
    Action::click("copy-link", |_, page, _| share(page)),
    Action::click("close-link", |_, _, _| dom::flag("by-hand", "hidden", true)),
    Action::click("switch-theme", |_, page, _| toggle_theme(page)),
    Action::click("show-keys", |_, _, _| show_keys()),
    Action::change("set-single-keys", |_, page, _| {
        page.single_keys = dom::input("single-keys").checked();
        remember(SINGLE_KEYS, if page.single_keys { "on" } else { "off" });
    }),
];

impl View for Controls {
    fn shows(&self) -> &'static [Change] {
        use Change::{Beta, Failure, Fetching, Guess, Playing, Requests, Stages};
        &[Requests, Fetching, Playing, Stages, Failure, Beta, Guess]
    }

    fn build(&mut self, page: &mut Page) {
        restore_theme();
        page.state.frontier.guess = restore_guess();
        page.single_keys = restore_single_keys();
    }

    fn draw(&mut self, page: &mut Page) {
        draw(&page.state);
    }

    fn act(&mut self, page: &mut Page, act: &Act) -> bool {
        run(ACTIONS, self, page, act)
    }
}

/// Plays or pauses.
fn play(page: &mut Page) {
    page.request(if page.state.training.playing { Command::Pause } else { Command::Play });
}

/// Moves the slider without training: only π*'s marker and the labels follow.
fn drag_beta(page: &mut Page, position: f64) {
    let (from, to) = (page.state.training.dragged_beta, beta::at_position(position));
    let asked = page.state.frontier.guess;
    page.state.frontier.guess.moved(from, to, !page.state.results.optimum.is_empty());
    if asked == Guess::Unasked && page.state.frontier.guess != asked {
        remember(GUESSED, "asked");
    }
    page.state.training.dragged_beta = to;
    page.state.mark(Change::Beta);
}

/// Sends β, which is under the finger no longer.
fn release_beta(page: &mut Page) {
    if page.state.training.dragged_beta != page.state.training.settings.beta {
        page.request(Command::SetBeta(page.state.training.dragged_beta));
        address::write(&page.state);
    }
}

fn change(page: &mut Page, id: &str) {
    let settings = &mut page.state.training.settings;
    let outcome = match id {
        "seed" => settings.set_from_text("seed", dom::input("seed").value().trim()),
        name => settings.set_from_text(name, &dom::select(name).value()),
    };
    match outcome {
        Ok(()) if id == "backend" => move_over(page),
        Ok(()) => settle(page),
        Err(error) => refuse(page, &error),
    }
}

fn refuse(page: &mut Page, error: &ConfigError) {
    page.state.apply(crate::engine::Event::Failure(crate::engine::protocol::Failure {
        sentence: message!("That cannot be used: {}.", error.message()),
        remedy: message!("The old value stays."),
        field: Some(error.field.into()),
        stopped: false,
    }));
}

/// Another backend: the engine is built there as it was at its last point, and the choice stays in the address.
fn move_over(page: &mut Page) {
    address::write(&page.state);
    if page.is_engine_there {
        page.request(Command::MoveTo(page.state.training.settings));
    } else {
        page.rebuild();
    }
}

/// A new seed, width or breadth: start over with it, and keep it in the address.
fn settle(page: &mut Page) {
    address::write(&page.state);
    page.restart();
}

fn share(page: &mut Page) {
    address::write(&page.state);
    let link = address::link(&page.state);
    clipboard::copy(&link.clone(), move |is_copied| {
        dom::flag("by-hand", "hidden", is_copied);
        dom::set_text("share", if is_copied { say("Copied") } else { say("Copy link") });
        if is_copied {
            dom::set_text("said", say("Link copied: it holds the seed and every setting."));
        } else {
            let field = dom::input("by-hand-link");
            field.set_value(&link);
            dom::focus("by-hand-link");
            field.select();
        }
    });
}

/// Shows the list of keys.
fn show_keys() {
    if let Ok(dialog) = dom::element("keys").dyn_into::<HtmlDialogElement>()
        && !dialog.open()
    {
        // Fails only for a dialog that is open already.
        let _ = dialog.show_modal();
    }
}

/// Applies the theme chosen on an earlier visit, or the system's.
fn restore_theme() {
    let dark = remembered(THEME).map_or_else(dom::prefers_dark, |theme| theme == "dark");
    set_theme(dark);
}

/// What an earlier visit left in the browser's storage.
fn remembered(name: &str) -> Option<String> {
    web_storage::read(web_storage::local(), name)
}

fn remember(name: &str, value: &str) {
    web_storage::write(web_storage::local(), name, Some(value));
}

/// Whether single keys are obeyed, as was chosen on an earlier visit.
fn restore_single_keys() -> bool {
    let are_on = remembered(SINGLE_KEYS).is_none_or(|choice| choice != "off");
    dom::input("single-keys").set_checked(are_on);
    are_on
}

/// Whether the guess was asked for on an earlier visit.
fn restore_guess() -> Guess {
    if remembered(GUESSED).is_some() { Guess::Over } else { Guess::Unasked }
}

fn set_theme(dark: bool) {
    if let Some(root) = dom::document().document_element() {
        dom::set_attribute(&root, "data-theme", Some(if dark { "dark" } else { "light" }));
    }
    dom::set_text("theme", if dark { say("Light") } else { say("Dark") });
}

fn toggle_theme(page: &mut Page) {
    let dark = !dom::is_dark();
    set_theme(dark);
    remember(THEME, if dark { "dark" } else { "light" });
    page.state.mark(Change::Charts);
}

/// Writes the bar, the slider and the badge.
fn draw(state: &State) {
    let ready = state.training.ready.is_some();
    let trainable =
        ready && state.training.stage(state.training.focused).is_some_and(|stage| stage.state != StageState::Waiting);
    dom::set_text("play", if state.training.playing { say("Pause") } else { say("Play") });
    dom::flag("play", "disabled", !ready);
    dom::flag("step", "disabled", !trainable || state.training.playing);
    for id in ["reset", "load-sft"] {
        dom::flag(id, "disabled", !ready);
    }
    let pairs = state.training.stage(Stage::Pairs);
    let are_loaded = pairs.is_some_and(|pairs| pairs.origin == Origin::Loaded);
    dom::flag("save-pairs", "disabled", !(are_loaded || pairs.is_some_and(|pairs| pairs.steps > 0)));
    dom::flag("generate-pairs", "disabled", !are_loaded);
    for stage in Stage::ALL {
        let is_there = |status: &StageStatus| match stage.kind() {
            StageKind::RewardModel => Some(status.state == StageState::Done),
            // It is there from the beginning, as the reference.
            StageKind::Policy(Method::Dpo) => Some(ready),
            StageKind::Policy(_) => Some(status.steps > 0),
            StageKind::Sft => Some(ready),
            StageKind::Base | StageKind::Pairs | StageKind::BestOfN => None,
        };
        if let Some(is_there) = state.training.stage(stage).and_then(is_there) {
            dom::flag(&format!("save-{}", stage.id()), "disabled", !is_there);
        }
    }
    dom::write_unless_focused("seed", &state.training.settings.seed.to_string());
    for id in ["backend", "width", "breadth"] {
        dom::select(id).set_value(&settings::text(id, &state.training.settings));
    }
    let slider = dom::input("beta");
    slider.set_value(&beta::position(state.training.dragged_beta).round().to_string());
    let value = format::beta(state.training.dragged_beta);
    dom::set_attribute(&slider, "aria-valuetext", Some(&format!("β {value}")));
    dom::set_text("beta-value", &value);
    // Until there is something to say, www/boot.js says how far the start is.
    if let Some(words) = badge::words(state) {
        dom::set_text("badge", &words);
    }
}
