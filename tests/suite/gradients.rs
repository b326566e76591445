//! The network's gradient against central differences, in f64, tensor by tensor.
//!
//! Every parameter group is nudged along a random direction u of unit length: (L(θ + hu) − L(θ − hu))/2h must equal
//! ∇L·u. With h = 1e-5 the truncation error is about h² = 1e-10 and the rounding error about 1e-16/h = 1e-11, so
//! 1e-6 of the gradient's norm leaves room for nothing but mistakes. Three directions a tensor, all failures in one
//! message.

use klimb::backend::cpu::Cpu;
use klimb::backend::network::{Activations, Gradients, Network, OutputGradients};
use klimb::backend::{At, AtMut, LogitsSize, PpoSize, kernels};
use klimb::language::{Sequence, TokenBatch, last_token_mask};
use klimb::model::ModelConfig;
use klimb::objectives::{DpoLoss, PPO_POLICY_COLUMNS, PPO_VALUE_COLUMNS};
use klimb::rng::Generator;

const STEP: f64 = 1e-5;

/// A network with everything needed to run it forwards and backwards on one batch.
struct Bench {
    k: Cpu<f64>,
    network: Network,
    batch: TokenBatch,
    integers: Vec<u32>,
    mask: Vec<f64>,
    last_tokens: Vec<f64>,
    activations: Activations<Cpu<f64>>,
    gradients: Gradients<Cpu<f64>>,
    numbers: Vec<f64>,
    values: Vec<f64>,
    objective: Objective,
}

/// A loss on per-token numbers.
#[derive(Clone, Copy, Debug)]
enum Objective {
    /// Mean −log p of the completions.
    Sft,
    /// Four pairs, β 0.7, smoothing 0.1, references off the policy.
    Dpo,
    /// Σ of logprobs and entropies with arbitrary coefficients: the whole narrow waist.
    Waist,
    /// Σ of the scalar head's values with arbitrary coefficients.
    Values,
    /// Four pairs' mean loss, each completion's score its last token's value.
    BradleyTerry,
    /// Both at once, through one trunk.
    Both,
    /// PPO's policy and value losses with an entropy bonus, through one trunk, on both sides of the clips.
    Ppo,
}

impl Objective {
    fn uses_logprobs(self) -> bool {
        !matches!(self, Self::Values | Self::BradleyTerry)
    }

    fn uses_values(self) -> bool {
        matches!(self, Self::Values | Self::BradleyTerry | Self::Both | Self::Ppo)
    }
}

/// Arbitrary, of either sign.
fn coefficient(i: usize) -> f64 {
    ((i * 37 % 11) as f64 - 5.0) * 0.1
}

impl Bench {
    fn new(config: ModelConfig, objective: Objective) -> Self {
        let mut k = Cpu::<f64>::new();
        let network = if objective.uses_values() { Network::with_head(config) } else { Network::new(config) };
        let mut draws = Generator::new(5, "sequences");
        // A score is read where the last token has been read, so there must be room for it.
        let is_judged = matches!(objective, Objective::BradleyTerry);
        let mut tokens = |count: usize| (0..count).map(|_| draws.below(config.vocabulary) as u32).collect::<Vec<_>>();
        let sequences: Vec<Sequence> = [(1, 6), (3, 4), (2, 1), (4, 4), (1, 1), (5, 3), (2, 6), (3, 2)]
            .map(|(p, c)| Sequence::new(&tokens(p), &tokens(c - usize::from(is_judged))))
            .into();
        let batch = TokenBatch::new(config.context, &sequences);
        let last_tokens = if is_judged { last_token_mask(config.context, &sequences) } else { Vec::new() };
        let rows = batch.inputs.len();
        Self {
            activations: network.activations(&mut k, rows),
            gradients: network.gradients(&mut k, rows),
            numbers: vec![0.0; 3 * rows],
            values: vec![0.0; rows],
            integers: batch.integers(config.vocabulary),
            last_tokens: last_tokens.into_iter().map(f64::from).collect(),
            mask: batch.completion_mask.iter().map(|&counts| f64::from(counts)).collect(),
            k,
            network,
            batch,
            objective,
        }
    }

