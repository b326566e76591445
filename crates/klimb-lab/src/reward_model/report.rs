//! How good a reward model is: does it agree with the labels, with the world, and with its own confidence?

use serde::{Deserialize, Serialize};

use klimb_align::algorithms::ScoredPair;
use klimb_network::objectives::sigmoid;
use klimb_numerics::stats::{half_width, mean};
use klimb_world::preferences::Pair;

/// Bins of the reliability diagram, between a confidence of one half and certainty.
const BINS: usize = 10;

/// A share of pairs with its uncertainty.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Share {
    /// The share.
    pub share: f64,
    /// Half-width of its 95 % interval over prompt instances, whose pairs share completions.
    pub half_width: f64,
}

/// One bar of the reliability diagram (DeGroot and Fienberg 1983).
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct ReliabilityBin {
    /// Least confidence in the bin.
    pub low: f64,
    /// Pairs in it.
    pub pairs: usize,
    /// Their mean confidence: σ(|margin|), what the model gives to the order it believes in.
    pub confidence: f64,
    /// How often the label has that order. A calibrated model is right as often as it is confident.
    pub accuracy: f64,
}

/// A reward model on pairs it has not learned from.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RewardModelReport {
    /// Optimiser steps it had taken.
    pub step: u64,
    /// Pairs it was asked about.
    pub pairs: usize,
    /// `reward_model/loss`: mean −log σ(margin), nats; ln 2 is a coin's.
    pub loss: f64,
    /// How often the chosen completion has the higher score: `reward_model/accuracy`. Label noise keeps it below 1.
    pub label_accuracy: Share,
    /// `reward_model/gold_accuracy`: how often the completion of higher gold reward has the higher score, where the gold rewards differ.
    pub gold_accuracy: Share,
    /// Slope of score differences over differences of r* = gold/τ, by least squares: 1 if a score is worth what PPO with
    /// the gold reward would be paid.
    pub slope: f64,
    /// `reward_model/calibration_error`: mean |accuracy − confidence| over the bins, weighed by their pairs (expected calibration error, Guo et al. 2017).
    pub calibration_error: f64,
    /// The reliability diagram, by rising confidence; bins without a pair are left out.
    pub reliability: Vec<ReliabilityBin>,
}

impl RewardModelReport {
    /// Of `scored`, the pairs of all `instances` in order. `temperature` is the labels' τ; 0 counts as 0.1, as it does
    /// for the optimum.
    ///
    /// # Panics
    /// If there are not as many of both, or none.
    pub fn new(step: u64, instances: &[Vec<Pair>], scored: &[ScoredPair], temperature: f64) -> Self {
        let pairs: Vec<&Pair> = instances.iter().flatten().collect();
        assert_eq!(pairs.len(), scored.len(), "RewardModelReport: pairs and their scores");
        assert!(!pairs.is_empty(), "RewardModelReport: no pair");
        let scale = if temperature > 0.0 { 1.0 / temperature } else { 10.0 };
        let gold_margin = |pair: &Pair| (pair.chosen_gold - pair.rejected_gold) * scale;
        let both = || pairs.iter().map(|pair| gold_margin(pair)).zip(scored);
        let product: f64 = both().map(|(gold, scored)| gold * scored.margin()).sum();
        let square: f64 = both().map(|(gold, _)| gold * gold).sum();
        let reliability = reliability(scored);
        Self {
            step,
            pairs: pairs.len(),
            loss: mean(&scored.iter().map(ScoredPair::loss).collect::<Vec<_>>()),
            label_accuracy: share(instances, scored, |_, scored| Some(scored.in_order())),
            gold_accuracy: share(instances, scored, |pair, scored| match gold_margin(pair) {
                0.0 => None,
                gold if gold > 0.0 => Some(scored.in_order()),
                _ => Some(1.0 - scored.in_order()),
            }),
            slope: product / square,
            calibration_error: reliability
                .iter()
                .map(|bin| (bin.accuracy - bin.confidence).abs() * bin.pairs as f64 / pairs.len() as f64)
                .sum(),
            reliability,
        }
    }
}

/// The mean of what `count` answers, ties half; pairs without an answer do not count. Each instance is one independent
/// draw: the interval is that of the ratio of two means over instances (Cochran 1977, section 2.11).
fn share(instances: &[Vec<Pair>], scored: &[ScoredPair], count: impl Fn(&Pair, &ScoredPair) -> Option<f64>) -> Share {
    let mut rest = scored;
    let mut sums = Vec::with_capacity(instances.len());
    for instance in instances {
        let (here, behind) = rest.split_at(instance.len());
        rest = behind;
        let counted: Vec<f64> = instance.iter().zip(here).filter_map(|(pair, scored)| count(pair, scored)).collect();
        sums.push((counted.iter().sum::<f64>(), counted.len() as f64));
    }
    let pairs: f64 = sums.iter().map(|sum| sum.1).sum();
    let share = sums.iter().map(|sum| sum.0).sum::<f64>() / pairs;
    let pairs_per_instance = pairs / sums.len() as f64;
    let residuals: Vec<f64> = sums.iter().map(|sum| (sum.0 - share * sum.1) / pairs_per_instance).collect();
    Share { share, half_width: half_width(&residuals) }
}

