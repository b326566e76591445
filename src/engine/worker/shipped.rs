//! The models that ship with the page and the optimum recorded for them, fetched when they are wanted.

use js_sys::{ArrayBuffer, Uint8Array};
use wasm_bindgen::{JsCast, JsValue};
use wasm_bindgen_futures::JsFuture;
use web_sys::Response;

use crate::engine::protocol::{Checkpoints, Failure};

/// Base, SFT and optimum of `width`, from the files beside the worker's script.
pub async fn checkpoints(width: usize) -> Result<Checkpoints, Failure> {
    let suffix = if width == 32 { String::new() } else { format!("-{width}") };
    let base = file(&format!("assets/base{suffix}.safetensors")).await?;
    let sft = file(&format!("assets/sft{suffix}.safetensors")).await?;
    let optimum = file(&format!("assets/optimum{suffix}.json")).await?;
    Ok(Checkpoints { base, sft, optimum, preferences: Vec::new() })
}

async fn file(path: &str) -> Result<Vec<u8>, Failure> {
    let failure = |reason: String| Failure {
        sentence: format!("A file of the page could not be loaded: {path} ({reason})."),
        remedy: "Reload the page once the connection is back; seed and settings are kept in the address.".into(),
        field: None,
        stopped: true,
    };
    let unreadable = |error: JsValue| failure(error.as_string().unwrap_or_else(|| format!("{error:?}")));
    let answer = JsFuture::from(super::scope().fetch_with_str(path)).await.map_err(unreadable)?;
    let answer: Response = answer.unchecked_into();
    if !answer.ok() {
        return Err(failure(format!("{} {}", answer.status(), answer.status_text())));
    }
    let bytes = JsFuture::from(answer.array_buffer().map_err(unreadable)?).await.map_err(unreadable)?;
    Ok(Uint8Array::new(&bytes.unchecked_into::<ArrayBuffer>()).to_vec())
}
