//! Best-of-N drawn from a real reference: the draws agree with the closed form, and its laws hold for the points.

use std::ops::ControlFlow;

use klimb::algorithms::{ScoreDistribution, best_of_n_bound};
use klimb::backend::cpu::Cpu;
use klimb::backend::network::Network;
use klimb::experiments::{BestOfNDraws, BestOfNSettings, CompletionPool, Evaluation, PoolPlan, Reference};
use klimb::language::Sequence;
use klimb::model::Checkpoint;
use klimb::stats::mean;
use klimb::world::{World, WorldSettings};
use pollster::block_on;

/// Far below what a published point takes, so that the test is quick; the closed form is exact for any pool.
const PER_PROMPT: usize = 512;
const SAMPLES: usize = 500;

fn sft() -> Checkpoint {
    Checkpoint::from_bytes(include_bytes!("../../www/assets/sft.safetensors"), None)
        .expect("the shipped checkpoint is valid")
}

fn pool(k: &mut Cpu<f32>, world: &World, per_prompt: usize, seed: u64) -> CompletionPool {
    let (sft, go_on) = (sft(), || ControlFlow::Continue(()));
    let network = Network::new(sft.config);
    let reference = Reference { network: &network, parameters: &sft.parameters };
    let drawn = CompletionPool::draw(k, world, reference, PoolPlan { per_prompt, seed }, go_on);
    block_on(drawn).expect("generation works").expect("nobody stopped it")
}

#[test]
fn draws_follow_the_closed_form_and_its_laws() {
    let (mut k, world, sft) = (Cpu::<f32>::new(), World::new(WorldSettings::default()).unwrap(), sft());
    let network = Network::new(sft.config);
    let pool = pool(&mut k, &world, PER_PROMPT, 1);
    let gold = pool.scores(|sequence: &Sequence| world.gold_reward(&sequence.tokens));
    let distributions: Vec<ScoreDistribution> = gold.iter().map(|scores| ScoreDistribution::new(scores)).collect();
    let mut best = |scores: &[Vec<f64>], n| -> Evaluation {
        let reference = Reference { network: &network, parameters: &sft.parameters };
        let points = pool.best_of_n(&mut k, &world, reference, scores, BestOfNDraws { n, samples: SAMPLES });
        block_on(points).expect("scoring works")
    };
    let mut before: Option<Evaluation> = None;
    for n in [1, 2, 4, 8, 16] {
        let point = best(&gold, n);
        let expected = |of: &dyn Fn(&ScoreDistribution) -> f64| mean(&distributions.iter().map(of).collect::<Vec<_>>());
        let (kl, reward) = (expected(&|it| it.kl(n)), expected(&|it| it.mean(n)));
        let near = |found: f64, expected: f64, half_width: f64| (found - expected).abs() <= 2.0 * half_width + 1e-9;
        assert!(near(point.kl_per_sequence, kl, point.kl_half_width), "N = {n}: KL {} and {kl}", point.kl_per_sequence);
        assert!(near(point.gold_reward, reward, point.gold_reward_half_width), "N = {n}: reward {reward}");
        assert!(kl <= best_of_n_bound(n) + 1e-9, "N = {n}: {kl}");
        assert!(
            (mean(&point.samples.iter().map(|it| it.kl()).collect::<Vec<_>>()) - point.kl_per_sequence).abs() < 1e-9
        );
        assert!((point.estimators[0] - point.kl_per_sequence).abs() < 1e-9, "k1 is the mean log-ratio");
        if let Some(before) = &before {
            assert!(
                point.kl_per_sequence > before.kl_per_sequence && point.gold_reward > before.gold_reward,
                "N = {n}"
            );
        } else {
            assert!(point.kl_per_sequence.abs() < 1e-12, "the best of one is the reference");
        }
        before = Some(point);
    }

    // Another scorer: what it likes grows, and its KL is of its own scores.
    let short = pool.scores(|sequence| -(sequence.tokens.len() as f64));
    let point = best(&short, 8);
    let length = |evaluation: &Evaluation| {
        mean(&evaluation.samples.iter().map(|it| it.sequence.tokens.len() as f64).collect::<Vec<_>>())
    };
    let (shortest, any) = (length(&point), length(&best(&gold, 1)));
    assert!(shortest < any - 2.0, "the shortest of eight have {shortest} tokens, any one {any}");
    let exact = mean(&short.iter().map(|scores| ScoreDistribution::new(scores).kl(8)).collect::<Vec<_>>());
    assert!(
        (point.kl_per_sequence - exact).abs() < 2.0 * point.kl_half_width,
        "KL {} and {exact}",
        point.kl_per_sequence
    );
    assert!(exact < best_of_n_bound(8) - 0.01, "many completions are equally short: {exact}");
}

#[test]
fn a_seed_names_the_pool_and_a_pool_is_large_enough() {
    let (mut k, world) = (Cpu::<f32>::new(), World::new(WorldSettings::default()).unwrap());
    let one = pool(&mut k, &world, 8, 1);
    assert_eq!(one, pool(&mut k, &world, 8, 1));
    assert_ne!(one, pool(&mut k, &world, 8, 2));
    assert_eq!(one.completions().len(), world.held_out_prompts().len());
    let settings = BestOfNSettings { largest: 2, ..BestOfNSettings::default() };
    assert_eq!(CompletionPool::size(&world, settings), 4096);
    let settings = BestOfNSettings { largest: 100, samples: 1024, ..settings };
    assert!(CompletionPool::size(&world, settings) * world.held_out_prompts().len() >= 1024 * 100);
    assert_eq!(settings.counts().collect::<Vec<_>>(), [2, 4, 8, 16, 32, 64, 100]);
}
