//! Every knob is turned in a running session: what is declared to start over does and nothing else, and what goes on does so with
//! the new value.

use std::collections::{BTreeMap, BTreeSet};

use crate::common::session::{badge, checkpoints, session};
use crate::common::student::Student;
use crate::common::sweep::quick;
use klimb::backend::cpu::Cpu;
use klimb::engine::protocol::{Checkpoints, Command, Event, KeptPolicy, Stage, Work};
use klimb::engine::session::Session;
use klimb::engine::settings::{KNOBS, Knob, Section, Settings, Values};
use klimb::metrics::{Method, MetricRow};
use pollster::block_on;

/// What starts over when a knob is turned, by stages' ids and by these: the samples behind the closed-form *optimum*, the
/// *reference*'s own point, and *evaluation*, how points are measured. The table in `engine::settings` declares the same; who
/// changes one of the two is asked here whether it was meant.
fn expected(knob: &str) -> &'static str {
    match knob {
        "seed" => "best-of-n dpo optimum pairs ppo ppo-gt preferred-ft reference reward-model unlikelihood",
        "pairs" | "label_temperature" => {
            "dpo optimum pairs ppo ppo-gt preferred-ft reference reward-model unlikelihood"
        }
        "flip_probability" | "loophole_bonus" => "dpo pairs ppo preferred-ft reward-model unlikelihood",
        "evaluation_samples" => "best-of-n dpo evaluation ppo ppo-gt preferred-ft reference unlikelihood",
        "batch_size" => "dpo preferred-ft unlikelihood",
        "learning_rate" => "preferred-ft unlikelihood",
        "online_pairs" => "dpo",
        "unlikelihood_alpha" => "unlikelihood",
        "largest_n" | "best_of_n_completions" => "best-of-n",
        "reward_model_pairs" | "reward_model_epochs" => "ppo reward-model",
        "rollout_size" | "ppo_epochs" | "missing_eos_penalty" | "vf_coef" => "ppo ppo-gt",
        "beta" | "label_smoothing" | "loss" | "length_normalised" | "reference_free" | "evaluate_every"
        | "ppo_learning_rate" | "target_kl" | "evaluate_rollouts" | "backend" | "width" | "breadth" => "",
        other => panic!("what does {other} start over?"),
    }
}

/// What a person sees of a session, so far.
#[derive(Default)]
struct Seen {
    steps: BTreeMap<Stage, usize>,
    runs: BTreeMap<Stage, u32>,
    /// Pieces of the optimum's samples.
    optimum: usize,
    /// How often the reference was measured, and the samples behind its newest point.
    reference_points: usize,
    samples: u64,
}

impl Seen {
    #[expect(clippy::wildcard_enum_match_arm, reason = "a few kinds out of many are picked")]
    fn note(&mut self, events: &[Event]) {
        for event in events {
            match event {
                Event::Stage(status) => {
                    self.steps.insert(status.stage, status.steps);
                }
                Event::Kept(kept) => {
                    self.runs.extend(kept.policies.iter().map(|KeptPolicy { stage, run, .. }| (*stage, *run)));
                }
                Event::Progress(progress) if progress.work == Work::Optimum => self.optimum = progress.done,
                Event::Point(point) if point.point.method == Method::Sft => {
                    self.reference_points += 1;
                    self.samples = point.point.samples;
                }
                _ => {}
            }
        }
    }

    fn steps(&self, stage: Stage) -> usize {
        self.steps.get(&stage).copied().unwrap_or(0)
    }

    fn run(&self, stage: Stage) -> u32 {
        self.runs.get(&stage).copied().unwrap_or(1)
    }
}

struct Running {
    student: Student,
    seen: Seen,
}

/// The stages in which a step can be taken, each after those that it needs.
const STEPPED: [Stage; 7] =
    [Stage::Dpo, Stage::Unlikelihood, Stage::PreferredFt, Stage::RewardModel, Stage::Ppo, Stage::PpoGt, Stage::BestOfN];

