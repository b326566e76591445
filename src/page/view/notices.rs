//! Progress of longer works, failures in one sentence with their remedy, and files to keep.

use std::cell::RefCell;

use js_sys::Date;
use wasm_bindgen::prelude::*;
use web_sys::{Blob, HtmlAnchorElement, Url};

use super::action::run;
use super::{Act, Action, Page, View, animation_frames, dom};
use crate::engine::protocol::{Command, Failure, Work};
use crate::page::model::change::Change;
use crate::page::model::format;
use crate::page::model::saved_session::SessionKeeping;
use crate::page::model::state::{Export, State, Undo};
use klimb_charts::ChartError;
use klimb_text::Message;
use klimb_text::words::say;

/// Milliseconds after which the data of a download is let go.
const REVOKED_AFTER: i32 = 60_000;

thread_local! {
    static TOLD: RefCell<Option<Failure>> = const { RefCell::new(None) };
}

/// Progress, failures, and what is offered.
#[derive(Default)]
pub struct Notices {
    /// What was told last to whoever does not see it: of accepted files, and of the run that is offered.
    told_accepted: String,
    told_saved: String,
    is_undo_offered: bool,
}

const ACTIONS: &[Action<Notices>] = &[
    Action::click("undo", |_, page, _| undo(page)),
    Action::click("resume-run", |_, page, _| {
        if let Some(command) = page.state.resume() {
            page.do_storage_tasks();
            page.request(command);
        }
    }),
    Action::click("discard-run", |_, page, _| {
        page.state.keeping.dismiss();
        page.do_storage_tasks();
        page.state.mark(Change::Notices);
    }),
    // Settings stand in the address, and of what is made nothing is there before the engine.
    Action::click("start-again", |_, _, _| dom::reload()),
    Action::click("dismiss-failure", |_, page, _| {
        page.state.failure = None;
        page.state.mark(Change::Notices);
    }),
    Action::click("dismiss-accepted", |_, page, _| {
        page.state.files.accepted.clear();
        page.state.mark(Change::Notices);
    }),
];

impl View for Notices {
    fn shows(&self) -> &'static [Change] {
        &[Change::Notices, Change::Works, Change::Failure]
    }

    fn draw(&mut self, page: &mut Page) {
        let state = &page.state;
        draw_progress(state);
        self.draw_accepted(&state.files.accepted);
        self.draw_saved(&state.keeping);
        self.draw_undo(state);
        dom::flag("failure", "hidden", state.failure.is_none());
        dom::flag("failure-again", "hidden", !state.has_not_started());
        if let Some(failure) = &state.failure {
            dom::set_text("failure-sentence", &failure.sentence.said());
            dom::set_text("failure-remedy", &failure.remedy.said());
        }
    }

    fn act(&mut self, page: &mut Page, act: &Act) -> bool {
        run(ACTIONS, self, page, act)
    }
}

/// Takes the last reset or start back.
fn undo(page: &mut Page) {
    let said = match page.state.undo() {
        Some(Undo::Reset) => say("The reset is taken back."),
        Some(Undo::Start | Undo::Move) => say("What was trained before is back."),
        None => return,
    };
    page.request(Command::Undo);
    dom::set_text("said", said);
}

/// Writes how far the longer works are.
fn draw_progress(state: &State) {
    // What trains or measures on the pipeline's behalf is told before an experiment beside it.
    let shown = state.training.works.values().find(|it| it.work != Work::Sweep);
    dom::flag("work", "hidden", shown.is_none());
    if let Some(progress) = shown {
        let label = match progress.work {
            Work::Sft => say("Training SFT from the base model"),
            Work::Pairs => say("Writing preference pairs"),
            Work::RewardModel => say("Training the reward model"),
            Work::Optimum => say("Sampling the reference for the optimum"),
            Work::Evaluation => say("Evaluating the policy"),
            Work::Contest => say("Writing against the grammar"),
            Work::BestOfN => say("Drawing completions to choose from"),
            Work::Scaling => say("Training models of several sizes"),
            Work::Sweep => say("Sweeping β"),
        };
        dom::set_text("progress-label", label);
        let share = progress.done as f64 / progress.total.max(1) as f64;
        dom::set_attribute(&dom::element("progress"), "value", Some(&format!("{share:.3}")));
        dom::set_text("progress-left", &progress.seconds_left.map_or_else(String::new, format::seconds_left));
    }
}

impl Notices {
    /// Says what was taken up of the files that were handed over last.
    fn draw_accepted(&mut self, accepted: &[String]) {
        let text = accepted.join(" ");
        dom::flag("taken", "hidden", text.is_empty());
        if !text.is_empty() && self.told_accepted != text {
            dom::set_text("said", &text);
        }
        dom::set_text("taken-sentence", &text);
        self.told_accepted = text;
    }

    /// Offers the run of an earlier visit, and says what went wrong with keeping.
    fn draw_saved(&mut self, keeping: &SessionKeeping) {
        let trouble = keeping.trouble().map(Message::said);
        let offer = keeping.offer.as_ref().map(|earlier| match &**earlier {
            earlier if earlier.is_open => {
                let (when, run) = (moment(earlier.when), earlier.words());
                say!("Resume a copy of the run of {} ({}), which is open in another tab?", when, run)
            }
            earlier if keeping.asks_again() => {
                let (when, run) = (moment(earlier.when), earlier.words());
                say!(
                    "Discard the run of {} ({})? If it is open in another tab, a reload there will no longer find it.",
                    when,
                    run
                )
            }
            earlier if earlier.may_be_open => {
                let (when, run) = (moment(earlier.when), earlier.words());
                say!("Resume a copy of the run of {} ({}), which may be open in another tab?", when, run)
            }
            earlier => say!("Resume the run of {} ({})?", moment(earlier.when), earlier.words()),
        });
        let text = [trouble, offer].into_iter().flatten().collect::<Vec<_>>().join(" ");
        dom::flag("kept", "hidden", text.is_empty());
        dom::flag("kept-resume", "hidden", keeping.offer.is_none());
        let is_closed = keeping.offer.as_ref().is_some_and(|earlier| !earlier.is_open);
        dom::set_text("kept-discard", if is_closed { say("Discard") } else { say("Dismiss") });
        if !text.is_empty() && self.told_saved != text {
            dom::set_text("said", &text);
        }
        dom::set_text("kept-summary", &text);
        self.told_saved = text;
    }

