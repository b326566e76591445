//! What fails is survived: a device that is lost at every kernel and every read of training and of measuring in turn, a
//! read that fails, a device that refuses, and a buffer full of what is no number. After each nothing that was kept is
//! lost, the person is told what happened and what to do, nothing measured of a failed step stands in the chart, and
//! training goes on.
//!
//! More than 400 lines, because all its tests drive one student, whose faults and outcomes are told here.

mod backend;

use std::io::Write;

use klimb::engine::protocol::*;
use klimb::engine::session::{Session, Snapshot};
use klimb::engine::settings::Settings;
use klimb::experiments::{OptimumSettings, RecordedOptimum};
use klimb::metrics::OptimumPoint;
use klimb::model::{Checkpoint, ModelConfig, initial_parameters};
use klimb::world::{MAX_SEQUENCE, World, WorldSettings};
use pollster::block_on;

use crate::common::session::badge;
use backend::{Fault, Faults, Faulty};

/// Kernels or reads at most in what is driven here: an end for a loop that would not find its own.
const MOST: u64 = 20_000;
/// Every policy; of those that learn from what they write, the ones that a reward model judges, whose way is the longer.
fn stages() -> impl Iterator<Item = Stage> {
    Stage::of_policies().filter(|stage| {
        stage.policy().is_some_and(|method| !method.learns_from_rollouts() || method.info().needs_reward_model)
    })
}

/// The least that has every kernel in it.
fn settings() -> Settings {
    Settings {
        batch_size: 2,
        pairs: 6,
        evaluate_every: 1,
        evaluation_samples: 64,
        reward_model_pairs: 12,
        reward_model_epochs: 1,
        rollout_size: 8,
        ppo_epochs: 1,
        evaluate_rollouts: 1,
        ..Settings::default()
    }
}

/// A student before a small session that can fail.
struct Student {
    session: Session<Faulty>,
    faults: Faults,
    as_card: bool,
}

/// What came of a run with a fault in it.
#[derive(Debug, PartialEq)]
enum Outcome {
    /// The point that was trained for, and no failure.
    Point(Box<Point>),
    /// The failure, and the points told before and with it.
    Failure(Failure, Vec<Point>),
}

impl Student {
    /// From small models of nothing learned, with some pairs that a person labelled, at the first point of `stage`.
    fn new(stage: Stage, as_card: bool) -> Self {
        let world = World::new(WorldSettings::default()).expect("the default world");
        let config = ModelConfig {
            vocabulary: world.vocabulary().len(),
            context: MAX_SEQUENCE,
            width: 16,
            layers: 1,
            heads: 2,
            own_unembedding: false,
        };
        let model = Checkpoint {
            config,
            vocabulary_fingerprint: world.vocabulary().fingerprint(),
            step: 1,
            stage: "sft".into(),
            head: false,
            parameters: initial_parameters(&config, 1),
        };
        let optimum = OptimumPoint { beta: 1.0, kl_per_sequence: 1.0, gold_reward: 0.9, effective_sample_size: 100.0 };
        let optimum = RecordedOptimum {
            reference: model.fingerprint(),
            temperature: 0.1,
            settings: OptimumSettings::default(),
            samples: 1,
            points: vec![optimum],
        };
        let line = |prompt: &str, good: &str| {
            format!("{{\"prompt\":\"{prompt}\",\"chosen\":\"{good} .\",\"rejected\":\"was dull .\"}}\n")
        };
        let pairs: String = ["the acting", "the plot", "the music", "this film", "the story", "the ending"]
            .iter()
            .flat_map(|prompt| [line(prompt, "was superb"), line(prompt, "was good")])
            .collect();
        let checkpoints = Checkpoints {
            base: model.to_bytes(),
            sft: model.to_bytes(),
            optimum: optimum.to_json().into_bytes(),
            preferences: pairs.into_bytes(),
        };
        let (k, faults) = Faulty::new(as_card);
        let session = Session::new(k, || 0.0, badge(), settings(), &checkpoints).expect("small models can be used");
        let mut student = Self { session, faults, as_card };
        block_on(student.session.open());
        student.handle(Command::Focus(stage));
        let reference = student.slices_until(|event| matches!(event, Event::Point(_)));
        assert!(matches!(reference, Outcome::Point(_)), "{reference:?}");
        student.train().expect("a point without a fault");
        student
    }

