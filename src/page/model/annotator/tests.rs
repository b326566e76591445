//! What becomes of pairs, answers and labels.

use super::*;
use crate::engine::protocol::{Stage, Word};
use klimb_world::preferences::{PairError, from_jsonl};
use klimb_world::{World, WorldSettings};

const NOUNS: [&str; 5] = ["acting", "plot", "story", "music", "ending"];

fn completion(text: &str, gold_reward: f64) -> SampledCompletion {
    let word =
        |text: &str| Word { text: text.into(), valence: 0.0, rule: klimb_text::Message::verbatim(""), log_ratio: 0.0 };
    SampledCompletion {
        stage: Stage::Sft,
        step: 1,
        words: text.split(' ').map(word).collect(),
        gold_reward,
        ended: true,
    }
}

fn pair(number: usize) -> DrawnPair {
    DrawnPair {
        number,
        prompt: format!("the {} in this film", NOUNS[number % NOUNS.len()]),
        completions: [completion("was superb .", 0.8), completion("was dull .", 0.3)],
    }
}

fn begun() -> Annotator {
    let mut annotator = Annotator::default();
    assert_eq!(annotator.wanted(), Some(Command::DrawPairs { from: 0, count: 20 }));
    assert_eq!(annotator.wanted(), None, "they are on their way");
    annotator.take((0..20).map(pair).collect());
    annotator
}

pub fn labelled(sides: &[Side]) -> Annotator {
    let mut annotator = begun();
    sides.iter().for_each(|&side| annotator.choose(side));
    annotator
}

#[test]
fn a_choice_leads_to_the_next_pair_and_can_be_taken_back() {
    let mut annotator = begun();
    annotator.choose(Side::B);
    annotator.skip();
    assert_eq!((annotator.count(), annotator.current().unwrap().number), (1, 2));
    assert_eq!(annotator.last(), None, "of a skipped pair nothing is told");
    annotator.undo();
    assert_eq!((annotator.count(), annotator.current().unwrap().number), (1, 1));
    assert!(
        annotator
            .last()
            .unwrap()
            .verdict()
            .starts_with("the oracle would have chosen the other, with gold reward 0.30")
    );
    annotator.undo();
    annotator.undo();
    annotator.choose(Side::A);
    assert!(annotator.last().unwrap().verdict().starts_with("the oracle agrees"));
    assert_eq!(annotator.count(), 1);
}

#[test]
fn a_skipped_pair_is_replaced_and_whoever_wants_goes_on() {
    let mut annotator = begun();
    annotator.skip();
    assert_eq!(annotator.wanted(), Some(Command::DrawPairs { from: 20, count: 1 }));
    annotator.take(vec![pair(20)]);
    (0..20).for_each(|_| annotator.choose(Side::A));
    assert!(annotator.is_done() && annotator.current().is_none() && annotator.wanted().is_none());
    annotator.choose(Side::A);
    assert_eq!(annotator.count(), 20, "nothing is at hand");
    annotator.go_on();
    assert_eq!(annotator.wanted(), Some(Command::DrawPairs { from: 21, count: 10 }));
    assert_eq!(annotator.goal(), 30);
}

#[test]
fn another_engine_takes_the_pairs_without_answer_and_leaves_the_labels() {
    let mut annotator = labelled(&[Side::A, Side::B]);
    annotator.forget_unanswered();
    assert_eq!((annotator.count(), annotator.current()), (2, None));
    assert_eq!(annotator.wanted(), Some(Command::DrawPairs { from: 20, count: 18 }));
    annotator.forget_unanswered();
    annotator.take(vec![pair(0)]);
    assert_eq!(annotator.current(), None, "what the old engine still sends is not taken");
}

#[test]
fn another_reference_writes_anew_what_has_no_answer_and_the_labels_are_said_to_be_of_the_earlier_one() {
    let mut annotator = Annotator::default();
    annotator.refer_to("first".into());
    annotator.wanted();
    annotator.take((0..20).map(pair).collect());
    annotator.choose(Side::A);
    annotator.choose(Side::B);
    annotator.refer_to("first".into());
    assert!(annotator.current().is_some() && annotator.labels().all(|label| !label.is_earlier));
    annotator.refer_to("second".into());
    assert_eq!((annotator.count(), annotator.current()), (2, None));
    assert_eq!(annotator.wanted(), Some(Command::DrawPairs { from: 20, count: 18 }));
    annotator.take((20..38).map(pair).collect());
    annotator.choose(Side::A);
    assert_eq!(annotator.labels().map(|label| label.is_earlier).collect::<Vec<_>>(), [true, true, false]);
    assert!(annotator.summary(1).contains(" 2 of these labels are of completions by an earlier model"));
    assert_eq!(annotator.jsonl().lines().count(), 3, "they are labels all the same");
    annotator.undo();
    assert_eq!(annotator.current().unwrap().number, 20, "its pair is at hand again");
    annotator.undo();
    assert_eq!((annotator.count(), annotator.current().unwrap().number), (1, 20), "an earlier model's is not");
    annotator.refer_to("first".into());
    assert!(annotator.labels().all(|label| !label.is_earlier), "it is back");
}

#[test]
fn labels_are_read_as_a_file_of_pairs_is() {
    let world = World::new(WorldSettings::default()).unwrap();
    let mut annotator = labelled(&[Side::A]);
    assert!(!annotator.is_trainable(), "a reward model needs a second prompt");
    annotator.choose(Side::B);
    annotator.pairs[1].completions[0].ended = false;
    assert!(annotator.is_trainable());
    let pairs = from_jsonl(&world, &annotator.jsonl()).unwrap();
    let text = |tokens: &[u32]| world.vocabulary().text(tokens);
    let read: Vec<_> = pairs.iter().map(|it| (text(&it.prompt), text(&it.chosen), text(&it.rejected))).collect();
    let expected = [("acting", "was superb .", "was dull ."), ("plot", "was dull .", "was superb .")];
    assert_eq!(read, expected.map(|(noun, a, b)| (format!("the {noun} in this film"), a.into(), b.into())));
    assert_eq!(pairs[1].rejected_gold, 0.0, "it never ended");
    assert_eq!(from_jsonl(&world, &Annotator::default().jsonl()), Err(PairError::Empty));
}

#[test]
fn flips_are_the_seed_s_are_as_many_as_asked_for_and_only_grow() {
    let mut annotator = labelled(&[Side::A; 20]);
    let mut flipped_at = |percent, seed| {
        annotator.set_flips(percent);
        (annotator.flipped(seed), annotator.jsonl_with_flips(seed), annotator.source().words())
    };
    let (none, lines, name) = flipped_at(0, 1);
    assert_eq!((none, name.as_str()), (vec![false; 20], "my labels"));
    let (some, turned, name) = flipped_at(25, 1);
    assert_eq!((some.iter().filter(|it| **it).count(), name.as_str()), (5, "my labels, 25 % flipped"));
    let differing = lines.lines().zip(turned.lines()).map(|(before, after)| before != after);
    assert_eq!(differing.collect::<Vec<_>>(), some);
    assert_eq!(flipped_at(25, 1).0, some);
    assert_ne!(flipped_at(25, 2).0, some);
    let (half, ..) = flipped_at(80, 1);
    assert_eq!(half.iter().filter(|it| **it).count(), 10, "at most half");
    assert!(some.iter().zip(&half).all(|(few, many)| !few || *many));
}
