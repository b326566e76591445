//! The browser's own store: its database, and Web Locks, by which pages tell that they are open.
//! What is kept, and where, is decided in `page::model::saved_session`.

mod database;

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::fmt::Write;
use std::rc::Rc;

use js_sys::{Array, Function, Object, Promise, Reflect};
use serde::Serialize;
use serde::de::DeserializeOwned;
use wasm_bindgen::prelude::*;
use wasm_bindgen_futures::{JsFuture, spawn_local};

use super::{animation_frames, dom, web_storage};
use crate::engine::worker::wire;
use crate::page::model::saved_session::store::{Store, StoreError};
use crate::page::model::saved_session::{Entry, Job, Jobs, Keeper, News};
use database::{Connection, Opened};
use klimb_text::Message;

/// Where a tab keeps which visit wrote last in it, so that a reload is offered what it had itself.
const VISIT: &str = "klimb-visit";

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
        let own_earlier = web_storage::read(web_storage::session(), VISIT);
        self.push(Job::Look(own_earlier, js_sys::Date::now()));
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
            if let Job::Look(Some(own_earlier), _) = &job {
                keeper.store().wait_for_end_of(own_earlier).await;
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
        Connection::open(&self.news).await?.begin(writes)
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
