//! The policies behind the points of a student's session: opened, gone on from, and forked.

use crate::common::session as shipped;
use crate::common::student::Student;
use klimb::backend::cpu::Cpu;
use klimb::engine::protocol::*;
use klimb::engine::session::{Session, Snapshot};
use klimb::engine::settings::Settings;
use klimb::metrics::{Method, Setting};

fn student(settings: Settings) -> Student {
    Student(shipped::session(settings))
}

fn settings() -> Settings {
    Settings {
        batch_size: 8,
        pairs: 96,
        evaluate_every: 2,
        evaluation_samples: 64,
        evaluate_rollouts: 1,
        ..Settings::default()
    }
}

fn points(events: &[Event], method: &str) -> Vec<Point> {
    let of = |event: &Event| match event {
        Event::Point(point) if point.point.method.info().file_name == method => Some(point.clone()),
        _ => None,
    };
    events.iter().filter_map(of).collect()
}

/// Trains until so many points are there, and pauses.
fn trained(student: &mut Student, stage: Stage, method: &str, count: usize) -> Vec<Point> {
    points(&train(student, stage, method, count), method)
}

fn train(student: &mut Student, stage: Stage, method: &str, count: usize) -> Vec<Event> {
    student.handle(Command::Focus(stage));
    student.handle(Command::Play);
    let events = student.until(|events| points(events, method).len() >= count);
    student.handle(Command::Pause);
    events
}

fn failure(events: &[Event]) -> &Failure {
    let found = events.iter().find_map(|event| if let Event::Failure(failure) = event { Some(failure) } else { None });
    found.expect("a failure")
}

#[test]
fn an_opened_point_writes_what_its_policy_wrote_then() {
    let mut student = student(settings());
    let moment = |point: &Point| PolicyKey { stage: Stage::Dpo, run: point.run, step: point.point.step };
    // What the policy writes is told behind its point.
    let then = train(&mut student, Stage::Dpo, "dpo", 1);
    let first = points(&then, "dpo").remove(0);
    let written = |samples: &Samples| -> Vec<Vec<SampledCompletion>> {
        let of = |row: &SampleRow| row.completions.iter().filter(|it| it.stage != Stage::Base).cloned().collect();
        samples.rows.iter().map(of).collect()
    };
    let then = then.iter().find_map(|event| if let Event::Samples(it) = event { Some(written(it)) } else { None });
    trained(&mut student, Stage::Dpo, "dpo", 2);
    let events = student.handle(Command::Open(moment(&first)));
    let opened = events.iter().find_map(|event| if let Event::Opened(it) = event { Some(it) } else { None }).unwrap();
    assert_eq!((opened.moment, Some(written(&opened.samples))), (moment(&first), then));
    let events = student.handle(Command::Open(PolicyKey { step: 999, ..moment(&first) }));
    assert!(failure(&events).sentence.to_string().contains("step 999"), "{events:?}");
}

#[test]
fn a_fork_begins_with_its_point_and_goes_on_at_its_own_beta_as_a_run_of_its_own() {
    for (stage, method) in [(Stage::Dpo, "dpo"), (Stage::PpoGt, "ppo-gt")] {
        let mut student = student(settings());
        let before = trained(&mut student, stage, method, 2);
        let first = &before[0];
        let moment = PolicyKey { stage, run: first.run, step: first.point.step };
        let events = student.handle(Command::GoOn(moment, Some(1.5)));
        let fork = points(&events, method).remove(0);
        assert_eq!((fork.run, fork.point.step), (2, first.point.step));
        assert_eq!(
            (fork.point.gold_reward, fork.point.setting.clone()),
            (first.point.gold_reward, Setting::Number(1.5))
        );
        let next = trained(&mut student, stage, method, 1).remove(0);
        assert_eq!((next.run, next.point.setting), (2, Setting::Number(1.5)));
        assert_eq!(next.point.step, before[1].point.step, "as many steps between points as in the first run");
        // A fork of the same point again is a third run, and both can be opened.
        let events = student.handle(Command::GoOn(moment, None));
        assert_eq!(points(&events, method)[0].run, 3);
        for run in [1, 2, 3] {
            let events = student.handle(Command::Open(PolicyKey { run, ..moment }));
            assert!(events.iter().any(|event| matches!(event, Event::Opened(_))), "{stage:?} {run}");
        }
    }
}

