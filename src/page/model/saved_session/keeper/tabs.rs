//! Tabs for tests: pages that train, save and are closed, and what must be found of them.

use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;

use super::earlier_visits::Set;
use super::*;
use crate::engine::protocol::{BackendKind, Badge, Event, Kept, KeptPolicy, Ready, SavedPolicy, Stage};
use crate::engine::settings::Settings;
use crate::page::model::fixtures;
use crate::page::model::saved_session::Seen;
use crate::page::model::saved_session::memory::{Memory, alone};
use crate::page::model::state::State;
use klimb_metrics::MetricRow;
use klimb_text::json;

pub(in crate::page::model::saved_session) const FOLDER: &str = "/klimb/";
pub(in crate::page::model::saved_session) const HOUR: f64 = 3_600_000.0;

/// A page that trains DPO: every number in it is its own, so that whatever is mixed is seen.
pub(in crate::page::model::saved_session) struct Tab {
    pub state: State,
    pub visit: String,
    run: u32,
    step: u64,
    /// The policies behind the points of the engine that it has.
    pub policies: Vec<SavedPolicy>,
    /// What the tab's own storage has.
    pub own_earlier: Option<String>,
}

impl Tab {
    pub fn new(visit: String, own_earlier: Option<String>) -> Self {
        let mut state = State::new(Settings::default());
        state.apply(ready());
        Self { state, visit, run: 1, step: 0, policies: Vec::new(), own_earlier }
    }

    /// One more point, with `rows` steps behind it.
    pub fn train(&mut self, rows: u64, number: f64) {
        let row = |step| MetricRow::new(step, &[("loss", number + step as f64)]);
        self.state.apply(Event::Metrics(Stage::Dpo, (self.step + 1..=self.step + rows).map(row).collect()));
        self.step += rows;
        let mut point = fixtures::point(self.run, "dpo", self.step);
        point.point.gold_reward = number;
        let checkpoint = format!("{} {number}", self.visit).into_bytes();
        self.state.apply(Event::Point(point.clone()));
        let policy = KeptPolicy { stage: Stage::Dpo, run: self.run, last: self.run, seconds: number, checkpoint };
        self.policies.push(SavedPolicy {
            stage: Stage::Dpo,
            point,
            seconds: number,
            checkpoint: policy.checkpoint.clone(),
        });
        let kept = Kept { policies: vec![policy], ..fixtures::kept(Settings::default(), Stage::Dpo) };
        self.state.apply(Event::Kept(Box::new(kept)));
    }

    /// What is to be written now, and what a visit must find of it.
    pub fn save(&mut self, when: f64) -> (Entry, SavedSession) {
        self.state.keeping.storage_tasks.clear();
        let entry = self.state.entry(when);
        let mut seen: Seen = json::from_text(&entry.page).expect("a page");
        seen.metrics = self.state.records.metrics.clone();
        let mut engine = entry.engine.clone().expect("an engine");
        engine.saved_policies.clone_from(&self.policies);
        let visit = self.visit.clone();
        (
            entry,
            SavedSession {
                visit,
                is_open: false,
                may_be_open: false,
                when,
                seen,
                engine: Some(engine),
                missing: Vec::new(),
            },
        )
    }

    /// Takes up what is offered.
    pub fn resume(&mut self) {
        let earlier = self.state.keeping.offer.clone().expect("an offer");
        let command = self.state.resume().expect("a command");
        let request = self.state.request(command);
        self.state.apply(Event::Acknowledged(request.id));
        self.state.apply(ready());
        let engine = earlier.engine.expect("an engine");
        (self.policies, self.run) = (engine.saved_policies.clone(), engine.policies[0].run);
        self.step = self.policies.last().map_or(0, |policy| policy.point.point.step);
        self.step =
            self.step.max(self.state.records.metrics.get(&Stage::Dpo).map_or(0, |rows| rows.last().unwrap().step));
    }
}

pub(in crate::page::model::saved_session) fn ready() -> Event {
    let badge = Badge { kind: BackendKind::Cpu, adapter: None, why: klimb_text::Message::verbatim(""), remedy: None };
    Event::Ready(Ready { backend: badge, parameters: 1, vocabulary: 1, width: 32, layers: 1, words: Vec::new() })
}

pub(in crate::page::model::saved_session) fn keeper(memory: &Memory, visit: &str) -> Keeper<Memory> {
    if let Some(open) = &mut memory.shared().open {
        open.insert(visit.into());
    }
    Keeper::new(memory.of(visit), FOLDER.into(), visit.into())
}

