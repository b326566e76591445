//! The knobs of a session in one table, which drives validation, the page's controls and the page's address.

use serde::{Deserialize, Serialize};

use crate::model::ConfigError;

/// Every knob of a session.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Settings {
    /// Names the run: equal seeds and settings give equal runs on one backend.
    pub seed: u32,
    /// Which backend computes.
    pub backend: BackendChoice,
    /// Which of the shipped models is trained.
    pub width: WidthChoice,
    /// DPO's β: the length of the leash, high = short.
    pub beta: f64,
    /// AdamW's peak learning rate for DPO.
    pub learning_rate: f64,
    /// Pairs in a DPO step.
    pub batch_size: usize,
    /// Preference pairs made before DPO begins.
    pub pairs: usize,
    /// Label temperature τ: p(A preferred to B) = σ((gold_A − gold_B)/τ); 0 is noise-free.
    pub label_temperature: f64,
    /// DPO's label smoothing ε.
    pub label_smoothing: f64,
    /// DPO steps between two points of the frontier.
    pub evaluate_every: usize,
    /// Samples behind a point.
    pub evaluation_samples: usize,
}

/// Which backend the person wants.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum BackendChoice {
    /// The GPU where a real adapter exists, otherwise the CPU.
    Auto,
    /// The CPU.
    Cpu,
    /// The GPU, even an emulated one.
    Gpu,
}

/// Which width of the model the person wants.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum WidthChoice {
    /// The wide model on a real graphics adapter, otherwise the narrow one.
    Auto,
    /// 32 numbers a token: a processor trains it.
    Narrow,
    /// 64 numbers a token: a better student of preferences, and three times the work.
    Wide,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            seed: 1,
            backend: BackendChoice::Auto,
            width: WidthChoice::Auto,
            beta: 0.5,
            learning_rate: 1e-3,
            batch_size: 128,
            pairs: 24_576,
            label_temperature: 0.1,
            label_smoothing: 0.0,
            evaluate_every: 10,
            evaluation_samples: 512,
        }
    }
}

/// One knob: its name in the address, what it means, and which values it takes.
#[derive(Debug, Clone, Copy)]
pub struct Knob {
    /// Name in the address and in errors.
    pub name: &'static str,
    /// What stands before its field on the page.
    pub label: &'static str,
    /// One sentence for the person.
    pub meaning: &'static str,
    /// Smallest and largest value; for the backend, of its index.
    pub range: (f64, f64),
    /// Whether only whole numbers make sense.
    pub whole: bool,
    get: fn(&Settings) -> f64,
    set: fn(&mut Settings, f64),
}

/// Every knob, in the order of the address.
pub const KNOBS: [Knob; 9] = [
    Knob {
        name: "seed",
        label: "seed",
        meaning: "Names the run: the same seed and settings give the same run.",
        range: (0.0, u32::MAX as f64),
        whole: true,
        get: |settings| f64::from(settings.seed),
        set: |settings, value| settings.seed = value as u32,
    },
    Knob {
        name: "beta",
        label: "β",
        meaning: "The leash of DPO: high β keeps the policy close to the reference, low β lets it drift.",
        range: (0.01, 5.0),
        whole: false,
        get: |settings| settings.beta,
        set: |settings, value| settings.beta = value,
    },
    Knob {
        name: "learning_rate",
        label: "learning rate",
        meaning: "How far one step of AdamW moves the parameters.",
        range: (1e-6, 0.1),
        whole: false,
        get: |settings| settings.learning_rate,
        set: |settings, value| settings.learning_rate = value,
    },
    Knob {
        name: "batch_size",
        label: "batch size",
        meaning: "Preference pairs in one DPO step.",
        range: (1.0, 512.0),
        whole: true,
        get: |settings| settings.batch_size as f64,
        set: |settings, value| settings.batch_size = value as usize,
    },
    Knob {
        name: "pairs",
        label: "pairs",
        meaning: "Preference pairs made before DPO begins.",
        range: (6.0, 60_000.0),
        whole: true,
        get: |settings| settings.pairs as f64,
        set: |settings, value| settings.pairs = value as usize,
    },
    Knob {
        name: "label_temperature",
        label: "label temperature τ",
        meaning: "Noise of the preference labels: 0 always prefers the higher gold reward.",
        range: (0.0, 10.0),
        whole: false,
        get: |settings| settings.label_temperature,
        set: |settings, value| settings.label_temperature = value,
    },
    Knob {
        name: "label_smoothing",
        label: "label smoothing ε",
        meaning: "The share of labels DPO assumes to be flipped.",
        range: (0.0, 0.49),
        whole: false,
        get: |settings| settings.label_smoothing,
        set: |settings, value| settings.label_smoothing = value,
    },
    Knob {
        name: "evaluate_every",
        label: "evaluate every",
        meaning: "DPO steps between two points of the frontier.",
        range: (1.0, 1000.0),
        whole: true,
        get: |settings| settings.evaluate_every as f64,
        set: |settings, value| settings.evaluate_every = value as usize,
    },
    Knob {
        name: "evaluation_samples",
        label: "samples a point",
        meaning: "Samples behind one point: more samples, shorter error bars.",
        range: (64.0, 8192.0),
        whole: true,
        get: |settings| settings.evaluation_samples as f64,
        set: |settings, value| settings.evaluation_samples = value as usize,
    },
];

