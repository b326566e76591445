//! A visit as the browser keeps it: what is written, and what of that another visit takes up.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::engine::protocol::{Failure, Kept, MOST_RUNS, Point, PolicyKey, SavedPolicy, Stage};
use crate::engine::settings::Settings;
use crate::page::model::annotator::SavedNames;
use crate::page::model::runs::{RunId, RunMark};
use crate::page::model::temporary_settings::TemporarySettings;
use klimb_metrics::{METHODS, MetricRow};
use klimb_text::message::Separator;
use klimb_text::{Message, json};

/// The version of the form that this page writes, and the newest it reads. It grows with the table of methods: a run of a
/// method that a page does not know would be broken for it, and so removed; what has a higher version is left alone.
pub const FORMAT: u32 = 2 + (METHODS.len() as u32 - METHODS_OF_VERSION_2);
/// Methods in the table when version 2 was first written.
const METHODS_OF_VERSION_2: u32 = 11;

/// Where the policy behind a point lies, and which it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Place {
    /// The number of its part.
    pub slot: u32,
    /// Whose policy it is.
    pub moment: PolicyKey,
}

/// Where a stretch of rows lies, and which it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stretch {
    /// Whose rows.
    pub stage: Stage,
    /// The number of its part.
    pub place: u32,
    /// The step of its first row.
    pub first: u64,
}

/// A visit as it was kept.
#[derive(Debug, Clone, PartialEq)]
pub struct Saved {
    /// The visit's id.
    pub visit: String,
    /// Milliseconds since 1970, when it was kept.
    pub when: f64,
    /// Whether its page was open when it was looked at.
    pub was_open: bool,
}

/// A visit as the browser keeps it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Entry {
    /// The version of this form.
    pub(super) format: u32,
    /// Milliseconds since 1970, when it was written.
    pub(super) when: f64,
    /// The views' part as JSON: thousands of rows are written faster as one text than as objects.
    pub(super) page: String,
    /// The engine's part; `None` where no policy was measured.
    pub(super) engine: Option<Kept>,
    /// The policies beside it, oldest first.
    pub(super) moments: Vec<Place>,
    /// The rows before those in `page`, by stage and in the order of its steps.
    pub(super) stretches: Vec<Stretch>,
    /// The policies that are not there yet.
    #[serde(skip)]
    pub(in crate::page) fresh: Vec<(u32, SavedPolicy)>,
    /// The stretches that are not there yet, as JSON.
    #[serde(skip)]
    pub(in crate::page) fresh_rows: Vec<(u32, String)>,
    /// The visit that this one has taken up, all of which is in here.
    #[serde(skip)]
    pub(in crate::page) replaces: Option<Saved>,
}

impl Entry {
    /// This entry in the place of a earlier one that never was written, with what that would have put beside it.
    pub(super) fn behind(mut self, earlier: Option<Self>) -> Self {
        if let Some(earlier) = earlier {
            self.fresh.splice(..0, earlier.fresh);
            self.fresh_rows.splice(..0, earlier.fresh_rows);
            self.replaces = self.replaces.or(earlier.replaces);
        }
        self
    }
}

/// The views' part.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Seen {
    /// The knobs.
    pub settings: Settings,
    /// What Play trained.
    pub focused: Stage,
    /// Every point of every run.
    pub points: Vec<Point>,
    /// Rows of the runs that were on, the newest of each alone while others lie beside it.
    pub metrics: BTreeMap<Stage, Vec<MetricRow>>,
    /// Steps after which β was changed.
    pub beta_changes: BTreeMap<Stage, Vec<(u64, f64)>>,
    /// Runs of the engines before the kept one.
    pub earlier_runs: u32,
    /// Which of the settings were in use for a while only.
    #[serde(default, rename = "lent")]
    pub temporary_settings: TemporarySettings,
    /// What pairs were called.
    #[serde(default)]
    pub pair_names: SavedNames,
    /// What the person made of runs.
    #[serde(default)]
    pub marks: Vec<(RunId, RunMark)>,
}

/// A visit as it was found in the store: its entry, and the parts that the entry names and that could be read.
#[derive(Debug, Clone, PartialEq)]
pub struct Loaded {
    /// The entry.
    pub entry: Entry,
    /// The policies, by their places.
    pub policies: Vec<(u32, SavedPolicy)>,
    /// The stretches of rows, by theirs.
    pub rows: Vec<(u32, String)>,
}

/// What an entry names and the store does not have, or not as it was written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Missing {
    /// The policy behind a point.
    Policy(PolicyKey),
    /// A stage's rows from this step on, a stretch of them.
    Rows(Stage, u64),
}