    fn handle(&mut self, command: Command) -> Vec<Event> {
        block_on(self.session.handle(command))
    }

    /// Another session on a backend without a fault, from where this one was kept.
    fn restored(&self, snapshot: &Snapshot) -> Self {
        let (k, faults) = Faulty::new(self.as_card);
        let session = Session::restore(k, || 0.0, badge(), snapshot).expect("a snapshot can be used");
        let mut student = Self { session, faults, as_card: self.as_card };
        let events = block_on(student.session.open());
        assert!(failure(&events).is_none(), "{events:?}");
        student
    }

    /// Slices until an event that is waited for, or a failure.
    fn slices_until(&mut self, is_enough: fn(&Event) -> bool) -> Outcome {
        let mut points = Vec::new();
        for _ in 0..2000 {
            assert!(self.session.busy(), "the session rests before there is a point or a failure");
            let events = block_on(self.session.advance());
            for event in &events {
                if let Event::Samples(samples) = event {
                    assert!(!format!("{samples:?}").contains("NaN"), "samples with what is no number are told");
                }
                if let Event::Point(point) = event {
                    assert!(point.point.is_plausible(), "a point of what is no number is told: {point:?}");
                    points.push(point.clone());
                }
            }
            if let Some(failure) = failure(&events) {
                return Outcome::Failure(failure.clone(), points);
            }
            if let (Some(point), true) = (points.last(), events.iter().any(is_enough)) {
                return Outcome::Point(Box::new(point.clone()));
            }
        }
        panic!("two thousand slices and no point");
    }

    /// Plays until the next point of a policy with what belongs to it, and pauses.
    fn played(&mut self) -> Outcome {
        self.handle(Command::Play);
        let outcome = self.slices_until(|event| matches!(event, Event::Samples(_)));
        self.handle(Command::Pause);
        outcome
    }

    fn train(&mut self) -> Result<Point, Failure> {
        match self.played() {
            Outcome::Point(point) => Ok(*point),
            Outcome::Failure(failure, _) => Err(failure),
        }
    }
}

fn failure(events: &[Event]) -> Option<&Failure> {
    events.iter().find_map(|event| if let Event::Failure(failure) = event { Some(failure) } else { None })
}

fn is_said(Failure { sentence, remedy, .. }: &Failure) {
    assert!(sentence.to_string().ends_with('.') && remedy.to_string().ends_with('.'), "{sentence} {remedy}");
}

fn is_told(failure: &Failure) {
    is_said(failure);
    assert!(failure.stopped, "{failure:?}");
}

/// By what is written: a report on a validation of two pairs may hold what is no number, which is not even equal to itself.
fn is_same(one: &Snapshot, other: &Snapshot) -> bool {
    // What a lost device's session has told goes along with its snapshot, and is not what is kept.
    format!("{:?}", one.kept()) == format!("{:?}", other.kept())
}

/// Not by a macro, which the runner of tests would keep to itself.
fn say(line: &str) {
    std::io::stdout().write_all(format!("faults: {line}\n").as_bytes()).expect("an open output");
}

/// What `count` gives for each stage, in words.
fn each_stage(mut count: impl FnMut(Stage) -> usize) -> String {
    let counts: Vec<String> = stages().map(|stage| format!("{} of {stage:?}", count(stage))).collect();
    counts.join(", ")
}

/// A device that is lost at each place in turn, until there is no such place before the next point. The next visit goes on
/// where the last was kept, and so does the next fault.
fn lose_everywhere(stage: Stage, as_card: bool, fault: fn(u64) -> Fault, stride: usize) -> usize {
    let first = Student::new(stage, as_card);
    let kept = first.session.snapshot();
    let expected = first.restored(&kept).train().expect("a point without a fault");
    let mut student = first.restored(&kept);
    for (count, place) in (0..MOST).step_by(stride).enumerate() {
        student.faults.set(fault(place));
        let outcome = student.played();
        if !student.faults.have_come() {
            assert_eq!(outcome, Outcome::Point(Box::new(expected)), "place {place}: no fault, and another point");
            return count;
        }
        let Outcome::Failure(failure, points) = outcome else { panic!("place {place}: nobody was told: {outcome:?}") };
        is_told(&failure);
        assert!(student.session.lost(), "place {place}: {failure:?}");
        let snapshot = student.session.snapshot();
        match points.as_slice() {
            [] => assert!(is_same(&snapshot, &kept), "place {place}: what was kept is another"),
            [point] => {
                assert_eq!(*point, expected, "place {place}");
                assert_eq!(snapshot.step(), point.point.step, "place {place}: a point was told that is not kept");
            }
            more => panic!("place {place}: {more:?}"),
        }
        // Most go on to the next fault at once, which is on the way; some as far as a point.
        if count % 16 == 0 {
            let point = student.restored(&snapshot).train().expect("training goes on");
            assert!(point.point.step > snapshot.step(), "place {place}");
            assert!(points.len() == 1 || point == expected, "place {place}: another point than without a fault");
        }
        student = student.restored(&kept);
    }
    panic!("{MOST} places and no end");
}

