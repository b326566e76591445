//! What each run was trained with, so that it has a name of its own and can be repeated.

use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

use super::annotator::PairSource;
use crate::engine::protocol::{Command, Point, Stage};
use crate::engine::settings::{KNOBS, Knob, Section, Settings};
use klimb_metrics::{Method, Setting};
use klimb_text::words::{self, decimal, say};

/// Letters of a name that somebody else wrote.
const LONGEST_NAME: usize = 120;

/// What files tell of a run beside its points.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RunNote {
    /// Its number, as in [`Point`].
    pub run: u32,
    /// Its method.
    pub method: Method,
    /// What the person called it; `None` where it has the name by what differs.
    #[serde(default)]
    pub name: Option<String>,
    /// Where its pairs came from, unless they were generated.
    #[serde(default)]
    pub pairs: Option<PairSource>,
    /// Its settings at its last point, as an address has them: with them it can be repeated.
    pub settings: String,
    /// Whether they were others at an earlier point.
    #[serde(default)]
    pub changed: bool,
}

impl RunNote {
    /// A note out of a file, with no name longer than a line.
    pub fn shortened(mut self) -> Self {
        let pairs = match &mut self.pairs {
            Some(PairSource::Other(name)) => Some(name),
            Some(PairSource::Loaded | PairSource::Own { .. }) | None => None,
        };
        for name in self.name.iter_mut().chain(pairs) {
            *name = name.chars().take(LONGEST_NAME).collect();
        }
        self
    }
}

/// The settings of each run, and what requests have changed since.
#[derive(Debug, Clone, Default)]
pub struct RunSettings {
    /// As ordered last.
    newest: Settings,
    /// Behind requests that are not taken up yet, and whether the request builds an engine.
    ordered: BTreeMap<u32, (Settings, bool)>,
    now: Settings,
    /// By run and method, and whether they were ever others.
    runs: BTreeMap<(u32, Method), (Settings, bool)>,
    revision: u32,
}

impl RunSettings {
    /// Notes a request that changes settings.
    #[expect(clippy::wildcard_enum_match_arm, reason = "a few kinds out of many are picked")]
    pub fn request(&mut self, id: u32, command: &Command) {
        match command {
            Command::Start(settings) | Command::MoveTo(settings) | Command::Configure(settings) => {
                self.newest = *settings
            }
            Command::Resume(kept) => self.newest = kept.settings,
            Command::SetBeta(beta) | Command::GoOn(_, Some(beta)) => self.newest.beta = *beta,
            _ => return,
        }
        let builds = matches!(command, Command::Start(_) | Command::MoveTo(_) | Command::Resume(_));
        self.ordered.insert(id, (self.newest, builds));
    }

    /// The engine takes a request up: what it reports from now on was trained with those settings.
    pub fn acknowledge(&mut self, id: u32) {
        if let Some((settings, _)) = self.ordered.remove(&id) {
            self.now = settings;
        }
    }

    /// An engine from before is back with its settings, or was never left. Answers with those that hold once what was ordered
    /// since is obeyed: that leaves seed and models as they are, up to the next request that builds an engine.
    pub fn take_back(&mut self, settings: Settings) -> Settings {
        let of_another_engine = |knob: &&Knob| matches!(knob.section, Section::Run | Section::Engine);
        for (ordered, builds) in self.ordered.values_mut() {
            if *builds {
                break;
            }
            KNOBS.iter().filter(of_another_engine).for_each(|knob| knob.give(&settings, ordered));
        }
        self.now = settings;
        self.newest = self.ordered.values().next_back().map_or(settings, |(newest, _)| *newest);
        self.newest
    }

    /// The worker has died: what it has not taken up, nobody will.
    pub fn worker_died(&mut self) {
        self.ordered.clear();
        self.newest = self.now;
    }

    /// Whether requests are not taken up yet.
    pub fn are_awaited(&self) -> bool {
        !self.ordered.is_empty()
    }

    /// Notes what a measured run is trained with.
    pub fn record(&mut self, point: &Point) {
        let method = point.point.method;
        if method.is_standing() {
            return;
        }
        let mut settings = self.now;
        // A sweep's runs have each their own, and the seed is the engine's.
        if let (Setting::Number(number), Some(knob)) = (&point.point.setting, method.info().setting.knob()) {
            // Where the number is nothing that the knob takes, the run was not trained here.
            let _ = Knob::named(knob).map(|knob| knob.set(&mut settings, *number));
        }
        let before = self.runs.get(&(point.run, method)).copied();
        let changed = before.is_some_and(|(earlier, changed)| changed || earlier != settings);
        if before != Some((settings, changed)) {
            self.runs.insert((point.run, method), (settings, changed));
            self.revision += 1;
        }
    }

