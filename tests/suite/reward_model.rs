//! The reward model learns the world's taste from labels alone, on both backends, and its scores mean what they should.

use crate::common;
use klimb::algorithms::{RewardModel, RewardModelSettings};
use klimb::backend::cpu::Cpu;
use klimb::backend::network::Network;
use klimb::backend::{Kernels, SequenceSize};
use klimb::experiments::{
    PAIRS_PER_CHUNK, PAIRS_PER_INSTANCE, PairSplit, PreferenceData, PreferenceSettings, RewardModelRecipe,
    RewardModelTraining, reference_completions,
};
use klimb::language::{Judge, Schedule, Sequence, upload, with_scores_shifted};
use klimb::model::{Checkpoint, ModelConfig, initial_parameters, with_random_head};
use klimb::stats::{mean, standard_deviation};
use klimb::world::preferences::{LabelSettings, Pair};
use klimb::world::{MAX_SEQUENCE, World, WorldSettings};

const CONFIG: ModelConfig =
    ModelConfig { vocabulary: 23, context: 12, width: 16, layers: 2, heads: 2, own_unembedding: false };
const LENGTH: usize = 9;

fn world() -> World {
    World::new(WorldSettings::default()).expect("the default world is valid")
}

fn sft() -> Checkpoint {
    Checkpoint::from_bytes(include_bytes!("../../www/assets/sft.safetensors"), None).expect("the shipped file is valid")
}

/// The world's labelled pairs about what the shipped SFT model writes, in prompt instances.
fn instances<K: Kernels>(k: &mut K, chunks: usize, labels: LabelSettings) -> Vec<Vec<Pair>> {
    let (world, sft) = (world(), sft());
    let reference = upload(k, &sft.parameters);
    let mut data = PreferenceData::new(
        k,
        &Network::new(sft.config),
        1,
        PreferenceSettings { chunks, labels, ..PreferenceSettings::default() },
    );
    while data.len() < data.capacity() {
        pollster::block_on(data.extend(k, &world, &reference)).expect("generation works");
    }
    let pairs: Vec<Pair> = data.pairs().cloned().collect();
    pairs.chunks(PAIRS_PER_INSTANCE).map(<[Pair]>::to_vec).collect()
}

/// The shipped recipe from 20,000 pairs, validated at the end alone to save time. One pass over them would do in most
/// runs, but not in all: between seeds it ends at .77 to .87 of the gold order, two passes at .88 to .92.
#[test]
fn four_in_five_pairs_are_put_in_the_gold_order() {
    let k = &mut Cpu::<f32>::new();
    let (world, sft) = (world(), sft());
    let recipe = RewardModelRecipe { validate_every: 1000, ..RewardModelRecipe::default() };
    let split = PairSplit::new(instances(k, 116, LabelSettings::default()), recipe.validation_share, 1).unwrap();
    assert_eq!(split.train.len() + split.validation_pairs(), 116 * PAIRS_PER_CHUNK);
    assert!((19_900..20_100).contains(&split.train.len()), "{} pairs", split.train.len());
    let mut training = RewardModelTraining::new(k, sft.config, &sft.parameters, split, 1, recipe);
    let trained = pollster::block_on(async {
        let first = training.validate(k).await.expect("validation works");
        assert!((0.4..0.6).contains(&first.gold_accuracy.share), "a random head is a coin: {first:?}");
        while training.steps() < training.total_steps() {
            training.step(k);
            if training.is_due() {
                training.validate(k).await.expect("validation works");
            }
        }
        let reference = upload(k, &sft.parameters);
        let network = Network::new(sft.config);
        let completions = reference_completions(k, &world, &network, &reference, 1).await.expect("generation works");
        let trained = training.finish(k, &completions).await.expect("judging works");
        let mut judge = Judge::new(k, sft.config, SequenceSize { batch: 100, length: MAX_SEQUENCE });
        let parameters = upload(k, &trained.parameters);
        let scores = judge.scores(k, &parameters, &completions).await.expect("judging works");
        assert!(mean(&scores).abs() < 1e-4, "mean under the reference {}", mean(&scores));
        assert!((standard_deviation(&scores) - trained.reference_deviation).abs() < 1e-4);
        trained
    });
    let report = &trained.report;
    println!("{report:?}");
    assert!(report.gold_accuracy.share >= 0.80, "{report:?}");
    assert!(report.label_accuracy.share >= 0.76 && report.loss < 0.48, "{report:?}");
    assert!(report.calibration_error < 0.06, "{report:?}");
    assert!((0.3..1.2).contains(&report.slope), "a score is worth about what r* is: {report:?}");
}

fn sequence(i: usize) -> Sequence {
    let token = |t: usize| ((7 * i + 3 * t * t) % 21) as u32 + 2;
    let completion: Vec<u32> = (0..1 + i % 5).map(|t| token(t + 2)).chain([1]).collect();
    Sequence::new(&[token(0), token(1)], &completion)
}