    /// The loss, dlogprobs | dentropies, and dvalues.
    fn loss(&mut self, parameters: &Vec<f64>) -> (f64, Vec<f64>, Vec<f64>) {
        let Self { k, network, batch, integers, mask, last_tokens, activations, numbers, values, .. } = self;
        let rows = batch.inputs.len();
        let logits = LogitsSize { rows, vocabulary: network.config().vocabulary };
        network.trunk_forward(k, batch.size, parameters, At::new(integers, 0), activations);
        if self.objective.uses_logprobs() {
            network.logits_forward(k, rows, parameters, activations);
            kernels::LogprobsForward {
                size: logits,
                logits: &activations.logits,
                targets: At::new(integers, rows),
                numbers,
            }
            .run(k);
        }
        if self.objective.uses_values() {
            network.values_forward(k, rows, parameters, activations, values);
        }
        let mut dnumbers = vec![0.0; 2 * rows];
        let mut dvalues: Vec<f64> = (0..rows).map(|i| coefficient(i + 3)).collect();
        let waist: f64 = (0..2 * rows).map(|i| coefficient(i) * numbers[i]).sum();
        let valued: f64 = dvalues.iter().zip(&*values).map(|(dvalue, value)| dvalue * value).sum();
        let loss = match self.objective {
            Objective::Sft => {
                let mut losses = vec![0.0; rows];
                kernels::Sft {
                    rows,
                    logprobs: numbers,
                    weights: At::new(mask, 0),
                    dlogprobs: &mut dnumbers,
                    statistics: &mut losses,
                }
                .run(k);
                losses.iter().sum()
            }
            Objective::Dpo => {
                let pairs = batch.size.batch / 2;
                let mut sums = vec![0.0; 2 * pairs];
                kernels::SequenceLogprobsForward {
                    size: batch.size,
                    logprobs: numbers,
                    completion_mask: At::new(mask, 0),
                    sequence_logprobs: &mut sums,
                }
                .run(k);
                let references: Vec<f64> = (0..2 * pairs).map(|i| -9.0 - 1.5 * (i % 3) as f64).collect();
                let (mut dsums, mut statistics) = (vec![0.0; 2 * pairs], vec![0.0; 6 * pairs]);
                kernels::Dpo {
                    pairs,
                    loss: DpoLoss::Sigmoid,
                    beta: 0.7,
                    label_smoothing: 0.1,
                    sequence_logprobs: &sums,
                    references: At::new(&references, 0),
                    dsequence_logprobs: &mut dsums,
                    statistics: &mut statistics,
                }
                .run(k);
                kernels::SequenceLogprobsBackward {
                    size: batch.size,
                    dsequence_logprobs: &dsums,
                    completion_mask: At::new(mask, 0),
                    dlogprobs: &mut dnumbers,
                }
                .run(k);
                statistics[..pairs].iter().sum::<f64>() / pairs as f64
            }
            Objective::Waist | Objective::Both => {
                dnumbers = (0..2 * rows).map(coefficient).collect();
                waist + valued
            }
            Objective::Values => valued,
            Objective::Ppo => {
                let tokens: f64 = mask.iter().sum();
                let weights: Vec<f64> = mask.iter().map(|counts| counts / tokens).collect();
                // Old logprobs and advantages, then old values and returns.
                let recorded: Vec<f64> = (0..4 * rows)
                    .map(|i| if i < rows { -3.0 + coefficient(i) } else { 3.0 * coefficient(i) })
                    .collect();
                let (entropy_coefficient, value_coefficient) = (0.3, 0.5);
                let size = PpoSize { rows, first: 0, stride: rows };
                let mut statistics = vec![0.0; (PPO_POLICY_COLUMNS + PPO_VALUE_COLUMNS) * rows];
                let value_column = PPO_POLICY_COLUMNS * rows;
                let (weights, recorded) = (At::new(&weights, 0), |at| At::new(&recorded, at));
                let columns = AtMut::new(&mut statistics, 0);
                kernels::PpoPolicy {
                    size,
                    clip_range: 0.2,
                    entropy_coefficient,
                    numbers,
                    weights,
                    rollout: recorded(0),
                    dnumbers: &mut dnumbers,
                    statistics: columns,
                }
                .run(k);
                let columns = AtMut::new(&mut statistics, value_column);
                kernels::PpoValue {
                    size,
                    clip_range: 0.4,
                    value_coefficient,
                    values,
                    weights,
                    rollout: recorded(2 * rows),
                    dvalues: &mut dvalues,
                    statistics: columns,
                }
                .run(k);
                let mean = |column: usize| statistics[column * rows..(column + 1) * rows].iter().sum::<f64>();
                for (what, share) in [("ratios", mean(4)), ("values", mean(8))] {
                    assert!(share > 0.1 && share < 0.9, "both sides of the clip must be met: {share} of the {what}");
                }
                mean(0) - entropy_coefficient * mean(6) + value_coefficient * mean(7)
            }
            Objective::BradleyTerry => {
                let pairs = batch.size.batch / 2;
                let (mut scores, mut dscores) = (vec![0.0; 2 * pairs], vec![0.0; 2 * pairs]);
                let mut statistics = vec![0.0; 4 * pairs];
                kernels::SequenceLogprobsForward {
                    size: batch.size,
                    logprobs: values,
                    completion_mask: At::new(last_tokens, 0),
                    sequence_logprobs: &mut scores,
                }
                .run(k);
                kernels::BradleyTerry { pairs, scores: &scores, dscores: &mut dscores, statistics: &mut statistics }
                    .run(k);
                kernels::SequenceLogprobsBackward {
                    size: batch.size,
                    dsequence_logprobs: &dscores,
                    completion_mask: At::new(last_tokens, 0),
                    dlogprobs: &mut dvalues,
                }
                .run(k);
                statistics[..pairs].iter().sum::<f64>() / pairs as f64
            }
        };
        (loss, dnumbers, dvalues)
    }