/// An earlier visit.
#[derive(Debug, Clone, PartialEq)]
pub struct SavedSession {
    /// Which visit it was.
    pub visit: String,
    /// Whether its page is still open.
    pub is_open: bool,
    /// Whether it may still be open: the browser does not tell.
    pub may_be_open: bool,
    /// Milliseconds since 1970, when it was kept.
    pub when: f64,
    /// The views' part.
    pub seen: Seen,
    /// The engine's part.
    pub engine: Option<Kept>,
    /// What of it is lost.
    pub missing: Vec<Missing>,
}

impl Loaded {
    /// What was kept, or why it is of no use. A policy or stretch that is not the one that the entry names is left out.
    ///
    /// # Errors
    /// A damaged text, settings out of range, or nothing to take up.
    pub fn read(self, visit: String, is_open: bool) -> Result<SavedSession, Message> {
        let Self { entry, policies, rows } = self;
        let mut seen: Seen = json::from_text(&entry.page).map_err(|error| error.message())?;
        seen.settings.validated().map_err(|error| error.message())?;
        let points = seen.points.iter().map(|point| point.run);
        let places = entry.moments.iter().map(|place| place.moment.run);
        let engine = entry.engine.iter().flat_map(Kept::runs);
        if points.chain(places).chain(engine).chain([seen.earlier_runs]).any(|run| run > MOST_RUNS) {
            return Err(message!("its runs have numbers that no run has"));
        }
        let mut missing = Vec::new();
        let newest = std::mem::take(&mut seen.metrics);
        for Stretch { stage, place, first } in entry.stretches {
            let text = rows.iter().find(|(its, _)| *its == place).map(|(_, text)| text.as_str());
            let its: Vec<MetricRow> = text.and_then(|text| json::from_text(text).ok()).unwrap_or_default();
            let known = seen.metrics.entry(stage).or_default();
            let is_next = known.last().is_none_or(|last| last.step < first);
            match its.first() {
                Some(row) if row.step == first && is_next => known.extend(its),
                Some(_) | None => missing.push(Missing::Rows(stage, first)),
            }
        }
        for (stage, rows) in newest {
            seen.metrics.entry(stage).or_default().extend(rows);
        }
        let mut engine = entry.engine;
        for Place { slot, moment } in entry.moments {
            let point = seen.points.iter().find(|point| is_of(point, moment, seen.earlier_runs));
            let policy = policies.iter().find(|(its, _)| *its == slot).map(|(_, policy)| policy);
            match (policy, &mut engine, point) {
                (Some(policy), Some(engine), Some(point)) if is_behind(policy, moment, point) => {
                    engine.saved_policies.push(policy.clone());
                }
                // The person has taken its run out of the chart.
                (_, _, None) => {}
                (Some(_) | None, Some(_) | None, Some(_)) => missing.push(Missing::Policy(moment)),
            }
        }
        let earlier = SavedSession { visit, is_open, may_be_open: false, when: entry.when, seen, engine, missing };
        if earlier.newest().is_none() || !earlier.when.is_finite() {
            return Err(message!("it holds no run"));
        }
        Ok(earlier)
    }
}

/// What is said of a run that is taken up and of which this is lost.
pub fn lost(missing: &[Missing]) -> Option<Failure> {
    let each = missing.iter().map(|missing| match missing {
        Missing::Policy(moment) => {
            message!("the policy of {}, step {}", Message::named(moment.stage.name()), moment.step)
        }
        Missing::Rows(stage, first) => message!("the rows of {} from step {} on", Message::named(stage.name()), *first),
    });
    let list = Message::list(each.collect(), Separator::Semicolon);
    (!missing.is_empty()).then(|| Failure {
        sentence: message!("Of the kept run this is damaged or missing, and left out: {}.", list),
        remedy: message!("Everything else of it is as it was."),
        field: None,
        stopped: false,
    })
}

/// Whether a point, whose run is numbered as the page does, is the one that the engine measured under this key.
fn is_of(Point { run, point }: &Point, key: PolicyKey, earlier_runs: u32) -> bool {
    *run == key.run + earlier_runs && point.step == key.step && Some(point.method) == key.stage.method()
}

/// Whether a policy is the one of this key, behind this point and no other.
fn is_behind(policy: &SavedPolicy, key: PolicyKey, point: &Point) -> bool {
    policy.key() == key && policy.point.point == point.point
}

impl SavedSession {
    /// What was kept, by name.
    pub fn saved(&self) -> Saved {
        Saved { visit: self.visit.clone(), when: self.when, was_open: self.is_open }
    }

    /// The last point that was trained for.
    fn newest(&self) -> Option<&Point> {
        self.seen.points.iter().rev().find(|point| !point.point.method.is_standing())
    }

    /// Which run it is, as `DPO, 120 steps`.
    pub fn words(&self) -> String {
        let Some(Point { point, .. }) = self.newest() else { return String::new() };
        let name = point.method.label();
        match point.step {
            0 => name.to_owned(),
            1 => say!("{}, 1 step", name),
            steps => say!("{}, {} steps", name, steps),
        }
    }
}
