//! The bar, the slider, and every event but a key's: what the person does becomes a command.

use wasm_bindgen::JsCast;
use web_sys::{Element, Event as BrowserEvent, HtmlDialogElement, MouseEvent, PointerEvent};

use super::{
    Page, address, annotator, chart_files, clinic, clipboard, curves, dom, frontier, imported_runs, inside, pipeline,
    presentation, runs, settings, studies, sweep, tour, web_storage,
};
use crate::engine::protocol::{Command, Extent, Origin, Stage, StageKind, StageState, StageStatus};
use crate::page::model::clinic::Case;
use crate::page::model::guess::Guess;
use crate::page::model::state::{Export, State, Tint, Undo};
use crate::page::model::study::Study;
use crate::page::model::tour::Move;
use crate::page::model::view_id::View;
use crate::page::model::{badge, beta, export, format};
use klimb_charts::recorded::Ghosts;
use klimb_metrics::Method;
use klimb_numerics::rng::Generator;
use klimb_text::ConfigError;
use klimb_text::json;
use klimb_text::words::{say, typed};

const THEME: &str = "klimb-theme";
const GUESSED: &str = "klimb-guess";
const SINGLE_KEYS: &str = "klimb-single-keys";

/// Sorts an event of the document to what it means.
pub fn input(page: &mut Page, event: &BrowserEvent) {
    let Some(target) = event.target().and_then(|target| target.dyn_into::<Element>().ok()) else { return };
    if matches!(event.type_().as_str(), "click" | "focusin") && inside::look(page, &target) {
        return;
    }
    let button = target.closest("button").ok().flatten().unwrap_or(target);
    let id = button.id();
    match (event.type_().as_str(), id.as_str()) {
        (kind @ ("click" | "pointermove"), "frontier") => {
            let Some(pointer) = event.dyn_ref::<MouseEvent>() else { return };
            if kind == "click" && frontier::guess_at(page, pointer) {
                return;
            }
            frontier::point_at(page, pointer);
            if kind == "click" {
                runs::open_selected(page);
            }
        }
        // By the time it is drawn, the browser has opened or closed it.
        ("click", "curve-summary") => page.state.mark(&[View::Curves]),
        ("pointerout", "frontier") => frontier::select(page, None),
        ("click" | "pointermove", id) if id.starts_with("curve-") => {
            if let (Some(chart), Some(pointer)) = (id.strip_prefix("curve-"), event.dyn_ref::<MouseEvent>()) {
                curves::point_at(page, chart, pointer);
            }
        }
        // A finger that is lifted leaves the crosshair where it was, to be read.
        ("pointerout", id) if id.starts_with("curve-") && is_of_mouse(event) => curves::select(page, None),
        ("input", "smoothing") | ("change", "smoothing" | "logarithmic" | "also") => curves::change(page),
        ("click", id) => click(page, id),
        ("input", "beta") => drag_beta(page, dom::input("beta").value_as_number()),
        ("change", "beta") => release_beta(page),
        ("change", "seed" | "backend" | "width" | "breadth" | "pace") => change(page, &id),
        ("change", "recorded" | "read-off") => show_recorded(page),
        ("change", "tint") => tint(page),
        ("change", "single-keys") => {
            page.state.single_keys = dom::input("single-keys").checked();
            remember(SINGLE_KEYS, if page.state.single_keys { "on" } else { "off" });
        }
        ("change", "reading") => {
            if let Some(temperature) = json::number(&dom::select("reading").value()) {
                page.request(Command::ReadAt(temperature));
            }
        }
        ("change", id) if runs::change(page, id) => {}
        ("input", "annotator-flips") => annotator::set_flips(page),
        ("change", "annotator-flips") => {}
        ("change", id) => settings::change(page, id),
        ("submit", "guess") => {
            event.prevent_default();
            // No field of numbers: a browser refuses decimals that its own language does not write.
            let number = |id| json::number(typed(&dom::input(id).value()).trim()).unwrap_or(f64::NAN);
            frontier::guess(page, (number("guess-kl"), number("guess-reward")));
        }
        ("submit", "prompt-form") => {
            event.prevent_default();
            let prompt = dom::input("prompt").value().trim().to_ascii_lowercase();
            if !prompt.is_empty() {
                page.request(Command::SamplePrompt(prompt));
            }
        }
        _ => {}
    }
}

fn is_of_mouse(event: &BrowserEvent) -> bool {
    event.dyn_ref::<PointerEvent>().is_some_and(|pointer| pointer.pointer_type() == "mouse")
}

