//! What a step is said to have done, held against what two forward passes say, on both backends.

use crate::common;
use crate::common::session as shipped;
use klimb::backend::cpu::Cpu;
use klimb::backend::network::Network;
use klimb::backend::{Kernels, SequenceSize};
use klimb::engine::protocol::*;
use klimb::engine::session::Session;
use klimb::engine::settings::Settings;
use klimb::language::{Scorer, Sequence, upload};
use klimb::metrics::{LikelihoodLoss, LossSides, MarginLoss, Method, PairLoss};
use klimb::model::Checkpoint;
use klimb::world::{MAX_SEQUENCE, Vocabulary, World, WorldSettings};
use pollster::block_on;

fn settings() -> Settings {
    Settings { batch_size: 4, pairs: 96, learning_rate: 1e-2, evaluation_samples: 64, ..Settings::default() }
}

fn order<K: Kernels>(session: &mut Session<K>, command: Command) -> Vec<Event> {
    let events = block_on(session.handle(command));
    assert!(!events.iter().any(|event| matches!(event, Event::Failure(_))), "{events:?}");
    events
}

fn model<K: Kernels>(session: &mut Session<K>, stage: Stage) -> Checkpoint {
    let events = order(session, Command::ExportCheckpoint(stage));
    let bytes = events.iter().find_map(|it| if let Event::Checkpoint(_, bytes) = it { Some(bytes) } else { None });
    Checkpoint::from_bytes(bytes.expect("a model of the stage"), None).expect("a valid checkpoint")
}

/// A completion as it is told, laid out again.
fn sequence(prompt: &str, words: &[String]) -> Sequence {
    let world = World::new(WorldSettings::default()).expect("the default world");
    let vocabulary = world.vocabulary();
    let end = vocabulary.word(Vocabulary::END);
    let token = |word: &String| match vocabulary.token(word) {
        Some(token) => token,
        None => {
            assert_eq!(word, end, "a word of the vocabulary");
            Vocabulary::END
        }
    };
    Sequence::new(&vocabulary.encode(prompt).tokens, &words.iter().map(token).collect::<Vec<_>>())
}

/// log π of each token under a model, in double precision: another program's forward pass, as it were.
fn logprobs(model: &Checkpoint, sequences: &[Sequence]) -> Vec<Vec<f64>> {
    let mut k = Cpu::<f64>::new();
    let size = SequenceSize { batch: sequences.len(), length: MAX_SEQUENCE - 1 };
    let mut scorer = Scorer::new(&mut k, Network::new(model.config), size);
    let parameters = upload(&mut k, &model.parameters);
    block_on(scorer.token_logprobs(&mut k, &parameters, sequences)).expect("the CPU reads")
}

fn assert_close(what: &str, found: f64, expected: f64, tolerance: f64) {
    assert!((found - expected).abs() <= tolerance, "{what}: {found}, and not {expected}");
}

fn assert_each(what: &str, found: &[f64], expected: &[f64]) {
    assert_eq!(found.len(), expected.len(), "{what}");
    found.iter().zip(expected).for_each(|(found, expected)| assert_close(what, *found, *expected, 2e-4));
}

