//! A sweep: methods over settings and seeds from one reference, a point every so many steps, and the closed-form optimum
//! sampled beside them.
//!
//! Every method gets the same budget, data and evaluation; its points carry its [`Method`].
//!
//! More than 400 lines, because every preset is written out.

use serde::{Deserialize, Serialize};

use super::best_of_n::run_best_of_n;
use super::rlhf::{RlhfRun, RlhfSettings, run_rlhf};
use super::training::{PIECE, train};
use super::{
    BestOfNRun, BestOfNSettings, CompletionPool, EvaluationSettings, Leash, OptimumSettings, PpoRunSettings,
    PreferenceSettings, Reference, RewardModelPlan, RewardModelRecipe, Sink, SweepError, SweepMethod, TrainingSettings,
};
use klimb_align::algorithms::{Budget, PairAlgorithm, PpoSettings};
use klimb_align::language::Schedule;
use klimb_metrics::{FrontierPoint, METHODS, Method, MethodInfo, Setting};
use klimb_network::backend::Kernels;
use klimb_text::{ConfigError, message};
use klimb_world::World;
use klimb_world::preferences::LabelSettings;

/// One run of a sweep.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct SweepRun {
    /// What is run.
    pub method: SweepMethod,
    /// Names its data and their order.
    pub seed: u64,
}

/// Rollouts of PPO. In files they are two numbers, in this order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "(u64, u64)", into = "(u64, u64)")]
pub struct SweepRollouts {
    /// In all; the learning rate decays over them.
    pub total: u64,
    /// Between two points.
    pub between_points: u64,
}

impl From<(u64, u64)> for SweepRollouts {
    fn from((total, between_points): (u64, u64)) -> Self {
        Self { total, between_points }
    }
}

impl From<SweepRollouts> for (u64, u64) {
    fn from(SweepRollouts { total, between_points }: SweepRollouts) -> Self {
        (total, between_points)
    }
}

/// Which runs a sweep consists of, and what they have in common.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SweepSettings {
    /// The runs, in the order of the files.
    pub runs: Vec<SweepRun>,
    /// What every method that trains may spend.
    pub budget: Budget,
    /// Where pairs come from.
    pub preferences: PreferenceSettings,
    /// How a point is measured.
    pub evaluation: EvaluationSettings,
    /// Optimiser steps between two points; the last step is always one.
    pub evaluate_every: u64,
    /// Rollouts of PPO.
    pub rollouts: SweepRollouts,
    /// Fewest completions of a held-out prompt behind the KL of Best-of-N.
    pub best_of_n_completions: usize,
    /// PPO, but for its leash and the steps of its schedule.
    #[serde(default)]
    pub ppo: PpoSettings,
    /// How far the closed-form optimum is to be known.
    pub optimum: OptimumSettings,
}

impl SweepSettings {
    /// Every method, one seed from `seed` on each: minutes on a processor.
    pub fn quick(seed: u64) -> Self {
        let methods = [
            SweepMethod::on_pairs(Method::Dpo, Some(0.1)),
            SweepMethod::on_pairs(Method::Dpo, Some(0.3)),
            SweepMethod::on_pairs(Method::Dpo, Some(1.0)),
            SweepMethod::Ppo(Leash::Beta(0.3)),
            SweepMethod::PpoGt(Leash::Beta(1.0)),
            SweepMethod::PpoGt(Leash::Beta(0.3)),
            SweepMethod::on_pairs(Method::Unlikelihood, Some(0.1)),
            SweepMethod::on_pairs(Method::PreferredFt, None),
            SweepMethod::BestOfN { largest: 64 },
        ];
        // A method on pairs that is not named above is there once, at its default.
        let is_named = |info: &&MethodInfo| methods.iter().any(|method| method.method() == info.method);
        let on_pairs = METHODS.iter().filter(|info| info.method.learns_from_pairs());
        let others = on_pairs.filter(|info| !is_named(info)).map(|info| {
            let setting = PairAlgorithm::of(info.method, Budget::default()).map(|algorithm| algorithm.setting());
            let number = match setting {
                Some(Setting::Number(number)) => Some(number),
                Some(Setting::Label(_)) | None => None,
            };
            SweepMethod::on_pairs(info.method, number)
        });
        Self {
            runs: methods.into_iter().chain(others).map(|method| SweepRun { method, seed }).collect(),
            budget: Budget::default(),
            preferences: PreferenceSettings::default(),
            evaluation: EvaluationSettings::default(),
            evaluate_every: TrainingSettings::EVALUATE_EVERY,
            rollouts: SweepRollouts { total: 30, between_points: 10 },
            best_of_n_completions: BestOfNSettings::default().completions,
            ppo: PpoSettings::default(),
            optimum: OptimumSettings::default(),
        }
    }