/// The same of a fault after which the session itself goes on.
fn survive_everywhere(stage: Stage, as_card: bool, fault: fn(u64) -> Fault) -> (usize, u64) {
    let mut student = Student::new(stage, as_card);
    let mut unnoticed = 0;
    for place in 0..MOST {
        let before = student.session.snapshot();
        student.faults.set(fault(place));
        let outcome = student.played();
        let has_come = student.faults.have_come();
        student.faults.none();
        if !has_come {
            assert!(matches!(outcome, Outcome::Point(_)), "{outcome:?}");
            return (place as usize, unnoticed);
        }
        assert!(!student.session.lost(), "place {place}");
        match outcome {
            // It met a number that nobody needs: the point is the one without it.
            Outcome::Point(_) => {
                unnoticed += 1;
                let (mut with, mut without) = (student.restored(&before), student.restored(&before));
                with.faults.set(fault(place));
                if let Outcome::Point(point) = with.played() {
                    assert_eq!(without.train(), Ok(*point), "place {place}: nobody was told of another point");
                }
            }
            Outcome::Failure(failure, points) => {
                is_told(&failure);
                if points.is_empty() {
                    assert!(is_same(&student.session.snapshot(), &before), "place {place}: what was kept is another");
                }
            }
        }
        // As the sentence says: try again, or reset and try again.
        if student.train().is_err() {
            student.handle(Command::Reset);
            student.train().unwrap_or_else(|failure| panic!("place {place}: training does not go on: {failure:?}"));
        }
        let snapshot = student.session.snapshot();
        if place % 16 == 0 {
            student
                .restored(&snapshot)
                .train()
                .unwrap_or_else(|failure| panic!("place {place}: what is kept is spoilt: {failure:?}"));
        }
    }
    panic!("{MOST} places and no end");
}

#[test]
fn a_device_that_is_lost_at_any_kernel_costs_nothing_that_was_kept() {
    let counts = each_stage(|stage| lose_everywhere(stage, true, Fault::LostAtKernel, 1));
    say(&format!("a device lost at each kernel, evaluations included: {counts}"));
    // Word by word it is many hundreds of kernels, all but a few of them the same eleven again and again.
    let stride = if std::env::var_os("KLIMB_LONG").is_some() { 1 } else { 13 };
    let [dpo, ppo] = [Stage::Dpo, Stage::Ppo].map(|stage| lose_everywhere(stage, false, Fault::LostAtKernel, stride));
    say(&format!("a device without a kernel for whole sequences lost at {dpo} kernels of DPO and {ppo} of PPO"));
}

#[test]
fn a_device_that_is_lost_at_any_read_costs_nothing_that_was_kept() {
    let counts = each_stage(|stage| lose_everywhere(stage, true, Fault::LostAtRead, 1));
    say(&format!("a device lost at each read and wait: {counts}"));
}

/// Out of memory, for one: whoever drives the session goes on elsewhere, as with a device that is lost.
#[test]
fn a_device_that_refuses_at_any_kernel_costs_nothing_that_was_kept() {
    // It goes the way of one that is lost, so beside DPO not every kernel is tried.
    let stride = |stage| if stage == Stage::Dpo || std::env::var_os("KLIMB_LONG").is_some() { 1 } else { 7 };
    let counts = each_stage(|stage| lose_everywhere(stage, true, Fault::RefusedAtKernel, stride(stage)));
    say(&format!("a device that refuses from a kernel on: {counts}"));
}

