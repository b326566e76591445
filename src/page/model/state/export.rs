//! What is handed to the person as a file.

use crate::engine::protocol::Stage;

/// A file for the person.
#[derive(Debug, Clone)]
pub enum Export {
    /// A model.
    Checkpoint(Stage, Vec<u8>),
    /// Pairs, as JSON lines.
    Preferences(String),
    /// Numbers, a script or a chart.
    Document {
        /// The file's name, which says what it is.
        name: String,
        /// What it holds.
        text: String,
    },
}
