//! What runs are called that were trained on other pairs than generated ones.

use serde::{Deserialize, Serialize};

use crate::engine::protocol::{Command, Point};
use crate::sorted::Map;
use crate::words::key;

/// The methods that learn from pairs, by their names in points.
const LEARN_FROM_PAIRS: [&str; 4] = ["dpo", "ppo", "unlikelihood", "preferred_ft"];

/// Pairs of a file that somebody chose.
const LOADED: &str = key("loaded pairs");

/// What the engine's pairs are called now, and what they were called when each run was measured. Generated pairs have no
/// name.
#[derive(Debug, Clone, Default)]
pub struct PairNames {
    /// The name of the pairs that are ordered next.
    announced: Option<String>,
    /// The names behind orders that are not taken up yet.
    ordered: Map<u32, Option<String>>,
    now: Option<String>,
    before: Option<String>,
    runs: Map<(u32, String), String>,
}

/// Names as they are kept until another visit.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct KeptNames {
    now: Option<String>,
    /// Run, method, name.
    runs: Vec<(u32, String, String)>,
}

impl PairNames {
    /// The names, to be kept.
    pub fn kept(&self) -> KeptNames {
        let runs = self.runs.iter().map(|((run, method), name)| (*run, method.clone(), name.clone())).collect();
        KeptNames { now: self.now.clone(), runs }
    }

    /// Takes up names of an earlier visit, whose runs now come after `own` others. Without an engine that has those pairs,
    /// the pairs are generated ones.
    pub fn take_up(&mut self, KeptNames { now, runs }: KeptNames, own: u32, has_pairs: bool) {
        self.now = now.filter(|_| has_pairs);
        self.runs.extend(runs.into_iter().map(|(run, method, name)| ((own + run, method), name)));
    }

    /// The engine trains on pairs of a file, whatever they were called.
    pub fn are_loaded(&mut self) {
        self.now.get_or_insert_with(|| LOADED.into());
    }

    /// Says what the pairs are called that the next order brings; those of a file have a name of their own.
    pub fn announce(&mut self, name: String) {
        self.announced = Some(name);
    }

    /// Notes an order for other pairs.
    pub fn order(&mut self, id: u32, command: &Command) {
        let name = match command {
            Command::LoadPreferences(_) => Some(self.announced.take().unwrap_or_else(|| LOADED.into())),
            Command::GeneratePreferences => None,
            _ => return,
        };
        self.ordered.insert(id, name);
    }

    /// The engine takes an order up: what it reports from now on was trained on those pairs.
    pub fn acknowledge(&mut self, id: u32) {
        if let Some(name) = self.ordered.remove(&id) {
            self.before = std::mem::replace(&mut self.now, name);
        }
    }

    /// The pairs that were taken up last cannot be used, and those before are still there.
    pub fn refuse(&mut self) {
        self.now.clone_from(&self.before);
    }

    /// What the pairs are called that the engine trains on; `None` where they are generated.
    pub fn now(&self) -> Option<&str> {
        self.now.as_deref()
    }

    /// Whether the engine trains on what she labelled on this page.
    pub fn are_hers(&self) -> bool {
        self.now().is_some_and(|name| name != LOADED)
    }

    /// Notes what a measured run was trained on.
    pub fn record(&mut self, point: &Point) {
        let method = &point.point.method;
        if let Some(name) = self.now.as_ref().filter(|_| LEARN_FROM_PAIRS.contains(&method.as_str())) {
            self.runs.insert((point.run, method.clone()), name.clone());
        }
    }

    /// What the pairs of a run are called, unless they were generated.
    pub fn of(&self, point: &Point) -> Option<&str> {
        self.runs.get(&(point.run, point.point.method.clone())).map(String::as_str)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pairs_have_their_name_once_they_are_taken_up_and_not_if_they_are_refused() {
        let mut names = PairNames::default();
        let load = Command::LoadPreferences(Vec::new());
        names.announce("my labels".into());
        names.order(1, &load);
        names.order(2, &Command::Play);
        assert_eq!(names.now(), None, "the engine still trains on others");
        names.acknowledge(1);
        assert_eq!((names.now(), names.are_hers()), (Some("my labels"), true));
        names.order(3, &load);
        names.acknowledge(3);
        assert_eq!((names.now(), names.are_hers()), (Some("loaded pairs"), false), "a name is announced for one order");
        names.refuse();
        assert_eq!(names.now(), Some("my labels"));
        names.order(4, &Command::GeneratePreferences);
        names.acknowledge(4);
        assert_eq!(names.now(), None);
    }
}
