//! What is done with a store: each visit writes a set of parts of its own and no other's, so that tabs never mix; the newest
//! of those that are left behind is offered to the next visit, which takes it up as a copy.

mod earlier_visits;

use serde::{Deserialize, Serialize};

use super::store::{Change, Key, Kind, Store, StoreError, Transaction, Under};
use super::{Entry, FORMAT, Place, Saved, SavedSession, Stretch};
use crate::engine::protocol::SavedPolicy;
use klimb_text::Message;
use klimb_text::words::key;

/// Most sets of closed visits that a folder keeps: the newest.
pub const MOST_VISITS: usize = 3;

/// What the store has to say.
#[derive(Debug, Clone, PartialEq)]
pub enum News {
    /// The run of an earlier visit.
    Found(Box<SavedSession>),
    /// There was one, but it could not be used and was removed: why.
    Broken(Message),
    /// Something that the person should know, in a sentence.
    Trouble(Message),
    /// The newest point could not be kept: a sentence, until one can.
    Failed(Message),
    /// An entry was written.
    Saved,
    /// What this visit had written is gone, and all of it is to be written again: a sentence.
    Gone(Message),
}

/// Of which form a set is, and how new.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Head {
    /// The version of its form.
    pub format: u32,
    /// Milliseconds since 1970, when it was written last.
    #[serde(default)]
    pub when: f64,
    /// How often it was written.
    #[serde(default)]
    pub saves: u32,
}

/// What this visit has in the store.
#[derive(Debug, Clone, Default)]
struct Written {
    saves: u32,
    moments: Vec<Place>,
    stretches: Vec<Stretch>,
}

/// Whether the page of a visit is still open.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Standing {
    Open,
    Closed,
    Unknown,
}

/// What is said of a run that another tab has taken up, or removed, since it was offered.
const NO_LONGER_THERE: &str = key(
    "The run that was offered is no longer there: another tab has resumed or discarded it. Nothing was removed here; a resumed run goes on being kept by its tab.",
);

/// What is said of a run that another tab has gone on with since it was offered, as far as one can tell without locks.
const HAS_GONE_ON: &str = key("The run that was offered has gone on in another tab since. Nothing was removed here.");

/// What is said of a run that another tab is about to take up since it was offered.
const IS_RESUMED: &str =
    key("Another tab is resuming the run that was offered. Nothing was removed here; that tab goes on keeping it.");

/// A visit's dealings with the store.
#[derive(Debug)]
pub struct Keeper<S> {
    store: S,
    folder: String,
    visit: String,
    written: Option<Written>,
    /// What could not be written yet.
    unwritten: Option<Entry>,
    /// A store that may not be used is not asked again.
    is_forbidden: bool,
}

impl<S: Store> Keeper<S> {
    /// A visit of this id to the page in `folder`.
    pub fn new(store: S, folder: String, visit: String) -> Self {
        Self { store, folder, visit, written: None, unwritten: None, is_forbidden: false }
    }

    /// Its id.
    pub fn visit(&self) -> &str {
        &self.visit
    }

    /// The store that it uses.
    pub fn store(&self) -> &S {
        &self.store
    }

    /// Looks for what earlier visits left, and offers the newest: of this tab's `own_earlier` visit if there is something, else of
    /// those whose pages are closed, else of one that is open elsewhere. What is too old is removed.
    pub async fn look(&mut self, own_earlier: Option<&str>, now: f64) -> Vec<News> {
        let mut news = Vec::new();
        let looked = match self.take_over_first_form(&mut news).await {
            Ok(()) => self.offer(own_earlier, true, &mut news).await,
            Err(error) => Err(error),
        };
        match looked {
            Ok(sets) => {
                // What cannot be removed now is removed at another visit.
                let _ = self.tidy(sets, own_earlier, now).await;
            }
            Err(error) => news.push(self.refused(error)),
        }
        news
    }

