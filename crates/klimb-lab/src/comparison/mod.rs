//! RLHF or DPO? What each method takes and what it gives, measured on one machine: stages, networks, passes, seconds,
//! sensitivity to the learning rate, spread over seeds, and gold reward within a KL.
//!
//! Every method gets the same β, seeds and grid of learning rates, and its own default schedule. A part of the work is
//! one training, and its result a small file, so the study can be stopped, gone on with and shared.

mod cells;

use std::convert::Infallible;
use std::ops::ControlFlow;

use serde::{Deserialize, Serialize};

use super::spent::Moment;
use super::{
    JudgedPpo, Plan, Reference, RewardModelRun, RunEnd, Sink, Spent, StudyError, SweepError, SweepMethod, SweepPoint,
    SweepRollouts, SweepRun, SweepSettings, run_ppo_of, train, train_reward_model,
};
use klimb_align::algorithms::Budget;
use klimb_align::language::Schedule;
use klimb_metrics::{FrontierPoint, Method, MetricRow};
use klimb_network::backend::Kernels;
use klimb_text::{ConfigError, message};
use klimb_world::World;

pub use cells::comparison_cells;

/// The methods that are compared, cheapest first.
pub const COMPARED: [Method; 4] = [Method::PreferredFt, Method::Dpo, Method::PpoGt, Method::Ppo];

/// A method as the files of a comparison's parts have it: with `_` for `-`, and one of those that are compared.
mod part_method {
    use klimb_metrics::Method;
    use serde::de::Error as _;
    use serde::{Deserialize, Deserializer, Serializer};

    use super::COMPARED;
    use crate::sweep_method::name_in_files as name;

    pub fn serialize<S: Serializer>(method: &Method, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&name(*method))
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Method, D::Error> {
        let found = String::deserialize(deserializer)?;
        let its = COMPARED.into_iter().find(|method| name(*method) == found);
        its.ok_or_else(|| {
            D::Error::unknown_variant(&klimb_text::shorten::excerpt(&found), &["preferred_ft", "dpo", "ppo_gt", "ppo"])
        })
    }
}

/// A multiple of a method's default learning rate.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Rate {
    /// × 1/4.
    Quarter,
    /// × 1.
    One,
    /// × 4.
    Four,
}

impl Rate {
    /// By rising rate.
    pub const ALL: [Self; 3] = [Self::Quarter, Self::One, Self::Four];

    /// Its name in files.
    pub fn name(self) -> &'static str {
        match self {
            Self::Quarter => "quarter",
            Self::One => "one",
            Self::Four => "four",
        }
    }

    fn of(self, schedule: Schedule) -> Schedule {
        let factor = match self {
            Self::Quarter => 0.25,
            Self::One => 1.0,
            Self::Four => 4.0,
        };
        Schedule { peak: factor * schedule.peak, floor: factor * schedule.floor, ..schedule }
    }
}

/// One training.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub enum ComparisonPart {
    /// A seed's reward model, for all of its PPO.
    RewardModel {
        /// Names pairs, their order and the head.
        seed: u64,
    },
    /// A policy.
    Policy {
        /// How it is trained.
        #[serde(with = "part_method")]
        method: Method,
        /// Its leash; Preferred-FT, which has none, keeps the study's middle one.
        beta: f64,
        /// Its learning rate.
        rate: Rate,
        /// Names data and coins.
        seed: u64,
    },
}

impl ComparisonPart {
    /// What its file is called.
    pub fn name(&self) -> String {
        match self {
            Self::RewardModel { seed } => format!("reward-model-{seed}"),
            Self::Policy { method, beta, rate, seed } => {
                format!("{}-{beta}-{}-{seed}", method, rate.name())
            }
        }
    }
}

/// What a training took and gave.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ComparisonResult {
    /// Which training.
    pub part: ComparisonPart,
    /// What it took, without evaluations; its data are counted.
    pub spent: Spent,
    /// The policy along the way; none of a reward model.
    pub points: Vec<FrontierPoint>,
    /// Whether a number was not finite, so that there is no last point.
    pub is_diverged: bool,
    /// `Checkpoint::fingerprint` of the reward model that was made, or that PPO was judged by. None of the others have
    /// one, nor do results of an earlier version.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reward_model: Option<String>,
}

/// The study.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ComparisonSettings {
    /// Budget, data, evaluation and rollouts, as in a sweep; its runs are not used.
    pub sweep: SweepSettings,
    /// Leashes; the middle one is where learning rates are varied and costs are taken.
    pub betas: Vec<f64>,
    /// Each training is done with each.
    pub seeds: Vec<u64>,
}

