//! Pairs for a person to label: drawn by the reference, named by seed and number, and usable as soon as they are labelled.

use crate::common::session as shipped;
use std::collections::BTreeSet;

use klimb::backend::cpu::Cpu;
use klimb::engine::protocol::*;
use klimb::engine::session::Session;
use klimb::engine::settings::Settings;
use klimb::world::preferences::{CompletionText, jsonl_line};
use pollster::block_on;

fn session(seed: u32) -> Session<Cpu<f32>> {
    shipped::session(Settings { seed, batch_size: 8, evaluation_samples: 64, ..Settings::default() })
}

fn draw(session: &mut Session<Cpu<f32>>, from: usize, count: usize) -> Vec<DrawnPair> {
    let events = block_on(session.handle(Command::DrawPairs { from, count }));
    let drawn = events.into_iter().find_map(|event| match event {
        Event::DrawnPairs(drawn) => Some(drawn),
        _ => None,
    });
    drawn.expect("pairs are drawn at once")
}

fn text(completion: &SampledCompletion) -> String {
    completion.words.iter().map(|word| word.text.as_str()).collect::<Vec<_>>().join(" ")
}

#[test]
fn a_number_and_the_seed_name_a_pair_whose_completions_differ() {
    let mut session = session(1);
    let all = draw(&mut session, 0, 40);
    assert_eq!(all.iter().map(|pair| pair.number).collect::<Vec<_>>(), (0..40).collect::<Vec<_>>());
    let prompts: BTreeSet<&str> = all.iter().map(|pair| pair.prompt.as_str()).collect();
    assert_eq!(prompts.len(), 40, "no prompt comes twice so early");
    for pair in &all {
        let [a, b] = pair.completions.each_ref().map(text);
        assert!(!a.is_empty() && !b.is_empty(), "{pair:?}");
        let ended = pair.completions.each_ref().map(|it| it.ended);
        assert!(a != b || ended[0] != ended[1], "{pair:?}");
        assert!(pair.completions.iter().all(|it| it.stage == Stage::Sft && (0.0..=1.0).contains(&it.gold_reward)));
    }
    block_on(session.handle(Command::Step(Stage::Dpo)));
    assert_eq!(draw(&mut session, 7, 3), all[7..10], "neither pieces nor training change them");
    assert_ne!(draw(&mut self::session(2), 0, 3), all[..3]);
    assert!(draw(&mut session, 0, 0).is_empty());
}

#[test]
fn drawn_pairs_are_trained_on_once_they_are_labelled_and_outlive_a_reset() {
    let mut session = session(1);
    let drawn = draw(&mut session, 0, 20);
    let line = |pair: &DrawnPair| {
        let texts = pair.completions.each_ref().map(text);
        let [a, b] = [0, 1].map(|side| CompletionText { text: &texts[side], ended: pair.completions[side].ended });
        jsonl_line(&pair.prompt, a, b)
    };
    let lines: String = drawn.iter().map(line).collect();
    block_on(session.handle(Command::LoadPreferences(lines.clone().into_bytes())));
    let events = block_on(session.handle(Command::Step(Stage::Dpo)));
    assert!(events.iter().any(|event| matches!(event, Event::Inside(_, Inside::Dpo(_)))), "{events:?}");
    block_on(session.handle(Command::Reset));
    let events = block_on(session.handle(Command::ExportPreferences));
    assert!(events.contains(&Event::Preferences(lines)), "{events:?}");
}

#[test]
fn another_reference_is_told_before_what_it_writes_and_writes_other_pairs() {
    let mut session = session(1);
    let references = |events: &[Event]| -> Vec<String> {
        events.iter().filter_map(|it| if let Event::Reference(it) = it { Some(it.clone()) } else { None }).collect()
    };
    let before = draw(&mut session, 0, 3);
    let base = include_bytes!("../../www/assets/base.safetensors").to_vec();
    let told = references(&block_on(session.handle(Command::LoadCheckpoint(base.clone()))));
    assert_eq!(told.len(), 1);
    assert_ne!(draw(&mut session, 0, 3), before);
    let loaded = |events: &[Event]| -> Vec<Loaded> {
        events.iter().filter_map(|it| if let Event::Loaded(it) = it { Some(it.clone()) } else { None }).collect()
    };
    let again = block_on(session.handle(Command::LoadCheckpoint(base)));
    assert!(references(&again).is_empty(), "it is the same model");
    assert_eq!(loaded(&again), [Loaded::Model { stage: "base".into(), step: 4000, is_same: true }], "and that is told");
    let refused = block_on(session.handle(Command::LoadCheckpoint(vec![1])));
    assert!(references(&refused).is_empty() && loaded(&refused).is_empty(), "it was refused");
}