fn click(page: &mut Page, id: &str) {
    match id {
        "play" => play(page),
        "step" => step(page),
        "reset" => page.request(Command::Reset),
        "retrain" => page.request(Command::Retrain),
        "save-pairs" => page.request(Command::ExportPreferences),
        "generate-pairs" => page.request(Command::GeneratePreferences),
        "dice" => {
            page.state.settings.seed = Generator::new(js_sys::Date::now() as u64, "dice").below(10_000) as u32;
            settle(page);
        }
        "guess-skip" => {
            page.state.guess = Guess::Over;
            page.state.mark(&[View::Frontier]);
        }
        "undo" => undo(page),
        "share" => share(page),
        "by-hand-close" => dom::flag("by-hand", "hidden", true),
        "theme" => toggle_theme(page),
        "help" => show_keys(),
        "kept-resume" => {
            if let Some(command) = page.state.resume() {
                page.do_storage_tasks();
                page.request(command);
            }
        }
        "kept-discard" => {
            page.state.keeping.dismiss();
            page.do_storage_tasks();
            page.state.mark(&[View::Notices]);
        }
        "sweep" => sweep::press(page),
        "tour-act" => tour::act(page),
        "export-csv" | "export-json" | "export-script" => export_text(page, id),
        "export-svg" | "export-png" => {
            chart_files::save(page, &dom::select("export-chart").value(), id == "export-svg")
        }
        "win-rate-run" => page.request(Command::Contest(true)),
        "win-rate-cancel" => page.request(Command::Contest(false)),
        "scaling-run" => {
            let extent = if dom::input("scaling-full").checked() { Extent::Full } else { Extent::Small };
            page.request(Command::Scaling(Some(extent)));
        }
        "scaling-cancel" => page.request(Command::Scaling(None)),
        // Settings stand in the address, and of what is made nothing is there before the engine.
        "failure-again" => dom::reload(),
        "failure-dismiss" => {
            page.state.failure = None;
            page.state.mark(&[View::Notices]);
        }
        "taken-dismiss" => {
            page.state.accepted_files.clear();
            page.state.mark(&[View::Notices]);
        }
        id if presentation::click(page, id) || imported_runs::click(page, id) => {}
        id if runs::click(page, id) => {}
        id if id.starts_with("annotator-") => annotator::click(page, id),
        id => {
            if let Some(to) = Move::of_button(id) {
                return tour::go(page, to);
            }
            if let Some(case) = id.strip_prefix("run-").and_then(Case::named) {
                return clinic::run(page, case);
            }
            if id.strip_prefix("cure-").and_then(Case::named).is_some() {
                return clinic::cure(page);
            }
            let stage = |prefix| id.strip_prefix(prefix).and_then(pipeline::named);
            if let Some(study) = id.strip_prefix("tab-").and_then(Study::named) {
                studies::open(page, study);
            } else if let Some(stage) = stage("stage-") {
                page.request(Command::Focus(stage));
            } else if let Some(stage) = stage("step-") {
                page.request(Command::Focus(stage));
                page.request(Command::Step(stage));
            } else if let Some(stage) = stage("save-") {
                page.request(Command::ExportCheckpoint(stage));
            }
        }
    }
}

/// The numbers of this page, or a script for its run, as a file.
fn export_text(page: &mut Page, id: &str) {
    let (state, date) = (&page.state, String::from(js_sys::Date::new_0().to_iso_string()));
    let (what, ending, text) = match id {
        "export-csv" => ("run".to_owned(), "csv", export::csv(state, &date)),
        "export-json" => ("run".to_owned(), "json", export::json(state, &date)),
        _ => (format!("{}-trl", state.focused.id()), "py", export::script(state)),
    };
    let name = export::file_name(state, &what, ending);
    page.state.export = Some(Export::Document { name, text });
}

/// Shows the recorded runs that were chosen, and the paper's curves if they are wanted.
fn show_recorded(page: &mut Page) {
    page.state.recorded.shows_read_off = dom::input("read-off").checked();
    page.state.recorded.show(Ghosts::named(&dom::select("recorded").value()));
    page.state.mark(&[View::Frontier]);
}

/// Plays or pauses.
pub fn play(page: &mut Page) {
    page.request(if page.state.playing { Command::Pause } else { Command::Play });
}

/// One step of the stage in focus.
pub fn step(page: &mut Page) {
    page.request(Command::Step(page.state.focused));
}

/// Moves the slider without training: only π*'s marker and the labels follow.
pub fn drag_beta(page: &mut Page, position: f64) {
    let (from, to) = (page.state.dragged_beta, beta::at_position(position));
    let asked = page.state.guess;
    page.state.guess.moved(from, to, !page.state.optimum.is_empty());
    if asked == Guess::Unasked && page.state.guess != asked {
        remember(GUESSED, "asked");
    }
    page.state.dragged_beta = to;
    page.state.mark(&[View::Frontier, View::Controls, View::Runs]);
}

