//! The knobs of a session in one table, which drives validation, the page's controls, the page's address, and what a turned knob
//! starts over.

mod choices;
mod declared;
mod knobs;
mod query;
mod restarts;

pub use choices::{BackendChoice, Breadth, Values, WidthChoice};
pub use declared::{KNOBS, PAIRS_BY_POLICY, Settings};
pub use knobs::{Knob, Section};
pub use query::{Part, behind_ampersand, parts, whole};
pub use restarts::Restarts;

use klimb_text::shorten::excerpt;
use klimb_text::{ConfigError, Message, json};

impl Knob {
    /// The knob of this name.
    pub fn named(name: &str) -> Option<&'static Knob> {
        KNOBS.iter().find(|knob| knob.name == name)
    }
}

impl Settings {
    /// The settings, or the first one that cannot be used.
    pub fn validated(self) -> Result<Self, ConfigError> {
        for knob in &KNOBS {
            knob.set(&mut self.clone(), knob.value(&self))?;
        }
        Ok(self)
    }

    /// Settings from an address's query (`seed=7&beta=0.1`, escaped or not, names in small letters or capitals), with every
    /// part that could not be used; the default stands in for it. What other programs add to an address is passed over,
    /// unless it is a knob's name all but a letter.
    pub fn from_query(query: &str) -> (Self, Vec<ConfigError>) {
        Self::from_parts(&parts(query))
    }

    /// The same of a query's [`parts`].
    pub fn from_parts(parts: &[Part]) -> (Self, Vec<ConfigError>) {
        let (mut settings, mut errors) = (Self::default(), Vec::new());
        for (at, (name, text)) in parts.iter().enumerate() {
            let Some(knob) = Knob::named(name) else {
                errors.extend(query::misspelled(name, text));
                continue;
            };
            let earlier = parts[..at].iter().find(|(its, _)| its == name).map(|(_, text)| text);
            let outcome = match earlier {
                Some(earlier) if earlier == text => Ok(()),
                Some(earlier) => {
                    knob.give(&Self::default(), &mut settings);
                    let (earlier, text) = (Message::typed(&excerpt(earlier)), Message::typed(&excerpt(text)));
                    Err(ConfigError::new(knob.name, message!("it is set twice, to “{}” and to “{}”", earlier, text)))
                }
                // A plus sign stands for a blank in an address.
                None => settings.set_from_text(name, &text.replace("e ", "e+").replace("E ", "E+")),
            };
            errors.extend(outcome.err());
        }
        (settings, errors)
    }

    /// Sets the knob `name` from text, or says why it cannot be.
    pub fn set_from_text(&mut self, name: &str, text: &str) -> Result<(), ConfigError> {
        let knob = Knob::named(name).ok_or_else(|| {
            let name = excerpt(name);
            ConfigError::new("address", message!("there is no setting called “{}”", name))
        })?;
        let shown = excerpt(text);
        let value = if knob.values.names.is_empty() {
            json::number(text).ok_or_else(|| ConfigError::new(knob.name, message!("“{}” is not a number", shown)))?
        } else {
            let found = knob.values.names.iter().position(|name| name.eq_ignore_ascii_case(text));
            let reason = || message!("“{}” is none of {}", shown, knob.values.names.join(", "));
            found.ok_or_else(|| ConfigError::new(knob.name, reason()))? as f64
        };
        knob.set_as_typed(self, value, &shown)
    }

    /// These settings as a session takes them over that runs with `running`.
    pub fn beside(mut self, running: &Self) -> Self {
        KNOBS.iter().filter(|knob| knob.restarts.is_kept).for_each(|knob| knob.give(running, &mut self));
        self
    }

    /// What starts over in a session that ran with `former` until now: all that any of the turned knobs declares.
    pub fn restarts_since(&self, former: &Self) -> Restarts {
        let turned = KNOBS.iter().filter(|knob| knob.value(self) != knob.value(former));
        turned.fold(Restarts::NOTHING, |all, knob| all.and(knob.restarts))
    }

