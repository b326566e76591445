//! What is kept of a page, and what another takes up of that.

use super::*;
use crate::engine::protocol::{Event, Failure, MOST_RUNS, PolicyKey, Ready};
use crate::engine::settings::Settings;
use crate::page::model::fixtures;
use crate::page::model::state::State;

fn kept() -> Kept {
    fixtures::kept(Settings { beta: 0.1, ..Settings::default() }, Stage::Ppo)
}

#[test]
fn the_policy_behind_a_point_that_a_hand_brought_is_kept_with_it() {
    let mut state = State::new(Settings::default());
    let point = fixtures::point(3, "ppo", 60);
    state.apply(Event::Point(point.clone()));
    let moment = SavedPolicy { stage: Stage::Ppo, point, seconds: 1.0, checkpoint: vec![7] };
    state.apply(Event::Kept(Box::new(Kept { saved_policies: vec![moment.clone()], ..kept() })));
    let entry = state.entry(1000.0);
    assert_eq!(entry.fresh, [(0, moment)]);
    assert!(entry.engine.expect("it was told").saved_policies.is_empty(), "beside the engine, not in it");
}

fn point(run: u32, method: &str, step: u64) -> Event {
    Event::Point(fixtures::point(run, method, step))
}

fn ready() -> Event {
    let badge = crate::engine::protocol::Badge {
        kind: crate::engine::protocol::BackendKind::Cpu,
        adapter: None,
        why: klimb_text::Message::verbatim("this is a test."),
        remedy: None,
    };
    Event::Ready(Ready { backend: badge, parameters: 1, vocabulary: 1, width: 32, layers: 1, words: Vec::new() })
}

/// A page that has trained for a while, as an entry.
fn entry() -> Entry {
    let mut state = State::new(Settings { beta: 0.1, ..Settings::default() });
    state.request(Command::Focus(Stage::Ppo));
    state.apply(point(1, "sft", 0));
    assert_eq!(state.keeping.storage_tasks, [], "the reference is no run");
    state.apply(Event::Metrics(Stage::Ppo, vec![MetricRow::new(120, &[("loss", f64::NAN), ("kl", 1.5)])]));
    state.apply(point(2, "ppo", 120));
    state.apply(Event::Kept(Box::new(kept())));
    assert_eq!(std::mem::take(&mut state.keeping.storage_tasks), [StorageTask::Write]);
    state.entry(1000.0)
}

/// What a store would give of it.
fn read(entry: Entry, rows: Vec<(u32, String)>) -> Result<SavedSession, klimb_text::Message> {
    let policies = entry.fresh.clone();
    Loaded { entry, policies, rows }.read("one".into(), false)
}

/// Numbers are added up: of those that no run has, two would pass the largest.
#[test]
fn runs_with_numbers_that_no_run_has_are_refused() {
    let with = |change: fn(&mut Entry)| {
        let mut entry = entry();
        change(&mut entry);
        read(entry, Vec::new())
    };
    let page = |entry: &mut Entry, change: fn(&mut Seen)| {
        let mut seen: Seen = json::from_text(&entry.page).unwrap();
        change(&mut seen);
        entry.page = json::to_text(&seen);
    };
    assert!(with(|_| ()).is_ok());
    fn policy(run: u32, last: u32) -> KeptPolicy {
        KeptPolicy { stage: Stage::Dpo, run, last, seconds: 0.0, checkpoint: vec![] }
    }
    assert!(with(|entry| entry.engine.as_mut().unwrap().policies.push(policy(MOST_RUNS, MOST_RUNS))).is_ok());
    for refused in [
        with(|entry| {
            entry.moments = vec![Place { slot: 0, moment: PolicyKey { stage: Stage::Ppo, run: u32::MAX, step: 1 } }]
        }),
        with(|entry| {
            let point = fixtures::point(u32::MAX, "ppo", 1);
            let moment = SavedPolicy { stage: Stage::Ppo, point, seconds: 1.0, checkpoint: vec![] };
            entry.engine.as_mut().unwrap().saved_policies.push(moment);
        }),
        with(|entry| entry.engine.as_mut().unwrap().policies.push(policy(MOST_RUNS + 1, 1))),
        with(|entry| entry.engine.as_mut().unwrap().policies.push(policy(1, MOST_RUNS + 1))),
        {
            let mut entry = entry();
            page(&mut entry, |seen| seen.earlier_runs = u32::MAX);
            read(entry, Vec::new())
        },
        {
            let mut entry = entry();
            page(&mut entry, |seen| seen.points[0].run = u32::MAX);
            read(entry, Vec::new())
        },
    ] {
        assert_eq!(refused.unwrap_err().to_string(), "its runs have numbers that no run has");
    }
}

