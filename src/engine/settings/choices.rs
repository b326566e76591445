//! The values of knobs: numbers, switches and choices among names, each told by a number in the table.

use serde::{Deserialize, Serialize};

use klimb_network::objectives::DpoLoss;
use klimb_world::WorldSettings;

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

/// How much of the text that base and SFT model learn from is replaced by random words. More noise, a broader reference:
/// fewer completions are all but impossible under it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Breadth {
    /// No word is replaced.
    Clean,
    /// 3 % of the words are.
    Default,
    /// 10 % of the words are.
    Broad,
}

impl Breadth {
    /// The share of words that are replaced, 0 to 1.
    pub fn noise(self) -> f64 {
        match self {
            Self::Clean => 0.0,
            Self::Default => WorldSettings::default().noise,
            Self::Broad => 0.1,
        }
    }

    /// What the names of its files end with.
    pub fn suffix(self) -> &'static str {
        match self {
            Self::Clean => "-noise-0",
            Self::Default => "",
            Self::Broad => "-noise-10",
        }
    }
}

impl WidthChoice {
    /// The choice of a model of this width alone; `None` where there is none.
    pub fn of(width: usize) -> Option<Self> {
        [Self::Narrow, Self::Wide].into_iter().find(|choice| choice.width(false) == width)
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

/// Which values a knob takes.
#[derive(Debug, Clone, Copy)]
pub struct Values {
    /// Smallest and largest value; where values have names, of their index.
    pub range: (f64, f64),
    /// The values' names in the address, where they have any.
    pub names: &'static [&'static str],
    /// Only multiples of it make sense; 0 takes any number.
    pub grain: f64,
}

impl Values {
    /// Any number from `low` to `high`.
    pub(super) const fn any(low: f64, high: f64) -> Self {
        Self { range: (low, high), names: &[], grain: 0.0 }
    }

    /// Whole numbers.
    pub(super) const fn whole(low: f64, high: f64) -> Self {
        Self::multiples_of(1.0, low, high)
    }

    /// Multiples of `grain`.
    pub(super) const fn multiples_of(grain: f64, low: f64, high: f64) -> Self {
        Self { range: (low, high), names: &[], grain }
    }

    /// The values of a type by their names.
    pub(super) const fn named<T: Named>() -> Self {
        Self { range: (0.0, T::NAMES.len() as f64 - 1.0), names: T::NAMES, grain: 1.0 }
    }
}

/// A field of [`Settings`](super::Settings) as a number, and back.
pub(super) trait Value: Copy {
    /// As a number: itself, or its place among the names.
    fn number(self) -> f64;

    /// The value of a number that its knob takes.
    fn of(number: f64) -> Self;
}

/// A type whose values have names in the address.
pub(super) trait Named: Copy + 'static {
    /// Every value.
    const ALL: &'static [Self];
    /// Their names, in the same order.
    const NAMES: &'static [&'static str];
}

impl Named for bool {
    const ALL: &'static [Self] = &[false, true];
    const NAMES: &'static [&'static str] = &["off", "on"];
}

impl Named for DpoLoss {
    const ALL: &'static [Self] = &Self::ALL;
    const NAMES: &'static [&'static str] = &["sigmoid", "hinge", "ipo"];
}

impl Named for BackendChoice {
    const ALL: &'static [Self] = &[Self::Auto, Self::Cpu, Self::Gpu];
    const NAMES: &'static [&'static str] = &["auto", "cpu", "gpu"];
}

impl Named for WidthChoice {
    const ALL: &'static [Self] = &[Self::Auto, Self::Narrow, Self::Wide];
    const NAMES: &'static [&'static str] = &["auto", "32", "64"];
}

impl Named for Breadth {
    const ALL: &'static [Self] = &[Self::Clean, Self::Default, Self::Broad];
    const NAMES: &'static [&'static str] = &["clean", "default", "broad"];
}

/// Numbers are told by themselves, named values by their place.
macro_rules! values {
    (numbers $($number:ty),+; named $($named:ty),+) => {
        $(impl Value for $number {
            fn number(self) -> f64 {
                self as f64
            }

            fn of(number: f64) -> Self {
                number as Self
            }
        })+
        $(impl Value for $named {
            fn number(self) -> f64 {
                f64::from(self as u8)
            }

            fn of(number: f64) -> Self {
                <Self as Named>::ALL[number as usize]
            }
        })+
    };
}

values!(numbers f64, u32, usize; named bool, DpoLoss, BackendChoice, WidthChoice, Breadth);

#[cfg(test)]
mod tests {
    use super::*;

    fn has_a_name_for_each<T: Named + Value + PartialEq + std::fmt::Debug>() {
        assert_eq!(T::ALL.len(), T::NAMES.len());
        for (place, value) in T::ALL.iter().enumerate() {
            assert_eq!((value.number(), T::of(place as f64)), (place as f64, *value));
        }
    }

    #[test]
    fn every_named_value_has_its_name_and_its_number() {
        has_a_name_for_each::<bool>();
        has_a_name_for_each::<DpoLoss>();
        has_a_name_for_each::<BackendChoice>();
        has_a_name_for_each::<WidthChoice>();
        has_a_name_for_each::<Breadth>();
    }
}
