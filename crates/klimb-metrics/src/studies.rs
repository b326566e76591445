//! What the studies report, and their CSV files: win rates over temperature and over size, and reward hacking over KL.

use serde::{Deserialize, Serialize};

use super::Method;
use super::csv::{CsvError, Record, records, table};

/// The header of `winrate.csv`.
pub const WIN_RATE_COLUMNS: [&str; 8] = [
    "method",
    "temperature",
    "win_rate",
    "win_rate_half_width",
    "gold_reward",
    "gold_reward_half_width",
    "ended",
    "instances",
];

/// The header of `hacking.csv`.
pub const HACKING_COLUMNS: [&str; 13] = [
    "step",
    "kl_per_sequence",
    "kl_half_width",
    "score",
    "score_half_width",
    "gold_score",
    "gold_score_half_width",
    "gap",
    "gap_half_width",
    "gold_reward",
    "gold_reward_half_width",
    "loophole_words",
    "samples",
];

/// The header of `scaling.csv`.
pub const SCALING_COLUMNS: [&str; 11] = [
    "method",
    "width",
    "layers",
    "parameters",
    "seed",
    "win_rate",
    "win_rate_half_width",
    "gold_reward",
    "gold_reward_half_width",
    "ended",
    "instances",
];

/// A policy in a contest: means over prompt instances with half widths of their 95 % intervals.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct WinRate {
    /// Share of the instances in which its gold reward is higher than the opponent's, ties counted half.
    pub win_rate: f64,
    /// Half width of its interval.
    pub win_rate_half_width: f64,
    /// Mean gold reward, 0 to 1.
    pub gold_reward: f64,
    /// Half width of its interval.
    pub gold_reward_half_width: f64,
    /// Share of its completions that ended by themselves.
    pub ended: f64,
    /// Prompt instances.
    pub instances: u64,
}

/// A method's win rate at a sampling temperature.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct WinRatePoint {
    /// What the contestant is called, such as `dpo`.
    pub method: String,
    /// Sampling temperature; 0 takes the likeliest token.
    pub temperature: f64,
    /// How it did.
    pub result: WinRate,
}

/// The text of `winrate.csv`.
pub fn win_rate_csv(points: &[WinRatePoint]) -> String {
    let row = |point: &WinRatePoint| {
        let [a, b, c, d, e, f] = columns(&point.result);
        [point.method.clone(), point.temperature.to_string(), a, b, c, d, e, f]
    };
    table(WIN_RATE_COLUMNS, points.iter().map(row))
}

/// The points of a `winrate.csv`.
///
/// # Errors
/// The first line that is not of the format, and where in it.
pub fn parse_win_rate_csv(text: &str) -> Result<Vec<WinRatePoint>, CsvError> {
    records(text, &WIN_RATE_COLUMNS, |record| {
        let method = record.text(0).to_owned();
        Ok(WinRatePoint { method, temperature: record.number(1)?, result: result(record, 2)? })
    })
}

/// A policy on its way to hack a reward model: means over held-out samples with half widths of their 95 % intervals.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct HackingPoint {
    /// Optimiser updates done.
    pub step: u64,
    /// KL(π‖π_ref) per completion, in nats.
    pub kl_per_sequence: f64,
    /// Half width of its interval, in nats.
    pub kl_half_width: f64,
    /// The reward model's score, less the reference's mean.
    pub score: f64,
    /// Half width of its interval.
    pub score_half_width: f64,
    /// r* = (gold reward − the reference's mean)/τ: what the score would be if it were right.
    pub gold_score: f64,
    /// Half width of its interval.
    pub gold_score_half_width: f64,
    /// Score − gold score, sample by sample: what the reward model is wrong by.
    pub gap: f64,
    /// Half width of its interval.
    pub gap_half_width: f64,
    /// Gold reward, 0 to 1.
    pub gold_reward: f64,
    /// Half width of its interval.
    pub gold_reward_half_width: f64,
    /// How often the loophole's word stands in a completion; 0 without a loophole.
    pub loophole_words: f64,
    /// Samples evaluated.
    pub samples: u64,
}

/// The text of `hacking.csv`.
pub fn hacking_csv(points: &[HackingPoint]) -> String {
    let row = |it: &HackingPoint| {
        [
            it.step.to_string(),
            it.kl_per_sequence.to_string(),
            it.kl_half_width.to_string(),
            it.score.to_string(),
            it.score_half_width.to_string(),
            it.gold_score.to_string(),
            it.gold_score_half_width.to_string(),
            it.gap.to_string(),
            it.gap_half_width.to_string(),
            it.gold_reward.to_string(),
            it.gold_reward_half_width.to_string(),
            it.loophole_words.to_string(),
            it.samples.to_string(),
        ]
    };
    table(HACKING_COLUMNS, points.iter().map(row))
}

