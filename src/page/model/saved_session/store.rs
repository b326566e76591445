//! What a browser's store can do, as a trait: so that all that is decided about keeping is written once, above it, and tested
//! natively on a store in memory that fails on purpose. `page::view::session_store` is the browser's.

use serde::Serialize;
use serde::de::DeserializeOwned;
use thiserror::Error;

use klimb_text::Message;

/// Why a store did not do what it was asked.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum StoreError {
    /// There is none, or it may not be used: asking again is of no use.
    Absent(Message),
    /// A newer version of the page has given it a form that this one does not know: it must not be touched.
    Newer,
    /// There is no room for what was to be written, and nothing of it was.
    Full,
    /// This time it failed, and what was to be written was not, wholly.
    Failed(Message),
}

impl StoreError {
    /// What is to be said of it.
    pub fn message(&self) -> Message {
        match self {
            Self::Absent(it) => message!("This browser keeps no runs between visits ({}). Everything else works.", it),
            Self::Newer => message!(
                "A newer version of this page has changed what this browser keeps: this one leaves that alone and keeps nothing. Reload the page to get the newer one."
            ),
            Self::Full => message!("the browser’s store is full"),
            Self::Failed(it) => it.clone(),
        }
    }
}

display_message!(StoreError);

/// What is kept of one visit is a set of parts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// Of which form the set is, and how new.
    Head,
    /// What the page and the engine knew.
    Entry,
    /// The policy behind an earlier point.
    Policy,
    /// A stretch of rows.
    Rows,
    /// That the person does not want the set any more, though its page may still be open.
    Discarded,
}

impl Kind {
    /// Every kind.
    pub const ALL: [Self; 5] = [Self::Head, Self::Entry, Self::Policy, Self::Rows, Self::Discarded];

    /// Its name in the store.
    pub fn name(self) -> &'static str {
        match self {
            Self::Head => "head",
            Self::Entry => "entry",
            Self::Policy => "policy",
            Self::Rows => "rows",
            Self::Discarded => "discarded",
        }
    }
}

/// Where a value lies.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Key {
    /// In the first form of the store, which had one run a folder and no identity.
    First(String),
    /// In the form of today.
    Part {
        /// The folder of the page: a host may have several pages of Klimb.
        folder: String,
        /// The visit that wrote it.
        visit: String,
        /// What it is.
        kind: Kind,
        /// Which of that kind.
        number: u32,
    },
}

/// Which keys are asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Under<'a> {
    /// All of a folder.
    Folder(&'a str),
    /// All of a visit.
    Visit(&'a str, &'a str),
    /// All of a folder in the first form.
    First(&'a str),
}

/// Something that is to be written.
#[derive(Debug, Clone, PartialEq)]
pub enum Change<V> {
    /// This value, in the place of any other.
    Put(Key, V),
    /// Nothing any more.
    Delete(Key),
}

/// A store of values, shared by every page of its host.
#[expect(async_fn_in_trait, reason = "a page has one thread")]
pub trait Store {
    /// A value as the store has it.
    type Value: Clone;
    /// What [`Store::begin`] gives.
    type Transaction: Transaction<Value = Self::Value>;

    /// A value for the store.
    ///
    /// # Errors
    /// If the store has no form for it.
    fn encode<T: Serialize>(value: &T) -> Result<Self::Value, StoreError>;

    /// What a value of the store is.
    ///
    /// # Errors
    /// Why it is something else, in words.
    fn decode<T: DeserializeOwned>(value: Self::Value) -> Result<T, Message>;

    /// What a part's value is, where there is one that can be read.
    fn readable<T: DeserializeOwned>(value: Option<Self::Value>) -> Option<T> {
        value.and_then(|value| Self::decode(value).ok())
    }

    /// Begins a transaction: while one that `writes` is under way, no other is.
    async fn begin(&self, writes: bool) -> Result<Self::Transaction, StoreError>;

    /// Holds another visit's set, so that every other page takes that visit for open, until [`Store::let_go`] or the end of this
    /// page. Answers with `false` if its page is open or another page holds it, and with `true` where pages cannot tell.
    async fn hold(&self, visit: &str) -> bool;

    /// Holds that set no longer, if it did.
    fn let_go(&self, visit: &str);

    /// The visits whose pages are open now, or whose sets are held, other than by this page; `None` where the browser does not
    /// tell.
    async fn open_elsewhere(&self) -> Option<Vec<String>>;
}

/// Everything that is read in one belongs to one moment, and all its changes are made, or none. Without
/// [`Transaction::commit`], none is.
#[expect(async_fn_in_trait, reason = "a page has one thread")]
pub trait Transaction {
    /// A value as the store has it.
    type Value;

    /// The keys there are, in their order.
    async fn keys(&mut self, under: Under<'_>) -> Result<Vec<Key>, StoreError>;

    /// The value that lies there.
    async fn get(&mut self, key: &Key) -> Result<Option<Self::Value>, StoreError>;

    /// Makes all changes, or, with an error, none.
    async fn commit(self, changes: Vec<Change<Self::Value>>) -> Result<(), StoreError>;
}
