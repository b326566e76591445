//! The database in which the browser keeps runs: IndexedDB by the crate idb.

use std::cell::Cell;
use std::rc::Rc;

use idb::{Database, DatabaseEvent, Factory, KeyRange, ObjectStore, ObjectStoreParams, TransactionMode};
use js_sys::{Array, Promise, Reflect};
use wasm_bindgen::prelude::*;
use wasm_bindgen_futures::JsFuture;

use super::{Told, text};
use crate::page::model::saved_session::News;
use crate::page::model::saved_session::store::{Change, Key, Kind, StoreError, Transaction, Under};
use crate::page::view::{animation_frames, dom};
use klimb_text::Message;
use klimb_text::words::key;

const DATABASE: &str = "klimb";
/// Version 1 had the first form's store alone.
const VERSION: u32 = 2;
/// The first form's, by texts.
const FIRST: &str = "runs";
/// Today's, by lists of folder, visit, kind and number.
const PARTS: &str = "parts";
/// Milliseconds after which another page that does not let go of the store is spoken of.
const PATIENCE: i32 = 2000;
/// Milliseconds after which a store that does not answer at all is spoken of.
const SILENCE: i32 = 10_000;

/// A connection, closed when it is no longer needed: an open one would keep a newer page from changing the store's form.
pub struct Connection(Database);

impl Connection {
    /// Opens the database, and tells where that takes long.
    pub async fn open(news: &Told) -> Result<Self, StoreError> {
        let request = Factory::new().and_then(|factory| real(factory.open(DATABASE, Some(VERSION))?));
        let mut request = request.map_err(absent)?;
        request.on_upgrade_needed(|event| {
            let Ok(database) = event.database() else { return };
            for name in [FIRST, PARTS] {
                // One that is there already is left as it is. Without one every transaction will fail, and that is told.
                let _ = database.create_object_store(name, ObjectStoreParams::new());
            }
        });
        let is_waiting = Rc::new(Cell::new(true));
        let (still, its) = (is_waiting.clone(), news.clone());
        request.on_blocked(move |_| tell_if_still(
            still,
            its,
            PATIENCE,
            key("Another tab with this page holds on to what the browser keeps. Close it, so that runs can be kept again."),
        ));
        tell_if_still(
            is_waiting.clone(),
            news.clone(),
            SILENCE,
            key("The browser’s store does not answer: runs are not kept until it does. Everything else works."),
        );
        let opened = request.await;
        is_waiting.set(false);
        let mut database = opened.map_err(absent)?;
        // A newer page wants to change the store's form, and waits for this one; or all of it is to be deleted.
        let news = news.clone();
        database.on_version_change(move |event| {
            let version = Reflect::get(&event, &"newVersion".into());
            if version.is_ok_and(|version| version.as_f64().is_some()) {
                news.borrow_mut().push(News::Trouble(StoreError::Newer.message()));
                animation_frames::ask();
            }
            if let Some(Ok(database)) = event.target().map(Database::try_from) {
                database.close();
            }
        });
        Ok(Self(database))
    }

    /// Begins a transaction, which closes the connection when it is over.
    pub fn begin(self, writes: bool) -> Result<Opened, StoreError> {
        let mode = if writes { TransactionMode::ReadWrite } else { TransactionMode::ReadOnly };
        let transaction = self.0.transaction(&[FIRST, PARTS], mode).and_then(real).map_err(failed)?;
        let store = |name| transaction.object_store(name).and_then(real).map_err(failed);
        Ok(Opened { first: store(FIRST)?, parts: store(PARTS)?, transaction, _connection: self })
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        self.0.close();
    }
}

/// A transaction that is under way.
pub struct Opened {
    first: ObjectStore,
    parts: ObjectStore,
    transaction: idb::Transaction,
    _connection: Connection,
}

impl Opened {
    fn at(&self, key: &Key) -> (&ObjectStore, JsValue) {
        match key {
            Key::First(key) => (&self.first, key.into()),
            Key::Part { folder, visit, kind, number } => {
                (&self.parts, list(&[&folder.into(), &visit.into(), &kind.name().into(), &(*number).into()]))
            }
        }
    }
}

impl Drop for Opened {
    fn drop(&mut self) {
        // A browser commits what nobody waits for. One that is over cannot be undone, and says so.
        if let Ok(transaction) = real(self.parts.transaction()) {
            let _ = transaction.abort();
        }
    }
}

impl Transaction for Opened {
    type Value = JsValue;

    async fn keys(&mut self, under: Under<'_>) -> Result<Vec<Key>, StoreError> {
        let (store, from, to) = match under {
            // A list comes behind every text, and a longer list behind its beginning.
            Under::Folder(folder) => {
                let folder = folder.into();
                (&self.parts, list(&[&folder]), list(&[&folder, &Array::new()]))
            }
            Under::Visit(folder, visit) => {
                let (folder, visit) = (folder.into(), visit.into());
                (&self.parts, list(&[&folder, &visit]), list(&[&folder, &visit, &Array::new()]))
            }
            Under::First(folder) => (&self.first, folder.into(), format!("{folder}#~").into()),
        };
        let range = KeyRange::bound(&from, &to, None, None).and_then(real).map_err(failed)?;
        let request = store.get_all_keys(Some(range.into()), None).and_then(real).map_err(failed)?;
        let keys = request.await.map_err(failed)?;
        let keys = keys.iter().filter_map(read_key);
        Ok(match under {
            Under::Folder(_) | Under::Visit(..) => keys.collect(),
            Under::First(folder) => {
                let is_its =
                    |key: &str| key.strip_prefix(folder).is_some_and(|it| it.is_empty() || it.starts_with('#'));
                keys.filter(|key| matches!(key, Key::First(key) if is_its(key))).collect()
            }
        })
    }