fn earlier() -> SavedSession {
    read(entry(), Vec::new()).unwrap()
}

#[test]
fn a_kept_run_is_offered_in_words_and_taken_up_behind_what_is_there() {
    let earlier = earlier();
    assert_eq!(earlier.words(), "PPO, 120 steps");
    let mut state = State::new(Settings::default());
    state.apply(point(1, "sft", 0));
    state.apply(point(3, "dpo", 10));
    state.keeping.offer = Some(Box::new(earlier));
    let command = state.resume().expect("a run is offered");
    let request = state.request(command);
    assert_eq!(request.command, Command::Resume(Box::new(kept())));
    state.apply(Event::Acknowledged(request.id));
    assert_eq!(state.results.points.len(), 2, "nothing is taken up before the engine is there");
    state.apply(ready());
    let runs: Vec<u32> = state.results.points.iter().map(|point| point.run).collect();
    assert_eq!(runs, [3, 4, 5], "the reference, which it brings along, stands once");
    assert_eq!(
        (state.training.settings.beta, state.training.dragged_beta, state.training.focused),
        (0.1, 0.1, Stage::Ppo)
    );
    assert_eq!(state.records.metrics[&Stage::Ppo], [MetricRow::new(120, &[("kl", 1.5)])]);
    state.apply(point(2, "ppo", 240));
    assert_eq!(state.results.points.last().unwrap().run, 5, "the run goes on");
}

#[test]
fn rows_beside_the_run_come_back_in_front_of_its_own() {
    let mut state = State::new(Settings::default());
    let row = |step: u64| MetricRow::new(step, &[("kl", step as f64)]);
    state.apply(Event::Metrics(Stage::Ppo, (1..=300).map(row).collect()));
    state.apply(point(2, "ppo", 300));
    let mut beside: Vec<(u32, String)> = Vec::new();
    let mut keep = |state: &mut State| {
        let mut entry = state.entry(1000.0);
        beside.append(&mut entry.fresh_rows);
        let newest = |stretch: &Stretch| beside.iter().rev().find(|(its, _)| *its == stretch.place).cloned();
        let rows = entry.stretches.iter().filter_map(newest).collect();
        read(entry, rows).expect("a run")
    };
    assert_eq!(keep(&mut state).seen.metrics, state.records.metrics);
    state.apply(Event::Metrics(Stage::Ppo, (301..=310).map(row).collect()));
    let kept = keep(&mut state);
    assert_eq!(
        (kept.seen.metrics, kept.missing),
        (state.records.metrics.clone(), vec![]),
        "what was written before is still there"
    );
    let again = MetricRow::new(200, &[("kl", -1.0)]);
    state.apply(Event::Metrics(Stage::Ppo, vec![again.clone()]));
    let metrics = keep(&mut state).seen.metrics;
    assert_eq!((metrics[&Stage::Ppo].len(), metrics[&Stage::Ppo].last()), (200, Some(&again)));
    let foreign = json::to_text(&[row(1), row(2)]);
    let behind = json::to_text(&[row(129), row(130)]);
    for (damaged, text) in [("torn", "["), ("of other steps", behind.as_str()), ("gone", "")] {
        let rows = if text.is_empty() { vec![] } else { vec![(0, text.to_owned())] };
        let kept = read(state.entry(1000.0), rows).expect("a run");
        assert_eq!(kept.seen.metrics[&Stage::Ppo].len(), 200 % 128, "only its own: {damaged}");
        assert_eq!(kept.missing, [Missing::Rows(Stage::Ppo, 1)], "{damaged}");
        let said = lost(&kept.missing).expect("it is said").sentence;
        assert!(said.to_string().ends_with("left out: the rows of PPO from step 1 on."), "{said}");
    }
    let kept = read(state.entry(1000.0), vec![(0, foreign)]).expect("a run");
    assert_eq!(kept.missing, [], "which rows a stretch has is told by its first");
}

