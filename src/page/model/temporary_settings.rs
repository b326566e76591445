//! Settings that the page has put in the place of the person's own to show something, and those that were there before:
//! they are given back when the person is done with it, also over a reload.

use serde::{Deserialize, Serialize};

use super::clinic::{Case, Clinic};
use super::tour::Tour;
use crate::engine::settings::Settings;

/// The settings that are in use for a while, as they are kept beside the address that holds their values.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct TemporarySettings {
    /// The case of the clinic that is running, by its id, with the settings before it.
    case: Option<(String, Settings)>,
    /// Whether it was the tour that ran it.
    by_tour: bool,
    /// β before the tour moved it, and where it has moved it.
    beta: Option<(f64, f64)>,
}

impl TemporarySettings {
    /// Those of clinic and tour now.
    pub fn of(clinic: &Clinic, tour: &Tour) -> Self {
        let case = clinic.before().map(|(case, before)| (case.id.to_owned(), before));
        let by_tour = case.as_ref().is_some_and(|(case, _)| tour.has_run(case));
        Self { case, by_tour, beta: tour.temporary_beta() }
    }

    /// Whether there is nothing to give back.
    pub fn is_nothing(&self) -> bool {
        *self == Self::default()
    }

    /// The clinic as it was, if `settings` still are those of its case.
    pub fn clinic(&self, settings: Settings) -> Clinic {
        let case = self.case.as_ref().and_then(|(id, before)| Some((Case::named(id)?, *before)));
        case.filter(|(case, _)| case.is_in(settings)).map_or_else(Clinic::default, |(case, before)| {
            let mut clinic = Clinic::default();
            clinic.run(case, before);
            clinic
        })
    }

    /// A reload ends the tour's stop: `settings` without what the tour had changed, and the clinic, which a reload does not end.
    pub fn reloaded(&self, settings: Settings) -> (Settings, Clinic) {
        let mut clinic = self.clinic(settings);
        let settings = if self.by_tour { clinic.cure(settings) } else { settings };
        (Tour::beta_given_back(self.beta, settings), clinic)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::page::model::clinic::CASES;

    fn with_case(id: &str, by_tour: bool, before: Settings) -> (TemporarySettings, Settings) {
        let case = Case::named(id).unwrap();
        let ill = Clinic::default().run(case, before);
        (TemporarySettings { case: Some((id.into(), before)), by_tour, beta: None }, ill)
    }

    #[test]
    fn a_reload_gives_back_what_the_tour_changed_and_goes_on_with_the_clinic() {
        let before = Settings { beta: 0.7, ..Settings::default() };
        let (temporary, ill) = with_case("few-pairs", true, before);
        assert_ne!(ill, before);
        let (settings, clinic) = temporary.reloaded(ill);
        assert_eq!((settings, clinic.running()), (before, None));
        let (temporary, ill) = with_case("few-pairs", false, before);
        let (settings, mut clinic) = temporary.reloaded(ill);
        assert_eq!((settings, clinic.running().map(|case| case.id)), (ill, Some("few-pairs")));
        assert_eq!(clinic.cure(settings), before, "its cure still knows what was there before");
    }

    #[test]
    fn an_address_that_asks_for_something_else_is_obeyed() {
        let (temporary, ill) = with_case("few-pairs", true, Settings::default());
        let other = Settings { beta: 2.0, ..ill };
        let (settings, clinic) = temporary.reloaded(other);
        assert_eq!((settings, clinic.running()), (other, None));
        let temporary =
            TemporarySettings { case: Some(("gone".into(), Settings::default())), ..TemporarySettings::default() };
        assert_eq!(temporary.reloaded(other).0, other, "a case that is no more");
        let temporary = TemporarySettings { beta: Some((0.5, 0.2)), ..TemporarySettings::default() };
        let at = |beta| Settings { beta, ..Settings::default() };
        assert_eq!((temporary.reloaded(at(0.2)).0, temporary.reloaded(at(0.3)).0), (at(0.5), at(0.3)));
    }

    #[test]
    fn temporary_settings_survive_as_text() {
        for case in &CASES {
            let (temporary, ill) = with_case(case.id, false, Settings::default());
            let text = serde_json::to_string(&temporary).unwrap();
            assert_eq!(serde_json::from_str::<TemporarySettings>(&text).unwrap().reloaded(ill).1.running(), Some(case));
        }
        assert!(TemporarySettings::of(&Clinic::default(), &Tour::default()).is_nothing());
    }
}
