//! Receipts: what a student's runs came to, as one line of text that others can show as dots. No browser in here.

use serde::{Deserialize, Serialize};

use super::annotator::PairNames;
use super::export;
use super::trails::runs;
use crate::charts::Trail;
use crate::engine::protocol::{BackendKind, Point};
use crate::json;
use crate::metrics::FrontierPoint;
use crate::page::state::State;

/// The only version there is.
const VERSION: u32 = 1;
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
    /// The settings, as an address has them: with them the runs can be repeated.
    pub settings: String,
    /// The last point of each run of training.
    pub points: Vec<FrontierPoint>,
}

impl Receipt {
    /// What this page's runs came to.
    pub fn of(state: &State) -> Self {
        let last = |(id, trail): (super::trails::RunId, Trail)| trail.points.last().filter(|_| id.run > 0).cloned();
        let backend = state.ready.as_ref().map_or("", |ready| match ready.backend.kind {
            BackendKind::Cpu => "cpu",
            BackendKind::Gpu => "gpu",
        });
        Self {
            receipt: VERSION,
            program: export::BUILD.map_or_else(export::program, |build| format!("{} ({build})", export::program())),
            backend: backend.into(),
            settings: state.settings.to_query(),
            points: runs(&state.points, &state.pair_names).into_iter().filter_map(last).collect(),
        }
    }

    /// One line of JSON.
    pub fn to_line(&self) -> String {
        json::to_text(self)
    }

    /// Reads lines that somebody pasted.
    ///
    /// # Errors
    /// The first line that is no receipt, by number, and why.
    pub fn parse(text: &str) -> Result<Vec<Self>, String> {
        let mut receipts = Vec::new();
        for (index, line) in text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty()) {
            let refuse = |reason: String| format!("line {} is no receipt: {reason}", index + 1);
            let receipt: Self = json::from_text(line).map_err(|error| refuse(error.to_string()))?;
            if receipt.receipt != VERSION {
                return Err(refuse(format!("its version is {}, and {VERSION} is known here", receipt.receipt)));
            }
            if receipt.points.len() > MOST_RUNS || !receipt.points.iter().all(FrontierPoint::is_plausible) {
                return Err(refuse("its numbers are out of range".into()));
            }
            receipts.push(receipt);
        }
        if receipts.is_empty() {
            return Err("there is no line".into());
        }
        Ok(receipts)
    }

    /// A dot for each run, named by whose it is.
    pub fn trails(&self, whose: usize) -> Vec<Trail> {
        let dot = |point: &FrontierPoint| {
            let named = Point { run: 1, point: point.clone() };
            let name = super::trails::run_name(&named, &PairNames::default());
            Trail {
                label: say!("{}, receipt {}", name, whose + 1),
                method: point.method.clone(),
                live: false,
                points: vec![point.clone()],
            }
        };
        self.points.iter().map(dot).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::protocol::Event;
    use crate::engine::settings::Settings;
    use crate::page::fixtures::point;

    fn state() -> State {
        let mut state = State::new(Settings { seed: 9, ..Settings::default() });
        for (method, step) in [("sft", 0), ("dpo", 10), ("dpo", 20)] {
            state.apply(Event::Point(point(1, method, step)));
        }
        state
    }

    #[test]
    fn a_receipt_holds_the_last_point_of_each_run_and_comes_back() {
        let receipt = Receipt::of(&state());
        assert_eq!(receipt.points.iter().map(|point| point.step).collect::<Vec<_>>(), [20], "the reference is no run");
        assert_eq!(receipt.settings, "seed=9");
        let line = receipt.to_line();
        assert_eq!(Receipt::parse(&format!("{line}\n\n{line}")).unwrap(), [receipt.clone(), receipt.clone()]);
        assert_eq!(receipt.trails(0)[0].label, "DPO, β 0.30, receipt 1");
    }

    #[test]
    fn what_is_no_receipt_is_refused_by_its_line() {
        let good = Receipt::of(&state());
        let other = |change: &dyn Fn(&mut Receipt)| {
            let mut other = good.clone();
            change(&mut other);
            format!("{}\n{}", good.to_line(), other.to_line())
        };
        for (text, reason) in [
            (String::new(), "there is no line"),
            ("hello".into(), "line 1"),
            (other(&|it| it.receipt = 2), "line 2 is no receipt: its version is 2"),
            (other(&|it| it.points[0].gold_reward = 7.0), "out of range"),
        ] {
            let error = Receipt::parse(&text).unwrap_err();
            assert!(error.contains(reason), "{error}");
        }
    }
}
