//! `frontier.csv`, `optimum.csv` and `optimum_learned.csv`, out and in (RFC 4180, one record a line).

use std::collections::HashMap;
use std::hash::Hash;

use thiserror::Error;

use super::{FrontierPoint, LearnedOptimumPoint, Method, OptimumPoint, Setting};
use klimb_text::shorten::shortened;
use klimb_text::words::key;
use klimb_text::{Message, display_message, json, message};

/// The header of `frontier.csv`.
pub const FRONTIER_COLUMNS: [&str; 10] = [
    "method",
    "setting",
    "seed",
    "step",
    "kl_per_sequence",
    "kl_half_width",
    "gold_reward",
    "gold_reward_half_width",
    "samples",
    "seconds",
];

/// The header of `optimum.csv`.
pub const OPTIMUM_COLUMNS: [&str; 4] = ["beta", "kl_per_sequence", "gold_reward", "effective_sample_size"];

/// The header of `optimum_learned.csv`.
pub const LEARNED_OPTIMUM_COLUMNS: [&str; 6] =
    ["seed", "beta", "kl_per_sequence", "score", "gold_reward", "effective_sample_size"];

/// Why a CSV file was refused.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum CsvError {
    /// The first line is not the expected header.
    Header {
        /// The header of this kind of file.
        expected: String,
        /// The first line.
        found: String,
    },
    /// A line has too many or too few values.
    Width {
        /// The line's number, the header being 1.
        line: usize,
        /// Columns in the header.
        expected: usize,
        /// Values in the line.
        found: usize,
    },
    /// A line stands twice, or a point does.
    Doubled {
        /// The line's number, the header being 1.
        line: usize,
        /// The number of the first.
        earlier: usize,
    },
    /// A value is not what its column holds.
    Value {
        /// The line's number, the header being 1.
        line: usize,
        /// The column's name.
        column: &'static str,
        /// The value.
        found: String,
        /// What the column holds, in words.
        expected: &'static str,
    },
}

impl CsvError {
    /// What is wrong, as a clause.
    pub fn message(&self) -> Message {
        match self {
            Self::Header { found, expected } => {
                message!("line 1: the header is \"{}\" instead of \"{}\"", found, expected)
            }
            Self::Width { line, found, expected } => {
                message!("line {}: {} values instead of {}", line, found, expected)
            }
            Self::Doubled { line, earlier } => {
                message!("line {}: the same as line {}; remove one of them", line, earlier)
            }
            Self::Value { line, column, found, expected } => {
                message!("line {}, column {}: \"{}\" is not {}", line, column, found, Message::named(*expected))
            }
        }
    }
}

display_message!(CsvError);

/// The text of `frontier.csv`. Numbers are written with the fewest digits that read back as the same number.
pub fn frontier_csv(points: &[FrontierPoint]) -> String {
    let row = |point: &FrontierPoint| {
        [
            point.method.to_string(),
            point.setting.to_string(),
            point.seed.to_string(),
            point.step.to_string(),
            point.kl_per_sequence.to_string(),
            point.kl_half_width.to_string(),
            point.gold_reward.to_string(),
            point.gold_reward_half_width.to_string(),
            point.samples.to_string(),
            point.seconds.to_string(),
        ]
    };
    table(FRONTIER_COLUMNS, points.iter().map(row))
}

/// The text of `optimum.csv`.
pub fn optimum_csv(points: &[OptimumPoint]) -> String {
    let row = |point: &OptimumPoint| {
        [point.beta, point.kl_per_sequence, point.gold_reward, point.effective_sample_size].map(|x| x.to_string())
    };
    table(OPTIMUM_COLUMNS, points.iter().map(row))
}

/// The text of `optimum_learned.csv`.
pub fn learned_optimum_csv(points: &[LearnedOptimumPoint]) -> String {
    let row = |LearnedOptimumPoint { seed, score, optimum }: &LearnedOptimumPoint| {
        [
            seed.to_string(),
            optimum.beta.to_string(),
            optimum.kl_per_sequence.to_string(),
            score.to_string(),
            optimum.gold_reward.to_string(),
            optimum.effective_sample_size.to_string(),
        ]
    };
    table(LEARNED_OPTIMUM_COLUMNS, points.iter().map(row))
}

