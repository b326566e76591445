//! A student's session on the CPU, driven as the worker drives it: what every command is answered by, and what is
//! never lost.
//!
//! More than 400 lines, because it is a list of tests, one for each thing that a session promises.

use crate::common::session::{badge, unopened};
use klimb::backend::cpu::Cpu;
use klimb::engine::protocol::*;
use klimb::engine::session::{Session, Snapshot};
use klimb::engine::settings::Settings;
use klimb::metrics::{FrontierPoint, Method, OptimumPoint};
use pollster::block_on;

const SFT: &[u8] = include_bytes!("../../www/assets/sft.safetensors");

fn settings() -> Settings {
    Settings {
        batch_size: 8,
        pairs: 48,
        evaluate_every: 2,
        evaluation_samples: 64,
        learning_rate: 3e-3,
        rollout_size: 16,
        ppo_epochs: 2,
        ppo_learning_rate: 2e-3,
        evaluate_rollouts: 2,
        ..Settings::default()
    }
}

struct Student(Session<Cpu<f32>>);

impl Student {
    fn new(settings: Settings) -> (Self, Vec<Event>) {
        let mut student = Self(unopened(Cpu::new(), settings));
        let events = block_on(student.0.open());
        (student, events)
    }

    fn handle(&mut self, command: Command) -> Vec<Event> {
        block_on(self.0.handle(command))
    }

    fn points(&mut self, count: usize) -> Vec<Point> {
        self.points_of("dpo", count)
    }

    /// Slices until as many points of a method have come; the session must have work until then.
    fn points_of(&mut self, method: &str, count: usize) -> Vec<Point> {
        let mut points = Vec::new();
        while points.len() < count {
            assert!(self.0.busy(), "the session rests after {} points", points.len());
            let events = block_on(self.0.advance());
            assert_eq!(failures(&events), Vec::<&Failure>::new());
            points.extend(events.into_iter().filter_map(|event| match event {
                Event::Point(point) if point.point.method.info().file_name == method => Some(point),
                _ => None,
            }));
        }
        points
    }

    /// The events of a step, and of the slices that it takes.
    fn step(&mut self, stage: Stage) -> Vec<Event> {
        let mut events = self.handle(Command::Step(stage));
        while !events.contains(&Event::Playing(false)) {
            assert!(self.0.busy(), "the session rests before the step is there");
            events.extend(block_on(self.0.advance()));
        }
        assert_eq!(failures(&events), Vec::<&Failure>::new());
        events
    }

    fn policy(&mut self) -> Vec<u8> {
        self.model(Stage::Dpo)
    }

    fn model(&mut self, stage: Stage) -> Vec<u8> {
        let events = self.handle(Command::ExportCheckpoint(stage));
        let file = events.into_iter().find_map(|event| match event {
            Event::Checkpoint(exported, bytes) if exported == stage => Some(bytes),
            _ => None,
        });
        file.expect("the model is exported")
    }
}

fn failures(events: &[Event]) -> Vec<&Failure> {
    events.iter().filter_map(|event| if let Event::Failure(failure) = event { Some(failure) } else { None }).collect()
}

fn batch(events: &[Event]) -> &Batch {
    let found = events
        .iter()
        .find_map(|event| if let Event::Inside(_, Inside::Dpo(batch)) = event { Some(batch) } else { None });
    found.expect("a DPO step tells its batch")
}

/// A point but for the seconds, which are the clock's.
fn numbers(points: &[Point]) -> Vec<(u32, FrontierPoint)> {
    points.iter().map(|point| (point.run, FrontierPoint { seconds: 0.0, ..point.point.clone() })).collect()
}

#[test]
fn opening_tells_the_engine_its_stages_and_samples() {
    let (_, events) = Student::new(settings());
    assert!(matches!(&events[0], Event::Ready(ready) if ready.parameters > 10_000 && ready.words.len() > 100));
    let stages: Vec<Stage> = events
        .iter()
        .filter_map(|event| if let Event::Stage(status) = event { Some(status.stage) } else { None })
        .collect();
    assert_eq!(stages, Stage::ALL);
    let samples =
        events.iter().find_map(|event| if let Event::Samples(samples) = event { Some(samples) } else { None });
    let samples = samples.expect("the shipped models write at once");
    assert!(!samples.typed && samples.rows.len() >= 3);
    assert!(samples.rows.iter().all(|row| row.completions.len() == 2), "base and SFT; DPO has no step yet");
}

