//! Unlikelihood, Preferred-FT, Best-of-N and contests in a student's session on the CPU.

use crate::common::session as shipped;
use crate::common::student::Student;
use klimb::engine::protocol::*;
use klimb::engine::session::ModelKind;
use klimb::engine::settings::{Breadth, Settings};
use klimb::metrics::{FrontierPoint, WinRatePoint};

fn student(settings: Settings) -> Student {
    Student(shipped::session(settings))
}

fn settings() -> Settings {
    Settings {
        batch_size: 8,
        pairs: 96,
        evaluate_every: 2,
        evaluation_samples: 64,
        reward_model_pairs: 48,
        reward_model_epochs: 1,
        largest_n: 16,
        best_of_n_completions: 256,
        ..Settings::default()
    }
}

/// Plays a stage until `count` points of its method have come.
fn play(student: &mut Student, stage: Stage, method: &str, count: usize) -> Vec<FrontierPoint> {
    student.handle(Command::Focus(stage));
    student.handle(Command::Play);
    let events = student.until(|events| points(events, method).len() >= count);
    student.handle(Command::Pause);
    points(&events, method)
}

/// The points of a method, but for the seconds, which are the clock's.
fn points(events: &[Event], method: &str) -> Vec<FrontierPoint> {
    let of = |event: &Event| match event {
        Event::Point(Point { point, .. }) if point.method.info().file_name == method => {
            Some(FrontierPoint { seconds: 0.0, ..point.clone() })
        }
        _ => None,
    };
    events.iter().filter_map(of).collect()
}

fn batch(events: &[Event]) -> &LikelihoodBatch {
    let found = events.iter().find_map(|event| match event {
        Event::Inside(_, Inside::Likelihood(batch)) => Some(batch),
        _ => None,
    });
    found.expect("a step tells its batch")
}

#[test]
fn a_step_of_unlikelihood_pulls_both_ways_and_one_of_preferred_ft_only_up() {
    let mut student = student(settings());
    let events = student.handle(Command::Step(Stage::Unlikelihood));
    let told = batch(&events).clone();
    assert_eq!((told.step, told.size, told.alpha, told.pairs.len()), (1, 8, 0.1, 4));
    for pair in &told.pairs {
        let expected = -pair.chosen.logprob + 0.1 * pair.rejected.logprob;
        assert!((pair.loss - expected).abs() < 1e-9 && pair.chosen.log_ratios.iter().all(|ratio| ratio.abs() < 1e-5));
    }
    let events = student.handle(Command::Step(Stage::PreferredFt));
    let other = batch(&events);
    assert_eq!((other.stage, other.alpha), (Stage::PreferredFt, 0.0));
    // The same pairs in the same order: each method goes through the data by itself.
    assert_eq!(other.pairs[0].chosen.words, told.pairs[0].chosen.words);
    assert!(other.mean_loss < told.mean_loss, "a token costs less than a pair: {} {}", other.mean_loss, told.mean_loss);
    let dpo = student.handle(Command::Step(Stage::Dpo));
    let first =
        dpo.iter().find_map(|event| if let Event::Inside(_, Inside::Dpo(batch)) = event { Some(batch) } else { None });
    assert_eq!(first.expect("a DPO step tells its batch").pairs[0].chosen.words, told.pairs[0].chosen.words);
}

#[test]
fn both_make_points_and_a_reset_makes_the_same_again() {
    let mut student = student(settings());
    for (stage, method) in [(Stage::Unlikelihood, "unlikelihood"), (Stage::PreferredFt, "preferred_ft")] {
        let first = play(&mut student, stage, method, 2);
        assert_eq!(first.iter().map(|point| point.step).collect::<Vec<_>>(), [2, 4]);
        assert!(first[1].kl_per_sequence > 1e-4, "{method} has learned: {:?}", first[1]);
        student.handle(Command::Reset);
        assert_eq!(play(&mut student, stage, method, 2), first, "{method}");
        let events = student.handle(Command::ExportCheckpoint(stage));
        assert!(events.iter().any(|event| matches!(event, Event::Checkpoint(its, _) if *its == stage)));
    }
    let events = student.handle(Command::SamplePrompt("the acting in this film".into()));
    let samples =
        events.iter().find_map(|event| if let Event::Samples(samples) = event { Some(samples) } else { None });
    let stages: Vec<Stage> = samples.unwrap().rows[0].completions.iter().map(|it| it.stage).collect();
    assert_eq!(stages, [Stage::Base, Stage::Sft, Stage::Unlikelihood, Stage::PreferredFt]);
}

#[test]
fn another_alpha_starts_unlikelihood_over_and_leaves_dpo_alone() {
    let mut student = student(settings());
    student.handle(Command::Step(Stage::Unlikelihood));
    student.handle(Command::Step(Stage::Dpo));
    let events = student.handle(Command::Configure(Settings { unlikelihood_alpha: 0.5, ..settings() }));
    let steps = |stage| {
        let of = |event: &Event| match event {
            Event::Stage(status) if status.stage == stage => Some(status.steps),
            _ => None,
        };
        events.iter().rev().find_map(of)
    };
    assert_eq!((steps(Stage::Unlikelihood), steps(Stage::Dpo)), (Some(0), None));
    let events = student.handle(Command::Step(Stage::Unlikelihood));
    assert_eq!(batch(&events).alpha, 0.5);
}