impl Running {
    /// A session in which every stage has taken a step, and the optimum is being sampled.
    fn new(settings: Settings) -> Self {
        assert!(Stage::of_policies().all(|stage| STEPPED.contains(&stage)), "a policy is missing");
        let live = Checkpoints { optimum: Vec::new(), ..checkpoints() };
        let mut session = Session::new(Cpu::new(), || 0.0, badge(), settings, &live).expect("the models are valid");
        let events = block_on(session.open());
        let mut running = Self { student: Student(session), seen: Seen::default() };
        running.seen.note(&events);
        running.settle();
        running.go_on();
        running
    }

    fn handle(&mut self, command: Command) -> Vec<Event> {
        let events = self.student.handle(command);
        self.seen.note(&events);
        events
    }

    /// Slices until `is_enough` of their events.
    fn until(&mut self, is_enough: impl Fn(&Event) -> bool) {
        let events = self.student.until(|events| events.iter().any(&is_enough));
        self.seen.note(&events);
    }

    /// Measures what is to be measured: only then is the optimum sampled again.
    fn settle(&mut self) {
        self.until(|event| matches!(event, Event::Progress(progress) if progress.work == Work::Optimum));
    }

    /// Takes a step in every stage that has none.
    fn go_on(&mut self) {
        for stage in STEPPED {
            if self.seen.steps(stage) > 0 {
                continue;
            }
            self.handle(Command::Step(stage));
            if !matches!(stage, Stage::Dpo | Stage::Unlikelihood | Stage::PreferredFt) {
                self.until(|event| matches!(event, Event::Playing(false)));
            }
        }
        self.settle();
        let standing = STEPPED.into_iter().find(|stage| self.seen.steps(*stage) == 0);
        assert_eq!(standing, None, "it has not taken its step");
    }

    /// Turns a knob, and answers with what has started over.
    fn turn(&mut self, settings: Settings) -> BTreeSet<&'static str> {
        let before = STEPPED.map(|stage| (stage, self.seen.steps(stage), self.seen.run(stage)));
        let Seen { optimum: pieces, reference_points, samples, .. } = self.seen;
        self.handle(Command::Configure(settings));
        let mut restarted = BTreeSet::new();
        for (stage, steps, run) in before {
            if self.seen.steps(stage) == 0 {
                restarted.insert(stage.id());
            } else {
                assert_eq!(self.seen.steps(stage), steps, "{stage:?}");
            }
            // The reward model and Best-of-N have no numbered runs.
            let is_numbered = self.seen.runs.contains_key(&stage);
            let expected = run + u32::from(is_numbered && restarted.contains(stage.id()));
            assert_eq!(self.seen.run(stage), expected, "{stage:?}");
        }
        if self.seen.steps(Stage::Pairs) == 0 {
            restarted.insert(Stage::Pairs.id());
        }
        self.settle();
        if self.seen.optimum == 1 {
            restarted.insert("optimum");
        } else {
            assert_eq!(self.seen.optimum, pieces + 1);
        }
        if self.seen.reference_points > reference_points {
            restarted.insert("reference");
        }
        if self.seen.samples != samples {
            restarted.insert("evaluation");
        }
        restarted
    }
}

/// Settings in which a knob has another value that it can have: of numbers with a grain the next, of others one far off.
fn turned(knob: &Knob, settings: Settings) -> Settings {
    let value = knob.value(&settings);
    let Values { range: (_, high), grain, .. } = knob.values;
    let values = if grain > 0.0 { [value + grain, value - grain] } else { [f64::midpoint(value, high), high] };
    let mut other = settings;
    let is_taken = values.into_iter().any(|value| knob.set(&mut other, value).is_ok());
    assert!(is_taken && other != settings, "{} has one value alone", knob.name);
    other
}

