//! From trainings to the cells of the table.

use super::{COMPARED, ComparisonPart, ComparisonResult, ComparisonSettings, Rate};
use crate::optimal_reward;
use klimb_metrics::{ComparisonCell, Cost, FrontierPoint, Method, OptimumPoint};
use klimb_network::model::{Layout, ModelConfig};
use klimb_numerics::stats::{half_width, mean, standard_deviation};

/// The KL, in nats, within which the best gold reward is looked for.
const WITHIN: [u64; 3] = [2, 5, 10];

/// The table, method by method. Costs, spread, gap and the learning rates are taken at the middle β, each from a run's last
/// point, and averaged over seeds; `reference` is where every policy starts, and the least that it can keep within a KL.
/// The best of several noisy points is a little too good, for every method alike.
pub fn comparison_cells(
    settings: &ComparisonSettings,
    config: &ModelConfig,
    results: &[ComparisonResult],
    reference: &FrontierPoint,
    optimum: &[OptimumPoint],
) -> Vec<ComparisonCell> {
    let mut cells = Vec::new();
    for method in COMPARED {
        let mut cell = |quantity: &str, unit: &str, values: &[f64]| {
            if !values.is_empty() {
                cells.push(ComparisonCell {
                    method,
                    quantity: quantity.into(),
                    value: mean(values),
                    half_width: if values.len() > 1 { half_width(values) } else { 0.0 },
                    unit: unit.into(),
                    seeds: values.len() as u64,
                });
            }
        };
        let runs = Runs { settings, results, method };
        let Cost { trainings, writing, headed } = method.info().cost.expect("what is compared is trained");
        let parameters = writing * Layout::new(config).len as u64 + headed * Layout::with_head(config).len as u64;
        cell("stages", "trainings", &[trainings as f64]);
        cell("networks", "networks", &[(writing + headed) as f64]);
        cell("parameters_in_memory", "parameters", &[parameters as f64]);
        let spent: Vec<_> = settings.seeds.iter().filter_map(|&seed| runs.spent(seed)).collect();
        let of = |number: fn(&super::Spent) -> f64| spent.iter().map(number).collect::<Vec<f64>>();
        cell("forward_tokens", "tokens", &of(|spent| spent.forward_tokens as f64));
        cell("backward_tokens", "tokens", &of(|spent| spent.backward_tokens as f64));
        cell("seconds", "s", &of(|spent| spent.seconds));
        let last = runs.last(Rate::One);
        let gold: Vec<f64> = last.iter().map(|point| point.gold_reward).collect();
        if gold.len() > 1 {
            // A spread is one number, whose own interval nobody has measured.
            cell("spread_over_seeds", "gold reward", &[standard_deviation(&gold)]);
        }
        for nats in WITHIN {
            let best = |seed: &u64| runs.best_within(*seed, nats as f64, reference);
            let best: Vec<f64> = settings.seeds.iter().filter_map(best).collect();
            cell(&format!("gold_at_kl_{nats}"), "gold reward", &best);
        }
        let gap = |point: &&FrontierPoint| Some(optimal_reward(optimum, point.kl_per_sequence)? - point.gold_reward);
        let gaps: Vec<f64> = last.iter().filter_map(gap).collect();
        cell("gap_to_optimum", "gold reward", &gaps);
        for rate in Rate::ALL {
            let (last, name) = (runs.last(rate), rate.name());
            let of = |number: fn(&FrontierPoint) -> f64| last.iter().map(|it| number(it)).collect::<Vec<f64>>();
            cell(&format!("gold_at_learning_rate_{name}"), "gold reward", &of(|point| point.gold_reward));
            cell(&format!("kl_at_learning_rate_{name}"), "nats", &of(|point| point.kl_per_sequence));
            let diverged = runs.diverged(rate);
            if diverged > 0 {
                cell(&format!("diverged_at_learning_rate_{name}"), "runs", &[diverged as f64]);
            }
        }
        for it in cells.iter_mut().filter(|it| it.quantity == "spread_over_seeds") {
            it.seeds = settings.seeds.len() as u64;
        }
    }
    cells
}

/// What a policy's training came to.
#[derive(Clone, Copy)]
struct PolicyResult<'a> {
    beta: f64,
    seed: u64,
    result: &'a ComparisonResult,
}

/// The results of a method.
#[derive(Clone, Copy)]
struct Runs<'a> {
    settings: &'a ComparisonSettings,
    results: &'a [ComparisonResult],
    method: Method,
}