impl ComparisonSettings {
    /// One seed: minutes on a processor.
    pub fn quick() -> Self {
        Self { sweep: SweepSettings::quick(1), betas: vec![0.3, 1.0], seeds: vec![1] }
    }

    /// Three leashes, three seeds, twice the points.
    pub fn full() -> Self {
        let quick = SweepSettings::quick(1);
        let sweep =
            SweepSettings { evaluate_every: 50, rollouts: SweepRollouts { total: 30, between_points: 5 }, ..quick };
        Self { sweep, betas: vec![0.1, 0.3, 1.0], seeds: vec![1, 2, 3] }
    }

    /// A study that proves the plumbing in seconds and teaches nothing.
    pub fn smoke() -> Self {
        Self { sweep: SweepSettings::smoke(1), betas: vec![0.3], seeds: vec![1, 2] }
    }

    /// The settings, or the first one that cannot be used.
    ///
    /// # Errors
    /// The setting by name.
    pub fn validated(self) -> Result<Self, ConfigError> {
        for (field, is_empty) in [("betas", self.betas.is_empty()), ("seeds", self.seeds.is_empty())] {
            if is_empty {
                return Err(ConfigError::new(field, message!("give at least one")));
            }
        }
        let run = |method, beta| SweepRun { method: SweepMethod::at_beta(method, beta), seed: 1 };
        let runs = COMPARED.iter().flat_map(|&method| self.betas.iter().map(move |&beta| run(method, beta)));
        SweepSettings { runs: runs.collect(), ..self.sweep.clone() }.validated()?;
        Ok(self)
    }

    /// Whether a policy's result has all of its points, of which one that diverged has as many as it came to.
    pub fn is_whole(&self, result: &ComparisonResult) -> bool {
        let ComparisonPart::Policy { method, beta, seed, .. } = result.part else { return true };
        let run = SweepRun { method: SweepMethod::at_beta(method, beta), seed };
        result.is_diverged || self.sweep.is_finished(&run, &result.points)
    }

    /// The β where learning rates are varied.
    pub fn middle(&self) -> f64 {
        self.betas[(self.betas.len() - 1) / 2]
    }

    /// The trainings of each seed and method, in an order in which each finds what it needs.
    pub fn groups(&self) -> Vec<Vec<ComparisonPart>> {
        let methods = COMPARED.into_iter().rev();
        methods.flat_map(|method| self.seeds.iter().map(move |&seed| self.group(method, seed))).collect()
    }

    fn group(&self, method: Method, seed: u64) -> Vec<ComparisonPart> {
        let middle = self.middle();
        let part = |beta, rate| ComparisonPart::Policy { method, beta, rate, seed };
        let leashes =
            self.betas.iter().filter(|beta| method.has_leash() || **beta == middle).map(|beta| part(*beta, Rate::One));
        let rates = [Rate::Quarter, Rate::Four].map(|rate| part(middle, rate));
        let reward_model = method.info().needs_reward_model.then_some(ComparisonPart::RewardModel { seed });
        reward_model.into_iter().chain(leashes).chain(rates).collect()
    }
}

/// What [`compare_part`] does.
#[derive(Debug, Clone, Copy)]
pub struct ComparisonTask<'a> {
    /// The study.
    pub settings: &'a ComparisonSettings,
    /// Which training of it.
    pub part: ComparisonPart,
    /// The parameters of the seed's reward model, for a policy of PPO.
    pub reward_model: Option<&'a [f32]>,
}

/// Who takes the time of a training, and may end it.
#[derive(Debug, Clone, Copy)]
pub struct ComparisonWatch<C, W> {
    /// Any clock, in seconds.
    pub clock: C,
    /// Asked all along.
    pub watch: W,
}

/// What [`compare_part`] came to.
#[derive(Debug, Clone, PartialEq)]
pub struct ComparedPart {
    /// What is kept of it.
    pub result: ComparisonResult,
    /// The parameters of the reward model, if the part is one: whoever writes those names them in the result.
    pub reward_model: Option<Vec<f32>>,
}

