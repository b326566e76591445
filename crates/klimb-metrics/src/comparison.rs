//! Both roads in numbers, and their CSV file.

use serde::{Deserialize, Serialize};

use super::Method;
use super::csv::{CsvError, records, table};

/// The header of `comparison.csv`.
pub const COMPARISON_COLUMNS: [&str; 6] = ["method", "quantity", "value", "half_width", "unit", "seeds"];

/// One cell: a quantity of a method.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ComparisonCell {
    /// The method.
    pub method: Method,
    /// The quantity's name, such as `gold_at_kl_2`: one of [`QUANTITIES`].
    pub quantity: String,
    /// Its value; the mean over seeds where there are several.
    pub value: f64,
    /// Half the width of its 95 % interval over seeds; 0 for what is counted.
    pub half_width: f64,
    /// Its unit; empty for a share or a number of things.
    pub unit: String,
    /// Seeds behind it; 0 for what does not depend on one.
    pub seeds: u64,
}

/// What a comparison measures: its name in files, what people call it, and how to read it.
pub const QUANTITIES: [(&str, &str, &str); 18] = [
    ("stages", "stages", "Trainings, one after another: a reward model must be finished before PPO can begin."),
    ("networks", "networks in memory", "Policy and reference; for PPO a value model and the reward model too."),
    ("parameters_in_memory", "parameters in memory", "Of those networks, without gradients and moments."),
    (
        "forward_tokens",
        "tokens forward",
        "Every token through a network once, generation included, for one policy; evaluations do not count.",
    ),
    ("backward_tokens", "tokens backward", "Tokens whose gradient was computed: the dear half."),
    ("seconds", "time of one training", "On the machine of the recording; a reward model's included."),
    ("gold_at_kl_2", "best gold reward at KL ≤ 2", "The best point of any β and step, no further from the reference."),
    ("gold_at_kl_5", "best gold reward at KL ≤ 5", "As above."),
    ("gold_at_kl_10", "best gold reward at KL ≤ 10", "As above."),
    ("gap_to_optimum", "gap to the optimum", "Gold reward that the end of a run lacks at its KL, at the middle β."),
    (
        "spread_over_seeds",
        "spread over seeds",
        "Standard deviation of the end's gold reward when only the seed differs.",
    ),
    (
        "gold_at_learning_rate_quarter",
        "gold reward at a quarter of the learning rate",
        "The same grid for every method: what a wrong learning rate costs.",
    ),
    ("gold_at_learning_rate_one", "gold reward at the default learning rate", "The same runs as the gap above."),
    ("gold_at_learning_rate_four", "gold reward at four times the learning rate", "Of the runs that came to an end."),
    ("kl_at_learning_rate_quarter", "KL at a quarter of the learning rate", "Where those runs ended."),
    ("kl_at_learning_rate_one", "KL at the default learning rate", "Where those runs ended."),
    ("kl_at_learning_rate_four", "KL at four times the learning rate", "Where those runs ended."),
    ("diverged_at_learning_rate_four", "runs that fell apart at four times", "Of all seeds."),
];

/// The text of `comparison.csv`.
pub fn comparison_csv(cells: &[ComparisonCell]) -> String {
    let row = |it: &ComparisonCell| {
        let (value, half_width, seeds) = (it.value.to_string(), it.half_width.to_string(), it.seeds.to_string());
        [it.method.to_string(), it.quantity.clone(), value, half_width, it.unit.clone(), seeds]
    };
    table(COMPARISON_COLUMNS, cells.iter().map(row))
}

/// The cells of a `comparison.csv`.
///
/// # Errors
/// The first line that is not of the format, and where in it.
pub fn parse_comparison_csv(text: &str) -> Result<Vec<ComparisonCell>, CsvError> {
    records(text, &COMPARISON_COLUMNS, |record| {
        Ok(ComparisonCell {
            method: record.method(0)?,
            quantity: record.text(1).to_owned(),
            value: record.number(2)?,
            half_width: record.number(3)?,
            unit: record.text(4).to_owned(),
            seeds: record.count(5)?,
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cells_are_written_and_read_back() {
        let cell = ComparisonCell {
            method: Method::PpoGt,
            quantity: "seconds".into(),
            value: 12.5,
            half_width: 0.25,
            unit: "s".into(),
            seeds: 3,
        };
        let text = comparison_csv(std::slice::from_ref(&cell));
        assert_eq!(parse_comparison_csv(&text), Ok(vec![cell]));
        assert!(parse_comparison_csv(&text.replace("12.5", "soon")).is_err());
    }
}
