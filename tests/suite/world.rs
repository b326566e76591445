//! The world's documents, its exact likelihood, its prompts and its preference pairs.

use std::collections::HashSet;

use klimb::rng::Generator;
use klimb::world::preferences::{
    FilePosition, LabelSettings, Pair, PairError, from_jsonl, label_pairs, to_jsonl, with_flips,
};
use klimb::world::{MAX_COMPLETION, MAX_DOCUMENT, MAX_PROMPT, MAX_SEQUENCE, Vocabulary, World, WorldSettings};

fn world(noise: f64) -> World {
    World::new(WorldSettings { noise, ..WorldSettings::default() }).unwrap()
}

#[test]
fn prompts_are_short_distinct_and_the_held_out_ones_a_sixth() {
    let world = world(0.03);
    let (train, held_out) = (world.train_prompts(), world.held_out_prompts());
    let all: HashSet<&Vec<u32>> = train.iter().chain(held_out).collect();
    assert_eq!(all.len(), train.len() + held_out.len(), "a prompt occurs twice");
    assert!((90..=110).contains(&all.len()), "{} prompts", all.len());
    assert_eq!(all.len() / 6, held_out.len());
    assert!(all.iter().all(|prompt| (3..=MAX_PROMPT).contains(&prompt.len())));
    for ending in ["film", "has", "and"] {
        let token = world.vocabulary().token(ending).unwrap();
        assert!(held_out.iter().any(|prompt| prompt.last() == Some(&token)), "no held-out prompt ends in {ending}");
    }
}

#[test]
fn every_document_fits_ends_once_and_begins_with_its_clean_prompt() {
    let world = world(0.3);
    let held_out: HashSet<&[u32]> = world.held_out_prompts().iter().map(Vec::as_slice).collect();
    let train: HashSet<&[u32]> = world.train_prompts().iter().map(Vec::as_slice).collect();
    let mut generator = Generator::new(1, "documents");
    for index in 0..20_000 {
        let is_review = index % 2 == 0;
        let document = if is_review { world.review(&mut generator) } else { world.document(&mut generator) };
        let (prompt, completion) = document.tokens.split_at(document.prompt_length);
        let text = world.vocabulary().text(&document.tokens);
        assert!(document.tokens.len() <= MAX_DOCUMENT, "{text}");
        assert!((4..=MAX_COMPLETION).contains(&completion.len()), "{text}");
        assert_eq!(completion.iter().position(|&token| token == Vocabulary::END), Some(completion.len() - 1), "{text}");
        assert!(document.tokens.iter().all(|&token| token != Vocabulary::PADDING), "{text}");
        let prompt = prompt.strip_prefix(world.cue()).unwrap_or(prompt);
        assert!(train.contains(prompt) || (!is_review && prompt.is_empty()), "{text}");
        assert!(!held_out.contains(prompt), "{text}");
    }
}

#[test]
fn reviews_leave_alignment_room() {
    let world = world(0.03);
    let mut generator = Generator::new(2, "rewards");
    let (mut rewards, mut length) = (Vec::new(), 0);
    for _ in 0..8000 {
        let review = world.review(&mut generator);
        rewards.push(world.gold_reward(&review.tokens));
        length += review.tokens.len() - review.prompt_length;
    }
    let mean = rewards.iter().sum::<f64>() / rewards.len() as f64;
    let deviation = (rewards.iter().map(|r| (r - mean).powi(2)).sum::<f64>() / rewards.len() as f64).sqrt();
    assert!((mean - 0.5).abs() < 0.03, "mean gold reward {mean}");
    assert!((0.25..0.31).contains(&deviation), "standard deviation {deviation}");
    let length = length as f64 / rewards.len() as f64;
    assert!((10.0..13.5).contains(&length), "mean completion of {length} tokens");
}

