//! A person's pairs in a session: DPO and reward model learn from them, and nothing is lost by a bad file.

use crate::common::session as shipped;
use klimb::backend::cpu::Cpu;
use klimb::engine::protocol::*;
use klimb::engine::session::Session;
use klimb::engine::settings::Settings;
use klimb::metrics::Method;
use pollster::block_on;

const GOOD: &str = r#"{"prompt": "the plot", "chosen": "was superb .", "rejected": "was dull ."}
{"prompt": "the music", "chosen": "was superb .", "rejected": "was dull ."}
{"prompt": "the acting in this film", "chosen": "was superb .", "rejected": "was dull ."}
"#;

fn session() -> Session<Cpu<f32>> {
    shipped::session(Settings { batch_size: 8, pairs: 48, evaluation_samples: 64, ..Settings::default() })
}

fn load(session: &mut Session<Cpu<f32>>, text: &str) -> Vec<Event> {
    block_on(session.handle(Command::LoadPreferences(text.as_bytes().to_vec())))
}

fn stage(events: &[Event], stage: Stage) -> Option<&StageStatus> {
    events.iter().rev().find_map(|event| match event {
        Event::Stage(status) if status.stage == stage => Some(status),
        _ => None,
    })
}

fn failure(events: &[Event]) -> Option<&Failure> {
    events.iter().find_map(|event| if let Event::Failure(failure) = event { Some(failure) } else { None })
}

fn batch(events: &[Event]) -> &Batch {
    let batch = events
        .iter()
        .find_map(|event| if let Event::Inside(_, Inside::Dpo(batch)) = event { Some(batch) } else { None });
    batch.expect("a step is told in full")
}

/// The answer to an export, without what else a new session tells.
fn exported(session: &mut Session<Cpu<f32>>) -> Vec<Event> {
    let mut events = block_on(session.handle(Command::ExportPreferences));
    events.truncate(1);
    events
}

#[test]
fn dpo_and_the_reward_model_learn_from_a_person_s_pairs_until_they_are_generated_again() {
    let mut session = session();
    block_on(session.handle(Command::Step(Stage::Dpo)));
    let events = load(&mut session, GOOD);
    assert_eq!(failure(&events), None);
    for (is_same, events) in [(false, &events), (true, &load(&mut session, GOOD))] {
        assert!(events.contains(&Event::Loaded(Loaded::Pairs { count: 3, is_same })), "{events:?}");
    }
    let pairs = stage(&events, Stage::Pairs).expect("the pairs are others");
    assert_eq!((pairs.origin, pairs.steps, pairs.state), (Origin::Loaded, 3, StageState::Done));
    assert_eq!(stage(&events, Stage::Dpo).expect("DPO starts over").steps, 0);

    let events = block_on(session.handle(Command::Step(Stage::Dpo)));
    let batch = batch(&events);
    assert_eq!((batch.step, batch.size), (1, 8));
    assert!(
        (batch.mean_loss - std::f64::consts::LN_2).abs() < 1e-5,
        "the reference's own numbers: {}",
        batch.mean_loss
    );
    for pair in &batch.pairs {
        let words = format!("{:?}", pair.chosen.words);
        assert!(words.contains("superb"), "{words}");
    }
    assert_eq!(exported(&mut session), [Event::Preferences(GOOD.replace(": ", ":").replace(", ", ","))]);

    // The reward model sees nothing else, so it must come to prefer what the person preferred.
    block_on(session.handle(Command::Focus(Stage::RewardModel)));
    block_on(session.handle(Command::Play));
    let mut events = Vec::new();
    while stage(&events, Stage::RewardModel).is_none_or(|status| status.state != StageState::Done) {
        events.extend(block_on(session.advance()));
        assert_eq!(failure(&events), None);
    }

    let snapshot = session.snapshot();
    let mut restored =
        Session::restore(Cpu::<f32>::new(), || 0.0, shipped::badge(), &snapshot).expect("a snapshot can be used");
    assert_eq!(exported(&mut restored), exported(&mut session), "a lost device loses no pair");

    let events = block_on(session.handle(Command::GeneratePreferences));
    let pairs = stage(&events, Stage::Pairs).expect("the pairs are others");
    assert_eq!((pairs.origin, pairs.steps), (Origin::Live, 0));
    assert_eq!(stage(&events, Stage::RewardModel).expect("it learned from other pairs").steps, 0);
    assert!(failure(&exported(&mut session)).expect("nothing to save").remedy.to_string().contains("Step"));
    block_on(session.handle(Command::Step(Stage::Pairs)));
    let [Event::Preferences(lines)] = &exported(&mut session)[..] else { panic!("generated pairs can be saved") };
    assert_eq!(lines.lines().count(), 192);
}

