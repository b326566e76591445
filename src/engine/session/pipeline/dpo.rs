//! DPO on the reference's pairs.

use super::Pipeline;
use super::looking::Look;
use crate::engine::protocol::Batch;
use crate::engine::session::reports;
use crate::engine::settings::Settings;
use klimb_align::algorithms::{Dpo, DpoMetrics, DpoSettings, PairBatch};
use klimb_align::language::Schedule;
use klimb_metrics::MetricRow;
use klimb_network::backend::network::Network;
use klimb_network::backend::{BackendError, Kernels};
use klimb_network::model::Checkpoint;
use klimb_world::MAX_SEQUENCE;

/// DPO's learning rate warms up over so many steps, and decays until the last.
const WARM_UP: u64 = 20;
const DECAY: u64 = 600;

pub(super) fn new<K: Kernels>(k: &mut K, network: &Network, reference: &Checkpoint, settings: &Settings) -> Dpo<K> {
    Dpo::new(k, network.clone(), &reference.parameters, MAX_SEQUENCE - 1, dpo_settings(settings))
}

pub(super) fn dpo_settings(settings: &Settings) -> DpoSettings {
    let peak = settings.learning_rate;
    DpoSettings {
        beta: settings.beta,
        label_smoothing: settings.label_smoothing,
        loss: settings.loss,
        length_normalised: settings.length_normalised,
        reference_free: settings.reference_free,
        pairs: settings.batch_size,
        schedule: Schedule { peak, floor: peak / 20.0, warm_up: WARM_UP, steps: DECAY },
        ..DpoSettings::default()
    }
}

impl<K: Kernels> Pipeline<K> {
    /// Whether DPO's next batch waits for a chunk of pairs.
    pub fn dpo_wants_pairs(&self) -> bool {
        self.online.as_ref().unwrap_or(&self.data).wants_more(self.settings.batch_size)
    }

    /// Makes the next chunk of DPO's pairs.
    pub async fn extend_dpo_pairs(&mut self, k: &mut K) -> Result<(), BackendError> {
        match &mut self.online {
            Some(online) => online.extend_by(k, &self.world, &self.dpo.learner().parameters, &self.reference).await,
            None => self.extend_pairs(k).await,
        }
    }

    fn next_dpo_batch(&mut self) -> PairBatch {
        self.online.as_mut().unwrap_or(&mut self.data).next_batch(self.settings.batch_size)
    }

    /// Takes `steps` optimiser steps of DPO, with one submit in flight at a time.
    pub async fn train_dpo(&mut self, k: &mut K, steps: usize) -> Result<Vec<MetricRow>, BackendError> {
        for _ in 0..steps {
            if self.dpo_wants_pairs() {
                self.extend_dpo_pairs(k).await?;
            }
            let batch = self.next_dpo_batch();
            self.dpo.step(k, &batch);
            k.finished().await?;
        }
        let metrics: Vec<DpoMetrics> = self.dpo.metrics(k).await?;
        Ok(metrics.iter().map(DpoMetrics::row).collect())
    }

    /// One optimiser step of DPO with the numbers of its first pairs, as they were before the update, and where the
    /// probability of them all went.
    pub async fn step_dpo_in_full(&mut self, k: &mut K) -> Result<(Batch, Vec<MetricRow>), BackendError> {
        let pairs = self.next_dpo_batch();
        let policies = (&self.dpo.learner().parameters, &self.reference);
        let look = Look::before(k, &mut self.scorer, policies, pairs).await?;
        self.dpo.step(k, look.pairs());
        let outcomes = self.dpo.outcomes(k).await?;
        let metrics = self.dpo.metrics(k).await?;
        let seen = look.after(k, &mut self.scorer, &self.dpo.learner().parameters).await?;
        let batch = reports::batch(&self.world, self.dpo.settings(), &seen, &outcomes, metrics.last());
        Ok((batch, metrics.iter().map(DpoMetrics::row).collect()))
    }
}
