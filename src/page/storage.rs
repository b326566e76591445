//! The browser's own store (IndexedDB), in which one run is kept. Wasm alone. Whatever it refuses is told in words.

use std::cell::RefCell;
use std::rc::Rc;

use js_sys::Promise;
use wasm_bindgen::prelude::*;
use wasm_bindgen_futures::{JsFuture, spawn_local};
use web_sys::{IdbDatabase, IdbKeyRange, IdbOpenDbRequest, IdbRequest, IdbTransaction, IdbTransactionMode};

use super::kept::{Earlier, Entry, MOST_SLOTS};
use super::{dom, frames};
use crate::engine::worker::wire;

const DATABASE: &str = "klimb";
const STORE: &str = "runs";

/// What the store has to say.
pub enum News {
    /// The run of an earlier visit.
    Found(Box<Earlier>),
    /// There is one, but it cannot be used.
    Broken(String),
    /// Nothing can be kept.
    Forbidden(String),
}

/// The store. One work after another is done; of entries that wait, only the newest is written.
#[derive(Clone, Default)]
pub struct Storage(Rc<RefCell<Inner>>);

#[derive(Default)]
struct Inner {
    news: Vec<News>,
    /// What is to be kept next, or, inside, that nothing is.
    waiting: Option<Option<Entry>>,
    is_working: bool,
    /// A browser that refused is not asked again.
    is_forbidden: bool,
}

impl Storage {
    /// Looks for a run of an earlier visit.
    pub fn look(&self) {
        let storage = self.clone();
        spawn_local(async move {
            match read().await {
                Err(error) => storage.forbid(&error),
                Ok(None) => {}
                Ok(Some(entry)) => {
                    let news = match entry.and_then(Entry::read) {
                        Ok(earlier) => News::Found(Box::new(earlier)),
                        Err(reason) => News::Broken(reason),
                    };
                    storage.0.borrow_mut().news.push(news);
                    frames::ask();
                }
            }
        });
    }

    /// Keeps a run in the place of any other, or, without one, forgets what is there.
    pub fn keep(&self, entry: Option<Entry>) {
        let mut inner = self.0.borrow_mut();
        if inner.is_forbidden {
            return;
        }
        // An entry that never was written hands on what it would have put beside it.
        let former = inner.waiting.take().flatten();
        let (policies, rows) = former.map_or_else(Default::default, |former| (former.fresh, former.fresh_rows));
        inner.waiting = Some(entry.map(|mut entry| {
            entry.fresh.splice(..0, policies);
            entry.fresh_rows.splice(..0, rows);
            entry
        }));
        if !std::mem::replace(&mut inner.is_working, true) {
            let storage = self.clone();
            spawn_local(async move { storage.work().await });
        }
    }

    /// What there is to say since the last time.
    pub fn take_news(&self) -> Vec<News> {
        std::mem::take(&mut self.0.borrow_mut().news)
    }

    async fn work(&self) {
        while let Some(entry) = self.next() {
            if let Err(error) = write(entry).await {
                self.forbid(&error);
            }
        }
    }

    /// The next work, or the end of working.
    fn next(&self) -> Option<Option<Entry>> {
        let mut inner = self.0.borrow_mut();
        let next = inner.waiting.take();
        inner.is_working = next.is_some();
        next
    }

    fn forbid(&self, error: &JsValue) {
        let mut inner = self.0.borrow_mut();
        if !std::mem::replace(&mut inner.is_forbidden, true) {
            let reason = js_sys::Reflect::get(error, &"message".into()).ok().and_then(|message| message.as_string());
            inner.news.push(News::Forbidden(reason.unwrap_or_else(|| "it does not say why".into())));
            frames::ask();
        }
    }
}

/// What is kept, with the policies beside it; inside, why it cannot be read. A policy that cannot is left out.
async fn read() -> Result<Option<Result<Entry, String>>, JsValue> {
    let database = open().await?;
    let store = database.transaction_with_str_and_mode(STORE, IdbTransactionMode::Readonly)?.object_store(STORE)?;
    let value = done(&store.get(&key())?).await?;
    if value.is_undefined() {
        database.close();
        return Ok(None);
    }
    let mut entry = wire::decode::<Entry>(value).map_err(|error| error.to_string());
    if let Ok(entry) = &mut entry {
        for slot in entry.moments().to_vec() {
            let value = done(&store.get(&slot_key(slot))?).await?;
            wire::decode(value).into_iter().for_each(|moment| entry.add(moment));
        }
        for (stage, places) in entry.stretches().to_vec() {
            for place in places {
                let value = done(&store.get(&rows_key(place))?).await?;
                value.as_string().into_iter().for_each(|text| entry.add_rows(stage, text));
            }
        }
    }
    database.close();
    Ok(Some(entry))
}

