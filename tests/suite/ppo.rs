//! PPO from rollout to update: what must hold of a step whatever was drawn, on a network of its own, and that it learns
//! the world's task, on both backends.

use crate::common;
use klimb::algorithms::{Ppo, PpoMetrics, PpoSettings, PpoStart, Rollout, ValueNetwork};
use klimb::backend::Kernels;
use klimb::backend::cpu::Cpu;
use klimb::backend::network::Network;
use klimb::experiments::{EvaluationSettings, Evaluator, PpoRunSettings, Rounds};
use klimb::language::{Episode, GenerationSettings, Schedule, Scorer, Sequence, upload};
use klimb::model::{Checkpoint, Expectation, ModelConfig, initial_parameters, with_zero_head};
use klimb::rng::Generator;
use klimb::world::{World, WorldSettings};

const CONFIG: ModelConfig =
    ModelConfig { vocabulary: 23, context: 12, width: 16, layers: 2, heads: 2, own_unembedding: false };
const LENGTH: usize = 11;
const GENERATION: GenerationSettings = GenerationSettings { temperature: 1.0, end: 1, padding: 0 };

/// A network far enough from uniform to have habits.
fn parameters(seed: u64) -> Vec<f32> {
    initial_parameters(&CONFIG, seed).iter().map(|parameter| 6.0 * parameter).collect()
}

fn settings(value_network: ValueNetwork) -> PpoSettings {
    let schedule = Schedule { peak: 2e-3, floor: 2e-3, warm_up: 0, steps: 0 };
    PpoSettings { episodes: 32, value_network, schedule, ..PpoSettings::default() }
}

fn small<K: Kernels>(k: &mut K, settings: PpoSettings) -> Ppo<K> {
    let (reference, value_trunk) = (parameters(1), parameters(2));
    let start = PpoStart { reference: &reference, value_trunk: &value_trunk, reward_model: None };
    Ppo::new(k, CONFIG, start, LENGTH, settings)
}

fn episodes<K: Kernels>(k: &mut K, ppo: &mut Ppo<K>, round: u64) -> Vec<Episode> {
    let mut draws = Generator::numbered(4, "rollouts", round);
    let prompts: Vec<Vec<u32>> = (0..ppo.settings().episodes)
        .map(|episode| (0..1 + episode % 3).map(|_| 2 + draws.below(21) as u32).collect())
        .collect();
    let prompts: Vec<&[u32]> = prompts.iter().map(Vec::as_slice).collect();
    let coins = draws.coins(ppo.coins());
    pollster::block_on(ppo.rollout(k, &prompts, &coins, GENERATION)).expect("a rollout works")
}

/// Even tokens are good.
fn score(episode: &Episode) -> f64 {
    let completion = episode.sequence.completion();
    let even = completion.iter().filter(|token| token.is_multiple_of(2)).count();
    4.0 * even as f64 / completion.len() as f64 - 2.0
}

fn round<K: Kernels>(k: &mut K, ppo: &mut Ppo<K>, number: u64) -> Rollout {
    let episodes = episodes(k, ppo, number);
    let scores: Vec<f64> = episodes.iter().map(score).collect();
    ppo.judge(episodes, &scores)
}

fn metrics<K: Kernels>(k: &mut K, ppo: &mut Ppo<K>) -> Vec<PpoMetrics> {
    pollster::block_on(ppo.metrics(k)).expect("metrics can be read")
}

/// Demonstrations of tokens that the policy seldom writes.
fn demonstrations(count: usize) -> Vec<Sequence> {
    (0..count).map(|i| Sequence::new(&[2 + i as u32 % 20], &[21, 22, 21, 1])).collect()
}

