//! What costs a method KL: runs that differ from one base setting in a single factor, and where each run's KL sits.
//!
//! An arm is a reference and a [`SweepSettings`], so that every method of an arm gets the same data, budget and
//! evaluation, and what is found for one method was tried for all that the arm names.

mod reference;

use serde::{Deserialize, Serialize};

use super::{
    Evaluation, EvaluationSettings, Leash, OptimumSettings, PAIRS_PER_CHUNK, PreferenceSettings, SweepMethod,
    SweepRollouts, SweepRun, SweepSettings, Writer,
};
use klimb_align::algorithms::{Budget, PpoSettings};
use klimb_align::language::{Adamw, Schedule};
use klimb_metrics::{Method, REFERENCE_PROBABILITIES};
use klimb_text::{ConfigError, message};
use klimb_world::preferences::LabelSettings;

pub use reference::{ReferenceRecipe, train_reference};

/// A reference, and what is trained from it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct AblationArm {
    /// What is varied; `base` for nothing.
    pub factor: String,
    /// The value it has here.
    pub level: String,
    /// The reference.
    pub reference: ReferenceRecipe,
    /// Everything else. (The optimum is sampled once a reference, with the first arm's settings.)
    pub sweep: SweepSettings,
}

/// The study.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct AblationSettings {
    /// The arms, the base first.
    pub arms: Vec<AblationArm>,
}

/// One run of an arm, by their indices.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AblationPart {
    /// Of [`AblationSettings::arms`].
    pub arm: usize,
    /// Of the arm's `sweep.runs`.
    pub run: usize,
}

/// Steps of a run on pairs in the base arm.
const STEPS: u64 = 400;
/// Rollouts of PPO in the base arm.
const ROLLOUTS: u64 = 30;

impl AblationSettings {
    /// Every factor, `seeds` seeds from `seed` on: half an hour of one core for each seed.
    pub fn full(seed: u64, seeds: u64) -> Self {
        let base = base_arm(seed, seeds);
        let arm = |factor: &str, level: &str, change: &dyn Fn(&mut AblationArm)| {
            let mut arm = AblationArm { factor: factor.into(), level: level.into(), ..base.clone() };
            arm.sweep.runs = runs(&DPO, seed, seeds);
            change(&mut arm);
            arm
        };
        let everyone = |arm: &mut AblationArm| arm.sweep.runs = runs(&EVERYONE, seed, seeds);
        let rates = |factor: f64| {
            move |arm: &mut AblationArm| {
                everyone(arm);
                arm.sweep.budget.schedule = scaled(arm.sweep.budget.schedule, factor);
                arm.sweep.ppo.schedule = scaled(arm.sweep.ppo.schedule, factor);
            }
        };
        let longer = |arm: &mut AblationArm| {
            arm.sweep.budget.schedule.steps = 4 * STEPS;
            arm.sweep.preferences.chunks = fresh_chunks(&arm.sweep.budget);
        };
        let larger = |arm: &mut AblationArm| {
            arm.sweep.budget.pairs = 512;
            arm.sweep.preferences.chunks = fresh_chunks(&arm.sweep.budget);
        };
        let adamw = base.sweep.budget.adamw;
        Self {
            arms: vec![
                base.clone(),
                arm("width", "16", &|arm| arm.reference.width = 16),
                arm("width", "64", &|arm| {
                    arm.sweep.runs = runs(&WITHOUT_REWARD_MODEL, seed, seeds);
                    arm.reference.width = 64;
                }),
                arm("breadth", "0 %", &|arm| arm.reference.noise = 0.0),
                arm("breadth", "10 %", &|arm| arm.reference.noise = 0.1),
                arm("pre-training", "a quarter", &|arm| {
                    (arm.reference.base_steps, arm.reference.sft_steps) = (1000, 750);
                }),
                arm("unembedding", "its own", &|arm| arm.reference.own_unembedding = true),
                arm("optimiser", "RMSprop", &|arm| {
                    arm.sweep.budget.adamw = Adamw { beta1: 0.0, beta2: 0.99, ..adamw };
                }),
                arm("learning rate", "a quarter", &rates(0.25)),
                arm("learning rate", "four times", &rates(4.0)),
                arm("steps", "1600", &longer),
                arm("batch", "512", &larger),
                arm("pairs", "3072 repeated", &|arm| arm.sweep.preferences.chunks = 16),
                arm("pairs", "12288 repeated", &|arm| arm.sweep.preferences.chunks = 64),
                arm("labels", "noise-free", &|arm| {
                    everyone(arm);
                    arm.sweep.preferences.labels.temperature = 0.0;
                }),
                arm("pairs", "by the policy", &|arm| arm.sweep.preferences.writer = Writer::Policy),
                arm("batch", "512 and 800 steps", &|arm| {
                    arm.sweep.budget.schedule.steps = 2 * STEPS;
                    larger(arm);
                }),
            ],
        }
    }