    /// Writes an entry, with all that could not be written before. A full store costs the oldest policies.
    pub async fn save(&mut self, entry: Entry) -> Vec<News> {
        if self.is_forbidden {
            return Vec::new();
        }
        let mut entry = entry.behind(self.unwritten.take());
        let mut dropped = 0;
        loop {
            match self.write(&mut entry).await {
                Ok(true) if dropped > 0 => {
                    let trouble = message!(
                        "The browser’s store is full: the policies behind the oldest {} points are no longer kept. The points are.",
                        dropped
                    );
                    return vec![News::Saved, News::Trouble(trouble)];
                }
                Ok(true) => return vec![News::Saved],
                Ok(false) => {
                    self.written = None;
                    self.unwritten = Some(entry);
                    return vec![News::Gone(message!(
                        "What this tab had kept is no longer in the browser’s store. It is kept anew, without the policies behind earlier points."
                    ))];
                }
                Err(StoreError::Full) if !entry.moments.is_empty() => {
                    dropped += entry.moments.drain(..entry.moments.len().div_ceil(2)).count();
                }
                Err(error @ (StoreError::Absent(_) | StoreError::Newer)) => return vec![self.refused(error)],
                Err(error @ (StoreError::Full | StoreError::Failed(_))) => {
                    self.unwritten = Some(entry);
                    return vec![News::Failed(message!(
                        "The newest point could not be kept ({}). What was kept before stands, and it is tried again at the next point.",
                        error.message()
                    ))];
                }
            }
        }
    }

    /// Holds what a visit kept, so that no other page removes it, until this page has written it or ends. It stays where a page
    /// that is open has it.
    pub async fn hold(&self, visit: &str) {
        self.store.hold(visit).await;
    }

    /// Forgets what a visit kept, unless its page is open or it has written since, and offers the next.
    pub async fn forget(&mut self, saved: &Saved) -> Vec<News> {
        let mut news = Vec::new();
        let removed = self.remove(saved).await;
        self.store.let_go(&saved.visit);
        match removed {
            Ok(trouble) => news.extend(trouble.map(|trouble| News::Trouble(Message::named(trouble)))),
            Err(error) => return vec![self.refused(error)],
        }
        if let Err(error) = self.offer(None, false, &mut news).await {
            news.push(self.refused(error));
        }
        news
    }

    /// Holds a set that is to be removed, so that nobody takes it up meanwhile; one that another page holds is open.
    async fn standing_to_remove(&self, visit: &str) -> Standing {
        if self.store.hold(visit).await {
            self.standing(visit, self.store.open_elsewhere().await.as_deref())
        } else {
            Standing::Open
        }
    }