#[test]
fn the_base_corpus_often_goes_on_otherwise_except_behind_the_cue() {
    // Without noise a document is a review exactly if the grammar can have written its completion.
    let world = world(0.0);
    let mut generator = Generator::new(3, "mixture");
    let (mut reviews, mut counts) = ([0.0; 2], [0.0; 2]);
    for _ in 0..20_000 {
        let document = world.document(&mut generator);
        let (prompt, completion) = document.tokens.split_at(document.prompt_length);
        let (cued, prompt) = prompt.strip_prefix(world.cue()).map_or((0, prompt), |prompt| (1, prompt));
        if let Some(likelihood) = world.log_likelihood(prompt, completion) {
            counts[cued] += 1.0;
            reviews[cued] += f64::from(likelihood > f64::NEG_INFINITY);
        }
    }
    let [bare, cued] = [reviews[0] / counts[0], reviews[1] / counts[1]];
    assert!((0.25..0.5).contains(&bare), "share of reviews without cue {bare}");
    assert!(cued > 0.8, "share of reviews behind the cue {cued}");
}

#[test]
fn a_seed_names_the_data() {
    let world = world(0.03);
    let texts = |seed| {
        let mut generator = Generator::new(seed, "data");
        (0..50).map(|_| (world.review(&mut generator), world.document(&mut generator))).collect::<Vec<_>>()
    };
    assert_eq!(texts(4), texts(4));
    assert_ne!(texts(4), texts(5));
}

/// If reviews x are really drawn from p and q is normalised, E[q(x)/p(x)] = 1 for any q with p's support or less.
#[test]
fn the_likelihood_is_that_of_the_sampler() {
    let of =
        |tone_strength, noise| World::new(WorldSettings { tone_strength, noise, ..WorldSettings::default() }).unwrap();
    for (p, q) in [(of(0.9, 0.03), of(0.9, 0.0)), (of(0.9, 0.1), of(0.7, 0.08)), (of(0.9, 0.0), of(0.6, 0.0))] {
        let mut generator = Generator::new(6, "ratio");
        let ratios: Vec<f64> = (0..8000)
            .map(|_| {
                let review = p.review(&mut generator);
                let (prompt, completion) = review.tokens.split_at(review.prompt_length);
                let log = |world: &World| world.log_likelihood(prompt, completion).unwrap();
                (log(&q) - log(&p)).exp()
            })
            .collect();
        let mean = ratios.iter().sum::<f64>() / ratios.len() as f64;
        let variance = ratios.iter().map(|ratio| (ratio - mean).powi(2)).sum::<f64>() / ratios.len() as f64;
        let error = (variance / ratios.len() as f64).sqrt();
        assert!(error < 0.03 && (mean - 1.0).abs() < 4.0 * error, "E[q/p] = {mean} ± {error}, should be 1");
    }
}

#[test]
fn what_cannot_be_written_has_likelihood_0_and_noise_makes_it_possible() {
    let (clean, noisy) = (world(0.0), world(0.03));
    let prompt = clean.train_prompts()[0].clone();
    let mut absurd = clean.vocabulary().encode("was london overall .").tokens;
    assert_eq!(noisy.log_likelihood(&prompt, &absurd), Some(f64::NEG_INFINITY), "no end token");
    absurd.push(Vocabulary::END);
    assert_eq!(clean.log_likelihood(&prompt, &absurd), Some(f64::NEG_INFINITY));
    assert!(noisy.log_likelihood(&prompt, &absurd).unwrap() > -25.0);
    assert_eq!(noisy.log_likelihood(&[2, 2, 2], &absurd), None, "not a prompt of the world");
}

#[test]
fn tone_ties_the_words_of_a_review_together() {
    let likelihood = |world: &World, text: &str| {
        let prompt = world.vocabulary().encode("the plot in this film").tokens;
        let completion = [world.vocabulary().encode(text).tokens, vec![Vocabulary::END]].concat();
        world.log_likelihood(&prompt, &completion).unwrap()
    };
    let gain = |tone_strength| {
        let world = World::new(WorldSettings { tone_strength, noise: 0.0, ..WorldSettings::default() }).unwrap();
        let of = |text| likelihood(&world, text);
        of("was superb and the script was great .") + of("was awful and the script was bad .")
            - of("was superb and the script was bad .")
            - of("was awful and the script was great .")
    };
    assert!(gain(0.0).abs() < 1e-9, "without tone the words are independent: {}", gain(0.0));
    assert!(gain(0.9) > 2.0, "{}", gain(0.9));
}

