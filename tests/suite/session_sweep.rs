//! A sweep over β: the same runs as a person starts by hand, one after another, and everything else where it was.

use crate::common::session as shipped;
use crate::common::student::{Student, points};
use crate::common::sweep::quick;
use klimb::engine::protocol::*;
use klimb::engine::settings::Settings;
use klimb::metrics::{Method, Setting};
use klimb::model::{Checkpoint, Layout};
use pollster::block_on;

const BETAS: [f64; 3] = [2.0, 0.3, 0.05];

fn student() -> Student {
    Student(shipped::session(quick()))
}

fn plan(steps: u64) -> Command {
    Command::Sweep(Some(Sweep { betas: BETAS.to_vec(), steps, workers: 0 }))
}

fn is_over(events: &[Event]) -> bool {
    events.iter().any(|event| matches!(event, Event::Sweep(None)))
}

fn runs(events: &[Event]) -> Vec<SweepRun> {
    events.iter().filter_map(|event| if let Event::Sweep(run) = event { *run } else { None }).collect()
}

#[test]
fn its_points_are_those_of_runs_started_by_hand_bit_for_bit() {
    for (stage, steps, a_run) in [(Stage::Dpo, 5, 2), (Stage::PpoGt, 1, 1)] {
        let mut sweeper = student();
        sweeper.handle(Command::Focus(stage));
        let mut events = sweeper.handle(plan(steps));
        events.extend(sweeper.until(is_over));
        let swept = points(&events, stage.method());
        assert_eq!(swept.len(), BETAS.len() * a_run, "each run ends with its next point: {swept:?}");

        let mut hand = student();
        hand.handle(Command::Focus(stage));
        let mut by_hand = Vec::new();
        for beta in BETAS {
            for command in [Command::SetBeta(beta), Command::Reset, Command::Play] {
                hand.handle(command);
            }
            let events = hand.until(|events| points(events, stage.method()).len() == a_run);
            by_hand.extend(points(&events, stage.method()));
            hand.handle(Command::Pause);
        }
        assert_eq!(swept, by_hand, "{stage:?}");
        let began: Vec<(f64, u32, usize)> = runs(&events).iter().map(|it| (it.beta, it.run, it.number)).collect();
        assert_eq!(began, [(2.0, 1, 1), (0.3, 2, 2), (0.05, 3, 3)]);
    }
}

#[test]
fn afterwards_beta_is_where_it_was_and_play_begins_a_run_of_its_own() {
    let mut student = student();
    let mut events = student.handle(plan(3));
    let progress = |events: &[Event]| -> Vec<(usize, usize)> {
        let of = |event: &Event| match event {
            Event::Progress(it) if it.work == Work::Sweep => Some((it.done, it.total)),
            _ => None,
        };
        events.iter().filter_map(of).collect()
    };
    events.extend(student.until(is_over));
    let told = progress(&events);
    assert!(told.windows(2).all(|two| two[0].0 <= two[1].0 || two[1] == (1, 1)), "{told:?}");
    assert_eq!((told[0], told.last()), ((0, 9), Some(&(1, 1))));
    assert!(events.contains(&Event::Playing(false)));
    student.handle(Command::Play);
    let next = points(&student.until(|events| !points(events, Method::Dpo).is_empty()), Method::Dpo).remove(0);
    assert_eq!((next.run, next.point.step, next.point.setting), (4, 3, Setting::Number(0.5)));
}

#[test]
fn it_is_paused_and_resumed_cancelled_and_left_for_another_stage() {
    let mut student = student();
    student.handle(plan(6));
    let mut seen = student.until(|events| !points(events, Method::Dpo).is_empty());
    student.handle(Command::Pause);
    // Her β, moved meanwhile, waits for the end.
    student.handle(Command::SetBeta(1.5));
    student.handle(Command::Focus(Stage::PpoGt));
    student.handle(Command::Play);
    let other = points(&student.until(|events| !points(events, Method::PpoGt).is_empty()), Method::PpoGt).remove(0);
    assert_eq!(other.point.setting, Setting::Number(1.5), "another stage has her β");
    student.handle(Command::Focus(Stage::Dpo));
    seen.extend(student.until(|events| points(events, Method::Dpo).len() == 2));
    let at: Vec<(u32, u64, Setting)> =
        points(&seen, Method::Dpo).into_iter().map(|it| (it.run, it.point.step, it.point.setting)).collect();
    let number = Setting::Number;
    assert_eq!(at, [(1, 3, number(2.0)), (1, 6, number(2.0)), (2, 3, number(0.3))]);
    assert!(is_over(&student.handle(Command::Sweep(None))));
    assert!(!student.handle(Command::Pause).contains(&Event::Playing(false)), "cancelled, it rests already");
    student.handle(Command::Play);
    let next = points(&student.until(|events| !points(events, Method::Dpo).is_empty()), Method::Dpo).remove(0);
    assert_eq!((next.run, next.point.setting), (3, number(1.5)));
}

