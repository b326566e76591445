//! Where the world meets the algorithms: recipes, preference data, evaluation, the closed-form optimum, sweeps, and
//! checks of the engine against numbers from elsewhere.

mod ablation;
mod best_of_n;
mod comparison;
mod evaluation;
mod hacking;
mod likelihood;
pub mod limits;
mod optimum;
mod ppo;
mod preferences;
mod recipes;
mod reward_model;
mod rlhf;
mod scaling;
mod study;
mod sweep;
mod training;
pub mod verify;
mod win_rate;

pub use ablation::{
    AblationArm, AblationPart, AblationSettings, BASE, ReferenceRecipe, kl_by_reference_probability,
    share_with_rare_tokens, train_reference,
};
pub use best_of_n::{BestOfNSettings, CompletionPool, PoolDrawing, run_best_of_n};
pub use comparison::{
    Compared, ComparisonPart, ComparisonResult, ComparisonSettings, Rate, compare_part, comparison_cells,
};
pub use evaluation::{Evaluation, EvaluationSettings, Evaluator, Place, Sample};
pub use hacking::{Hacking, HackingSettings, Loophole, hack};
pub use optimum::{
    BETA_GRID, OptimumSample, OptimumSamples, OptimumSettings, RecordedOptimum, RecordedOptimumError, Worth,
    learned_optimum, optimal_reward, optimum, optimum_curve, optimum_with_errors, sample_optimum,
};
pub use ppo::{PpoRun, PpoRunSettings, PpoSink, Round, Rounds, run_ppo};
pub use preferences::{PAIRS_PER_CHUNK, PAIRS_PER_INSTANCE, PairOrder, PreferenceData, PreferenceSettings, Writer};
pub use recipes::{BASE_STEPS, SFT_STEPS, TextSource, model_config, pretrain_settings, sft_settings};
pub use reward_model::{
    PairSplit, ReliabilityBin, RewardModelError, RewardModelRecipe, RewardModelReport, RewardModelTraining, Share,
    TrainedRewardModel, instances_by_prompt, reference_completions,
};
pub use rlhf::{RlhfSettings, run_ppo_of, train_reward_model};
pub use scaling::{
    ModelSize, PartTraining, ScalingContest, ScalingPart, ScalingSettings, Stage, measure_scaling, train_part,
};
pub use study::{Progress, StudyError};
pub use sweep::{Leash, Method, Plan, SweepRun, SweepSettings, run};
pub use training::{
    Algorithm, Budget, RunEnd, Sink, Spent, SweepError, SweepPoint, TrainingSettings, reference_point, train, train_on,
};
pub use win_rate::{BestOf, Contest, ContestSettings, Contestant};
