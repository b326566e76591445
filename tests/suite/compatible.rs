//! What an earlier build wrote, in `tests/data/compatible/`: each file is read by today's readers and still means what it
//! meant. The README beside the files says how they were made and what a change owes them.
//!
//! More than 400 lines, because it is a list of tests, one for each kind of file.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;
use std::rc::Rc;

use crate::common::session::badge;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use klimb::backend::cpu::Cpu;
use klimb::engine::protocol::{Event, Kept, Stage};
use klimb::engine::session::{Session, Snapshot};
use klimb::engine::settings::{KNOBS, Knob, Settings};
use klimb::experiments::RecordedOptimum;
use klimb::metrics::{
    FrontierPoint, Method, Setting, parse_comparison_csv, parse_frontier_csv, parse_hacking_csv,
    parse_learned_optimum_csv, parse_optimum_csv, parse_scaling_csv, parse_win_rate_csv,
};
use klimb::model::{Checkpoint, Expectation};
use klimb::page::model::annotator::Annotator;
use klimb::page::model::clinic::{Case, Clinic};
use klimb::page::model::imported_runs::ImportedRuns;
use klimb::page::model::presentation::Presentation;
use klimb::page::model::receipt::Receipt;
use klimb::page::model::runs::RunId;
use klimb::page::model::saved_session::store::{Change, Key, Kind, Store, StoreError, Transaction, Under};
use klimb::page::model::saved_session::{Keeper, News, SavedSession};
use klimb::page::model::temporary_settings::TemporarySettings;
use klimb::page::model::tour::Tour;
use klimb::world::preferences::from_jsonl;
use klimb::world::{World, WorldSettings};
use pollster::block_on;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

fn bytes(name: &str) -> Vec<u8> {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/data/compatible").join(name);
    fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

fn text(name: &str) -> String {
    String::from_utf8(bytes(name)).expect("it is text")
}

fn json(name: &str) -> Value {
    serde_json::from_slice(&bytes(name)).expect("it is JSON")
}

fn world() -> World {
    World::new(WorldSettings::default()).expect("the default can be used")
}

fn beta(point: &FrontierPoint) -> f64 {
    match point.setting {
        Setting::Number(beta) => beta,
        Setting::Label(ref label) => panic!("{label} is no β"),
    }
}

#[test]
fn addresses_mean_what_they_meant() {
    let lines = text("addresses.txt");
    let lines = lines.lines().filter(|line| !line.starts_with('#'));
    let mut met = Vec::new();
    for line in lines {
        let (address, meaning) = line.split_once('\t').expect("an address, a tab and its meaning");
        let (lecture, problems, rest) = Presentation::from_query(address);
        let (settings, errors) = Settings::from_parts(&rest);
        assert!(problems.is_empty() && errors.is_empty(), "{address}: {problems:?} {errors:?}");
        let mut expected = Settings::default();
        let mut shown = Vec::new();
        for (name, value) in meaning.split(", ").filter_map(|part| part.split_once(' ')) {
            match name {
                "hide" | "type" => shown.push(format!("{name}={value}")),
                knob => {
                    let knob = Knob::named(knob).unwrap_or_else(|| panic!("{knob} is a knob no more"));
                    let number = knob.values.names.iter().position(|its| *its == value).map(|index| index as f64);
                    let number = number.unwrap_or_else(|| value.parse().expect("a number"));
                    knob.set(&mut expected, number).expect("it is in range");
                    met.push(knob.name);
                }
            }
        }
        assert_eq!(settings, expected, "{address}");
        assert_eq!(lecture.to_query(), shown.join("&"), "{address}");
    }
    for knob in &KNOBS {
        assert!(met.contains(&knob.name), "no address has {}", knob.name);
    }
}

/// The settings of the visit that the page's files are from.
fn of_the_visit() -> Settings {
    Settings {
        seed: 3,
        beta: 0.2,
        batch_size: 8,
        pairs: 960,
        label_smoothing: 0.05,
        evaluate_every: 130,
        evaluation_samples: 64,
        rollout_size: 16,
        ppo_epochs: 1,
        evaluate_rollouts: 1,
        ..Settings::default()
    }
}

fn measured(it: &FrontierPoint) -> (&str, u64, f64, f64) {
    (it.method.info().file_name, it.step, it.kl_per_sequence, it.gold_reward)
}

/// What is true of its three runs, wherever they are written down.
#[track_caller]
fn are_those_of_the_visit<'a>(points: impl Iterator<Item = &'a FrontierPoint>) {
    let mut seen: Vec<(&str, u64, f64, f64)> = points.map(measured).collect();
    seen.sort_by(|a, b| a.partial_cmp(b).expect("they are numbers"));
    assert_eq!(
        seen,
        [
            ("dpo", 1, 0.00002093331465018167, 0.5257507812500002),
            ("dpo", 130, 8.227080869077497, 0.5987828125),
            ("ppo-gt", 4, 0.0159261540602369, 0.56226328125),
        ]
    );
}

