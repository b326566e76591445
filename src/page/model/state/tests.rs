//! What the page knows after orders and events.

use super::*;
use crate::engine::protocol::{Origin, PolicyKey, Report, StageState, StageStatus};
use crate::engine::settings::Breadth;
use crate::page::model::fixtures;
use crate::page::model::runs::{RunMark, trails};
use crate::page::model::saved_session::{Loaded, StorageTask};
use klimb_metrics::{Method, MetricRow};

fn point(run: u32, method: &str, step: u64) -> Event {
    Event::Point(fixtures::point(run, method, step))
}

fn row(step: u64) -> Event {
    Event::Metrics(Stage::Dpo, vec![MetricRow { step, values: std::collections::BTreeMap::new() }])
}

#[test]
fn a_reset_forgets_the_run_when_it_is_taken_up_and_keeps_every_point() {
    let mut state = State::new(Settings::default());
    state.apply(row(1));
    state.apply(point(1, "dpo", 10));
    let request = state.request(Command::Reset);
    state.apply(row(2));
    assert_eq!(
        state.records.metrics[&Stage::Dpo].len(),
        2,
        "rows of the old run still come until the reset is taken up"
    );
    state.apply(Event::Acknowledged(request.id));
    assert!(state.records.metrics.is_empty());
    assert_eq!(state.results.points.len(), 1);
    assert_eq!(state.training.settings, Settings::default());
}

#[test]
fn a_reset_forgets_what_the_stage_in_focus_starts_over_and_nothing_else() {
    let mut state = State::new(Settings::default());
    let row = |stage| Event::Metrics(stage, vec![MetricRow { step: 1, values: std::collections::BTreeMap::new() }]);
    for stage in [Stage::Dpo, Stage::RewardModel, Stage::Ppo, Stage::PpoGt] {
        state.apply(row(stage));
    }
    state.request(Command::Focus(Stage::RewardModel));
    let request = state.request(Command::Reset);
    state.apply(Event::Acknowledged(request.id));
    assert_eq!(state.records.metrics.keys().copied().collect::<Vec<_>>(), [Stage::Dpo, Stage::PpoGt]);
}

#[test]
fn another_engine_does_not_add_to_the_runs_of_the_one_before() {
    let mut state = State::new(Settings::default());
    for _ in 0..2 {
        let request = state.request(Command::Start(Settings::default()));
        state.apply(Event::Acknowledged(request.id));
        state.apply(point(1, "dpo", 10));
    }
    assert_eq!(
        trails(&state.results.points, &state.results.pair_names)
            .iter()
            .map(|trail| (trail.live, trail.points.len()))
            .collect::<Vec<_>>(),
        [(false, 1), (true, 1)]
    );
}

#[test]
fn a_point_of_this_engine_can_be_opened_and_one_of_an_earlier_engine_cannot() {
    let mut state = State::new(Settings::default());
    let mut opened = Vec::new();
    for _ in 0..2 {
        let request = state.request(Command::Start(Settings::default()));
        state.apply(Event::Acknowledged(request.id));
        state.apply(point(1, "dpo", 10));
    }
    for (id, trail) in state.shown() {
        opened.push(state.open(&id, &trail.points[0]));
    }
    assert_eq!(opened, [None, Some(PolicyKey { stage: Stage::Dpo, run: 1, step: 10 })]);
    let (field, stopped) = (Some("moment".into()), false);
    state.apply(Event::Failure(Failure {
        sentence: klimb_text::Message::verbatim("a"),
        remedy: klimb_text::Message::verbatim("b"),
        field,
        stopped,
    }));
    assert_eq!(state.open_policy(), None, "the engine no longer keeps it");
    let (newest, _) = state.open_point.point.clone().unwrap();
    state.remove(&newest);
    assert_eq!((state.results.points.len(), state.open_point.point), (1, None));
}

