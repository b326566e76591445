//! Alignment against size in a student's session on the CPU.

use crate::common::session as shipped;
use std::collections::BTreeMap;
use std::ops::ControlFlow;

use crate::common::student::Student;
use klimb::backend::cpu::Cpu;
use klimb::engine::protocol::*;
use klimb::engine::settings::{Breadth, Settings};
use klimb::experiments::{ScalingPart, ScalingSettings, StudyError, measure_scaling, train_part};
use klimb::metrics::{MetricRow, ScalingPoint};
use klimb::model::Checkpoint;
use klimb::world::{World, WorldSettings};
use pollster::block_on;

fn smoke(_: Extent, seed: u64) -> ScalingSettings {
    ScalingSettings { seeds: vec![seed], ..ScalingSettings::smoke() }
}

fn student(settings: Settings) -> Student {
    Student(shipped::session(settings).scaled_by(smoke))
}

fn settings() -> Settings {
    Settings { evaluation_samples: 64, ..Settings::default() }
}

fn is_over(events: &[Event]) -> bool {
    events.iter().any(|event| matches!(event, Event::Progress(it) if it.work == Work::Scaling && it.done == it.total))
}

fn told(events: &[Event]) -> Vec<ScalingPoint> {
    let of = |event: &Event| if let Event::Scaling(points) = event { Some(points.clone()) } else { None };
    events.iter().rev().find_map(of).unwrap_or_default()
}

fn sorted(mut points: Vec<ScalingPoint>) -> Vec<ScalingPoint> {
    points.sort_by(|a, b| (&a.method, a.parameters).cmp(&(&b.method, b.parameters)));
    points
}

/// What the native program would have measured.
fn expected(seed: u64) -> Vec<ScalingPoint> {
    let world = World::new(WorldSettings::default()).expect("the default settings are valid");
    let k = &mut Cpu::<f32>::new();
    let settings = smoke(Extent::Small, seed);
    let go_on = || ControlFlow::Continue(());
    let mut parts: BTreeMap<String, Checkpoint> = BTreeMap::new();
    for part in settings.groups().into_iter().flatten() {
        let start = part.stage.start().map(|stage| parts[&ScalingPart { stage, ..part }.name()].clone());
        let trained = block_on(train_part(k, &world, &settings, &part, start.as_ref(), |_| go_on()));
        parts.insert(part.name(), trained.unwrap().unwrap());
    }
    let load = |part: &ScalingPart| Ok::<_, StudyError>(parts[&part.name()].clone());
    block_on(measure_scaling(k, &world, &settings, load, go_on)).unwrap().unwrap()
}

#[test]
fn it_measures_what_the_native_program_measures_whatever_the_breadth_of_the_session() {
    let mut student = student(Settings { breadth: Breadth::Broad, ..settings() });
    student.handle(Command::Scaling(Some(Extent::Small)));
    let points = sorted(told(&student.until(is_over)));
    assert_eq!(points.len(), 10, "two sizes, four models each, the base model twice");
    assert_eq!(points, sorted(expected(u64::from(settings().seed))));
}

#[test]
fn what_was_finished_before_a_cancel_is_not_trained_again_and_the_numbers_are_the_same() {
    let mut whole = student(settings());
    whole.handle(Command::Scaling(Some(Extent::Small)));
    let slices_of = |student: &mut Student| {
        let (mut slices, mut events) = (0, Vec::new());
        while !is_over(&events) {
            events.extend(student.advance());
            slices += 1;
        }
        (slices, sorted(told(&events)))
    };
    let (all, points) = slices_of(&mut whole);
    let mut interrupted = student(settings());
    interrupted.handle(Command::Scaling(Some(Extent::Small)));
    (0..all / 2).for_each(|_| drop(interrupted.advance()));
    let events = interrupted.handle(Command::Scaling(None));
    assert!(is_over(&events), "{events:?}");
    interrupted.handle(Command::Scaling(Some(Extent::Small)));
    let (rest, again) = slices_of(&mut interrupted);
    assert!(rest < all, "{rest} slices of {all}");
    assert_eq!(again, points);
}

#[test]
fn the_frontier_trains_meanwhile_and_neither_changes_the_other() {
    let metrics = |events: &[Event]| -> Vec<MetricRow> {
        let rows = |event: &Event| if let Event::Metrics(_, rows) = event { Some(rows.clone()) } else { None };
        events.iter().filter_map(rows).flatten().collect()
    };
    let settings = Settings { pairs: 192, batch_size: 8, ..settings() };
    let (mut alone, mut both) = (student(settings), student(settings));
    alone.handle(Command::Play);
    let by_itself = metrics(&alone.until(|events| metrics(events).len() >= 20));
    both.handle(Command::Scaling(Some(Extent::Small)));
    both.handle(Command::Play);
    let events = both.until(|events| is_over(events) && metrics(events).len() >= 20);
    assert_eq!(metrics(&events)[..20], by_itself[..20]);
    assert_eq!(sorted(told(&events)), sorted(expected(u64::from(settings.seed))));
}
