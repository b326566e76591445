//! What reads something that came from elsewhere, each reader as one function of bytes: the fuzzers of `fuzz/`, the suite
//! on the stable toolchain and the tests in the browser drive the same ones.
//!
//! A target answers with what an input means, or with nothing where it is refused. It panics where a reader does, and where
//! what was accepted and written again is read as something else.

#![allow(dead_code)]

pub mod mutator;
mod store;

use std::cell::Cell;
use std::fmt::Debug;
use std::sync::OnceLock;

use klimb::charts::recorded::{Recorded, Recording};
use klimb::engine::protocol::{Event, Kept, Request};
use klimb::engine::session::Snapshot;
use klimb::engine::settings::Settings;
use klimb::experiments::verify::{ObjectiveReference, Reference, SentimentReference};
use klimb::experiments::{ComparisonResult, RecordedOptimum};
use klimb::metrics::*;
use klimb::model::Checkpoint;
use klimb::page::model::annotator::Annotator;
use klimb::page::model::imported_runs::ImportedRuns;
use klimb::page::model::presentation::Presentation;
use klimb::page::model::receipt::Receipt;
use klimb::page::model::saved_session::{Entry, Keeper, Loaded, News, SavedSession};
use klimb::page::model::temporary_settings::TemporarySettings;
use klimb::world::gold::Lexicon;
use klimb::world::preferences::{from_jsonl, to_jsonl};
use klimb::world::{World, WorldSettings};
use klimb::{json, words};
use serde::Serialize;
use serde::de::DeserializeOwned;

/// A reader, and inputs to begin with.
pub struct Target {
    /// What it is called on the command line and in file names.
    pub name: &'static str,
    /// What an input means, where it is accepted.
    pub read: fn(&[u8]) -> Option<String>,
    /// Inputs of its format.
    pub seeds: &'static [&'static [u8]],
    /// Whether the page reads such texts, so that a browser has to take them as the native program does.
    pub in_browser: bool,
}

macro_rules! seeds {
    ($target:literal: $($seed:literal),+) => {
        &[$(include_bytes!(concat!("../../fuzz/seeds/", $target, "/", $seed))),+]
    };
}

/// Every target.
pub const TARGETS: [Target; 16] = [
    Target { name: "address", read: address, seeds: seeds!("address": "settings", "lecture"), in_browser: true },
    Target { name: "pairs", read: pairs, seeds: seeds!("pairs": "two", "truncated"), in_browser: true },
    Target { name: "checkpoint", read: checkpoint, seeds: seeds!("checkpoint": "language", "head"), in_browser: true },
    Target { name: "numbers", read: numbers, seeds: seeds!("numbers": "runs"), in_browser: true },
    Target { name: "receipt", read: receipt, seeds: seeds!("receipt": "two"), in_browser: true },
    Target { name: "kept", read: kept, seeds: seeds!("kept": "run", "rows"), in_browser: true },
    Target { name: "first", read: first, seeds: seeds!("first": "run", "oldest"), in_browser: false },
    Target { name: "session", read: session, seeds: seeds!("session": "kept"), in_browser: false },
    Target { name: "tab", read: tab, seeds: seeds!("tab": "labels", "lent"), in_browser: true },
    Target {
        name: "csv",
        read: csv,
        seeds: seeds!("csv": "frontier", "optimum", "learned", "winrate", "scaling", "hacking", "comparison"),
        in_browser: true,
    },
    Target { name: "run", read: run, seeds: seeds!("run": "sweep"), in_browser: true },
    Target { name: "optimum", read: optimum, seeds: seeds!("optimum": "recorded"), in_browser: true },
    Target { name: "message", read: message, seeds: seeds!("message": "orders", "events"), in_browser: false },
    Target { name: "parts", read: parts, seeds: seeds!("parts": "comparison", "ablation"), in_browser: false },
    Target {
        name: "golden",
        read: golden,
        seeds: seeds!("golden": "transformer", "objectives", "sentiment"),
        in_browser: false,
    },
    Target { name: "sentences", read: sentences, seeds: seeds!("sentences": "review", "failure"), in_browser: true },
];

/// The target of this name.
pub fn named(name: &str) -> &'static Target {
    TARGETS.iter().find(|target| target.name == name).expect("a target's name")
}

/// What the target makes of one input.
pub fn run_one(name: &str, bytes: &[u8]) {
    let _ = (named(name).read)(bytes);
}

fn world() -> &'static World {
    static WORLD: OnceLock<World> = OnceLock::new();
    WORLD.get_or_init(|| World::new(WorldSettings::default()).expect("the default world"))
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// What was read, after it was found to be the same once it is written and read again.
fn same_again<T: PartialEq + Debug>(read: T, again: Option<T>) -> Option<String> {
    assert_eq!(again.as_ref(), Some(&read), "what is written is not read as the same");
    Some(format!("{read:?}"))
}

