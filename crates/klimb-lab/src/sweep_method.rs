//! What a sweep runs: a method with its setting, and how that stands in files.
//!
//! A method on pairs has no line of its own here: it is [`PairAlgorithm`] that knows them all, and the method's row that says
//! what its setting is called.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use thiserror::Error;

use klimb_align::algorithms::{Budget, PairAlgorithm};
use klimb_metrics::{METHODS, Method};

/// A method with its setting: a curve of the figure.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "InFiles", into = "InFiles")]
pub enum SweepMethod {
    /// A method on preference pairs; see [`SweepMethod::on_pairs`].
    Pairs(PairMethod),
    /// PPO with a reward model of its own seed's pairs.
    Ppo(Leash),
    /// PPO with the gold reward.
    PpoGt(Leash),
    /// Best-of-N by gold reward, a point for every power of two.
    BestOfN {
        /// Up to this N.
        largest: usize,
    },
}

/// A method that learns from preference pairs, with its β or α if it has one.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct PairMethod {
    method: Method,
    number: Option<f64>,
}

/// How PPO is held near the reference.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Leash {
    /// The price of a nat stays.
    Beta(f64),
    /// The price follows this KL (Ziegler et al. 2019, section 2.2).
    TargetKl(f64),
}

impl std::fmt::Display for Leash {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Beta(beta) => write!(f, "β {beta}"),
            Self::TargetKl(target) => write!(f, "target KL {target}"),
        }
    }
}

impl Leash {
    /// What its number is called in files, and the number.
    fn in_files(self) -> (&'static str, f64) {
        match self {
            Self::Beta(beta) => ("beta", beta),
            Self::TargetKl(target) => ("target_kl", target),
        }
    }
}

impl PairMethod {
    /// The algorithm, within a budget.
    ///
    /// # Panics
    /// If the method learns from pairs and is no [`PairAlgorithm`], which a test of that type excludes.
    pub fn algorithm(self, budget: Budget) -> PairAlgorithm {
        let algorithm = PairAlgorithm::of(self.method, budget).expect("every method on pairs is an algorithm");
        self.number.map_or(algorithm, |number| algorithm.with_setting(number))
    }
}

impl SweepMethod {
    /// A method on preference pairs with its β or α; `None` of one that has neither.
    ///
    /// # Panics
    /// If the method does not learn from pairs, a setting is missing, or there is one too many.
    pub const fn on_pairs(method: Method, number: Option<f64>) -> Self {
        assert!(method.learns_from_pairs(), "a method that does not learn from pairs");
        assert!(has_number(method) == number.is_some(), "a method without its setting, or with one that it has not");
        Self::Pairs(PairMethod { method, number })
    }

    /// The method, whatever its setting.
    pub fn method(&self) -> Method {
        match self {
            Self::Pairs(PairMethod { method, .. }) => *method,
            Self::Ppo(_) => Method::Ppo,
            Self::PpoGt(_) => Method::PpoGt,
            Self::BestOfN { .. } => Method::BestOfN,
        }
    }

    /// A method at a β; one on pairs that no β holds is what it always is.
    ///
    /// # Panics
    /// If no sweep trains by the method.
    pub(super) fn at_beta(method: Method, beta: f64) -> Self {
        if method.learns_from_pairs() {
            return Self::on_pairs(method, method.has_leash().then_some(beta));
        }
        let on_rollouts = [Self::Ppo(Leash::Beta(beta)), Self::PpoGt(Leash::Beta(beta))];
        on_rollouts
            .into_iter()
            .find(|it| it.method() == method)
            .unwrap_or_else(|| panic!("no sweep trains by {method}"))
    }

    /// What a person reads in a legend.
    pub fn label(&self) -> String {
        let name = beginning_large(self.method().info().label);
        match self {
            Self::Pairs(PairMethod { method, number }) => match method.info().setting.symbol().zip(*number) {
                Some((symbol, number)) => format!("{name}, {symbol} {number}"),
                None => name,
            },
            Self::Ppo(leash) | Self::PpoGt(leash) => format!("{name}, {leash}"),
            Self::BestOfN { largest } => format!("{name}, N to {largest}"),
        }
    }
}

/// Whether the runs of a method are told apart by a β or an α.
const fn has_number(method: Method) -> bool {
    method.info().setting.knob().is_some()
}

/// A label as the beginning of a line: “unlikelihood” is a word in the table.
fn beginning_large(label: &str) -> String {
    let mut letters = label.chars();
    letters.next().into_iter().flat_map(char::to_uppercase).chain(letters).collect()
}

/// A method's name in the files of studies: with `_` for `-`.
pub(super) fn name_in_files(method: Method) -> String {
    method.to_string().replace('-', "_")
}

/// What the number of a method's setting is called in files, if it has one: as its knob, but for α, which had its name before.
fn field(method: Method) -> Option<&'static str> {
    let knob = method.info().setting.knob()?;
    Some(if knob == "unlikelihood_alpha" { "alpha" } else { knob })
}

/// A [`SweepMethod`] as the files of a sweep have it: its name, and the number that goes with it.
#[derive(Debug, Serialize, Deserialize)]
struct InFiles {
    name: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    largest: Option<usize>,
    #[serde(flatten)]
    numbers: BTreeMap<String, f64>,
}

