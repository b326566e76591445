//! The reward model: pairs, training, validation, and scores of mean 0 under the reference, each in short pieces.

use super::{Models, PIECE, TOLD, at_temperature_1};
use crate::engine::protocol::ScoredBatch;
use crate::engine::session::reports;
use klimb_align::language::Sequence;
use klimb_lab::{
    PAIRS_PER_CHUNK, PAIRS_PER_INSTANCE, PairSplit, RewardModelError, RewardModelRecipe, RewardModelTraining,
    TrainedRewardModel, instances_by_prompt,
};
use klimb_metrics::MetricRow;
use klimb_network::backend::{BackendError, Kernels};
use klimb_numerics::rng::Generator;
use klimb_world::preferences::Pair;

/// Pieces of the reference's completions that scores are centred on.
const REFERENCE_PIECES: usize = 4;

/// What the reward model needs next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RewardModelWork {
    /// A chunk of preference pairs.
    Pairs,
    /// To be set up, from pairs that are all there.
    Begin,
    /// An optimiser step.
    Step,
    /// A piece of validation.
    Validate,
    /// A piece of the reference's completions.
    Reference,
    /// Its best state taken and its scores shifted.
    Finish,
    /// Nothing: it is trained.
    Nothing,
}

/// The reward model on its way.
pub struct RewardModelState<K: Kernels> {
    training: Option<RewardModelTraining<K>>,
    /// Whether the last step's validation is still to be done.
    is_validating: bool,
    /// The last step's row, to which validation adds.
    row: MetricRow,
    references: Vec<Sequence>,
    /// The end of it, with the steps it took.
    pub(super) trained: Option<(TrainedRewardModel, u64)>,
}

impl<K: Kernels> RewardModelState<K> {
    pub(super) fn new() -> Self {
        let row = MetricRow::default();
        Self { training: None, is_validating: false, row, references: Vec::new(), trained: None }
    }
}

impl<K: Kernels> Models<K> {
    /// Pairs that the reward model learns from and is validated on: whole prompt instances, or all of a person's.
    fn pairs_wanted(&self) -> usize {
        if self.given.is_some() {
            return self.data.capacity();
        }
        let pairs = self.settings.reward_model_pairs.min(self.data.capacity());
        pairs.div_ceil(PAIRS_PER_INSTANCE).max(2) * PAIRS_PER_INSTANCE
    }

    pub fn reward_model_work(&self) -> RewardModelWork {
        let state = &self.reward_model;
        match &state.training {
            _ if state.trained.is_some() => RewardModelWork::Nothing,
            None if self.data.len() < self.pairs_wanted() => RewardModelWork::Pairs,
            None => RewardModelWork::Begin,
            Some(_) if state.is_validating => RewardModelWork::Validate,
            Some(training) if training.steps() < training.total_steps() => RewardModelWork::Step,
            Some(_) if state.references.len() < REFERENCE_PIECES * PIECE => RewardModelWork::Reference,
            Some(_) => RewardModelWork::Finish,
        }
    }

    pub fn reward_model_steps(&self) -> u64 {
        let state = &self.reward_model;
        match (&state.trained, &state.training) {
            (Some((_, steps)), _) => *steps,
            (None, Some(training)) => training.steps(),
            (None, None) => 0,
        }
    }

    /// Chunks of pairs there are and chunks that the reward model waits for.
    pub fn reward_model_pairs(&self) -> (usize, usize) {
        let chunks = |pairs: usize| pairs.div_ceil(PAIRS_PER_CHUNK);
        let total = chunks(self.pairs_wanted());
        (chunks(self.data.len()).min(total), total)
    }

    /// Pieces done of training and centring, and pieces in all.
    pub fn reward_model_progress(&self) -> (usize, usize) {
        let state = &self.reward_model;
        match &state.training {
            Some(training) => {
                let done = training.steps() as usize + state.references.len() / PIECE;
                (done, training.total_steps() as usize + REFERENCE_PIECES + 1)
            }
            None => (usize::from(state.trained.is_some()), 1),
        }
    }

    /// Starts over. Answers with what it had come to.
    pub fn restart_reward_model(&mut self) -> RewardModelState<K> {
        std::mem::replace(&mut self.reward_model, RewardModelState::new())
    }

    /// Goes on as it was.
    pub fn take_reward_model_back(&mut self, former: RewardModelState<K>) {
        self.reward_model = former;
    }

    /// Takes over a reward model that another session trained on the same reference.
    pub fn resume_reward_model(&mut self, trained: (TrainedRewardModel, u64)) {
        self.reward_model = RewardModelState { trained: Some(trained), ..RewardModelState::new() };
    }

    /// The finished reward model and the steps it took.
    pub fn trained_reward_model(&self) -> Option<&(TrainedRewardModel, u64)> {
        self.reward_model.trained.as_ref()
    }

