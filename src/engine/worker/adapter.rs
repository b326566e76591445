//! The graphics adapter that the browser gives: asked for once, so that what is told of it is told of the one that
//! computes. Wasm alone.
//!
//! A browser may give another adapter at each request. wgpu makes a request of its own and passes on little of what an
//! adapter tells, so it is lent the adapter that was given here.

use js_sys::{Function, Object, Promise, Reflect};
use wasm_bindgen::{JsCast, JsValue};
use wasm_bindgen_futures::JsFuture;

use crate::engine::protocol::Adapter;
use klimb_network::backend::BackendError;
use klimb_network::backend::gpu::{Gpu, Preference, is_software};

const REQUEST: &str = "requestAdapter";

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
    let adapter = JsFuture::from(promise).await.ok().filter(JsValue::is_object)?;
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
    /// `NoDevice` if the adapter refuses.
    pub async fn open(&self) -> Result<Gpu, BackendError> {
        let adapter = self.adapter.clone();
        let lent = wasm_bindgen::closure::Closure::<dyn Fn() -> Promise>::new(move || Promise::resolve(&adapter));
        let is_lent = Reflect::set(&self.gpu, &REQUEST.into(), lent.as_ref()).unwrap_or(false);
        let preference = Preference { known_software: self.described.software, ..Preference::default() };
        let opened = Gpu::new(preference).await;
        // The browser's own is the prototype's, and stands there again.
        if is_lent {
            let _ = Reflect::delete_property(self.gpu.unchecked_ref::<Object>(), &REQUEST.into());
        }
        opened
    }
}

fn get(object: &JsValue, name: &str) -> Option<JsValue> {
    Reflect::get(object, &name.into()).ok()
}