#[test]
fn steps_taken_again_replace_those_they_repeat() {
    let mut state = State::new(Settings::default());
    (1..=5).for_each(|step| state.apply(row(step)));
    state.apply(row(3));
    assert_eq!(state.records.metrics[&Stage::Dpo].iter().map(|row| row.step).collect::<Vec<_>>(), [1, 2, 3]);
    let status = StageStatus { stage: Stage::Dpo, state: StageState::Ready, origin: Origin::Live, steps: 0 };
    state.apply(Event::Stage(status));
    assert!(!state.records.metrics.contains_key(&Stage::Dpo), "a loaded SFT model starts DPO over");
}

#[test]
fn a_change_of_beta_is_marked_where_it_was_taken_up() {
    let mut state = State::new(Settings::default());
    let before = state.request(Command::SetBeta(0.1));
    state.apply(Event::Acknowledged(before.id));
    assert!(state.records.beta_changes.is_empty(), "nothing was trained yet");
    state.apply(row(7));
    let request = state.request(Command::SetBeta(1.0));
    state.apply(row(8));
    state.apply(Event::Acknowledged(request.id));
    assert_eq!(state.records.beta_changes[&Stage::Dpo], [(8, 1.0)]);
}

#[test]
fn what_an_earlier_click_caused_does_not_undo_a_later_one() {
    let mut state = State::new(Settings::default());
    let pause = state.request(Command::Pause);
    let play = state.request(Command::Play);
    state.apply(Event::Acknowledged(pause.id));
    state.apply(Event::Playing(false));
    assert!(state.training.playing, "the pause was taken back before it was taken up");
    state.apply(Event::Acknowledged(play.id));
    state.apply(Event::Playing(true));
    state.apply(Event::Playing(false));
    assert!(!state.training.playing, "the engine may stop by itself");
}

#[test]
fn a_reference_that_is_not_there_leaves_the_choice_where_it_was() {
    let mut state = State::new(Settings::default());
    let ready = Ready {
        backend: crate::engine::protocol::Badge {
            kind: crate::engine::protocol::BackendKind::Cpu,
            adapter: None,
            why: klimb_text::Message::verbatim(""),
            remedy: None,
        },
        parameters: 1,
        vocabulary: 1,
        width: 32,
        layers: 1,
        words: vec![],
    };
    state.apply(Event::Ready(ready));
    state.training.settings.breadth = Breadth::Broad;
    let request = state.request(Command::Start(state.training.settings));
    state.apply(Event::Acknowledged(request.id));
    let failure = Failure {
        sentence: klimb_text::Message::verbatim("a"),
        remedy: klimb_text::Message::verbatim("b"),
        field: None,
        stopped: true,
    };
    state.apply(Event::Failure(failure));
    assert_eq!(state.training.settings.breadth, Breadth::Broad);
    state.apply(Event::NotBuilt(Some(Settings::default())));
    assert_eq!(state.training.settings.breadth, Breadth::Default);
}

#[test]
fn play_shows_at_once_and_a_stopping_failure_ends_it() {
    let mut state = State::new(Settings::default());
    state.take_changes();
    state.request(Command::Play);
    assert!(state.training.playing && state.take_changes().contains(&Change::Requests));
    let failure = |stopped| Failure {
        sentence: klimb_text::Message::verbatim("a"),
        remedy: klimb_text::Message::verbatim("b"),
        field: None,
        stopped,
    };
    state.apply(Event::Failure(failure(false)));
    assert!(state.training.playing);
    state.apply(Event::Failure(failure(true)));
    assert!(!state.training.playing && state.take_changes().contains(&Change::Failure));
}

#[test]
fn what_is_measured_at_the_same_place_again_stands_once() {
    let mut state = State::new(Settings::default());
    for event in [point(1, "sft", 0), point(1, "dpo", 10), point(2, "sft", 0), point(1, "dpo", 10), point(2, "dpo", 10)]
    {
        state.apply(event);
    }
    let standing: Vec<(u32, &str)> =
        state.results.points.iter().map(|it| (it.run, it.point.method.info().file_name)).collect();
    assert_eq!(standing, [(2, "sft"), (1, "dpo"), (2, "dpo")]);
    assert!(state.results.removals > 0, "the table is written anew");
    state.apply(Event::Reference("another".into()));
    state.apply(point(3, "sft", 0));
    state.apply(Event::Reference("a third".into()));
    state.apply(point(4, "sft", 0));
    assert_eq!(state.results.points.len(), 5, "another reference is another model");
    state.apply(point(5, "sft", 0));
    assert_eq!(state.results.points.len(), 5);
    let n = |n: f64| {
        let mut point = fixtures::point(1, "best_of_n", 0);
        point.point.setting = klimb_metrics::Setting::Number(n);
        Event::Point(point)
    };
    for n in [n(1.0), n(4.0), n(1.0)] {
        state.apply(n);
    }
    assert_eq!(state.results.points.len(), 7, "each N is a place of its own");
}