/// The points of a `frontier.csv`.
///
/// # Errors
/// The first line that is not of the format, and where in it.
pub fn parse_frontier_csv(text: &str) -> Result<Vec<FrontierPoint>, CsvError> {
    let mut places: HashMap<(Method, String, u64, u64), usize> = HashMap::new();
    records(text, &FRONTIER_COLUMNS, |record| {
        let place = (record.method(0)?, record.meaning(1), record.count(2)?, record.count(3)?);
        record.once(&mut places, place)?;
        let setting = record.text(1);
        Ok(FrontierPoint {
            method: record.method(0)?,
            setting: match json::number(setting) {
                Some(number) if number.is_finite() => Setting::Number(number),
                _ => Setting::Label(setting.to_owned()),
            },
            seed: record.count(2)?,
            step: record.count(3)?,
            kl_per_sequence: record.number(4)?,
            kl_half_width: record.number(5)?,
            gold_reward: record.number(6)?,
            gold_reward_half_width: record.number(7)?,
            samples: record.count(8)?,
            seconds: record.number(9)?,
            diversity: None,
        })
    })
}

/// The points of an `optimum.csv`.
///
/// # Errors
/// The first line that is not of the format, and where in it.
pub fn parse_optimum_csv(text: &str) -> Result<Vec<OptimumPoint>, CsvError> {
    records(text, &OPTIMUM_COLUMNS, |record| {
        Ok(OptimumPoint {
            beta: record.number(0)?,
            kl_per_sequence: record.number(1)?,
            gold_reward: record.number(2)?,
            effective_sample_size: record.number(3)?,
        })
    })
}

/// The points of an `optimum_learned.csv`.
///
/// # Errors
/// The first line that is not of the format, and where in it.
pub fn parse_learned_optimum_csv(text: &str) -> Result<Vec<LearnedOptimumPoint>, CsvError> {
    records(text, &LEARNED_OPTIMUM_COLUMNS, |record| {
        let optimum = OptimumPoint {
            beta: record.number(1)?,
            kl_per_sequence: record.number(2)?,
            gold_reward: record.number(4)?,
            effective_sample_size: record.number(5)?,
        };
        Ok(LearnedOptimumPoint { seed: record.count(0)?, score: record.number(3)?, optimum })
    })
}

/// A header and its rows, each line ended, values in quotes where they need them.
pub(super) fn table<const N: usize>(columns: [&str; N], rows: impl Iterator<Item = [String; N]>) -> String {
    let mut text = columns.join(",") + "\n";
    for row in rows {
        text += &row.map(|value| quoted(&value)).join(",");
        text.push('\n');
    }
    text
}

/// A text as one value: quoted where it holds a comma or a quote. A line break becomes a space, so that a record stays a
/// line.
fn quoted(text: &str) -> String {
    let line = text.replace(['\r', '\n'], " ");
    if line.contains([',', '"']) { format!("\"{}\"", line.replace('"', "\"\"")) } else { line }
}

/// One line's values, and where they stand.
pub(super) struct Record<'a> {
    line: usize,
    columns: &'a [&'static str],
    values: Vec<String>,
}

impl Record<'_> {
    pub(super) fn text(&self, column: usize) -> &str {
        &self.values[column]
    }

    /// A method, by its name in files.
    pub(super) fn method(&self, column: usize) -> Result<Method, CsvError> {
        Method::of_file_name(self.text(column))
            .ok_or_else(|| self.refuse(column, "the name of a method that this build knows"))
    }

    /// A value as it is written again: a number has one form, however it was typed.
    fn meaning(&self, column: usize) -> String {
        let text = self.text(column);
        let count = text.trim().parse().ok().map(|count: u64| count.to_string());
        let number = || json::number(text.trim()).filter(|number| number.is_finite()).map(|number| number.to_string());
        count.or_else(number).unwrap_or_else(|| text.to_owned())
    }

    /// Refuses what an earlier line had.
    fn once<T: Eq + Hash>(&self, earlier: &mut HashMap<T, usize>, what: T) -> Result<(), CsvError> {
        match earlier.insert(what, self.line) {
            Some(earlier) => Err(CsvError::Doubled { line: self.line, earlier }),
            None => Ok(()),
        }
    }

    pub(super) fn count(&self, column: usize) -> Result<u64, CsvError> {
        let found = self.text(column);
        found.trim().parse().map_err(|_| self.refuse(column, key("a whole number")))
    }

    pub(super) fn number(&self, column: usize) -> Result<f64, CsvError> {
        let number = json::number(self.text(column).trim()).filter(|number| number.is_finite());
        number.ok_or_else(|| self.refuse(column, key("a finite number")))
    }

    fn refuse(&self, column: usize, expected: &'static str) -> CsvError {
        let found = shortened(self.text(column)).into_owned();
        CsvError::Value { line: self.line, column: self.columns[column], found, expected }
    }
}