#[test]
fn the_first_step_does_not_wait_until_the_reference_is_measured_and_changes_nothing_of_it() {
    let (mut resting, _) = Student::new(settings());
    let measured = resting.points_of("sft", 1);

    let (mut playing, _) = Student::new(settings());
    playing.handle(Command::Play);
    let mut events = Vec::new();
    while !events.iter().any(|event| matches!(event, Event::Point(point) if point.point.method == Method::Dpo)) {
        events.extend(block_on(playing.0.advance()));
    }
    let steps = |event: &Event| if let Event::Metrics(Stage::Dpo, rows) = event { rows.len() } else { 0 };
    let reference =
        events.iter().position(|event| matches!(event, Event::Point(point) if point.point.method == Method::Sft));
    let (before, after) = events.split_at(reference.expect("the reference is measured before the first policy"));
    assert_eq!(before.iter().map(steps).sum::<usize>(), 1, "one step, and not more");
    assert_eq!(after.iter().map(steps).sum::<usize>(), settings().evaluate_every - 1);
    let Event::Point(point) = &after[0] else { unreachable!("found above") };
    assert_eq!(numbers(std::slice::from_ref(point)), numbers(&measured));
}

fn optimum(events: &[Event]) -> Option<(Origin, &[OptimumPoint])> {
    let curve =
        |event| if let &Event::Optimum(origin, ref curve) = event { Some((origin, curve.as_slice())) } else { None };
    events.iter().rev().find_map(curve)
}

#[test]
fn the_shipped_reference_has_its_recorded_optimum_at_once_and_another_one_its_own() {
    let (mut student, events) = Student::new(settings());
    let (origin, curve) = optimum(&events).expect("told when the session opens");
    assert_eq!(origin, Origin::Recorded);
    assert!(curve[0].beta <= 0.0101 && curve.last().unwrap().beta >= 4.99);

    // Twice the label temperature is the same curve at half the β.
    let events = student.handle(Command::Configure(Settings { label_temperature: 0.2, ..settings() }));
    let (origin, scaled) = optimum(&events).expect("told again when the scale of β changes");
    assert_eq!(origin, Origin::Recorded);
    let point = curve[curve.len() / 2];
    let same = scaled.iter().find(|scaled| (scaled.beta - point.beta / 2.0).abs() < 1e-9).expect("the same point");
    assert_eq!((same.kl_per_sequence, same.gold_reward), (point.kl_per_sequence, point.gold_reward));

    let base = include_bytes!("../../www/assets/base.safetensors").to_vec();
    let events = student.handle(Command::LoadCheckpoint(base));
    assert_eq!(optimum(&events), Some((Origin::Live, &[][..])), "no curve of another reference stays");
    let events = block_on(async {
        let mut events = Vec::new();
        while optimum(&events).is_none() {
            events.extend(student.0.advance().await);
        }
        events
    });
    assert!(matches!(optimum(&events), Some((Origin::Live, curve)) if !curve.is_empty()));
    let events = student.handle(Command::LoadCheckpoint(SFT.to_vec()));
    assert!(matches!(optimum(&events), Some((Origin::Recorded, _))), "the shipped file is known again");
}

#[test]
fn the_first_step_is_a_coin_toss_and_earns_a_point() {
    let (mut student, _) = Student::new(settings());
    let events = student.handle(Command::Step(Stage::Dpo));
    let batch = batch(&events);
    assert_eq!((batch.step, batch.size), (1, 8));
    assert!((batch.mean_loss - std::f64::consts::LN_2).abs() < 1e-5, "mean loss {}", batch.mean_loss);
    for pair in &batch.pairs {
        assert!((pair.weight - 0.5).abs() < 1e-4, "weight {}", pair.weight);
        for side in [&pair.chosen, &pair.rejected] {
            assert!(side.implicit_reward.abs() < 1e-3 && side.words.len() == side.log_ratios.len());
        }
    }
    assert_eq!(student.points(1)[0].point.step, 1);
}