fn sft_tells_what_it_did(k: impl Kernels) {
    let mut session = shipped::session_on(k, settings());
    order(&mut session, Command::Retrain);
    let mut step = || {
        let before = model(&mut session, Stage::Sft);
        let events = order(&mut session, Command::Step(Stage::Sft));
        let told = events
            .iter()
            .find_map(|it| if let Event::Inside(_, Inside::Sft(batch)) = it { Some(batch.clone()) } else { None });
        (before, told.expect("a step tells its batch"), model(&mut session, Stage::Sft))
    };
    step();
    let (before, told, after) = step();
    assert_eq!((told.step, told.size, told.reviews.len()), (2, 128, 4));
    let sequences: Vec<Sequence> = told.reviews.iter().map(|it| sequence(&it.prompt, &it.words)).collect();
    let (before, after) = (logprobs(&before, &sequences), logprobs(&after, &sequences));
    for (review, (before, after)) in told.reviews.iter().zip(before.iter().zip(&after)) {
        assert_each("log π before", &review.logprobs, before);
        assert_each("log π after", &review.logprobs_after, after);
    }
    let moved = before.iter().flatten().zip(after.iter().flatten()).map(|(b, a)| (a - b).abs()).fold(0.0, f64::max);
    assert!(moved > 2e-3, "the step did more than rounding does: {moved}");
    assert_close("the loss", told.mean_loss, -told.logprob / told.tokens as f64, 1e-4);
    assert!(told.mean_loss_after < told.mean_loss, "{} {}", told.mean_loss_after, told.mean_loss);
    // Warm-up over 50 steps to 4e-3: this was the second.
    assert_close("the learning rate", told.learning_rate, 2.0 * 4e-3 / 50.0, 1e-12);
    assert!(told.gradient_norm > 0.0);
}

#[test]
fn a_step_of_sft_tells_what_it_did_to_each_token() {
    sft_tells_what_it_did(Cpu::<f32>::new());
    sft_tells_what_it_did(common::gpu());
}

/// The batch of the third step, and the model before and after it. Every pair of it is told.
fn third_step<K: Kernels>(session: &mut Session<K>, stage: Stage) -> (Checkpoint, Vec<Event>, Checkpoint) {
    order(session, Command::Step(stage));
    order(session, Command::Step(stage));
    let before = model(session, stage);
    let events = order(session, Command::Step(stage));
    (before, events, model(session, stage))
}

fn assert_masses(told: &Masses, models: [&Checkpoint; 3], pairs: &[[Sequence; 2]]) {
    let all: Vec<Sequence> = pairs.iter().flatten().cloned().collect();
    let mean = |values: &[f64]| values.iter().sum::<f64>() / pairs.len() as f64;
    let mut chosen_before = Vec::new();
    for (moment, (mass, model)) in [told.reference, told.before, told.after].iter().zip(models).enumerate() {
        assert_close("all there is", mass.chosen + mass.rejected + mass.rest, 1.0, 1e-12);
        let sums: Vec<f64> = logprobs(model, &all).iter().map(|tokens| tokens.iter().sum()).collect();
        let side = |first: usize| sums.iter().skip(first).step_by(2).copied().collect::<Vec<f64>>();
        let (chosen, rejected) = (side(0), side(1));
        assert_close("log π of the chosen", mass.chosen_logprob, mean(&chosen), 1e-3);
        assert_close("log π of the rejected", mass.rejected_logprob, mean(&rejected), 1e-3);
        let masses = |logprobs: &[f64]| mean(&logprobs.iter().map(|logprob| logprob.exp()).collect::<Vec<_>>());
        for (found, expected) in [(mass.chosen, masses(&chosen)), (mass.rejected, masses(&rejected))] {
            assert_close("a mass", found, expected, 1e-3 * expected);
        }
        let fell = chosen.iter().zip(&chosen_before).filter(|(now, then)| now < then).count();
        if moment == 2 {
            assert_eq!(told.chosen_fell, fell);
        }
        chosen_before = chosen;
    }
    assert_eq!(told.pairs, pairs.len());
}

fn dpo_tells_where_the_probability_went(k: impl Kernels, settings: Settings) {
    let mut session = shipped::session_on(k, settings);
    let reference = model(&mut session, Stage::Sft);
    let (before, events, after) = third_step(&mut session, Stage::Dpo);
    let told = events
        .iter()
        .find_map(|it| if let Event::Inside(_, Inside::Dpo(batch)) = it { Some(batch) } else { None })
        .unwrap();
    let pairs: Vec<[Sequence; 2]> =
        told.pairs.iter().map(|it| [&it.chosen, &it.rejected].map(|side| sequence(&it.prompt, &side.words))).collect();
    assert_masses(&told.masses, [&reference, &before, &after], &pairs);
    for (pair, sequences) in told.pairs.iter().zip(&pairs) {
        let (then, now) = (logprobs(&before, sequences), logprobs(&after, sequences));
        for (side, (then, now)) in [&pair.chosen, &pair.rejected].into_iter().zip(then.iter().zip(&now)) {
            assert_each("log π before", &side.logprobs, then);
            assert_each("log π after", &side.logprobs_after, now);
            assert_close("the implicit reward", side.shares.iter().sum(), side.implicit_reward, 1e-3);
        }
    }
}

