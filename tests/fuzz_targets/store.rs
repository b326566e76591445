//! A store whose values are texts of JSON, in which an input lays what the store's first form had: a value a line, behind
//! the name of its key and a blank.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::future::Future;
use std::pin::pin;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};

use klimb::page::model::saved_session::store::{Change, Key, Store, StoreError, Transaction, Under};
use klimb::{Message, json};
use serde::Serialize;
use serde::de::DeserializeOwned;

/// The folder of the page that reads it.
pub const FOLDER: &str = "/";

/// The store.
#[derive(Debug, Clone, Default)]
pub struct Texts(Rc<RefCell<BTreeMap<Key, String>>>);

impl Texts {
    /// The store that an input describes.
    pub fn parse(input: &str) -> Self {
        let values = input.lines().filter_map(|line| line.split_once(' '));
        let values = values.map(|(key, value)| (Key::First(key.into()), value.into()));
        Self(Rc::new(RefCell::new(values.collect())))
    }

    /// Whether something of its folder lies there in the first form.
    pub fn has_first_form(&self) -> bool {
        self.0.borrow().keys().any(|key| is_under(key, Under::First(FOLDER)))
    }
}

fn is_under(key: &Key, under: Under<'_>) -> bool {
    match (key, under) {
        (Key::Part { folder, .. }, Under::Folder(wanted)) => folder == wanted,
        (Key::Part { folder, visit, .. }, Under::Visit(wanted, whose)) => folder == wanted && visit == whose,
        (Key::First(key), Under::First(folder)) => {
            key.strip_prefix(folder).is_some_and(|rest| rest.is_empty() || rest.starts_with('#'))
        }
        (Key::Part { .. }, Under::First(_)) | (Key::First(_), Under::Folder(_) | Under::Visit(..)) => false,
    }
}

impl Store for Texts {
    type Value = String;
    type Transaction = Self;

    fn encode<T: Serialize>(value: &T) -> Result<String, StoreError> {
        Ok(json::to_text(value))
    }

    fn decode<T: DeserializeOwned>(value: String) -> Result<T, Message> {
        json::from_text(&value).map_err(|error| error.message())
    }

    async fn begin(&self, _writes: bool) -> Result<Self, StoreError> {
        Ok(self.clone())
    }

    async fn hold(&self, _visit: &str) -> bool {
        true
    }

    fn let_go(&self, _visit: &str) {}

    async fn open_elsewhere(&self) -> Option<Vec<String>> {
        Some(Vec::new())
    }
}

impl Transaction for Texts {
    type Value = String;

    async fn keys(&mut self, under: Under<'_>) -> Result<Vec<Key>, StoreError> {
        Ok(self.0.borrow().keys().filter(|key| is_under(key, under)).cloned().collect())
    }

    async fn get(&mut self, key: &Key) -> Result<Option<String>, StoreError> {
        Ok(self.0.borrow().get(key).cloned())
    }

    async fn commit(self, changes: Vec<Change<String>>) -> Result<(), StoreError> {
        let mut values = self.0.borrow_mut();
        for change in changes {
            match change {
                Change::Put(key, value) => drop(values.insert(key, value)),
                Change::Delete(key) => drop(values.remove(&key)),
            }
        }
        Ok(())
    }
}

/// Goes on until it is done: this store waits for nothing.
pub fn alone<T>(work: impl Future<Output = T>) -> T {
    let mut work = pin!(work);
    loop {
        if let Poll::Ready(outcome) = work.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
            return outcome;
        }
    }
}