    async fn get(&mut self, key: &Key) -> Result<Option<JsValue>, StoreError> {
        let (store, key) = self.at(key);
        store.get(key).and_then(real).map_err(failed)?.await.map_err(failed)
    }

    async fn commit(mut self, changes: Vec<Change<JsValue>>) -> Result<(), StoreError> {
        for change in changes {
            match change {
                Change::Put(key, value) => {
                    let (store, key) = self.at(&key);
                    store.put(&value, Some(&key)).and_then(real).map(drop).map_err(failed)?;
                }
                Change::Delete(key) => {
                    let (store, key) = self.at(&key);
                    store.delete(key).and_then(real).map(drop).map_err(failed)?;
                }
            }
        }
        // Each request may succeed, and all be undone when they are to be committed, for want of room say.
        let transaction = &mut self.transaction;
        let promise = Promise::new(&mut |completed, aborted| {
            transaction.on_complete(move |_| drop(completed.call0(&JsValue::NULL)));
            transaction.on_abort(move |_| drop(aborted.call0(&JsValue::NULL)));
        });
        JsFuture::from(promise).await.map(drop).map_err(|_| match self.transaction.error() {
            Some(error) => failed(idb::Error::DomException(error)),
            None => StoreError::Failed(message!("it was interrupted")),
        })
    }
}

fn list(parts: &[&JsValue]) -> JsValue {
    parts.iter().copied().collect::<Array>().into()
}

fn read_key(key: &JsValue) -> Option<Key> {
    if let Some(key) = key.as_string() {
        return Some(Key::First(key));
    }
    let key: &Array = key.dyn_ref()?;
    let kind = key.get(2).as_string()?;
    Some(Key::Part {
        folder: key.get(0).as_string()?,
        visit: key.get(1).as_string()?,
        kind: Kind::ALL.into_iter().find(|its| its.name() == kind)?,
        number: key.get(3).as_f64()? as u32,
    })
}

/// Why the store cannot be opened.
fn absent(error: idb::Error) -> StoreError {
    let is_refused = matches!(
        error,
        idb::Error::IndexedDbNotFound(_) | idb::Error::IndexedDbOpenFailed(_) | idb::Error::UnexpectedJsType(..)
    );
    let (name, reason) = described(error);
    match name.as_str() {
        "VersionError" => StoreError::Newer,
        "QuotaExceededError" => StoreError::Full,
        "SecurityError" | "InvalidStateError" | "NotAllowedError" => StoreError::Absent(reason),
        _ if is_refused => StoreError::Absent(reason),
        _ => StoreError::Failed(reason),
    }
}

/// Why something failed in an open store.
fn failed(error: idb::Error) -> StoreError {
    let is_unreal = matches!(error, idb::Error::UnexpectedJsType(..));
    let (name, reason) = described(error);
    match name.as_str() {
        "QuotaExceededError" => StoreError::Full,
        _ if is_unreal => StoreError::Absent(reason),
        _ => StoreError::Failed(reason),
    }
}

/// The name and the words of an error.
#[expect(clippy::wildcard_enum_match_arm, reason = "the crate has more kinds than are told apart")]
fn described(error: idb::Error) -> (String, Message) {
    use idb::Error as E;
    let value: JsValue = match error {
        E::DomException(exception) => exception.into(),
        E::IndexedDbNotFound(value) if value.is_undefined() => return (String::new(), message!("it has no IndexedDB")),
        E::UnexpectedJsType(..) => return (String::new(), message!("its IndexedDB does not answer as it should")),
        E::IndexedDbNotFound(value)
        | E::IndexedDbOpenFailed(value)
        | E::TransactionOpenFailed(value)
        | E::ObjectStoreNotFound(value)
        | E::KeyRangeCreateFailed(value)
        | E::GetFailed(value)
        | E::GetAllKeysFailed(value)
        | E::UpdateFailed(value)
        | E::DeleteFailed(value) => value,
        other => return (String::new(), Message::verbatim(other.to_string())),
    };
    let reason = text(&value, "message").filter(|reason| !reason.is_empty());
    let reason = reason.map(|reason| reason.trim_end_matches('.').to_owned());
    (
        text(&value, "name").unwrap_or_default(),
        reason.map_or_else(|| message!("it does not say why"), Message::verbatim),
    )
}

/// What the browser gave, if it is what it should be. A browser that has been interfered with may give nothing, and a call
/// on that would end the page's module.
fn real<T: Into<JsValue> + TryFrom<JsValue, Error = idb::Error>>(given: T) -> Result<T, idb::Error> {
    T::try_from(given.into())
}

/// Tells something after so many milliseconds, if the wait for the store goes on then.
fn tell_if_still(is_waiting: Rc<Cell<bool>>, news: Told, milliseconds: i32, sentence: &'static str) {
    let tell = Closure::once_into_js(move || {
        if is_waiting.get() {
            news.borrow_mut().push(News::Failed(Message::named(sentence)));
            animation_frames::ask();
        }
    });
    // Without a clock nothing is told, and the wait is the same.
    let _ = dom::window().set_timeout_with_callback_and_timeout_and_arguments_0(tell.unchecked_ref(), milliseconds);
}
