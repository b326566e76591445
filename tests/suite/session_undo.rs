//! A reset that is taken back: the run goes on as if there had been none, until something else has been made.

use crate::common::session as shipped;
use crate::common::student::{Student, points};
use crate::common::sweep::quick;
use klimb::engine::protocol::*;
use klimb::engine::settings::Settings;
use klimb::metrics::Method;
use pollster::block_on;

fn student(stage: Stage) -> Student {
    let mut student = Student(shipped::session(quick()));
    student.handle(Command::Focus(stage));
    student
}

fn play(student: &mut Student, stage: Stage) -> Vec<Event> {
    student.handle(Command::Play);
    let mut events = student.until(|events| !points(events, stage.method()).is_empty());
    events.extend(student.handle(Command::Pause));
    events
}

fn model(student: &mut Student, stage: Stage) -> Vec<u8> {
    let events = student.handle(Command::ExportCheckpoint(stage));
    let file = events.into_iter().find_map(|event| match event {
        Event::Checkpoint(_, bytes) => Some(bytes),
        _ => None,
    });
    file.expect("there is a model")
}

fn is_undone(events: &[Event]) -> bool {
    events.iter().any(|event| matches!(event, Event::Undone(_)))
}

fn steps(events: &[Event], stage: Stage) -> Option<usize> {
    let of = |event: &Event| match event {
        Event::Stage(status) if status.stage == stage => Some(status.steps),
        _ => None,
    };
    events.iter().rev().find_map(of)
}

#[test]
fn a_run_whose_reset_is_taken_back_goes_on_bit_for_bit() {
    // All but those that would train a reward model first.
    let needs_none = |stage: &Stage| stage.policy().is_some_and(|method| !method.info().needs_reward_model);
    for stage in Stage::of_policies().filter(needs_none) {
        let (mut straight, mut back) = (student(stage), student(stage));
        let first = points(&play(&mut straight, stage), stage.method());
        assert_eq!(points(&play(&mut back, stage), stage.method()), first);
        let before = model(&mut back, stage);

        let events = back.handle(Command::Reset);
        assert_eq!(steps(&events, stage), Some(0));
        assert!(events.contains(&Event::Undoable(true)), "{stage:?}");
        // What does not train disturbs nothing.
        back.handle(Command::ReadAt(0.5));
        let events = back.handle(Command::Undo);
        assert!(is_undone(&events) && events.contains(&Event::Undoable(false)));
        assert_eq!(steps(&events, stage), Some(first[0].point.step as usize));
        assert_eq!(model(&mut back, stage), before);

        // The optimiser's moments, the order of the pairs and the number of the run are as they were, too.
        let expected = points(&play(&mut straight, stage), stage.method());
        assert_eq!(points(&play(&mut back, stage), stage.method()), expected, "{stage:?}");
        assert_eq!(model(&mut back, stage), model(&mut straight, stage));
    }
}

#[test]
fn a_reset_ends_what_plays_and_can_be_taken_back_until_the_next_step() {
    let mut student = student(Stage::Dpo);
    assert!(!student.handle(Command::Reset).contains(&Event::Undoable(true)), "no step is lost");
    student.handle(Command::Play);
    student.until(|events| events.iter().any(|event| matches!(event, Event::Metrics(..))));
    let events = student.handle(Command::Reset);
    assert!(events.contains(&Event::Playing(false)) && events.contains(&Event::Undoable(true)));
    let events = student.handle(Command::Step(Stage::Dpo));
    assert!(events.contains(&Event::Undoable(false)));
    let events = student.handle(Command::Undo);
    assert!(!is_undone(&events) && steps(&events, Stage::Dpo).is_none(), "{events:?}");
    student.handle(Command::Reset);
    let others = Settings { seed: 9, ..quick() };
    assert!(student.handle(Command::Configure(others)).contains(&Event::Undoable(false)), "other pairs, another run");
}

#[test]
fn a_reward_model_on_its_way_and_the_beta_set_since_survive() {
    let mut student = student(Stage::RewardModel);
    student.handle(Command::Play);
    let has_step = |event: &Event| matches!(event, Event::Metrics(_, rows) if !rows.is_empty());
    student.until(|events| events.iter().any(has_step));
    student.handle(Command::Pause);
    student.handle(Command::Reset);
    let events = student.handle(Command::Undo);
    assert!(steps(&events, Stage::RewardModel).is_some_and(|steps| steps > 0), "{events:?}");

    let mut dpo = self::student(Stage::Dpo);
    play(&mut dpo, Stage::Dpo);
    for command in [Command::Reset, Command::SetBeta(2.0), Command::Undo] {
        dpo.handle(command);
    }
    let events = dpo.handle(Command::Step(Stage::Dpo));
    let batch = events
        .iter()
        .find_map(|event| if let Event::Inside(_, Inside::Dpo(batch)) = event { Some(batch) } else { None });
    assert!(batch.is_some_and(|batch| batch.beta == 2.0 && batch.step == 4), "{batch:?}");
}

