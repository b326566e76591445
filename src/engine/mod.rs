//! The engine behind the page: what it is told and answers (`protocol`), its settings, its stages, and the worker that
//! drives it.
//!
//! Invariant: only `worker`, which exists on wasm alone, knows a browser; everything else is tested natively.

pub mod protocol;
pub mod session;
pub mod settings;
pub mod stage;
#[cfg(target_arch = "wasm32")]
pub mod worker;

pub use protocol::{Command, Event};
pub use session::{Clock, Session};
pub use settings::Settings;