/// Why a file's method cannot be one of a sweep.
#[derive(Debug, Error)]
enum NotInSweep {
    #[error("no sweep has a method “{0}”")]
    Name(String),
    #[error("“{name}” is without its “{field}”")]
    Without { name: String, field: &'static str },
}

impl From<SweepMethod> for InFiles {
    fn from(swept: SweepMethod) -> Self {
        let (number, largest) = match swept {
            SweepMethod::Pairs(PairMethod { method, number }) => (field(method).zip(number), None),
            SweepMethod::Ppo(leash) | SweepMethod::PpoGt(leash) => (Some(leash.in_files()), None),
            SweepMethod::BestOfN { largest } => (None, Some(largest)),
        };
        let numbers = number.into_iter().map(|(field, number)| (field.to_owned(), number)).collect();
        Self { name: name_in_files(swept.method()), largest, numbers }
    }
}

impl TryFrom<InFiles> for SweepMethod {
    type Error = NotInSweep;

    fn try_from(InFiles { name, largest, numbers }: InFiles) -> Result<Self, NotInSweep> {
        let without = |field| NotInSweep::Without { name: name.clone(), field };
        let number = |field| numbers.get(field).copied().ok_or_else(|| without(field));
        let leash = || number("target_kl").map(Leash::TargetKl).or_else(|_| number("beta").map(Leash::Beta));
        match METHODS.iter().map(|info| info.method).find(|&method| name_in_files(method) == name) {
            Some(method) if method.learns_from_pairs() => {
                Ok(Self::on_pairs(method, field(method).map(number).transpose()?))
            }
            Some(Method::Ppo) => Ok(Self::Ppo(leash()?)),
            Some(Method::PpoGt) => Ok(Self::PpoGt(leash()?)),
            Some(Method::BestOfN) => Ok(Self::BestOfN { largest: largest.ok_or_else(|| without("largest"))? }),
            Some(_) | None => Err(NotInSweep::Name(name)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Every kind of method as files have it and as a legend has it. These are files of today.
    const KNOWN: [(&str, &str); 9] = [
        (r#"{"name":"dpo","beta":0.05}"#, "DPO, β 0.05"),
        (r#"{"name":"unlikelihood","alpha":0.1}"#, "Unlikelihood, α 0.1"),
        (r#"{"name":"preferred_ft"}"#, "Preferred-FT"),
        (r#"{"name":"ppo","beta":0.3}"#, "PPO, β 0.3"),
        (r#"{"name":"ppo","target_kl":3.0}"#, "PPO, target KL 3"),
        (r#"{"name":"ppo_gt","beta":1.0}"#, "PPO-GT, β 1"),
        (r#"{"name":"ppo_gt","target_kl":12.0}"#, "PPO-GT, target KL 12"),
        (r#"{"name":"best_of_n","largest":64}"#, "Best-of-N, N to 64"),
        (r#"{"name":"best_of_n","largest":1}"#, "Best-of-N, N to 1"),
    ];

    #[test]
    fn a_swept_method_stands_in_files_as_it_always_has() {
        for (text, label) in KNOWN {
            let method: SweepMethod = serde_json::from_str(text).expect("a method of a sweep");
            assert_eq!(serde_json::to_string(&method).expect("it is written"), text);
            assert_eq!(method.label(), label);
        }
    }

    #[test]
    fn every_method_on_pairs_can_be_swept_with_the_number_that_its_row_says() {
        for info in METHODS.iter().filter(|info| info.method.learns_from_pairs()) {
            let swept = SweepMethod::on_pairs(info.method, has_number(info.method).then_some(0.25));
            let text = serde_json::to_string(&swept).expect("it is written");
            assert_eq!(serde_json::from_str::<SweepMethod>(&text).expect("and read"), swept, "{text}");
            assert!(text.contains(info.file_name), "{text}");
            let SweepMethod::Pairs(pairs) = swept else { panic!("{text}") };
            let budget = Budget { pairs: 3, ..Budget::default() };
            let algorithm = pairs.algorithm(budget);
            assert_eq!((algorithm.method(), algorithm.budget()), (info.method, budget));
            let setting = algorithm.setting().to_string();
            assert_eq!(setting == "0.25", has_number(info.method), "{text}: {setting}");
        }
    }

    #[test]
    fn what_no_sweep_has_is_refused_with_its_name() {
        for (text, said) in [
            (r#"{"name":"sft"}"#, "no sweep has a method “sft”"),
            (r#"{"name":"ppo_gt_ptx","beta":1.0}"#, "no sweep has a method “ppo_gt_ptx”"),
            (r#"{"name":"dpo","alpha":0.1}"#, "“dpo” is without its “beta”"),
            (r#"{"name":"unlikelihood","beta":0.1}"#, "“unlikelihood” is without its “alpha”"),
            (r#"{"name":"ppo"}"#, "“ppo” is without its “beta”"),
            (r#"{"name":"best_of_n"}"#, "“best_of_n” is without its “largest”"),
        ] {
            let error = serde_json::from_str::<SweepMethod>(text).unwrap_err().to_string();
            assert!(error.contains(said), "{text}: {error}");
        }
    }
}
