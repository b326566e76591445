//! What a step asks of the machine: kernels, submits, readbacks, writes, objects. Tiny models are bound by round trips,
//! so these counts are part of the design; none of them is a timing.

use crate::common;
use klimb::algorithms::{
    Dpo, DpoSettings, PairBatch, Ppo, PpoSettings, PpoStart, PreferredFt, RewardModel, RewardModelSettings, Rollout,
    Sft, SftSettings, Unlikelihood, UnlikelihoodSettings, ValueNetwork,
};
use klimb::backend::cpu::Cpu;
use klimb::backend::gpu::{Gpu, Preference};
use klimb::backend::network::Network;
use klimb::backend::{Counters, Kernels};
use klimb::language::{Episode, Generation, GenerationSettings, Sequence};
use klimb::metrics::{METHODS, Method};
use klimb::model::{ModelConfig, initial_parameters};

const CONFIG: ModelConfig =
    ModelConfig { vocabulary: 23, context: 12, width: 16, layers: 2, heads: 2, own_unembedding: false };
const LENGTH: usize = 9;

fn difference(after: Counters, before: Counters) -> Counters {
    Counters {
        dispatches: after.dispatches - before.dispatches,
        submits: after.submits - before.submits,
        readbacks: after.readbacks - before.readbacks,
        writes: after.writes - before.writes,
        objects: after.objects - before.objects,
        forward_tokens: after.forward_tokens - before.forward_tokens,
        backward_tokens: after.backward_tokens - before.backward_tokens,
    }
}

/// The counts of the third run of `step`: by then everything that is made once has been made.
fn third<K: Kernels>(k: &mut K, mut step: impl FnMut(&mut K)) -> Counters {
    step(k);
    step(k);
    let before = k.counters();
    step(k);
    difference(k.counters(), before)
}

fn sequence(i: usize) -> Sequence {
    let token = |t: usize| ((7 * i + 3 * t) % 21) as u32 + 2;
    Sequence::new(&[token(0), token(1)], &[token(2), token(3 + i % 2), 1])
}

/// Forward: embedding, 7 a block, final norm, logits. Backward: logits 2, final norm 2, 13 a block, embedding 1.
const FORWARD: u64 = 1 + 7 * 2 + 2;
const BACKWARD: u64 = 2 + 2 + 13 * 2 + 1;
/// Log-probabilities there and back, gradient norm, line of metrics, AdamW.
const UPDATE: u64 = 2 + 3;

fn sft_step<K: Kernels>(k: &mut K) -> Counters {
    let settings = SftSettings { batch: 4, ..SftSettings::default() };
    let mut sft = Sft::new(k, Network::new(CONFIG), &initial_parameters(&CONFIG, 1), LENGTH, settings);
    let sequences: Vec<Sequence> = (0..4).map(sequence).collect();
    third(k, |k| sft.step(k, &sequences))
}

fn dpo_step<K: Kernels>(k: &mut K) -> Counters {
    let settings = DpoSettings { pairs: 3, ..DpoSettings::default() };
    let mut dpo = Dpo::new(k, Network::new(CONFIG), &initial_parameters(&CONFIG, 1), LENGTH, settings);
    third(k, |k| dpo.step(k, &pairs()))
}

fn unlikelihood_step<K: Kernels>(k: &mut K) -> Counters {
    let DpoSettings { schedule, adamw, .. } = DpoSettings::default();
    let settings = UnlikelihoodSettings { alpha: 0.1, pairs: 3, schedule, adamw };
    let mut unlikelihood =
        Unlikelihood::new(k, Network::new(CONFIG), &initial_parameters(&CONFIG, 1), LENGTH, settings);
    third(k, |k| unlikelihood.step(k, &pairs()))
}

fn preferred_ft_step<K: Kernels>(k: &mut K) -> Counters {
    let settings = SftSettings { batch: 3, ..SftSettings::default() };
    let mut preferred_ft = PreferredFt::new(k, Network::new(CONFIG), &initial_parameters(&CONFIG, 1), LENGTH, settings);
    third(k, |k| preferred_ft.step(k, &pairs()))
}

fn pairs() -> PairBatch {
    PairBatch {
        chosen: (0..3).map(sequence).collect(),
        rejected: (3..6).map(sequence).collect(),
        reference_chosen: vec![-9.0; 3],
        reference_rejected: vec![-9.0; 3],
    }
}

fn reward_model_step<K: Kernels>(k: &mut K) -> Counters {
    let settings = RewardModelSettings { pairs: 3, ..RewardModelSettings::default() };
    let mut reward_model = RewardModel::new(k, CONFIG, &initial_parameters(&CONFIG, 1), 1, LENGTH, settings);
    let (chosen, rejected): (Vec<Sequence>, Vec<Sequence>) =
        ((0..3).map(sequence).collect(), (3..6).map(sequence).collect());
    third(k, |k| reward_model.step(k, &chosen, &rejected))
}

fn rollout<K: Kernels>(k: &mut K) -> Counters {
    let network = Network::new(CONFIG);
    let mut generation = Generation::new(k, network.clone(), 3, LENGTH);
    let mut parameters = k.floats("policy", network.layout().len);
    let initial: Vec<K::Real> =
        initial_parameters(&CONFIG, 1).iter().map(|&p| klimb::real::Real::of(f64::from(p))).collect();
    k.write_floats(&mut parameters, 0, &initial);
    let settings = GenerationSettings { temperature: 1.0, end: 1, padding: 0 };
    let coins = vec![0.5; generation.coins()];
    third(k, |k| {
        let prompts: [&[u32]; 3] = [&[2, 3], &[4, 5, 6], &[7, 8]];
        pollster::block_on(generation.generate(k, &parameters, &prompts, &coins, settings)).unwrap();
    })
}

