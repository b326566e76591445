//! A sweep that workers help with: other sessions make some of its runs, and it comes to the same, bit for bit.

use crate::common::session::{self as shipped, badge};
use crate::common::sweep::quick;
use klimb::backend::cpu::Cpu;
use klimb::engine::protocol::*;
use klimb::engine::session::{Session, Snapshot, SweepWorker};
use klimb::engine::settings::Settings;
use klimb::metrics::Setting;
use klimb::model::{Checkpoint, Layout};
use pollster::block_on;

const BETAS: [f64; 4] = [2.0, 0.3, 0.1, 0.05];

fn settings() -> Settings {
    Settings { reward_model_pairs: 96, reward_model_epochs: 1, ..quick() }
}

/// A sweep worker, the job it is on, and the points that it may still bring before it is gone.
struct Helping {
    worker: SweepWorker<Cpu<f32>>,
    run: Option<u32>,
    lasts: usize,
}

/// A session with its sweep workers, and all that it has told.
struct Team {
    main: Session<Cpu<f32>>,
    workers: Vec<Helping>,
    /// How many points the first worker brings before it is gone.
    first_lasts: usize,
    told: Vec<Event>,
}

impl Team {
    fn new(settings: Settings) -> Self {
        Self::of(shipped::session(settings))
    }

    fn of(main: Session<Cpu<f32>>) -> Self {
        Self { main, workers: Vec::new(), first_lasts: usize::MAX, told: Vec::new() }
    }

    /// An order, and what the page does about its answer.
    fn order(&mut self, command: Command) {
        let events = block_on(self.main.handle(command));
        self.take(events);
    }

    fn sweep(&mut self, steps: u64, workers: usize) {
        self.order(Command::Sweep(Some(Sweep { betas: BETAS.to_vec(), steps, workers })));
    }

    fn take(&mut self, events: Vec<Event>) {
        for event in &events {
            let Event::WorkerJob(job) = event else { continue };
            if !self.workers.iter().any(|it| it.run.is_none()) {
                let lasts = if self.workers.is_empty() { self.first_lasts } else { usize::MAX };
                let worker = SweepWorker::new(Cpu::new(), || 0.0, &job.kept).expect("models of a working session");
                self.workers.push(Helping { worker, run: None, lasts });
            }
            let free = self.workers.iter_mut().find(|it| it.run.is_none()).expect("one was made");
            free.run = Some(job.run);
            assert!(block_on(free.worker.take((**job).clone())).is_empty(), "a worker can do what it is asked");
        }
        self.told.extend(events);
    }

    /// A slice of everybody's.
    fn advance(&mut self) {
        let mut reports = Vec::new();
        for it in &mut self.workers {
            let events = if it.worker.busy() { block_on(it.worker.advance()) } else { Vec::new() };
            for event in events {
                let Event::JobReport(news) = event else { panic!("a worker tells of its job alone: {event:?}") };
                assert_eq!(Some(news.run), it.run);
                if matches!(news.news, JobNews::Finished | JobNews::Failed) {
                    it.run = None;
                }
                it.lasts = it.lasts.saturating_sub(usize::from(matches!(news.news, JobNews::Point(_))));
                reports.push(news);
            }
            if it.lasts == 0 {
                reports.extend(it.run.take().map(|run| JobReport { run, news: JobNews::Requeued }));
            }
        }
        self.workers.retain(|it| it.lasts > 0);
        let is_waiting = !self.main.busy();
        assert!(
            !is_waiting || self.workers.iter().any(|it| it.worker.busy()) || !reports.is_empty(),
            "nobody does anything"
        );
        if !is_waiting {
            let events = block_on(self.main.advance());
            self.take(events);
        }
        reports.into_iter().for_each(|reports| self.order(Command::Adopt(reports)));
    }

    fn until(&mut self, is_enough: impl Fn(&[Event]) -> bool) {
        while !is_enough(&self.told) {
            self.advance();
        }
    }

    fn points(&self, stage: Stage) -> Vec<Point> {
        points(&self.told, stage)
    }

    fn sweeps(&self) -> Vec<SweepRun> {
        self.told.iter().filter_map(|event| if let Event::Sweep(run) = event { *run } else { None }).collect()
    }
}

/// The points of a stage, run by run.
fn points(events: &[Event], stage: Stage) -> Vec<Point> {
    let of = |event: &Event| match event {
        Event::Point(point) if Some(point.point.method) == stage.method() => Some(point.clone()),
        _ => None,
    };
    let mut points: Vec<Point> = events.iter().filter_map(of).collect();
    points.sort_by_key(|it| (it.run, it.point.step));
    points
}