    /// A study that proves the plumbing in seconds and teaches nothing.
    pub fn smoke(seed: u64) -> Self {
        let base = base_arm(seed, 1);
        let reference = ReferenceRecipe { width: 16, base_steps: 2, sft_steps: 2, ..ReferenceRecipe::default() };
        let runs =
            runs(&[SweepMethod::on_pairs(Method::Dpo, Some(1.0)), SweepMethod::PpoGt(Leash::Beta(1.0))], seed, 1);
        let sweep = SweepSettings { runs, ..SweepSettings::smoke(seed) };
        let base = AblationArm { reference, sweep, ..base };
        let own = ReferenceRecipe { own_unembedding: true, ..reference };
        let other =
            AblationArm { factor: "unembedding".into(), level: "its own".into(), reference: own, ..base.clone() };
        Self { arms: vec![base, other] }
    }

    /// The study with the base and the arms of these factors alone; all of them for none.
    ///
    /// # Errors
    /// A factor that no arm has.
    pub fn of_factors(self, factors: &[String]) -> Result<Self, ConfigError> {
        let known = |factor: &String| self.arms.iter().any(|arm| arm.factor == *factor);
        if let Some(unknown) = factors.iter().find(|factor| !known(factor)) {
            let names: std::collections::BTreeSet<&str> = self.arms.iter().map(|arm| arm.factor.as_str()).collect();
            let names = names.into_iter().collect::<Vec<_>>().join(", ");
            return Err(ConfigError::new("factor", message!("\"{}\" is none of {}", unknown, names)));
        }
        let wanted = |arm: &AblationArm| factors.is_empty() || arm.factor == BASE || factors.contains(&arm.factor);
        Ok(Self { arms: self.arms.into_iter().filter(wanted).collect() })
    }

    /// The settings, or the first one that cannot be used.
    ///
    /// # Errors
    /// The setting by name.
    pub fn validated(self) -> Result<Self, ConfigError> {
        for arm in &self.arms {
            arm.reference.config(&arm.reference.text()?)?;
            arm.sweep.clone().validated()?;
        }
        Ok(self)
    }

    /// Every run of every arm, all arms of the first seed before those of the second: what is finished can be read.
    pub fn parts(&self) -> Vec<AblationPart> {
        let of_arm = |(arm, it): (usize, &AblationArm)| {
            (0..it.sweep.runs.len()).map(move |run| AblationPart { arm, run }).collect::<Vec<_>>()
        };
        let mut parts: Vec<AblationPart> = self.arms.iter().enumerate().flat_map(of_arm).collect();
        parts.sort_by_key(|part| self.run(*part).seed);
        parts
    }

    /// The run of a part.
    pub fn run(&self, part: AblationPart) -> SweepRun {
        self.arms[part.arm].sweep.runs[part.run]
    }

    /// What a part's file is called.
    pub fn name(&self, part: AblationPart) -> String {
        let (arm, run) = (&self.arms[part.arm], self.run(part));
        let words = format!("{} {} {} seed {}", arm.factor, arm.level, run.method.label(), run.seed);
        let plain = |letter: char| if letter.is_ascii_alphanumeric() || letter == '.' { letter } else { '-' };
        let name: String = words.replace('β', "beta").chars().map(plain).collect();
        name.split('-').filter(|word| !word.is_empty()).collect::<Vec<_>>().join("-").to_lowercase()
    }
}

/// The factor of the base arm.
pub const BASE: &str = "base";
const DPO: [SweepMethod; 2] =
    [SweepMethod::on_pairs(Method::Dpo, Some(1.0)), SweepMethod::on_pairs(Method::Dpo, Some(0.3))];
const WITHOUT_REWARD_MODEL: [SweepMethod; 4] =
    [DPO[0], DPO[1], SweepMethod::PpoGt(Leash::Beta(1.0)), SweepMethod::PpoGt(Leash::Beta(0.3))];
const EVERYONE: [SweepMethod; 6] = [
    DPO[0],
    DPO[1],
    SweepMethod::Ppo(Leash::Beta(1.0)),
    SweepMethod::Ppo(Leash::Beta(0.3)),
    SweepMethod::PpoGt(Leash::Beta(1.0)),
    SweepMethod::PpoGt(Leash::Beta(0.3)),
];

fn runs(methods: &[SweepMethod], seed: u64, seeds: u64) -> Vec<SweepRun> {
    let with_seeds = |&method| (0..seeds).map(move |offset| SweepRun { method, seed: seed.wrapping_add(offset) });
    methods.iter().flat_map(with_seeds).collect()
}

fn base_arm(seed: u64, seeds: u64) -> AblationArm {
    let budget = Budget::of_steps(STEPS);
    let preferences = PreferenceSettings {
        chunks: fresh_chunks(&budget),
        labels: LabelSettings::default(),
        writer: Writer::Reference,
        ..PreferenceSettings::default()
    };
    let sweep = SweepSettings {
        runs: runs(&EVERYONE, seed, seeds),
        budget,
        preferences,
        evaluation: EvaluationSettings { samples: 1024, ..EvaluationSettings::default() },
        evaluate_every: STEPS / 2,
        rollouts: SweepRollouts { total: ROLLOUTS, between_points: ROLLOUTS / 2 },
        ppo: PpoSettings::default(),
        best_of_n_completions: 4096,
        optimum: OptimumSettings::default(),
    };
    let reference = ReferenceRecipe::default();
    AblationArm { factor: BASE.into(), level: "400 × 128 fresh pairs".into(), reference, sweep }
}

