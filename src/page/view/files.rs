//! Files that were chosen or dropped on the page.

use js_sys::{Array, Uint8Array};
use wasm_bindgen::JsCast;

use super::{Page, imported_runs, receipts};
use crate::engine::protocol::{Command, Event, Failure};
use crate::page::model::change::Change;
use crate::page::model::chosen_files::{Chosen, Content, sorted};
use crate::page::model::file_kind::FileKind;
use crate::page::model::submitted_files::refused;

/// Takes up what can be used, each by what is inside of it, and names the rest. `contents` has, for each name, bytes, or their
/// number where they are too many, or why they could not be read.
pub fn take(page: &mut Page, names: Vec<String>, contents: Array) {
    let content = |it: wasm_bindgen::JsValue| match (it.as_f64(), it.as_string()) {
        (Some(bytes), _) => Content::TooLarge(bytes),
        (_, Some(reason)) => Content::Unreadable(reason),
        _ => Content::Bytes(it.unchecked_into::<Uint8Array>().to_vec()),
    };
    page.state.files.accepted.clear();
    page.state.mark(Change::Notices);
    if names.is_empty() {
        return page.state.apply(Event::Failure(no_file()));
    }
    let (chosen, mut problems) = sorted(names.into_iter().zip(contents.iter().map(content)).collect());
    let (mut taken, mut waiting) = (0, Vec::new());
    for Chosen { name, kind, bytes } in chosen {
        let request = page.state.next_request();
        let result = match kind {
            FileKind::Checkpoint => {
                waiting.push((request, name.clone()));
                page.request(Command::LoadCheckpoint(bytes));
                Ok(())
            }
            FileKind::Pairs => {
                waiting.push((request, name.clone()));
                page.request(Command::LoadPreferences(bytes));
                Ok(())
            }
            FileKind::Numbers => imported_runs::take(page, &name, &bytes),
            FileKind::Receipts => receipts::take(page, &name, &bytes),
            // These have been refused.
            FileKind::Study | FileKind::Table | FileKind::Empty | FileKind::Other => continue,
        };
        match result {
            Ok(()) => taken += 1,
            Err(reason) => problems.push(refused(&name, reason)),
        }
    }
    if let Some(failure) = page.state.files.submitted.add(taken, waiting, problems) {
        page.state.apply(Event::Failure(failure));
    }
}

/// What was dropped is a text or a link.
fn no_file() -> Failure {
    Failure {
        sentence: message!("Nothing that was dropped here is a file."),
        remedy: message!("Save it as a file first; receipts can also be pasted as text, under Receipts."),
        field: Some("files".into()),
        stopped: false,
    }
}