    /// The query that gives these settings back: what differs from the default.
    pub fn to_query(&self) -> String {
        let default = Self::default();
        let changed = KNOBS.iter().filter(|knob| knob.value(self) != knob.value(&default));
        changed.map(|knob| format!("{}={}", knob.name, knob.text(self))).collect::<Vec<_>>().join("&")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::stage::Stage;
    use klimb_metrics::METHODS;
    use klimb_network::objectives::DpoLoss;

    #[test]
    fn the_knob_that_tells_a_method_s_runs_apart_matters_to_its_stage() {
        for info in METHODS {
            let Some(name) = info.setting.knob() else { continue };
            let knob = Knob::named(name).unwrap_or_else(|| panic!("{}: there is no knob {name}", info.label));
            assert!(knob.values.names.is_empty(), "{}: {name} is no number", info.label);
            assert!(!knob.tells_runs_apart, "{}: {name} would stand in a run's name twice", info.label);
            if let Some(stage) = Stage::of(info.method) {
                assert!(knob.stages.contains(&stage), "{}: {name} is not a setting of its stage", info.label);
            }
        }
    }

    #[test]
    fn a_huge_value_is_named_by_its_beginning() {
        for query in [format!("seed={}", "é".repeat(10_000)), format!("loss={}", "y".repeat(10_000))] {
            let (_, errors) = Settings::from_query(&query);
            let told = errors[0].to_string();
            assert!(told.contains('…') && told.len() < 250, "{} bytes", told.len());
        }
        assert_eq!(Settings::from_query(&"x".repeat(10_000)), (Settings::default(), vec![]));
        assert_eq!(excerpt("0.5"), "0.5");
    }

    #[test]
    fn an_address_is_read_as_other_programs_hand_it_on() {
        let (plain, _) = Settings::from_query("?beta=0.1&seed=7&learning_rate=0.01");
        for query in [
            "?beta=0%2E1&seed=%37&learning_rate=1e-2",
            "?beta=0.1&amp;seed=7&amp;learning_rate=0.01",
            "?beta=0.1&seed=7&learning_rate=0.01&fbclid=IwAR0&utm_source=mail&utm_medium=x&gclid&=&&",
            "?beta=+0.1&seed=7%20&learning_rate=1e-02",
            "?beta=1e-1&seed=0.7e+1&learning_rate=0.01",
        ] {
            assert_eq!(Settings::from_query(query), (plain, vec![]), "{query}");
        }
        let (_, errors) = Settings::from_query("?seed=18446744073709551615&beta=1e-400&batch_size=1.50");
        let told: Vec<String> = errors.iter().map(ToString::to_string).collect();
        for (told, typed) in
            told.iter().zip(["seed: 18446744073709551615 is", "beta: 1e-400 is", "batch_size: 1.50 is"])
        {
            assert!(told.starts_with(typed), "{told}");
        }
        assert_eq!(told.len(), 3);
        let (settings, errors) = Settings::from_query("?beta=9&seed=x&bta=1&batch_size=16");
        let told: Vec<String> = errors.iter().map(ToString::to_string).collect();
        assert_eq!(
            told,
            [
                "beta: 9 is outside 0.01 to 5",
                "seed: “x” is not a number",
                "address: there is no setting called “bta”, but one called beta"
            ]
        );
        assert_eq!(settings, Settings { batch_size: 16, ..Settings::default() });
    }

    #[test]
    fn an_address_that_other_programs_have_mangled_keeps_its_values_or_each_is_named() {
        let wanted = Settings { beta: 0.1, learning_rate: 1e-3, seed: 7, ..Settings::default() };
        for query in [
            "?BETA=0.1&Seed=7",
            "?beta%3D0.1%26seed%3D7",
            "?beta%253D0.1%2526seed%253D7",
            "?beta=0%252E1&seed=%25252537",
            "?beta=0.1&amp;amp;seed=7",
            "?be\u{ad}ta=0.\u{200b}1&seed=7\u{a0}",
            "?be%C2%ADta=0.1&seed=7%20%0A",
            "?learning_rate=1e\u{2212}3&beta=0.1&seed=7",
            "?learning_rate=1e%E2%80%933&beta=0.1&seed=7",
            "?beta=0.1&seed=7?utm_source=chat",
            "?utm_source=chat?beta=0.1&seed=7",
            "?beta=0.1&seed=7&beta=0.1",
            "?beta=0.1&seed=7.",
        ] {
            assert_eq!(Settings::from_query(query), (wanted, vec![]), "{query}");
        }
        assert_eq!(Settings::from_query("?LOSS=IPO").0.loss, DpoLoss::Ipo);
        for (query, named) in [
            ("beta=0.1)", "“0.1)” is not a number"),
            ("beta=0.1%3E", "“0.1>” is not a number"),
            ("beta=0.1.", "“0.1.” is not a number"),
            ("beta=0,1", "“0,1” is not a number"),
            ("beta=”0.1”", "“”0.1”” is not a number"),
            ("beta=3D0.1", "“3D0.1” is not a number"),
            ("beta=0.1%22)", "“0.1\")” is not a number"),
            ("beta=0.1 %25", "“0.1 %” is not a number"),
            ("pairs=61 440", "“61 440” is not a number"),
            ("beta=0.", "0. is outside"),
            ("loss=ipo.", "“ipo.” is none of"),
            ("be=ta=0.1", "but one called beta"),
            ("%22beta%22=0.1", "but one called beta"),
            ("“beta”=0.1", "but one called beta"),
            ("β=0.1", "but one called beta"),
            ("learning rate=1", "but one called learning_rate"),
            ("beta=0.1&beta=0.2", "it is set twice, to “0.1” and to “0.2”"),
        ] {
            let (settings, errors) = Settings::from_query(query);
            let told: Vec<String> = errors.iter().map(ToString::to_string).collect();
            assert!(told.len() == 1 && told[0].contains(named), "{query}: {told:?}");
            assert_eq!(settings, Settings::default(), "{query}");
        }
    }

    #[test]
    fn an_address_gives_its_settings_back() {
        let mut settings =
            Settings { seed: 4_294_967_295, beta: 0.05, backend: BackendChoice::Cpu, ..Settings::default() };
        settings.learning_rate = 5e-4;
        settings.width = WidthChoice::Wide;
        settings.breadth = Breadth::Broad;
        (settings.loss, settings.reference_free) = (DpoLoss::Ipo, true);
        assert_eq!(Settings::from_query(&settings.to_query()), (settings, vec![]));
        assert_eq!(Settings::default().to_query(), "");
        assert_eq!(Settings::from_query("?"), (Settings::default(), vec![]));
    }

    #[test]
    fn a_bad_part_of_an_address_is_named_and_the_default_stands_in() {
        for (query, field) in [
            ("beta=9", "beta"),
            ("beta=NaN", "beta"),
            ("beta=", "beta"),
            ("seed=1.5", "seed"),
            ("seed=-1", "seed"),
            ("backend=tpu", "backend"),
            ("backend=1", "backend"),
            ("width=48", "width"),
            ("breadth=0.1", "breadth"),
            ("loss=dpo", "loss"),
            ("reference_free=yes", "reference_free"),
            ("lerning_rate=1", "address"),
            ("batch_size=0", "batch_size"),
            ("rollout_size=30", "rollout_size"),
            ("target_kl=-1", "target_kl"),
            ("flip_probability=0.6", "flip_probability"),
        ] {
            let (settings, errors) = Settings::from_query(query);
            assert_eq!(settings, Settings::default(), "{query}");
            assert_eq!(errors.iter().map(|error| error.field).collect::<Vec<_>>(), [field], "{query}");
        }
        let (settings, errors) = Settings::from_query("seed=x&beta=0.1");
        assert_eq!((settings.beta, errors.len()), (0.1, 1), "the good part still counts");
    }

    #[test]
    fn every_knob_has_a_name_and_a_label_of_its_own() {
        for (index, knob) in KNOBS.iter().enumerate() {
            let others = || KNOBS[..index].iter();
            assert!(others().all(|other| other.name != knob.name && other.label != knob.label), "{}", knob.name);
            assert!(knob.meaning.ends_with('.'), "{} is explained in a sentence", knob.name);
            let is_named = !knob.values.names.is_empty();
            assert!(
                !is_named || knob.values.range == (0.0, knob.values.names.len() as f64 - 1.0),
                "{}: a name a value",
                knob.name
            );
        }
    }

    #[test]
    fn the_engine_s_knobs_come_last_in_an_address_and_early_in_a_file() {
        let names: Vec<&str> = KNOBS.iter().map(|knob| knob.name).collect();
        assert_eq!((names[0], names[1]), ("seed", "beta"));
        assert_eq!(names[names.len() - 4..], ["evaluate_rollouts", "backend", "width", "breadth"]);
        let file = json::to_text(&Settings::default());
        let beginning = r#"{"seed":1,"backend":"Auto","width":"Auto","breadth":"Default","beta":0.5,"#;
        assert!(file.starts_with(beginning), "{file}");
    }

    #[test]
    fn what_starts_over_is_what_any_turned_knob_declares() {
        let former = Settings::default();
        assert_eq!(former.restarts_since(&former), Restarts::NOTHING);
        let live = Settings { beta: 0.1, evaluate_every: 4, ppo_learning_rate: 1e-3, ..former };
        assert_eq!(live.restarts_since(&former), Restarts::NOTHING);
        let turned = Settings { flip_probability: 0.1, ppo_epochs: 1, ..live };
        assert_eq!(turned.restarts_since(&former), Restarts::PAIRS.and(Restarts::stages(&[Stage::PpoGt])));
        assert_eq!(former.restarts_since(&turned), turned.restarts_since(&former));
    }

    #[test]
    fn a_running_session_keeps_the_text_of_its_models_alone() {
        let running = Settings::default();
        let wanted = Settings {
            seed: 7,
            width: WidthChoice::Wide,
            backend: BackendChoice::Cpu,
            breadth: Breadth::Broad,
            ..running
        };
        assert_eq!(wanted.beside(&running), Settings { breadth: Breadth::Default, ..wanted });
    }

    #[test]
    fn the_default_is_valid_and_a_knob_out_of_range_is_not() {
        assert_eq!(Settings::default().validated(), Ok(Settings::default()));
        let bad = Settings { label_smoothing: 0.5, ..Settings::default() };
        assert_eq!(bad.validated().unwrap_err().field, "label_smoothing");
        assert!(Settings { beta: f64::INFINITY, ..Settings::default() }.validated().is_err());
    }
}