    /// The runs of Rafailov et al. (2023, Figure 2, left) with their noise-free labels: every method with `seeds` seeds
    /// from `seed` on, Preferred-FT, which has no setting, with six at least, and Best-of-N beside them.
    pub fn paper(seed: u64, seeds: u64) -> Self {
        let dpo = [0.05, 0.1, 1.0, 5.0].map(|beta| SweepMethod::on_pairs(Method::Dpo, Some(beta)));
        let unlikelihood = [0.05, 0.1, 0.5, 1.0].map(|alpha| SweepMethod::on_pairs(Method::Unlikelihood, Some(alpha)));
        let targets = [3.0, 6.0, 9.0, 12.0].map(Leash::TargetKl);
        let ppo = targets.map(SweepMethod::Ppo).into_iter().chain(targets.map(SweepMethod::PpoGt));
        let preferred_ft = SweepMethod::on_pairs(Method::PreferredFt, None);
        let others = [preferred_ft, SweepMethod::BestOfN { largest: 128 }];
        let run = |method| {
            let seeds = if method == preferred_ft { seeds.max(6) } else { seeds };
            (0..seeds).map(move |offset| SweepRun { method, seed: seed.wrapping_add(offset) })
        };
        let preferences = PreferenceSettings::default();
        let labels = LabelSettings { temperature: 0.0, ..preferences.labels };
        Self {
            runs: ppo.chain(dpo).chain(unlikelihood).chain(others).flat_map(run).collect(),
            // Batches as large as these: the noise of small ones costs DPO more KL than anything else (docs/explain/frontier.md).
            budget: Budget { pairs: 256, ..Budget::of_steps(600) },
            preferences: PreferenceSettings { chunks: 4 * preferences.chunks, labels, ..preferences },
            evaluation: EvaluationSettings::default(),
            evaluate_every: TrainingSettings::EVALUATE_EVERY,
            rollouts: SweepRollouts { total: 60, between_points: 10 },
            best_of_n_completions: BestOfNSettings::default().completions,
            ppo: PpoSettings::default(),
            optimum: OptimumSettings::default(),
        }
    }

    /// The same with labels as noisy as everywhere else, τ = 0.1, for which DPO has a finite target.
    pub fn paper_noisy(seed: u64, seeds: u64) -> Self {
        let paper = Self::paper(seed, seeds);
        let preferences = PreferenceSettings { labels: LabelSettings::default(), ..paper.preferences };
        Self { preferences, ..paper }
    }

    /// A sweep that proves the plumbing in seconds and teaches nothing.
    pub fn smoke(seed: u64) -> Self {
        let methods = [
            SweepMethod::on_pairs(Method::Dpo, Some(0.3)),
            SweepMethod::on_pairs(Method::Dpo, Some(1.0)),
            SweepMethod::Ppo(Leash::TargetKl(3.0)),
            SweepMethod::PpoGt(Leash::Beta(0.3)),
            SweepMethod::on_pairs(Method::Unlikelihood, Some(0.1)),
            SweepMethod::on_pairs(Method::PreferredFt, None),
            SweepMethod::BestOfN { largest: 4 },
        ];
        Self {
            runs: methods.map(|method| SweepRun { method, seed }).into(),
            budget: Budget { pairs: 16, ..Budget::of_steps(4) },
            preferences: PreferenceSettings { chunks: 1, ..PreferenceSettings::default() },
            evaluation: EvaluationSettings { samples: 32, ..EvaluationSettings::default() },
            evaluate_every: 2,
            rollouts: SweepRollouts { total: 1, between_points: 1 },
            best_of_n_completions: 16,
            ppo: PpoSettings::default(),
            optimum: OptimumSettings::smoke(),
        }
    }

    /// The settings, or the first one that cannot be used.
    pub fn validated(self) -> Result<Self, ConfigError> {
        if self.runs.is_empty() {
            return Err(ConfigError::new("runs", message!("give at least one")));
        }
        self.evaluation.validated()?;
        self.optimum.validated()?;
        for run in &self.runs {
            match self.plan(run) {
                Plan::Train(training) => training.validated().map(drop)?,
                Plan::Rlhf(settings) => settings.validated().map(drop)?,
                Plan::BestOfN(settings) => settings.validated().map(drop)?,
            }
        }
        Ok(self)
    }