/// What is summed up for a bar.
#[derive(Clone, Copy, Default)]
struct Sums {
    pairs: usize,
    confidence: f64,
    /// Pairs in order, ties half.
    right: f64,
}

fn reliability(scored: &[ScoredPair]) -> Vec<ReliabilityBin> {
    let width = 0.5 / BINS as f64;
    let mut bins = [Sums::default(); BINS];
    for scored in scored {
        let confidence = sigmoid(scored.margin().abs());
        let bin = &mut bins[(((confidence - 0.5) / width) as usize).min(BINS - 1)];
        bin.pairs += 1;
        bin.confidence += confidence;
        bin.right += scored.in_order();
    }
    let bin = |(index, Sums { pairs, confidence, right }): (usize, Sums)| ReliabilityBin {
        low: 0.5 + width * index as f64,
        pairs,
        confidence: confidence / pairs as f64,
        accuracy: right / pairs as f64,
    };
    bins.into_iter().enumerate().filter(|(_, bin)| bin.pairs > 0).map(bin).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use klimb_numerics::rng::Generator;

    fn pair(chosen_gold: f64, rejected_gold: f64) -> Pair {
        Pair { prompt: vec![2], chosen: vec![3, 1], rejected: vec![4, 1], chosen_gold, rejected_gold }
    }

    fn scored(chosen_score: f64, rejected_score: f64) -> ScoredPair {
        ScoredPair { chosen_score, rejected_score }
    }

    #[test]
    fn labels_and_gold_are_counted_apart() {
        // In the labels' order and the gold's; in neither; in the labels' only; a tie in gold, and one in the scores.
        let instances =
            vec![vec![pair(0.9, 0.1), pair(0.8, 0.2)], vec![pair(0.3, 0.6), pair(0.5, 0.5), pair(0.7, 0.1)]];
        let scored = [scored(1.0, 0.0), scored(0.0, 1.0), scored(2.0, 1.0), scored(1.0, 0.0), scored(0.4, 0.4)];
        let report = RewardModelReport::new(3, &instances, &scored, 0.1);
        assert_eq!((report.step, report.pairs), (3, 5));
        assert!((report.label_accuracy.share - 3.5 / 5.0).abs() < 1e-12, "{report:?}");
        assert!((report.gold_accuracy.share - 1.5 / 4.0).abs() < 1e-12, "{report:?}");
        let (product, square) = (8.0 - 6.0 - 3.0, 64.0 + 36.0 + 9.0 + 36.0);
        assert!((report.slope - product / square).abs() < 1e-12, "{}", report.slope);
    }

    /// Six copies of each answer must not pass for six answers.
    #[test]
    fn an_interval_counts_instances_not_pairs() {
        let draws = &mut Generator::new(1, "answers");
        let answers: Vec<f64> = (0..400).map(|_| f64::from(u8::from(draws.uniform() < 0.8)) - 0.5).collect();
        let once: Vec<Vec<Pair>> = answers.iter().map(|_| vec![pair(0.9, 0.1)]).collect();
        let sixfold: Vec<Vec<Pair>> = answers.iter().map(|_| vec![pair(0.9, 0.1); 6]).collect();
        let scores = |copies: usize| -> Vec<ScoredPair> {
            answers.iter().flat_map(|&margin| vec![scored(margin, 0.0); copies]).collect()
        };
        let one = RewardModelReport::new(0, &once, &scores(1), 0.1).label_accuracy;
        let six = RewardModelReport::new(0, &sixfold, &scores(6), 0.1).label_accuracy;
        assert!((one.share - six.share).abs() < 1e-12 && (one.half_width - six.half_width).abs() < 1e-12);
        let binomial = 1.96 * (one.share * (1.0 - one.share) / 400.0f64).sqrt();
        assert!((one.half_width / binomial - 1.0).abs() < 0.02, "{} against {binomial}", one.half_width);
    }

    /// Labels drawn from the scores' own probabilities: calibrated, with slope 1. Twice the score: overconfident.
    #[test]
    fn a_model_that_knows_the_probabilities_is_calibrated() {
        let draws = &mut Generator::new(2, "labels");
        let (mut instances, mut truth) = (Vec::new(), Vec::new());
        for _ in 0..20_000 {
            let (a, b) = (draws.uniform(), draws.uniform());
            let (chosen, rejected) = if draws.uniform() < sigmoid((a - b) / 0.2) { (a, b) } else { (b, a) };
            instances.push(vec![pair(chosen, rejected)]);
            truth.push(scored(chosen / 0.2 + 3.0, rejected / 0.2 + 3.0));
        }
        let report = RewardModelReport::new(0, &instances, &truth, 0.2);
        assert!(report.calibration_error < 0.015, "{report:?}");
        assert!((report.slope - 1.0).abs() < 1e-9 && report.gold_accuracy.share == 1.0, "{report:?}");
        assert_eq!(report.reliability.iter().map(|bin| bin.pairs).sum::<usize>(), 20_000);
        let loud: Vec<ScoredPair> =
            truth.iter().map(|it| scored(2.0 * it.chosen_score, 2.0 * it.rejected_score)).collect();
        let overconfident = RewardModelReport::new(0, &instances, &loud, 0.2);
        assert!(overconfident.calibration_error > 0.08, "{overconfident:?}");
        assert!(overconfident.loss > report.loss && (overconfident.slope - 2.0).abs() < 1e-9, "{overconfident:?}");
    }
}