#[test]
fn a_policy_of_another_run_is_left_out_and_named() {
    let mut state = State::new(Settings::default());
    for step in [1, 2, 3] {
        let policy = KeptPolicy { stage: Stage::Dpo, run: 1, last: 1, seconds: 0.0, checkpoint: vec![step as u8] };
        state.apply(Event::Point(fixtures::point(1, "dpo", step)));
        state.apply(Event::Kept(Box::new(Kept { policies: vec![policy], ..kept() })));
    }
    let entry = state.entry(1000.0);
    let whole = read(entry.clone(), Vec::new()).unwrap();
    let steps = |earlier: &SavedSession| -> Vec<u64> {
        earlier.engine.iter().flat_map(|engine| &engine.saved_policies).map(|moment| moment.key().step).collect()
    };
    assert_eq!((steps(&whole), whole.missing), (vec![1, 2, 3], vec![]));
    let moment = |step| PolicyKey { stage: Stage::Dpo, run: 1, step };
    type Damage<'a> = &'a dyn Fn(&mut Vec<(u32, SavedPolicy)>);
    let damages: [(&str, Damage); 4] = [
        ("gone", &|policies| drop(policies.remove(0))),
        ("of another step", &|policies| policies[0].1 = policies[2].1.clone()),
        ("of another run with the same step", &|policies| policies[0].1.point.point.gold_reward = 0.123),
        ("of another method", &|policies| policies[0].1.stage = Stage::Ppo),
    ];
    for (what, damage) in damages {
        let mut policies = entry.fresh.clone();
        damage(&mut policies);
        let earlier = Loaded { entry: entry.clone(), policies, rows: Vec::new() }.read("one".into(), false).unwrap();
        assert_eq!((steps(&earlier), &earlier.missing), (vec![2, 3], &vec![Missing::Policy(moment(1))]), "{what}");
        let mut state = State::new(Settings::default());
        state.keeping.offer = Some(Box::new(earlier));
        let command = state.resume().unwrap();
        let request = state.request(command);
        state.apply(Event::Acknowledged(request.id));
        state.apply(ready());
        let said = state.failure.expect("it is said").sentence;
        assert!(said.to_string().ends_with("left out: the policy of DPO, step 1."), "{what}: {said}");
    }
}

#[test]
fn without_an_engine_points_and_settings_return_as_earlier_runs() {
    let earlier = SavedSession { engine: None, ..earlier() };
    let mut state = State::new(Settings::default());
    state.keeping.offer = Some(Box::new(earlier));
    let command = state.resume().unwrap();
    let request = state.request(command);
    state.apply(Event::Acknowledged(request.id));
    state.apply(ready());
    state.apply(point(1, "dpo", 10));
    assert_eq!(state.results.points.iter().map(|point| point.run).collect::<Vec<_>>(), [1, 2, 3]);
    assert_eq!(state.training.settings.beta, 0.1);
}

#[test]
fn what_the_engine_refuses_is_forgotten_and_nothing_changes() {
    let mut state = State::new(Settings::default());
    state.keeping.offer = Some(Box::new(earlier()));
    let command = state.resume().unwrap();
    let request = state.request(command);
    state.apply(Event::Acknowledged(request.id));
    let (sentence, remedy) =
        (klimb_text::Message::verbatim("It is damaged."), klimb_text::Message::verbatim("It has been removed."));
    state.apply(Event::Failure(Failure { sentence, remedy, field: Some("kept".into()), stopped: false }));
    let forgotten = StorageTask::Forget(Saved { visit: "one".into(), when: 1000.0, was_open: false });
    assert_eq!(std::mem::take(&mut state.keeping.storage_tasks), [StorageTask::Hold("one".into()), forgotten]);
    state.apply(ready());
    assert!(state.results.points.is_empty() && state.training.settings == Settings::default());
}