async fn write(entry: Option<Entry>) -> Result<(), JsValue> {
    let database = open().await?;
    let transaction = database.transaction_with_str_and_mode(STORE, IdbTransactionMode::Readwrite)?;
    let store = transaction.object_store(STORE)?;
    match entry {
        Some(entry) => {
            let refused = |error: wire::ProtocolError| js_sys::Error::new(&error.to_string());
            for (slot, moment) in &entry.fresh {
                store.put_with_key(&wire::encode(moment).map_err(refused)?, &slot_key(*slot))?;
            }
            for (place, text) in &entry.fresh_rows {
                store.put_with_key(&text.into(), &rows_key(*place))?;
            }
            let places = entry.stretches().iter().flat_map(|(_, places)| places);
            store.delete(&rows_from(places.max().map_or(0, |last| last + 1))?)?;
            store.put_with_key(&wire::encode(&entry).map_err(refused)?, &key())?;
        }
        None => {
            store.delete(&rows_from(0)?)?;
            for slot in 0..MOST_SLOTS {
                store.delete(&slot_key(slot))?;
            }
            store.delete(&key())?;
        }
    }
    let outcome = completed(&transaction).await;
    database.close();
    outcome
}

async fn open() -> Result<IdbDatabase, JsValue> {
    let factory = dom::window().indexed_db()?.ok_or_else(|| js_sys::Error::new("it has no IndexedDB"))?;
    let request: IdbOpenDbRequest = factory.open_with_u32(DATABASE, 1)?;
    let opened = request.clone();
    // It holds the request and is called at most once in a browser's life: it must not be left to that call to be freed.
    let make = Closure::once(move || {
        // Only an open request of the same connection gets here, and its new database has no store yet.
        let made = opened.result().and_then(|it| it.unchecked_into::<IdbDatabase>().create_object_store(STORE));
        drop(made);
    });
    request.set_onupgradeneeded(Some(make.as_ref().unchecked_ref()));
    let outcome = done(&request).await;
    request.set_onupgradeneeded(None);
    Ok(outcome?.unchecked_into())
}

/// A host may have several pages of Klimb, and they share one store; one page in several languages has one folder.
fn key() -> JsValue {
    folder().into()
}

fn folder() -> String {
    let mut path = dom::window().location().pathname().unwrap_or_default();
    path.truncate(path.rfind('/').map_or(0, |end| end + 1));
    path
}

/// Beside the run lie the policies behind its points.
fn slot_key(slot: u32) -> JsValue {
    format!("{}#{slot}", folder()).into()
}

/// And rows of steps.
fn rows_key(place: u32) -> JsValue {
    format!("{}#rows{place:06}", folder()).into()
}

/// The keys of all places from this one on: a longer run has left something there.
fn rows_from(place: u32) -> Result<JsValue, JsValue> {
    let behind_all = format!("{}#rows~", folder()).into();
    IdbKeyRange::bound(&rows_key(place), &behind_all).map(JsValue::from)
}

/// The request's result, or its error.
async fn done(request: &IdbRequest) -> Result<JsValue, JsValue> {
    let promise = Promise::new(&mut |resolve, reject| {
        request.set_onsuccess(Some(&resolve));
        request.set_onerror(Some(&reject));
    });
    match JsFuture::from(promise).await {
        Ok(_) => request.result(),
        Err(_) => Err(request.error()?.map_or(JsValue::UNDEFINED, JsValue::from)),
    }
}

/// Whether all of a transaction's requests have come to rest in the store: each may succeed, and all be undone when it is to
/// be committed, for want of room say.
async fn completed(transaction: &IdbTransaction) -> Result<(), JsValue> {
    let promise = Promise::new(&mut |resolve, reject| {
        transaction.set_oncomplete(Some(&resolve));
        transaction.set_onabort(Some(&reject));
    });
    match JsFuture::from(promise).await {
        Ok(_) => Ok(()),
        Err(_) => Err(transaction.error().map_or(JsValue::UNDEFINED, JsValue::from)),
    }
}