#[test]
fn playing_earns_points_of_rising_steps_and_the_same_seed_earns_the_same() {
    let play = || {
        let (mut student, _) = Student::new(settings());
        assert!(student.handle(Command::Play).contains(&Event::Playing(true)));
        student.points(3)
    };
    let points = play();
    assert_eq!(points.iter().map(|point| point.point.step).collect::<Vec<_>>(), [2, 4, 6]);
    assert!(points[2].point.kl_per_sequence > points[0].point.kl_per_sequence, "the policy drifts");
    assert_eq!(numbers(&play()), numbers(&points));
}

#[test]
fn a_reset_is_a_new_run_with_the_same_first_batch() {
    let (mut student, _) = Student::new(settings());
    let first = student.handle(Command::Step(Stage::Dpo));
    student.points(1);
    student.handle(Command::Reset);
    let again = student.handle(Command::Step(Stage::Dpo));
    assert_eq!(batch(&again), batch(&first));
    assert_eq!(student.points(1)[0].run, 2);
}

#[test]
fn a_bad_setting_is_named_and_the_old_one_stays() {
    let (mut student, _) = Student::new(settings());
    let events = student.handle(Command::Configure(Settings { label_smoothing: 0.7, ..settings() }));
    let failures = failures(&events);
    assert_eq!(failures[0].field.as_deref(), Some("label_smoothing"));
    assert!(failures[0].sentence.to_string().contains("0.7") && !failures[0].stopped);
    assert_eq!(batch(&student.handle(Command::Step(Stage::Dpo))).label_smoothing, 0.0);
}

#[test]
fn a_broken_checkpoint_is_refused_in_a_sentence_and_nothing_is_lost() {
    let (mut student, _) = Student::new(settings());
    student.handle(Command::Step(Stage::Dpo));
    student.points(1);
    let before = student.policy();
    for (bytes, told) in [(&SFT[..SFT.len() / 2], "bytes"), (b"a review of a film".as_slice(), "checkpoint"), (b"", "")]
    {
        let events = student.handle(Command::LoadCheckpoint(bytes.to_vec()));
        let failures = failures(&events);
        assert_eq!(failures.len(), 1);
        let sentence = &failures[0].sentence;
        assert!(
            sentence.to_string().contains(told)
                && sentence.to_string().ends_with('.')
                && !sentence.to_string().ends_with(".."),
            "{sentence}"
        );
        assert!(sentence.to_string().starts_with(char::is_uppercase), "{sentence}");
        assert!(!failures[0].stopped && failures[0].remedy.to_string().contains("Nothing was replaced"));
        assert_eq!(student.policy(), before, "the policy is as it was");
    }
    assert_eq!(batch(&student.handle(Command::Step(Stage::Dpo))).step, 2);
}

#[test]
fn a_loaded_checkpoint_becomes_the_reference_and_dpo_starts_over() {
    let (mut student, _) = Student::new(settings());
    student.handle(Command::Step(Stage::Dpo));
    let policy = student.policy();
    let events = student.handle(Command::LoadCheckpoint(policy));
    assert_eq!(failures(&events), Vec::<&Failure>::new());
    let dpo = events.iter().find_map(|event| match event {
        Event::Stage(status) if status.stage == Stage::Dpo => Some(status.steps),
        _ => None,
    });
    assert_eq!(dpo, Some(0));
    let events = student.handle(Command::Step(Stage::Dpo));
    assert!((batch(&events).mean_loss - std::f64::consts::LN_2).abs() < 1e-5, "the policy is its own reference again");
}