/// Reads every line below the header; empty lines are passed over.
pub(super) fn records<T>(
    text: &str,
    columns: &[&'static str],
    mut read: impl FnMut(&Record) -> Result<T, CsvError>,
) -> Result<Vec<T>, CsvError> {
    let mut lines = klimb_text::text::without_mark(text).lines().zip(1..);
    let (found, expected) = (lines.next().map_or("", |(line, _)| line).trim(), columns.join(","));
    if found != expected {
        return Err(CsvError::Header { expected, found: shortened(found).into_owned() });
    }
    let mut earlier = HashMap::new();
    let filled = lines.filter(|(line, _)| !line.trim().is_empty());
    filled
        .map(|(text, line)| {
            let record = Record { line, columns, values: split(text) };
            let found = record.values.len();
            if found != columns.len() {
                return Err(CsvError::Width { line, expected: columns.len(), found });
            }
            record.once(&mut earlier, (0..found).map(|column| record.meaning(column)).collect::<Vec<_>>())?;
            read(&record)
        })
        .collect()
}

/// The values of a line, without their quotes.
fn split(line: &str) -> Vec<String> {
    let mut values = vec![String::new()];
    let mut is_quoted = false;
    let mut characters = line.chars().peekable();
    while let Some(character) = characters.next() {
        let value = values.last_mut().expect("there is always a value being read");
        match character {
            '"' if is_quoted && characters.next_if_eq(&'"').is_some() => value.push('"'),
            '"' => is_quoted = !is_quoted,
            ',' if !is_quoted => values.push(String::new()),
            // As it is written: a line that is broken within a value would not be read as one.
            '\r' => value.push(' '),
            other => value.push(other),
        }
    }
    values
}

#[cfg(test)]
mod tests {
    use super::*;

    fn point(setting: Setting) -> FrontierPoint {
        FrontierPoint {
            method: Method::Dpo,
            setting,
            seed: 7,
            step: 400,
            kl_per_sequence: 2.1 + 0.2,
            kl_half_width: 1e-7,
            gold_reward: 0.873,
            gold_reward_half_width: 0.01,
            samples: 512,
            seconds: 61.25,
            diversity: None,
        }
    }

    #[test]
    fn the_files_are_the_published_ones() {
        let line = "dpo,0.1,7,400,2.3000000000000003,0.0000001,0.873,0.01,512,61.25\n";
        let header = "method,setting,seed,step,kl_per_sequence,kl_half_width,gold_reward,gold_reward_half_width,samples,seconds\n";
        assert_eq!(frontier_csv(&[point(Setting::Number(0.1))]), format!("{header}{line}"));
        let optimum = OptimumPoint { beta: 0.3, kl_per_sequence: 3.1, gold_reward: 0.94, effective_sample_size: 120.5 };
        assert_eq!(
            optimum_csv(&[optimum]),
            "beta,kl_per_sequence,gold_reward,effective_sample_size\n0.3,3.1,0.94,120.5\n"
        );
        assert_eq!(parse_optimum_csv(&optimum_csv(&[optimum])), Ok(vec![optimum]));
        let learned = LearnedOptimumPoint { seed: 7, score: 2.5, optimum };
        let text = learned_optimum_csv(&[learned]);
        assert_eq!(
            text,
            "seed,beta,kl_per_sequence,score,gold_reward,effective_sample_size\n7,0.3,3.1,2.5,0.94,120.5\n"
        );
        assert_eq!(parse_learned_optimum_csv(&text), Ok(vec![learned]));
    }

    #[test]
    fn points_come_back_exactly_whatever_their_label() {
        let labels = ["no SFT", "a, b", "the \"paper\"", "", "β"].map(|label| Setting::Label(label.into()));
        let points: Vec<_> = labels.into_iter().chain([Setting::Number(1e-300)]).map(point).collect();
        assert_eq!(parse_frontier_csv(&frontier_csv(&points)), Ok(points));
        let inside = frontier_csv(&[point(Setting::Label("two lines".into()))]).replace("two lines", "two\rlines");
        assert_eq!(parse_frontier_csv(&inside).unwrap()[0].setting, Setting::Label("two lines".into()));
        let broken = frontier_csv(&[point(Setting::Label("two\nlines".into()))]);
        assert_eq!(parse_frontier_csv(&broken).unwrap()[0].setting, Setting::Label("two lines".into()));
    }

    #[test]
    fn line_ends_of_windows_and_a_missing_last_one_are_read() {
        let text = frontier_csv(&[point(Setting::Number(0.1))]);
        let expected = Ok(vec![point(Setting::Number(0.1))]);
        assert_eq!(parse_frontier_csv(&text.replace('\n', "\r\n")), expected);
        assert_eq!(parse_frontier_csv(text.trim_end()), expected);
    }

    #[test]
    fn an_error_names_its_place() {
        let text = optimum_csv(&[]);
        let refusal = |rows: &str| parse_optimum_csv(&format!("{text}{rows}")).unwrap_err().to_string();
        assert_eq!(refusal("1,2,3,4\n1,2,x,4\n"), "line 3, column gold_reward: \"x\" is not a finite number");
        assert_eq!(refusal("1,NaN,3,4\n"), "line 2, column kl_per_sequence: \"NaN\" is not a finite number");
        assert_eq!(refusal("\n1,2\n"), "line 3: 2 values instead of 4");
        let half = frontier_csv(&[point(Setting::Number(0.1))]).replace(",512,", ",512.5,");
        let error = parse_frontier_csv(&half).unwrap_err().to_string();
        assert_eq!(error, "line 2, column samples: \"512.5\" is not a whole number");
        let doubled = frontier_csv(&[Setting::Number(0.1), Setting::Number(0.2), Setting::Number(0.1)].map(point));
        assert_eq!(parse_frontier_csv(&doubled), Err(CsvError::Doubled { line: 4, earlier: 2 }));
        let other = frontier_csv(&[point(Setting::Number(0.1))]).replace(",0.873,", ",0.5,");
        let both = frontier_csv(&[point(Setting::Number(0.1))]) + other.lines().nth(1).unwrap();
        assert_eq!(parse_frontier_csv(&both), Err(CsvError::Doubled { line: 3, earlier: 2 }), "of one point");
        assert_eq!(refusal("1,2,3,4\n2,2,3,4\n\n1,2,3,4\n"), "line 5: the same as line 2; remove one of them");
        assert_eq!(refusal("0.3,2,3,4\n.3, 2,3e0,4.0\n"), "line 3: the same as line 2; remove one of them");
        let twice = frontier_csv(&[point(Setting::Number(0.5))]);
        let twice = format!("{twice}{}\n", twice.lines().nth(1).unwrap().replace(",0.5,", ",.5,"));
        assert_eq!(parse_frontier_csv(&twice), Err(CsvError::Doubled { line: 3, earlier: 2 }), "of one point");
        for name in ["../../evil", "", "Dpo", "d po", "dpo/x"] {
            let renamed = frontier_csv(&[point(Setting::Number(0.1))]).replace("\ndpo,", &format!("\n{name},"));
            let error = parse_frontier_csv(&renamed).unwrap_err().to_string();
            assert!(error.starts_with("line 2, column method") && error.contains(name), "{error}");
        }
        let long = refusal(&format!("1,{},3,4\n", "x".repeat(100_000)));
        assert!(long.len() < 1000 && long.contains("kl_per_sequence"), "{long}");
        assert!(matches!(parse_frontier_csv(&text), Err(CsvError::Header { .. })));
        assert!(matches!(parse_frontier_csv(""), Err(CsvError::Header { .. })));
    }
}
