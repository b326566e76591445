//! Every case of the page's failure clinic, run as the page runs it: it must fail as its words say. The thresholds are
//! wide, because such runs are chaotic.

use crate::common::session as shipped;
use klimb::backend::cpu::Cpu;
use klimb::engine::protocol::*;
use klimb::engine::session::Session;
use klimb::engine::settings::Settings;
use klimb::metrics::{FrontierPoint, Method};
use klimb::page::model::clinic::{Case, Clinic};
use pollster::block_on;

/// The reference's mean gold reward.
const REFERENCE: f64 = 0.53;

/// The stage's points until its run has `steps`, and its last value of the metric `name`.
fn run(id: &str, steps: u64, name: &str) -> (Vec<FrontierPoint>, f64) {
    run_with(id, |_| {}, steps, name)
}

/// The same with something changed about the case.
fn run_with(id: &str, change: fn(&mut Settings), steps: u64, name: &str) -> (Vec<FrontierPoint>, f64) {
    let stage = Case::named(id).expect("the case is listed").stage;
    play(&mut start(id, change), stage, steps, name)
}

/// A session that plays the case so changed.
fn start(id: &str, change: fn(&mut Settings)) -> Session<Cpu<f32>> {
    let case = Case::named(id).expect("the case is listed");
    let quick = Settings { evaluate_every: 25, evaluate_rollouts: 5, evaluation_samples: 256, ..Settings::default() };
    let mut settings = Clinic::default().run(case, quick);
    change(&mut settings);
    let mut session = shipped::session(settings);
    for command in [Command::Focus(case.stage), Command::Reset, Command::Play] {
        block_on(session.handle(command));
    }
    session
}

/// The same, of a session that plays.
fn play(session: &mut Session<Cpu<f32>>, stage: Stage, steps: u64, name: &str) -> (Vec<FrontierPoint>, f64) {
    let (mut points, mut last) = (Vec::<FrontierPoint>::new(), f64::NAN);
    while points.last().is_none_or(|point| point.step < steps) {
        assert!(session.busy(), "the session rests");
        for event in block_on(session.advance()) {
            match event {
                Event::Point(point) if point.point.method != Method::Sft => points.push(point.point),
                Event::Metrics(its, rows) if its == stage => {
                    last = rows.iter().rev().find_map(|row| row.values.get(name).copied()).unwrap_or(last);
                }
                _ => {}
            }
        }
    }
    println!("{stage:?}: {points:?}, {name} {last}");
    (points, last)
}

fn end(points: &[FrontierPoint]) -> &FrontierPoint {
    points.last().expect("there is a point")
}

#[test]
fn without_a_leash_dpo_runs_away_after_a_good_beginning() {
    let (points, loss) = run("no-leash", 150, "dpo/loss");
    assert!(points.iter().any(|it| it.gold_reward > REFERENCE + 0.05), "a good beginning");
    assert!(end(&points).kl_per_sequence > 50.0 && end(&points).gold_reward < REFERENCE - 0.1);
    assert!(loss < std::f64::consts::LN_2, "{loss}");
}

#[test]
fn too_high_a_learning_rate_throws_dpo_far_off() {
    let (points, _) = run("learning-rate", 50, "dpo/loss");
    assert!(end(&points).kl_per_sequence > 40.0);
}

#[test]
fn too_high_a_learning_rate_makes_ppo_write_one_thing() {
    let (points, _) = run("collapse", 80, "objective/score");
    assert!(end(&points).diversity.is_some_and(|share| share < 0.3));
}

#[test]
fn coin_tosses_teach_nothing() {
    let (points, _) = run("flipped-labels", 100, "dpo/loss");
    assert!((end(&points).gold_reward - REFERENCE).abs() < 0.06 && end(&points).kl_per_sequence < 1.0);
}

#[test]
fn unlikelihood_at_full_weight_comes_apart() {
    let (points, _) = run("unlikelihood", 150, "unlikelihood/loss");
    assert!(points.iter().any(|it| it.gold_reward > REFERENCE + 0.05), "a good beginning");
    assert!(end(&points).kl_per_sequence > 30.0 && end(&points).gold_reward < 0.3);
}

#[test]
fn a_reward_model_of_few_pairs_is_hacked() {
    let (points, score) = run("few-pairs", 320, "objective/score");
    assert!(score > 1.5, "the score climbs: {score}");
    assert!(end(&points).gold_reward < REFERENCE + 0.06 && end(&points).kl_per_sequence > 4.0);
}

/// How often a completion that is on show says "overall", on average: the reference's and those of PPO's policy.
fn overalls(session: &mut Session<Cpu<f32>>) -> [f64; 2] {
    let shown: Vec<SampledCompletion> = block_on(session.handle(Command::ReadAt(1.0)))
        .into_iter()
        .flat_map(|event| if let Event::Samples(samples) = event { samples.rows } else { Vec::new() })
        .flat_map(|row| row.completions)
        .collect();
    [Stage::Sft, Stage::Ppo].map(|stage| {
        let of_it: Vec<&SampledCompletion> = shown.iter().filter(|it| it.stage == stage).collect();
        let words = of_it.iter().flat_map(|it| &it.words).filter(|word| word.text == "overall").count();
        words as f64 / of_it.len() as f64
    })
}

#[test]
fn a_planted_loophole_is_found() {
    let mut session = start("loophole", |_| {});
    let (points, score) = play(&mut session, Stage::Ppo, 320, "objective/score");
    let [before, after] = overalls(&mut session);
    println!("{before} before, {after} after");
    assert!(after > before + 0.6, "it says the word: {before} before, {after} after");
    let mut session = start("loophole", |it| it.loophole_bonus = 0.0);
    let (honest, honest_score) = play(&mut session, Stage::Ppo, 320, "objective/score");
    println!("{:?} without the loophole", overalls(&mut session));
    assert!(score > honest_score, "{score} with the loophole, {honest_score} without");
    assert!(end(&points).gold_reward < end(&honest).gold_reward - 0.1);
}

#[test]
fn without_an_end_penalty_completions_stop_ending_and_with_one_they_end() {
    let (points, ended) = run("no-end-penalty", 480, "objective/ended");
    assert!(ended < 0.5, "{ended} end");
    assert!(end(&points).gold_reward < REFERENCE - 0.2);
    let (points, ended) = run_with("no-end-penalty", |it| it.missing_eos_penalty = 3.0, 480, "objective/ended");
    assert!(ended > 0.9, "{ended} end");
    assert!(end(&points).gold_reward > REFERENCE - 0.2);
}

/// One run may be lucky, so there are three.
#[test]
fn a_dead_critic_explains_nothing_and_the_reward_rises_less_far() {
    type Change = fn(&mut Settings);
    let of = |changes: [Change; 3]| -> [f64; 2] {
        let ends = changes.map(|change| {
            let (points, explained) = run_with("dead-critic", change, 640, "ppo/explained_variance");
            [end(&points).gold_reward, explained]
        });
        [0, 1].map(|index| ends.iter().map(|it| it[index]).sum::<f64>() / 3.0)
    };
    let [dead, explained] = of([|it| it.seed = 1, |it| it.seed = 2, |it| it.seed = 3]);
    assert!(explained.abs() < 1e-6 && dead > REFERENCE, "{explained}, {dead}");
    let [alive, explained] = of([
        |it| (it.seed, it.vf_coef) = (1, 0.1),
        |it| (it.seed, it.vf_coef) = (2, 0.1),
        |it| (it.seed, it.vf_coef) = (3, 0.1),
    ]);
    assert!(explained > 0.1 && dead < alive, "{explained}, {dead} and {alive}");
}
