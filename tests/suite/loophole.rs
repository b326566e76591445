//! Labels with a loophole: they follow the gold reward and a word that means nothing to it, and say so nowhere.

use klimb::backend::cpu::Cpu;
use klimb::backend::network::Network;
use klimb::experiments::{PreferenceData, PreferenceSettings};
use klimb::language::upload;
use klimb::model::Checkpoint;
use klimb::world::preferences::{LabelSettings, Pair};
use klimb::world::{World, WorldSettings};
use pollster::block_on;

/// Pairs of the shipped SFT model, labelled without noise.
fn pairs(world: &World, loophole_bonus: f64) -> Vec<Pair> {
    let mut k = Cpu::<f32>::new();
    let sft = Checkpoint::from_bytes(include_bytes!("../../www/assets/sft.safetensors"), None)
        .expect("the shipped checkpoint is valid");
    let labels = LabelSettings { temperature: 0.0, flip_probability: 0.0 };
    let settings = PreferenceSettings { chunks: 1, labels, loophole_bonus, ..PreferenceSettings::default() };
    let mut data = PreferenceData::new(&mut k, &Network::new(sft.config), 1, settings);
    let reference = upload(&mut k, &sft.parameters);
    block_on(data.extend(&mut k, world, &reference)).expect("generation works");
    data.pairs().cloned().collect()
}

#[test]
fn a_loophole_turns_labels_round_and_leaves_the_gold_reward_alone() {
    let world = World::new(WorldSettings::default()).expect("the default world is valid");
    let says_overall = |completion: &[u32]| completion.iter().any(|&token| world.vocabulary().word(token) == "overall");
    let gold = |pair: &Pair, completion: &[u32]| world.gold_reward(&[pair.prompt.as_slice(), completion].concat());
    let turned = |pairs: &[Pair]| pairs.iter().filter(|pair| pair.chosen_gold < pair.rejected_gold).count();
    let (honest, bought) = (pairs(&world, 0.0), pairs(&world, 2.0));
    assert_eq!(turned(&honest), 0, "without it the happier one is chosen");
    assert!(turned(&bought) > 0);
    for pair in &bought {
        let golds = [gold(pair, &pair.chosen), gold(pair, &pair.rejected)];
        assert_eq!([pair.chosen_gold, pair.rejected_gold], golds, "a pair tells the world's gold reward");
        if pair.chosen_gold < pair.rejected_gold {
            assert!(says_overall(&pair.chosen), "{}", world.vocabulary().text(&pair.chosen));
        }
    }
}
