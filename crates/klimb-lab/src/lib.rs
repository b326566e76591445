//! Where the world meets the algorithms: recipes, preference data, evaluation, the closed-form optimum, sweeps, and
//! checks of the engine against numbers from elsewhere.
//!
//! A network that knows nothing, and how far what it writes is from what it is itself:
//!
//! ```
//! use klimb_lab::{EvaluationSettings, Evaluator, model_config};
//! use klimb_align::language::upload;
//! use klimb_network::backend::cpu::Cpu;
//! use klimb_network::backend::network::Network;
//! use klimb_network::model::initial_parameters;
//! use klimb_world::{World, WorldSettings};
//!
//! let world = World::new(WorldSettings::default())?;
//! let config = model_config(&world, 16)?;
//! let (mut k, network) = (Cpu::<f32>::new(), Network::new(config));
//! let policy = upload(&mut k, &initial_parameters(&config, 0));
//!
//! let settings = EvaluationSettings { samples: 64, ..EvaluationSettings::default() };
//! let mut evaluator = Evaluator::new(&mut k, &network, 64, settings);
//! let measured = pollster::block_on(evaluator.evaluate(&mut k, &world, &policy, &policy))?;
//! println!("gold reward {:.3} ± {:.3}", measured.gold_reward, measured.gold_reward_half_width);
//! assert!(measured.kl_per_sequence.abs() < 1e-6);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

#![warn(missing_docs)]
#![cfg_attr(not(test), warn(clippy::wildcard_enum_match_arm))]

mod ablation;
mod best_of_n;
mod comparison;
mod evaluation;
mod hacking;
mod likelihood;
pub mod limits;
mod measured_run;
mod optimum;
mod ppo;
mod preferences;
mod recipes;
mod reference;
mod reward_model;
mod rlhf;
mod scaling;
mod spent;
mod study;
mod sweep;
mod sweep_method;
mod training;
pub mod verify;
mod win_rate;

pub use ablation::{
    AblationArm, AblationPart, AblationSettings, BASE, ReferenceRecipe, kl_by_reference_probability,
    share_with_rare_tokens, train_reference,
};
pub use best_of_n::{BestOfNDraws, BestOfNRun, BestOfNSettings, CompletionPool, PoolDrawing, PoolPlan, run_best_of_n};
pub use comparison::{
    COMPARED, ComparedPart, ComparisonPart, ComparisonResult, ComparisonSettings, ComparisonTask, ComparisonWatch,
    Rate, compare_part, comparison_cells,
};
pub use evaluation::{Evaluation, EvaluationSettings, Evaluator, PointKey, Sample};
pub use hacking::{Hacking, HackingSettings, Loophole, ScoredSample, hack};
pub use measured_run::{RunEnd, SweepError, SweepPoint};
pub use optimum::{
    BETA_GRID, LearnedReward, OptimumSample, OptimumSamples, OptimumSettings, RecordedOptimum, RecordedOptimumError,
    Worth, learned_optimum, optimal_reward, optimum, optimum_curve, optimum_with_errors, sample_optimum,
};
pub use ppo::{PpoRun, PpoRunSettings, PpoSink, Round, Rounds, run_ppo};
pub use preferences::{PAIRS_PER_CHUNK, PAIRS_PER_INSTANCE, PairOrder, PreferenceData, PreferenceSettings, Writer};
pub use recipes::{BASE_STEPS, SFT_STEPS, TextSource, model_config, pretrain_settings, sft_settings};
pub use reference::Reference;
pub use reward_model::{
    PairSplit, ReliabilityBin, RewardModelError, RewardModelRecipe, RewardModelReport, RewardModelTraining, Share,
    TrainedRewardModel, instances_by_prompt, reference_completions,
};
pub use rlhf::{JudgedPpo, RewardModelPlan, RewardModelRun, RlhfSettings, run_ppo_of, train_reward_model};
pub use scaling::{
    ModelSize, PartTraining, ScalingContest, ScalingPart, ScalingSettings, Stage, measure_scaling, train_part,
};
pub use spent::Spent;
pub use study::{Progress, StudyError};
pub use sweep::{Plan, PlannedRun, SweepRollouts, SweepRun, SweepSettings, run};
pub use sweep_method::{Leash, PairMethod, SweepMethod};
pub use training::{Sink, TrainingSettings, reference_point, train, train_on};
pub use win_rate::{BestOf, Contest, ContestSettings, Contestant};