#[test]
fn a_bad_file_of_pairs_is_refused_with_its_line_and_everything_goes_on() {
    let mut session = session();
    load(&mut session, GOOD);
    block_on(session.handle(Command::Step(Stage::Dpo)));
    let one_prompt = GOOD.lines().next().expect("a line");
    for (text, words) in [
        (format!("{GOOD}{{\"prompt\": 1}}\n"), "ine 4"),
        (GOOD.replace("dull", "zorgian"), "zorgian"),
        (String::new(), "no pair"),
        (one_prompt.to_owned(), "one prompt"),
    ] {
        let events = load(&mut session, &text);
        let failure = failure(&events).expect("refused");
        assert!(failure.sentence.to_string().contains(words), "{words:?} is not in {failure:?}");
        assert!(
            failure.remedy.to_string().contains("Nothing was replaced")
                && failure.field.as_deref() == Some("preferences")
        );
        assert!(stage(&events, Stage::Pairs).is_none() && stage(&events, Stage::Dpo).is_none(), "nothing changed");
    }
    let events = block_on(session.handle(Command::LoadPreferences(vec![0xff, 0xfe])));
    assert!(failure(&events).expect("refused").sentence.to_string().contains("UTF-8"));
    assert_eq!(batch(&block_on(session.handle(Command::Step(Stage::Dpo)))).step, 2);
}

#[test]
fn flipped_labels_start_over_what_learned_from_labels_and_leave_the_rest() {
    let mut session = session();
    block_on(session.handle(Command::Step(Stage::Dpo)));
    let before = exported(&mut session);
    let settings = Settings { batch_size: 8, pairs: 48, evaluation_samples: 64, ..Settings::default() };
    let events = block_on(session.handle(Command::Configure(Settings { flip_probability: 0.5, ..settings })));
    assert_eq!(failure(&events), None);
    assert_eq!(stage(&events, Stage::Dpo).expect("DPO starts over").steps, 0);
    assert_eq!(stage(&events, Stage::PpoGt), None, "PPO-GT reads no label");
    assert!(!events.iter().any(|event| matches!(event, Event::Optimum(..))), "r* is what it was");
    block_on(session.handle(Command::Step(Stage::Dpo)));
    assert_ne!(exported(&mut session), before, "the same completions, other labels");
    let bad = block_on(session.handle(Command::Configure(Settings { flip_probability: 0.6, ..settings })));
    assert_eq!(failure(&bad).and_then(|it| it.field.as_deref()), Some("flip_probability"));
}

#[test]
fn everything_that_learns_from_pairs_starts_over_with_other_pairs() {
    let mut session = session();
    for stage_of in Stage::of_policies().filter(|stage| stage.policy().is_some_and(Method::learns_from_pairs)) {
        block_on(session.handle(Command::GeneratePreferences));
        let begun = block_on(session.handle(Command::Step(stage_of)));
        assert_eq!(stage(&begun, stage_of).expect("a step was taken").steps, 1);
        let events = load(&mut session, GOOD);
        assert_eq!(stage(&events, stage_of).expect("it had learned from other pairs").steps, 0);
        // Its order went through more pairs than there are now.
        assert_eq!(stage(&block_on(session.handle(Command::Step(stage_of))), stage_of).expect("a step").steps, 1);
    }
}