    fn gradient(&mut self, parameters: &Vec<f64>) -> Vec<f64> {
        let (_, dnumbers, dvalues) = self.loss(parameters);
        let Self { k, network, batch, integers, activations, numbers, gradients, .. } = self;
        let rows = batch.inputs.len();
        let logits = LogitsSize { rows, vocabulary: network.config().vocabulary };
        if self.objective.uses_logprobs() {
            kernels::LogprobsBackward {
                size: logits,
                targets: At::new(integers, rows),
                numbers,
                dnumbers: &dnumbers,
                logits: &mut activations.logits,
            }
            .run(k);
        }
        let outputs = OutputGradients {
            dlogits: self.objective.uses_logprobs().then_some(&activations.logits),
            dvalues: self.objective.uses_values().then_some(&dvalues),
        };
        gradients.parameters.fill(0.0);
        network.backward(k, batch.size, parameters, At::new(integers, 2 * rows), activations, outputs, gradients);
        gradients.parameters.clone()
    }
}

fn check(config: ModelConfig, objective: Objective) {
    check_tensors(config, objective, |_| true);
}

fn check_tensors(config: ModelConfig, objective: Objective, is_checked: impl Fn(&str) -> bool) {
    let mut bench = Bench::new(config, objective);
    let layout = bench.network.layout().clone();
    let mut draws = Generator::new(3, "parameters");
    // Far from the tiny initial values, so that every tensor matters.
    let parameters: Vec<f64> = (0..layout.len).map(|_| 0.3 * draws.normal()).collect();
    let gradient = bench.gradient(&parameters);
    let mut failures = Vec::new();
    for tensor in layout.tensors.iter().filter(|tensor| is_checked(&tensor.name)) {
        let ours = &gradient[tensor.range()];
        let norm = ours.iter().map(|g| g * g).sum::<f64>().sqrt();
        assert!(norm > 1e-9, "{}: the test would not notice a missing gradient", tensor.name);
        for _ in 0..3 {
            let direction: Vec<f64> = ours.iter().map(|_| draws.normal()).collect();
            let length = direction.iter().map(|u| u * u).sum::<f64>().sqrt();
            let mut loss_at = |step: f64| {
                let mut moved = parameters.clone();
                moved[tensor.range()].iter_mut().zip(&direction).for_each(|(p, u)| *p += step * u / length);
                bench.loss(&moved).0
            };
            let difference = (loss_at(STEP) - loss_at(-STEP)) / (2.0 * STEP);
            let product = ours.iter().zip(&direction).map(|(g, u)| g * u / length).sum::<f64>();
            if (difference - product).abs() > 1e-6 * norm {
                failures
                    .push(format!("{}: difference {difference:e}, gradient {product:e}, norm {norm:e}", tensor.name));
            }
        }
    }
    assert!(failures.is_empty(), "{objective:?}, {config:?}:\n{}", failures.join("\n"));
}

const ODD: ModelConfig =
    ModelConfig { vocabulary: 13, context: 7, width: 18, layers: 2, heads: 3, own_unembedding: false };

#[test]
fn sft_through_the_network() {
    check(ODD, Objective::Sft);
}

#[test]
fn dpo_through_the_network() {
    check(ODD, Objective::Dpo);
}

#[test]
fn the_whole_waist_through_the_network() {
    check(ODD, Objective::Waist);
}

#[test]
fn the_whole_waist_through_an_unembedding_of_its_own() {
    check(ModelConfig { own_unembedding: true, ..ODD }, Objective::Waist);
}

#[test]
fn values_through_the_scalar_head() {
    check(ODD, Objective::Values);
}

/// The last two biases move every score alike, and so no preference.
#[test]
fn bradley_terry_through_the_scalar_head() {
    check_tensors(ODD, Objective::BradleyTerry, |name| !["lnfb", "headb"].contains(&name));
}

#[test]
fn logprobs_and_values_through_one_trunk() {
    check(ODD, Objective::Both);
}

#[test]
fn ppo_through_one_trunk() {
    check(ODD, Objective::Ppo);
}

#[test]
fn one_head_and_one_layer() {
    check(
        ModelConfig { vocabulary: 11, context: 9, width: 16, layers: 1, heads: 1, own_unembedding: false },
        Objective::Waist,
    );
}