/// Chunks that last a whole run, so that no pair is seen twice.
fn fresh_chunks(budget: &Budget) -> usize {
    (budget.pairs * budget.schedule.steps as usize).div_ceil(PAIRS_PER_CHUNK) + 1
}

fn scaled(schedule: Schedule, factor: f64) -> Schedule {
    Schedule { peak: factor * schedule.peak, floor: factor * schedule.floor, ..schedule }
}

/// The KL by what the reference thought of the tokens that were sampled: the sample's sum of log π/π_ref over tokens whose
/// π_ref is below each of [`REFERENCE_PROBABILITIES`], and over the rest. In expectation the parts add up to the KL; a
/// part may be negative, where the policy has less of what the reference has much of.
pub fn kl_by_reference_probability(evaluation: &Evaluation) -> [f64; REFERENCE_PROBABILITIES.len() + 1] {
    let mut parts = [0.0; REFERENCE_PROBABILITIES.len() + 1];
    for sample in &evaluation.samples {
        for (logprob, reference) in sample.tokens.logprobs.iter().zip(&sample.tokens.reference_logprobs) {
            let rarer = |limit: &&f64| reference.exp() >= **limit;
            parts[REFERENCE_PROBABILITIES.iter().take_while(rarer).count()] += logprob - reference;
        }
    }
    parts.map(|part| part / evaluation.samples.len() as f64)
}

/// The share of the samples with a token that the reference gives less than the first of [`REFERENCE_PROBABILITIES`].
pub fn share_with_rare_tokens(evaluation: &Evaluation) -> f64 {
    let is_rare = |reference: &f64| reference.exp() < REFERENCE_PROBABILITIES[0];
    let rare = evaluation.samples.iter().filter(|sample| sample.tokens.reference_logprobs.iter().any(is_rare)).count();
    rare as f64 / evaluation.samples.len() as f64
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Sample;
    use klimb_align::language::{Sequence, TokenComparison};
    use std::collections::BTreeSet;

    #[test]
    fn the_arms_are_valid_and_every_part_has_a_name_of_its_own() {
        for settings in [AblationSettings::full(1, 3), AblationSettings::smoke(1)] {
            let settings = settings.validated().expect("a preset can be used");
            let names: BTreeSet<String> = settings.parts().iter().map(|part| settings.name(*part)).collect();
            assert_eq!(names.len(), settings.parts().len());
            assert_eq!(settings.arms[0].factor, BASE);
        }
        let settings = AblationSettings::full(1, 3);
        let parts = settings.parts();
        assert_eq!(settings.name(parts[0]), "base-400-128-fresh-pairs-dpo-beta-1-seed-1");
        assert!(parts.windows(2).all(|pair| settings.run(pair[0]).seed <= settings.run(pair[1]).seed));
    }

    #[test]
    fn the_base_arm_sees_no_pair_twice_and_a_factor_can_be_picked() {
        let settings = AblationSettings::full(1, 1);
        let sweep = &settings.arms[0].sweep;
        let used = sweep.budget.pairs * sweep.budget.schedule.steps as usize;
        assert!(sweep.preferences.chunks * PAIRS_PER_CHUNK >= used);
        let picked = settings.clone().of_factors(&["width".into()]).unwrap();
        assert_eq!(picked.arms.iter().map(|arm| arm.level.as_str()).skip(1).collect::<Vec<_>>(), ["16", "64"]);
        let error = settings.of_factors(&["colour".into()]).unwrap_err();
        assert!(error.to_string().contains("batch") && error.field == "factor", "{error}");
    }

    #[test]
    fn the_parts_of_kl_add_up_to_the_log_ratio() {
        let tokens = TokenComparison {
            logprobs: vec![-1.0, -2.0, -0.5, -3.0],
            reference_logprobs: vec![-9.0, -6.0, -3.0, -0.1],
            kl_per_token: vec![0.0; 4],
            entropies: vec![1.0; 4],
        };
        let sequence = Sequence { tokens: vec![3, 4, 5, 6, 7], prompt_length: 1 };
        let rare = Sample { sequence, tokens: tokens.clone(), gold_reward: 0.5 };
        let common = TokenComparison { reference_logprobs: vec![-0.1; 4], ..tokens };
        let evaluation = Evaluation::new(vec![rare.clone(), Sample { tokens: common, ..rare }]);
        let parts = kl_by_reference_probability(&evaluation);
        let expected = [8.0, 4.0, 2.5, -2.9 - 0.9 - 1.9 - 0.4 - 2.9].map(|sum: f64| sum / 2.0);
        assert!(parts.iter().zip(expected).all(|(part, expected)| (part - expected).abs() < 1e-12), "{parts:?}");
        assert_eq!(share_with_rare_tokens(&evaluation), 0.5);
    }
}
