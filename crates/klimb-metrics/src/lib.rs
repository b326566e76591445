//! What a run reports: the only things that charts, tables and files know of it.
//!
//! Invariant: nothing here knows a trainer, a backend or a chart.
//!
//! ```
//! use klimb_metrics::{MetricRow, Series, definition};
//!
//! let rows = [MetricRow::new(1, &[("dpo/loss", 0.693)]), MetricRow::new(2, &[("dpo/loss", 0.651)])];
//! assert_eq!(Series::from_rows("dpo/loss", &rows).points, [(1, 0.693), (2, 0.651)]);
//! // Every number has one definition, from which the page, its help and the documents are written.
//! println!("{}", definition("dpo/loss").expect("a known metric").how_to_read);
//! ```

#![warn(missing_docs)]
#![cfg_attr(not(test), warn(clippy::wildcard_enum_match_arm))]

mod ablation;
mod comparison;
mod csv;
mod definitions;
mod method;
mod pair_loss;
mod records;
mod studies;

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};

pub use ablation::{ABLATION_COLUMNS, AblationPoint, REFERENCE_PROBABILITIES, ablation_csv};
pub use comparison::{COMPARISON_COLUMNS, ComparisonCell, QUANTITIES, comparison_csv, parse_comparison_csv};
pub use csv::{
    CsvError, FRONTIER_COLUMNS, LEARNED_OPTIMUM_COLUMNS, OPTIMUM_COLUMNS, frontier_csv, learned_optimum_csv,
    optimum_csv, parse_frontier_csv, parse_learned_optimum_csv, parse_optimum_csv,
};
pub use definitions::{DEFINITIONS, MetricDefinition, definition};
pub use method::{Cost, Hue, KnobSetting, LearnsFrom, METHODS, Marker, Method, MethodInfo, SeriesStyle, SettingKind};
pub use pair_loss::{LikelihoodLoss, LossSides, MarginLoss, PairLoss};
pub use records::{RECORD_COLUMNS, Record, records_csv};
pub use studies::{
    HACKING_COLUMNS, HackingPoint, SCALING_COLUMNS, ScalingPoint, WIN_RATE_COLUMNS, WinRate, WinRatePoint, hacking_csv,
    parse_hacking_csv, parse_scaling_csv, parse_win_rate_csv, scaling_csv, win_rate_csv,
};

/// The metrics of one step.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct MetricRow {
    /// Optimiser updates done, this one included.
    pub step: u64,
    /// Values by metric name, such as `dpo/loss`; the names are those of [`DEFINITIONS`].
    pub values: BTreeMap<String, f64>,
}

impl MetricRow {
    /// The row of a step, from names and values.
    pub fn new(step: u64, values: &[(&str, f64)]) -> Self {
        Self { step, values: values.iter().map(|&(name, value)| (name.to_owned(), value)).collect() }
    }
}

/// One metric over the steps.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct Series {
    /// The metric's name.
    pub metric: String,
    /// Step and value, in the order reported.
    pub points: Vec<(u64, f64)>,
}

impl Series {
    /// The metric `metric` of those rows that have it.
    pub fn from_rows(metric: &str, rows: &[MetricRow]) -> Self {
        let points = rows.iter().filter_map(|row| Some((row.step, *row.values.get(metric)?))).collect();
        Self { metric: metric.to_owned(), points }
    }
}

/// The setting that a method's point belongs to.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Setting {
    /// A number: β, α, a target KL, N.
    Number(f64),
    /// Anything else, such as a seed's or a start's name. Not the text of a number.
    Label(String),
}

impl fmt::Display for Setting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Number(number) => f.pad(&number.to_string()),
            Self::Label(label) => f.pad(label),
        }
    }
}

/// A policy on the reward-versus-KL chart: means over held-out samples with half widths of their 95 % intervals.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct FrontierPoint {
    /// How it was made.
    pub method: Method,
    /// The method's setting, for DPO β.
    pub setting: Setting,
    /// The run's seed.
    pub seed: u64,
    /// Optimiser updates done.
    pub step: u64,
    /// KL(π‖π_ref) per completion, in nats.
    pub kl_per_sequence: f64,
    /// Half width of its interval, in nats.
    pub kl_half_width: f64,
    /// Gold reward, 0 to 1.
    pub gold_reward: f64,
    /// Half width of its interval.
    pub gold_reward_half_width: f64,
    /// Samples evaluated.
    pub samples: u64,
    /// Training time so far, without evaluations, in seconds.
    pub seconds: f64,
    /// Distinct completions divided by samples; unknown for a point read from a CSV file, which has no such column.
    pub diversity: Option<f64>,
}

impl FrontierPoint {
    /// Whether a chart can show it: finite numbers, and a gold reward that there can be.
    pub fn is_plausible(&self) -> bool {
        let numbers = [self.kl_per_sequence, self.kl_half_width, self.gold_reward_half_width];
        numbers.iter().all(|number| number.is_finite()) && (0.0..=1.0).contains(&self.gold_reward)
    }
}

/// A point of the best that any policy can do (Rafailov et al. 2023, equation 4): π_ref·exp(r*/β)/Z.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct OptimumPoint {
    /// β.
    pub beta: f64,
    /// KL(π*‖π_ref) per completion, in nats, mean over held-out prompts.
    pub kl_per_sequence: f64,
    /// Gold reward, 0 to 1, mean over held-out prompts.
    pub gold_reward: f64,
    /// How many independent samples the importance weights are worth, at the prompt where that is least.
    pub effective_sample_size: f64,
}

/// What PPO on a reward model aims at: π_ref·exp(r_φ/β)/Z, with r_φ the reward model's score. It is the best there is by
/// score, and no bound in gold reward.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct LearnedOptimumPoint {
    /// The seed of the reward model.
    pub seed: u64,
    /// Mean score r_φ, of which the reference's mean is 0.
    pub score: f64,
    /// Where the policy lies: KL and *gold* reward, as on the frontier.
    pub optimum: OptimumPoint,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_setting_is_written_as_in_files_and_fits_a_table() {
        let (number, label) = (Setting::Number(64.0), Setting::Label("chosen".into()));
        assert_eq!(format!("{number}|{number:>4}|{label}"), "64|  64|chosen");
    }

    #[test]
    fn a_series_is_what_the_rows_have_of_it() {
        let row =
            |step, name: &str, value| MetricRow { step, values: [(name.to_owned(), value)].into_iter().collect() };
        let rows = [row(1, "dpo/loss", 0.69), row(2, "sft/loss", 3.0), row(5, "dpo/loss", 0.5)];
        let series = Series::from_rows("dpo/loss", &rows);
        assert_eq!((series.metric.as_str(), series.points), ("dpo/loss", vec![(1, 0.69), (5, 0.5)]));
    }
}