fn by_json<T: Serialize + DeserializeOwned + PartialEq + Debug>(text: &str) -> Option<String> {
    let read: T = json::from_text(text).ok()?;
    let again = json::from_text(&json::to_text(&read));
    same_again(read, again.ok())
}

/// What the page does with the query of its address.
fn address(bytes: &[u8]) -> Option<String> {
    let query = text(bytes);
    let (lecture, problems, rest) = Presentation::from_query(&query);
    let (settings, errors) = Settings::from_parts(&rest);
    let told: usize = errors
        .iter()
        .map(|error| error.to_string().len())
        .chain(problems.iter().map(|problem| problem.to_string().len()))
        .max()
        .unwrap_or(0);
    assert!(told < 500, "a complaint of {told} bytes");
    let (again, problems_again, _) = Presentation::from_query(&lecture.to_query());
    assert_eq!((&again, problems_again.len()), (&lecture, 0));
    let (again, errors_again) = Settings::from_query(&settings.to_query());
    assert_eq!((again, errors_again.len()), (settings, 0));
    assert_eq!(settings.validated(), Ok(settings), "an address makes settings that can be used");
    Some(format!("{lecture:?} {settings:?} {} {}", errors.len(), problems.len()))
}

/// A person's pairs.
fn pairs(bytes: &[u8]) -> Option<String> {
    let read = from_jsonl(world(), &text(bytes)).ok()?;
    let again = from_jsonl(world(), &to_jsonl(world(), &read)).ok();
    same_again(read, again)
}

/// A model's file.
fn checkpoint(bytes: &[u8]) -> Option<String> {
    let read = Checkpoint::from_bytes(bytes, None).ok()?;
    let again = Checkpoint::from_bytes(&read.to_bytes(), None).ok();
    assert_eq!(again.as_ref(), Some(&read));
    Some(read.fingerprint())
}

/// Numbers that were exported before.
fn numbers(bytes: &[u8]) -> Option<String> {
    let read = ImportedRuns::parse("file.json", bytes).ok()?;
    assert!(read.points().all(FrontierPoint::is_plausible));
    Some(format!("{} {:?}", read.settings, read.points().collect::<Vec<_>>()))
}

/// Lines that a class pasted.
fn receipt(bytes: &[u8]) -> Option<String> {
    let read = Receipt::parse(&text(bytes)).ok()?;
    let lines: Vec<String> = read.iter().map(Receipt::to_line).collect();
    read.iter().enumerate().for_each(|(whose, receipt)| drop(receipt.trails(whose)));
    same_again(read, Receipt::parse(&lines.join("\n")).ok())
}

/// What a browser kept of a page. It lies there as an object; its views' part is a text.
fn kept(bytes: &[u8]) -> Option<String> {
    let entry: Entry = json::from_text(&text(bytes)).ok()?;
    let again: Option<Entry> = json::from_text(&json::to_text(&entry)).ok();
    assert_eq!(again.as_ref(), Some(&entry));
    // Policies and rows lie beside it: here all of them are missing.
    let loaded = Loaded { entry, policies: Vec::new(), rows: Vec::new() };
    let earlier = loaded.read("visit".into(), false).ok()?;
    Some(format!("{earlier:?} {}", earlier.words()))
}

/// What the store's first form had in a folder: it is put into today's, and found there at the next visit.
fn first(bytes: &[u8]) -> Option<String> {
    let found = |news: Vec<News>| -> Option<SavedSession> {
        news.into_iter().find_map(|news| if let News::Found(earlier) = news { Some(*earlier) } else { None })
    };
    let store = store::Texts::parse(&text(bytes));
    let visit = |name: &str| Keeper::new(store.clone(), store::FOLDER.into(), name.into());
    let earlier = found(store::alone(visit("one").look(None, 0.0)))?;
    assert!(!store.has_first_form(), "what was taken over lies in the first form too");
    let again = found(store::alone(visit("two").look(None, 0.0)));
    assert_eq!(again.as_ref(), Some(&earlier), "what was taken over is not read as the same");
    Some(format!("{earlier:?} {}", earlier.words()))
}

/// The engine's part of it.
fn session(bytes: &[u8]) -> Option<String> {
    let kept: Kept = json::from_text(&text(bytes)).ok()?;
    let snapshot = Snapshot::from_kept(kept).ok()?;
    // Policies behind earlier points are kept beside it.
    let kept = snapshot.kept();
    let again = Snapshot::from_kept(kept.clone()).expect("what was told is read").kept();
    assert!(again == kept, "what is told is not read as the same");
    Some(format!("{} {:?} {}", snapshot.step(), snapshot.stage(), kept.policies.len()))
}

