//! One training step of SFT, DPO and PPO, from the batch on the host to the last kernel's end.

use klimb::algorithms::{Dpo, DpoSettings, PairBatch, Ppo, PpoSettings, PpoStart, Sft, SftSettings};
use klimb::backend::Kernels;
use klimb::backend::network::Network;
use klimb::language::{GenerationSettings, Schedule, Sequence, TokenBatch};
use klimb::model::initial_parameters;
use klimb::rng::Generator;

use super::harness::{Harness, Machine, Subject, finish};
use super::sizes::{Size, VOCABULARY};

/// Batches that a run goes through in turn, so that none is learned by heart.
const BATCHES: u64 = 8;
/// Tokens of every prompt.
pub const PROMPT: usize = 12;
/// Gentle, so that thousands of steps leave a network whose numbers are ordinary.
const SCHEDULE: Schedule = Schedule { peak: 1e-4, floor: 1e-4, warm_up: 0, steps: 0 };

/// Writes completions of full length: the end is a token that never comes.
pub const WRITING: GenerationSettings = GenerationSettings { temperature: 1.0, end: VOCABULARY as u32, padding: 0 };

pub fn all<K: Kernels<Real = f32>>(harness: &mut Harness, machine: &mut Machine<K>, size: Size) {
    sft(harness, machine, "sft", size);
    dpo(harness, machine, size);
    ppo(harness, machine, size);
}

/// A step of SFT, under the name of what it is measured for.
pub fn sft<K: Kernels<Real = f32>>(harness: &mut Harness, machine: &mut Machine<K>, name: &'static str, size: Size) {
    let batches: Vec<TokenBatch> =
        (0..BATCHES).map(|i| TokenBatch::new(size.length, &sequences(size.batch, size.length, i))).collect();
    let make = |k: &mut K| {
        let settings = SftSettings { batch: size.batch, schedule: SCHEDULE, ..SftSettings::default() };
        let network = Network::new(size.config());
        (Sft::new(k, network, &initial_parameters(&size.config(), 1), size.length, settings), batches.iter().cycle())
    };
    harness.step(machine, subject(name, size, size.step_flop(size.batch * size.length)), make, |k, (sft, batches)| {
        sft.step_on(k, batches.next().expect("an endless cycle"));
        finish(k);
    });
}

fn dpo<K: Kernels<Real = f32>>(harness: &mut Harness, machine: &mut Machine<K>, size: Size) {
    let batches: Vec<PairBatch> = (0..BATCHES).map(|i| pairs(size, i)).collect();
    let make = |k: &mut K| {
        let settings = DpoSettings { pairs: size.batch / 2, schedule: SCHEDULE, ..DpoSettings::default() };
        let network = Network::new(size.config());
        (Dpo::new(k, network, &initial_parameters(&size.config(), 1), size.length, settings), batches.iter().cycle())
    };
    harness.step(machine, subject("dpo", size, size.step_flop(size.batch * size.length)), make, |k, (dpo, batches)| {
        dpo.step(k, batches.next().expect("an endless cycle"));
        finish(k);
    });
}

/// One minibatch of all episodes, with a value model of its own, which goes through the trunk alone.
fn ppo<K: Kernels<Real = f32>>(harness: &mut Harness, machine: &mut Machine<K>, size: Size) {
    let indices: Vec<usize> = (0..size.batch).collect();
    let make = |k: &mut K| {
        let mut ppo = new_ppo(k, size, size.batch);
        let prompts = prompts(size.batch);
        let prompts: Vec<&[u32]> = prompts.iter().map(Vec::as_slice).collect();
        let coins = Generator::new(1, "coins").coins(ppo.coins());
        let episodes = pollster::block_on(ppo.rollout(k, &prompts, &coins, WRITING)).expect("the device works");
        let scores: Vec<f64> = (0..size.batch).map(|i| (i % 3) as f64 - 1.0).collect();
        let rollout = ppo.judge(episodes, &scores);
        (ppo, rollout)
    };
    let rows = size.batch * (size.length - 1);
    let flop = size.step_flop(rows) + 3 * size.trunk_flop(rows);
    harness.step(machine, subject("ppo", size, flop), make, |k, (ppo, rollout)| {
        ppo.step(k, rollout, &indices, &[]);
        finish(k);
    });
}

/// PPO at its first round, with as many episodes as a step has.
pub fn new_ppo<K: Kernels<Real = f32>>(k: &mut K, size: Size, episodes: usize) -> Ppo<K> {
    let settings = PpoSettings { episodes, minibatches: 1, schedule: SCHEDULE, ..PpoSettings::default() };
    let parameters = initial_parameters(&size.config(), 1);
    let start = PpoStart { reference: &parameters, value_trunk: &parameters, reward_model: None };
    Ppo::new(k, size.config(), start, size.length, settings)
}

fn subject(name: &'static str, size: Size, flop: u64) -> Subject {
    Subject { name, size: size.name, flop: Some(flop) }
}

fn tokens(generator: &mut Generator, count: usize) -> Vec<u32> {
    (0..count).map(|_| generator.below(VOCABULARY) as u32).collect()
}

/// Prompts of [`PROMPT`] tokens.
pub fn prompts(count: usize) -> Vec<Vec<u32>> {
    let mut generator = Generator::new(1, "prompts");
    (0..count).map(|_| tokens(&mut generator, PROMPT)).collect()
}

/// Sequences without padding.
fn sequences(count: usize, length: usize, batch: u64) -> Vec<Sequence> {
    let mut generator = Generator::numbered(1, "sequences", batch);
    let mut sequence = || {
        let tokens = tokens(&mut generator, length + 1);
        Sequence::new(&tokens[..PROMPT], &tokens[PROMPT..])
    };
    (0..count).map(|_| sequence()).collect()
}

fn pairs(size: Size, batch: u64) -> PairBatch {
    let count = size.batch / 2;
    let mut chosen = sequences(2 * count, size.length, batch);
    let rejected = chosen.split_off(count);
    // About what an untrained network gives a completion.
    let reference = vec![-((size.length + 1 - PROMPT) as f64) * (VOCABULARY as f64).ln(); count];
    PairBatch { chosen, rejected, reference_chosen: reference.clone(), reference_rejected: reference }
}
