//! The gold reward against the published package's outputs (`tests/data/make_sentiment.py`).

use klimb::rng::Generator;
use klimb::world::gold::{Lexicon, LexiconError, Rule, Working, score_words};
use klimb::world::{Vocabulary, World, WorldSettings};

const TOLERANCE: f64 = 1e-4;

/// Fails with every text whose compound differs.
fn check<'a>(lexicon: &Lexicon, examples: impl Iterator<Item = (&'a str, f64)>, at_least: usize) {
    let (mut count, mut failures) = (0, Vec::new());
    for (text, compound) in examples {
        count += 1;
        let working = lexicon.score_words(&text.split(' ').collect::<Vec<_>>());
        assert!(working.unknown.is_empty(), "{text:?} has words that no list has: {:?}", working.unknown);
        let gold_reward = (1.0 + compound) / 2.0;
        if (working.compound - compound).abs() > TOLERANCE || (working.gold_reward - gold_reward).abs() > TOLERANCE {
            failures.push(format!("{text}: {} instead of {compound}", working.compound));
        }
    }
    assert!(count >= at_least, "only {count} texts");
    assert!(failures.is_empty(), "{} of {count} texts differ:\n{}", failures.len(), failures.join("\n"));
}

fn check_file(json: &str, at_least: usize) {
    let lexicon = Lexicon::from_json(json).unwrap();
    let examples = Lexicon::examples_from_json(json).unwrap();
    check(&lexicon, examples.iter().map(|example| (example.text.as_str(), example.compound)), at_least);
}

#[test]
fn the_reference_examples_agree_with_the_files_own_lists_and_with_the_worlds() {
    let json = include_str!("../data/vader.json");
    check_file(json, 600);
    let examples = Lexicon::examples_from_json(json).unwrap();
    let examples = examples.iter().map(|example| (example.text.as_str(), example.compound));
    check(Lexicon::klimb(), examples, 600);
}

#[test]
fn reviews_and_word_salads_score_as_in_the_published_package() {
    let lines = include_str!("../data/sentiment_reviews.tsv").lines().map(|line| line.split_once('\t').unwrap());
    check(Lexicon::klimb(), lines.map(|(compound, text)| (text, compound.parse().unwrap())), 6500);
}

#[test]
fn the_rarer_rules_fire_as_in_the_published_package() {
    check_file(include_str!("../data/sentiment_rules.json"), 2000);
}

#[test]
fn unknown_words_are_neutral_and_reported_once() {
    let known = score_words(&["the", "film", "was", "very", "good"]);
    let working = score_words(&["the", "blorp", "was", "very", "good", "zork", "blorp"]);
    assert_eq!(working.unknown, ["blorp", "zork"]);
    assert_eq!(working.compound, known.compound);
    assert!(known.unknown.is_empty());
    assert_eq!(score_words(&["blorp"]).gold_reward, 0.5);
    assert_eq!(score_words(&[]).gold_reward, 0.5);
}

#[test]
fn a_free_text_is_scored_with_its_punctuation_and_capitals() {
    let lexicon = Lexicon::klimb();
    let plain = lexicon.score_text("the plot was good but the acting was not great");
    let written = lexicon.score_text("The plot was good, but the acting was NOT great.");
    assert_eq!(written.compound, plain.compound);
    assert!(lexicon.score_text("the plot was good!").compound > lexicon.score_text("the plot was good").compound);
}

/// The package's own numbers, or else a word that stands under unknown.
#[test]
fn a_text_of_more_than_the_world_s_words_scores_as_in_the_package_or_names_what_it_does_not_know() {
    let lexicon = Lexicon::klimb();
    for (text, compound) in [
        ("This is so bad", -0.6696),
        ("no", -0.2960),
        ("i doubt it", -0.3612),
        ("the film was :)", 0.4588),
        ("the plot was GREAT", 0.7034),
        ("the plot was great", 0.6249),
        ("THE PLOT WAS GREAT", 0.6249),
        ("the plot was GREAT .", 0.7034),
        ("this is so so", 0.0),
        ("the plot was good :-(", 0.0),
        ("the plot was dull :D", 0.0),
        ("<3", 0.4404),
    ] {
        let working = lexicon.score_text(text);
        let is_right = (working.compound - compound).abs() < TOLERANCE;
        assert!(is_right || !working.unknown.is_empty(), "{text}: {} instead of {compound}", working.compound);
    }
    let of = |text: &str| lexicon.score_text(text);
    assert_eq!(of("This is so bad").unknown, ["so"]);
    assert_eq!(of("the film was :)").unknown, [":)"]);
    assert_eq!(of("the plot was good ... but , dull !!").unknown, [""; 0], "punctuation is known");
    let loud = of("the plot was GREAT");
    assert_eq!(loud.words[3].rules, [Rule::Capitals { change: 0.733 }]);
    // (1.9 + .293 + .733) and (−1.5 − .293 − .733): a booster in capitals is louder too, away from 0.
    assert!((of("the plot was VERY good").sum - 2.926).abs() < 1e-9);
    assert!(of("the plot was VERY dull").sum < of("the plot was very dull").sum);
}