#[test]
fn a_receipt_is_read() {
    let receipts = Receipt::parse(&text("receipt.txt")).expect("it is a receipt");
    let [receipt] = receipts.as_slice() else { panic!("{} receipts", receipts.len()) };
    assert_eq!((receipt.program.as_str(), receipt.backend.as_str()), ("klimb 0.1.0 (48167e3)", "cpu"));
    assert_eq!(Settings::from_query(&receipt.settings), (of_the_visit(), vec![]));
    are_those_of_the_visit(receipt.points.iter());
    assert!(receipt.points.iter().all(|point| beta(point) == 0.2 && point.seed == 3 && point.samples == 64));
    let labels: Vec<String> = receipt.trails(0).into_iter().map(|trail| trail.label).collect();
    assert_eq!(labels, ["DPO, β 0.20, receipt 1", "PPO-GT, β 0.20, receipt 1", "DPO, β 0.20, receipt 1"]);
}

#[test]
fn a_receipt_of_version_2_tells_of_each_run() {
    let receipts = Receipt::parse(&text("receipt-2.txt")).expect("it is a receipt");
    let steps: Vec<(&str, u64)> = receipts[0].points.iter().map(|it| (it.method.info().file_name, it.step)).collect();
    assert_eq!(steps, [("dpo", 1), ("ppo-gt", 4), ("dpo", 260)]);
    let notes: Vec<_> = receipts[0].runs.iter().flatten().collect();
    assert!(
        notes.len() == 3 && notes.iter().all(|note| Settings::from_query(&note.settings) == (of_the_visit(), vec![]))
    );
    let labels: Vec<String> = receipts[0].trails(0).into_iter().map(|trail| trail.label).collect();
    assert_eq!(labels, ["DPO, β 0.20, receipt 1", "PPO-GT, β 0.20, receipt 1", "Ada’s run, α & “β”, receipt 1"]);
}

#[test]
fn exported_numbers_are_read_and_both_forms_agree() {
    let former = ImportedRuns::parse("run.json", &bytes("run.json")).expect("it has runs");
    assert_eq!(Settings::from_query(&former.settings), (of_the_visit(), vec![]));
    are_those_of_the_visit(former.points());
    assert_eq!(former.trails.len(), 3);
    // The table is for other programs: it is read here as they would.
    let table = text("run.csv");
    assert!(table.starts_with("record,of,run,step,name,value\n"));
    let rows: Vec<Vec<&str>> = table.lines().map(|line| line.split(',').collect()).collect();
    let has = |wanted: &str| rows.iter().any(|row| row.join(",") == wanted);
    for wanted in ["setting,,,,beta,0.2", "point,dpo,2,130,kl_per_sequence,8.227080869077497", "metric,dpo,,130,"] {
        assert!(has(wanted) || table.contains(&format!("\n{wanted}")), "{wanted}");
    }
    let exported = json("run.json");
    let count = |record: &str, name: &str| rows.iter().filter(|row| row[0] == record && row[4] == name).count();
    let points = exported["points"].as_array().expect("a list");
    assert_eq!(count("point", "gold_reward"), points.len());
    let steps = exported["metrics"]["dpo"].as_array().expect("a list");
    assert_eq!((count("metric", "dpo/loss"), steps.len()), (186, 186));
}

