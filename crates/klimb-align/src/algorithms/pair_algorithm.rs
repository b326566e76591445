//! Every method on preference pairs with its settings, in one list: [`PairAlgorithm`]. What differs from one method to the
//! next stands in the method's own file, as its settings' [`PairSettings`]; a session, a sweep and a command begin from here.

use std::any::Any;

use serde::{Deserialize, Serialize};

use super::dpo::DpoSettings;
use super::sft::SftSettings;
use super::trainer::{Budget, PairSettings, PairTrainer};
use super::unlikelihood::UnlikelihoodSettings;
use crate::limits;
use klimb_metrics::{Method, Setting};
use klimb_network::backend::Kernels;
use klimb_network::backend::network::Network;
use klimb_text::ConfigError;

/// Makes [`PairAlgorithm`] of its variants, each with the type of its settings.
macro_rules! pair_algorithms {
    ($($(#[doc = $doc:literal])+ $Variant:ident($Settings:ty),)+) => {
        /// A method that learns from preference pairs, with its settings.
        #[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
        pub enum PairAlgorithm {
            $($(#[doc = $doc])+ $Variant($Settings),)+
        }

        impl PairAlgorithm {
            /// A method's algorithm, with its default settings within a budget. `None` of a method that does not learn from
            /// pairs.
            pub fn of(method: Method, budget: Budget) -> Option<Self> {
                $(if method == <$Settings as PairSettings>::METHOD {
                    return Some(Self::$Variant(<$Settings>::default().with_budget(budget)));
                })+
                None
            }

            /// Which method it is.
            pub fn method(&self) -> Method {
                match self {
                    $(Self::$Variant(_) => <$Settings as PairSettings>::METHOD,)+
                }
            }

            /// What distinguishes its runs: β, α, or nothing.
            pub fn setting(&self) -> Setting {
                match self {
                    $(Self::$Variant(settings) => settings.setting(),)+
                }
            }

            /// The same with another β or α. A method that has neither keeps its settings.
            pub fn with_setting(self, number: f64) -> Self {
                match self {
                    $(Self::$Variant(settings) => Self::$Variant(settings.with_setting(number)),)+
                }
            }

            /// What it spends.
            pub fn budget(&self) -> Budget {
                match self {
                    $(Self::$Variant(settings) => settings.budget(),)+
                }
            }

            /// The same with another budget.
            pub fn with_budget(self, budget: Budget) -> Self {
                match self {
                    $(Self::$Variant(settings) => Self::$Variant(settings.with_budget(budget)),)+
                }
            }

            /// Its settings, for [`PairTrainer::configure`] of a policy that learns by it.
            pub fn settings(&self) -> &dyn Any {
                match self {
                    $(Self::$Variant(settings) => settings,)+
                }
            }

            /// A policy that begins to learn by it, from `parameters`; sequences have at most `length` + 1 tokens.
            pub fn start<K: Kernels>(
                self,
                k: &mut K,
                network: Network,
                parameters: &[f32],
                length: usize,
            ) -> Box<dyn PairTrainer<K>> {
                match self {
                    $(Self::$Variant(settings) => settings.start(k, network, parameters, length),)+
                }
            }

            fn check(&self) -> Result<(), ConfigError> {
                match self {
                    $(Self::$Variant(settings) => settings.check(),)+
                }
            }
        }
    };
}

pair_algorithms! {
    /// Direct preference optimisation.
    Dpo(DpoSettings),
    /// Unlikelihood.
    Unlikelihood(UnlikelihoodSettings),
    /// Maximum likelihood of the chosen; a batch is so many pairs.
    PreferredFt(SftSettings),
}

impl PairAlgorithm {
    /// The algorithm, or all of its settings that cannot be used.
    ///
    /// # Errors
    /// All fields that cannot be used, with the reasons.
    pub fn validated(self) -> Result<Self, ConfigError> {
        let Budget { pairs, schedule, .. } = self.budget();
        ConfigError::all([
            self.check(),
            limits::rate(schedule.peak),
            limits::count("steps", schedule.steps, limits::MOST_STEPS, limits::TOO_LONG),
            limits::count("batch", pairs as u64, limits::MOST_BATCH, limits::IN_MEMORY),
        ])?;
        Ok(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::language::Schedule;
    use klimb_metrics::{METHODS, SettingKind};

    #[test]
    fn every_method_that_learns_from_pairs_is_an_algorithm_and_no_other() {
        let budget = Budget { pairs: 3, ..Budget::of_steps(7) };
        for info in METHODS {
            let algorithm = PairAlgorithm::of(info.method, budget);
            assert_eq!(algorithm.is_some(), info.method.learns_from_pairs(), "{}", info.file_name);
            if let Some(algorithm) = algorithm {
                assert_eq!((algorithm.method(), algorithm.budget()), (info.method, budget));
                assert_eq!(algorithm.validated(), Ok(algorithm), "its defaults can be used");
                let other = Budget { pairs: 4, ..budget };
                assert_eq!(algorithm.with_budget(other).budget(), other);
            }
        }
    }

    #[test]
    fn the_setting_of_an_algorithm_is_what_its_method_s_row_says() {
        for info in METHODS {
            let Some(algorithm) = PairAlgorithm::of(info.method, Budget::default()) else { continue };
            let moved = algorithm.with_setting(0.75);
            match info.setting {
                SettingKind::Knob(_) => assert_eq!(moved.setting(), Setting::Number(0.75)),
                SettingKind::Count | SettingKind::None => {
                    assert_eq!(moved, algorithm, "{}", info.file_name);
                    assert!(matches!(moved.setting(), Setting::Label(_)), "{}", info.file_name);
                }
            }
        }
    }

    #[test]
    fn an_algorithm_is_refused_with_all_that_cannot_be_used() {
        let fields = |algorithm: PairAlgorithm| {
            let error = algorithm.validated().unwrap_err();
            std::iter::once(error.field).chain(error.also.iter().map(|it| it.field)).collect::<Vec<_>>()
        };
        let dpo = DpoSettings { beta: 0.0, label_smoothing: 0.5, pairs: 0, ..DpoSettings::default() };
        assert_eq!(fields(PairAlgorithm::Dpo(dpo)), ["beta", "label smoothing", "batch"]);
        let unlikelihood = UnlikelihoodSettings { alpha: 1.5, ..UnlikelihoodSettings::default() };
        assert_eq!(fields(PairAlgorithm::Unlikelihood(unlikelihood)), ["alpha"]);
        let schedule = Schedule { peak: 0.0, steps: 0, ..SftSettings::default().schedule };
        let preferred_ft = SftSettings { schedule, ..SftSettings::default() };
        assert_eq!(fields(PairAlgorithm::PreferredFt(preferred_ft)), ["learning rate", "steps"]);
    }
}
