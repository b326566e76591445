//! Two tabs that save, are reloaded, resume, discard, crash and meet every failure of their store, in many random orders,
//! against a model of what must be there.
//!
//! More than 400 lines, because the steps of two tabs, what each must leave and what must be found are one model.

use std::collections::{BTreeMap, BTreeSet};
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, Waker};

use super::keeper::tabs::{HOUR, Known, Tab, close, has_trouble, is_but_for_oldest, keeper, stored_since};
use super::keeper::{Keeper, MOST_VISITS, News};
use super::memory::Memory;
use super::store::{Key, Kind, StoreError};
use super::{Job, SavedSession, StorageTask};
use klimb_numerics::rng::Generator;

fn discarded(memory: &Memory) -> BTreeSet<String> {
    let shared = memory.shared();
    let visits = shared.values.keys().filter_map(|key| match key {
        Key::Part { visit, kind: Kind::Discarded, .. } => Some(visit.clone()),
        Key::Part { .. } | Key::First(_) => None,
    });
    visits.collect()
}

/// What happened, to be printed.
#[derive(Debug, Default)]
struct Counts {
    interleavings: usize,
    saves: usize,
    reloads: usize,
    resumes: usize,
    discards: usize,
    crashes_in_a_save: usize,
    failures: usize,
    full: usize,
    told_as_gone: usize,
    offers_foreseen: usize,
}

impl Counts {
    fn and(self, other: Self) -> Self {
        Self {
            interleavings: self.interleavings + other.interleavings,
            saves: self.saves + other.saves,
            reloads: self.reloads + other.reloads,
            resumes: self.resumes + other.resumes,
            discards: self.discards + other.discards,
            crashes_in_a_save: self.crashes_in_a_save + other.crashes_in_a_save,
            failures: self.failures + other.failures,
            full: self.full + other.full,
            told_as_gone: self.told_as_gone + other.told_as_gone,
            offers_foreseen: self.offers_foreseen + other.offers_foreseen,
        }
    }
}

type Work = Pin<Box<dyn Future<Output = (Keeper<Memory>, Vec<News>)>>>;

/// A tab and what it is at.
struct Desk {
    tab: Tab,
    keeper: Option<Keeper<Memory>>,
    work: Option<(Work, Job)>,
    /// What its save would leave.
    pending: Option<SavedSession>,
    /// What it is foreseen to be offered, if nobody comes between.
    foreseen: Option<Option<SavedSession>>,
}

struct World {
    memory: Memory,
    random: Generator,
    now: f64,
    visits: usize,
    /// Of each visit, what its last completed save has left.
    model: BTreeMap<String, SavedSession>,
    /// The visits that may go: discarded, or taken up by one that has been saved since.
    may_go: BTreeSet<String>,
    /// The visits that were there when the person cleared the site's data.
    cleared: BTreeSet<String>,
    /// Everything that was ever saved.
    history: Vec<SavedSession>,
    desks: Vec<Desk>,
    /// How often something had been written when that was looked at last.
    seen: usize,
    known: Known,
    counts: Counts,
}

impl World {
    fn new(seed: u64) -> Self {
        let memory = Memory::default();
        let mut random = Generator::numbered(1, "keeping", seed);
        memory.shared().open = (random.coin() < 0.7).then(BTreeSet::new);
        let (model, may_go) = (BTreeMap::new(), BTreeSet::new());
        let counts = Counts::default();
        let (desks, history, seen, cleared) = (Vec::new(), Vec::new(), 0, BTreeSet::new());
        let mut world = Self {
            memory,
            random,
            now: HOUR,
            visits: 0,
            model,
            may_go,
            cleared,
            history,
            desks,
            seen,
            known: Known::new(),
            counts,
        };
        for at in 0..2 {
            let desk = world.desk(None);
            world.desks.push(desk);
            world.begin(at, None);
        }
        world
    }

    /// A page that has just been opened.
    fn desk(&mut self, own_earlier: Option<String>) -> Desk {
        self.visits += 1;
        let visit = format!("{:03}-{}", self.random.below(1000), self.visits);
        let keeper = Some(keeper(&self.memory, &visit));
        Desk { tab: Tab::new(visit, own_earlier), keeper, work: None, pending: None, foreseen: None }
    }