/// The recorder's numbers are those of the scorer, which lays tokens out on the host; and the tokens are a completion.
fn a_rollout_records_what_scoring_finds<K: Kernels>(mut k: K) {
    let mut ppo = small(&mut k, settings(ValueNetwork::Own));
    // Away from the reference first, or every KL is 0.
    for number in 0..2 {
        let rollout = round(&mut k, &mut ppo, number);
        for indices in ppo.minibatches(&mut Generator::new(1, "order")) {
            ppo.step(&mut k, &rollout, &indices, &[]);
        }
    }
    let recorded = episodes(&mut k, &mut ppo, 9);
    let sequences: Vec<Sequence> = recorded.iter().map(|episode| episode.sequence.clone()).collect();
    let size = klimb::backend::SequenceSize { batch: 32, length: LENGTH - 1 };
    let mut scorer = Scorer::new(&mut k, Network::new(CONFIG), size);
    let (policy, reference) = (&ppo.policy().parameters, ppo.reference());
    let scored = pollster::block_on(scorer.compare(&mut k, policy, reference, &sequences)).expect("scoring works");
    let mut largest_kl = 0.0f64;
    for (episode, scored) in recorded.iter().zip(&scored) {
        for (recorded, scored) in [
            (&episode.logprobs, &scored.logprobs),
            (&episode.entropies, &scored.entropies),
            (&episode.reference_logprobs, &scored.reference_logprobs),
            (&episode.kl_per_token, &scored.kl_per_token),
        ] {
            assert_eq!(recorded.len(), episode.sequence.completion().len());
            for (recorded, scored) in recorded.iter().zip(scored) {
                assert!((recorded - scored).abs() < 2e-5, "{recorded} recorded, {scored} scored");
            }
        }
        largest_kl = episode.kl_per_token.iter().copied().fold(largest_kl, f64::max);
        assert_eq!(episode.score, None);
    }
    assert!(largest_kl > 1e-3, "the policy has not moved: {largest_kl}");
    let ended = |episode: &Episode| episode.sequence.tokens.last() == Some(&1);
    assert!(recorded.iter().any(ended) && !recorded.iter().all(ended), "some completions end, some are cut off");
}

#[test]
fn a_rollout_records_what_scoring_finds_on_the_cpu() {
    a_rollout_records_what_scoring_finds(Cpu::<f32>::new());
}

#[test]
fn a_rollout_records_what_scoring_finds_on_the_gpu() {
    a_rollout_records_what_scoring_finds(common::gpu());
}

/// The value before the first token is chosen is read at the prompt's last; the score where the last token was read.
#[test]
fn values_and_scores_are_read_where_they_belong() {
    let mut k = Cpu::<f64>::new();
    let reference = parameters(1);
    let mut judge = with_zero_head(&CONFIG, &parameters(3));
    let head = judge.len() - CONFIG.width - 1;
    judge[head..].copy_from_slice(&Generator::new(2, "head").coins(CONFIG.width + 1));
    let start = PpoStart { reference: &reference, value_trunk: &reference, reward_model: Some(&judge) };
    let mut ppo = Ppo::new(&mut k, CONFIG, start, LENGTH, settings(ValueNetwork::Own));
    let recorded = episodes(&mut k, &mut ppo, 0);
    let network = Network::with_head(CONFIG);
    let parameters = upload(&mut k, &judge);
    for episode in &recorded {
        let tokens = &episode.sequence.tokens;
        let mut activations = network.activations(&mut k, tokens.len());
        let (mut values, size) =
            (vec![0.0; tokens.len()], klimb::backend::SequenceSize { batch: 1, length: tokens.len() });
        network.trunk_forward(&mut k, size, &parameters, klimb::backend::At::new(tokens, 0), &mut activations);
        network.values_forward(&mut k, tokens.len(), &parameters, &activations, &mut values);
        let expected = values[tokens.len() - 1];
        let found = episode.score.expect("a reward model took part");
        assert!((found - expected).abs() < 1e-9, "{found} instead of {expected}");
        assert!(episode.values.iter().all(|&value| value == 0.0), "a new value model promises nothing");
    }
}