/// Takes the last reset or start back.
pub fn undo(page: &mut Page) {
    let said = match page.state.undo() {
        Some(Undo::Reset) => say("The reset is taken back."),
        Some(Undo::Start | Undo::Move) => say("What was trained before is back."),
        None => return,
    };
    page.request(Command::Undo);
    dom::set_text("said", said);
}

/// Sends β, which is under the finger no longer.
pub fn release_beta(page: &mut Page) {
    if page.state.dragged_beta != page.state.settings.beta {
        page.request(Command::SetBeta(page.state.dragged_beta));
        address::write(&page.state);
    }
}

fn change(page: &mut Page, id: &str) {
    let settings = &mut page.state.settings;
    let outcome = match id {
        "seed" => settings.set_from_text("seed", dom::input("seed").value().trim()),
        "backend" | "width" | "breadth" => settings.set_from_text(id, &dom::select(id).value()),
        _ => return page.request(Command::SetPace(json::number(&dom::select("pace").value()))),
    };
    match outcome {
        Ok(()) if id == "backend" => move_over(page),
        Ok(()) => settle(page),
        Err(error) => refuse(page, &error),
    }
}

fn refuse(page: &mut Page, error: &ConfigError) {
    page.state.apply(crate::engine::Event::Failure(crate::engine::protocol::Failure {
        sentence: format!("That cannot be used: {error}."),
        remedy: "The old value stays.".into(),
        field: Some(error.field.into()),
        stopped: false,
    }));
}

/// Another backend: the engine is built there as it was at its last point, and the choice stays in the address.
fn move_over(page: &mut Page) {
    address::write(&page.state);
    if page.is_engine_there {
        page.request(Command::MoveTo(page.state.settings));
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

fn tint(page: &mut Page) {
    page.state.tint = if dom::select("tint").value() == "ratio" { Tint::LogRatio } else { Tint::Sentiment };
    page.state.mark(&[View::Samples, View::Runs]);
}

/// Takes over what a page before this one left in the document: how things are looked at. What it alone knew is taken out.
pub fn take_over(page: &mut Page) {
    curves::change(page);
    show_recorded(page);
    tint(page);
    if let Some(open) =
        Study::ALL.into_iter().find(|study| !dom::element(&format!("view-{}", study.id())).has_attribute("hidden"))
    {
        page.state.study = open;
    }
    dom::set_attribute(&dom::element("frontier-rows"), "data-removals", None);
    dom::flag("former", "hidden", true);
    for said in ["former-said", "receipt-said"] {
        dom::set_text(said, "");
    }
}

/// Shows the list of keys.
pub fn show_keys() {
    if let Ok(dialog) = dom::element("keys").dyn_into::<HtmlDialogElement>()
        && !dialog.open()
    {
        // Fails only for a dialog that is open already.
        let _ = dialog.show_modal();
    }
}

/// Applies the theme chosen on an earlier visit, or the system's.
pub fn restore_theme() {
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
pub fn restore_single_keys() -> bool {
    let are_on = remembered(SINGLE_KEYS).is_none_or(|choice| choice != "off");
    dom::input("single-keys").set_checked(are_on);
    are_on
}

/// Whether the guess was asked for on an earlier visit.
pub fn restore_guess() -> Guess {
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
    page.redraw();
}

/// Writes the bar, the slider and the badge.
pub fn draw(state: &State) {
    let ready = state.ready.is_some();
    let trainable = ready && state.stage(state.focused).is_some_and(|stage| stage.state != StageState::Waiting);
    dom::set_text("play", if state.playing { say("Pause") } else { say("Play") });
    dom::flag("play", "disabled", !ready);
    dom::flag("step", "disabled", !trainable || state.playing);
    for id in ["reset", "load-sft"] {
        dom::flag(id, "disabled", !ready);
    }
    let pairs = state.stage(Stage::Pairs);
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
        if let Some(is_there) = state.stage(stage).and_then(is_there) {
            dom::flag(&format!("save-{}", stage.id()), "disabled", !is_there);
        }
    }
    settings::draw(state);
    dom::write_unless_focused("seed", &state.settings.seed.to_string());
    for id in ["backend", "width", "breadth"] {
        dom::select(id).set_value(&settings::text(id, &state.settings));
    }
    let slider = dom::input("beta");
    slider.set_value(&beta::position(state.dragged_beta).round().to_string());
    let value = format::beta(state.dragged_beta);
    dom::set_attribute(&slider, "aria-valuetext", Some(&format!("β {value}")));
    dom::set_text("beta-value", &value);
    // Until there is something to say, www/boot.js says how far the start is.
    if let Some(words) = badge::words(state) {
        dom::set_text("badge", &words);
    }
}