    fn begin(&mut self, at: usize, job: Option<Job>) {
        let job = job.unwrap_or_else(|| Job::Look(self.desks[at].tab.own_earlier.clone(), self.now));
        let foreseen = match &job {
            Job::Look(own_earlier, _) => Some(self.foresee(at, own_earlier.clone())),
            Job::Save(_) | Job::Hold(_) | Job::Forget(_) => None,
        };
        let is_alone = self.desks.iter().all(|desk| desk.work.is_none());
        let desk = &mut self.desks[at];
        desk.foreseen = foreseen.filter(|_| is_alone && self.memory.shared().fails.is_none());
        let mut keeper = desk.keeper.take().expect("it is idle");
        let its = job.clone();
        let work = async move {
            let news = keeper.work(its).await;
            (keeper, news)
        };
        desk.work = Some((Box::pin(work), job));
        // Whoever begins ends what others foresaw.
        for (other, desk) in self.desks.iter_mut().enumerate() {
            if other != at {
                desk.foreseen = None;
            }
        }
    }

    /// What a look must find, by the model.
    fn foresee(&mut self, at: usize, own_earlier: Option<String>) -> Option<SavedSession> {
        let open = self.memory.shared().open.clone();
        let (discarded, stored) = (discarded(&self.memory), stored_since(&self.memory, &mut self.known));
        let own = &self.desks[at].tab.visit;
        let held = self.memory.shared().held.clone();
        let is_open = |visit: &str| {
            let is_held = held.get(visit).is_some_and(|holder| holder != own);
            open.as_ref().is_some_and(|open| open.contains(visit)) || is_held
        };
        let rank = |visit: &str| match (is_open(visit), own_earlier.as_deref() == Some(visit)) {
            (true, _) => 2,
            (false, true) => 0,
            (false, false) => 1,
        };
        let is_there = |visit: &String| stored.contains_key(visit) && !discarded.contains(visit);
        let all = self.model.values().filter(|it| it.visit != *own && is_there(&it.visit));
        let first =
            all.min_by(|one, other| rank(&one.visit).cmp(&rank(&other.visit)).then(other.when.total_cmp(&one.when)));
        first.map(|it| SavedSession { is_open: is_open(&it.visit), may_be_open: open.is_none(), ..it.clone() })
    }

    fn step(&mut self) {
        self.now += 0.1 * HOUR;
        let at = self.random.below(2);
        // Now and then one tab has the processor to itself.
        let turns = if self.random.below(4) == 0 { 40 } else { 1 };
        for turn in 0..turns {
            match self.desks[at].work.is_some() {
                true if self.random.below(150) == 0 => self.crash(at),
                true => self.go_on(at),
                false if turn > 0 => break,
                false => self.start_something(at),
            }
            self.check();
        }
    }

    fn start_something(&mut self, at: usize) {
        let calls = self.memory.shared().calls;
        if self.random.below(12) == 0 {
            let error = if self.random.coin() < 0.5 {
                StoreError::Full
            } else {
                StoreError::Failed(klimb_text::Message::verbatim("torn"))
            };
            self.memory.shared().fails = Some((calls + 1 + self.random.below(12), error));
            self.desks.iter_mut().for_each(|desk| desk.foreseen = None);
        }
        if self.random.below(30) == 0 {
            let used: usize = self.memory.shared().values.values().map(|value| value.to_string().len()).sum();
            self.memory.shared().room = (self.random.coin() < 0.7).then(|| used + self.random.below(2000));
        }
        if self.random.below(60) == 0 && self.desks.iter().all(|desk| desk.work.is_none()) {
            // The person clears the site's data.
            let mut shared = self.memory.shared();
            shared.values.clear();
            shared.commits += 1;
            self.cleared.extend(self.model.keys().cloned());
        }
        let is_offered = self.desks[at].tab.state.keeping.offer.is_some();
        match self.random.below(10) {
            0 => self.reload(at),
            1 => {
                // A tab is closed, and another opened.
                let visit = self.desks[at].tab.visit.clone();
                close(&self.memory, &visit);
                self.desks[at] = self.desk(None);
                self.now += if self.random.coin() < 0.3 { 30.0 * HOUR } else { 0.0 };
                self.begin(at, None);
            }
            2 | 3 if is_offered => {
                self.counts.resumes += 1;
                let keeping = &mut self.desks[at].tab.state.keeping;
                keeping.storage_tasks.clear();
                self.desks[at].tab.resume();
                let task = self.desks[at].tab.state.keeping.storage_tasks.remove(0);
                let StorageTask::Hold(visit) = task else { panic!("it is to be held") };
                self.begin(at, Some(Job::Hold(visit)));
            }
            4 if is_offered => {
                self.counts.discards += 1;
                let keeping = &mut self.desks[at].tab.state.keeping;
                keeping.dismiss();
                if keeping.asks_again() {
                    keeping.dismiss();
                }
                let Some(StorageTask::Forget(saved)) = keeping.storage_tasks.pop() else {
                    panic!("it is to be forgotten")
                };
                self.may_go.insert(saved.visit.clone());
                self.begin(at, Some(Job::Forget(saved)));
            }
            _ => {
                let (rows, number) = (1 + self.random.below(60) as u64, self.random.uniform());
                let now = self.now;
                let desk = &mut self.desks[at];
                desk.tab.train(rows, number);
                let (entry, pending) = desk.tab.save(now);
                desk.pending = Some(pending);
                if let Some(saved) = &entry.replaces {
                    self.may_go.insert(saved.visit.clone());
                }
                self.begin(at, Some(Job::Save(Box::new(entry))));
            }
        }
    }

