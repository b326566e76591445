//! Runs out of a file of numbers that was exported before, to stand in the chart beside those of today.

use serde::Deserialize;

use super::annotator::PairNames;
use super::run_notes::RunNote;
use super::runs::{RunId, RunMark, shown};
use crate::engine::protocol::Point;
use klimb_charts::Trail;
use klimb_metrics::FrontierPoint;
use klimb_text::{Message, json};

/// Most points that are taken from one file: far more than an afternoon of training leaves.
const MOST_POINTS: usize = 20_000;

/// What a file of numbers holds of runs.
#[derive(Debug, Clone, PartialEq)]
pub struct ImportedRuns {
    /// The file's name.
    pub file: String,
    /// The settings that it was written with, as an address has them.
    pub settings: String,
    /// Its runs, named by what differs and by the file.
    pub trails: Vec<Trail>,
}

/// What is read of the file that [`super::export::json`] writes.
#[derive(Deserialize)]
struct File {
    address: String,
    points: Vec<Point>,
    /// Newer files tell of their runs.
    #[serde(default)]
    runs: Vec<RunNote>,
}

impl ImportedRuns {
    /// Reads a file of numbers.
    ///
    /// # Errors
    /// Why it is none, as a clause.
    pub fn parse(file: &str, bytes: &[u8]) -> Result<Self, Message> {
        let File { address, points, runs } = json::from_bytes(bytes).map_err(|error| error.message())?;
        if points.len() > MOST_POINTS || !points.iter().all(|it| it.point.is_plausible()) {
            return Err(message!("its numbers are out of range"));
        }
        let name = |mut trail: Trail| {
            trail.label = say!("{}, from {}", trail.label, file);
            trail.live = false;
            trail
        };
        let notes: Vec<RunNote> = runs.into_iter().take(MOST_POINTS).map(RunNote::shortened).collect();
        let mark = |RunNote { run, method, name, .. }: &RunNote| {
            let name = name.clone();
            (RunId { run: *run, method: *method }, RunMark { hidden: false, name })
        };
        let marks = notes.iter().map(mark).collect();
        let trails: Vec<Trail> = shown(&points, &PairNames::of_notes(&notes), &marks)
            .into_iter()
            .filter(|(id, _)| id.run > 0)
            .map(|(_, trail)| name(trail))
            .collect();
        if trails.is_empty() {
            return Err(message!("it has no run of training in it"));
        }
        Ok(Self { file: file.into(), settings: address.trim_start_matches('?').into(), trails })
    }

    /// Its points, over all runs.
    pub fn points(&self) -> impl Iterator<Item = &FrontierPoint> {
        self.trails.iter().flat_map(|trail| &trail.points)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::protocol::Event;
    use crate::engine::settings::Settings;
    use crate::page::model::export;
    use crate::page::model::fixtures::point;
    use crate::page::model::state::State;

    #[test]
    fn exported_numbers_come_back_as_runs_named_by_their_file() {
        let mut state = State::new(Settings { seed: 9, ..Settings::default() });
        for (run, method, step) in [(0, "sft", 0), (1, "dpo", 10), (1, "dpo", 20), (2, "dpo", 10)] {
            state.apply(Event::Point(point(run, method, step)));
        }
        let text = export::json(&state, "2026-11-27");
        let imported = ImportedRuns::parse("friday.json", text.as_bytes()).unwrap();
        assert_eq!((imported.settings.as_str(), imported.trails.len()), ("seed=9", 2), "the reference is no run");
        assert_eq!(imported.trails[0].label, "DPO, β 0.30, from friday.json");
        assert!(imported.trails.iter().all(|trail| !trail.live));
        let steps: Vec<u64> = imported.points().map(|point| point.step).collect();
        assert_eq!(steps, [10, 20, 10]);
    }

    #[test]
    fn runs_come_back_with_their_labels_settings_and_names() {
        let text = export::json(&crate::page::model::fixtures::runs(), "");
        let imported = ImportedRuns::parse("a.json", text.as_bytes()).expect("it was just written");
        let labels: Vec<&str> = imported.trails.iter().map(|trail| trail.label.as_str()).collect();
        assert_eq!(
            labels,
            [
                "DPO, β 0.30, loss sigmoid, from a.json",
                "DPO, β 0.30, loss ipo, loaded pairs, from a.json",
                "Ada’s, from a.json"
            ]
        );
        // An earlier build wrote on a German page what it called the labels there.
        let german = text.replace("loaded pairs", "meine Labels, 20 % vertauscht");
        let imported = ImportedRuns::parse("a.json", german.as_bytes()).expect("it is read as before");
        assert_eq!(imported.trails[1].label, "DPO, β 0.30, loss ipo, my labels, 20 % flipped, from a.json");
    }

    #[test]
    fn what_are_no_numbers_of_ours_is_refused_with_the_reason() {
        let mut state = State::new(Settings::default());
        state.apply(Event::Point(point(0, "sft", 0)));
        let without_runs = export::json(&state, "");
        let mut wrong = point(1, "dpo", 10);
        wrong.point.gold_reward = 7.0;
        state.apply(Event::Point(wrong));
        let out_of_range = export::json(&state, "");
        for (bytes, reason) in [
            (b"hello".as_slice(), "expected"),
            (br#"{"points": []}"#.as_slice(), "address"),
            (b"[]", ""),
            (&[0xff], "no text"),
            (without_runs.as_bytes(), "no run of training"),
            (out_of_range.as_bytes(), "out of range"),
        ] {
            let error = ImportedRuns::parse("x.json", bytes).unwrap_err();
            assert!(error.to_string().contains(reason), "{error}");
        }
    }
}