    /// The settings of a run at its last point, and whether they were others before; `None` where nobody noted them.
    pub fn of(&self, run: u32, method: Method) -> Option<(Settings, bool)> {
        self.runs.get(&(run, method)).copied()
    }

    /// In which settings a run differs from another of its method, each as `learning rate 0.0005`.
    pub fn differing(&self, run: u32, method: Method) -> Vec<String> {
        let (Some((mine, _)), Some(stage)) = (self.of(run, method), Stage::of(method)) else { return Vec::new() };
        let others = || self.runs.iter().filter(|((_, its), _)| *its == method).map(|(_, (settings, _))| settings);
        KNOBS
            .iter()
            .filter(|knob| knob.stages.contains(&stage) && knob.tells_runs_apart)
            .filter(|knob| others().any(|other| knob.value(other) != knob.value(&mine)))
            .map(|knob| in_words(knob, &mine))
            .collect()
    }

    /// Grows when names may have become others.
    pub fn revision(&self) -> u32 {
        self.revision
    }

    /// Everything, to be saved: run, method, settings as an address has them, whether they have changed.
    pub fn saved(&self) -> Vec<(u32, Method, String, bool)> {
        let runs = self.runs.iter();
        runs.map(|((run, method), (settings, changed))| (*run, *method, settings.to_query(), *changed)).collect()
    }

    /// Takes up a run of a file or of an earlier visit. What cannot be used of its settings is as by default.
    pub fn take_up(&mut self, run: u32, method: Method, settings: &str, changed: bool) {
        self.runs.insert((run, method), (Settings::from_query(settings).0, changed));
        self.revision += 1;
    }
}

/// In what settings differ from others, each as `learning rate 0.0005`.
pub fn unlike(settings: &Settings, others: &Settings) -> Vec<String> {
    let differing = KNOBS.iter().filter(|knob| knob.value(settings) != knob.value(others));
    differing.map(|knob| in_words(knob, settings)).collect()
}

fn in_words(knob: &Knob, settings: &Settings) -> String {
    let text = knob.text(settings);
    let value = if knob.values.names.is_empty() { decimal(text) } else { words::value(&text) };
    format!("{} {value}", say(knob.label))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::page::model::fixtures::point;
    use klimb_network::objectives::DpoLoss;

    fn taken_up(notes: &mut RunSettings, id: u32, command: Command) {
        notes.request(id, &command);
        notes.acknowledge(id);
    }

    #[test]
    fn a_run_is_told_from_another_by_what_differs_and_only_by_that() {
        let mut notes = RunSettings::default();
        let settings = Settings { seed: 3, batch_size: 16, evaluate_every: 2, ..Settings::default() };
        taken_up(&mut notes, 1, Command::Start(settings));
        notes.record(&point(1, "dpo", 2));
        notes.record(&point(1, "ppo-gt", 2));
        assert!(notes.differing(1, Method::Dpo).is_empty(), "a single run needs no more");
        let other = Settings { loss: DpoLoss::Ipo, learning_rate: 5e-4, evaluate_every: 4, beta: 0.1, ..settings };
        notes.request(2, &Command::Configure(other));
        notes.record(&point(1, "dpo", 4));
        assert_eq!(notes.of(1, Method::Dpo), Some((Settings { beta: 0.3, ..settings }, false)), "not taken up yet");
        notes.acknowledge(2);
        notes.record(&point(2, "dpo", 4));
        assert_eq!(notes.differing(1, Method::Dpo), ["learning rate 0.001", "loss sigmoid"]);
        assert_eq!(notes.differing(2, Method::Dpo), ["learning rate 0.0005", "loss ipo"]);
        assert!(notes.differing(1, Method::PpoGt).is_empty());
        taken_up(&mut notes, 3, Command::SetBeta(0.05));
        let mut own = point(2, "dpo", 6);
        own.point.setting = Setting::Number(0.05);
        notes.record(&own);
        assert_eq!(
            notes.of(2, Method::Dpo),
            Some((Settings { beta: 0.05, ..other }, true)),
            "β was moved in its midst"
        );
        let mut pushed = point(1, "unlikelihood", 2);
        pushed.point.setting = Setting::Number(0.7);
        notes.record(&pushed);
        let alone = Settings { beta: 0.05, unlikelihood_alpha: 0.7, ..other };
        assert_eq!(notes.of(1, Method::Unlikelihood), Some((alone, false)), "the number of a method without β is no β");
        notes.record(&point(0, "sft", 0));
        assert_eq!(notes.of(0, Method::Sft), None, "the reference is no run");
        let mut again = RunSettings::default();
        for (run, method, settings, changed) in notes.saved() {
            again.take_up(run, method, &settings, changed);
        }
        assert_eq!(again.runs, notes.runs);
    }
}