    /// Does one piece of what the reward model needs next, of optimiser steps at most `steps`. A loss that is not
    /// finite ends in a row that says so.
    pub async fn advance_reward_model(&mut self, k: &mut K, steps: usize) -> Result<Vec<MetricRow>, BackendError> {
        match self.reward_model_work() {
            RewardModelWork::Pairs => self.extend_pairs(k).await?,
            RewardModelWork::Begin => self.begin_reward_model(k),
            RewardModelWork::Step => return self.step_reward_model(k, steps).await,
            RewardModelWork::Validate => return self.validate_reward_model(k).await,
            RewardModelWork::Reference => self.sample_reference(k).await?,
            RewardModelWork::Finish => return self.finish_reward_model(k).await,
            RewardModelWork::Nothing => {}
        }
        Ok(Vec::new())
    }

    fn begin_reward_model(&mut self, k: &mut K) {
        let pairs: Vec<Pair> = self.data.pairs().take(self.pairs_wanted()).cloned().collect();
        let instances = if self.given.is_some() {
            instances_by_prompt(pairs)
        } else {
            pairs.chunks(PAIRS_PER_INSTANCE).map(<[Pair]>::to_vec).collect()
        };
        let recipe = RewardModelRecipe {
            epochs: self.settings.reward_model_epochs as u64,
            temperature: self.settings.label_temperature,
            ..RewardModelRecipe::default()
        };
        let seed = u64::from(self.settings.seed);
        let split = PairSplit::new(instances, recipe.validation_share, seed).expect("two prompts and a valid share");
        let (config, reference) = (*self.network.config(), &self.sft.parameters);
        self.reward_model.training = Some(RewardModelTraining::new(k, config, reference, split, seed, recipe));
    }

    async fn step_reward_model(&mut self, k: &mut K, steps: usize) -> Result<Vec<MetricRow>, BackendError> {
        let state = &mut self.reward_model;
        let Some(training) = &mut state.training else { return Ok(Vec::new()) };
        for _ in 0..steps {
            training.step(k);
            k.finished().await?;
            state.is_validating = training.is_due();
            if state.is_validating {
                break;
            }
        }
        let metrics = training.algorithm().metrics(k).await?;
        let rows: Vec<MetricRow> = metrics.iter().map(reports::reward_model_row).collect();
        state.row = rows.last().cloned().unwrap_or_default();
        Ok(rows)
    }

    /// One optimiser step of the reward model with the numbers of its first pairs, as they were before the update.
    pub async fn step_reward_model_in_full(
        &mut self,
        k: &mut K,
    ) -> Result<Option<(ScoredBatch, Vec<MetricRow>)>, BackendError> {
        let Some(training) = &mut self.reward_model.training else { return Ok(None) };
        training.step(k);
        self.reward_model.is_validating = training.is_due();
        let outcomes = training.algorithm().outcomes(k).await?;
        let metrics = training.algorithm().metrics(k).await?;
        let told: Vec<_> = training.stepped().take(TOLD).cloned().collect();
        let rows: Vec<MetricRow> = metrics.iter().map(reports::reward_model_row).collect();
        self.reward_model.row = rows.last().cloned().unwrap_or_default();
        Ok(Some((reports::scored_batch(&self.world, &told, &outcomes, metrics.last()), rows)))
    }

    async fn validate_reward_model(&mut self, k: &mut K) -> Result<Vec<MetricRow>, BackendError> {
        let state = &mut self.reward_model;
        let Some(training) = &mut state.training else { return Ok(Vec::new()) };
        match training.advance_validation(k).await {
            Ok(None) => Ok(Vec::new()),
            Ok(Some(report)) => {
                state.is_validating = false;
                Ok(vec![reports::validated_row(&state.row, &report)])
            }
            Err(RewardModelError::Backend(error)) => Err(error),
            Err(RewardModelError::Diverged { step }) => Ok(vec![reports::diverged_row(step)]),
        }
    }

    async fn sample_reference(&mut self, k: &mut K) -> Result<(), BackendError> {
        let piece = self.reward_model.references.len() / PIECE;
        let prompts = self.world.train_prompts();
        let slices: Vec<&[u32]> = (0..PIECE).map(|i| prompts[(piece * PIECE + i) % prompts.len()].as_slice()).collect();
        let seed = u64::from(self.settings.seed);
        let coins = Generator::numbered(seed, "reference completions", piece as u64).coins(self.sampler.coins());
        let sequences = self.sampler.generate(k, &self.reference, &slices, &coins, at_temperature_1()).await?;
        self.reward_model.references.extend(sequences);
        Ok(())
    }

    async fn finish_reward_model(&mut self, k: &mut K) -> Result<Vec<MetricRow>, BackendError> {
        let Some(training) = self.reward_model.training.take() else { return Ok(Vec::new()) };
        let steps = training.steps();
        match training.finish(k, &self.reward_model.references).await {
            Ok(trained) => {
                self.reward_model.trained = Some((trained, steps));
                Ok(Vec::new())
            }
            Err(RewardModelError::Backend(error)) => Err(error),
            Err(RewardModelError::Diverged { step }) => Ok(vec![reports::diverged_row(step)]),
        }
    }
}