/// At the first minibatch of a rollout the policy is the one that drew it: ρ = 1, nothing is clipped, nothing has moved.
fn the_first_ratio_is_1<K: Kernels>(mut k: K) {
    for value_network in [ValueNetwork::Own, ValueNetwork::Shared] {
        let mut ppo = small(&mut k, settings(value_network));
        for number in 0..2 {
            let rollout = round(&mut k, &mut ppo, number);
            let minibatches = ppo.minibatches(&mut Generator::new(1, "order"));
            ppo.step(&mut k, &rollout, &minibatches[0], &[]);
            let ratios = pollster::block_on(ppo.ratios(&mut k)).expect("ratios can be read");
            let numbers: Vec<usize> = ratios.iter().map(|(number, _)| *number).collect();
            assert_eq!(numbers, minibatches[0]);
            for (number, ratios) in ratios {
                assert_eq!(ratios.len(), rollout.episodes[number].advantages.len());
                assert!(ratios.iter().all(|ratio| (ratio - 1.0).abs() < 1e-4), "{value_network:?}: {ratios:?}");
            }
            for indices in &minibatches[1..] {
                ppo.step(&mut k, &rollout, indices, &[]);
            }
            let lines = metrics(&mut k, &mut ppo);
            assert_eq!(lines.len(), 16);
            assert!((lines[0].ratio - 1.0).abs() < 1e-5 && lines[0].clip_fraction == 0.0, "{:?}", lines[0]);
            assert!(lines[0].approx_kl.iter().all(|kl| kl.abs() < 1e-5), "{:?}", lines[0]);
            assert!(lines[15].approx_kl[2] > 1e-4, "sixteen steps have moved the policy: {:?}", lines[15]);
        }
    }
}

#[test]
fn the_first_ratio_is_1_on_the_cpu() {
    the_first_ratio_is_1(Cpu::<f32>::new());
}

#[test]
fn the_first_ratio_is_1_on_the_gpu() {
    the_first_ratio_is_1(common::gpu());
}

/// Nothing is better or worse than expected: the policy stays exactly where it is, whatever the value model learns.
#[test]
fn without_advantages_the_policy_stays() {
    let mut k = Cpu::<f32>::new();
    let mut ppo = small(&mut k, settings(ValueNetwork::Own));
    let mut rollout = round(&mut k, &mut ppo, 0);
    rollout.episodes.iter_mut().for_each(|scored| scored.advantages.fill(0.0));
    for indices in ppo.minibatches(&mut Generator::new(1, "order")) {
        ppo.step(&mut k, &rollout, &indices, &[]);
    }
    let lines = metrics(&mut k, &mut ppo);
    assert!(lines.iter().all(|line| line.gradient_norm == 0.0 && line.value_gradient_norm > 0.0), "{lines:?}");
    assert_eq!(pollster::block_on(ppo.read_policy(&mut k)).expect("parameters can be read"), parameters(1));
}

/// Fitted to one rollout again and again, the value model comes to know it: own, shared, clipped.
fn the_value_loss_falls<K: Kernels>(mut k: K, value_network: ValueNetwork, value_clip_range: Option<f64>) {
    let clip_range = 1e-9; // the policy may not move, so that only values learn
    let settings = PpoSettings { value_clip_range, clip_range, value_coefficient: 1.0, ..settings(value_network) };
    let mut ppo = small(&mut k, settings);
    let rollout = round(&mut k, &mut ppo, 0);
    let mut losses = Vec::new();
    for epoch in 0..3 {
        for indices in ppo.minibatches(&mut Generator::numbered(1, "order", epoch)) {
            ppo.step(&mut k, &rollout, &indices, &[]);
        }
        losses.extend(metrics(&mut k, &mut ppo).iter().map(|line| line.value_loss));
    }
    let mean = |losses: &[f64]| losses.iter().sum::<f64>() / losses.len() as f64;
    let (first, last) = (mean(&losses[..4]), mean(&losses[losses.len() - 4..]));
    assert!(last < 0.8 * first, "{value_network:?}, clip {value_clip_range:?}: from {first} to {last}");
}