#[test]
fn ppo_goes_on_from_no_point_while_its_reward_model_is_to_be_trained() {
    let mut student = student(settings());
    let first = trained(&mut student, Stage::Ppo, "ppo", 1).remove(0);
    student.handle(Command::Pause);
    student.handle(Command::Focus(Stage::RewardModel));
    student.handle(Command::Reset);
    let key = PolicyKey { stage: Stage::Ppo, run: first.run, step: first.point.step };
    let events = student.handle(Command::GoOn(key, None));
    let refused =
        |event: &Event| matches!(event, Event::Failure(it) if it.sentence.to_string().contains("reward model"));
    assert!(events.iter().any(refused) && points(&events, "ppo").is_empty(), "{events:?}");
}

#[test]
fn another_reference_forgets_what_was_kept() {
    let mut student = student(settings());
    let first = trained(&mut student, Stage::Dpo, "dpo", 1).remove(0);
    student.handle(Command::LoadCheckpoint(include_bytes!("../../www/assets/base.safetensors").to_vec()));
    let moment = PolicyKey { stage: Stage::Dpo, run: first.run, step: first.point.step };
    let events = student.handle(Command::GoOn(moment, None));
    assert!(failure(&events).sentence.to_string().contains("no longer kept"), "{events:?}");
}

/// A session that was kept, with the policies behind its points as a page gathers them.
#[test]
fn a_point_still_opens_in_a_session_that_was_kept_and_a_damaged_one_says_that_it_is_gone() {
    let mut student = student(settings());
    let events = train(&mut student, Stage::Dpo, "dpo", 3);
    let mut saved_policies = Vec::new();
    let mut newest = None;
    for event in &events {
        match event {
            Event::Point(point) if point.point.method == Method::Dpo => newest = Some(point.clone()),
            Event::Kept(kept) => {
                assert!(kept.saved_policies.is_empty(), "what is told is small");
                let KeptPolicy { stage, seconds, checkpoint, .. } =
                    kept.policies.iter().find(|policy| policy.stage == Stage::Dpo).unwrap().clone();
                saved_policies.push(SavedPolicy { stage, point: newest.clone().unwrap(), seconds, checkpoint });
            }
            _ => {}
        }
    }
    let opened = |student: &mut Student, moment: PolicyKey| {
        student.handle(Command::Open(moment)).into_iter().find_map(|event| match event {
            Event::Opened(opened) => Some(opened.samples),
            _ => None,
        })
    };
    let moment = |kept: &SavedPolicy| PolicyKey { stage: kept.stage, run: kept.point.run, step: kept.point.point.step };
    let first = opened(&mut student, moment(&saved_policies[0]));
    assert!(first.is_some());
    saved_policies[1].checkpoint[1000] ^= 1;
    let kept = Kept { saved_policies: saved_policies.clone(), ..student.0.snapshot().kept() };
    let snapshot = Snapshot::from_kept(kept).expect("what was kept can be read");
    let session = Session::restore(Cpu::<f32>::new(), || 0.0, shipped::badge(), &snapshot).expect("and restored");
    let mut again = Student(session);
    assert_eq!(opened(&mut again, moment(&saved_policies[0])), first);
    assert_eq!(opened(&mut again, moment(&saved_policies[1])), None, "a damaged policy is left out");
    let fork = points(&again.handle(Command::GoOn(moment(&saved_policies[0]), Some(1.5))), "dpo").remove(0);
    assert_eq!((fork.run, fork.point.gold_reward), (2, saved_policies[0].point.point.gold_reward));
}