#[test]
fn what_starts_the_stage_over_ends_it_and_what_cannot_be_swept_is_said() {
    let mut student = student();
    for command in [Command::Reset, Command::Configure(Settings { seed: 2, beta: 0.7, ..quick() })] {
        student.handle(plan(6));
        student.until(|events| !points(events, Method::Dpo).is_empty());
        assert!(is_over(&student.handle(command)));
    }
    student.handle(Command::Play);
    let next = points(&student.until(|events| !points(events, Method::Dpo).is_empty()), Method::Dpo).remove(0);
    assert_eq!(next.point.setting, Setting::Number(0.7), "the β that came with the settings");
    student.handle(Command::Pause);
    let refused = |events: Vec<Event>| -> Option<String> {
        events.into_iter().find_map(|it| if let Event::Failure(it) = it { it.field } else { None })
    };
    student.handle(Command::Focus(Stage::Unlikelihood));
    assert_eq!(refused(student.handle(plan(3))).as_deref(), Some("beta"));
    student.handle(Command::Focus(Stage::Dpo));
    let beyond = Command::Sweep(Some(Sweep { betas: vec![0.5, 900.0], steps: 3, workers: 0 }));
    assert_eq!(refused(student.handle(beyond)).as_deref(), Some("beta"));
    student.handle(Command::Configure(Settings { target_kl: 3.0, ..quick() }));
    student.handle(Command::Focus(Stage::PpoGt));
    assert_eq!(refused(student.handle(plan(3))).as_deref(), Some("target_kl"));
}

/// A reference so sure of itself that gradients, which grow with β, overflow at a β of some units and not at one of tenths.
fn sure() -> Vec<u8> {
    let shipped = include_bytes!("../../www/assets/sft.safetensors");
    let mut sft = Checkpoint::from_bytes(shipped, None).expect("a shipped checkpoint");
    let layout = Layout::new(&sft.config);
    for name in ["lnfg", "lnfb"] {
        let range = layout.tensor(name).expect("the final norm").range();
        sft.parameters[range].iter_mut().for_each(|it| *it *= 1e19);
    }
    sft.to_bytes()
}

#[test]
fn a_run_that_breaks_down_is_told_and_the_others_are_made_all_the_same() {
    let pairs = ["the plot", "the music"]
        .map(|prompt| format!(r#"{{"prompt":"{prompt}","chosen":"was superb .","rejected":"was dull ."}}"#))
        .join("\n");
    let one = "The run of DPO at β 5 produced a number that is not finite, so it was stopped at its last good step.";
    let two = "2 runs of this sweep have produced a number that is not finite and were stopped at their last good step, \
               the newest that of DPO at β 4.";
    for (betas, made, told) in
        [([0.05, 5.0, 0.1], vec![0.05, 0.1], vec![one]), ([5.0, 0.05, 4.0], vec![0.05], vec![one, two])]
    {
        let mut student = student();
        for command in [Command::LoadCheckpoint(sure()), Command::LoadPreferences(pairs.clone().into_bytes())] {
            student.handle(command);
        }
        let mut events = student.handle(Command::Sweep(Some(Sweep { betas: betas.to_vec(), steps: 3, workers: 0 })));
        while !is_over(&events) {
            assert!(student.0.busy(), "it rests before its end");
            events.extend(block_on(student.0.advance()));
        }
        let is_broken = |row: &klimb::metrics::MetricRow| row.values.values().any(|it| !it.is_finite());
        let rows = events.iter().filter_map(|it| if let Event::Metrics(_, rows) = it { Some(rows) } else { None });
        assert!(rows.flatten().any(is_broken), "a number was really not finite");
        let failures: Vec<&Failure> =
            events.iter().filter_map(|it| if let Event::Failure(it) = it { Some(it) } else { None }).collect();
        assert_eq!(failures.iter().map(|it| it.sentence.to_string()).collect::<Vec<_>>(), told);
        assert!(failures.iter().all(|it| !it.stopped && it.field.as_deref() == Some("learning_rate")));
        let is_last = |it: &Failure| it.remedy.to_string().starts_with("It was the sweep’s last run");
        assert_eq!(is_last(failures.last().expect("one at least")), betas[2] > 1.0);
        let at: Vec<Setting> = points(&events, Method::Dpo).into_iter().map(|it| it.point.setting).collect();
        assert_eq!(at, made.into_iter().map(Setting::Number).collect::<Vec<_>>(), "a point of every other run");
        assert_eq!(runs(&events).iter().map(|it| it.beta).collect::<Vec<_>>(), betas, "each was begun");
        assert!(!student.handle(Command::Pause).contains(&Event::Playing(false)), "over, it rests");
    }
}