    /// What a run does.
    pub fn plan(&self, run: &SweepRun) -> Plan {
        let algorithm = match run.method {
            SweepMethod::Pairs(pairs) => pairs.algorithm(self.budget),
            SweepMethod::Ppo(leash) => return Plan::Rlhf(Box::new(self.rlhf(leash, true))),
            SweepMethod::PpoGt(leash) => return Plan::Rlhf(Box::new(self.rlhf(leash, false))),
            SweepMethod::BestOfN { largest } => {
                let (samples, completions) = (self.evaluation.samples, self.best_of_n_completions);
                return Plan::BestOfN(BestOfNSettings { largest, samples, completions });
            }
        };
        let &Self { preferences, evaluation, evaluate_every, .. } = self;
        Plan::Train(TrainingSettings { algorithm, preferences, evaluation, evaluate_every })
    }

    fn rlhf(&self, leash: Leash, learned: bool) -> RlhfSettings {
        let SweepRollouts { total: rollouts, between_points: evaluate_every } = self.rollouts;
        let temperature = self.preferences.labels.temperature;
        let ppo = self.ppo;
        let (beta, target_kl) = match leash {
            Leash::Beta(beta) => (beta, None),
            Leash::TargetKl(target) => (ppo.beta, Some(target)),
        };
        let steps = rollouts.saturating_mul(ppo.epochs.saturating_mul(ppo.minibatches) as u64);
        let schedule = Schedule { steps, ..ppo.schedule };
        let ppo = PpoSettings { beta, target_kl, schedule, ..ppo };
        let recipe = RewardModelRecipe { temperature, ..RewardModelRecipe::default() };
        RlhfSettings {
            ppo: PpoRunSettings { ppo, rollouts, temperature, evaluation: self.evaluation, evaluate_every },
            reward_model: learned.then_some(RewardModelPlan { preferences: self.preferences, recipe }),
        }
    }

    /// Whether `point` is one that this run makes.
    pub fn owns(&self, run: &SweepRun, point: &FrontierPoint) -> bool {
        let is_among =
            |every: u64, last: u64| point.step == last || (point.step < last && is_multiple(point.step, every));
        let is_of_method = match self.plan(run) {
            Plan::Train(training) => {
                point.method == training.algorithm.method()
                    && point.setting == training.algorithm.setting()
                    && is_among(training.evaluate_every, training.steps())
            }
            Plan::Rlhf(settings) => {
                let every = settings.ppo.evaluate_every.saturating_mul(settings.ppo.ppo.steps_per_rollout());
                point.method == settings.method()
                    && point.setting == settings.setting()
                    && is_among(every, settings.steps())
            }
            Plan::BestOfN(settings) => {
                let is_count = settings.counts().any(|n| point.setting == Setting::Number(n as f64));
                point.method == Method::BestOfN && is_count && point.step == 0
            }
        };
        is_of_method && point.seed == run.seed
    }

    /// How many points the run makes.
    pub fn points(&self, run: &SweepRun) -> u64 {
        match self.plan(run) {
            Plan::Train(training) => training.steps().div_ceil(training.evaluate_every),
            Plan::Rlhf(settings) => settings.ppo.rollouts.div_ceil(settings.ppo.evaluate_every),
            Plan::BestOfN(settings) => settings.counts().count() as u64,
        }
    }

    /// Whether all points of the run are among `points`, of which none is there twice.
    pub fn is_finished<'a>(&self, run: &SweepRun, points: impl IntoIterator<Item = &'a FrontierPoint>) -> bool {
        points.into_iter().filter(|point| self.owns(run, point)).count() as u64 == self.points(run)
    }
}

/// Whether a step is one after which a point is measured; the first step is 1.
fn is_multiple(step: u64, every: u64) -> bool {
    step > 0 && step.is_multiple_of(every)
}

/// What a run of a sweep does.
#[derive(Debug, Clone, PartialEq)]
pub enum Plan {
    /// Trains on pairs.
    Train(TrainingSettings),
    /// Trains a reward model, perhaps, and then by PPO.
    Rlhf(Box<RlhfSettings>),
    /// Draws and picks.
    BestOfN(BestOfNSettings),
}

impl Plan {
    /// Pieces of work, as its sink counts them: optimiser steps, rollouts, or batches of completions.
    pub fn work(&self, world: &World) -> u64 {
        match self {
            Self::Train(training) => training.steps(),
            Self::Rlhf(settings) => settings.ppo.rollouts,
            &Self::BestOfN(settings) => {
                let per_prompt = CompletionPool::size(world, settings);
                (world.held_out_prompts().len() * per_prompt.div_ceil(PIECE)) as u64
            }
        }
    }
}

