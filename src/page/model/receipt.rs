//! Receipts: what a student's runs came to, as one line of text that others can show as dots.

use serde::{Deserialize, Serialize};

use super::annotator::PairNames;
use super::run_notes::RunNote;
use super::runs::run_name;
use crate::engine::protocol::Point;
use klimb_charts::Trail;
use klimb_metrics::FrontierPoint;
use klimb_text::text::without_mark;
use klimb_text::{Message, json};

/// The newest version, which is written; version 1 has no notes on its runs.
pub(super) const VERSION: u32 = 2;
/// Most runs that one receipt may hold: more is not a student's afternoon.
const MOST_RUNS: usize = 200;

/// What was run, and what came out.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Receipt {
    /// Its format.
    pub receipt: u32,
    /// Program and build.
    pub program: String,
    /// `cpu` or `gpu`.
    pub backend: String,
    /// The page's settings, as an address has them.
    pub settings: String,
    /// The last point of each run of training.
    pub points: Vec<FrontierPoint>,
    /// What each of them was trained with, in the same order. Since version 2.
    #[serde(default)]
    pub runs: Vec<Option<RunNote>>,
}

impl Receipt {
    /// One line of JSON.
    pub fn to_line(&self) -> String {
        json::to_text(self)
    }

    /// Reads lines that somebody pasted.
    ///
    /// # Errors
    /// The first line that is no receipt, by number, and why.
    pub fn parse(text: &str) -> Result<Vec<Self>, Message> {
        let mut receipts = Vec::new();
        let lines = text.lines().map(without_mark).enumerate();
        for (index, line) in lines.filter(|(_, line)| !line.trim().is_empty()) {
            let refuse = |reason: Message| message!("line {} is no receipt: {}", index + 1, reason);
            let mut receipt: Self = json::from_text(line).map_err(|error| refuse(error.message()))?;
            if !(1..=VERSION).contains(&receipt.receipt) {
                return Err(refuse(message!(
                    "its version is {}, and 1 to {} are known here",
                    receipt.receipt,
                    VERSION
                )));
            }
            receipt.runs = receipt.runs.into_iter().map(|note| note.map(RunNote::shortened)).collect();
            receipt.runs.resize(receipt.points.len().min(MOST_RUNS), None);
            if receipt.points.len() > MOST_RUNS || !receipt.points.iter().all(FrontierPoint::is_plausible) {
                return Err(refuse(message!("its numbers are out of range")));
            }
            receipts.push(receipt);
        }
        if receipts.is_empty() {
            return Err(message!("there is no line"));
        }
        Ok(receipts)
    }

    /// A dot for each run, named by whose it is.
    pub fn trails(&self, whose: usize) -> Vec<Trail> {
        let notes: Vec<RunNote> = self.runs.iter().flatten().cloned().collect();
        let names = PairNames::of_notes(&notes);
        let dot = |(point, note): (&FrontierPoint, Option<&RunNote>)| {
            let run = note.map_or(0, |note| note.run);
            let own = note.and_then(|note| note.name.clone());
            let name = own.unwrap_or_else(|| run_name(&Point { run, point: point.clone() }, &names));
            Trail {
                label: say!("{}, receipt {}", name, whose + 1),
                method: point.method,
                live: false,
                points: vec![point.clone()],
            }
        };
        let notes = self.runs.iter().map(Option::as_ref).chain(std::iter::repeat(None));
        self.points.iter().zip(notes).map(dot).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::protocol::Event;
    use crate::engine::settings::Settings;
    use crate::page::model::fixtures::point;
    use crate::page::model::state::State;

    fn state() -> State {
        let mut state = State::new(Settings { seed: 9, ..Settings::default() });
        for (method, step) in [("sft", 0), ("dpo", 10), ("dpo", 20)] {
            state.apply(Event::Point(point(1, method, step)));
        }
        state
    }

    #[test]
    fn a_receipt_holds_the_last_point_of_each_run_and_comes_back() {
        let receipt = state().receipt();
        assert_eq!(receipt.points.iter().map(|point| point.step).collect::<Vec<_>>(), [20], "the reference is no run");
        assert_eq!(receipt.settings, "seed=9");
        let line = receipt.to_line();
        assert_eq!(Receipt::parse(&format!("{line}\n\n{line}")).unwrap(), [receipt.clone(), receipt.clone()]);
        assert_eq!(receipt.trails(0)[0].label, "DPO, β 0.30, receipt 1");
    }

    #[test]
    fn a_receipt_tells_how_each_run_can_be_repeated_and_what_it_is_called() {
        let receipt = crate::page::model::fixtures::runs().receipt();
        let settings: Vec<&str> = receipt.runs.iter().flatten().map(|note| note.settings.as_str()).collect();
        assert_eq!(settings, ["seed=9&beta=0.3", "seed=9&beta=0.3&loss=ipo", "seed=9&beta=0.3&loss=ipo"]);
        let read = Receipt::parse(&receipt.to_line()).expect("it was just written");
        assert_eq!(read, std::slice::from_ref(&receipt));
        let labels: Vec<String> = read[0].trails(1).into_iter().map(|trail| trail.label).collect();
        assert_eq!(
            labels,
            [
                "DPO, β 0.30, loss sigmoid, receipt 2",
                "DPO, β 0.30, loss ipo, loaded pairs, receipt 2",
                "Ada’s, receipt 2"
            ]
        );
        let long = Receipt {
            runs: vec![receipt.runs[2].clone().map(|note| RunNote { name: Some("x".repeat(5000)), ..note })],
            ..receipt
        };
        let read = Receipt::parse(&long.to_line()).expect("it has as many points");
        assert!(read[0].trails(0).len() == 3 && read[0].trails(0)[0].label.len() < 200);
    }

    #[test]
    fn what_is_no_receipt_is_refused_by_its_line() {
        let good = state().receipt();
        let other = |change: &dyn Fn(&mut Receipt)| {
            let mut other = good.clone();
            change(&mut other);
            format!("{}\n{}", good.to_line(), other.to_line())
        };
        for (text, reason) in [
            (String::new(), "there is no line"),
            ("hello".into(), "line 1"),
            (other(&|it| it.receipt = 3), "line 2 is no receipt: its version is 3"),
            (other(&|it| it.receipt = 0), "line 2 is no receipt: its version is 0"),
            (other(&|it| it.points[0].gold_reward = 7.0), "out of range"),
        ] {
            let error = Receipt::parse(&text).unwrap_err();
            assert!(error.to_string().contains(reason), "{error}");
        }
    }
}