/// The same eight pairs again and again: losses of every step, the last step's margins, and scores of other sequences
/// around their mean.
fn memorise<K: Kernels>(mut k: K, steps: u64) -> (Vec<f64>, Vec<f64>, Vec<f64>) {
    let schedule = Schedule { peak: 3e-3, floor: 3e-3, warm_up: 5, steps: 0 };
    let settings = RewardModelSettings { pairs: 8, schedule, ..RewardModelSettings::default() };
    let mut parameters = initial_parameters(&CONFIG, 1);
    // As large as after training, so that the first steps already see which tokens there are.
    parameters.iter_mut().for_each(|parameter| *parameter *= 3.0);
    let mut algorithm = RewardModel::new(&mut k, CONFIG, &parameters, 1, LENGTH, settings);
    let (chosen, rejected): (Vec<Sequence>, Vec<Sequence>) =
        ((0..8).map(sequence).collect(), (8..16).map(sequence).collect());
    pollster::block_on(async {
        let mut losses = Vec::new();
        for _ in 0..steps {
            algorithm.step(&mut k, &chosen, &rejected);
            losses.push(algorithm.metrics(&mut k).await.unwrap()[0].loss);
        }
        let outcomes = algorithm.outcomes(&mut k).await.unwrap();
        let pair_losses: Vec<f64> = outcomes.iter().map(|pair| pair.loss()).collect();
        assert!((mean(&pair_losses) - losses[losses.len() - 1]).abs() < 1e-5, "outcomes are of the last step");
        assert!(outcomes.iter().all(|pair| (pair.weight() - (1.0 - (-pair.loss()).exp())).abs() < 1e-9));
        let mut judge = Judge::new(&mut k, CONFIG, SequenceSize { batch: 5, length: LENGTH });
        let others: Vec<Sequence> = (20..32).map(sequence).collect();
        let scores = judge.scores(&mut k, &algorithm.learner().parameters, &others).await.unwrap();
        // What moves all scores alike has no gradient but rounding, which AdamW blows up: only differences mean anything.
        let scores = scores.iter().map(|score| score - mean(&scores)).collect();
        (losses, outcomes.iter().map(|pair| pair.margin()).collect(), scores)
    })
}

#[test]
fn both_backends_take_the_same_steps_and_give_the_same_scores() {
    let (cpu, gpu) = (memorise(Cpu::<f32>::new(), 12), memorise(common::gpu(), 12));
    assert!(cpu.0[11] < cpu.0[0] - 0.01, "{:?}", cpu.0);
    for (what, cpu, gpu) in [("loss", &cpu.0, &gpu.0), ("margin", &cpu.1, &gpu.1), ("score", &cpu.2, &gpu.2)] {
        for (i, (cpu, gpu)) in cpu.iter().zip(gpu).enumerate() {
            assert!((cpu - gpu).abs() < 1e-3, "{what} {i}: {cpu} on the CPU, {gpu} on the GPU");
        }
    }
}

#[test]
fn eight_pairs_are_learned_by_heart_on_the_gpu() {
    let (losses, margins, _) = memorise(common::gpu(), 80);
    assert!(losses[79] < 0.05, "{losses:?}");
    assert!(margins.iter().all(|&margin| margin > 1.0), "{margins:?}");
}

/// A sequence's score depends on nothing but itself: not on its neighbours in the batch, nor on the padding behind it.
#[test]
fn a_score_is_its_sequence_s_own() {
    let mut k = Cpu::<f32>::new();
    let flat = with_random_head(&CONFIG, &initial_parameters(&CONFIG, 2), 1);
    let sequences: Vec<Sequence> = (0..11).map(sequence).collect();
    let mut scores = |parameters: &[f32], batch, length| {
        let parameters = upload(&mut k, parameters);
        let mut judge = Judge::new(&mut k, CONFIG, SequenceSize { batch, length });
        pollster::block_on(judge.scores(&mut k, &parameters, &sequences)).unwrap()
    };
    let plain = scores(&flat, 11, LENGTH);
    assert!(standard_deviation(&plain) > 0.05, "{plain:?}");
    for (batch, length) in [(1, LENGTH), (4, LENGTH), (11, 12)] {
        for (score, plain) in scores(&flat, batch, length).iter().zip(&plain) {
            assert!((score - plain).abs() < 1e-5, "{score} instead of {plain} in batches of {batch}×{length}");
        }
    }
    let (shift, scale) = (mean(&plain), 1.0 / standard_deviation(&plain));
    let whitened = scores(&with_scores_shifted(&CONFIG, &flat, shift, scale), 11, LENGTH);
    for (score, plain) in whitened.iter().zip(&plain) {
        assert!((score - (plain - shift) * scale).abs() < 1e-5, "{score} of {plain}");
    }
}