#[test]
fn pairs_by_the_policy_are_the_policy_s_own() {
    let mut student = student(Settings { online_pairs: true, learning_rate: 3e-2, ..settings() });
    let told = |events: &[Event]| {
        let found = events.iter().find_map(|event| {
            if let Event::Inside(_, Inside::Dpo(batch)) = event { Some(batch.clone()) } else { None }
        });
        found.expect("a DPO step tells its batch")
    };
    let first = told(&student.handle(Command::Step(Stage::Dpo)));
    assert!((first.mean_loss - std::f64::consts::LN_2).abs() < 1e-4, "the policy is the reference: {first:?}");
    let pairs = |events: &[Event]| {
        let of = |event: &Event| match event {
            Event::Stage(status) if status.stage == Stage::Pairs => Some(status.steps),
            _ => None,
        };
        events.iter().rev().find_map(of)
    };
    let events = student.handle(Command::Step(Stage::Dpo));
    assert_eq!(pairs(&events), None, "the reference's pairs are left to the reward model");
    let events = student.handle(Command::Configure(Settings { learning_rate: 3e-2, ..settings() }));
    assert!(
        events.iter().any(|it| matches!(it, Event::Stage(status) if status.stage == Stage::Dpo && status.steps == 0))
    );
    assert_eq!(pairs(&student.handle(Command::Step(Stage::Dpo))), Some(192), "a chunk is made whole");
}

#[test]
fn best_of_n_is_measured_by_gold_and_then_by_a_trained_reward_model() {
    let mut student = student(settings());
    student.handle(Command::Focus(Stage::BestOfN));
    student.handle(Command::Play);
    let ended = |events: &[Event]| events.contains(&Event::Playing(false));
    let events = student.until(ended);
    let gold = points(&events, "best_of_n");
    assert_eq!(gold.len(), 4, "N is 2, 4, 8, 16");
    assert!(gold.windows(2).all(|pair| pair[1].gold_reward > pair[0].gold_reward - 0.03), "{gold:?}");
    assert!(gold[3].gold_reward > 0.8, "{:?}", gold[3]);
    let told = |events: &[Event]| {
        let of =
            |event: &Event| if let Event::Inside(_, Inside::BestOfN(told)) = event { Some(told.clone()) } else { None };
        events.iter().rev().find_map(of).expect("Best-of-N tells its numbers")
    };
    for numbers in told(&events) {
        assert!(numbers.kl.mean - numbers.kl.half_width <= numbers.bound && !numbers.learned, "{numbers:?}");
    }
    // Nothing is left to do until a reward model is trained.
    student.handle(Command::Play);
    assert!(points(&student.until(ended), "best_of_n").is_empty());
    student.handle(Command::Focus(Stage::RewardModel));
    student.handle(Command::Play);
    student.until(ended);
    student.handle(Command::Focus(Stage::BestOfN));
    student.handle(Command::Play);
    let events = student.until(ended);
    assert_eq!(points(&events, "best_of_n_score").len(), 4);
    assert_eq!(told(&events).iter().filter(|numbers| numbers.learned).count(), 4);
}

#[test]
fn a_contest_measures_the_models_that_are_there_and_can_be_ended() {
    let mut student = student(settings());
    student.handle(Command::Step(Stage::Dpo));
    let rates = |events: &[Event]| -> Vec<WinRatePoint> {
        let of = |event: &Event| if let Event::WinRates(points) = event { Some(points.clone()) } else { None };
        events.iter().rev().find_map(of).unwrap_or_default()
    };
    student.handle(Command::Contest(true));
    let events = student.until(|events| rates(events).len() == 10);
    let methods: Vec<String> = rates(&events).iter().map(|point| point.method.clone()).collect();
    assert_eq!(methods, ["sft", "dpo"].map(|method| vec![method.to_owned(); 5]).concat());
    assert!(rates(&events).iter().all(|point| (0.2..0.8).contains(&point.result.win_rate)), "nobody has learned much");
    student.handle(Command::Contest(true));
    student.advance();
    let events = student.handle(Command::Contest(false));
    let is_over =
        |event: &Event| matches!(event, Event::Progress(it) if it.work == Work::Contest && it.done == it.total);
    assert!(events.iter().any(is_over), "{events:?}");
}

/// The same models under each breadth: what differs is the text alone.
#[test]
fn sft_learns_from_text_of_the_breadth_that_was_chosen() {
    let first_loss = |breadth| {
        let mut student = student(Settings { breadth, ..settings() });
        student.handle(Command::Retrain);
        let events = student.handle(Command::Step(Stage::Sft));
        let rows =
            events.iter().find_map(|it| if let Event::Metrics(Stage::Sft, rows) = it { Some(rows) } else { None });
        rows.expect("a step tells its loss")[0].values["sft/loss"]
    };
    let [clean, default, broad] = [Breadth::Clean, Breadth::Default, Breadth::Broad].map(first_loss);
    assert!(clean + 0.05 < default && default + 0.1 < broad, "noise surprises: {clean}, {default}, {broad}");
}

#[test]
fn another_breadth_needs_another_start() {
    let mut student = student(settings());
    student.handle(Command::Configure(Settings { breadth: Breadth::Broad, ..settings() }));
    let default = ModelKind { width: 32, breadth: Breadth::Default };
    assert_eq!(student.0.model_kind(), default, "its models are those of the default text");
}
