//! The reward model: pairs, training, validation, and scores of mean 0 under the reference, each in short pieces.

use super::{LiveRun, Pace, Slice, SliceEnd, SliceFuture, SliceOrder, Standing, Told};
use crate::engine::protocol::{Inside, Work};
use crate::engine::session::models::{Models, PIECE, TOLD, at_temperature_1};
use crate::engine::session::reports;
use klimb_align::language::Sequence;
use klimb_lab::{
    PAIRS_PER_CHUNK, PAIRS_PER_INSTANCE, PairSplit, RewardModelError, RewardModelRecipe, RewardModelTraining,
    instances_by_prompt,
};
use klimb_metrics::MetricRow;
use klimb_network::backend::{BackendError, Kernels};
use klimb_numerics::rng::Generator;
use klimb_world::preferences::Pair;

/// Pieces of the reference's completions that scores are centred on.
const REFERENCE_PIECES: usize = 4;

/// What the reward model needs next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Piece {
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

/// The reward model on its way to [`Models::reward_model`].
pub(in crate::engine::session) struct RewardModelRun<K: Kernels> {
    training: Option<RewardModelTraining<K>>,
    /// Whether the last step's validation is still to be done.
    is_validating: bool,
    /// The last step's row, to which validation adds.
    row: MetricRow,
    references: Vec<Sequence>,
}

impl<K: Kernels> Default for RewardModelRun<K> {
    fn default() -> Self {
        Self { training: None, is_validating: false, row: MetricRow::default(), references: Vec::new() }
    }
}

impl<K: Kernels> RewardModelRun<K> {
    /// Optimiser steps, of the finished reward model or of the one in training.
    pub fn steps(&self, models: &Models<K>) -> u64 {
        match (models.trained_reward_model(), &self.training) {
            (Some((_, steps)), _) => *steps,
            (None, Some(training)) => training.steps(),
            (None, None) => 0,
        }
    }

    fn next_piece(&self, models: &Models<K>) -> Piece {
        match &self.training {
            _ if models.trained_reward_model().is_some() => Piece::Nothing,
            None if models.data.len() < pairs_wanted(models) => Piece::Pairs,
            None => Piece::Begin,
            Some(_) if self.is_validating => Piece::Validate,
            Some(training) if training.steps() < training.total_steps() => Piece::Step,
            Some(_) if self.references.len() < REFERENCE_PIECES * PIECE => Piece::Reference,
            Some(_) => Piece::Finish,
        }
    }

    /// Chunks of pairs there are, of those that it waits for; then pieces of training and centring.
    fn standing(&self, models: &Models<K>, piece: Piece) -> Standing {
        if piece == Piece::Pairs {
            let chunks = |pairs: usize| pairs.div_ceil(PAIRS_PER_CHUNK);
            let total = chunks(pairs_wanted(models));
            let done = chunks(models.data.len()).min(total);
            return Standing { work: Work::Pairs, done, total, pace: Pace::Slice(1) };
        }
        let (done, total) = match &self.training {
            Some(training) => {
                let done = training.steps() as usize + self.references.len() / PIECE;
                (done, training.total_steps() as usize + REFERENCE_PIECES + 1)
            }
            None => (usize::from(models.trained_reward_model().is_some()), 1),
        };
        Standing { work: Work::RewardModel, done, total, pace: Pace::Steps }
    }

    /// One piece of what it needs next. A loss that is not finite ends in a row that says so.
    async fn take_slice(
        &mut self,
        k: &mut K,
        models: &mut Models<K>,
        order: SliceOrder,
    ) -> Result<Slice, BackendError> {
        let piece = self.next_piece(models);
        if order.tells_inside && piece == Piece::Step {
            let told = self.step_in_full(k, models).await?;
            return Ok(Slice { end: SliceEnd::Whole { is_due: false }, ..Slice::part(told) });
        }
        let mut rows = Vec::new();
        match piece {
            Piece::Pairs => models.extend_pairs(k).await?,
            Piece::Begin => self.begin(k, models),
            Piece::Step => rows = self.take_steps(k, order.most_steps).await?,
            Piece::Validate => rows.extend(self.validate(k).await?),
            Piece::Reference => self.sample_reference(k, models).await?,
            Piece::Finish => rows.extend(self.finish(k, models).await?),
            Piece::Nothing => {}
        }
        let timed_steps = if piece == Piece::Step { rows.len() } else { 0 };
        let told = vec![Told::Progress(self.standing(models, piece)), Told::Metrics(rows)];
        let is_over = models.trained_reward_model().is_some();
        Ok(Slice { timed_steps, is_over, ..Slice::part(told) })
    }

