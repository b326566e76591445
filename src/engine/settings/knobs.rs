//! One knob: what is declared of it, and how its value is read and set. Which knobs there are stands in `declared`.

use super::{Restarts, Settings, Values};
use crate::engine::stage::Stage;
use klimb_text::{ConfigError, Message};

/// One knob: its name in the address, what it means, which values it takes, and what starts over when it is turned.
#[derive(Debug, Clone, Copy)]
pub struct Knob {
    /// Name in the address and in errors, and of its field in [`Settings`].
    pub name: &'static str,
    /// What stands before its field on the page.
    pub label: &'static str,
    /// One sentence for the person.
    pub meaning: &'static str,
    /// Which values it takes.
    pub values: Values,
    /// The stages it matters to.
    pub stages: &'static [Stage],
    /// Where its control stands on the page.
    pub section: Section,
    /// Whether runs that differ in it alone are told apart by it. Not by what stands in their names anyhow, nor by what changes
    /// nothing in training.
    pub tells_runs_apart: bool,
    /// What starts over in a running session when it is turned.
    pub restarts: Restarts,
    pub(super) get: fn(&Settings) -> f64,
    pub(super) set: fn(&mut Settings, f64),
}

/// Where a knob's control stands on the page.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Section {
    /// Under *Settings*, in a field that is made from the table, while a stage that it matters to is in focus.
    Settings,
    /// Beside the chart: β's slider.
    Slider,
    /// In the bar, and another value begins another session.
    Run,
    /// In the bar, and another value wants another engine, or other models in it. In the address it comes last.
    Engine,
}

impl Knob {
    /// The value of it in `settings`.
    pub fn value(&self, settings: &Settings) -> f64 {
        (self.get)(settings)
    }

    /// Gives its value in one settings to others.
    pub fn give(&self, from: &Settings, to: &mut Settings) {
        (self.set)(to, self.value(from));
    }

    /// Its value in `settings` as the address has it.
    pub fn text(&self, settings: &Settings) -> String {
        let value = self.value(settings);
        self.values.names.get(value as usize).map_or_else(|| value.to_string(), |name| (*name).to_owned())
    }

    /// Sets it, or says why the value cannot be used; `settings` are unchanged then.
    pub fn set(&self, settings: &mut Settings, value: f64) -> Result<(), ConfigError> {
        self.set_as_typed(settings, value, &value.to_string())
    }

    /// The same of a number that was typed as `shown`, which is named as it was typed: what it becomes as a number may look
    /// otherwise.
    pub(super) fn set_as_typed(&self, settings: &mut Settings, value: f64, shown: &str) -> Result<(), ConfigError> {
        let number = || Message::Number(shown.to_owned());
        let (low, high) = self.values.range;
        if !(low..=high).contains(&value) {
            return Err(ConfigError::new(self.name, message!("{} is outside {} to {}", number(), low, high)));
        }
        let grain = self.values.grain;
        if grain > 0.0 && value % grain != 0.0 {
            let reason = match grain {
                1.0 => message!("{} is not a whole number", number()),
                grain => message!("{} is not a multiple of {}", number(), grain),
            };
            return Err(ConfigError::new(self.name, reason));
        }
        (self.set)(settings, value);
        Ok(())
    }
}