    /// Answers with a sentence, and removes nothing, if the set is not as it was when it was offered.
    async fn remove(&self, saved: &Saved) -> Result<Option<&'static str>, StoreError> {
        let standing = self.standing_to_remove(&saved.visit).await;
        let mut transaction = self.store.begin(true).await?;
        let (changes, is_there) = self.removal(&mut transaction, saved, standing).await?;
        let trouble = match standing {
            Standing::Open => (!saved.was_open).then_some(IS_RESUMED),
            Standing::Closed | Standing::Unknown => {
                changes.is_empty().then_some(if is_there { HAS_GONE_ON } else { NO_LONGER_THERE })
            }
        };
        transaction.commit(changes).await?;
        Ok(trouble)
    }

    /// What removes a set, if it is as it was saved then; and whether there is one.
    async fn removal(
        &self,
        transaction: &mut S::Transaction,
        saved: &Saved,
        standing: Standing,
    ) -> Result<(Vec<Change<S::Value>>, bool), StoreError> {
        let head: Option<Head> = S::readable(transaction.get(&self.key(&saved.visit, Kind::Head, 0)).await?);
        let is_there = head.is_some();
        let is_as_saved = head.is_some_and(|head| head.when == saved.when);
        let changes = match standing {
            Standing::Closed if is_as_saved => {
                let keys = transaction.keys(Under::Visit(&self.folder, &saved.visit)).await?;
                keys.into_iter().map(Change::Delete).collect()
            }
            // Its page may be open: it stays whole for that, and is offered no more.
            Standing::Unknown if is_as_saved => {
                vec![Change::Put(self.key(&saved.visit, Kind::Discarded, 0), S::encode(&saved.when)?)]
            }
            Standing::Open | Standing::Closed | Standing::Unknown => Vec::new(),
        };
        Ok((changes, is_there))
    }

    /// Writes all parts that are not there yet, and removes those that the entry does not name. Answers with `false`, and
    /// writes nothing, if what was there before is gone.
    async fn write(&mut self, entry: &mut Entry) -> Result<bool, StoreError> {
        let replaced = match &entry.replaces {
            // It is held since the click on Resume, unless another page held it just then.
            Some(saved) => Some((saved.clone(), self.standing_to_remove(&saved.visit).await)),
            None => None,
        };
        let mut transaction = self.store.begin(true).await?;
        let head = self.key(&self.visit, Kind::Head, 0);
        if self.written.is_some() && transaction.get(&head).await?.is_none() {
            return Ok(false);
        }
        let before = self.written.clone().unwrap_or_default();
        let mut changes = Vec::new();
        if let Some((saved, standing)) = &replaced {
            (changes, _) = self.removal(&mut transaction, saved, *standing).await?;
        }
        let mut now = Written { saves: before.saves.saturating_add(1), ..Written::default() };
        for place in &entry.moments {
            let is_it = |(slot, policy): &&(u32, SavedPolicy)| *slot == place.slot && policy.key() == place.moment;
            if let Some((slot, policy)) = entry.fresh.iter().rev().find(is_it) {
                changes.push(Change::Put(self.key(&self.visit, Kind::Policy, *slot), S::encode(policy)?));
            } else if !before.moments.contains(place) {
                continue;
            }
            now.moments.push(*place);
        }
        for stretch in &entry.stretches {
            if let Some((place, text)) = entry.fresh_rows.iter().rev().find(|(place, _)| *place == stretch.place) {
                changes.push(Change::Put(self.key(&self.visit, Kind::Rows, *place), S::encode(text)?));
            } else if !before.stretches.contains(stretch) {
                continue;
            }
            now.stretches.push(*stretch);
        }
        let is_left = |slot: u32| now.moments.iter().all(|place| place.slot != slot);
        let left = before.moments.iter().filter(|place| is_left(place.slot));
        changes.extend(left.map(|place| Change::Delete(self.key(&self.visit, Kind::Policy, place.slot))));
        let is_left = |place: u32| now.stretches.iter().all(|stretch| stretch.place != place);
        let left = before.stretches.iter().filter(|stretch| is_left(stretch.place));
        changes.extend(left.map(|stretch| Change::Delete(self.key(&self.visit, Kind::Rows, stretch.place))));
        changes.push(Change::Delete(self.key(&self.visit, Kind::Discarded, 0)));
        (entry.moments, entry.stretches) = (now.moments.clone(), now.stretches.clone());
        changes.push(Change::Put(self.key(&self.visit, Kind::Entry, 0), S::encode(entry)?));
        changes.push(Change::Put(head, S::encode(&Head { format: FORMAT, when: entry.when, saves: now.saves })?));
        transaction.commit(changes).await?;
        self.written = Some(now);
        entry.replaces.iter().for_each(|saved| self.store.let_go(&saved.visit));
        Ok(true)
    }

    fn standing(&self, visit: &str, open: Option<&[String]>) -> Standing {
        match open {
            None => Standing::Unknown,
            Some(open) if open.iter().any(|its| its == visit) => Standing::Open,
            Some(_) => Standing::Closed,
        }
    }

    fn key(&self, visit: &str, kind: Kind, number: u32) -> Key {
        Key::Part { folder: self.folder.clone(), visit: visit.into(), kind, number }
    }

    /// What is said of an error that ends what was to be done.
    fn refused(&mut self, error: StoreError) -> News {
        match error {
            StoreError::Absent(_) | StoreError::Newer => {
                self.is_forbidden = true;
                News::Trouble(error.message())
            }
            StoreError::Full | StoreError::Failed(_) => News::Trouble(message!(
                "What an earlier visit kept cannot be reached now ({}). It stays where it is.",
                error.message()
            )),
        }
    }
}

#[cfg(test)]
pub(super) mod tabs;
#[cfg(test)]
mod tests;
