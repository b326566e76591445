//! The browser's own store: IndexedDB by the crate idb, and Web Locks, by which pages tell that they are open.
//! What is kept, and where, is decided in `page::model::saved_session`.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::fmt::Write;
use std::rc::Rc;

use idb::{Database, DatabaseEvent, Factory, KeyRange, ObjectStore, ObjectStoreParams, TransactionMode};
use js_sys::{Array, Function, Object, Promise, Reflect};
use serde::Serialize;
use serde::de::DeserializeOwned;
use wasm_bindgen::prelude::*;
use wasm_bindgen_futures::{JsFuture, spawn_local};

use super::{animation_frames, dom, web_storage};
use crate::engine::worker::wire;
use crate::page::model::saved_session::store::{Change, Key, Kind, Store, StoreError, Transaction, Under};
use crate::page::model::saved_session::{Entry, Job, Jobs, Keeper, News};
use klimb_text::Message;
use klimb_text::words::key;

const DATABASE: &str = "klimb";
/// Version 1 had the first form's store alone.
const VERSION: u32 = 2;
/// The first form's, by texts.
const FIRST: &str = "runs";
/// Today's, by lists of folder, visit, kind and number.
const PARTS: &str = "parts";
/// Where a tab keeps which visit wrote last in it, so that a reload is offered what it had itself.
const VISIT: &str = "klimb-visit";

/// Milliseconds after which another page that does not let go of the store is spoken of.
const PATIENCE: i32 = 2000;
/// Milliseconds after which a store that does not answer at all is spoken of.
const SILENCE: i32 = 10_000;

/// Milliseconds that a page before this one in the same tab may take to let go of its lock, and between two looks at it.
const LETTING_GO: i32 = 1500;
const TURN: i32 = 50;

#[wasm_bindgen]
extern "C" {
    /// What gives locks, in browsers that have them and where the address is trusted.
    type LockManager;

    #[wasm_bindgen(method, catch)]
    fn request(this: &LockManager, name: &str, work: &JsValue) -> Result<Promise, JsValue>;

    #[wasm_bindgen(method, catch, js_name = request)]
    fn request_with(this: &LockManager, name: &str, options: &JsValue, work: &JsValue) -> Result<Promise, JsValue>;

    #[wasm_bindgen(method, catch)]
    fn query(this: &LockManager) -> Result<JsValue, JsValue>;
}

/// The store of a visit. One work after another is done.
#[derive(Clone)]
pub struct Storage(Rc<RefCell<Inner>>);

struct Inner {
    jobs: Jobs,
    /// Away while it works.
    keeper: Option<Keeper<Browser>>,
    news: Told,
    /// Whether an entry waits, is being written, or has been just now.
    is_saving: bool,
    /// Milliseconds from when it is written until another may be made.
    rest: f64,
}

/// How many times as long as an entry took to be made the next one is not made: making it holds up the page, for longer the
/// more points there are.
const REST: f64 = 9.0;

/// What there is to say.
type Told = Rc<RefCell<Vec<News>>>;

impl Storage {
    /// A new visit's.
    pub fn new() -> Self {
        let (folder, visit, news) = (web_storage::folder(), random_id(), Told::default());
        let (lock, prefix) = (lock_name(&folder, &visit), lock_name(&folder, ""));
        let browser = Browser { lock, prefix, has_asked: Cell::new(false), held: Rc::default(), news: news.clone() };
        let keeper = Some(Keeper::new(browser, folder, visit));
        Self(Rc::new(RefCell::new(Inner { jobs: Jobs::default(), keeper, news, is_saving: false, rest: 0.0 })))
    }

    /// Looks for runs of earlier visits.
    pub fn look(&self) {
        let former = web_storage::read(web_storage::session(), VISIT);
        self.push(Job::Look(former, js_sys::Date::now()));
    }

    /// Does this as soon as all before it is done.
    pub fn push(&self, job: Job) {
        let mut inner = self.0.borrow_mut();
        inner.jobs.push(job);
        if let Some(keeper) = inner.keeper.take() {
            let storage = self.clone();
            spawn_local(async move { storage.work(keeper).await });
        }
    }

    /// Whether an entry made now would come too soon. The page draws a frame when that is over.
    pub fn is_saving(&self) -> bool {
        self.0.borrow().is_saving
    }

    /// Writes the entry that `make` makes, and asks for no other until the page has had time for other things.
    pub fn save(&self, make: impl FnOnce() -> Entry) {
        let now = || dom::window().performance().map_or_else(js_sys::Date::now, |clock| clock.now());
        let begin = now();
        let entry = make();
        let rest = REST * (now() - begin).max(0.0);
        {
            let mut inner = self.0.borrow_mut();
            (inner.is_saving, inner.rest) = (true, rest);
        }
        self.push(Job::Save(Box::new(entry)));
    }

    async fn rest(self) {
        let rest = self.0.borrow().rest;
        wait(rest as i32).await;
        self.0.borrow_mut().is_saving = false;
        animation_frames::ask();
    }

