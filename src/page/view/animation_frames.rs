//! Animation frames, asked for when there is something to draw. What comes out of JavaScript asks by itself (`www/main.js`);
//! what comes back from a promise asks here.

use std::cell::RefCell;

use js_sys::Function;
use wasm_bindgen::JsValue;

thread_local! {
    static ASK: RefCell<Option<Function>> = const { RefCell::new(None) };
}

/// Takes over how a frame is asked for.
pub fn ask_by(ask: Function) {
    ASK.with(|it| *it.borrow_mut() = Some(ask));
}

/// Asks for a frame, unless one is coming.
pub fn ask() {
    ASK.with(|it| {
        if let Some(ask) = &*it.borrow() {
            // A browser that gives no frame now is asked again with the next event.
            let _ = ask.call0(&JsValue::NULL);
        }
    });
}
