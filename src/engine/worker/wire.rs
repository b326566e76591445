//! Messages between the page and its worker, by serde-wasm-bindgen. Wasm alone.

use klimb_text::Message;
use serde::Serialize;
use serde::de::DeserializeOwned;
use thiserror::Error;
use wasm_bindgen::JsValue;

/// A message that the other side cannot have meant.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum ProtocolError {
    /// What came is none of the messages of `protocol`: page and worker are not of the same build.
    Decode(String),
    /// A value that JavaScript has no number for.
    Encode(String),
}

impl ProtocolError {
    /// What is wrong, as a clause.
    pub fn message(&self) -> Message {
        match self {
            Self::Decode(it) => message!(
                "page and engine do not understand each other ({}); one of them comes from an older version",
                it
            ),
            Self::Encode(it) => message!("a message could not be written: {}", it),
        }
    }
}

display_message!(ProtocolError);

/// A message as `postMessage` takes it.
pub fn encode<T: Serialize>(message: &T) -> Result<JsValue, ProtocolError> {
    serde_wasm_bindgen::to_value(message).map_err(|error| ProtocolError::Encode(error.to_string()))
}

/// A message as it came.
pub fn decode<T: DeserializeOwned>(message: JsValue) -> Result<T, ProtocolError> {
    serde_wasm_bindgen::from_value(message).map_err(|error| ProtocolError::Decode(error.to_string()))
}