    /// What there is to say since the last time.
    pub fn take_news(&self) -> Vec<News> {
        let inner = self.0.borrow();
        std::mem::take(&mut *inner.news.borrow_mut())
    }

    async fn work(&self, mut keeper: Keeper<Browser>) {
        keeper.store().tell_that_it_is_open().await;
        while let Some(job) = self.next() {
            if let Job::Look(Some(former), _) = &job {
                keeper.store().wait_for_end_of(former).await;
            }
            let is_save = matches!(job, Job::Save(_));
            let news = keeper.work(job).await;
            if is_save {
                spawn_local(self.clone().rest());
            }
            if news.contains(&News::Saved) {
                // A tab that may keep nothing is offered the newest run instead of its own.
                web_storage::write(web_storage::session(), VISIT, Some(keeper.visit()));
            }
            self.0.borrow().news.borrow_mut().extend(news);
            animation_frames::ask();
        }
        self.0.borrow_mut().keeper = Some(keeper);
    }

    fn next(&self) -> Option<Job> {
        self.0.borrow_mut().jobs.take()
    }
}

/// The browser, as `page::model::saved_session` asks it.
struct Browser {
    /// The lock that this page holds as long as it is open.
    lock: String,
    /// What the locks of all pages in its folder begin with.
    prefix: String,
    /// Whether the lock has been asked for: a second request would wait for the first one's end.
    has_asked: Cell<bool>,
    /// What lets go of each lock of another visit that this page holds.
    held: Rc<RefCell<BTreeMap<String, Function>>>,
    news: Told,
}

impl Browser {
    /// Lets other pages see that this one is open; nothing where the browser has no locks, as over plain http.
    async fn tell_that_it_is_open(&self) {
        if self.has_asked.replace(true) {
            return;
        }
        let Some(locks) = locks() else { return };
        let mut request = None;
        let granted = Promise::new(&mut |granted, _| {
            // The lock is let go when this promise is kept, which is never: the browser does it when the page ends.
            let hold = Closure::once_into_js(move |_: JsValue| {
                let _ = granted.call0(&JsValue::NULL);
                Promise::new(&mut |_, _| {})
            });
            request = locks.request(&self.lock, &hold).ok();
        });
        if let Some(request) = request {
            // Granted or refused: `open_elsewhere` sees which.
            let _ = JsFuture::from(Promise::race(&Array::of2(&granted, &request))).await;
        }
    }

    /// Waits until the page that this tab showed before has let go of its lock, which a browser may take for a moment after
    /// the next page has begun. A page that stays is open in another tab.
    async fn wait_for_end_of(&self, visit: &str) {
        for _ in 0..LETTING_GO / TURN {
            let Some(open) = self.open_elsewhere().await else { return };
            if !open.iter().any(|its| its == visit) {
                return;
            }
            wait(TURN).await;
        }
    }

    async fn open(&self) -> Result<Connection, StoreError> {
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
        let (still, news) = (is_waiting.clone(), self.news.clone());
        request.on_blocked(move |_| tell_if_still(
            still,
            news,
            PATIENCE,
            key("Another tab with this page holds on to what the browser keeps. Close it, so that runs can be kept again."),
        ));
        tell_if_still(
            is_waiting.clone(),
            self.news.clone(),
            SILENCE,
            key("The browser’s store does not answer: runs are not kept until it does. Everything else works."),
        );
        let opened = request.await;
        is_waiting.set(false);
        let mut database = opened.map_err(absent)?;
        // A newer page wants to change the store's form, and waits for this one; or all of it is to be deleted.
        let news = self.news.clone();
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
        Ok(Connection(database))
    }
}

/// What the browser gave, if it is what it should be. A browser that has been interfered with may give nothing, and a call
/// on that would end the page's module.
fn real<T: Into<JsValue> + TryFrom<JsValue, Error = idb::Error>>(given: T) -> Result<T, idb::Error> {
    T::try_from(given.into())
}