    /// Offers to take back what can be, and says so once to whoever does not see it.
    fn draw_undo(&mut self, state: &State) {
        let (what, said) = match state.undo() {
            None => {
                self.is_undo_offered = false;
                return dom::flag("undo-notice", "hidden", true);
            }
            Some(Undo::Reset) => (say("Reset."), say("Reset. Undo takes it back, until the next step.")),
            Some(Undo::Start) => (
                say("Started over."),
                say("Started over. Undo brings back what was trained before, until the next step."),
            ),
            Some(Undo::Move) => (
                say("The engine was built again where you chose, as it was at its last point. Press Play to go on."),
                say(
                    "The engine was built again where you chose, as it was at its last point. Undo brings back the one before, until the next step.",
                ),
            ),
        };
        let is_news = !std::mem::replace(&mut self.is_undo_offered, true);
        dom::flag("undo-notice", "hidden", false);
        dom::set_text("undo-what", what);
        if is_news {
            dom::set_text("said", said);
        }
    }
}

/// A moment by the person's clock: the time, and the day where it is not today.
fn moment(milliseconds: f64) -> String {
    let (then, now) = (Date::new(&milliseconds.into()), Date::new_0());
    let time = format!("{:02}:{:02}", then.get_hours(), then.get_minutes());
    let day = |date: &Date| (date.get_full_year(), date.get_month() + 1, date.get_date());
    match day(&then) {
        its if its == day(&now) => time,
        (year, month, day) => format!("{year}-{month:02}-{day:02}, {time}"),
    }
}

/// Says once that a chart could not be drawn because the numbers in it are not finite, so that training broke down. What
/// a browser does not draw is told in the chart's place.
pub fn chart_failed(state: &mut State, error: &ChartError) {
    if state.failure.is_none() {
        state.failure = Some(Failure {
            sentence: message!("The chart stands still: {}.", error.message()),
            remedy: message!("Lower the learning rate or raise β, then press Reset."),
            field: None,
            stopped: false,
        });
        state.mark(Change::Notices);
    }
}

/// Hands a file to the person.
pub fn save(export: &Export) {
    let (name, bytes) = match export {
        Export::Checkpoint(stage, bytes) => (format!("klimb-{}.safetensors", stage.id()), bytes.as_slice()),
        Export::Preferences(lines) => ("klimb-pairs.jsonl".into(), lines.as_bytes()),
        Export::Document { name, text } => (name.clone(), text.as_bytes()),
    };
    let parts = js_sys::Array::of1(&js_sys::Uint8Array::from(bytes));
    match Blob::new_with_u8_array_sequence(&parts) {
        Ok(blob) => offer(&name, &blob),
        Err(error) => tell(unsaved(&name, &error)),
    }
}

/// Lets the browser save a file, and says so.
pub fn offer(name: &str, blob: &Blob) {
    let address = match Url::create_object_url_with_blob(blob) {
        Ok(address) => address,
        Err(error) => return tell(unsaved(name, &error)),
    };
    // Not put into the document, so that its click reaches no listener of ours.
    if let Ok(link) = dom::make("a", "", "").dyn_into::<HtmlAnchorElement>() {
        link.set_href(&address);
        link.set_download(name);
        link.click();
    }
    dom::set_text("said", &say!("Saved as {}.", name));
    // Chrome and Firefox hold the download's data from the click on; Safari asks for it later, and a person may be asked
    // where to save it first.
    let revoke = Closure::once_into_js(move || {
        // An address that is revoked already is no trouble.
        let _ = Url::revoke_object_url(&address);
    });
    // Without it, the data stays as long as the page.
    let _ = dom::window().set_timeout_with_callback_and_timeout_and_arguments_0(revoke.unchecked_ref(), REVOKED_AFTER);
}

fn unsaved(name: &str, error: &JsValue) -> Failure {
    let reason = js_sys::Reflect::get(error, &"message".into()).ok().and_then(|message| message.as_string());
    let reason = reason.map_or_else(|| message!("it does not say why"), Message::verbatim);
    Failure {
        sentence: message!("The browser did not save {} ({}).", name, reason),
        remedy: message!("Try again, or in another browser; nothing of it is lost here."),
        field: None,
        stopped: false,
    }
}

/// A chart that the browser did not turn into pixels.
pub fn no_picture() -> Failure {
    Failure {
        sentence: message!("The browser could not make the picture."),
        remedy: message!("Save it as SVG instead."),
        field: None,
        stopped: false,
    }
}

/// Notes a failure to be shown with the next frame, from where the page's state is out of reach.
pub fn tell(failure: Failure) {
    TOLD.with(|told| *told.borrow_mut() = Some(failure));
    animation_frames::ask();
}

/// The failure that was noted last.
pub fn take_told() -> Option<Failure> {
    TOLD.with(|told| told.borrow_mut().take())
}