pub(in crate::page::model::saved_session) fn close(memory: &Memory, visit: &str) {
    if let Some(open) = &mut memory.shared().open {
        open.remove(visit);
    }
    memory.shared().held.retain(|_, holder| holder != visit);
}

/// Whatever any visit would find in the store.
pub(in crate::page::model::saved_session) fn stored(memory: &Memory) -> BTreeMap<String, SavedSession> {
    stored_since(memory, &mut Known::new())
}

/// What was read of a visit, and of which values.
pub(in crate::page::model::saved_session) type Known =
    BTreeMap<String, (Vec<(Key, Rc<serde_json::Value>)>, SavedSession)>;

/// The same where most of it is known: what is made of the same values is not read again.
pub(in crate::page::model::saved_session) fn stored_since(
    memory: &Memory,
    known: &mut Known,
) -> BTreeMap<String, SavedSession> {
    // Looked at from aside: neither a failure nor a transaction of a page is touched.
    let aside = Memory::default();
    aside.shared().values.clone_from(&memory.shared().values);
    let nobody = keeper(&aside, "nobody");
    let sets = alone(nobody.sets()).expect("sets");
    known.retain(|visit, _| sets.iter().any(|set| set.visit == *visit));
    for Set { visit, .. } in &sets {
        let is_its = |key: &Key| matches!(key, Key::Part { visit: its, .. } if its == visit);
        let parts = aside.shared().values.clone().into_iter().filter(|(key, _)| is_its(key)).collect::<Vec<_>>();
        let is_same = |(one, other): (&(Key, Rc<_>), &(Key, Rc<_>))| one.0 == other.0 && Rc::ptr_eq(&one.1, &other.1);
        let is_known = |(of, _): &(Vec<_>, SavedSession)| of.len() == parts.len() && of.iter().zip(&parts).all(is_same);
        if !known.get(visit).is_some_and(is_known) {
            let loaded = alone(nobody.load(visit)).expect("a store").expect("a set").expect("an entry");
            let earlier = loaded.read(visit.clone(), false).expect("a run");
            known.insert(visit.clone(), (parts, earlier));
        }
    }
    known.iter().map(|(visit, (_, earlier))| (visit.clone(), earlier.clone())).collect()
}

/// The same, but for the oldest policies.
pub(in crate::page::model::saved_session) fn is_but_for_oldest(found: &SavedSession, whole: &SavedSession) -> bool {
    let (Some(engine), Some(all)) = (&found.engine, &whole.engine) else { return false };
    let mut as_whole = found.clone();
    as_whole.engine.as_mut().expect("an engine").saved_policies.clone_from(&all.saved_policies);
    all.saved_policies.ends_with(&engine.saved_policies) && as_whole == *whole
}

pub(in crate::page::model::saved_session) fn has_trouble(news: &[News]) -> bool {
    news.iter().any(|it| matches!(it, News::Trouble(_)))
}

/// A store with these visits, each saved after two points, of which the first `closed` are not open any more.
pub(in crate::page::model::saved_session) fn with_visits(
    visits: &[&str],
    closed: usize,
) -> (Memory, Vec<(Tab, Keeper<Memory>, SavedSession)>) {
    let memory = Memory::default();
    memory.shared().open = Some(BTreeSet::new());
    let each = visits.iter().enumerate().map(|(number, visit)| {
        let (mut tab, mut keeper) = (Tab::new((*visit).into(), None), keeper(&memory, visit));
        let mut found = None;
        for turn in 0..2 {
            tab.train(100, number as f64 + 0.1 * f64::from(turn));
            let (entry, earlier) = tab.save(HOUR * (number as f64 + 1.0) + f64::from(turn));
            assert_eq!(alone(keeper.save(entry)), [News::Saved]);
            found = Some(earlier);
        }
        if number < closed {
            close(&memory, visit);
        }
        (tab, keeper, found.expect("it was saved"))
    });
    let each = each.collect();
    (memory, each)
}

pub(in crate::page::model::saved_session) fn found(news: &[News]) -> Option<&SavedSession> {
    news.iter().find_map(|it| match it {
        News::Found(earlier) => Some(&**earlier),
        News::Broken(_) | News::Trouble(_) | News::Failed(_) | News::Saved | News::Gone(_) => None,
    })
}