/// Waits so many milliseconds; not at all where the browser gives no time-out.
async fn wait(milliseconds: i32) {
    let over = Promise::new(&mut |resolve, _| {
        if dom::window().set_timeout_with_callback_and_timeout_and_arguments_0(&resolve, milliseconds).is_err() {
            let _ = resolve.call0(&JsValue::NULL);
        }
    });
    let _ = JsFuture::from(over).await;
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

impl Store for Browser {
    type Value = JsValue;
    type Transaction = Opened;

    fn encode<T: Serialize>(value: &T) -> Result<JsValue, StoreError> {
        wire::encode(value).map_err(|error| StoreError::Failed(error.message()))
    }

    fn decode<T: DeserializeOwned>(value: JsValue) -> Result<T, Message> {
        serde_wasm_bindgen::from_value(value).map_err(|error| Message::verbatim(error.to_string()))
    }

    async fn begin(&self, writes: bool) -> Result<Opened, StoreError> {
        let connection = self.open().await?;
        let mode = if writes { TransactionMode::ReadWrite } else { TransactionMode::ReadOnly };
        let transaction = connection.0.transaction(&[FIRST, PARTS], mode).and_then(real).map_err(failed)?;
        let store = |name| transaction.object_store(name).and_then(real).map_err(failed);
        Ok(Opened { first: store(FIRST)?, parts: store(PARTS)?, transaction, _connection: connection })
    }

    async fn hold(&self, visit: &str) -> bool {
        let Some(locks) = locks() else { return true };
        if self.held.borrow().contains_key(visit) {
            return true;
        }
        let options = Object::new();
        // A plain object takes whatever it is given.
        let _ = Reflect::set(&options, &"ifAvailable".into(), &true.into());
        let mut request = None;
        let answered = Promise::new(&mut |answered, _| {
            let (held, its) = (self.held.clone(), visit.to_owned());
            let work = Closure::once_into_js(move |lock: JsValue| {
                let _ = answered.call1(&JsValue::NULL, &lock.is_truthy().into());
                let hold = Promise::new(&mut |let_go, _| {
                    if lock.is_truthy() {
                        held.borrow_mut().insert(its.clone(), let_go);
                    } else {
                        let _ = let_go.call0(&JsValue::NULL);
                    }
                });
                JsValue::from(hold)
            });
            request = locks.request_with(&format!("{}{visit}", self.prefix), &options, &work).ok();
        });
        match request {
            Some(request) => {
                let granted = JsFuture::from(Promise::race(&Array::of2(&answered, &request))).await;
                // A browser that refuses locks tells nothing of others, as one that has none.
                let is_held = granted.is_err() || granted.is_ok_and(|granted| granted.is_truthy());
                // Before it was made anew, this page may have held it itself.
                let is_own = async || {
                    self.open_elsewhere().await.is_some_and(|open| open.iter().all(|elsewhere| elsewhere != visit))
                };
                is_held || is_own().await
            }
            None => true,
        }
    }

    fn let_go(&self, visit: &str) {
        if let Some(let_go) = self.held.borrow_mut().remove(visit) {
            // A promise cannot refuse to be kept.
            let _ = let_go.call0(&JsValue::NULL);
        }
    }

    async fn open_elsewhere(&self) -> Option<Vec<String>> {
        let snapshot = JsFuture::from(locks()?.query().ok()?.dyn_into::<Promise>().ok()?).await.ok()?;
        let held: Array = Reflect::get(&snapshot, &"held".into()).ok()?.dyn_into().ok()?;
        let held: Vec<(String, String)> =
            held.iter().filter_map(|lock| Some((text(&lock, "name")?, text(&lock, "clientId")?))).collect();
        // A browser that has not let this page have its lock tells nothing of others.
        let (_, own) = held.iter().find(|(name, _)| *name == self.lock)?;
        // What this document held before its page was made anew is open no more.
        let others = held.iter().filter(|(_, client)| client != own);
        Some(others.filter_map(|(name, _)| name.strip_prefix(&self.prefix).map(str::to_owned)).collect())
    }
}

/// A connection, closed when it is no longer needed: an open one would keep a newer page from changing the store's form.
struct Connection(Database);

impl Drop for Connection {
    fn drop(&mut self) {
        self.0.close();
    }
}

/// A transaction that is under way.
struct Opened {
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
    let (name, reason) = told(error);
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
    let (name, reason) = told(error);
    match name.as_str() {
        "QuotaExceededError" => StoreError::Full,
        _ if is_unreal => StoreError::Absent(reason),
        _ => StoreError::Failed(reason),
    }
}

/// The name and the words of an error.
#[expect(clippy::wildcard_enum_match_arm, reason = "the crate has more kinds than are told apart")]
fn told(error: idb::Error) -> (String, Message) {
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

fn text(value: &JsValue, name: &str) -> Option<String> {
    Reflect::get(value, &name.into()).ok()?.as_string()
}

fn locks() -> Option<LockManager> {
    let locks = Reflect::get(&dom::window().navigator(), &"locks".into()).ok()?;
    locks.is_object().then(|| locks.unchecked_into())
}

fn lock_name(folder: &str, visit: &str) -> String {
    format!("klimb {folder} {visit}")
}

/// A name that no other visit has.
fn random_id() -> String {
    let mut bytes = [0; 16];
    let crypto = dom::window().crypto();
    if crypto.and_then(|crypto| crypto.get_random_values_with_u8_array(&mut bytes)).is_err() {
        bytes[..8].copy_from_slice(&js_sys::Date::now().to_bits().to_be_bytes());
        bytes[8..].copy_from_slice(&js_sys::Math::random().to_bits().to_be_bytes());
    }
    bytes.iter().fold(String::new(), |mut text, byte| {
        // A string takes whatever is written to it.
        let _ = write!(text, "{byte:02x}");
        text
    })
}
