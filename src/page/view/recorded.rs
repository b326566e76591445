//! The recorded files, fetched from beside the page once the engine is there.

use std::cell::RefCell;
use std::rc::Rc;

use js_sys::Promise;
use wasm_bindgen::prelude::*;
use wasm_bindgen_futures::{JsFuture, spawn_local};
use web_sys::Response;

use super::animation_frames;
use klimb_charts::recorded::Recording;
use klimb_text::Message;

#[wasm_bindgen]
extern "C" {
    // Unlike the crate's own, it catches what a replaced `fetch` throws: extensions put their own in its place.
    #[wasm_bindgen(catch)]
    fn fetch(path: &str) -> Result<JsValue, JsValue>;
}

/// What has arrived and has not been looked at yet.
pub type Inbox = Rc<RefCell<Vec<(Recording, Result<[String; 2], Message>)>>>;

/// Asks for every recording; each lands in the inbox when its files are there, or with the reason why they are not.
pub fn all(inbox: &Inbox) {
    for recording in Recording::ALL {
        let inbox = inbox.clone();
        spawn_local(async move {
            let files = both(recording.files()).await;
            inbox.borrow_mut().push((recording, files));
            animation_frames::ask();
        });
    }
}

async fn both([table, run]: [&str; 2]) -> Result<[String; 2], Message> {
    Ok([file(table).await?, file(run).await?])
}

async fn file(path: &str) -> Result<String, Message> {
    let unreadable = |error: JsValue| match error.as_string() {
        Some(reason) => Message::verbatim(reason),
        None if error.is_undefined() || error.is_null() => message!("the browser gave no answer"),
        None => Message::verbatim(format!("{error:?}")),
    };
    let promise: Promise =
        fetch(&format!("www/assets/recorded/{path}")).and_then(JsCast::dyn_into).map_err(unreadable)?;
    let answer: Response = JsFuture::from(promise).await.and_then(JsCast::dyn_into).map_err(unreadable)?;
    if !answer.ok() {
        return Err(Message::verbatim(format!("{} {}", answer.status(), answer.status_text())));
    }
    let text: Promise = answer.text().and_then(|text| JsValue::from(text).dyn_into()).map_err(unreadable)?;
    let text = JsFuture::from(text).await.map_err(unreadable)?;
    text.as_string().ok_or_else(|| message!("it is not text"))
}
