//! The order in which a session tells things, whatever stage is stepped or played: an event's kind and whose it is, but none of
//! its numbers, so that the order is the same on every machine. The clock moves by the same amount whenever it is looked at.

use std::cell::Cell;

use crate::common::session::{badge, checkpoints};
use klimb::backend::cpu::Cpu;
use klimb::engine::protocol::*;
use klimb::engine::session::Session;
use klimb::engine::settings::Settings;
use klimb::model::Checkpoint;
use pollster::block_on;

/// What is to come out, a line for a command or a slice, and how often it came one after another.
const EXPECTED: &str = include_str!("../data/session_order.txt");

fn settings() -> Settings {
    Settings {
        batch_size: 8,
        pairs: 384,
        evaluate_every: 2,
        evaluation_samples: 64,
        reward_model_pairs: 320,
        reward_model_epochs: 2,
        rollout_size: 8,
        ppo_epochs: 1,
        evaluate_rollouts: 1,
        largest_n: 4,
        best_of_n_completions: 256,
        ..Settings::default()
    }
}

thread_local!(static SECONDS: Cell<f64> = const { Cell::new(0.0) });

fn clock() -> f64 {
    SECONDS.set(SECONDS.get() + 1.0 / 256.0);
    SECONDS.get()
}

/// A session with what was asked of it and what it told.
struct Recording {
    session: Session<Cpu<f32>>,
    told: Vec<(String, Vec<Event>)>,
}

impl Recording {
    fn new() -> Self {
        let session = Session::new(Cpu::new(), clock, badge(), settings(), &checkpoints());
        let mut session = session.expect("the shipped checkpoints are valid");
        let events = block_on(session.open());
        Self { session, told: vec![("open".into(), events)] }
    }

    fn handle(&mut self, command: Command) {
        let asked = format!("{command:?}").chars().take(40).collect();
        let events = block_on(self.session.handle(command));
        self.told.push((asked, events));
    }

    fn advance(&mut self) {
        let events = block_on(self.session.advance());
        self.told.push(("slice".into(), events));
    }

    fn slices(&mut self, count: usize) {
        for _ in 0..count {
            self.advance();
        }
    }

    /// Slices as long as there is something to do.
    fn rest(&mut self) {
        while self.session.busy() {
            self.advance();
        }
    }

    /// Plays a stage for some slices.
    fn play(&mut self, stage: Stage, slices: usize) {
        self.handle(Command::Focus(stage));
        self.handle(Command::Play);
        self.slices(slices);
        self.handle(Command::Pause);
    }

    fn step(&mut self, stage: Stage) {
        self.handle(Command::Step(stage));
        self.rest();
    }
}

/// Every stage stepped and played: before what it needs is there, with it, and over again behind another reference.
fn recording() -> Recording {
    let mut it = Recording::new();
    it.handle(Command::Play);
    it.slices(12);
    it.handle(Command::Pause);
    it.rest();
    for stage in [Stage::Base, Stage::Unlikelihood, Stage::Pairs, Stage::Dpo, Stage::PreferredFt, Stage::PpoGt] {
        it.step(stage);
    }
    it.handle(Command::Reset);
    it.handle(Command::ExportCheckpoint(Stage::Ppo));
    it.step(Stage::Ppo);
    it.step(Stage::RewardModel);
    it.step(Stage::BestOfN);
    it.step(Stage::BestOfN);
    it.handle(Command::Focus(Stage::RewardModel));
    it.handle(Command::Reset);
    it.step(Stage::RewardModel);
    it.step(Stage::RewardModel);
    it.play(Stage::RewardModel, 4);
    it.handle(Command::Undo);
    it.handle(Command::Play);
    it.rest();
    it.step(Stage::BestOfN);
    for stage in [Stage::Ppo, Stage::PpoGt, Stage::Pairs, Stage::PreferredFt, Stage::BestOfN] {
        it.play(stage, 10);
    }
    it.rest();
    // Another reference, of a few steps.
    it.step(Stage::Sft);
    it.handle(Command::Retrain);
    it.step(Stage::Sft);
    it.play(Stage::Sft, 2);
    it.handle(Command::Step(Stage::Unlikelihood));
    it.slices(2);
    it.play(Stage::RewardModel, 12);
    it.handle(Command::Reset);
    it.handle(Command::Undo);
    it.play(Stage::BestOfN, 6);
    it.handle(Command::Step(Stage::Ppo));
    it.slices(30);
    it.play(Stage::Sft, 1);
    it.handle(Command::ExportCheckpoint(Stage::Sft));
    it.handle(Command::Focus(Stage::Ppo));
    it.handle(Command::Sweep(Some(Sweep { betas: vec![0.1, 0.3], steps: 1, workers: 0 })));
    it.slices(60);
    for stage in Stage::ALL {
        it.handle(Command::ExportCheckpoint(stage));
    }
    // A reference with which nothing can be computed.
    it.handle(Command::LoadCheckpoint(too_large()));
    for stage in [Stage::Dpo, Stage::PreferredFt, Stage::RewardModel, Stage::PpoGt, Stage::BestOfN] {
        it.handle(Command::Step(stage));
        it.slices(8);
    }
    it
}