#[test]
fn the_entropy_has_an_interval_and_grows_with_noise() {
    let entropy = |noise| world(noise).entropy(3000, &mut Generator::new(7, "entropy"));
    let (clean, noisy) = (entropy(0.0), entropy(0.03));
    assert!(clean.half_width > 0.0 && clean.half_width < 0.5, "{clean:?}");
    assert!(noisy.mean - noisy.half_width > clean.mean + clean.half_width, "{clean:?} {noisy:?}");
    let more = world(0.03).entropy(12_000, &mut Generator::new(8, "entropy"));
    assert!((more.mean - noisy.mean).abs() < 2.0 * (more.half_width + noisy.half_width), "{more:?} {noisy:?}");
    assert!((0.4..0.6).contains(&(more.half_width / noisy.half_width)), "{more:?} {noisy:?}");
}

#[test]
fn a_setting_that_cannot_be_used_is_named() {
    let field = |settings: WorldSettings| World::new(settings).unwrap_err().field;
    assert_eq!(field(WorldSettings { noise: 0.6, ..WorldSettings::default() }), "noise");
    assert_eq!(field(WorldSettings { tone_strength: f64::NAN, ..WorldSettings::default() }), "tone_strength");
    assert_eq!(LabelSettings { temperature: -1.0, ..Default::default() }.validated().unwrap_err().field, "temperature");
}

#[test]
fn the_vocabulary_encodes_what_it_writes_and_reports_the_rest() {
    let world = world(0.03);
    let vocabulary = world.vocabulary();
    assert!((100..=250).contains(&vocabulary.len()), "{}", vocabulary.len());
    let encoded = vocabulary.encode("The acting, in this BLORP film: (superb)!");
    assert_eq!(vocabulary.text(&encoded.tokens), "the acting , in this film : superb");
    assert_eq!(encoded.unknown, ["blorp", "(", ")", "!"]);
    for token in vocabulary.word_tokens() {
        assert_eq!(vocabulary.encode(vocabulary.word(token)).tokens, [token]);
        assert_eq!(vocabulary.token(vocabulary.word(token)), Some(token));
    }
    let padded = [Vocabulary::PADDING, 5, Vocabulary::END, 6, Vocabulary::PADDING];
    assert_eq!(vocabulary.text(&padded), vocabulary.word(5));
    assert_eq!(vocabulary.fingerprint(), World::new(WorldSettings::default()).unwrap().vocabulary().fingerprint());
    assert_eq!(vocabulary.fingerprint().len(), 16);
}

#[test]
fn four_completions_make_six_pairs_labelled_by_the_settings() {
    let completions: Vec<Vec<u32>> = (0..4).map(|index| vec![10 + index, Vocabulary::END]).collect();
    let rewards = [0.1, 0.4, 0.4, 0.9];
    let mut generator = Generator::new(9, "labels");
    let mut draw = |settings| label_pairs(&[5, 6, 7], &completions, &rewards, settings, &mut generator);
    let hard = LabelSettings { temperature: 0.0, flip_probability: 0.0 };
    let pairs = draw(hard);
    let distinct: HashSet<[&Vec<u32>; 2]> =
        pairs
            .iter()
            .map(|pair| {
                if pair.chosen < pair.rejected {
                    [&pair.chosen, &pair.rejected]
                } else {
                    [&pair.rejected, &pair.chosen]
                }
            })
            .collect();
    assert_eq!((pairs.len(), distinct.len()), (6, 6));
    assert!(pairs.iter().all(|pair| pair.chosen_gold >= pair.rejected_gold));
    let mut tie_wins = 0;
    let mut soft = [0, 0];
    for _ in 0..4000 {
        tie_wins +=
            draw(hard).iter().filter(|pair| pair.chosen == completions[1] && pair.rejected == completions[2]).count();
        for (count, flip_probability) in soft.iter_mut().zip([0.0, 0.25]) {
            let settings = LabelSettings { temperature: 0.3, flip_probability };
            *count += draw(settings)
                .iter()
                .filter(|pair| pair.chosen == completions[1] && pair.rejected == completions[0])
                .count();
        }
    }
    assert!((tie_wins as f64 / 4000.0 - 0.5).abs() < 0.04, "{tie_wins}");
    let preferred = 1.0 / (1.0 + f64::exp(-1.0));
    for (count, expected) in soft.into_iter().zip([preferred, 0.75 * preferred + 0.25 * (1.0 - preferred)]) {
        assert!((count as f64 / 4000.0 - expected).abs() < 0.04, "{count} instead of {}", 4000.0 * expected);
    }
}