#[test]
fn a_sweep_that_a_reset_ended_goes_on() {
    let plan = || Command::Sweep(Some(Sweep { betas: vec![2.0, 0.3, 0.05], steps: 5, workers: 0 }));
    let is_over = |events: &[Event]| events.iter().any(|event| matches!(event, Event::Sweep(None)));
    let mut straight = student(Stage::Dpo);
    straight.handle(plan());
    let expected = points(&straight.until(is_over), Method::Dpo);

    let mut back = student(Stage::Dpo);
    back.handle(plan());
    let mut events = back.until(|events| points(events, Method::Dpo).len() == 3);
    back.handle(Command::Reset);
    let again = back.handle(Command::Undo);
    assert!(again.iter().any(|event| matches!(event, Event::Sweep(Some(run)) if run.number == 2)), "{again:?}");
    back.handle(Command::Play);
    events.extend(back.until(is_over));
    assert_eq!(points(&events, Method::Dpo), expected);
}

#[test]
fn a_session_that_another_took_the_place_of_is_had_back_bit_for_bit() {
    for stage in [Stage::Dpo, Stage::PpoGt] {
        let (mut straight, mut back) = (student(stage), student(stage));
        let first = points(&play(&mut straight, stage), stage.method());
        assert_eq!(points(&play(&mut back, stage), stage.method()), first);

        let other = Settings { seed: 9, ..quick() };
        back.handle(Command::Play);
        let mut replacing = Student(shipped::session(other));
        block_on(replacing.0.open());
        let told = replacing.0.put_aside(back.0);
        assert_eq!(told, [Event::Undoable(true)], "{stage:?}");
        // Another start, before which nothing was trained, keeps what the first one put aside.
        let mut again = Student(shipped::session(Settings { seed: 10, ..quick() }));
        block_on(again.0.open());
        assert_eq!(again.0.put_aside(replacing.0), [Event::Undoable(true)]);
        // What does not train disturbs nothing, and settings that were changed since are as they were.
        again.handle(Command::SetBeta(0.9));
        let events = again.handle(Command::Undo);
        assert!(is_undone(&events), "{events:?}");
        assert!(events.contains(&Event::Undone(quick())), "{events:?}");
        assert_eq!(steps(&events, stage), Some(first[0].point.step as usize));
        let playing: Vec<&Event> = events.iter().filter(|event| matches!(event, Event::Playing(_))).collect();
        assert_eq!(playing, [&Event::Playing(false)], "it rests");

        let expected = points(&play(&mut straight, stage), stage.method());
        assert_eq!(points(&play(&mut again, stage), stage.method()), expected, "{stage:?}");
        assert_eq!(model(&mut again, stage), model(&mut straight, stage));
    }
}

#[test]
fn a_step_in_the_new_session_is_the_end_of_the_one_before() {
    let mut former = student(Stage::Dpo);
    let mut untouched = Student(shipped::session(quick()));
    assert_eq!(untouched.0.put_aside(student(Stage::Dpo).0), [], "nothing was trained");
    former.handle(Command::Step(Stage::Dpo));
    // A reset that can still be taken back is worth as much as the steps that it took.
    former.handle(Command::Reset);
    let mut now = student(Stage::Dpo);
    assert_eq!(now.0.put_aside(former.0), [Event::Undoable(true)]);
    let events = now.handle(Command::Undo);
    assert!(is_undone(&events) && events.contains(&Event::Undoable(true)), "{events:?}");
    let events = now.handle(Command::Undo);
    assert!(is_undone(&events) && events.contains(&Event::Undoable(false)), "{events:?}");

    let mut next = student(Stage::Dpo);
    assert_eq!(next.0.put_aside(now.0), [Event::Undoable(true)]);
    assert!(next.handle(Command::Step(Stage::Dpo)).contains(&Event::Undoable(false)));
    assert!(!is_undone(&next.handle(Command::Undo)));
}
