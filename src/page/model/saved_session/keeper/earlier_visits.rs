//! What earlier visits left in the store: it is listed, the newest is offered, and what is no longer to be kept is removed.

use serde::Deserialize;

use super::{Head, Keeper, MOST_VISITS, News, Standing};
use crate::page::model::saved_session::first::{self, First};
use crate::page::model::saved_session::store::{Change, Key, Kind, Store, StoreError, Transaction, Under};
use crate::page::model::saved_session::{Entry, FORMAT, Loaded, Place, Stretch};
use klimb_text::Message;
use klimb_text::words::key;

/// Milliseconds after which a visit that has written nothing is taken for closed, where a browser does not tell.
const LONG_AGO: f64 = 24.0 * 3_600_000.0;

/// What is said of a set of a newer form.
pub(super) const NEWER_RUN: &str = key(
    "A newer version of this page has kept a run here, which this one leaves alone. Reload the page to get the newer version.",
);

/// Of an entry of whatever version, what can be relied on.
#[derive(Deserialize)]
struct Version {
    format: u32,
}

/// A set as it is listed.
pub(super) struct Set {
    pub(super) visit: String,
    /// `None` where it cannot be read.
    pub(super) head: Option<Head>,
    pub(super) is_discarded: bool,
    pub(super) standing: Standing,
}

impl Set {
    fn when(&self) -> f64 {
        self.head.map_or(0.0, |head| head.when)
    }

    fn is_newer(&self) -> bool {
        self.head.is_some_and(|head| head.format > FORMAT)
    }
}

impl<S: Store> Keeper<S> {
    /// Offers the newest set that can be read. One that cannot is removed, unless its page is open; one of a newer form is
    /// left alone.
    pub(super) async fn offer(
        &self,
        own_earlier: Option<&str>,
        and_open: bool,
        news: &mut Vec<News>,
    ) -> Result<Vec<Set>, StoreError> {
        let mut sets = self.sets().await?;
        if and_open && sets.iter().any(Set::is_newer) {
            news.push(News::Trouble(Message::named(NEWER_RUN)));
        }
        let rank = |set: &Set| match set.standing {
            Standing::Closed | Standing::Unknown if own_earlier == Some(set.visit.as_str()) => 0,
            Standing::Closed | Standing::Unknown => 1,
            Standing::Open => 2,
        };
        sets.sort_by(|one, other| rank(one).cmp(&rank(other)).then(other.when().total_cmp(&one.when())));
        for set in &sets {
            let is_open = set.standing == Standing::Open;
            if set.is_discarded || set.is_newer() || set.visit == self.visit || (is_open && !and_open) {
                continue;
            }
            let read = match self.load(&set.visit).await? {
                None => continue,
                Some(Err(reason)) => Err(reason),
                Some(Ok(loaded)) => loaded.read(set.visit.clone(), is_open),
            };
            match read {
                Ok(mut earlier) => {
                    earlier.may_be_open = set.standing == Standing::Unknown;
                    news.push(News::Found(Box::new(earlier)));
                    break;
                }
                Err(_) if is_open => {}
                Err(reason) => {
                    // One that another page takes up just now can be read by that one.
                    let is_held = self.store.hold(&set.visit).await;
                    let deleted = if is_held { self.delete(set, &[]).await } else { Ok(false) };
                    self.store.let_go(&set.visit);
                    if deleted? {
                        news.push(News::Broken(reason));
                    }
                }
            }
        }
        Ok(sets)
    }

    /// All sets of the folder. Whether their pages are open is asked afterwards: a page says that it is open before it
    /// writes its first set.
    pub(super) async fn sets(&self) -> Result<Vec<Set>, StoreError> {
        let mut reading = self.store.begin(false).await?;
        let mut sets: Vec<Set> = Vec::new();
        for key in reading.keys(Under::Folder(&self.folder)).await? {
            let Key::Part { visit, kind, .. } = &key else { continue };
            if sets.last().is_none_or(|set| set.visit != *visit) {
                let (visit, standing) = (visit.clone(), Standing::Unknown);
                sets.push(Set { visit, head: None, is_discarded: false, standing });
            }
            let set = sets.last_mut().expect("one was added");
            match kind {
                Kind::Head => set.head = S::readable(reading.get(&key).await?),
                Kind::Discarded => set.is_discarded = true,
                Kind::Entry | Kind::Policy | Kind::Rows => {}
            }
        }
        drop(reading);
        let open = self.store.open_elsewhere().await;
        sets.iter_mut().for_each(|set| set.standing = self.standing(&set.visit, open.as_deref()));
        Ok(sets)
    }

