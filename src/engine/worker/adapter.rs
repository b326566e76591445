//! The graphics adapter that the browser gives: asked for once, so that what is told of it is told of the one that
//! computes. Wasm alone.
//!
//! A browser may give another adapter at each request. wgpu makes a request of its own and passes on little of what an
//! adapter tells, so it is lent the adapter that was given here.

use std::future::poll_fn;
use std::pin::pin;
use std::task::Poll;

use js_sys::{Function, Object, Promise, Reflect};
use wasm_bindgen::{JsCast, JsValue};
use wasm_bindgen_futures::JsFuture;

use crate::engine::protocol::Adapter;
use klimb_network::backend::BackendError;
use klimb_network::backend::gpu::{Gpu, Preference, is_software};
use klimb_text::words::key;

const REQUEST: &str = "requestAdapter";
/// Milliseconds after which an adapter or device that has not answered is taken for none: a browser whose graphics process
/// has died may never answer.
const PATIENCE: i32 = 20_000;

/// An adapter that the browser gave.
#[derive(Debug)]
pub struct Found {
    /// `navigator.gpu`.
    gpu: JsValue,
    adapter: JsValue,
    /// What it tells of itself.
    pub described: Adapter,
}

/// Asks the browser for its faster adapter; `None` where it has none.
pub async fn find() -> Option<Found> {
    let gpu = get(&get(&js_sys::global(), "navigator")?, "gpu").filter(JsValue::is_object)?;
    let request: Function = get(&gpu, REQUEST)?.dyn_into().ok()?;
    let options = Object::new();
    Reflect::set(&options, &"powerPreference".into(), &"high-performance".into()).ok()?;
    let promise: Promise = request.call1(&gpu, &options).ok()?.dyn_into().ok()?;
    let adapter = within(PATIENCE, JsFuture::from(promise)).await?.ok().filter(JsValue::is_object)?;
    // wgpu reads it too, and an exception in there could not be caught: a browser this old has no adapter for the page.
    let info = get(&adapter, "info").filter(JsValue::is_object)?;
    let text = |name| get(&info, name).and_then(|value| value.as_string()).unwrap_or_default();
    let (name, vendor, architecture) = (text("description"), text("vendor"), text("architecture"));
    let words = format!("{name} {vendor} {architecture}");
    let is_fallback = [&info, &adapter].iter().any(|it| get(it, "isFallbackAdapter").is_some_and(|it| it.is_truthy()));
    let software = is_fallback || is_software(&words);
    Some(Found { gpu, adapter, described: Adapter { name, vendor, architecture, software } })
}

impl Found {
    /// Opens the device of this very adapter.
    ///
    /// # Errors
    /// `NoDevice` if the adapter refuses, or does not answer.
    pub async fn open(&self) -> Result<Gpu, BackendError> {
        let adapter = self.adapter.clone();
        let lent = wasm_bindgen::closure::Closure::<dyn Fn() -> Promise>::new(move || Promise::resolve(&adapter));
        let is_lent = Reflect::set(&self.gpu, &REQUEST.into(), lent.as_ref()).unwrap_or(false);
        let preference = Preference { known_software: self.described.software, ..Preference::default() };
        let silent = || BackendError::NoDevice {
            adapter: self.described.name.clone(),
            reason: key("it does not answer").into(),
        };
        let opened = within(PATIENCE, Gpu::new(preference)).await.unwrap_or_else(|| Err(silent()));
        // The browser's own is the prototype's, and stands there again.
        if is_lent {
            let _ = Reflect::delete_property(self.gpu.unchecked_ref::<Object>(), &REQUEST.into());
        }
        opened
    }
}

/// What `work` comes to, if it comes to that in so many milliseconds.
async fn within<T>(milliseconds: i32, work: impl Future<Output = T>) -> Option<T> {
    let (mut work, mut end) = (pin!(work), pin!(super::pause(milliseconds)));
    poll_fn(|context| match work.as_mut().poll(context) {
        Poll::Ready(it) => Poll::Ready(Some(it)),
        Poll::Pending => end.as_mut().poll(context).map(|()| None),
    })
    .await
}

fn get(object: &JsValue, name: &str) -> Option<JsValue> {
    Reflect::get(object, &name.into()).ok()
}