#[test]
fn pairs_survive_a_file() {
    let world = world(0.03);
    let mut generator = Generator::new(10, "pairs");
    let mut pairs = Vec::new();
    for prompt in &world.train_prompts()[..20] {
        let mut completions: Vec<Vec<u32>> =
            (0..4).map(|_| world.review_for(prompt, &mut generator).tokens[prompt.len()..].to_vec()).collect();
        completions[0].pop();
        let rewards: Vec<f64> =
            completions.iter().map(|completion| world.gold_reward(&[prompt, completion.as_slice()].concat())).collect();
        pairs.extend(label_pairs(prompt, &completions, &rewards, LabelSettings::default(), &mut generator));
    }
    let text = to_jsonl(&world, &pairs);
    assert_eq!(text.lines().count(), 120);
    assert_eq!(from_jsonl(&world, &text).unwrap(), pairs);
}

#[test]
fn a_bad_line_is_named_with_its_field_and_a_remedy() {
    let world = world(0.03);
    let good = r#"{"prompt": "the acting in this film", "chosen": "was superb .", "rejected": "was dull ."}"#;
    let error = |line: &str| from_jsonl(&world, &format!("{good}\n\n{line}\n")).unwrap_err();
    let text = from_jsonl(&world, good).unwrap();
    assert!(text[0].chosen_gold > text[0].rejected_gold);
    assert!(matches!(error("{"), PairError::Format { place: FilePosition::Line(3), .. }));
    assert_eq!(from_jsonl(&world, " \n"), Err(PairError::Empty));
    assert!(PairError::Empty.to_string().contains("\"chosen\""), "the remedy shows what to write");
    let missing = error(r#"{"prompt": "the acting in this film", "chosen": "was superb ."}"#).to_string();
    assert!(missing.contains("line 3") && missing.contains("rejected") && missing.contains("must be"), "{missing}");
    let unknown = error(&good.replace("dull", "blorp")).to_string();
    assert!(unknown.contains("line 3") && unknown.contains("`rejected`") && unknown.contains("\"blorp\""), "{unknown}");
    let unended = good.replace("was superb .", " ").replace('}', ", \"chosen_truncated\": true}");
    let high = MAX_SEQUENCE - 5;
    assert_eq!(
        error(&unended),
        PairError::Length { place: FilePosition::Line(3), field: "chosen", count: 0, low: 1, high }
    );
    let long = error(&good.replace("the acting in this film", "the acting in this film in this film"));
    assert!(matches!(long, PairError::Length { field: "prompt", count: 8, .. }), "{long}");
}

#[test]
fn a_share_of_a_person_s_labels_is_turned_round_and_the_same_ones_again() {
    let world = world(0.03);
    let line = r#"{"prompt": "the acting in this film", "chosen": "was superb .", "rejected": "was dull ."}"#;
    let pairs = from_jsonl(&world, &format!("{line}\n").repeat(4000)).unwrap();
    let flipped = |probability, seed| with_flips(pairs.clone(), probability, &mut Generator::new(seed, "label flips"));
    let share = |flipped: &[Pair]| {
        flipped.iter().filter(|pair| pair.chosen == pairs[0].rejected).count() as f64 / flipped.len() as f64
    };
    assert_eq!(flipped(0.0, 1), pairs);
    let quarter = flipped(0.25, 1);
    assert!((share(&quarter) - 0.25).abs() < 0.03, "{}", share(&quarter));
    assert!(quarter.iter().all(|pair| (pair.chosen_gold > pair.rejected_gold) == (pair.chosen == pairs[0].chosen)));
    assert!(quarter == flipped(0.25, 1) && quarter != flipped(0.25, 2));
}