    fn begin(&mut self, k: &mut K, models: &Models<K>) {
        let pairs: Vec<Pair> = models.data.pairs().take(pairs_wanted(models)).cloned().collect();
        let instances = if models.given.is_some() {
            instances_by_prompt(pairs)
        } else {
            pairs.chunks(PAIRS_PER_INSTANCE).map(<[Pair]>::to_vec).collect()
        };
        let recipe = RewardModelRecipe {
            epochs: models.settings.reward_model_epochs as u64,
            temperature: models.settings.label_temperature,
            ..RewardModelRecipe::default()
        };
        let seed = u64::from(models.settings.seed);
        let split = PairSplit::new(instances, recipe.validation_share, seed).expect("two prompts and a valid share");
        let (config, reference) = (*models.network.config(), &models.sft.parameters);
        self.training = Some(RewardModelTraining::new(k, config, reference, split, seed, recipe));
    }

    async fn take_steps(&mut self, k: &mut K, most: usize) -> Result<Vec<MetricRow>, BackendError> {
        let Some(training) = &mut self.training else { return Ok(Vec::new()) };
        for _ in 0..most {
            training.step(k);
            k.finished().await?;
            self.is_validating = training.is_due();
            if self.is_validating {
                break;
            }
        }
        let metrics = training.algorithm().metrics(k).await?;
        let rows: Vec<MetricRow> = metrics.iter().map(reports::reward_model_row).collect();
        self.row = rows.last().cloned().unwrap_or_default();
        Ok(rows)
    }

    /// One optimiser step with the numbers of its first pairs, as they were before the update.
    async fn step_in_full(&mut self, k: &mut K, models: &Models<K>) -> Result<Vec<Told>, BackendError> {
        let Some(training) = &mut self.training else { return Ok(Vec::new()) };
        training.step(k);
        self.is_validating = training.is_due();
        let outcomes = training.algorithm().outcomes(k).await?;
        let metrics = training.algorithm().metrics(k).await?;
        let first: Vec<_> = training.stepped().take(TOLD).cloned().collect();
        let rows: Vec<MetricRow> = metrics.iter().map(reports::reward_model_row).collect();
        self.row = rows.last().cloned().unwrap_or_default();
        let batch = reports::scored_batch(&models.world, &first, &outcomes, metrics.last());
        Ok(vec![Told::Inside(Inside::RewardModel(batch)), Told::Metrics(rows)])
    }

    async fn validate(&mut self, k: &mut K) -> Result<Option<MetricRow>, BackendError> {
        let Some(training) = &mut self.training else { return Ok(None) };
        match training.advance_validation(k).await {
            Ok(None) => Ok(None),
            Ok(Some(report)) => {
                self.is_validating = false;
                Ok(Some(reports::validated_row(&self.row, &report)))
            }
            Err(error) => diverged(error).map(Some),
        }
    }

    async fn sample_reference(&mut self, k: &mut K, models: &mut Models<K>) -> Result<(), BackendError> {
        let piece = self.references.len() / PIECE;
        let prompts = models.world.train_prompts();
        let slices: Vec<&[u32]> = (0..PIECE).map(|i| prompts[(piece * PIECE + i) % prompts.len()].as_slice()).collect();
        let seed = u64::from(models.settings.seed);
        let coins = Generator::numbered(seed, "reference completions", piece as u64).coins(models.sampler.coins());
        let sequences = models.sampler.generate(k, &models.reference, &slices, &coins, at_temperature_1()).await?;
        self.references.extend(sequences);
        Ok(())
    }

    async fn finish(&mut self, k: &mut K, models: &mut Models<K>) -> Result<Option<MetricRow>, BackendError> {
        let Some(training) = self.training.take() else { return Ok(None) };
        let steps = training.steps();
        match training.finish(k, &self.references).await {
            Ok(trained) => {
                models.reward_model = Some((trained, steps));
                Ok(None)
            }
            Err(error) => diverged(error).map(Some),
        }
    }
}

/// Pairs that the reward model learns from and is validated on: whole prompt instances, or all of a person's.
fn pairs_wanted<K: Kernels>(models: &Models<K>) -> usize {
    if models.given.is_some() {
        return models.data.capacity();
    }
    let pairs = models.settings.reward_model_pairs.min(models.data.capacity());
    pairs.div_ceil(PAIRS_PER_INSTANCE).max(2) * PAIRS_PER_INSTANCE
}

/// A loss that is not finite as a row that says so.
fn diverged(error: RewardModelError) -> Result<MetricRow, BackendError> {
    match error {
        RewardModelError::Backend(error) => Err(error),
        RewardModelError::Diverged { step } => Ok(reports::diverged_row(step)),
    }
}

impl<K: Kernels> LiveRun<K> for RewardModelRun<K> {
    fn advance<'a>(&'a mut self, k: &'a mut K, models: &'a mut Models<K>, order: SliceOrder) -> SliceFuture<'a> {
        Box::pin(self.take_slice(k, models, order))
    }
}