/// The points of a `hacking.csv`.
///
/// # Errors
/// The first line that is not of the format, and where in it.
pub fn parse_hacking_csv(text: &str) -> Result<Vec<HackingPoint>, CsvError> {
    records(text, &HACKING_COLUMNS, |record| {
        Ok(HackingPoint {
            step: record.count(0)?,
            kl_per_sequence: record.number(1)?,
            kl_half_width: record.number(2)?,
            score: record.number(3)?,
            score_half_width: record.number(4)?,
            gold_score: record.number(5)?,
            gold_score_half_width: record.number(6)?,
            gap: record.number(7)?,
            gap_half_width: record.number(8)?,
            gold_reward: record.number(9)?,
            gold_reward_half_width: record.number(10)?,
            loophole_words: record.number(11)?,
            samples: record.count(12)?,
        })
    })
}

/// A model's win rate against the largest SFT model.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ScalingPoint {
    /// How the model was made.
    pub method: Method,
    /// Width of the residual stream.
    pub width: u64,
    /// Blocks.
    pub layers: u64,
    /// Parameters.
    pub parameters: u64,
    /// The seed of its training.
    pub seed: u64,
    /// How it did.
    pub result: WinRate,
}

/// The text of `scaling.csv`.
pub fn scaling_csv(points: &[ScalingPoint]) -> String {
    let row = |it: &ScalingPoint| {
        let [a, b, c, d, e, f] = columns(&it.result);
        let [width, layers, parameters, seed] =
            [it.width, it.layers, it.parameters, it.seed].map(|number| number.to_string());
        [it.method.to_string(), width, layers, parameters, seed, a, b, c, d, e, f]
    };
    table(SCALING_COLUMNS, points.iter().map(row))
}

/// The points of a `scaling.csv`.
///
/// # Errors
/// The first line that is not of the format, and where in it.
pub fn parse_scaling_csv(text: &str) -> Result<Vec<ScalingPoint>, CsvError> {
    records(text, &SCALING_COLUMNS, |record| {
        Ok(ScalingPoint {
            method: record.method(0)?,
            width: record.count(1)?,
            layers: record.count(2)?,
            parameters: record.count(3)?,
            seed: record.count(4)?,
            result: result(record, 5)?,
        })
    })
}

/// What stands from `column` on, in the order of [`columns`].
fn result(record: &Record, column: usize) -> Result<WinRate, CsvError> {
    Ok(WinRate {
        win_rate: record.number(column)?,
        win_rate_half_width: record.number(column + 1)?,
        gold_reward: record.number(column + 2)?,
        gold_reward_half_width: record.number(column + 3)?,
        ended: record.number(column + 4)?,
        instances: record.count(column + 5)?,
    })
}

fn columns(result: &WinRate) -> [String; 6] {
    let WinRate { win_rate, win_rate_half_width, gold_reward, gold_reward_half_width, ended, instances } = *result;
    let numbers = [win_rate, win_rate_half_width, gold_reward, gold_reward_half_width, ended];
    let [a, b, c, d, e] = numbers.map(|number| number.to_string());
    [a, b, c, d, e, instances.to_string()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_files_are_the_published_ones() {
        let result = WinRate {
            win_rate: 0.625,
            win_rate_half_width: 0.03,
            gold_reward: 0.7,
            gold_reward_half_width: 0.01,
            ended: 1.0,
            instances: 1024,
        };
        let point = WinRatePoint { method: "best of 4, gold".into(), temperature: 0.25, result };
        let numbers = "0.625,0.03,0.7,0.01,1,1024\n";
        assert_eq!(parse_win_rate_csv(&win_rate_csv(std::slice::from_ref(&point))), Ok(vec![point.clone()]));
        let (_, rows) = win_rate_csv(&[point]).split_once('\n').map(|(a, b)| (a.to_owned(), b.to_owned())).unwrap();
        assert_eq!(rows, format!("\"best of 4, gold\",0.25,{numbers}"));
        let point = ScalingPoint { method: Method::Sft, width: 16, layers: 1, parameters: 6864, seed: 2, result };
        let text = scaling_csv(std::slice::from_ref(&point));
        assert_eq!(parse_scaling_csv(&text), Ok(vec![point]));
        assert!(parse_scaling_csv(&text.replace("6864", "many")).is_err());
        assert!(text.ends_with(&format!("\nsft,16,1,6864,2,{numbers}")));
    }
}