    fn reload(&mut self, at: usize) {
        self.counts.reloads += 1;
        let (visit, own_earlier) = (self.desks[at].tab.visit.clone(), self.desks[at].tab.own_earlier.clone());
        close(&self.memory, &visit);
        self.desks[at] = self.desk(own_earlier);
        self.begin(at, None);
    }

    /// The page ends in the midst of what it does.
    fn crash(&mut self, at: usize) {
        if let Some((work, job)) = self.desks[at].work.take() {
            drop(work);
            self.counts.crashes_in_a_save += usize::from(matches!(job, Job::Save(_)));
        }
        self.check();
        self.reload(at);
    }

    fn go_on(&mut self, at: usize) {
        let desk = &mut self.desks[at];
        let (work, _) = desk.work.as_mut().expect("it is at work");
        let outcome = work.as_mut().poll(&mut Context::from_waker(Waker::noop()));
        let Poll::Ready((keeper, news)) = outcome else { return };
        let (_, job) = desk.work.take().expect("it was at work");
        desk.keeper = Some(keeper);
        let is_save = matches!(job, Job::Save(_));
        let has_failed = news.iter().any(|it| matches!(it, News::Failed(_)));
        let is_full =
            news.iter().any(|it| matches!(it, News::Trouble(text) if text.to_string().contains("no longer kept")));
        self.counts.full += usize::from(is_full);
        self.counts.failures += usize::from(has_failed);
        self.check();
        let desk = &mut self.desks[at];
        if is_save {
            let visit = desk.tab.visit.clone();
            let pending = desk.pending.clone().expect("a save");
            if news.contains(&News::Saved) {
                self.counts.saves += 1;
                desk.tab.own_earlier = Some(visit.clone());
                let found = self.model.get(&visit).expect("what was saved").clone();
                assert!(
                    found == pending || (is_full && is_but_for_oldest(&found, &pending)),
                    "{found:#?}\n{pending:#?}"
                );
                let engine = found.engine.as_ref().expect("an engine");
                desk.tab.policies.clone_from(&engine.saved_policies);
                desk.pending = None;
            } else {
                assert_eq!(news.len(), 1, "a save that was not done is spoken of");
            }
        }
        if news.iter().any(|it| matches!(it, News::Gone(_))) {
            self.counts.told_as_gone += 1;
            // What had been written is gone, and what had not is still to be.
            let desk = &mut self.desks[at];
            let kept = self.model.remove(&desk.tab.visit).and_then(|it| it.engine).expect("it was saved before");
            desk.tab.policies.retain(|policy| !kept.saved_policies.contains(policy));
        }
        let desk = &mut self.desks[at];
        let foreseen = desk.foreseen.take();
        let found = news.iter().find_map(|it| match it {
            News::Found(earlier) => Some((**earlier).clone()),
            News::Broken(_) | News::Trouble(_) | News::Failed(_) | News::Saved | News::Gone(_) => None,
        });
        if let Some(found) = &found {
            let saved = SavedSession { is_open: false, may_be_open: false, ..found.clone() };
            assert!(self.history.contains(&saved), "what is offered is one visit's, as one save has left it");
            assert!(found.missing.is_empty(), "{:?}", found.missing);
        }
        if let (Some(foreseen), Job::Look(..), false) = (foreseen, &job, has_trouble(&news)) {
            assert_eq!(found, foreseen);
            self.counts.offers_foreseen += 1;
        }
        let is_at_it = |it: &News| matches!(it, News::Broken(_));
        assert!(!news.iter().any(is_at_it), "nothing breaks: {news:?}");
        for news in news {
            desk.tab.state.keeping.hear(news);
        }
    }

