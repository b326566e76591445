//! A policy that learns from preference pairs, by whichever method.

use super::LivePolicy;
use crate::engine::protocol::{Inside, Stage};
use crate::engine::session::live::{LiveRun, Slice, SliceEnd, SliceFuture, SliceOrder, Told};
use crate::engine::session::models::{Models, TOLD, preferences};
use crate::engine::session::reports::{PairReport, SeenPairs};
use crate::engine::settings::{PAIRS_BY_POLICY, Settings};
use klimb_align::algorithms::{
    Budget, DpoSettings, LossTerms, PairAlgorithm, PairBatch, PairTrainer, Reading, UnlikelihoodSettings,
};
use klimb_align::language::{Learner, Schedule};
use klimb_lab::{PairOrder, PreferenceData};
use klimb_metrics::{Method, MetricRow};
use klimb_network::backend::{BackendError, Kernels};
use klimb_world::MAX_SEQUENCE;

/// The learning rate warms up over so many steps, and decays until the last.
const WARM_UP: u64 = 20;
const DECAY: u64 = 600;

/// What a session's settings are to a method on pairs: budget and optimiser are the same for all, as in the sweeps. `None` if
/// the method does not learn from pairs.
fn algorithm(method: Method, settings: &Settings) -> Option<PairAlgorithm> {
    let peak = settings.learning_rate;
    let schedule = Schedule { peak, floor: peak / 20.0, warm_up: WARM_UP, steps: DECAY };
    let algorithm = PairAlgorithm::of(method, Budget { pairs: settings.batch_size, schedule, ..Budget::default() })?;
    Some(match algorithm {
        PairAlgorithm::Dpo(its) => PairAlgorithm::Dpo(DpoSettings {
            beta: settings.beta,
            label_smoothing: settings.label_smoothing,
            loss: settings.loss,
            length_normalised: settings.length_normalised,
            reference_free: settings.reference_free,
            ..its
        }),
        PairAlgorithm::Unlikelihood(its) => {
            PairAlgorithm::Unlikelihood(UnlikelihoodSettings { alpha: settings.unlikelihood_alpha, ..its })
        }
        PairAlgorithm::PreferredFt(_) => algorithm,
    })
}

/// Whether the policies of a method write the pairs that they learn from themselves. A person's are used as they are.
pub(super) fn writes_own_pairs<K: Kernels>(models: &Models<K>, method: Method) -> bool {
    let can = Stage::of(method).is_some_and(|stage| PAIRS_BY_POLICY.contains(&stage));
    can && models.settings.online_pairs && !models.pairs_are_loaded()
}

/// A policy that learns from pairs, and how far it is through them.
pub(super) struct PairRun<K: Kernels> {
    method: Method,
    trainer: Box<dyn PairTrainer<K>>,
    order: PairOrder,
    /// The pairs that the policy writes itself, where it does; otherwise it learns from the session's.
    own: Option<PreferenceData<K>>,
}

impl<K: Kernels> PairRun<K> {
    /// A run at its first pair; `None` if the method does not learn from pairs.
    pub fn new(k: &mut K, models: &Models<K>, method: Method) -> Option<Self> {
        let (network, reference) = (models.network.clone(), &models.sft.parameters);
        let trainer = algorithm(method, &models.settings)?.start(k, network, reference, MAX_SEQUENCE - 1);
        let own = writes_own_pairs(models, method).then(|| preferences::online(k, &models.network, &models.settings));
        Some(Self { method, trainer, order: PairOrder::default(), own })
    }

    /// Whether the next step waits for a chunk of preference pairs.
    fn wants_pairs(&self, models: &Models<K>) -> bool {
        self.own.as_ref().unwrap_or(&models.data).wants_more_for(&self.order, models.settings.batch_size)
    }

    async fn make_pairs(&mut self, k: &mut K, models: &mut Models<K>) -> Result<(), BackendError> {
        let Some(own) = &mut self.own else { return models.extend_pairs(k).await };
        own.extend_by(k, &models.world, &self.trainer.learner().parameters, &models.reference).await
    }

