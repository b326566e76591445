//! What Klimb reads and says: [`json`], the same natively and in a browser; [`text`], files as other programs leave them;
//! [`shorten`], quotations cut to a length; [`ConfigError`], a setting that cannot be used; [`words`], what is said in
//! another language; [`Message`], what is to be said there, before it is put into words.
//!
//! ```
//! use klimb_text::json;
//! use klimb_text::shorten::shortened_to;
//!
//! let numbers: Vec<f64> = json::from_text("[0.1, 2e3]").expect("valid JSON");
//! assert_eq!(numbers, [0.1, 2000.0]);
//! assert_eq!(json::to_text(&numbers), "[0.1,2000.0]");
//! assert!(shortened_to("a quotation without an end", 10).len() < 20);
//! ```

#![warn(missing_docs)]
#![cfg_attr(not(test), warn(clippy::wildcard_enum_match_arm))]

#[macro_use]
pub mod message;

mod config_error;
pub mod json;
pub mod shorten;
pub mod text;
#[macro_use]
pub mod words;

pub use config_error::ConfigError;
pub use message::Message;