    /// The store has exactly what its visits have saved last, but for what may go.
    fn check(&mut self) {
        let commits = self.memory.shared().commits;
        if std::mem::replace(&mut self.seen, commits) == commits {
            return;
        }
        let stored = stored_since(&self.memory, &mut self.known);
        for (visit, found) in &stored {
            let desk = self.desks.iter_mut().find(|desk| desk.tab.visit == *visit);
            let pending = desk.and_then(|desk| desk.pending.as_ref());
            if self.model.get(visit) != Some(found) {
                let is_saved = pending.is_some_and(|it| it == found || is_but_for_oldest(found, it));
                assert!(is_saved, "{visit} has what nobody has saved");
                // It has come that far, whether its page hears of it or not.
                self.model.insert(visit.clone(), found.clone());
                self.history.push(found.clone());
            }
        }
        let gone: Vec<String> = self.model.keys().filter(|visit| !stored.contains_key(*visit)).cloned().collect();
        for visit in gone {
            let it = &self.model[&visit];
            let newer = self.model.values().filter(|other| other.when > it.when).count();
            let is_open = self.memory.shared().open.as_ref().is_some_and(|open| open.contains(&visit));
            let is_cleared = self.cleared.contains(&visit);
            assert!(is_cleared || !is_open, "the page of {visit} is open");
            let holder = self.memory.shared().held.get(&visit).cloned();
            let is_at_it = |desk: &Desk| matches!(&desk.work, Some((_, Job::Save(_) | Job::Forget(_) | Job::Look(..))));
            let its = |desk: &&Desk| Some(&desk.tab.visit) == holder.as_ref();
            let is_its_own = self.desks.iter().find(its).is_some_and(is_at_it);
            assert!(is_cleared || holder.is_none() || is_its_own, "{visit} is held, and another removes it");
            let has_reason = is_cleared || self.may_go.contains(&visit) || newer >= MOST_VISITS;
            assert!(has_reason, "{visit} has no reason to go");
            if !self.desks.iter().any(|desk| desk.tab.visit == visit) {
                self.model.remove(&visit);
            }
        }
    }
}

/// Names the seed of an interleaving that fails.
struct Seed(u64);

impl Drop for Seed {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("That was interleaving {}.", self.0);
        }
    }
}

/// Two hundred steps of two tabs.
fn interleaving(seed: u64) -> Counts {
    let _seed = Seed(seed);
    let mut world = World::new(seed);
    for _ in 0..200 {
        world.step();
    }
    Counts { interleavings: 1, ..world.counts }
}

#[test]
fn in_two_tabs_whatever_their_order_one_visit_s_last_save_is_found_whole_and_nothing_is_lost() {
    let interleavings = if std::env::var_os("KLIMB_LONG").is_some() { 20_000 } else { 1200 };
    let threads = std::thread::available_parallelism().map_or(1, usize::from) as u64;
    let counts: Vec<Counts> = std::thread::scope(|scope| {
        let run = |seeds: std::iter::StepBy<std::ops::Range<u64>>| {
            seeds.map(interleaving).fold(Counts::default(), Counts::and)
        };
        let running: Vec<_> = (0..threads)
            .map(|first| scope.spawn(move || run((first..interleavings).step_by(threads as usize))))
            .collect();
        running.into_iter().map(|thread| thread.join().expect("one that failed has said so")).collect()
    });
    let sum = counts.into_iter().fold(Counts::default(), Counts::and);
    println!("{sum:?}");
    let Counts { saves, reloads, resumes, discards, crashes_in_a_save, failures, full, told_as_gone, .. } = sum;
    for (what, count) in [
        ("saves", saves),
        ("reloads", reloads),
        ("resumes", resumes),
        ("discards", discards),
        ("crashes", crashes_in_a_save),
        ("failures", failures),
        ("full", full),
        ("gone", told_as_gone),
        ("foreseen", sum.offers_foreseen),
    ] {
        assert!(count > 10, "too few of them to say anything: {what} {count}");
    }
}