#[test]
fn exported_numbers_with_the_settings_of_each_run_are_read() {
    let former = ImportedRuns::parse("run-2.json", &bytes("run-2.json")).expect("it has runs");
    let points: Vec<(&str, u64, f64, f64)> = former.points().map(measured).collect();
    let step = ("dpo", 1, 0.00002781495427600645, 0.5231421875000001);
    assert_eq!(points, [step, step]);
    let labels: Vec<&str> = former.trails.iter().map(|trail| trail.label.as_str()).collect();
    assert_eq!(labels, ["DPO, β 0.30, from run-2.json", "once more, α & “β”, from run-2.json"]);
}

#[test]
fn checkpoints_are_read() {
    let world = world();
    let wanted = |head| Expectation { config: None, vocabulary_fingerprint: world.vocabulary().fingerprint(), head };
    for (file, stage, step, head) in [
        ("base.safetensors", "base", 2, false),
        ("dpo.safetensors", "dpo", 2, false),
        ("reward-model.safetensors", "reward_model", 5, true),
        ("sweep/checkpoints/reference.safetensors", "sft", 2, false),
    ] {
        let checkpoint = Checkpoint::from_bytes(&bytes(file), Some(&wanted(head))).expect(file);
        assert_eq!((checkpoint.stage.as_str(), checkpoint.step, checkpoint.head), (stage, step, head), "{file}");
        assert_eq!((checkpoint.config.width, checkpoint.config.layers, checkpoint.config.heads), (16, 1, 1), "{file}");
        assert!(checkpoint.parameters.iter().all(|it| it.is_finite()), "{file}");
        assert_eq!(checkpoint.to_bytes(), bytes(file), "{file} is written as it was");
    }
    let reference =
        Checkpoint::from_bytes(&bytes("sweep/checkpoints/reference.safetensors"), None).expect("read above");
    assert_eq!(json("sweep/run.json")["reference"]["fingerprint"], reference.fingerprint(), "the same parameters");
}

#[test]
fn pairs_are_read_and_written_again_as_they_were() {
    let world = world();
    for (file, count) in [("pairs.jsonl", 20), ("made-pairs.jsonl", 24)] {
        let pairs = from_jsonl(&world, &text(file)).expect(file);
        assert_eq!(pairs.len(), count, "{file}");
        assert_eq!(klimb::world::preferences::to_jsonl(&world, &pairs), text(file), "{file}");
    }
    let truncated = text("made-pairs.jsonl").matches("_truncated\":true").count();
    assert!(truncated > 0, "some completions there have no end");
}

