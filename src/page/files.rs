//! Files that were chosen or dropped on the page.

use js_sys::{Array, Uint8Array};
use wasm_bindgen::JsCast;

use super::chosen::{Chosen, Content, sorted};
use super::file_kind::FileKind;
use super::{Page, former, lectern};
use crate::engine::protocol::{Command, Event, Failure};
use klimb_text::words::key;

/// Where a reader of pairs finds something, as it says it within its sentences.
const _: [&str; 2] = [key("line {}"), key("pair {}")];

/// Takes up what can be used, each by what is inside of it, and names the rest. `contents` has, for each name, bytes, or their
/// number where they are too many, or why they could not be read.
pub fn take(page: &mut Page, names: Vec<String>, contents: Array) {
    let content = |it: wasm_bindgen::JsValue| match (it.as_f64(), it.as_string()) {
        (Some(bytes), _) => Content::TooLarge(bytes),
        (_, Some(reason)) => Content::Unreadable(reason),
        _ => Content::Bytes(it.unchecked_into::<Uint8Array>().to_vec()),
    };
    let (chosen, problems) = sorted(names.into_iter().zip(contents.iter().map(content)).collect());
    let is_all = chosen.is_empty();
    for Chosen { name, kind, bytes } in chosen {
        match kind {
            FileKind::Checkpoint => page.order(Command::LoadCheckpoint(bytes)),
            FileKind::Pairs => page.order(Command::LoadPreferences(bytes)),
            FileKind::Numbers => former::view::take(page, &name, &bytes),
            FileKind::Receipts => lectern::take(page, &name, &bytes),
            FileKind::Table | FileKind::Empty | FileKind::Other => {}
        }
    }
    if !problems.is_empty() {
        let remedy = if is_all { "Nothing was replaced." } else { "What else was chosen with it has been taken up." };
        page.state.apply(Event::Failure(Failure {
            sentence: format!("That could not be used: {}.", problems.join("; ")),
            remedy: remedy.into(),
            field: Some("checkpoint".into()),
            stopped: false,
        }));
    }
}
