//! Everything that a page knows of its runs, as one long table: a number a line, whatever it is a number of.

use super::csv::table;

/// The header of such a table: the kind of record, what it is of, its run and step where it has them, its name and value.
pub const RECORD_COLUMNS: [&str; 6] = ["record", "of", "run", "step", "name", "value"];

/// One line of the table.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Record {
    /// `about`, `setting`, `metric`, `point` or `optimum`.
    pub record: &'static str,
    /// The stage or method.
    pub of: String,
    /// Which run of the page, where several are told apart.
    pub run: Option<u32>,
    /// The optimiser step.
    pub step: Option<u64>,
    /// The number's name.
    pub name: String,
    /// The number, in the fewest digits that read back as the same number, or a word.
    pub value: String,
}

/// The text of the table.
pub fn records_csv(records: &[Record]) -> String {
    let number = |number: Option<u64>| number.map_or_else(String::new, |number| number.to_string());
    let row = |it: &Record| {
        [
            it.record.to_owned(),
            it.of.clone(),
            number(it.run.map(u64::from)),
            number(it.step),
            it.name.clone(),
            it.value.clone(),
        ]
    };
    table(RECORD_COLUMNS, records.iter().map(row))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_is_a_line_and_what_it_has_not_is_empty() {
        let about =
            Record { record: "about", name: "adapter".into(), value: "llvmpipe, 256 bits".into(), ..Record::default() };
        let metric = Record {
            record: "metric",
            of: "dpo".into(),
            run: None,
            step: Some(7),
            name: "dpo/loss".into(),
            value: 0.25.to_string(),
        };
        let expected =
            "record,of,run,step,name,value\nabout,,,,adapter,\"llvmpipe, 256 bits\"\nmetric,dpo,,7,dpo/loss,0.25\n";
        assert_eq!(records_csv(&[about, metric]), expected);
    }
}