#[test]
fn tables_of_experiments_are_read() {
    let frontier = parse_frontier_csv(&text("sweep/frontier.csv")).expect("a frontier");
    let seen: Vec<(&str, u64, f64)> =
        frontier.iter().map(|it| (it.method.info().file_name, it.step, it.gold_reward)).collect();
    assert_eq!(
        seen,
        [
            ("sft", 2, 0.15363281250000002),
            ("ppo", 16, 0.164425),
            ("preferred_ft", 2, 0.16125156249999995),
            ("preferred_ft", 4, 0.175446875)
        ]
    );
    assert_eq!(frontier[1].setting, Setting::Number(3.0), "PPO's target KL");
    let optimum = parse_optimum_csv(&text("curves/optimum.csv")).expect("an optimum");
    assert_eq!((optimum.len(), optimum[0].beta, optimum[0].gold_reward), (64, 0.01, 0.8127416747001726));
    let learned = parse_learned_optimum_csv(&text("curves/optimum_learned.csv")).expect("an optimum");
    assert_eq!((learned.len(), learned[0].seed, learned[0].score), (64, 1, 2.344308631070378));
    let cells = parse_comparison_csv(&text("comparison/comparison.csv")).expect("cells");
    assert_eq!((cells.len(), cells[2].method.info().file_name, cells[2].value), (64, "preferred_ft", 6768.0));
    let scaling = parse_scaling_csv(&text("scaling/scaling.csv")).expect("points");
    assert_eq!((scaling.len(), scaling[9].parameters, scaling[9].result.gold_reward), (10, 19680, 0.0273575));
    let hacking = parse_hacking_csv(&text("hacking/hacking.csv")).expect("points");
    assert_eq!((hacking.len(), hacking[2].step, hacking[2].score), (3, 6, 0.0802438221871853));
    let rates = parse_win_rate_csv(&text("winrate/winrate.csv")).expect("points");
    assert_eq!((rates.len(), rates[3].method.as_str(), rates[3].result.gold_reward), (4, "best-of-2-gold", 0.14144375));
}

/// The dump as the store had it: bytes in the place of their numbers, maps as objects.
fn undumped(value: &Value, all: &[Vec<u8>]) -> Value {
    match value {
        Value::Object(fields) => match (fields.get("bytes"), fields.get("map")) {
            (Some(number), _) => Value::from(all[number.as_u64().expect("a number") as usize].clone()),
            (None, Some(entries)) => {
                let entry = |entry: &Value| {
                    let name = entry[0].as_str().expect("names of maps are words").to_owned();
                    (name, undumped(&entry[1], all))
                };
                entries.as_array().expect("a list").iter().map(entry).collect::<Map<_, _>>().into()
            }
            (None, None) => {
                fields.iter().map(|(name, its)| (name.clone(), undumped(its, all))).collect::<Map<_, _>>().into()
            }
        },
        Value::Array(items) => items.iter().map(|item| undumped(item, all)).collect(),
        other => other.clone(),
    }
}

/// A store of what the dump has.
#[derive(Clone, Default)]
struct Dump(Rc<RefCell<BTreeMap<Key, Value>>>);

/// The bytes of a dump, some of which may stand in another one.
fn dumped_bytes(dump: &Value) -> Vec<Vec<u8>> {
    let decode = |it: &Value| match it.as_str() {
        Some(text) => STANDARD.decode(text).expect("base64"),
        None => {
            let other = json(it["file"].as_str().expect("a name"));
            dumped_bytes(&other).swap_remove(it["number"].as_u64().expect("a number") as usize)
        }
    };
    dump["bytes"].as_array().expect("a list").iter().map(decode).collect()
}

/// Where something lies: a text in version 1 of the store, and later a list.
fn key(key: &Value) -> Key {
    if let Some(key) = key.as_str() {
        return Key::First(key.into());
    }
    let text = |at: usize| key[at].as_str().expect("a text").to_owned();
    let kind = Kind::ALL.into_iter().find(|kind| kind.name() == text(2)).expect("a kind");
    let number = key[3].as_u64().expect("a number") as u32;
    Key::Part { folder: text(0), visit: text(1), kind, number }
}

impl Dump {
    fn read(name: &str) -> Self {
        let dump = json(name);
        let all = dumped_bytes(&dump);
        let value = |entry: &Value| (key(&entry["key"]), undumped(&entry["value"], &all));
        Self(Rc::new(RefCell::new(dump["entries"].as_array().expect("a list").iter().map(value).collect())))
    }
}

impl Store for Dump {
    type Value = Value;
    type Transaction = Self;

    fn encode<T: Serialize>(value: &T) -> Result<Value, StoreError> {
        Ok(serde_json::to_value(value).expect("it has a form"))
    }