impl<'a> Runs<'a> {
    /// Its runs at a rate.
    fn at(self, wanted: Rate) -> impl Iterator<Item = PolicyResult<'a>> {
        self.results.iter().filter_map(move |result| match result.part {
            ComparisonPart::Policy { method, beta, rate, seed } if method == self.method && rate == wanted => {
                Some(PolicyResult { beta, seed, result })
            }
            ComparisonPart::Policy { .. } | ComparisonPart::RewardModel { .. } => None,
        })
    }

    /// Those at the middle β.
    fn middle(self, rate: Rate) -> impl Iterator<Item = PolicyResult<'a>> {
        let middle = self.settings.middle();
        self.at(rate).filter(move |run| run.beta == middle)
    }

    /// The last point of each seed that came to its end.
    fn last(self, rate: Rate) -> Vec<&'a FrontierPoint> {
        let finished = self.middle(rate).filter(|run| !run.result.is_diverged);
        finished.filter_map(|run| run.result.points.last()).collect()
    }

    fn diverged(self, rate: Rate) -> usize {
        self.middle(rate).filter(|run| run.result.is_diverged).count()
    }

    /// What a seed took, its reward model included.
    fn spent(self, seed: u64) -> Option<super::Spent> {
        let policy = self.middle(Rate::One).find(|run| run.seed == seed && !run.result.is_diverged)?.result;
        let mut spent = policy.spent;
        if self.method == Method::Ppo {
            let judge = self.results.iter().find(|it| it.part == ComparisonPart::RewardModel { seed })?;
            spent = spent + judge.spent;
        }
        Some(spent)
    }

    /// The best gold reward of a seed within a KL, at any β and step; the reference is always within.
    fn best_within(self, seed: u64, nats: f64, reference: &FrontierPoint) -> Option<f64> {
        let runs = self.at(Rate::One).filter(move |run| run.seed == seed);
        let points: Vec<&FrontierPoint> = runs.flat_map(|run| &run.result.points).collect();
        let within = points.iter().filter(|point| point.kl_per_sequence <= nats).map(|point| point.gold_reward);
        (!points.is_empty()).then(|| within.fold(reference.gold_reward, f64::max))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Spent;
    use klimb_metrics::Setting;

    fn point(kl_per_sequence: f64, gold_reward: f64) -> FrontierPoint {
        FrontierPoint {
            method: Method::Ppo,
            setting: Setting::Number(0.3),
            seed: 1,
            step: 1,
            kl_per_sequence,
            kl_half_width: 0.1,
            gold_reward,
            gold_reward_half_width: 0.01,
            samples: 512,
            seconds: 1.0,
            diversity: None,
        }
    }

    fn result(part: ComparisonPart, points: Vec<FrontierPoint>, tokens: u64, is_diverged: bool) -> ComparisonResult {
        let spent = Spent { seconds: 2.0, forward_tokens: tokens, backward_tokens: tokens / 2 };
        ComparisonResult { part, spent, points, is_diverged, reward_model: None }
    }

    #[test]
    fn a_cell_is_what_its_name_says() {
        let settings = ComparisonSettings { seeds: vec![1, 2], ..ComparisonSettings::smoke() };
        let policy = |seed, rate| ComparisonPart::Policy { method: Method::Ppo, beta: 0.3, rate, seed };
        let results = [
            result(ComparisonPart::RewardModel { seed: 1 }, vec![], 100, false),
            result(ComparisonPart::RewardModel { seed: 2 }, vec![], 300, false),
            result(policy(1, Rate::One), vec![point(1.5, 0.7), point(3.0, 0.8)], 1000, false),
            result(policy(2, Rate::One), vec![point(2.5, 0.9), point(3.0, 0.7)], 1000, false),
            result(policy(1, Rate::Four), vec![point(9.0, 0.6)], 1000, false),
            result(policy(2, Rate::Four), vec![point(9.0, 0.1)], 0, true),
        ];
        let curve = [(0.0, 0.5), (2.0, 0.8), (4.0, 0.9)].map(|(kl_per_sequence, gold_reward)| OptimumPoint {
            beta: 1.0,
            kl_per_sequence,
            gold_reward,
            effective_sample_size: 500.0,
        });
        let config =
            ModelConfig { vocabulary: 20, context: 16, width: 16, layers: 1, heads: 2, own_unembedding: false };
        let cells = comparison_cells(&settings, &config, &results, &point(0.0, 0.5), &curve);
        let cell = |quantity: &str| cells.iter().find(|it| it.method == Method::Ppo && it.quantity == quantity);
        let value = |quantity: &str| cell(quantity).unwrap_or_else(|| panic!("no {quantity}")).value;
        let close = |quantity: &str, expected: f64| {
            assert!((value(quantity) - expected).abs() < 1e-9, "{quantity}: {} instead of {expected}", value(quantity));
        };
        close("stages", 2.0);
        close("networks", 4.0);
        let (plain, headed) = (Layout::new(&config).len, Layout::with_head(&config).len);
        close("parameters_in_memory", (2 * plain + 2 * headed) as f64);
        close("forward_tokens", 1200.0);
        close("backward_tokens", 600.0);
        close("seconds", 4.0);
        close("spread_over_seeds", 0.1 / 2f64.sqrt());
        close("gold_at_kl_2", (0.7 + 0.5) / 2.0);
        close("gold_at_kl_5", (0.8 + 0.9) / 2.0);
        close("gap_to_optimum", 0.85 - 0.75);
        close("gold_at_learning_rate_one", 0.75);
        close("gold_at_learning_rate_four", 0.6);
        close("kl_at_learning_rate_four", 9.0);
        close("diverged_at_learning_rate_four", 1.0);
        assert_eq!(cell("gold_at_learning_rate_quarter"), None, "nothing was trained at it");
        assert_eq!(cell("gold_at_learning_rate_one").map(|it| it.seeds), Some(2));
        assert_eq!(cell("spread_over_seeds").map(|it| (it.seeds, it.half_width)), Some((2, 0.0)));
        assert!(cells.iter().all(|it| it.value.is_finite() && it.half_width.is_finite()));
    }
}