#[test]
fn a_step_of_dpo_tells_where_the_probability_went() {
    dpo_tells_where_the_probability_went(Cpu::<f32>::new(), settings());
    dpo_tells_where_the_probability_went(common::gpu(), settings());
    // The shares of the tokens are the variant's.
    let variant = Settings { length_normalised: true, reference_free: true, ..settings() };
    dpo_tells_where_the_probability_went(Cpu::<f32>::new(), variant);
}

#[test]
fn steps_of_unlikelihood_and_preferred_ft_tell_where_the_probability_went() {
    for stage in [Stage::Unlikelihood, Stage::PreferredFt] {
        let mut session = shipped::session(settings());
        let reference = model(&mut session, Stage::Sft);
        let (before, events, after) = third_step(&mut session, stage);
        let told = events
            .iter()
            .find_map(|it| if let Event::Inside(_, Inside::Likelihood(told)) = it { Some(told) } else { None });
        let told = told.expect("a step tells its batch");
        let pairs: Vec<[Sequence; 2]> = told
            .pairs
            .iter()
            .map(|it| [&it.chosen, &it.rejected].map(|side| sequence(&it.prompt, &side.words)))
            .collect();
        assert_masses(&told.masses, [&reference, &before, &after], &pairs);
        assert!(told.masses.after.chosen_logprob > told.masses.before.chosen_logprob, "{stage:?} pulls the chosen up");
        let now = logprobs(&after, &pairs[0]);
        assert_each("log π after", &told.pairs[0].chosen.logprobs_after, &now[0]);
        assert_each("log π after", &told.pairs[0].rejected.logprobs_after, &now[1]);
    }
}

fn softplus(x: f64) -> f64 {
    x.max(0.0) + (-x.abs()).exp().ln_1p()
}

/// The implicit rewards of a step, and the loss that the row of its method makes of them.
fn assert_margins(what: &str, told: &Batch, loss: MarginLoss) {
    assert_eq!(told.beta, settings().beta, "{what}: β");
    assert_eq!((told.size, told.pairs.len()), (4, 4), "{what}: every pair is told");
    let mut ordered = 0;
    for pair in &told.pairs {
        for side in [&pair.chosen, &pair.rejected] {
            assert_eq!(side.shares.len(), side.words.len(), "{what}: a share for each token");
            assert_close(&format!("{what}: r̂"), side.shares.iter().sum(), side.implicit_reward, 1e-3);
        }
        let margin = pair.chosen.implicit_reward - pair.rejected.implicit_reward;
        ordered += usize::from(margin > 0.0);
        match loss {
            MarginLoss::LogSigmoid => {
                let ratio = |side: &CompletionNumbers| side.logprob - side.reference_logprob;
                let by_formula = told.beta * (ratio(&pair.chosen) - ratio(&pair.rejected));
                assert_close(&format!("{what}: the margin"), margin, by_formula, 1e-3);
                assert_close(&format!("{what}: the loss"), pair.loss, softplus(-margin), 1e-5);
                assert_close(&format!("{what}: the pull"), pair.weight, 1.0 / (1.0 + margin.exp()), 1e-5);
                assert_eq!(told.variant.to_string(), "", "{what}: by default it is its paper's");
            }
            MarginLoss::Other => assert!(pair.loss.is_finite() && pair.weight.is_finite(), "{what}"),
        }
    }
    let mean = told.pairs.iter().map(|pair| pair.loss).sum::<f64>() / 4.0;
    assert_close(&format!("{what}: the mean loss"), told.mean_loss, mean, 1e-5);
    assert_close(&format!("{what}: in order"), told.accuracy, ordered as f64 / 4.0, 1e-9);
}