/// The shipped SFT model, its weights so large that what it computes is not finite.
fn too_large() -> Vec<u8> {
    let mut checkpoint = Checkpoint::from_bytes(&checkpoints().sft, None).expect("a shipped file");
    checkpoint.parameters.iter_mut().for_each(|parameter| *parameter *= 1e20);
    checkpoint.to_bytes()
}

/// An event in a word, with what it is about.
fn kind(event: &Event) -> String {
    let debugged =
        |value: &dyn std::fmt::Debug| format!("{value:?}").split(['(', ' ']).next().unwrap_or_default().to_lowercase();
    match event {
        Event::Playing(playing) => if *playing { "playing" } else { "resting" }.into(),
        Event::Progress(Progress { work, done, total, .. }) => {
            format!("progress({})", if done == total { format!("{work:?}, end") } else { format!("{work:?}") })
        }
        Event::Stage(StageStatus { stage, state, steps, .. }) => format!("stage({}, {state:?}, {steps})", stage.id()),
        Event::Metrics(stage, rows) => format!("metrics({}, {})", stage.id(), rows.len()),
        Event::Point(point) => format!("point({}, {}, {})", point.point.method, point.run, point.point.step),
        Event::Inside(stage, inside) => format!("inside({}, {})", stage.id(), debugged(inside)),
        Event::Sweep(run) => format!("sweep({})", run.map_or(0, |run| run.number)),
        Event::Checkpoint(stage, _) => format!("checkpoint({})", stage.id()),
        Event::Failure(failure) => format!("failure({})", failure.sentence),
        other => debugged(other),
    }
}

#[test]
fn what_is_told_keeps_its_order_whatever_stage_is_trained() {
    let mut lines: Vec<(String, usize)> = Vec::new();
    for (asked, events) in recording().told {
        let kinds: Vec<String> = events.iter().map(kind).collect();
        let line = format!("{asked}: {}", kinds.join(" "));
        match lines.last_mut() {
            Some((last, count)) if *last == line => *count += 1,
            _ => lines.push((line, 1)),
        }
    }
    let told: String =
        lines.iter().map(|(line, count)| format!("{}\n", format!("{count} {line}").trim_end())).collect();
    let differs = told.lines().zip(EXPECTED.lines()).position(|(told, expected)| told != expected);
    let excerpt = differs.map(|line| (line + 1, told.lines().nth(line), EXPECTED.lines().nth(line)));
    assert!(told == EXPECTED, "first other line {excerpt:#?}; all of it:\n{told}");
}

#[test]
fn what_sft_has_learned_is_the_reference_before_anything_is_trained_from_it() {
    // The base model is no stage that trains: the first policy is trained in its place.
    for stage in [Stage::Base, Stage::Pairs, Stage::Dpo] {
        let mut recording = Recording::new();
        recording.handle(Command::Step(Stage::Sft));
        recording.handle(Command::Focus(stage));
        recording.handle(Command::Play);
        recording.advance();
        let (_, events) = recording.told.last().expect("a slice was told");
        let is_adopted = events.iter().any(|event| matches!(event, Event::Samples(_)));
        assert!(is_adopted, "{stage:?}: {events:?}");
    }
}
