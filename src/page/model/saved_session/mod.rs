//! What a browser keeps of a page until the next visit, and what of that is taken up again.

mod entry;
mod first;
mod jobs;
mod keeper;
#[cfg(test)]
mod memory;
mod slots;
pub mod store;
mod stretches;

use self::entry::FORMAT;
pub use self::entry::{Entry, Loaded, Missing, Place, Saved, SavedSession, Seen, Stretch, lost};
pub use self::jobs::{Job, Jobs};
pub use self::keeper::{Keeper, News};
use self::slots::Slots;
use self::stretches::Stretches;
use crate::engine::protocol::{Command, Kept, KeptPolicy, Point, SavedPolicy, Stage};
use crate::engine::settings::{BackendChoice, Settings};
use klimb_metrics::MetricRow;
use klimb_text::{Message, json};
use std::collections::BTreeMap;

/// What the browser is to do.
#[derive(Debug, Clone, PartialEq)]
pub enum StorageTask {
    /// Keep the page as it is now.
    Write,
    /// Hold what was kept of a visit, so that no other tab removes it.
    Hold(String),
    /// Forget what was kept of a visit.
    Forget(Saved),
}

/// What is known of an engine: its last point, and the policies behind its points.
#[derive(Debug, Clone, Default)]
pub struct SavedEngine {
    engine: Option<Kept>,
    slots: Slots,
    /// How many entries had been made by then.
    entries: u32,
}

/// What is known of the kept run, and what is to be done about it.
#[derive(Debug, Clone, Default)]
pub struct SessionKeeping {
    /// A run of an earlier visit, until the person has decided.
    pub offer: Option<Box<SavedSession>>,
    /// Whether the person has been told that the offered run may be open in another tab, and is asked again.
    has_asked: bool,
    /// For the browser, in their order, taken by whoever has one.
    pub storage_tasks: Vec<StorageTask>,
    /// What went wrong with keeping, in a sentence.
    trouble: Option<Message>,
    /// Whether that is over with the next save.
    is_passing: bool,
    /// The run that the engine was told to resume, by the number of the request, and whether that was taken up.
    resuming: Option<(u32, bool, Box<SavedSession>)>,
    /// The visit that was resumed, until it is written with this one.
    resumed: Option<Saved>,
    /// The engine at its last point.
    engine: Option<Kept>,
    /// The policies behind the points.
    slots: Slots,
    /// The rows that lie beside the run.
    stretches: Stretches,
    /// Whether the engine has just been built.
    is_new: bool,
    /// How many entries were made.
    entries: u32,
}

impl SessionKeeping {
    /// Takes up what the browser's store has to say.
    pub fn hear(&mut self, news: News) -> Option<Message> {
        match news {
            News::Found(earlier) => (self.offer, self.has_asked) = (Some(earlier), false),
            News::Broken(reason) => return Some(reason),
            News::Trouble(trouble) => (self.trouble, self.is_passing) = (Some(trouble), false),
            News::Failed(trouble) => (self.trouble, self.is_passing) = (Some(trouble), true),
            News::Saved => self.trouble = self.trouble.take().filter(|_| !self.is_passing),
            News::Gone(trouble) => {
                (self.trouble, self.is_passing) = (Some(trouble), false);
                self.stretches = Stretches::default();
                self.write();
            }
        }
        None
    }

    /// What went wrong with keeping, until the person has read it.
    pub fn trouble(&self) -> Option<&Message> {
        self.trouble.as_ref()
    }

    /// The engine at a point of a policy, the newest, whose run is numbered as the engine does.
    pub fn engine_at(&mut self, mut kept: Kept, newest: Option<Point>) {
        kept.saved_policies.drain(..).for_each(|policy| self.slots.put(policy));
        let its = |policy: &&KeptPolicy| {
            let is_its = |point: &Point| point.run == policy.run && policy.stage.method() == Some(point.point.method);
            !policy.checkpoint.is_empty() && newest.as_ref().is_some_and(is_its)
        };
        if let (Some(policy), Some(point)) = (kept.policies.iter().find(its), newest.clone()) {
            let KeptPolicy { stage, seconds, ref checkpoint, .. } = *policy;
            self.slots.put(SavedPolicy { stage, point, seconds, checkpoint: checkpoint.clone() });
        }
        self.engine = Some(kept);
    }

    /// What is known of the engine that is there.
    pub fn this_engine(&self) -> SavedEngine {
        SavedEngine { engine: self.engine.clone(), slots: self.slots.clone(), entries: self.entries }
    }

    /// Another engine is being built: it does not know the policies behind the points of this one.
    pub fn another_engine(&mut self) {
        self.engine = None;
        self.slots.clear();
    }

    /// An engine from before is back. Policies that an entry without them has let go are not in the store any more.
    pub fn earlier_engine(&mut self, SavedEngine { engine, slots, entries }: SavedEngine) {
        self.engine = engine;
        self.slots = if entries == self.entries { slots } else { Slots::default() };
    }

    /// The engine tells its reference: at first, and then each time it is another, for which those policies are of no use.
    pub fn reference(&mut self) {
        if !std::mem::take(&mut self.is_new) {
            self.slots.clear();
        }
    }

    /// A point has come that is worth keeping.
    pub fn write(&mut self) {
        if !self.storage_tasks.contains(&StorageTask::Write) {
            self.storage_tasks.push(StorageTask::Write);
        }
    }

    /// Of a stage's rows only the first `rows` are as they were.
    pub fn rows_changed(&mut self, stage: Stage, rows: usize) {
        self.stretches.shorten(stage, rows);
    }