/// The words of [`expected`] for what is declared.
fn declared(knob: &Knob) -> BTreeSet<&'static str> {
    let restarts = knob.restarts;
    let others = [
        (restarts.pairs, Stage::Pairs.id()),
        (restarts.optimum, "optimum"),
        (restarts.reference, "reference"),
        (restarts.evaluation, "evaluation"),
    ];
    let others = others.into_iter().filter(|(is_so, _)| *is_so).map(|(_, what)| what);
    restarts.restarted().map(Stage::id).chain(others).collect()
}

/// Runs of a step or two.
fn short() -> Settings {
    Settings { reward_model_pairs: 24, reward_model_epochs: 1, largest_n: 2, best_of_n_completions: 64, ..quick() }
}

#[test]
fn a_knob_that_is_turned_starts_over_what_is_declared_and_nothing_else() {
    let settings = short();
    let mut running = Running::new(settings);
    for knob in &KNOBS {
        let wanted: BTreeSet<&str> = expected(knob.name).split_whitespace().collect();
        assert_eq!(declared(knob), wanted, "{} is declared so", knob.name);
        let other = turned(knob, settings);
        assert_eq!(running.turn(other), wanted, "{}", knob.name);
        let report = running.handle(Command::Report);
        let now = report.iter().find_map(|event| match event {
            Event::Report(Some(report)) => Some(report.settings),
            _ => None,
        });
        let taken_over = if knob.restarts.is_kept { settings } else { other };
        assert_eq!(now, Some(taken_over), "{}", knob.name);
        running.handle(Command::Configure(settings));
        running.go_on();
    }
}

/// A stage's steps, one after another, each as its rows of metrics.
struct Steps {
    student: Student,
    stage: Stage,
}

impl Steps {
    fn new(stage: Stage, settings: Settings) -> Self {
        Self { student: Student(session(settings)), stage }
    }

    fn next(&mut self) -> Vec<MetricRow> {
        let mut events = self.student.handle(Command::Step(self.stage));
        if matches!(self.stage, Stage::RewardModel | Stage::Ppo | Stage::PpoGt) {
            events.extend(self.student.until(|events| events.contains(&Event::Playing(false))));
        }
        let of = |event| match event {
            Event::Metrics(stage, rows) if stage == self.stage => Some(rows),
            _ => None,
        };
        events.into_iter().filter_map(of).flatten().collect()
    }
}

#[test]
fn a_stage_that_goes_on_does_so_with_the_new_value() {
    let settings = short();
    let mut taken_over = Vec::new();
    for stage in STEPPED.into_iter().filter(|stage| *stage != Stage::BestOfN) {
        let mut straight = Steps::new(stage, settings);
        let three = [(); 3].map(|()| straight.next());
        let after = |other: Settings| {
            let mut turned = Steps::new(stage, settings);
            let first = turned.next();
            assert_eq!(first, three[0], "{stage:?}");
            turned.student.handle(Command::Configure(other));
            [first, turned.next(), turned.next()]
        };
        let go_on = KNOBS.iter().filter(|knob| knob.section != Section::Engine && !knob.restarts.has(stage));
        let (its_own, others): (Vec<&Knob>, Vec<&Knob>) = go_on.partition(|knob| knob.stages.contains(&stage));
        for knob in its_own {
            let other = turned(knob, settings);
            // Where steps are others with it, so must be those behind it, or the stage has kept the former value. A learning
            // rate shows in the step after the next: metrics are of before the update.
            let mut with_it = Steps::new(stage, other);
            if [(); 3].map(|()| with_it.next()) != three {
                assert_ne!(after(other), three, "{stage:?} goes on as if {} had not been turned", knob.name);
                taken_over.push((stage, knob.name));
            }
        }
        let other = others.iter().fold(settings, |settings, knob| turned(knob, settings));
        assert_eq!(after(other), three, "{stage:?} after knobs that do not concern it");
    }
    for known in
        [(Stage::Dpo, "beta"), (Stage::Dpo, "learning_rate"), (Stage::Ppo, "beta"), (Stage::PpoGt, "ppo_learning_rate")]
    {
        assert!(taken_over.contains(&known), "{known:?} makes no difference: {taken_over:?}");
    }
}
