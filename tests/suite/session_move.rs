//! Another backend is chosen: models, pairs, runs and the policies behind the points go along, as they are now and not as
//! they were at the last point; and what is told to be kept is never behind them.

use crate::common::session as shipped;
use crate::common::student::Student;
use crate::common::sweep::quick;
use klimb::backend::cpu::Cpu;
use klimb::engine::protocol::*;
use klimb::engine::session::Session;
use klimb::engine::settings::{BackendChoice, Settings};
use pollster::block_on;

const PAIRS: &str = r#"{"prompt": "the plot", "chosen": "was superb .", "rejected": "was dull ."}
{"prompt": "the music", "chosen": "was superb .", "rejected": "was dull ."}
"#;

/// A student with a point of DPO.
fn at_a_point() -> Student {
    let mut student = Student(shipped::session(quick()));
    block_on(student.0.open());
    student.handle(Command::Focus(Stage::Dpo));
    student.handle(Command::Play);
    student.until(|events| events.iter().any(|event| matches!(event, Event::Kept(_))));
    student.handle(Command::Pause);
    student
}

fn stages(events: &[Event]) -> Vec<StageStatus> {
    let of = |event: &Event| if let Event::Stage(status) = event { Some(status.clone()) } else { None };
    events.iter().filter_map(of).collect()
}

fn kept(events: &[Event]) -> Vec<Kept> {
    let of = |event: &Event| if let Event::Kept(kept) = event { Some((**kept).clone()) } else { None };
    events.iter().filter_map(of).collect()
}

/// The session on another backend, and what that tells at first.
fn moved(student: &mut Student) -> (Student, Vec<Event>) {
    let snapshot = student.0.moving_to(BackendChoice::Cpu);
    assert_eq!(snapshot.settings(), Settings { backend: BackendChoice::Cpu, ..quick() });
    let badge =
        Badge { kind: BackendKind::Cpu, adapter: None, why: klimb::Message::verbatim("this is a test."), remedy: None };
    let mut session = Session::restore(Cpu::default(), || 0.0, badge, &snapshot).expect("it can go on");
    let events = block_on(session.open());
    (Student(session), events)
}

fn steps(events: &[Event], stage: Stage) -> usize {
    stages(events).iter().rev().find(|status| status.stage == stage).expect("every stage is told").steps
}

#[test]
fn what_has_changed_since_the_last_point_goes_along() {
    let mut student = at_a_point();
    student.handle(Command::Play);
    let (mut there, events) = moved(&mut student);
    assert_eq!(steps(&events, Stage::Dpo), 3);
    let report = there.handle(Command::Report);
    let Some(Event::Report(Some(report))) = report.first() else { panic!("it reports: {report:?}") };
    assert!(!report.events.contains(&Event::Playing(true)), "a page made anew is told that it rests");
    student.handle(Command::Pause);
    let moment = PolicyKey { stage: Stage::Dpo, run: 1, step: 3 };
    let opened = there.handle(Command::Open(moment));
    assert!(opened.iter().any(|event| matches!(event, Event::Opened(_))), "the policy behind the point: {opened:?}");

    student.handle(Command::Reset);
    let (_, events) = moved(&mut student);
    assert_eq!(steps(&events, Stage::Dpo), 0, "a run that was reset stays so");

    student.handle(Command::LoadPreferences(PAIRS.as_bytes().to_vec()));
    let (there, events) = moved(&mut student);
    let pairs = stages(&events).into_iter().find(|status| status.stage == Stage::Pairs).expect("every stage is told");
    assert_eq!((pairs.origin, pairs.steps), (Origin::Loaded, 2));
    assert_eq!(there.0.checkpoints().preferences, student.0.checkpoints().preferences);
}

#[test]
fn what_is_told_to_be_kept_has_the_models_pairs_and_runs_of_now() {
    let mut student = at_a_point();
    assert!(kept(&student.handle(Command::SetBeta(0.7))).is_empty(), "it knows that from the settings");
    let now = kept(&student.handle(Command::Reset));
    assert!(matches!(now.as_slice(), [it] if it.policies[0].run == 2 && it.policies[0].checkpoint.is_empty()));
    let now = kept(&student.handle(Command::Undo));
    assert!(matches!(now.as_slice(), [it] if it.policies[0].run == 1 && !it.policies[0].checkpoint.is_empty()));
    let now = kept(&student.handle(Command::LoadPreferences(PAIRS.as_bytes().to_vec())));
    assert!(matches!(now.as_slice(), [it] if !it.preferences.is_empty()));
    let now = kept(&student.handle(Command::GeneratePreferences));
    assert!(matches!(now.as_slice(), [it] if it.preferences.is_empty()));
    let other = student.0.checkpoints().base;
    let now = kept(&student.handle(Command::LoadCheckpoint(other.clone())));
    assert!(matches!(now.as_slice(), [it] if it.sft == student.0.checkpoints().sft), "{}", now.len());
    let report = student.handle(Command::Report);
    let Some(Event::Report(Some(report))) = report.first() else { panic!("it reports: {report:?}") };
    assert_eq!(kept(&report.events).len(), 1);
}

#[test]
fn a_session_whose_successor_cannot_be_built_rests_and_says_what_holds() {
    let mut student = Student(shipped::session(quick()));
    student.handle(Command::Play);
    let events = student.0.stay();
    assert!(events.contains(&Event::Playing(false)), "{events:?}");
    assert_eq!(events.last(), Some(&Event::NotBuilt(Some(quick()))));
    let dpo = stages(&events).into_iter().find(|status| status.stage == Stage::Dpo).expect("it is told");
    assert_eq!(dpo.state, StageState::Ready);
}