    fn decode<T: DeserializeOwned>(value: Value) -> Result<T, klimb::Message> {
        serde_json::from_value(value).map_err(|error| klimb::Message::verbatim(error.to_string()))
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

impl Transaction for Dump {
    type Value = Value;

    async fn keys(&mut self, under: Under<'_>) -> Result<Vec<Key>, StoreError> {
        let is_first = matches!(under, Under::First("/"));
        let is_wanted = |key: &&Key| matches!(key, Key::First(_)) == is_first;
        Ok(self.0.borrow().keys().filter(is_wanted).cloned().collect())
    }

    async fn get(&mut self, key: &Key) -> Result<Option<Value>, StoreError> {
        Ok(self.0.borrow().get(key).cloned())
    }

    async fn commit(self, changes: Vec<Change<Value>>) -> Result<(), StoreError> {
        for change in changes {
            match change {
                Change::Put(key, value) => drop(self.0.borrow_mut().insert(key, value)),
                Change::Delete(key) => drop(self.0.borrow_mut().remove(&key)),
            }
        }
        Ok(())
    }
}

/// The run that a new visit is offered, whole, with nothing else to say.
#[track_caller]
fn offered(dump: &Dump) -> Box<SavedSession> {
    let mut news = block_on(Keeper::new(dump.clone(), "/".into(), "new".into()).look(None, 0.0));
    let Some(News::Found(earlier)) = news.pop() else { panic!("it is found, and nothing else is said: {news:?}") };
    assert_eq!((news, &earlier.missing), (vec![], &vec![]));
    earlier
}

#[test]
fn a_kept_run_is_read_and_goes_on() {
    let dump = Dump::read("store.json");
    let earlier = offered(&dump);
    assert!(!dump.0.borrow().keys().any(|key| matches!(key, Key::First(_))), "it stands in today's form alone");
    assert_eq!(earlier.words(), "PPO-GT, 4 steps");
    let seen = &earlier.seen;
    assert_eq!((seen.settings, seen.focused), (of_the_visit(), Stage::PpoGt));
    are_those_of_the_visit(seen.points.iter().map(|it| &it.point).filter(|it| it.method != Method::Sft));
    let rows = &seen.metrics[&Stage::Dpo];
    assert_eq!(rows.iter().map(|row| row.step).collect::<Vec<_>>(), (1..=186).collect::<Vec<_>>());
    assert_eq!(rows[0].values["dpo/loss"], 0.6931471824645996);
    let mark = |run, method: &str| {
        let id = RunId { run, method: Method::of_file_name(method).expect("a method") };
        &seen.marks.iter().find(|(its, _)| *its == id).expect("she has marked it").1
    };
    assert_eq!(mark(2, "dpo").name.as_deref(), Some("Ada’s run, α & “β”"));
    assert!(mark(0, "sft").hidden);
    let names = serde_json::to_value(&seen.pair_names).expect("it has a form");
    assert_eq!(names, serde_json::json!({ "now": "my labels", "runs": [[2, "dpo", "my labels"]] }));

    let engine = earlier.engine.expect("the engine is kept");
    let moments: Vec<(Stage, u32, u64)> =
        engine.saved_policies.iter().map(|it| (it.stage, it.point.run, it.point.point.step)).collect();
    assert_eq!(moments, [(Stage::Dpo, 1, 1), (Stage::Dpo, 2, 130), (Stage::PpoGt, 1, 4)]);
    for moment in &engine.saved_policies {
        let policy = Checkpoint::from_bytes(&moment.checkpoint, None).expect("a policy");
        assert_eq!(policy.step, moment.point.point.step);
    }
    let labels = std::str::from_utf8(&engine.preferences).expect("it is text");
    assert_eq!(labels.lines().count(), 20);
    assert_eq!(RecordedOptimum::from_bytes(&engine.optimum).expect("a curve").temperature, 0.1);
    let steps = goes_on(engine);
    let steps = [Stage::Dpo, Stage::PpoGt, Stage::Pairs].map(steps);
    assert_eq!(steps, [Some(130), Some(4), Some(20)]);
}

#[test]
fn a_run_that_is_kept_in_version_2_is_read_and_goes_on() {
    let earlier = offered(&Dump::read("store-2.json"));
    assert_eq!(earlier.words(), "DPO, 130 steps");
    let seen = &earlier.seen;
    let settings = Settings {
        seed: 4,
        beta: 0.3,
        batch_size: 8,
        evaluate_every: 130,
        evaluation_samples: 64,
        ..Settings::default()
    };
    assert_eq!((seen.settings, seen.focused), (settings, Stage::Dpo));
    let points: Vec<(&str, u64, f64, f64)> = seen.points.iter().map(|it| &it.point).map(measured).collect();
    assert_eq!(points, [("sft", 0, 0.0, 0.5291242187499999), ("dpo", 130, 13.184029819540225, 0.5332101562499999)]);
    // Those of the first 128 steps lie beside the run.
    let rows = &seen.metrics[&Stage::Dpo];
    assert_eq!(rows.iter().map(|row| row.step).collect::<Vec<_>>(), (1..=130).collect::<Vec<_>>());
    assert_eq!(rows[0].values["dpo/loss"], 0.6931471824645996);
    let reference = RunId { run: 0, method: Method::Sft };
    let mark = seen.marks.iter().find(|(its, _)| *its == reference).expect("it has a name");
    assert_eq!(mark.1.name.as_deref(), Some("before, α & “β”"));
    let engine = earlier.engine.expect("the engine is kept");
    let [moment] = engine.saved_policies.as_slice() else { panic!("{} policies", engine.saved_policies.len()) };
    let policy = Checkpoint::from_bytes(&moment.checkpoint, None).expect("a policy");
    assert_eq!((moment.stage, moment.point.run, policy.step), (Stage::Dpo, 1, 130));
    let steps = goes_on(engine);
    assert_eq!([Stage::Dpo, Stage::Pairs].map(steps), [Some(130), Some(20)]);
}

/// Takes up a kept engine; answers with what the new one tells at first of how far a stage has come.
fn goes_on(kept: Kept) -> impl Fn(Stage) -> Option<usize> {
    let snapshot = Snapshot::from_kept(kept).expect("it can be taken up");
    let mut session = Session::restore(Cpu::<f32>::new(), || 0.0, badge(), &snapshot).expect("it can be taken up");
    let told = block_on(session.open());
    move |wanted: Stage| {
        let of = |event: &Event| match event {
            Event::Stage(status) if status.stage == wanted => Some(status.steps),
            _ => None,
        };
        told.iter().rev().find_map(of)
    }
}

#[test]
fn what_a_tab_and_the_browser_remember_is_read() {
    let storages = json("storages.json");
    let item = |storage: &str, name: &str| storages[storage][name].as_str().expect("it was there").to_owned();
    let labels = Annotator::restored(Some(&item("session", "klimb-labels")));
    assert_eq!((labels.count(), labels.goal()), (20, 20));
    assert_eq!(labels.jsonl(), text("pairs.jsonl"), "they are the pairs that were trained on");
    let lent: TemporarySettings =
        serde_json::from_str(&item("session", "klimb-lent")).expect("a case of the clinic is on");
    let case = Case::named("no-leash").expect("the clinic has it");
    let settings = Clinic::default().run(case, Settings::default());
    let former = lent.clinic(settings).before().map(|(case, former)| (case.id, former));
    assert_eq!(former, Some(("no-leash", Settings::default())));
    assert_eq!(Tour::resumed(Some(&item("local", "klimb-tour"))).at(), 1);
    assert_eq!(item("local", "klimb-theme"), "dark");
}