fn assert_likelihoods(what: &str, told: &LikelihoodBatch, LikelihoodLoss { of, remark }: LikelihoodLoss) {
    assert_eq!((told.size, told.pairs.len()), (4, 4), "{what}: every pair is told");
    assert!(remark.ends_with('.'), "{what}: {remark} is no sentence");
    let losses: f64 = told.pairs.iter().map(|pair| pair.loss).sum();
    let mean = match of {
        LossSides::Both => losses / 4.0,
        LossSides::Chosen => losses / told.pairs.iter().map(|pair| pair.chosen.words.len()).sum::<usize>() as f64,
    };
    assert_close(&format!("{what}: the mean loss"), told.mean_loss, mean, 1e-4);
    assert_eq!(told.alpha > 0.0, of == LossSides::Both, "{what}: α {}", told.alpha);
}

/// The page chooses what it shows of a step by the row of the method, the session by what the method trains with.
#[test]
fn every_method_on_pairs_tells_a_step_as_its_row_says() {
    for stage in Stage::of_policies().filter(|stage| stage.policy().is_some_and(Method::learns_from_pairs)) {
        let mut session = shipped::session(settings());
        let (_, events, _) = third_step(&mut session, stage);
        let told =
            events.iter().find_map(|it| if let Event::Inside(its, told) = it { Some((its, told)) } else { None });
        let (its, told) = told.expect("a step tells its batch");
        assert_eq!(*its, stage);
        let loss = stage.policy().unwrap().info().pair_loss.expect("a row that says what it makes of a pair");
        match (loss, told) {
            (PairLoss::Margin(loss), Inside::Dpo(batch)) => assert_margins(stage.id(), batch, loss),
            (PairLoss::Likelihood(loss), Inside::Likelihood(batch)) => assert_likelihoods(stage.id(), batch, loss),
            (loss, told) => panic!("{} is told by {told:?}, and its row says {loss:?}", stage.id()),
        }
    }
}

#[test]
fn the_numbers_of_a_token_in_ppo_follow_from_each_other() {
    let mut session = shipped::session(Settings { rollout_size: 32, ..settings() });
    let mut events = order(&mut session, Command::Step(Stage::PpoGt));
    while !events.iter().any(|event| matches!(event, Event::Inside(_, Inside::Ppo(_)))) {
        assert!(session.busy(), "the session rests before its round is over");
        events.extend(block_on(session.advance()));
    }
    let round = events
        .iter()
        .find_map(|it| if let Event::Inside(_, Inside::Ppo(round)) = it { Some(round) } else { None })
        .unwrap();
    let mut tokens = Vec::new();
    for episode in &round.episodes {
        for (at, token) in episode.tokens.iter().enumerate() {
            let score = if at + 1 == episode.tokens.len() { episode.score } else { 0.0 };
            let paid = -round.beta * (token.logprob - token.reference_logprob);
            assert_close("a reward", token.reward, paid + score, 1e-6);
            tokens.push(token);
        }
    }
    // Whitening is affine: what stands out before it stands out as much after it.
    let raw = |token: &TokenNumbers| token.returns - token.value;
    let by_raw = |a: &&&TokenNumbers, b: &&&TokenNumbers| raw(a).total_cmp(&raw(b));
    let (low, high) = (tokens.iter().min_by(by_raw).unwrap(), tokens.iter().max_by(by_raw).unwrap());
    let slope = (high.advantage - low.advantage) / (raw(high) - raw(low));
    assert!(slope > 0.0);
    for token in &tokens {
        let expected = low.advantage + slope * (raw(token) - raw(low));
        assert_close("an advantage", token.advantage, expected, 1e-6);
    }
}