#[test]
fn the_working_names_the_rules_and_adds_up() {
    let working = score_words(&"the plot was fine but the music was never really fun .".split(' ').collect::<Vec<_>>());
    let of = |word: &str| working.words.iter().find(|working| working.word == word).unwrap();
    assert_eq!(of("fine").rules, [Rule::BeforeBut]);
    let expected = [
        Rule::Booster { word: "really".into(), distance: 1, change: 0.293 },
        Rule::Negation { word: "never".into(), distance: 2 },
        Rule::AfterBut,
    ];
    assert_eq!(of("fun").rules, expected);
    assert_eq!(of("fun").valence, 2.3);
    assert!((of("fun").contribution - (2.3 + 0.293) * -0.74 * 1.5).abs() < 1e-12);
    let sum: f64 = working.words.iter().map(|word| word.contribution).sum();
    assert!((sum - working.sum).abs() < 1e-12);
    assert_eq!(working.gold_reward, (1.0 + working.compound) / 2.0);
    let read: Working = serde_json::from_str(&serde_json::to_string(&working).unwrap()).unwrap();
    let rules = |working: &Working| working.words.iter().map(|word| word.rules.len()).collect::<Vec<_>>();
    assert_eq!((rules(&read), read.compound), (rules(&working), working.compound));
}

#[test]
fn a_completion_without_its_end_token_has_gold_reward_0() {
    let world = World::new(WorldSettings::default()).unwrap();
    let mut tokens = world.vocabulary().encode("the acting in this film was superb overall .").tokens;
    let working = world.gold(&tokens);
    assert_eq!((working.gold_reward, working.ended), (0.0, false));
    assert!(working.compound > 0.5);
    tokens.extend([Vocabulary::END, Vocabulary::PADDING, Vocabulary::PADDING]);
    let ended = world.gold(&tokens);
    assert_eq!((ended.gold_reward, ended.ended), ((1.0 + working.compound) / 2.0, true));
}

/// The sum of the words' valences: what a bag of words can know, with VADER's own weights.
fn bag(text: &[&str]) -> f64 {
    text.iter().filter_map(|word| Lexicon::klimb().valence(word)).sum()
}

#[test]
fn no_bag_of_words_orders_all_pairs() {
    // Both orders of the same words: any function of the bag gives them the same value.
    for (better, worse) in [
        ("the plot was dull but the music was superb .", "the plot was superb but the music was dull ."),
        ("the plot was not dull and the music was superb .", "the plot was dull and the music was not superb ."),
        ("the plot was very superb and the music was bad .", "the plot was superb and the music was very bad ."),
    ] {
        let (better, worse): (Vec<_>, Vec<_>) = (better.split(' ').collect(), worse.split(' ').collect());
        let sorted = |words: &[&str]| {
            let mut words: Vec<String> = words.iter().map(|word| word.to_string()).collect();
            words.sort();
            words
        };
        assert_eq!(sorted(&better), sorted(&worse));
        assert!(score_words(&better).gold_reward > score_words(&worse).gold_reward + 0.05, "{better:?}");
    }
    // And in the grammar's own reviews the valences' sum misorders a good share of the clear pairs.
    let world = World::new(WorldSettings::default()).unwrap();
    let mut generator = Generator::new(3, "bag");
    let mut scored = || {
        let review = world.review(&mut generator).tokens;
        (world.gold_reward(&review), bag(&world.vocabulary().words(&review)))
    };
    let (mut clear, mut misordered) = (0, 0);
    for _ in 0..4000 {
        let (first, second) = (scored(), scored());
        if (first.0 - second.0).abs() > 0.1 {
            clear += 1;
            misordered += usize::from((first.0 - second.0) * (first.1 - second.1) <= 0.0);
        }
    }
    let fraction = f64::from(misordered as u32) / f64::from(clear);
    assert!(fraction > 0.05, "a bag of words misorders only {fraction:.3} of {clear} clear pairs");
}

#[test]
fn a_bad_file_is_refused_with_its_reason() {
    assert!(matches!(Lexicon::from_json("{"), Err(LexiconError::Format(_))));
    assert!(Lexicon::from_json(r#"{"valences": {}}"#).unwrap_err().to_string().contains("boosters"));
    let wild = r#"{"valences": {"good": 19}, "boosters": {}, "negations": [], "neutral": []}"#;
    assert!(Lexicon::from_json(wild).unwrap_err().to_string().contains("\"good\""));
}
