//! Writing 64 completions of 20 tokens: alone, and as PPO's rollout, where reference and value model read them too.

use klimb::backend::Kernels;
use klimb::backend::network::Network;
use klimb::language::{Generation, upload};
use klimb::model::initial_parameters;
use klimb::rng::Generator;

use super::harness::{Harness, Machine, Subject};
use super::sizes::{LENGTH, Size};
use super::steps::{WRITING, new_ppo, prompts};

const COMPLETIONS: usize = 64;

pub fn all<K: Kernels<Real = f32>>(harness: &mut Harness, machine: &mut Machine<K>, size: Size) {
    let prompts = prompts(COMPLETIONS);
    let prompts: Vec<&[u32]> = prompts.iter().map(Vec::as_slice).collect();
    let coins = Generator::new(1, "coins").coins(COMPLETIONS * LENGTH);

    let make = |k: &mut K| {
        let network = Network::new(size.config());
        let parameters = upload(k, &initial_parameters(&size.config(), 1));
        (Generation::new(k, network, COMPLETIONS, LENGTH), parameters)
    };
    harness.step(machine, subject("generation", size), make, |k, (generation, parameters)| {
        pollster::block_on(generation.generate(k, parameters, &prompts, &coins, WRITING)).expect("the device works");
    });

    let make = |k: &mut K| new_ppo(k, size, COMPLETIONS);
    harness.step(machine, subject("rollout", size), make, |k, ppo| {
        pollster::block_on(ppo.rollout(k, &prompts, &coins, WRITING)).expect("the device works");
    });
}

fn subject(name: &'static str, size: Size) -> Subject {
    Subject { name, size: size.name, flop: None }
}