#[test]
fn a_read_that_fails_anywhere_is_told_and_training_goes_on() {
    let counts = each_stage(|stage| survive_everywhere(stage, true, Fault::FailedRead).0);
    say(&format!("each read and wait failed: {counts}"));
}

#[test]
fn what_is_no_number_in_any_buffer_is_told_and_never_measured() {
    for (what, fault) in [("kernel", Fault::NanFromKernel as fn(u64) -> Fault), ("write", Fault::NanFromWrite)] {
        let mut unnoticed = 0;
        let counts = each_stage(|stage| {
            let (count, its) = survive_everywhere(stage, true, fault);
            unnoticed += its;
            count
        });
        say(&format!("NaN from each {what}: {counts}; {unnoticed} changed nothing"));
    }
}

/// What is made in one go and then kept whole, or else from the beginning by the next visit.
type Made = fn(&mut Student) -> Result<String, Failure>;

/// Every fault at every place while something is made of which nothing is kept before it is there: what else was kept stands,
/// and made again it is the same.
fn survive_making(what: &str, focus: Stage, made: Made) {
    let first = Student::new(Stage::Dpo, true);
    let mut focused = first.restored(&first.session.snapshot());
    focused.handle(Command::Focus(focus));
    let kept = focused.session.snapshot();
    let expected = made(&mut first.restored(&kept)).expect("there is no fault");
    type Named = (&'static str, fn(u64) -> Fault);
    let faults: [Named; 5] = [
        ("device lost at each kernel", Fault::LostAtKernel),
        ("device lost at each read", Fault::LostAtRead),
        ("failure of each read", Fault::FailedRead),
        ("NaN from each kernel", Fault::NanFromKernel),
        ("NaN from each write", Fault::NanFromWrite),
    ];
    for (name, fault) in faults {
        let (mut places, mut unnoticed) = (0, 0);
        for place in 0..MOST {
            let mut student = first.restored(&kept);
            student.faults.set(fault(place));
            let outcome = made(&mut student);
            if !student.faults.have_come() {
                outcome.expect("there is no fault");
                places = place;
                break;
            }
            match outcome {
                // It met a number that nobody needs.
                Ok(outcome) => {
                    unnoticed += 1;
                    assert_eq!(outcome, expected, "{name}, place {place}: nobody was told of another {what}");
                }
                Err(failure) => {
                    is_said(&failure);
                    let now = student.session.snapshot();
                    assert!(is_same(&now, &kept), "{name}, place {place}: what was kept is another");
                    if place % 16 == 0 {
                        let again = made(&mut student.restored(&now)).expect("training goes on");
                        assert_eq!(again, expected, "{name}, place {place}: another {what}");
                    }
                }
            }
        }
        assert!(places > 0, "{name}: no end");
        say(&format!("{name} of the {what}: {places}, {unnoticed} of them unnoticed"));
    }
}

#[test]
fn a_fault_anywhere_in_training_the_reward_model_costs_nothing_that_was_kept() {
    survive_making("reward model", Stage::RewardModel, |student| {
        student.handle(Command::Play);
        for _ in 0..2000 {
            if !student.session.busy() {
                let kept = student.session.snapshot().kept();
                return Ok(format!("{:?}", kept.reward_model.expect("a finished reward model is kept")));
            }
            if let Some(failure) = failure(&block_on(student.session.advance())) {
                return Err(failure.clone());
            }
        }
        panic!("two thousand slices and no reward model");
    });
}

#[test]
fn a_fault_anywhere_in_training_the_reference_costs_nothing_that_was_kept() {
    survive_making("SFT model after two steps", Stage::Sft, |student| {
        let steps = [Command::Retrain, Command::Step(Stage::Sft), Command::Step(Stage::Sft)];
        let mut told = Vec::new();
        for command in steps.into_iter().chain([Command::ExportCheckpoint(Stage::Sft)]) {
            let events = student.handle(command);
            if let Some(failure) = failure(&events) {
                return Err(failure.clone());
            }
            told.extend(events);
        }
        let model = told.into_iter().find_map(|event| match event {
            Event::Checkpoint(_, bytes) => {
                Some(Checkpoint::from_bytes(&bytes, None).expect("its own file").fingerprint())
            }
            _ => None,
        });
        Ok(model.expect("a model is told"))
    });
}