#[test]
fn a_snapshot_goes_on_elsewhere_from_the_last_point() {
    let (mut student, _) = Student::new(settings());
    assert!(!student.0.lost());
    assert_eq!(student.0.snapshot().step(), 0);
    student.handle(Command::Step(Stage::Dpo));
    student.points(1);
    student.handle(Command::Reset);
    assert_eq!(student.0.snapshot().step(), 0, "a new run has no point yet");
    student.handle(Command::Play);
    let last = student.points(2).pop().expect("two points");
    student.handle(Command::Pause);
    let measured = student.policy();
    student.handle(Command::Step(Stage::Dpo));
    let snapshot = student.0.snapshot();
    assert_eq!(snapshot.step(), last.point.step);

    let kept = snapshot.kept();
    // But for the policies behind points, which the page keeps elsewhere.
    let again = Snapshot::from_kept(kept.clone()).map(|snapshot| snapshot.kept());
    assert!(again.as_ref() == Ok(&kept), "written down and read again");
    // Numbers are added up: of those that no run has, two would pass the largest.
    let with_run = |run, last| {
        let mut kept = kept.clone();
        (kept.policies[0].run, kept.policies[0].last) = (run, last);
        kept
    };
    let point = Point { run: MOST_RUNS + 1, ..last.clone() };
    let moment =
        SavedPolicy { stage: Stage::Dpo, point, seconds: 1.0, checkpoint: kept.policies[0].checkpoint.clone() };
    let with_moment = Kept { saved_policies: vec![moment], ..kept.clone() };
    assert!(Snapshot::from_kept(with_run(MOST_RUNS, MOST_RUNS)).is_ok());
    for beyond in [with_run(MOST_RUNS + 1, 1), with_run(1, u32::MAX), with_moment] {
        let failure = Snapshot::from_kept(beyond).unwrap_err();
        assert!(failure.sentence.to_string().contains("numbers that no run has"), "{failure:?}");
    }
    let mut broken = kept;
    let middle = broken.policies[0].checkpoint.len() / 2;
    broken.policies[0].checkpoint[middle] ^= 1;
    let failure = Snapshot::from_kept(broken).unwrap_err();
    assert!(failure.sentence.to_string().starts_with("The kept run cannot be used: "), "{failure:?}");
    assert_eq!(failure.field.as_deref(), Some("kept"));

    let restored = Session::restore(Cpu::new(), || 0.0, badge(), &snapshot).expect("the snapshot is whole");
    let mut restored = Student(restored);
    let opened = block_on(restored.0.open());
    assert!(opened.iter().any(|event| matches!(event, Event::Stage(status) if status.steps as u64 == last.point.step)));
    assert_eq!(restored.policy(), measured, "the policy of the last point, not of the step after it");
    restored.handle(Command::Play);
    let next = restored.points(1).remove(0);
    assert_eq!((next.run, next.point.step), (last.run, last.point.step + 2));
    assert!(
        next.point.kl_per_sequence < last.point.kl_per_sequence + 3.0,
        "new moments take no leap: KL {} after {}",
        next.point.kl_per_sequence,
        last.point.kl_per_sequence
    );
}

fn scored(events: &[Event]) -> &ScoredBatch {
    let found = events
        .iter()
        .find_map(|event| if let Event::Inside(_, Inside::RewardModel(it)) = event { Some(it) } else { None });
    found.expect("a step of the reward model tells its batch")
}

fn round(events: &[Event]) -> &Round {
    let found = events
        .iter()
        .find_map(|event| if let Event::Inside(_, Inside::Ppo(round)) = event { Some(round) } else { None });
    found.expect("a step of PPO tells its round")
}

/// Rows of a stage, each step once: a later row of a step replaces the one before.
fn rows(events: &[Event], stage: Stage) -> Vec<klimb::metrics::MetricRow> {
    let mut rows = std::collections::BTreeMap::new();
    for event in events {
        if let Event::Metrics(its, more) = event
            && *its == stage
        {
            rows.extend(more.iter().map(|row| (row.step, row.clone())));
        }
    }
    rows.into_values().collect()
}

fn last_status(events: &[Event], stage: Stage) -> &StageStatus {
    let statuses = events.iter().rev().filter_map(|it| if let Event::Stage(it) = it { Some(it) } else { None });
    statuses.into_iter().find(|status| status.stage == stage).expect("the stage is told")
}