#[test]
fn a_page_made_anew_knows_its_kept_run_and_offers_another() {
    let step = |run, step| fixtures::point(run, "dpo", step);
    let report = |points: Vec<Point>| {
        let stage = |steps| StageStatus { stage: Stage::Dpo, state: StageState::Ready, origin: Origin::Live, steps };
        let rows = (11..=20).map(|step| MetricRow { step, values: std::collections::BTreeMap::new() }).collect();
        let mut events = vec![Event::Metrics(Stage::Dpo, rows), Event::Stage(stage(20))];
        events.extend(points.into_iter().map(Event::Point));
        Report { settings: Settings { seed: 5, ..Settings::default() }, focus: Stage::PpoGt, events }
    };
    // The page before had an engine with one run before this one, whose run of an earlier visit goes on as number 1.
    let mut before = State::new(Settings::default());
    [step(1, 5), step(2, 10)].into_iter().for_each(|point| before.apply(Event::Point(point)));
    before.results.earlier_runs = 1;
    before.results.marks.insert(RunId { run: 1, method: Method::Dpo }, RunMark { hidden: true, name: None });
    let rows = (1..=20).map(|step| MetricRow { step, values: std::collections::BTreeMap::new() }).collect();
    before.records.metrics.insert(Stage::Dpo, rows);
    before.keeping.write();
    let kept = || {
        let entry = before.clone().entry(1.0);
        let (policies, rows) = (entry.fresh.clone(), entry.fresh_rows.clone());
        Box::new(Loaded { entry, policies, rows }.read("one".into(), false).unwrap())
    };

    for store_is_first in [true, false] {
        let mut state = State::anew(Settings::default());
        let told = report(vec![fixtures::point(1, "sft", 0), step(1, 10), step(1, 20)]);
        if store_is_first {
            state.keeping.offer = Some(kept());
            state.know_saved_run();
            assert!(state.keeping.offer.is_some(), "nothing is known of the engine yet");
        }
        state.apply(Event::Report(Some(Box::new(told))));
        if !store_is_first {
            state.keeping.offer = Some(kept());
            state.know_saved_run();
        }
        assert!(state.keeping.offer.is_none());
        assert_eq!(state.keeping.storage_tasks, [StorageTask::Write], "it is kept anew");
        let saved = state.entry(2.0).replaces.map(|saved| saved.visit);
        assert_eq!(saved.as_deref(), Some("one"), "in the place of what the page before kept");
        let seen: Vec<(u32, u64)> = state.results.points.iter().map(|it| (it.run, it.point.step)).collect();
        assert_eq!(seen, [(1, 5), (2, 10), (2, 0), (2, 20)], "each once");
        assert!(state.results.marks.values().any(|mark| mark.hidden));
        let steps: Vec<u64> = state.records.metrics[&Stage::Dpo].iter().map(|row| row.step).collect();
        assert_eq!(steps, (1..=20).collect::<Vec<_>>());
        assert_eq!((state.training.settings.seed, state.training.focused), (5, Stage::PpoGt));
        // The engine goes on counting as it did.
        state.apply(point(1, "dpo", 30));
        assert_eq!(state.results.points.last().map(|it| it.run), Some(2));
    }

    let mut state = State::anew(Settings::default());
    state.apply(Event::Report(Some(Box::new(report(vec![step(1, 15)])))));
    assert!(state.keeping.storage_tasks.is_empty(), "the report alone is no reason to write over what is kept");
    state.keeping.offer = Some(kept());
    state.know_saved_run();
    assert!(state.keeping.offer.is_some() && state.results.points.len() == 1, "that is another run");
}