/// PPO with two minibatches of two episodes, and a rollout to learn from.
fn ppo<K: Kernels>(k: &mut K, value_network: ValueNetwork) -> (Ppo<K>, Rollout) {
    let settings = PpoSettings { episodes: 4, minibatches: 2, value_network, ..PpoSettings::default() };
    let parameters = initial_parameters(&CONFIG, 1);
    let start = PpoStart { reference: &parameters, value_trunk: &parameters, reward_model: None };
    let mut ppo = Ppo::new(k, CONFIG, start, LENGTH, settings);
    let episodes = ppo_rollout(k, &mut ppo);
    let rollout = ppo.judge(episodes, &[1.0, -1.0, 0.5, 0.0]);
    (ppo, rollout)
}

fn ppo_rollout<K: Kernels>(k: &mut K, ppo: &mut Ppo<K>) -> Vec<Episode> {
    let settings = GenerationSettings { temperature: 1.0, end: 1, padding: 0 };
    let prompts: [&[u32]; 4] = [&[2, 3], &[4, 5, 6], &[7, 8], &[9, 2]];
    let coins = vec![0.5; ppo.coins()];
    pollster::block_on(ppo.rollout(k, &prompts, &coins, settings)).expect("a rollout works")
}

fn ppo_counts<K: Kernels>(k: &mut K, value_network: ValueNetwork) -> (Counters, Counters) {
    let (mut ppo, rollout) = ppo(k, value_network);
    let step = third(k, |k| ppo.step(k, &rollout, &[2, 0], &[]));
    (third(k, |k| drop(ppo_rollout(k, &mut ppo))), step)
}

fn assert_steps<K: Kernels>(mut k: K) {
    // Every padded position of every sequence goes through the network, once there and once back.
    let length = LENGTH as u64;
    let expected = |dispatches, sequences: u64| Counters {
        dispatches,
        submits: 1,
        readbacks: 0,
        writes: 2,
        objects: 0,
        forward_tokens: sequences * length,
        backward_tokens: sequences * length,
    };
    assert_eq!(sft_step(&mut k), expected(FORWARD + 1 + BACKWARD + UPDATE, 4), "SFT");
    let on_pairs = [
        (Method::Dpo, dpo_step(&mut k), expected(FORWARD + 3 + BACKWARD + UPDATE, 6)),
        (Method::Unlikelihood, unlikelihood_step(&mut k), expected(FORWARD + 3 + BACKWARD + UPDATE, 6)),
        (Method::PreferredFt, preferred_ft_step(&mut k), expected(FORWARD + 1 + BACKWARD + UPDATE, 3)),
    ];
    for method in METHODS.iter().map(|info| info.method).filter(|method| method.learns_from_pairs()) {
        let found = on_pairs.iter().find(|(its, ..)| *its == method);
        let (_, counts, expected) = found.unwrap_or_else(|| panic!("{method}: its steps are not counted"));
        assert_eq!(counts, expected, "{method}");
    }
    // The head takes the unembedding's place; no log-probabilities are made.
    assert_eq!(reward_model_step(&mut k), expected(FORWARD + 3 + BACKWARD + UPDATE - 2, 6), "reward model");
    // Eight positions, the first of them without logits: one token is prompt everywhere. A card takes them all at once.
    let positions = if k.generates(&CONFIG, LENGTH) { 1 } else { (length - 1) * (1 + 7 * 2) + (length - 2) * 3 };
    let one_read = |dispatches, forward_tokens| Counters {
        dispatches,
        submits: 1,
        readbacks: 1,
        writes: 3,
        objects: 0,
        forward_tokens,
        backward_tokens: 0,
    };
    assert_eq!(rollout(&mut k), one_read(positions, 3 * (length - 1)), "rollout");

    // Policy and reference with their log-probabilities, the KL between them, the record; and the values.
    let dispatches = positions + 2 * (FORWARD + 1) + 2;
    // A reward model reads the last token too, so a rollout's are read in full; what is learned from is what was written.
    let (written, read) = (4 * (length - 1), 4 * length);
    let no_read = |dispatches, writes, tokens| Counters {
        dispatches,
        submits: 1,
        readbacks: 0,
        writes,
        objects: 0,
        forward_tokens: tokens,
        backward_tokens: tokens,
    };
    // The value model goes through the trunk and its head, not through the unembedding, both ways.
    let policy = FORWARD + 1 + BACKWARD + UPDATE;
    let value_model = FORWARD + 1 + BACKWARD + UPDATE - 2;
    let (rollout, step) = ppo_counts(&mut k, ValueNetwork::Own);
    assert_eq!(rollout, one_read(dispatches + FORWARD, written + 3 * read), "PPO's rollout, value model");
    assert_eq!(step, no_read(policy + value_model, 4, written), "PPO's step, value model");
    let (rollout, step) = ppo_counts(&mut k, ValueNetwork::Shared);
    assert_eq!(rollout, one_read(dispatches + 1, written + 2 * read), "PPO's rollout, shared trunk");
    // The head's map and its two ways back, and the value loss.
    assert_eq!(step, no_read(policy + 4, 2, written / 2), "PPO's step, shared trunk");
}

#[test]
fn a_step_on_the_cpu_asks_for_what_the_design_says() {
    assert_steps(Cpu::<f32>::new());
}

#[test]
fn a_step_on_the_gpu_asks_for_what_the_design_says() {
    assert_steps(common::gpu());
}

#[test]
fn a_step_on_a_card_asks_for_what_the_design_says() {
    let preference = Preference { as_card: true, ..Default::default() };
    assert_steps(pollster::block_on(Gpu::new(preference)).expect("the adapter of the test above"));
}
