//! What was measured: the points of every run, what the runs are called, and the optimum.

use std::collections::BTreeMap;

use crate::engine::protocol::{Origin, Point};
use crate::page::model::annotator::PairNames;
use crate::page::model::runs::{self, RunId, RunMark};
use klimb_charts::Trail;
use klimb_metrics::{Method, OptimumPoint};

/// What the runs since the page was opened came to.
#[derive(Debug, Clone)]
pub struct Results {
    /// Every point of every run since the page was opened.
    pub points: Vec<Point>,
    /// How often points were taken out, so that the table is written anew.
    pub removals: usize,
    /// What the person made of runs.
    pub marks: BTreeMap<RunId, RunMark>,
    /// What the pairs are called that runs were trained on.
    pub pair_names: PairNames,
    /// The closed-form optimum.
    pub optimum: Vec<OptimumPoint>,
    /// Whether that was recorded or is computed here.
    pub optimum_origin: Origin,
    /// The fingerprint of the reference that is on.
    pub(super) reference: Option<String>,
    /// Which reference was on when a model that is no run was measured last, by method.
    standing_of: BTreeMap<Method, Option<String>>,
    /// Runs of the engines before this one: each engine counts from 1.
    pub(super) earlier_runs: u32,
}

/// The points of models that are no run, as an engine measured them.
#[derive(Debug, Clone)]
pub(super) struct StandingPoints {
    /// By their places among all points.
    points: Vec<(usize, Point)>,
    of: BTreeMap<Method, Option<String>>,
}

impl Results {
    /// Nothing has been measured.
    pub(super) fn new() -> Self {
        Self {
            points: Vec::new(),
            removals: 0,
            marks: BTreeMap::default(),
            pair_names: PairNames::default(),
            optimum: Vec::new(),
            optimum_origin: Origin::Recorded,
            reference: None,
            standing_of: BTreeMap::default(),
            earlier_runs: 0,
        }
    }

    /// Adds a point; answers whether another was taken out for it. What was measured at the same place of the same run before
    /// is the same policy, and stands once; but not a model beside the runs where the reference is another than it was then.
    pub(super) fn put(&mut self, point: Point) -> bool {
        if point.point.method.is_standing() {
            let before = self.standing_of.get(&point.point.method).cloned();
            self.standing_of.insert(point.point.method, self.reference.clone());
            if before.is_some_and(|before| before != self.reference) {
                self.points.push(point);
                return false;
            }
        }
        let place = |it: &Point| (RunId::of(it), it.point.step);
        let its = place(&point);
        let is_same = |other: &Point| place(other) == its && other.point.setting == point.point.setting;
        let before = self.points.iter().rposition(is_same);
        if let Some(before) = before {
            self.points.remove(before);
            self.removals += 1;
        }
        self.points.push(point);
        before.is_some()
    }

    /// Takes a run out.
    pub(super) fn remove(&mut self, run: &RunId) {
        self.points.retain(|point| RunId::of(point) != *run);
        self.marks.remove(run);
        self.removals += 1;
    }

    /// A point as the engine numbers its run.
    pub(super) fn as_engine_counts(&self, point: Point) -> Point {
        Point { run: point.run.saturating_sub(self.earlier_runs), ..point }
    }

    /// A point of this engine as the page numbers its run, behind those of the engines before.
    pub(super) fn as_page_counts(&self, point: Point) -> Point {
        Point { run: point.run + self.earlier_runs, ..point }
    }

    /// Every run so far is one of an engine before the next.
    pub(super) fn engine_leaves(&mut self) {
        self.earlier_runs = self.last_run();
    }

    /// The highest number of a run, 0 where there is none.
    pub(super) fn last_run(&self) -> u32 {
        self.points.iter().map(|point| point.run).max().unwrap_or(0)
    }

    /// The highest number of a run that trained something, 0 where there is none.
    pub(super) fn last_trained_run(&self) -> u32 {
        let trained = self.points.iter().filter(|point| !point.point.method.is_standing());
        trained.map(|point| point.run).max().unwrap_or(0)
    }

    /// The points of models that are no run: another engine measures them anew.
    pub(super) fn standing(&self) -> StandingPoints {
        let points = self.points.iter().enumerate().filter(|(_, point)| point.point.method.is_standing());
        let points = points.map(|(place, point)| (place, point.clone())).collect();
        StandingPoints { points, of: self.standing_of.clone() }
    }

    /// Puts the points of models that are no run back where they stood, in the place of those there are.
    pub(super) fn restore_standing(&mut self, standing: StandingPoints) {
        self.points.retain(|point| !point.point.method.is_standing());
        for (place, point) in standing.points {
            self.points.insert(place.min(self.points.len()), point);
        }
        self.standing_of = standing.of;
        self.removals += 1;
    }

    /// Every run as a trail, with its number and method.
    pub fn runs(&self) -> Vec<(RunId, Trail)> {
        runs::runs(&self.points, &self.pair_names)
    }

    /// What the person calls a run, if it has been named.
    pub fn name(&self, run: &RunId) -> Option<&str> {
        self.marks.get(run)?.name.as_deref()
    }

    /// The newest point, whose numbers stand large beside the chart.
    pub fn latest(&self) -> Option<&Point> {
        self.points.last()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::page::model::fixtures::point;

    fn places(results: &Results) -> Vec<(u32, &'static str, u64)> {
        results.points.iter().map(|it| (it.run, it.point.method.info().file_name, it.point.step)).collect()
    }

    fn results() -> Results {
        let mut results = Results::new();
        for (run, method, step) in [(1, "sft", 0), (1, "dpo", 10), (2, "dpo", 10)] {
            results.put(point(run, method, step));
        }
        results
    }

    #[test]
    fn a_place_that_is_measured_again_stands_once_and_says_so() {
        let mut results = results();
        assert!(!results.put(point(2, "dpo", 20)));
        assert!(results.put(point(1, "dpo", 10)));
        assert_eq!(results.removals, 1);
        assert_eq!(places(&results), [(1, "sft", 0), (2, "dpo", 10), (2, "dpo", 20), (1, "dpo", 10)]);
        results.reference = Some("another".into());
        assert!(!results.put(point(2, "sft", 0)), "another reference is another model");
    }

    #[test]
    fn the_points_of_models_that_are_no_run_return_to_their_places() {
        let mut results = results();
        let standing = results.standing();
        results.put(point(3, "sft", 0));
        assert_eq!(places(&results)[2], (3, "sft", 0));
        results.restore_standing(standing);
        assert_eq!(places(&results), [(1, "sft", 0), (1, "dpo", 10), (2, "dpo", 10)]);
    }

    #[test]
    fn each_engine_counts_its_runs_from_1() {
        let mut results = results();
        results.engine_leaves();
        assert_eq!(results.earlier_runs, 2);
        let counted = results.as_page_counts(point(1, "dpo", 30));
        assert_eq!(counted.run, 3);
        assert_eq!(results.as_engine_counts(counted).run, 1);
        results.put(point(5, "sft", 0));
        assert_eq!((results.last_run(), results.last_trained_run()), (5, 2));
    }
}