    fn next_batch(&mut self, models: &Models<K>) -> PairBatch {
        self.own.as_ref().unwrap_or(&models.data).next_batch_in(&mut self.order, models.settings.batch_size)
    }

    async fn take_slice(
        &mut self,
        k: &mut K,
        models: &mut Models<K>,
        order: SliceOrder,
    ) -> Result<Slice, BackendError> {
        // What can be set in the midst of a run is taken over here, as it is now.
        if let Some(algorithm) = algorithm(self.method, &models.settings) {
            self.trainer.configure(algorithm.settings());
        }
        if self.wants_pairs(models) {
            self.make_pairs(k, models).await?;
            return Ok(Slice::prepared());
        }
        let every = models.settings.evaluate_every;
        let (told, timed_steps) = if order.tells_inside {
            // Before the metrics, as it was before the update.
            let (inside, rows) = self.step_in_full(k, models).await?;
            (vec![Told::Inside(inside), Told::Metrics(rows)], 0)
        } else {
            let done = self.learner().steps() as usize;
            for _ in 0..order.most_steps.min(every - done % every) {
                if self.wants_pairs(models) {
                    self.make_pairs(k, models).await?;
                }
                let batch = self.next_batch(models);
                self.trainer.step(k, &batch);
                k.finished().await?;
            }
            let rows = self.trainer.rows(k).await?;
            let steps = rows.len();
            (vec![Told::Metrics(rows)], steps)
        };
        let is_due = self.learner().steps().is_multiple_of(every as u64);
        Ok(Slice { told, timed_steps, end: SliceEnd::Whole { is_due }, is_over: false })
    }

    /// One step with the numbers of its first pairs, as they were before the update, and where the probability of them all
    /// went. Its forward passes are for the reader; training itself has no need of them.
    async fn step_in_full(
        &mut self,
        k: &mut K,
        models: &mut Models<K>,
    ) -> Result<(Inside, Vec<MetricRow>), BackendError> {
        let batch = self.next_batch(models);
        let all: Vec<_> = batch.sequences().cloned().collect();
        let policy = &self.trainer.learner().parameters;
        let told = SeenPairs::told(&batch, TOLD);
        let numbers = models.scorer.compare(k, policy, &models.reference, &told).await?;
        let before = models.scorer.token_logprobs(k, policy, &all).await?;
        self.trainer.step(k, &batch);
        let rows = self.trainer.rows(k).await?;
        let after = models.scorer.token_logprobs(k, &self.trainer.learner().parameters, &all).await?;
        let seen = SeenPairs::new(&batch, numbers, &before, &after);
        let report = PairReport { world: &models.world, method: self.method, seen: &seen, row: rows.last() };
        let inside = match self.trainer.loss_terms() {
            LossTerms::Margin(terms) => Inside::Dpo(report.of_margins(terms, &terms.outcomes(k).await?)),
            LossTerms::Likelihood { alpha } => Inside::Likelihood(report.of_likelihoods(alpha)),
        };
        Ok((inside, rows))
    }
}

impl<K: Kernels> LiveRun<K> for PairRun<K> {
    fn advance<'a>(&'a mut self, k: &'a mut K, models: &'a mut Models<K>, order: SliceOrder) -> SliceFuture<'a> {
        Box::pin(self.take_slice(k, models, order))
    }
}

impl<K: Kernels> LivePolicy<K> for PairRun<K> {
    fn learner(&self) -> &Learner<K> {
        self.trainer.learner()
    }

    fn read_policy(&self, k: &mut K) -> Reading<Vec<f32>> {
        Box::pin(self.learner().read_parameters(k))
    }

    fn resume(&mut self, k: &mut K, parameters: &[f32], steps: u64) {
        self.trainer.resume(k, parameters, steps);
    }
}