fn is_over(events: &[Event]) -> bool {
    events.iter().any(|event| matches!(event, Event::Sweep(None)))
}

fn alone(stage: Stage, steps: u64, before: &[Command]) -> Vec<Point> {
    let mut team = Team::new(settings());
    before.iter().for_each(|command| team.order(command.clone()));
    team.order(Command::Focus(stage));
    team.sweep(steps, 0);
    team.until(is_over);
    assert!(team.workers.is_empty());
    team.points(stage)
}

#[test]
fn its_points_are_those_of_a_sweep_without_workers_bit_for_bit() {
    for (stage, steps, a_run) in [(Stage::Dpo, 5, 2), (Stage::PpoGt, 1, 1), (Stage::Ppo, 9, 2)] {
        let expected = alone(stage, steps, &[]);
        assert_eq!(expected.len(), BETAS.len() * a_run);
        for workers in [1, 3] {
            let mut team = Team::new(settings());
            team.order(Command::Focus(stage));
            team.sweep(steps, workers);
            team.until(is_over);
            assert_eq!(team.points(stage), expected, "{stage:?} with {workers} workers");
            assert_eq!(team.workers.len(), workers, "each had a run");
            let began: Vec<(f64, u32)> = team.sweeps().iter().map(|it| (it.beta, it.run)).collect();
            assert_eq!(began, BETAS.into_iter().zip(1..).collect::<Vec<_>>(), "each once, in order");
            assert!(team.sweeps().iter().any(|it| it.is_elsewhere) && !team.sweeps()[0].is_elsewhere);
            let ended = team.told.iter().filter(|it| matches!(it, Event::Swept(_))).count();
            assert_eq!(ended, BETAS.len());
            assert!(team.told.contains(&Event::Playing(false)));
            let stages =
                team.told.iter().filter(|it| matches!(it, Event::Metrics(stage, _) if *stage == Stage::RewardModel));
            assert_eq!(stages.count() > 0, stage == Stage::Ppo, "the reward model is trained once, by the session");
        }
    }
}

