//! A store in memory for tests: it goes on one call at a time, fails at whichever call it is told, has as much room as it is
//! told, and can be left in the midst of anything.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::future::Future;
use std::pin::pin;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};

use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use klimb_text::Message;

use super::store::{Change, Key, Store, StoreError, Transaction, Under};

/// The store of one host, by whichever page.
#[derive(Debug, Clone, Default)]
pub struct Memory {
    shared: Rc<RefCell<Shared>>,
    /// The visit of the page that uses it.
    visit: String,
}

#[derive(Debug, Default)]
pub struct Shared {
    /// Shared by all copies of the store, of which every transaction makes one.
    pub values: BTreeMap<Key, Rc<Value>>,
    /// The visits whose pages are open; `None` where that is not told.
    pub open: Option<BTreeSet<String>>,
    /// Which visits' sets are held, and by which.
    pub held: BTreeMap<String, String>,
    /// How many calls there were.
    pub calls: usize,
    /// The call that fails, and how.
    pub fails: Option<(usize, StoreError)>,
    /// How many letters of JSON there is room for.
    pub room: Option<usize>,
    /// How often something was written.
    pub commits: usize,
    is_busy: bool,
}

impl Memory {
    /// The same store for another page.
    pub fn of(&self, visit: &str) -> Self {
        Self { shared: self.shared.clone(), visit: visit.into() }
    }

    /// What it is made of.
    pub fn shared(&self) -> std::cell::RefMut<'_, Shared> {
        self.shared.borrow_mut()
    }

    async fn call(&self) -> Result<(), StoreError> {
        pause().await;
        let mut shared = self.shared();
        shared.calls += 1;
        let calls = shared.calls;
        match shared.fails.take_if(|(at, _)| *at <= calls) {
            Some((_, error)) => Err(error),
            None => Ok(()),
        }
    }
}

/// Lets others go on first.
async fn pause() {
    let mut has_waited = false;
    std::future::poll_fn(|_| if std::mem::replace(&mut has_waited, true) { Poll::Ready(()) } else { Poll::Pending })
        .await;
}

/// Goes on until it is done, with nobody beside it.
pub fn alone<T>(work: impl Future<Output = T>) -> T {
    let mut work = pin!(work);
    loop {
        if let Poll::Ready(outcome) = work.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
            return outcome;
        }
    }
}

impl Store for Memory {
    type Value = Rc<Value>;
    type Transaction = Opened;

    fn encode<T: Serialize>(value: &T) -> Result<Rc<Value>, StoreError> {
        serde_json::to_value(value)
            .map(Rc::new)
            .map_err(|error| StoreError::Failed(Message::verbatim(error.to_string())))
    }

    fn decode<T: DeserializeOwned>(value: Rc<Value>) -> Result<T, Message> {
        T::deserialize(&*value).map_err(|error| Message::verbatim(error.to_string()))
    }

    async fn begin(&self, _writes: bool) -> Result<Opened, StoreError> {
        self.call().await?;
        while self.shared().is_busy {
            pause().await;
        }
        self.shared().is_busy = true;
        Ok(Opened(self.clone()))
    }

    async fn hold(&self, visit: &str) -> bool {
        pause().await;
        let mut shared = self.shared();
        let Some(open) = &shared.open else { return true };
        if open.contains(visit) {
            return false;
        }
        *shared.held.entry(visit.into()).or_insert_with(|| self.visit.clone()) == self.visit
    }

    fn let_go(&self, visit: &str) {
        self.shared().held.retain(|its, holder| its != visit || *holder != self.visit);
    }

    async fn open_elsewhere(&self) -> Option<Vec<String>> {
        pause().await;
        let shared = self.shared();
        let open = shared.open.iter().flatten().filter(|visit| **visit != self.visit);
        let held = shared.held.iter().filter(|(_, holder)| **holder != self.visit).map(|(visit, _)| visit);
        shared.open.is_some().then(|| open.chain(held).cloned().collect())
    }
}

/// A transaction, with the store to itself.
#[derive(Debug)]
pub struct Opened(Memory);

impl Drop for Opened {
    fn drop(&mut self) {
        self.0.shared().is_busy = false;
    }
}

impl Transaction for Opened {
    type Value = Rc<Value>;

    async fn keys(&mut self, under: Under<'_>) -> Result<Vec<Key>, StoreError> {
        self.0.call().await?;
        let is_wanted = |key: &&Key| match (key, under) {
            (Key::Part { folder, .. }, Under::Folder(wanted)) => folder == wanted,
            (Key::Part { folder, visit, .. }, Under::Visit(wanted, whose)) => folder == wanted && visit == whose,
            (Key::First(key), Under::First(folder)) => {
                key.strip_prefix(folder).is_some_and(|it| it.is_empty() || it.starts_with('#'))
            }
            (Key::Part { .. }, Under::First(_)) | (Key::First(_), Under::Folder(_) | Under::Visit(..)) => false,
        };
        Ok(self.0.shared().values.keys().filter(is_wanted).cloned().collect())
    }

    async fn get(&mut self, key: &Key) -> Result<Option<Rc<Value>>, StoreError> {
        self.0.call().await?;
        Ok(self.0.shared().values.get(key).cloned())
    }

    async fn commit(self, changes: Vec<Change<Rc<Value>>>) -> Result<(), StoreError> {
        let mut values = self.0.shared().values.clone();
        for change in changes {
            self.0.call().await?;
            match change {
                Change::Put(key, value) => drop(values.insert(key, value)),
                Change::Delete(key) => drop(values.remove(&key)),
            }
        }
        self.0.call().await?;
        let size =
            |values: &BTreeMap<Key, Rc<Value>>| values.values().map(|value| value.to_string().len()).sum::<usize>();
        let mut shared = self.0.shared();
        let is_too_much = |room| size(&values) > room && size(&values) > size(&shared.values);
        if shared.room.is_some_and(is_too_much) {
            return Err(StoreError::Full);
        }
        shared.values = values;
        shared.commits += 1;
        Ok(())
    }
}
