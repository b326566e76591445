//! The models that ship with the page and the optimum recorded for them, fetched when they are wanted.

use js_sys::{ArrayBuffer, Uint8Array};
use wasm_bindgen::{JsCast, JsValue};
use wasm_bindgen_futures::JsFuture;
use web_sys::Response;

use crate::engine::protocol::{Checkpoints, Failure};
use crate::engine::settings::Breadth;

/// Base, SFT and optimum of `width` for text of `breadth`, from the files beside the worker's script.
///
/// # Errors
/// A file that cannot be loaded. A missing optimum is none where the text is not the default's: it is then estimated live.
pub async fn checkpoints(width: usize, breadth: Breadth) -> Result<Checkpoints, Failure> {
    let width_suffix = if width == 32 { String::new() } else { format!("-{width}") };
    let suffix = format!("{width_suffix}{}", breadth.suffix());
    let base = file(&format!("assets/base{suffix}.safetensors")).await.map_err(|it| it.failure(width, breadth))?;
    let sft = file(&format!("assets/sft{suffix}.safetensors")).await.map_err(|it| it.failure(width, breadth))?;
    let optimum = match file(&format!("assets/optimum{suffix}.json")).await {
        Err(Unloaded { is_missing: true, .. }) if breadth != Breadth::Default => Vec::new(),
        optimum => optimum.map_err(|it| it.failure(width, breadth))?,
    };
    Ok(Checkpoints { base, sft, optimum, preferences: Vec::new() })
}

/// A file that could not be loaded.
struct Unloaded {
    path: String,
    reason: String,
    /// Whether the page's host has no such file.
    is_missing: bool,
}

impl Unloaded {
    fn failure(self, width: usize, breadth: Breadth) -> Failure {
        let Self { path, reason, is_missing } = self;
        let noise = 100.0 * breadth.noise();
        if is_missing && breadth != Breadth::Default {
            return Failure {
                sentence: format!(
                    "This page has no models of width {width} for text with {noise:.0} % noise ({path} is not there)."
                ),
                remedy: "Choose “3 %” under “text noise”, or another width.".into(),
                field: Some("breadth".into()),
                stopped: true,
            };
        }
        Failure {
            sentence: format!("A file of the page could not be loaded: {path} ({reason})."),
            remedy: "Reload the page once the connection is back; seed and settings are kept in the address.".into(),
            field: None,
            stopped: true,
        }
    }
}

async fn file(path: &str) -> Result<Vec<u8>, Unloaded> {
    let unloaded = |reason: String, is_missing| Unloaded { path: path.into(), reason, is_missing };
    let unreadable = |error: JsValue| unloaded(error.as_string().unwrap_or_else(|| format!("{error:?}")), false);
    let answer = JsFuture::from(super::scope().fetch_with_str(path)).await.map_err(unreadable)?;
    let answer: Response = answer.unchecked_into();
    if !answer.ok() {
        return Err(unloaded(format!("{} {}", answer.status(), answer.status_text()), answer.status() == 404));
    }
    let bytes = JsFuture::from(answer.array_buffer().map_err(unreadable)?).await.map_err(unreadable)?;
    Ok(Uint8Array::new(&bytes.unchecked_into::<ArrayBuffer>()).to_vec())
}