    /// A set, all of it as one save has left it. `None` if it is gone, or of a newer form; inside, why it cannot be read.
    pub(super) async fn load(&self, visit: &str) -> Result<Option<Result<Loaded, Message>>, StoreError> {
        let mut reading = self.store.begin(false).await?;
        let Some(value) = reading.get(&self.key(visit, Kind::Entry, 0)).await? else {
            let is_there = !reading.keys(Under::Visit(&self.folder, visit)).await?.is_empty();
            return Ok(is_there.then(|| Err(message!("its entry is missing"))));
        };
        if S::decode::<Version>(value.clone()).is_ok_and(|version| version.format > FORMAT) {
            return Ok(None);
        }
        let entry: Entry = match S::decode(value) {
            Ok(entry) => entry,
            Err(reason) => return Ok(Some(Err(reason))),
        };
        let (mut policies, mut rows) = (Vec::new(), Vec::new());
        for Place { slot, .. } in &entry.moments {
            let value = reading.get(&self.key(visit, Kind::Policy, *slot)).await?;
            policies.extend(S::readable(value).map(|policy| (*slot, policy)));
        }
        for Stretch { place, .. } in &entry.stretches {
            let value = reading.get(&self.key(visit, Kind::Rows, *place)).await?;
            rows.extend(S::readable(value).map(|text| (*place, text)));
        }
        Ok(Some(Ok(Loaded { entry, policies, rows })))
    }

    /// Removes what is no longer to be kept: of closed visits all but the newest and this tab's `own_earlier`, which is on offer,
    /// and what was discarded.
    pub(super) async fn tidy(&self, mut sets: Vec<Set>, own_earlier: Option<&str>, now: f64) -> Result<(), StoreError> {
        sets.sort_by(|one, other| other.when().total_cmp(&one.when()));
        let is_over = |set: &Set| match set.standing {
            Standing::Open => false,
            Standing::Closed => true,
            Standing::Unknown => now - set.when() > LONG_AGO,
        };
        let (mut newest, mut gone) = (Vec::new(), Vec::new());
        for set in sets {
            if set.is_newer() || set.head.is_none() || set.visit == self.visit || !is_over(&set) {
                continue;
            }
            if set.is_discarded || newest.len() == MOST_VISITS {
                if set.is_discarded || own_earlier != Some(set.visit.as_str()) {
                    gone.push(set);
                }
            } else {
                newest.push(set.visit);
            }
        }
        for set in gone {
            // One that another page takes up just now stays.
            let deleted = if self.store.hold(&set.visit).await {
                self.delete(&set, if set.is_discarded { &[] } else { &newest }).await
            } else {
                Ok(false)
            };
            self.store.let_go(&set.visit);
            deleted?;
        }
        Ok(())
    }

    /// Puts the run of the store's first form into today's, both in one transaction.
    pub(super) async fn take_over_first_form(&self, news: &mut Vec<News>) -> Result<(), StoreError> {
        let mut transaction = self.store.begin(true).await?;
        let (run, keys) = match first::read::<S>(&mut transaction, &self.folder).await? {
            First::Nothing => return Ok(()),
            First::Newer => {
                news.push(News::Trouble(Message::named(NEWER_RUN)));
                return Ok(());
            }
            First::Broken(reason, keys) => {
                transaction.commit(keys.into_iter().map(Change::Delete).collect()).await?;
                news.push(News::Broken(reason));
                return Ok(());
            }
            First::Run(run, keys) => (run, keys),
        };
        let Loaded { entry, policies, rows } = *run;
        let visit = format!("first-{}", entry.when);
        let mut changes: Vec<Change<S::Value>> = keys.into_iter().map(Change::Delete).collect();
        for (slot, policy) in &policies {
            changes.push(Change::Put(self.key(&visit, Kind::Policy, *slot), S::encode(policy)?));
        }
        for (place, text) in &rows {
            changes.push(Change::Put(self.key(&visit, Kind::Rows, *place), S::encode(text)?));
        }
        let head = Head { format: FORMAT, when: entry.when, saves: 1 };
        changes.push(Change::Put(self.key(&visit, Kind::Entry, 0), S::encode(&entry)?));
        changes.push(Change::Put(self.key(&visit, Kind::Head, 0), S::encode(&head)?));
        transaction.commit(changes).await
    }

    /// Removes a set as it was listed for these newer ones, and answers whether it did. Both are looked at again: its page may
    /// have written since, and another may have discarded a newer one.
    async fn delete(&self, set: &Set, newer: &[String]) -> Result<bool, StoreError> {
        let mut transaction = self.store.begin(true).await?;
        let head = S::readable(transaction.get(&self.key(&set.visit, Kind::Head, 0)).await?);
        if head != set.head {
            return Ok(false);
        }
        for visit in newer {
            let is_gone = transaction.get(&self.key(visit, Kind::Head, 0)).await?.is_none();
            if is_gone || transaction.get(&self.key(visit, Kind::Discarded, 0)).await?.is_some() {
                return Ok(false);
            }
        }
        let keys = transaction.keys(Under::Visit(&self.folder, &set.visit)).await?;
        transaction.commit(keys.into_iter().map(Change::Delete).collect()).await?;
        Ok(true)
    }
}