/// A run of a sweep, as it is to be done.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct PlannedRun<'a> {
    /// What it does.
    pub plan: &'a Plan,
    /// Names its data and their order.
    pub seed: u64,
}

/// Does one run of a sweep, and answers whether it came to its end. If the sink says so it stops behind the piece at hand,
/// without a further point, and has not, be it the last piece.
///
/// # Errors
/// `Backend` if a read fails, `Diverged` if a number is not finite, `Sink` if the sink refuses a point.
pub async fn run<K: Kernels, S: Sink>(
    k: &mut K,
    world: &World,
    reference: Reference<'_>,
    run: PlannedRun<'_>,
    sink: &mut S,
) -> Result<bool, SweepError<S::Error>> {
    let PlannedRun { plan, seed } = run;
    match plan {
        Plan::Train(training) => train(k, world, reference, seed, training, sink).await.map(|end| end.is_finished),
        Plan::Rlhf(settings) => run_rlhf(k, world, reference, RlhfRun { settings, seed }, sink).await,
        Plan::BestOfN(settings) => {
            run_best_of_n(k, world, reference, BestOfNRun { settings, reward_model: None, seed }, sink).await
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The last point of a run, as far as its names go.
    fn last_point(settings: &SweepSettings, run: &SweepRun) -> FrontierPoint {
        let (method, setting, step) = match settings.plan(run) {
            Plan::Train(training) => (training.algorithm.method(), training.algorithm.setting(), training.steps()),
            Plan::Rlhf(settings) => (settings.method(), settings.setting(), settings.steps()),
            Plan::BestOfN(settings) => (Method::BestOfN, Setting::Number(settings.largest as f64), 0),
        };
        FrontierPoint {
            method,
            setting,
            seed: run.seed,
            step,
            kl_per_sequence: 1.0,
            kl_half_width: 0.1,
            gold_reward: 0.5,
            gold_reward_half_width: 0.1,
            samples: 512,
            seconds: 1.0,
            diversity: None,
        }
    }

    #[test]
    fn every_preset_is_valid_and_every_point_belongs_to_one_run() {
        let presets = [
            SweepSettings::quick(3),
            SweepSettings::smoke(3),
            SweepSettings::paper(3, 2),
            SweepSettings::paper_noisy(3, 1),
        ];
        for settings in presets {
            let settings = settings.validated().expect("a preset can be used");
            for run in &settings.runs {
                let point = last_point(&settings, run);
                let owners: Vec<&SweepRun> = settings.runs.iter().filter(|run| settings.owns(run, &point)).collect();
                assert_eq!(owners, [run]);
                let other = FrontierPoint { setting: Setting::Label("../evil".into()), ..point.clone() };
                assert!(!settings.owns(run, &other), "{run:?}");
                let between = FrontierPoint { step: point.step + 1, ..point.clone() };
                assert!(!settings.owns(run, &between), "{run:?}");
                assert_eq!(settings.is_finished(run, [&point]), settings.points(run) == 1, "{run:?}");
            }
        }
    }

    #[test]
    fn the_quick_preset_has_every_method_on_pairs() {
        let swept: Vec<Method> = SweepSettings::quick(1).runs.iter().map(|run| run.method.method()).collect();
        for info in METHODS.iter().filter(|info| info.method.learns_from_pairs()) {
            assert!(swept.contains(&info.method), "{}", info.file_name);
        }
    }

    #[test]
    fn the_paper_s_presets_differ_in_their_labels_alone() {
        let (paper, noisy) = (SweepSettings::paper(1, 1), SweepSettings::paper_noisy(1, 1));
        assert_eq!(paper.preferences.labels.temperature, 0.0);
        assert_eq!(SweepSettings { preferences: paper.preferences, ..noisy.clone() }, paper);
        let trained = |settings: &SweepSettings| {
            settings.runs.iter().filter(|run| !matches!(settings.plan(run), Plan::BestOfN(_))).count()
        };
        assert_eq!(trained(&paper), 22, "the figure's runs");
        assert_eq!(trained(&SweepSettings::paper(1, 3)), 3 * 16 + 6);
    }

    #[test]
    fn runs_are_written_and_read_back() {
        let settings = SweepSettings::paper(1, 3);
        let text = serde_json::to_string(&settings).expect("settings can be written");
        assert!(text.contains(r#"{"method":{"name":"dpo","beta":0.05},"seed":1}"#), "{text}");
        assert!(text.contains(r#""rollouts":[60,10]"#), "{text}");
        assert_eq!(serde_json::from_str::<SweepSettings>(&text).expect("and read"), settings);
    }
}