/// What a tab keeps: an annotator's labels, and settings that are lent.
fn tab(bytes: &[u8]) -> Option<String> {
    let text = text(bytes);
    let lent: Option<TemporarySettings> = json::from_text(&text).ok();
    let settings = lent.as_ref().map(|lent| lent.reloaded(Settings::default()).0);
    assert!(settings.is_none_or(|settings| settings.validated().is_ok()), "what was lent leaves settings of no use");
    let mut annotator = Annotator::restored(Some(&text));
    let whole = annotator.to_text().map(|text| Annotator::restored(Some(&text)));
    assert!(whole.is_none_or(|whole| whole == annotator), "what is kept is not read as the same");
    let labels = annotator.jsonl_with_flips(7);
    let seen = format!("{settings:?} {} {} {labels} {:?}", annotator.count(), annotator.goal(), annotator.current());
    annotator.refer_to("another".into());
    annotator.begin();
    let ordered = format!("{:?}", annotator.wanted());
    annotator.go_on();
    annotator.skip();
    annotator.undo();
    annotator.give_up();
    (lent.is_some() || annotator.can_undo()).then(|| seen + &ordered)
}

/// Tables of any kind.
fn csv(bytes: &[u8]) -> Option<String> {
    fn table<T: PartialEq + Debug>(
        text: &str,
        read: fn(&str) -> Result<Vec<T>, CsvError>,
        write: fn(&[T]) -> String,
    ) -> Option<String> {
        let rows = read(text).ok()?;
        let again = read(&write(&rows)).ok();
        same_again(rows, again)
    }
    let text = text(bytes);
    table(&text, parse_frontier_csv, frontier_csv)
        .or_else(|| table(&text, parse_optimum_csv, optimum_csv))
        .or_else(|| table(&text, parse_learned_optimum_csv, learned_optimum_csv))
        .or_else(|| table(&text, parse_win_rate_csv, win_rate_csv))
        .or_else(|| table(&text, parse_scaling_csv, scaling_csv))
        .or_else(|| table(&text, parse_hacking_csv, hacking_csv))
        .or_else(|| table(&text, parse_comparison_csv, comparison_csv))
}

/// What a recording says of itself.
fn run(bytes: &[u8]) -> Option<String> {
    let mut recorded = Recorded::default();
    recorded.take(Recording::NoiseFree, Ok([frontier_csv(&[]), text(bytes)]));
    recorded.noise_free.map(|table| table.provenance.words())
}

/// The closed-form optimum of a reference.
fn optimum(bytes: &[u8]) -> Option<String> {
    let read = RecordedOptimum::from_bytes(bytes).ok()?;
    let curve = read.curve(0.3).len();
    let again = RecordedOptimum::from_bytes(read.to_json().as_bytes()).ok();
    same_again(read, again).map(|meaning| format!("{meaning} {curve}"))
}

/// Messages between the page and its worker, as JSON.
fn message(bytes: &[u8]) -> Option<String> {
    let text = text(bytes);
    by_json::<Vec<Request>>(&text).or_else(|| by_json::<Vec<Event>>(&text))
}

/// What studies leave of a training, to be gone on with.
fn parts(bytes: &[u8]) -> Option<String> {
    let text = text(bytes);
    by_json::<ComparisonResult>(&text).or_else(|| by_json::<Vec<AblationPoint>>(&text))
}

/// Numbers of other programs, to be compared with.
fn golden(bytes: &[u8]) -> Option<String> {
    let parameters = include_bytes!("../data/transformer_small.params.f32");
    let batches = include_bytes!("../data/transformer_small.batches.i32");
    let transformer = Reference::from_bytes(bytes, parameters, batches);
    let checked = |checks: Vec<klimb::experiments::verify::Check>| format!("{}", checks.len());
    let objectives = || ObjectiveReference::from_json(bytes).ok().map(|reference| checked(reference.check()));
    let sentiment = || SentimentReference::from_json(bytes).ok().map(|reference| checked(reference.check()));
    transformer.ok().map(|_| "transformer".into()).or_else(objectives).or_else(sentiment)
}

/// Any text: as a review that is scored, as words of the world, and as something that was said in English.
fn sentences(bytes: &[u8]) -> Option<String> {
    thread_local!(static SPEAKS: Cell<bool> = const { Cell::new(false) });
    if !SPEAKS.replace(true) {
        let catalogue: std::collections::BTreeMap<String, String> =
            json::from_text(include_str!("../../www/languages/de.json")).expect("the catalogue");
        words::speak(catalogue.into_iter().collect());
    }
    let text = text(bytes);
    let working = Lexicon::klimb().score_text(&text);
    assert!((-1.0..=1.0).contains(&working.compound) && (0.0..=1.0).contains(&working.gold_reward), "{working:?}");
    assert_eq!(working.words.len(), text.split_whitespace().count());
    let encoded = world().vocabulary().encode(&text);
    let again = world().vocabulary().encode(&world().vocabulary().text(&encoded.tokens));
    assert_eq!((again.tokens.len(), again.unknown.len()), (encoded.tokens.len(), 0));
    let said = [words::value(&text), words::typed(&text), words::filled(&text, &[&1, &"x"])];
    Some(format!("{working:?} {encoded:?} {said:?}"))
}