#[test]
fn a_run_whose_engine_could_not_be_built_is_offered_again_and_is_not_taken_for_the_next_engine_s() {
    let mut state = State::new(Settings::default());
    let own = Settings { seed: 5, ..Settings::default() };
    let mut earlier = earlier();
    earlier.seen.settings.backend = BackendChoice::Gpu;
    let resume = |earlier: Box<SavedSession>, state: &mut State| {
        state.keeping.offer = Some(earlier);
        let command = state.resume().unwrap();
        let request = state.request(command);
        state.apply(Event::Acknowledged(request.id));
    };
    resume(Box::new(earlier), &mut state);
    let failure = Failure {
        sentence: klimb_text::Message::verbatim("a"),
        remedy: klimb_text::Message::verbatim("b"),
        field: Some("backend".into()),
        stopped: true,
    };
    for event in [Event::Failure(failure), Event::NotBuilt(Some(own)), ready()] {
        state.apply(event);
    }
    let held = [StorageTask::Hold("one".into())];
    assert!(state.results.points.is_empty());
    assert_eq!(std::mem::take(&mut state.keeping.storage_tasks), held, "nothing is forgotten");
    assert_eq!(state.training.settings, own);
    let offered = state.keeping.offer.take().expect("the run is offered again");
    assert_eq!(offered.seen.settings.backend, BackendChoice::Auto, "or it would be refused again");
    // Another order that fails before it is taken up does not touch it.
    state.keeping.offer = Some(offered.clone());
    let command = state.resume().unwrap();
    let request = state.request(command);
    state.apply(Event::NotBuilt(Some(own)));
    assert!(state.keeping.offer.is_none());
    for event in [Event::Acknowledged(request.id), ready()] {
        state.apply(event);
    }
    assert!(!state.results.points.is_empty(), "it is resumed");
    let mut state = State::new(own);
    // So it is where the worker dies over it.
    resume(offered, &mut state);
    assert!(matches!(state.rebuilt(), Command::Start(settings) if settings == own));
    assert!(state.keeping.offer.is_some());
    // And what is offered is not what another engine could not use.
    let failure = Failure {
        sentence: klimb_text::Message::verbatim("a"),
        remedy: klimb_text::Message::verbatim("b"),
        field: Some("kept".into()),
        stopped: false,
    };
    state.apply(Event::Failure(failure));
    assert!(state.keeping.offer.is_some());
    assert_eq!(state.keeping.storage_tasks, held);
}

#[test]
fn a_discarded_run_is_forgotten_and_so_is_what_went_wrong_once_it_is_read() {
    let mut state = State::new(Settings::default());
    state.keeping.offer = Some(Box::new(earlier()));
    state.keeping.hear(News::Trouble(klimb_text::Message::verbatim("something")));
    state.keeping.write();
    state.keeping.dismiss();
    let forgotten = StorageTask::Forget(Saved { visit: "one".into(), when: 1000.0, was_open: false });
    assert_eq!(state.keeping.storage_tasks, [StorageTask::Write, forgotten], "neither takes the place of the other");
    assert_eq!(
        (state.keeping.offer.as_ref(), state.keeping.trouble()),
        (None, Some(&klimb_text::Message::verbatim("something")))
    );
    state.keeping.dismiss();
    assert_eq!((state.keeping.storage_tasks.len(), state.keeping.trouble()), (2, None));
    state.keeping.hear(News::Failed(klimb_text::Message::verbatim("this time")));
    assert_eq!(state.keeping.trouble(), Some(&klimb_text::Message::verbatim("this time")));
    state.keeping.hear(News::Saved);
    assert_eq!(state.keeping.trouble(), None, "the next time it went well");
}

#[test]
fn a_broken_entry_says_what_is_wrong() {
    for (broken, word) in [
        (Entry { page: "{".into(), ..entry() }, "EOF"),
        (Entry { page: entry().page.replace("\"beta\":0.1", "\"beta\":900"), ..entry() }, "beta"),
        (Entry { page: entry().page.replace("\"ppo\"", "\"sft\""), ..entry() }, "no run"),
        (Entry { when: f64::NAN, ..entry() }, "no run"),
    ] {
        let reason = read(broken, Vec::new()).unwrap_err();
        assert!(reason.to_string().contains(word), "{reason}");
    }
}
