//! Unlikelihood and Preferred-FT on the session's pairs, each with an order of its own.

use super::looking::Look;
use super::{Pipeline, Policy, dpo};
use crate::engine::protocol::LikelihoodBatch;
use crate::engine::session::reports::{self, SeenPairs};
use crate::engine::settings::Settings;
use klimb_align::algorithms::{DpoSettings, PairTrainer, SftSettings, UnlikelihoodSettings};
use klimb_align::language::Learner;
use klimb_lab::{Algorithm, PairOrder};
use klimb_metrics::MetricRow;
use klimb_network::backend::network::Network;
use klimb_network::backend::{BackendError, Kernels};
use klimb_network::model::Checkpoint;

/// A policy that learns from pairs by likelihoods alone, and how far it is through them.
pub(super) struct LiveLikelihood<K: Kernels> {
    trainer: Box<dyn PairTrainer<K>>,
    order: PairOrder,
}

impl<K: Kernels> LiveLikelihood<K> {
    /// `policy` is `Unlikelihood` or `PreferredFt`. Budget and optimiser are DPO's, as in the sweeps.
    fn new(k: &mut K, network: &Network, reference: &Checkpoint, policy: Policy, settings: &Settings) -> Self {
        let DpoSettings { pairs, schedule, adamw, .. } = dpo::dpo_settings(settings);
        let algorithm = if policy == Policy::Unlikelihood {
            Algorithm::Unlikelihood(UnlikelihoodSettings { alpha: settings.unlikelihood_alpha, pairs, schedule, adamw })
        } else {
            Algorithm::PreferredFt(SftSettings { batch: pairs, schedule, adamw })
        };
        Self { trainer: algorithm.start(k, network, &reference.parameters), order: PairOrder::default() }
    }

    pub(super) fn learner(&self) -> &Learner<K> {
        self.trainer.learner()
    }
}

/// Both of them, as far as they have begun.
pub(super) struct Likelihoods<K: Kernels> {
    unlikelihood: Option<LiveLikelihood<K>>,
    preferred_ft: Option<LiveLikelihood<K>>,
}

impl<K: Kernels> Likelihoods<K> {
    pub(super) fn new() -> Self {
        Self { unlikelihood: None, preferred_ft: None }
    }

    pub(super) fn get(&self, policy: Policy) -> Option<&LiveLikelihood<K>> {
        match policy {
            Policy::Unlikelihood => self.unlikelihood.as_ref(),
            Policy::PreferredFt => self.preferred_ft.as_ref(),
            Policy::Dpo | Policy::Ppo | Policy::PpoGt => None,
        }
    }

    /// Where the policy is kept.
    ///
    /// # Panics
    /// If it learns by something else than likelihoods.
    pub(super) fn place(&mut self, policy: Policy) -> &mut Option<LiveLikelihood<K>> {
        match policy {
            Policy::Unlikelihood => &mut self.unlikelihood,
            Policy::PreferredFt => &mut self.preferred_ft,
            Policy::Dpo | Policy::Ppo | Policy::PpoGt => unreachable!("{policy:?} does not learn by likelihoods"),
        }
    }
}

impl<K: Kernels> Pipeline<K> {
    fn take_likelihood(&mut self, k: &mut K, policy: Policy) -> LiveLikelihood<K> {
        let there = self.likelihoods.place(policy).take();
        there.unwrap_or_else(|| LiveLikelihood::new(k, &self.network, &self.sft, policy, &self.settings))
    }

    fn keep_likelihood(&mut self, policy: Policy, live: LiveLikelihood<K>) {
        *self.likelihoods.place(policy) = Some(live);
    }

    /// Whether the next batch of a policy that learns from pairs waits for a chunk of them.
    pub fn likelihood_wants_pairs(&self, policy: Policy) -> bool {
        let first = PairOrder::default();
        let order = self.likelihoods.get(policy).map_or(&first, |live| &live.order);
        self.data.wants_more_for(order, self.settings.batch_size)
    }

    /// Takes `steps` optimiser steps, with one submit in flight at a time.
    pub async fn train_likelihood(
        &mut self,
        k: &mut K,
        policy: Policy,
        steps: usize,
    ) -> Result<Vec<MetricRow>, BackendError> {
        let mut live = self.take_likelihood(k, policy);
        let trained = self.likelihood_steps(k, &mut live, steps).await;
        let rows = match trained {
            Ok(()) => live.trainer.rows(k).await,
            Err(error) => Err(error),
        };
        self.keep_likelihood(policy, live);
        rows
    }

    async fn likelihood_steps(
        &mut self,
        k: &mut K,
        live: &mut LiveLikelihood<K>,
        steps: usize,
    ) -> Result<(), BackendError> {
        let count = self.settings.batch_size;
        for _ in 0..steps {
            if self.data.wants_more_for(&live.order, count) {
                self.extend_pairs(k).await?;
            }
            let batch = self.data.next_batch_in(&mut live.order, count);
            live.trainer.step(k, &batch);
            k.finished().await?;
        }
        Ok(())
    }

    /// One optimiser step with the numbers of its first pairs, as they were before the update, and where the probability
    /// of them all went.
    pub async fn step_likelihood_in_full(
        &mut self,
        k: &mut K,
        policy: Policy,
    ) -> Result<(LikelihoodBatch, Vec<MetricRow>), BackendError> {
        let mut live = self.take_likelihood(k, policy);
        let looked = self.look_into_likelihood(k, &mut live).await;
        self.keep_likelihood(policy, live);
        let (seen, rows) = looked?;
        let alpha = if policy == Policy::Unlikelihood { self.settings.unlikelihood_alpha } else { 0.0 };
        let batch = reports::likelihood_batch(&self.world, (policy.stage(), alpha), &seen, rows.last());
        Ok((batch, rows))
    }

    async fn look_into_likelihood(
        &mut self,
        k: &mut K,
        live: &mut LiveLikelihood<K>,
    ) -> Result<(SeenPairs, Vec<MetricRow>), BackendError> {
        let pairs = self.data.next_batch_in(&mut live.order, self.settings.batch_size);
        let policies = (&live.learner().parameters, &self.reference);
        let look = Look::before(k, &mut self.scorer, policies, pairs).await?;
        live.trainer.step(k, look.pairs());
        let rows = live.trainer.rows(k).await?;
        let seen = look.after(k, &mut self.scorer, &live.learner().parameters).await?;
        Ok((seen, rows))
    }

    /// Goes on with a policy that another session trained on the same reference.
    pub(super) fn resume_likelihood(&mut self, k: &mut K, policy: Policy, parameters: &[f32], steps: u64) {
        let mut live = LiveLikelihood::new(k, &self.network, &self.sft, policy, &self.settings);
        live.trainer.resume(k, parameters, steps);
        self.keep_likelihood(policy, live);
    }
}