#[test]
fn a_step_of_the_reward_model_makes_its_pairs_and_tells_their_scores() {
    let (mut student, _) = Student::new(settings());
    let events = student.step(Stage::RewardModel);
    assert!(events.iter().any(|event| matches!(event, Event::Progress(it) if it.work == Work::Pairs)));
    let first = scored(&events).clone();
    assert_eq!((first.step, first.size), (1, 64));
    assert!((first.mean_loss - std::f64::consts::LN_2).abs() < 0.3, "mean loss {}", first.mean_loss);
    let events = student.step(Stage::RewardModel);
    let second = scored(&events);
    assert_eq!(second.step, 2);
    assert!(second.pairs.iter().any(|pair| pair.margin != 0.0), "its head has learned something");
    for pair in &second.pairs {
        assert!((pair.margin - (pair.chosen.score - pair.rejected.score)).abs() < 1e-9);
        assert!((pair.loss - (1.0 + (-pair.margin).exp()).ln()).abs() < 1e-6, "loss {}", pair.loss);
        assert!((pair.weight - (-pair.loss).exp().mul_add(-1.0, 1.0)).abs() < 1e-6, "weight {}", pair.weight);
    }
    student.handle(Command::Focus(Stage::RewardModel));
    student.handle(Command::Reset);
    assert_eq!(*scored(&student.step(Stage::RewardModel)), first, "a reset begins with the same batch");
}

#[test]
fn playing_the_reward_model_trains_it_to_the_end_and_stops() {
    let (mut student, _) = Student::new(settings());
    student.handle(Command::Focus(Stage::RewardModel));
    let mut events = student.handle(Command::Play);
    while !events.contains(&Event::Playing(false)) {
        events.extend(block_on(student.0.advance()));
    }
    let rows = rows(&events, Stage::RewardModel);
    let last = rows.last().expect("it took steps");
    for name in ["reward_model/loss", "reward_model/accuracy", "reward_model/gold_accuracy"] {
        assert!(last.values.contains_key(name), "no {name} behind the last step");
    }
    assert_eq!(last_status(&events, Stage::RewardModel).state, StageState::Done);
    assert!(
        events
            .iter()
            .any(|it| matches!(it, Event::Progress(it) if it.work == Work::RewardModel && it.done == it.total))
    );
    assert!(student.model(Stage::RewardModel).len() > 100_000);
}

#[test]
fn ppo_with_the_gold_reward_earns_points_and_the_same_seed_earns_the_same() {
    let play = |pauses: bool| {
        let (mut student, _) = Student::new(settings());
        student.handle(Command::Focus(Stage::PpoGt));
        student.handle(Command::Play);
        if pauses {
            student.points_of("sft", 1);
            block_on(student.0.advance());
            student.handle(Command::Pause);
            student.handle(Command::Play);
        }
        student.points_of("ppo-gt", 2)
    };
    let points = play(false);
    // Two rounds of two passes over four minibatches each.
    assert_eq!(points.iter().map(|point| point.point.step).collect::<Vec<_>>(), [16, 32]);
    assert!(points[1].point.kl_per_sequence > 0.0, "the policy drifts");
    assert_eq!(numbers(&play(true)), numbers(&points), "a pause in mid-round changes nothing");
}

#[test]
fn a_step_of_ppo_is_a_round_told_token_by_token() {
    let (mut student, _) = Student::new(Settings { beta: 0.3, ..settings() });
    let events = student.step(Stage::PpoGt);
    let first = round(&events).clone();
    assert_eq!((first.stage, first.number, first.step, first.size, first.updates), (Stage::PpoGt, 1, 8, 16, 8));
    assert!(first.kl.abs() < 1e-4 && first.score.abs() < 1e-9, "the reference has written it: {first:?}");
    assert!(!first.episodes.is_empty());
    for episode in &first.episodes {
        let last = episode.tokens.last().expect("a completion has a token");
        assert!((last.reward - episode.score).abs() < 1e-3, "the score stands at the last token: {episode:?}");
        assert!(episode.tokens.iter().all(|token| (token.logprob - token.reference_logprob).abs() < 1e-3));
    }
    assert!(first.episodes.iter().flat_map(|it| &it.tokens).any(|token| (token.ratio - 1.0).abs() > 1e-4));
    let told = rows(&events, Stage::PpoGt);
    assert_eq!(told.iter().map(|row| row.step).collect::<Vec<_>>(), (1..=8).collect::<Vec<_>>());
    for name in ["objective/kl", "objective/k3", "objective/score", "objective/gold_score", "ppo/policy_loss"] {
        assert!(told[0].values.contains_key(name), "the first update tells the rollout's {name}");
    }
    assert!(told[7].values["ppo/ratio_max"] > 1.0 && told[7].values["ppo/ratio_min"] < 1.0);
    let point = student.points_of("ppo-gt", 1).remove(0);
    assert_eq!(point.point.step, 8, "a step earns a point");

    let second = round(&student.step(Stage::PpoGt)).clone();
    assert_eq!((second.number, second.step), (2, 16));
    for token in second.episodes.iter().flat_map(|episode| episode.tokens.split_last().unwrap().1) {
        let price = -0.3 * (token.logprob - token.reference_logprob);
        assert!((token.reward - price).abs() < 1e-9, "a token pays for its drift: {token:?}");
    }
    student.points_of("ppo-gt", 1);
    student.handle(Command::Focus(Stage::PpoGt));
    student.handle(Command::Reset);
    assert_eq!(*round(&student.step(Stage::PpoGt)), first, "a reset begins with the same round");
    assert_eq!(student.points_of("ppo-gt", 1)[0].run, 2);
}