#[test]
fn a_person_s_pairs_and_knobs_go_along() {
    let pairs = ["the plot", "the music", "the acting"]
        .map(|prompt| format!(r#"{{"prompt":"{prompt}","chosen":"was superb .","rejected":"was dull ."}}"#))
        .join("\n");
    let before = [
        Command::LoadPreferences(pairs.into_bytes()),
        Command::Configure(Settings { label_smoothing: 0.1, beta: 0.7, ..settings() }),
    ];
    let expected = alone(Stage::Dpo, 3, &before);
    let mut team = Team::new(settings());
    before.into_iter().for_each(|command| team.order(command));
    team.sweep(3, 2);
    team.until(is_over);
    assert_eq!(team.points(Stage::Dpo), expected);
}

#[test]
fn a_run_that_is_given_back_is_made_from_its_start_and_no_point_stands_twice() {
    for (stage, steps) in [(Stage::Dpo, 9), (Stage::Ppo, 9)] {
        let expected = alone(stage, steps, &[]);
        for (workers, lasts) in [(1, 1), (3, 1), (2, 2)] {
            let mut team = Team { first_lasts: lasts, ..Team::new(settings()) };
            team.order(Command::Focus(stage));
            team.sweep(steps, workers);
            team.until(is_over);
            assert_eq!(
                team.points(stage),
                expected,
                "{stage:?} with {workers} workers, one of which lasts {lasts} points"
            );
            let numbers: Vec<usize> = team.sweeps().iter().map(|it| it.number).collect();
            let twice = (1..=BETAS.len()).filter(|it| numbers.iter().filter(|other| *other == it).count() == 2).count();
            assert_eq!(twice, 1, "one was begun once more: {numbers:?}");
        }
    }
}

#[test]
fn a_run_that_breaks_down_in_a_hand_is_told_as_one_of_the_session_s() {
    let mut sft =
        Checkpoint::from_bytes(include_bytes!("../../www/assets/sft.safetensors"), None).expect("it is shipped");
    // So sure of itself that gradients, which grow with β, overflow at a β of some units and not at one of tenths.
    let layout = Layout::new(&sft.config);
    for name in ["lnfg", "lnfb"] {
        let range = layout.tensor(name).expect("the final norm").range();
        sft.parameters[range].iter_mut().for_each(|it| *it *= 1e19);
    }
    let pairs = ["the plot", "the music"]
        .map(|prompt| format!(r#"{{"prompt":"{prompt}","chosen":"was superb .","rejected":"was dull ."}}"#))
        .join("\n");
    let mut team = Team::new(settings());
    team.order(Command::LoadCheckpoint(sft.to_bytes()));
    team.order(Command::LoadPreferences(pairs.into_bytes()));
    team.order(Command::Sweep(Some(Sweep { betas: vec![0.05, 5.0, 0.1], steps: 3, workers: 1 })));
    team.until(is_over);
    assert!(team.sweeps().iter().any(|it| it.is_elsewhere && it.beta == 5.0));
    let failures: Vec<&Failure> =
        team.told.iter().filter_map(|it| if let Event::Failure(it) = it { Some(it) } else { None }).collect();
    let sentence =
        "The run of DPO at β 5 produced a number that is not finite, so it was stopped at its last good step.";
    assert_eq!(failures.iter().map(|it| it.sentence.to_string()).collect::<Vec<_>>(), [sentence]);
    assert!(!failures[0].stopped);
    let made: Vec<Setting> = team.points(Stage::Dpo).into_iter().map(|it| it.point.setting).collect();
    assert_eq!(made, [0.05, 0.1].map(Setting::Number));
}

#[test]
fn policies_of_workers_are_kept_and_the_next_run_has_a_number_of_its_own() {
    let mut team = Team::new(settings());
    team.sweep(6, 2);
    let is_of_a_worker = |point: &Point| point.run > 1;
    team.until(|told| points(told, Stage::Dpo).iter().any(is_of_a_worker));
    let point = team.points(Stage::Dpo).into_iter().find(is_of_a_worker).expect("there is one");
    let moment = PolicyKey { stage: Stage::Dpo, run: point.run, step: point.point.step };
    let mut kept = team.told.iter().filter_map(|it| if let Event::Kept(kept) = it { Some(kept) } else { None });
    let its = kept.clone().flat_map(|it| &it.saved_policies).filter(|it| it.point == point).count();
    assert_eq!(its, 1, "what is told to be kept has the policy once");

    // What is resumed from there begins behind every run that was begun.
    let kept = (**kept.next_back().expect("a point was kept")).clone();
    let snapshot = Snapshot::from_kept(kept).expect("it was just told");
    let resumed = Session::restore(Cpu::new(), || 0.0, badge(), &snapshot).expect("it was just told");
    let mut later = Team::of(resumed);
    for command in [Command::Reset, Command::Play] {
        later.order(command);
    }
    later.until(|told| !points(told, Stage::Dpo).is_empty());
    assert_eq!(later.points(Stage::Dpo)[0].run, 4, "three were begun");

    let opened = block_on(team.main.handle(Command::Open(moment)));
    assert!(matches!(opened.as_slice(), [Event::Opened(it)] if it.moment == moment), "{opened:?}");
    team.order(Command::Sweep(None));
    assert!(is_over(&team.told));
    let told = team.points(Stage::Dpo).len();
    let late = JobReport { run: 2, news: JobNews::Failed };
    team.order(Command::Adopt(late));
    assert!(!team.told.iter().any(|it| matches!(it, Event::Failure(_))), "what comes too late is left aside");
    for command in [Command::SetBeta(0.7), Command::Play] {
        team.order(command);
    }
    team.until(|events| points(events, Stage::Dpo).len() > told);
    let newest = team.points(Stage::Dpo).pop().expect("a new one");
    assert_eq!((newest.run, newest.point.setting), (4, Setting::Number(0.7)), "three were begun");
}

#[test]
fn a_point_that_a_person_asks_for_before_the_first_step_is_told() {
    let mut team = Team::new(settings());
    team.sweep(3, 1);
    team.until(|told| !points(told, Stage::Sft).is_empty());
    team.order(Command::Evaluate);
    team.until(|told| !points(told, Stage::Dpo).is_empty());
    let first = &team.points(Stage::Dpo)[0];
    assert_eq!((first.run, first.point.step), (1, 0));
}

#[test]
fn workers_rest_and_take_knobs_as_the_session_does() {
    let mut team = Team::new(settings());
    team.sweep(6, 1);
    team.until(|told| points(told, Stage::Dpo).iter().any(|it| it.run == 2));
    let worker = &mut team.workers[0].worker;
    block_on(worker.handle(Command::Pause));
    assert!(!worker.busy());
    block_on(worker.handle(Command::Play));
    assert!(worker.busy());
    block_on(worker.handle(Command::Configure(Settings { beta: 3.0, learning_rate: 1e-4, ..settings() })));
    assert!(worker.busy(), "what begins nothing anew leaves it at its job");
    block_on(worker.handle(Command::Configure(Settings { seed: 2, ..settings() })));
    assert!(!worker.busy(), "another seed ends the sweep, here as there");
}