    /// The rows of all stages that do not lie beside the run.
    pub fn newest(&mut self, metrics: &BTreeMap<Stage, Vec<MetricRow>>) -> BTreeMap<Stage, Vec<MetricRow>> {
        metrics.iter().map(|(stage, rows)| (*stage, self.stretches.put(*stage, rows))).collect()
    }

    /// An entry of what is `seen`, with the newest rows, at this moment.
    pub fn entry(&mut self, when: f64, seen: Seen) -> Entry {
        self.entries += 1;
        Entry {
            format: FORMAT,
            when,
            page: json::to_text(&seen),
            engine: self.engine.clone(),
            moments: self.slots.taken(),
            stretches: self.stretches.taken(),
            fresh: self.slots.take_fresh(),
            fresh_rows: self.stretches.take_fresh(),
            replaces: self.resumed.take(),
        }
    }

    /// Whether the offered run is discarded only if the person says so once more.
    pub fn asks_again(&self) -> bool {
        self.has_asked
    }

    /// The person does not want what is said of keeping: neither the offered run, nor what went wrong. A run that may be
    /// open in another tab is discarded the second time only: that tab would find it no more after a reload.
    pub fn dismiss(&mut self) {
        let asks = !self.has_asked && self.offer.as_ref().is_some_and(|earlier| earlier.may_be_open);
        self.has_asked = asks;
        if asks {
            return;
        }
        match self.offer.take() {
            Some(earlier) => self.storage_tasks.push(StorageTask::Forget(earlier.saved())),
            None => self.trouble = None,
        }
    }

    /// The command that takes up the offered run, which will be order number `order`.
    pub fn resume(&mut self, request: u32) -> Option<Command> {
        let earlier = self.offer.take()?;
        self.has_asked = false;
        // An engine takes its time, in which another tab could discard what is resumed here.
        self.storage_tasks.push(StorageTask::Hold(earlier.visit.clone()));
        let command = match &earlier.engine {
            Some(kept) => Command::Resume(Box::new(kept.clone())),
            None => Command::Start(earlier.seen.settings),
        };
        self.resuming = Some((request, false, earlier));
        Some(command)
    }

    /// A request was taken up.
    pub fn acknowledged(&mut self, request: u32) {
        if let Some((its, is_taken_up, _)) = &mut self.resuming {
            *is_taken_up |= *its == request;
        }
    }

    /// The engine that was to resume a run could not be built: the run is offered again. One whose resuming has not begun may
    /// still be built.
    pub fn not_built(&mut self) {
        if let Some((_, _, earlier)) = self.resuming.take_if(|(_, is_taken_up, _)| *is_taken_up) {
            self.offer_again(earlier);
        }
    }

    /// Offers a run again, on whichever backend there is.
    fn offer_again(&mut self, mut earlier: Box<SavedSession>) {
        earlier.seen.settings.backend = BackendChoice::Auto;
        if let Some(engine) = &mut earlier.engine {
            engine.settings.backend = BackendChoice::Auto;
        }
        self.offer = Some(earlier);
    }

    /// The command that builds the engine as it was at its last point, with these settings, after it has died. A run that
    /// it was about to resume is offered again.
    pub fn rebuilt(&mut self, settings: Settings) -> Command {
        if let Some((_, _, earlier)) = self.resuming.take() {
            self.offer_again(earlier);
        }
        match &self.engine {
            Some(engine) => Command::Resume(Box::new(Kept { settings, ..engine.clone() })),
            None => Command::Start(settings),
        }
    }

    /// Whether the engine is where a kept run is.
    pub fn is_at(&self, saved: &SavedSession) -> bool {
        let has_policy = |engine: &Kept| engine.policies.iter().any(|policy| !policy.checkpoint.is_empty());
        let both = self.engine.as_ref().zip(saved.engine.as_ref());
        both.is_some_and(|(own, saved)| has_policy(own) && own.policies == saved.policies)
    }

    /// Another engine is there, or the same one on another device. Answers with the run that it resumed, if it did.
    pub fn ready(&mut self) -> Option<SavedSession> {
        self.is_new = true;
        let (_, _, mut earlier) = self.resuming.take_if(|(_, is_taken_up, _)| *is_taken_up)?;
        if let Some(engine) = &mut earlier.engine {
            self.slots.clear();
            // This visit writes a copy of them, in a set of its own.
            engine.saved_policies.drain(..).for_each(|policy| self.slots.put(policy));
        }
        self.engine = earlier.engine.clone();
        self.resumed = Some(earlier.saved());
        // At once, and not at the next point: what was resumed is held only as long as this page is there.
        self.write();
        Some(*earlier)
    }

    /// Takes up the offered run where it is the one that is on: this page, made anew, goes on keeping what the page before it
    /// kept, in that one's place.
    pub fn adopt_offer(&mut self) -> Option<SavedSession> {
        let mut earlier = self.offer.take()?;
        if let Some(engine) = &mut earlier.engine {
            engine.saved_policies.drain(..).for_each(|policy| self.slots.put(policy));
        }
        self.resumed = Some(earlier.saved());
        Some(*earlier)
    }

    /// The engine could not use the kept run: it goes.
    pub fn refused(&mut self) {
        let refused = self.resuming.take_if(|(_, is_taken_up, _)| *is_taken_up);
        self.storage_tasks.extend(refused.map(|(_, _, earlier)| StorageTask::Forget(earlier.saved())));
    }
}

#[cfg(test)]
#[path = "interleavings/tests.rs"]
mod interleavings;
#[cfg(test)]
mod tests;
#[cfg(test)]
#[path = "two_tabs/tests.rs"]
mod two_tabs;
