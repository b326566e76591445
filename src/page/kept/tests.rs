//! What is kept of a page, and what another takes up of that.

use super::*;
use crate::engine::protocol::{Event, Failure, Ready};
use crate::page::fixtures;
use crate::page::state::State;

fn kept() -> Kept {
    fixtures::kept(Settings { beta: 0.1, ..Settings::default() }, Stage::Ppo)
}

#[test]
fn the_policy_behind_a_point_that_a_hand_brought_is_kept_with_it() {
    let mut state = State::new(Settings::default());
    let point = fixtures::point(3, "ppo", 60);
    state.apply(Event::Point(point.clone()));
    let moment = KeptMoment { stage: Stage::Ppo, point, seconds: 1.0, checkpoint: vec![7] };
    state.apply(Event::Kept(Box::new(Kept { moments: vec![moment.clone()], ..kept() })));
    let entry = state.entry(1000.0);
    assert_eq!(entry.fresh, [(0, moment)]);
    assert!(entry.engine.expect("it was told").moments.is_empty(), "beside the engine, not in it");
}

fn point(run: u32, method: &str, step: u64) -> Event {
    Event::Point(fixtures::point(run, method, step))
}

fn ready() -> Event {
    let badge = crate::engine::protocol::Badge {
        kind: crate::engine::protocol::BackendKind::Cpu,
        adapter: None,
        why: "this is a test.".into(),
        remedy: None,
    };
    Event::Ready(Ready { backend: badge, parameters: 1, vocabulary: 1, width: 32, layers: 1, words: Vec::new() })
}

/// A page that has trained for a while, as an entry.
fn entry() -> Entry {
    let mut state = State::new(Settings { beta: 0.1, ..Settings::default() });
    state.order(Command::Focus(Stage::Ppo));
    state.apply(point(1, "sft", 0));
    assert_eq!(state.keeping.chore, None, "the reference is no run");
    state.apply(Event::Metrics(Stage::Ppo, vec![MetricRow::new(120, &[("loss", f64::NAN), ("kl", 1.5)])]));
    state.apply(point(2, "ppo", 120));
    state.apply(Event::Kept(Box::new(kept())));
    assert_eq!(state.keeping.chore.take(), Some(Chore::Write));
    state.entry(1000.0)
}

#[test]
fn a_kept_run_is_offered_in_words_and_taken_up_behind_what_is_there() {
    let earlier = entry().read().unwrap();
    assert_eq!(earlier.words(), "PPO, 120 steps");
    let mut state = State::new(Settings::default());
    state.apply(point(1, "sft", 0));
    state.apply(point(3, "dpo", 10));
    state.keeping.offer = Some(Box::new(earlier));
    let command = state.resume().expect("a run is offered");
    let order = state.order(command);
    assert_eq!(order.command, Command::Resume(Box::new(kept())));
    state.apply(Event::Acknowledged(order.id));
    assert_eq!(state.points.len(), 2, "nothing is taken up before the engine is there");
    state.apply(ready());
    let runs: Vec<u32> = state.points.iter().map(|point| point.run).collect();
    assert_eq!(runs, [3, 4, 5], "the reference, which it brings along, stands once");
    assert_eq!((state.settings.beta, state.dragged_beta, state.focused), (0.1, 0.1, Stage::Ppo));
    assert_eq!(state.metrics[&Stage::Ppo], [MetricRow::new(120, &[("kl", 1.5)])]);
    state.apply(point(2, "ppo", 240));
    assert_eq!(state.points.last().unwrap().run, 5, "the run goes on");
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
        let place = |place: &u32| beside.iter().rev().find(|(its, _)| its == place).expect("it was written").1.clone();
        for (stage, places) in entry.stretches().to_vec() {
            places.iter().for_each(|it| entry.add_rows(stage, place(it)));
        }
        entry.read().expect("a run").seen.metrics
    };
    assert_eq!(keep(&mut state), state.metrics);
    state.apply(Event::Metrics(Stage::Ppo, (301..=310).map(row).collect()));
    assert_eq!(keep(&mut state), state.metrics, "what was written before is still there");
    let again = MetricRow::new(200, &[("kl", -1.0)]);
    state.apply(Event::Metrics(Stage::Ppo, vec![again.clone()]));
    let metrics = keep(&mut state);
    assert_eq!((metrics[&Stage::Ppo].len(), metrics[&Stage::Ppo].last()), (200, Some(&again)));
    let mut broken = state.entry(1000.0);
    broken.add_rows(Stage::Ppo, "[".into());
    assert_eq!(broken.read().expect("a run").seen.metrics[&Stage::Ppo].len(), 200 % 128, "only its own");
}

#[test]
fn without_an_engine_points_and_settings_return_as_earlier_runs() {
    let earlier = Earlier { engine: None, ..entry().read().unwrap() };
    let mut state = State::new(Settings::default());
    state.keeping.offer = Some(Box::new(earlier));
    let command = state.resume().unwrap();
    let order = state.order(command);
    state.apply(Event::Acknowledged(order.id));
    state.apply(ready());
    state.apply(point(1, "dpo", 10));
    assert_eq!(state.points.iter().map(|point| point.run).collect::<Vec<_>>(), [1, 2, 3]);
    assert_eq!(state.settings.beta, 0.1);
}

#[test]
fn what_the_engine_refuses_is_forgotten_and_nothing_changes() {
    let mut state = State::new(Settings::default());
    state.keeping.offer = Some(Box::new(entry().read().unwrap()));
    let command = state.resume().unwrap();
    let order = state.order(command);
    state.apply(Event::Acknowledged(order.id));
    let (sentence, remedy) = ("It is damaged.".into(), "It has been removed.".into());
    state.apply(Event::Failure(Failure { sentence, remedy, field: Some("kept".into()), stopped: false }));
    assert_eq!(state.keeping.chore.take(), Some(Chore::Forget));
    state.apply(ready());
    assert!(state.points.is_empty() && state.settings == Settings::default());
}

#[test]
fn a_discarded_run_is_forgotten_unless_another_has_its_place() {
    let mut state = State::new(Settings::default());
    state.keeping.offer = Some(Box::new(entry().read().unwrap()));
    state.keeping.discard();
    assert_eq!(state.keeping.chore.take(), Some(Chore::Forget));
    state.entry(1.0);
    state.keeping.discard();
    assert_eq!(state.keeping.chore, None);
}

#[test]
fn a_broken_entry_says_what_is_wrong() {
    for (broken, word) in [
        (Entry { format: 2, ..entry() }, "format 2"),
        (Entry { page: "{".into(), ..entry() }, "EOF"),
        (Entry { page: entry().page.replace("\"beta\":0.1", "\"beta\":900"), ..entry() }, "beta"),
        (Entry { page: entry().page.replace("\"ppo\"", "\"sft\""), ..entry() }, "no run"),
        (Entry { when: f64::NAN, ..entry() }, "no run"),
    ] {
        let reason = broken.read().unwrap_err();
        assert!(reason.contains(word), "{reason}");
    }
}