#[test]
fn ppo_without_a_reward_model_trains_one_first_and_pause_ends_that() {
    let (mut student, _) = Student::new(settings());
    let mut events = student.handle(Command::Step(Stage::Ppo));
    assert!(events.contains(&Event::Playing(true)), "the person sees what can be paused");
    assert_eq!(last_status(&events, Stage::Ppo).state, StageState::Waiting);
    assert_eq!(last_status(&events, Stage::RewardModel).state, StageState::Running);
    while !events.iter().any(|event| matches!(event, Event::Progress(it) if it.work == Work::RewardModel)) {
        events.extend(block_on(student.0.advance()));
    }
    let events = student.handle(Command::Pause);
    assert!(events.contains(&Event::Playing(false)));
    assert!(events.iter().any(|event| matches!(event, Event::Progress(it) if it.done == it.total)), "no bar stays");
    let events = student.step(Stage::Ppo);
    assert_eq!(last_status(&events, Stage::RewardModel).state, StageState::Done);
    let told = round(&events);
    assert_eq!((told.stage, told.number), (Stage::Ppo, 1));
    assert!(told.score.abs() < 2.0, "scores are shifted to mean 0 under the reference: {}", told.score);
    let point = student.points_of("ppo", 1).remove(0);
    assert_eq!((point.run, point.point.step), (1, 8));
    student.handle(Command::Focus(Stage::Ppo));
    student.handle(Command::Reset);
    let events = student.step(Stage::Ppo);
    assert!(rows(&events, Stage::RewardModel).is_empty(), "the reward model outlives a reset of PPO");
}

#[test]
fn a_target_steers_beta_from_one_rollout_to_the_next() {
    let (mut student, _) = Student::new(Settings { target_kl: 6.0, ..settings() });
    let betas: Vec<f64> = (0..2).map(|_| round(&student.step(Stage::PpoGt)).beta).collect();
    assert_eq!(betas[0], settings().beta);
    assert!(betas[1] < betas[0], "far below the target, the leash grows longer: {betas:?}");
    let point = student.points_of("ppo-gt", 1).pop().expect("a point");
    assert_eq!(point.point.setting, klimb::metrics::Setting::Label("KL target 6".into()));
    let events = student.handle(Command::Configure(Settings { rollout_size: 30, ..settings() }));
    assert_eq!(failures(&events)[0].field.as_deref(), Some("rollout_size"));
}

#[test]
fn a_snapshot_keeps_the_reward_model_and_the_policy_of_ppo() {
    let (mut student, _) = Student::new(settings());
    student.handle(Command::Focus(Stage::Ppo));
    student.step(Stage::Ppo);
    let last = student.points_of("ppo", 1).remove(0);
    let (policy, reward_model) = (student.model(Stage::Ppo), student.model(Stage::RewardModel));
    let snapshot = student.0.snapshot();
    assert_eq!((snapshot.stage(), snapshot.step()), (Stage::Ppo, last.point.step));

    let restored = Session::restore(Cpu::new(), || 0.0, badge(), &snapshot).expect("the snapshot is whole");
    let mut restored = Student(restored);
    block_on(restored.0.open());
    assert_eq!((restored.model(Stage::Ppo), restored.model(Stage::RewardModel)), (policy, reward_model));
    let told = round(&restored.step(Stage::Ppo)).clone();
    assert_eq!((told.number, told.step), (2, 16), "it goes on with the next round");
}