impl Knob {
    /// The knob of this name.
    pub fn named(name: &str) -> Option<&'static Knob> {
        KNOBS.iter().find(|knob| knob.name == name)
    }

    /// Its value in `settings`.
    pub fn value(&self, settings: &Settings) -> f64 {
        (self.get)(settings)
    }

    /// Sets it, or says why the value cannot be used; `settings` are unchanged then.
    pub fn set(&self, settings: &mut Settings, value: f64) -> Result<(), ConfigError> {
        let (low, high) = self.range;
        if !(low..=high).contains(&value) {
            return Err(ConfigError::new(self.name, format!("{value} is outside {low} to {high}")));
        }
        if self.whole && value.fract() != 0.0 {
            return Err(ConfigError::new(self.name, format!("{value} is not a whole number")));
        }
        (self.set)(settings, value);
        Ok(())
    }
}

impl BackendChoice {
    /// Every choice with its name in the address.
    pub const NAMED: [(&'static str, Self); 3] = [("auto", Self::Auto), ("cpu", Self::Cpu), ("gpu", Self::Gpu)];

    /// Its name in the address.
    pub fn name(self) -> &'static str {
        Self::NAMED.iter().find(|(_, choice)| *choice == self).map_or("auto", |(name, _)| name)
    }
}

impl WidthChoice {
    /// Every choice with its name in the address.
    pub const NAMED: [(&'static str, Self); 3] = [("auto", Self::Auto), ("32", Self::Narrow), ("64", Self::Wide)];

    /// Its name in the address.
    pub fn name(self) -> &'static str {
        Self::NAMED.iter().find(|(_, choice)| *choice == self).map_or("auto", |(name, _)| name)
    }

    /// Width of the model to train, on a real graphics adapter or not.
    pub fn width(self, on_real_adapter: bool) -> usize {
        match self {
            Self::Wide => 64,
            Self::Auto if on_real_adapter => 64,
            Self::Auto | Self::Narrow => 32,
        }
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

    /// Settings from an address's query (`seed=7&beta=0.1`, decoded by nobody: names and numbers need no escapes),
    /// with every part that could not be used; the default stands in for it.
    pub fn from_query(query: &str) -> (Self, Vec<ConfigError>) {
        let mut settings = Self::default();
        let mut errors = Vec::new();
        for part in query.trim_start_matches('?').split('&').filter(|part| !part.is_empty()) {
            let (name, text) = part.split_once('=').unwrap_or((part, ""));
            if let Err(error) = settings.set_from_text(name, text) {
                errors.push(error);
            }
        }
        (settings, errors)
    }

    /// Sets the knob `name` from text, or says why it cannot be.
    pub fn set_from_text(&mut self, name: &str, text: &str) -> Result<(), ConfigError> {
        if name == "backend" {
            let choice = BackendChoice::NAMED.iter().find(|(choice, _)| *choice == text);
            self.backend =
                choice.ok_or_else(|| ConfigError::new("backend", format!("“{text}” is not auto, cpu or gpu")))?.1;
            return Ok(());
        }
        if name == "width" {
            let choice = WidthChoice::NAMED.iter().find(|(choice, _)| *choice == text);
            self.width = choice.ok_or_else(|| ConfigError::new("width", format!("“{text}” is not auto, 32 or 64")))?.1;
            return Ok(());
        }
        let knob = Knob::named(name)
            .ok_or_else(|| ConfigError::new("address", format!("there is no setting called “{name}”")))?;
        let value: f64 = text.parse().map_err(|_| ConfigError::new(knob.name, format!("“{text}” is not a number")))?;
        knob.set(self, value)
    }

    /// The query that gives these settings back: what differs from the default.
    pub fn to_query(&self) -> String {
        let default = Self::default();
        let mut parts: Vec<String> = Vec::new();
        for knob in &KNOBS {
            if knob.value(self) != knob.value(&default) {
                parts.push(format!("{}={}", knob.name, knob.value(self)));
            }
        }
        if self.backend != default.backend {
            parts.push(format!("backend={}", self.backend.name()));
        }
        if self.width != default.width {
            parts.push(format!("width={}", self.width.name()));
        }
        parts.join("&")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_gives_its_settings_back() {
        let mut settings =
            Settings { seed: 4_294_967_295, beta: 0.05, backend: BackendChoice::Cpu, ..Settings::default() };
        settings.learning_rate = 5e-4;
        settings.width = WidthChoice::Wide;
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
            ("width=48", "width"),
            ("colour=red", "address"),
            ("batch_size=0", "batch_size"),
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
        }
    }

    #[test]
    fn the_default_is_valid_and_a_knob_out_of_range_is_not() {
        assert_eq!(Settings::default().validated(), Ok(Settings::default()));
        let bad = Settings { label_smoothing: 0.5, ..Settings::default() };
        assert_eq!(bad.validated().unwrap_err().field, "label_smoothing");
        assert!(Settings { beta: f64::INFINITY, ..Settings::default() }.validated().is_err());
    }
}
