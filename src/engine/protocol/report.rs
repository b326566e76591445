//! A session told once more.

use serde::{Deserialize, Serialize};

use super::{Event, Stage};
use crate::engine::settings::Settings;

/// What a session has told and still holds, for a page that was made anew and knows nothing of it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Report {
    /// The person's knobs, as they are now.
    pub settings: Settings,
    /// What Play trains.
    pub focus: Stage,
    /// The events, in an order in which they could have been told: applied to a page on which nothing has happened, they
    /// lead to the page that heard everything. Of rows, the newest of each run.
    pub events: Vec<Event>,
}
