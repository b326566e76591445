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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::settings::Settings;
    use crate::page::model::clinic::CASES;

    #[test]
    fn a_case_that_is_running_has_put_its_settings_in_use() {
        let mut lesson = Lesson::default();
        assert!(lesson.temporary_settings().is_nothing());
        let own = Settings { beta: 0.7, ..Settings::default() };
        let of_case = lesson.clinic.run(&CASES[0], own);
        let temporary = lesson.temporary_settings();
        assert_eq!(temporary.clinic(of_case).running(), Some(&CASES[0]));
        assert_eq!(lesson.clinic.cure(of_case), own);
        assert!(lesson.temporary_settings().is_nothing());
    }
}
