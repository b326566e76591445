//! The clipboard, which a browser may lack (a page over plain http has none) or refuse.

use js_sys::Promise;
use wasm_bindgen::prelude::*;
use wasm_bindgen_futures::{JsFuture, spawn_local};

#[wasm_bindgen]
extern "C" {
    // Unlike the crate's own, it catches what is thrown where there is no clipboard, and believes no answer unseen.
    #[wasm_bindgen(catch, js_namespace = ["navigator", "clipboard"], js_name = writeText)]
    fn write_text(text: &str) -> Result<JsValue, JsValue>;
}

/// Copies a text, and lets `then` know whether that was done, once the browser has said so.
pub fn copy(text: &str, then: impl FnOnce(bool) + 'static) {
    let promise = write_text(text).and_then(JsCast::dyn_into::<Promise>);
    spawn_local(async move {
        let is_copied = match promise {
            Ok(promise) => JsFuture::from(promise).await.is_ok(),
            Err(_) => false,
        };
        then(is_copied);
    });
}
