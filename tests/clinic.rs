//! Every case of the page's failure clinic, run as the page runs it: it must fail as its words say. The thresholds are
//! wide, because such runs are chaotic.
#![cfg(not(target_arch = "wasm32"))]

use klimb::backend::cpu::Cpu;
use klimb::engine::protocol::*;
use klimb::engine::session::Session;
use klimb::engine::settings::Settings;
use klimb::metrics::FrontierPoint;
use klimb::page::clinic::{Case, Clinic};
use pollster::block_on;

fn clock() -> f64 {
    0.0
}

/// The reference's mean gold reward.
const REFERENCE: f64 = 0.53;

/// A stage's points until its run has `steps`, and its last value of the metric `name`.
fn run(id: &str, steps: u64, name: &str) -> (Vec<FrontierPoint>, f64) {
    let checkpoints = Checkpoints {
        base: include_bytes!("../www/assets/base.safetensors").to_vec(),
        sft: include_bytes!("../www/assets/sft.safetensors").to_vec(),
        optimum: include_bytes!("../www/assets/optimum.json").to_vec(),
        preferences: Vec::new(),
    };
    let badge = Badge { kind: BackendKind::Cpu, adapter: None, why: "this is a test.".into(), remedy: None };
    let case = Case::named(id).expect("the case is listed");
    let quick = Settings { evaluate_every: 25, evaluate_rollouts: 5, evaluation_samples: 256, ..Settings::default() };
    let settings = Clinic::default().run(case, quick);
    let mut session = Session::new(Cpu::<f32>::new(), clock, badge, settings, &checkpoints).expect("shipped models");
    block_on(session.open());
    for command in [Command::Focus(case.stage), Command::Reset, Command::Play] {
        block_on(session.handle(command));
    }
    let (mut points, mut last) = (Vec::<FrontierPoint>::new(), f64::NAN);
    while points.last().is_none_or(|point| point.step < steps) {
        assert!(session.busy(), "{id}: the session rests");
        for event in block_on(session.advance()) {
            match event {
                Event::Point(point) if point.point.method != "sft" => points.push(point.point),
                Event::Metrics(stage, rows) if stage == case.stage => {
                    last = rows.iter().rev().find_map(|row| row.values.get(name).copied()).unwrap_or(last);
                }
                _ => {}
            }
        }
    }
    println!("{id}: {points:?}, {name} {last}");
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