/// Does a part. `None` if `watch` ended it.
///
/// # Errors
/// `Backend` if a read fails. A policy that diverges is a result; a reward model that does is `RewardModel`.
///
/// # Panics
/// If PPO is given no reward model.
pub async fn compare_part<K: Kernels>(
    k: &mut K,
    world: &World,
    reference: Reference<'_>,
    task: ComparisonTask<'_>,
    watch: ComparisonWatch<impl Fn() -> f64, impl FnMut() -> ControlFlow<()>>,
) -> Result<Option<ComparedPart>, StudyError> {
    let ComparisonTask { settings, part, reward_model } = task;
    let (method, beta, rate, seed) = match part {
        ComparisonPart::Policy { method, beta, rate, seed } => (method, beta, rate, seed),
        ComparisonPart::RewardModel { seed } => (Method::Ppo, settings.middle(), Rate::One, seed),
    };
    let plan = settings.sweep.plan(&SweepRun { method: SweepMethod::at_beta(method, beta), seed });
    let ComparisonWatch { clock, watch } = watch;
    let mut sink = Kept { clock, watch, points: Vec::new() };
    let result = |spent, points, is_diverged| ComparisonResult { part, spent, points, is_diverged, reward_model: None };
    let ended = match plan {
        Plan::Rlhf(plan) => {
            if let (ComparisonPart::RewardModel { .. }, Some(plan)) = (part, plan.reward_model) {
                let begin = Moment { seconds: sink.seconds(), counters: k.counters() };
                let run = RewardModelRun { plan, seed };
                let trained = train_reward_model(k, world, reference, run, &mut sink.watch).await?;
                let mut spent = Spent::default();
                spent.add(begin, Moment { seconds: sink.seconds(), counters: k.counters() });
                return Ok(trained.map(|trained| ComparedPart {
                    result: result(spent, Vec::new(), false),
                    reward_model: Some(trained.parameters),
                }));
            }
            let mut ppo = plan.ppo;
            ppo.ppo.schedule = rate.of(ppo.ppo.schedule);
            assert!(
                plan.reward_model.is_none() || reward_model.is_some(),
                "compare_part: PPO without its reward model"
            );
            let reward_model = plan.reward_model.and(reward_model);
            run_ppo_of(k, world, reference, JudgedPpo { settings: ppo, reward_model, seed }, &mut sink).await
        }
        Plan::Train(plan) => {
            let budget = plan.algorithm.budget();
            let algorithm = plan.algorithm.with_budget(Budget { schedule: rate.of(budget.schedule), ..budget });
            let plan = super::TrainingSettings { algorithm, ..plan };
            train(k, world, reference, seed, &plan, &mut sink).await
        }
        Plan::BestOfN(_) => unreachable!("no method here is Best-of-N"),
    };
    let policy = |result| ComparedPart { result, reward_model: None };
    match ended {
        Ok(RunEnd { is_finished: false, .. }) => Ok(None),
        Ok(RunEnd { spent, .. }) => Ok(Some(policy(result(spent, sink.points, false)))),
        Err(SweepError::Diverged { .. }) => Ok(Some(policy(result(Spent::default(), sink.points, true)))),
        Err(error) => Err(error.into()),
    }
}

/// Keeps a run's points.
struct Kept<C, W> {
    clock: C,
    watch: W,
    points: Vec<FrontierPoint>,
}

impl<C: Fn() -> f64, W: FnMut() -> ControlFlow<()>> Sink for Kept<C, W> {
    type Error = Infallible;

    fn seconds(&self) -> f64 {
        (self.clock)()
    }

    fn stepped(&mut self, _: u64) -> ControlFlow<()> {
        (self.watch)()
    }

    fn metrics(&mut self, _: &[MetricRow]) {}

    fn point(&mut self, point: SweepPoint) -> Result<(), Infallible> {
        self.points.push(point.point);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_method_gets_the_same_leashes_rates_and_seeds() {
        for settings in [ComparisonSettings::quick(), ComparisonSettings::full(), ComparisonSettings::smoke()] {
            let settings = settings.validated().expect("a preset can be used");
            let parts = settings.groups().concat();
            let of = |wanted: Method| {
                let part = |part: &ComparisonPart| match *part {
                    ComparisonPart::Policy { method, beta, rate, seed } if method == wanted => {
                        Some((beta.to_string(), rate.name(), seed))
                    }
                    _ => None,
                };
                parts.iter().filter_map(part).collect::<Vec<_>>()
            };
            assert_eq!(of(Method::Dpo), of(Method::Ppo));
            assert_eq!(of(Method::Dpo), of(Method::PpoGt));
            assert_eq!(of(Method::PreferredFt).len(), 3 * settings.seeds.len());
            let mut names: Vec<String> = parts.iter().map(ComparisonPart::name).collect();
            names.sort();
            names.dedup();
            assert_eq!(names.len(), parts.len(), "a file each");
        }
    }

    #[test]
    fn a_reward_model_comes_before_the_policies_that_it_judges() {
        for group in ComparisonSettings::full().groups() {
            let judged = |part: &ComparisonPart| matches!(part, ComparisonPart::Policy { method: Method::Ppo, .. });
            let is_first = matches!(group[0], ComparisonPart::RewardModel { .. });
            assert_eq!(group.iter().any(judged), is_first);
        }
    }
}
