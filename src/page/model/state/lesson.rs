//! What teaches: the tour, the failure clinic, and what a lecturer's address asks for.

use crate::page::model::clinic::Clinic;
use crate::page::model::presentation::Presentation;
use crate::page::model::temporary_settings::TemporarySettings;
use crate::page::model::tour::Tour;

/// What teaches.
#[derive(Debug, Clone, Default)]
pub struct Lesson {
    /// The tour.
    pub tour: Tour,
    /// The failure clinic.
    pub clinic: Clinic,
    /// How the page is shown to a room.
    pub presentation: Presentation,
}

impl Lesson {
    /// The settings that tour and clinic have put in the place of the person's own.
    pub fn temporary_settings(&self) -> TemporarySettings {
        TemporarySettings::of(&self.clinic, &self.tour)
    }
}