#[test]
fn the_value_loss_falls_on_a_fixed_rollout_on_the_cpu() {
    the_value_loss_falls(Cpu::<f32>::new(), ValueNetwork::Own, None);
    the_value_loss_falls(Cpu::<f32>::new(), ValueNetwork::Own, Some(2.0));
    the_value_loss_falls(Cpu::<f32>::new(), ValueNetwork::Shared, None);
}

#[test]
fn the_value_loss_falls_on_a_fixed_rollout_on_the_gpu() {
    the_value_loss_falls(common::gpu(), ValueNetwork::Own, None);
}

/// Demonstrations pull where no advantage does, and their loss falls; without weight they are not there.
#[test]
fn demonstrations_are_learned_from_beside_the_episodes() {
    for value_network in [ValueNetwork::Own, ValueNetwork::Shared] {
        let mut k = Cpu::<f32>::new();
        let mut ppo = small(&mut k, PpoSettings { ptx_coefficient: 0.5, ..settings(value_network) });
        let rollout = round(&mut k, &mut ppo, 0);
        let reviews = demonstrations(ppo.settings().minibatch());
        for indices in ppo.minibatches(&mut Generator::new(1, "order")) {
            ppo.step(&mut k, &rollout, &indices, &reviews);
        }
        let lines = metrics(&mut k, &mut ppo);
        assert!((lines[0].ratio - 1.0).abs() < 1e-5, "episodes keep their place behind demonstrations: {:?}", lines[0]);
        assert!(lines[0].ptx_loss > 3.0 && lines[15].ptx_loss < lines[0].ptx_loss - 0.2, "{lines:?}");
    }
    let mut k = Cpu::<f32>::new();
    let mut ppo = small(&mut k, settings(ValueNetwork::Own));
    let rollout = round(&mut k, &mut ppo, 0);
    ppo.step(&mut k, &rollout, &[0, 1, 2, 3, 4, 5, 6, 7], &[]);
    assert!(metrics(&mut k, &mut ppo)[0].ptx_loss.is_nan());
}

#[test]
fn the_entropy_bonus_keeps_the_policy_broad() {
    let entropy = |entropy_coefficient| {
        let mut k = Cpu::<f32>::new();
        let mut ppo = small(&mut k, PpoSettings { entropy_coefficient, ..settings(ValueNetwork::Own) });
        for number in 0..4 {
            let rollout = round(&mut k, &mut ppo, number);
            for indices in ppo.minibatches(&mut Generator::new(1, "order")) {
                ppo.step(&mut k, &rollout, &indices, &[]);
            }
        }
        round(&mut k, &mut ppo, 9).metrics.entropy
    };
    let (without, with) = (entropy(0.0), entropy(0.5));
    assert!(with > without + 0.02, "entropy {without} without, {with} with");
}

/// Far below its target the controller loosens the leash, and every rollout pays the β of its time.
#[test]
fn the_controller_moves_beta_from_rollout_to_rollout() {
    let mut k = Cpu::<f32>::new();
    let adaptive = PpoSettings { target_kl: Some(50.0), kl_horizon: 64.0, ..settings(ValueNetwork::Own) };
    let mut ppo = small(&mut k, adaptive);
    let betas: Vec<f64> = (0..3).map(|number| round(&mut k, &mut ppo, number).metrics.beta).collect();
    for (found, expected) in betas.iter().zip([0.3, 0.3 * 0.9, 0.3 * 0.81]) {
        assert!((found - expected).abs() < 1e-12, "{betas:?}");
    }
    let mut fixed = small(&mut k, settings(ValueNetwork::Own));
    round(&mut k, &mut fixed, 0);
    assert_eq!(fixed.beta(), 0.3);
}

