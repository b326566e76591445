//! Where the world meets the algorithms: recipes, preference data, evaluation, the closed-form optimum, sweeps, and
//! checks of the engine against numbers from elsewhere.

mod best_of_n;
mod evaluation;
mod optimum;
mod preferences;
mod recipes;
mod sweep;
mod training;
pub mod verify;

pub use best_of_n::{BestOfNSettings, CompletionPool, run_best_of_n};
pub use evaluation::{Evaluation, EvaluationSettings, Evaluator, Place, Sample};
pub use optimum::{BETA_GRID, OptimumSample, optimum, optimum_curve};
pub use preferences::{PAIRS_PER_CHUNK, PreferenceData, PreferenceSettings, Writer};
pub use recipes::{BASE_STEPS, SFT_STEPS, TextSource, model_config, pretrain_settings, sft_settings};
pub use sweep::{Method, Plan, SweepRun, SweepSettings, run, sample_optimum};
pub use training::{Algorithm, Budget, RunEnd, Sink, SweepError, SweepPoint, TrainingSettings, reference_point, train};
