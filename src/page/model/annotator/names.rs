//! What tells runs of one method apart: the pairs they were trained on, where those were not generated, and their settings.

use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

use super::PairSource;
use crate::engine::protocol::{Command, Point};
use crate::engine::settings::Settings;
use crate::page::model::run_notes::{RunNote, RunSettings};
use crate::page::model::runs::RunId;
use klimb_metrics::Method;

/// Where the engine's pairs came from, and where they had come from when each run was measured. Of generated pairs there is
/// nothing to say.
#[derive(Debug, Clone, Default)]
pub struct PairNames {
    /// The source of the pairs that are ordered next.
    announced: Option<PairSource>,
    /// The sources behind requests that are not taken up yet.
    ordered: BTreeMap<u32, Option<PairSource>>,
    now: Option<PairSource>,
    before: Option<PairSource>,
    runs: BTreeMap<(u32, Method), PairSource>,
    settings: RunSettings,
}

/// Names as they are saved until another visit.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct SavedNames {
    now: Option<PairSource>,
    /// Run, method, source of its pairs.
    runs: Vec<(u32, Method, PairSource)>,
    /// Run, method, settings as an address has them, whether they have changed.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    settings: Vec<(u32, Method, String, bool)>,
}

impl PairNames {
    /// The names, to be saved.
    pub fn saved(&self) -> SavedNames {
        let runs = self.runs.iter().map(|((run, method), name)| (*run, *method, name.clone())).collect();
        SavedNames { now: self.now.clone(), runs, settings: self.settings.saved() }
    }

    /// Takes up names of an earlier visit, whose runs now come after `own` others. Without an engine that has those pairs,
    /// the pairs are generated ones.
    pub fn take_up(&mut self, SavedNames { now, runs, settings }: SavedNames, own: u32, has_pairs: bool) {
        for (run, method, settings, changed) in settings {
            self.settings.take_up(own + run, method, &settings, changed);
        }
        self.now = now.filter(|_| has_pairs);
        self.runs.extend(runs.into_iter().map(|(run, method, name)| ((own + run, method), name)));
    }

    /// The engine trains on pairs of a file, whatever they were called.
    pub fn are_loaded(&mut self) {
        self.now.get_or_insert(PairSource::Loaded);
    }

    /// The names of the runs of a file.
    pub fn of_notes(notes: &[RunNote]) -> Self {
        let mut names = Self::default();
        for RunNote { run, method, pairs, settings, changed, .. } in notes {
            names.settings.take_up(*run, *method, settings, *changed);
            names.runs.extend(pairs.clone().map(|pairs| ((*run, *method), pairs)));
        }
        names
    }

    /// What a file is to tell of a run that the person may have named; `None` where its settings are not known.
    pub fn note(&self, id: &RunId, name: Option<String>) -> Option<RunNote> {
        let (settings, changed) = self.settings.of(id.run, id.method)?;
        let (run, method) = (id.run, id.method);
        let pairs = self.runs.get(&(run, method)).cloned();
        Some(RunNote { run, method, name, pairs, settings: settings.to_query(), changed })
    }

    /// An engine from before is back, with the settings that it had. Answers with those that hold once what was ordered
    /// since is obeyed.
    pub fn take_settings_back(&mut self, settings: Settings) -> Settings {
        self.settings.take_back(settings)
    }

    /// The worker has died: what it has not taken up, nobody will.
    pub fn worker_died(&mut self) {
        self.settings.worker_died();
        self.ordered.clear();
    }

    /// Whether requests that change settings are not taken up yet.
    pub fn await_settings(&self) -> bool {
        self.settings.are_awaited()
    }

    /// In what settings a run differs from others of its method.
    pub fn differing(&self, point: &Point) -> Vec<String> {
        self.settings.differing(point.run, point.point.method)
    }

    /// Grows when names may have become others.
    pub fn revision(&self) -> u32 {
        self.settings.revision()
    }

    /// Says where the pairs are from that the next request brings; else they are from a file.
    pub fn announce(&mut self, source: PairSource) {
        self.announced = Some(source);
    }

    /// Notes a request for other pairs or settings.
    pub fn request(&mut self, id: u32, command: &Command) {
        self.settings.request(id, command);
        let name = if matches!(command, Command::LoadPreferences(_)) {
            Some(self.announced.take().unwrap_or(PairSource::Loaded))
        } else if *command == Command::GeneratePreferences {
            None
        } else {
            return;
        };
        self.ordered.insert(id, name);
    }

    /// The engine takes a request up: what it reports from now on was trained on those pairs.
    pub fn acknowledge(&mut self, id: u32) {
        self.settings.acknowledge(id);
        if let Some(name) = self.ordered.remove(&id) {
            self.before = std::mem::replace(&mut self.now, name);
        }
    }

    /// The pairs that were taken up last cannot be used, and those before are still there.
    pub fn refuse(&mut self) {
        self.now.clone_from(&self.before);
    }

    /// Where the pairs are from that the engine trains on; `None` where they are generated.
    pub fn now(&self) -> Option<&PairSource> {
        self.now.as_ref()
    }

    /// Whether the engine trains on what was labelled on this page.
    pub fn are_hers(&self) -> bool {
        self.now().is_some_and(|source| *source != PairSource::Loaded)
    }

    /// Notes what a measured run was trained on.
    pub fn record(&mut self, point: &Point) {
        self.settings.record(point);
        let method = point.point.method;
        if let Some(name) = self.now.as_ref().filter(|_| method.info().needs_pairs) {
            self.runs.insert((point.run, method), name.clone());
        }
    }

    /// Where the pairs of a run are from, unless they were generated.
    pub fn of(&self, point: &Point) -> Option<&PairSource> {
        self.runs.get(&(point.run, point.point.method))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pairs_have_their_name_once_they_are_taken_up_and_not_if_they_are_refused() {
        let mut names = PairNames::default();
        let load = Command::LoadPreferences(Vec::new());
        let mine = PairSource::Own { flipped: 0 };
        names.announce(mine.clone());
        names.request(1, &load);
        names.request(2, &Command::Play);
        assert_eq!(names.now(), None, "the engine still trains on others");
        names.acknowledge(1);
        assert_eq!((names.now(), names.are_hers()), (Some(&mine), true));
        names.request(3, &load);
        names.acknowledge(3);
        assert_eq!(
            (names.now(), names.are_hers()),
            (Some(&PairSource::Loaded), false),
            "a name is announced for one order"
        );
        names.refuse();
        assert_eq!(names.now(), Some(&mine));
        names.request(4, &Command::GeneratePreferences);
        names.acknowledge(4);
        assert_eq!(names.now(), None);
    }
}
