//! Progress of longer works, failures in one sentence with their remedy, and files to keep.

use js_sys::Date;
use wasm_bindgen::JsCast;
use web_sys::{Blob, HtmlAnchorElement, Url};

use super::kept::Keeping;
use super::state::{Export, State};
use super::view::View;
use super::{dom, format};
use crate::charts::ChartError;
use crate::engine::protocol::{Failure, Work};
use crate::words::{heard, say};

/// Writes progress and failure.
pub fn draw(state: &State) {
    // What trains or measures on the pipeline's behalf is told before an experiment beside it.
    let shown = state.works.values().find(|it| it.work != Work::Sweep);
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
    draw_kept(&state.keeping);
    dom::flag("failure", "hidden", state.failure.is_none());
    dom::flag("failure-again", "hidden", !state.has_not_started());
    if let Some(failure) = &state.failure {
        dom::set_text("failure-sentence", &heard(&failure.sentence));
        dom::set_text("failure-remedy", &heard(&failure.remedy));
    }
}

/// Offers the run of an earlier visit, or says why none is kept.
fn draw_kept(keeping: &Keeping) {
    let text = match (&keeping.offer, keeping.trouble()) {
        (Some(earlier), _) if earlier.is_open => {
            let (when, run) = (moment(earlier.when), earlier.words());
            say!("Resume a copy of the run of {} ({}), which is open in another tab?", when, run)
        }
        (Some(earlier), _) => say!("Resume the run of {} ({})?", moment(earlier.when), earlier.words()),
        (None, Some(trouble)) => heard(trouble),
        (None, None) => String::new(),
    };
    dom::flag("kept", "hidden", text.is_empty());
    dom::flag("kept-resume", "hidden", keeping.offer.is_none());
    let is_closed = keeping.offer.as_ref().is_some_and(|earlier| !earlier.is_open);
    dom::set_text("kept-discard", if is_closed { say("Discard") } else { say("Dismiss") });
    if !text.is_empty() && dom::element("kept-summary").text_content().as_ref() != Some(&text) {
        dom::set_text("said", &text);
    }
    dom::set_text("kept-summary", &text);
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

/// Says once that a chart could not be drawn: the numbers in it are not finite, so training broke down.
pub fn chart_failed(state: &mut State, error: &ChartError) {
    if state.failure.is_none() {
        state.failure = Some(Failure {
            sentence: format!("The chart stands still: {error}."),
            remedy: "Lower the learning rate or raise β, then press Reset.".into(),
            field: None,
            stopped: false,
        });
        state.mark(&[View::Notices]);
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
    if let Ok(blob) = Blob::new_with_u8_array_sequence(&parts) {
        offer(&name, &blob);
    }
}

/// Lets the browser save a file, and says so.
pub fn offer(name: &str, blob: &Blob) {
    let Ok(address) = Url::create_object_url_with_blob(blob) else { return };
    // Not put into the document, so that its click reaches no listener of ours.
    if let Ok(link) = dom::make("a", "", "").dyn_into::<HtmlAnchorElement>() {
        link.set_href(&address);
        link.set_download(name);
        link.click();
    }
    // Chrome and Firefox hold the download's data from the click on.
    let _ = Url::revoke_object_url(&address);
    dom::set_text("said", &say!("Saved as {}.", name));
}