#[test]
fn settings_that_cannot_be_used_are_named() {
    let field = |settings: PpoSettings| settings.validated().expect_err("a bad setting").field;
    let good = PpoSettings::default();
    assert_eq!(good.validated(), Ok(good));
    assert_eq!(field(PpoSettings { missing_eos_penalty: -1.0, ..good }), "missing eos penalty");
    assert_eq!(field(PpoSettings { minibatches: 3, ..good }), "minibatches");
    assert_eq!(field(PpoSettings { target_kl: Some(3.0), beta: 0.0, ..good }), "beta");
    assert_eq!(field(PpoSettings { value_clip_range: Some(0.0), ..good }), "value clip range");
    assert_eq!(field(PpoSettings { gae_lambda: 1.5, ..good }), "gae lambda");
}

fn sft() -> (World, Checkpoint) {
    let world = World::new(WorldSettings::default()).expect("the default world is valid");
    let vocabulary_fingerprint = world.vocabulary().fingerprint();
    let expected = Expectation { config: None, vocabulary_fingerprint, head: false };
    let bytes = include_bytes!("../../www/assets/sft.safetensors");
    (world, Checkpoint::from_bytes(bytes, Some(&expected)).expect("the shipped checkpoint is valid"))
}

/// Gold reward before and after `rollouts` rollouts of PPO-GT, the KL it cost, and the policy.
fn ppo_gt<K: Kernels>(k: &mut K, rollouts: u64, settings: PpoSettings) -> (f64, f64, f64, Vec<f32>) {
    let (world, sft) = sft();
    let network = Network::new(sft.config);
    let start = PpoStart { reference: &sft.parameters, value_trunk: &sft.parameters, reward_model: None };
    let mut ppo = Ppo::new(k, sft.config, start, klimb::world::MAX_SEQUENCE, settings);
    let evaluation = EvaluationSettings { samples: 512, ..EvaluationSettings::default() };
    let mut evaluator = Evaluator::new(k, &network, 256, evaluation);
    let mut rounds = Rounds::new(1, &PpoRunSettings::default());
    pollster::block_on(async {
        let reference = ppo.reference();
        let before = evaluator.evaluate(k, &world, reference, reference).await.expect("evaluation works").gold_reward;
        while rounds.done() < rollouts {
            let round = rounds.draw(k, &world, &mut ppo).await.expect("a rollout works");
            for indices in rounds.minibatches(&ppo) {
                ppo.step(k, &round.rollout, &indices, &[]);
            }
        }
        let (policy, reference) = (&ppo.policy().parameters, ppo.reference());
        let after = evaluator.evaluate(k, &world, policy, reference).await.expect("evaluation works");
        (before, after.gold_reward, after.kl_per_sequence, ppo.read_policy(k).await.expect("parameters can be read"))
    })
}

#[test]
fn ppo_gt_learns_on_the_cpu_and_again_to_the_last_bit() {
    let (before, after, kl, policy) = ppo_gt(&mut Cpu::<f32>::new(), 6, PpoSettings::default());
    assert!(after - before > 0.15, "gold reward from {before} to {after}");
    assert!((0.3..4.0).contains(&kl), "KL {kl}");
    let (.., again) = ppo_gt(&mut Cpu::<f32>::new(), 6, PpoSettings::default());
    assert_eq!(policy, again);
}

/// A software adapter takes seconds a rollout: far enough to see it learn.
#[test]
fn ppo_gt_learns_on_the_gpu() {
    let settings = PpoSettings { episodes: 128, ..PpoSettings::default() };
    let (before, after, kl, _) = ppo_gt(&mut common::gpu(), 5, settings);
    assert!(after - before > 0.06, "gold reward from {before} to {after}");
    assert!((0.05..4.0).contains(&kl), "KL {kl}");
}
