//! Unlikelihood and Preferred-FT: policies that learn from pairs by likelihoods alone. Budget and optimiser are DPO's, as in
//! the sweeps.

use super::Work;
use super::dpo::dpo_settings;
use super::pairs::{ShownPairTrainer, seen_step};
use crate::engine::protocol::{Inside, Stage};
use crate::engine::session::models::Models;
use crate::engine::session::reports::{self, ToldAs};
use crate::engine::settings::Settings;
use klimb_align::algorithms::{DpoSettings, PairBatch, PreferredFt, SftSettings, Unlikelihood, UnlikelihoodSettings};
use klimb_metrics::MetricRow;
use klimb_network::backend::{BackendError, Kernels};
use klimb_world::MAX_SEQUENCE;

pub(super) fn unlikelihood<K: Kernels>(k: &mut K, models: &Models<K>) -> Box<dyn ShownPairTrainer<K>> {
    let DpoSettings { pairs, schedule, adamw, .. } = dpo_settings(&models.settings);
    let settings = UnlikelihoodSettings { alpha: models.settings.unlikelihood_alpha, pairs, schedule, adamw };
    let (network, reference) = (models.network.clone(), &models.sft.parameters);
    Box::new(Unlikelihood::new(k, network, reference, MAX_SEQUENCE - 1, settings))
}

pub(super) fn preferred_ft<K: Kernels>(k: &mut K, models: &Models<K>) -> Box<dyn ShownPairTrainer<K>> {
    let DpoSettings { pairs, schedule, adamw, .. } = dpo_settings(&models.settings);
    let settings = SftSettings { batch: pairs, schedule, adamw };
    let (network, reference) = (models.network.clone(), &models.sft.parameters);
    Box::new(PreferredFt::new(k, network, reference, MAX_SEQUENCE - 1, settings))
}

/// A step with its numbers. `alpha` is how hard the rejected completions are pushed down.
async fn step_told<K: Kernels, T: ShownPairTrainer<K>>(
    k: &mut K,
    models: &mut Models<K>,
    trainer: &mut T,
    batch: PairBatch,
    told_as: ToldAs,
) -> Result<(Inside, Vec<MetricRow>), BackendError> {
    let read = async |k: &mut K, trainer: &mut T| trainer.rows(k).await;
    let (seen, rows) = seen_step(k, models, trainer, &batch, read).await?;
    let told = reports::likelihood_batch(&models.world, told_as, &seen, rows.last());
    Ok((Inside::Likelihood(told), rows))
}

impl<K: Kernels> ShownPairTrainer<K> for Unlikelihood<K> {
    /// Nothing: any change starts it over.
    fn configure(&mut self, _settings: &Settings) {}

    fn step_in_full<'a>(
        &'a mut self,
        k: &'a mut K,
        models: &'a mut Models<K>,
        batch: PairBatch,
    ) -> Work<'a, (Inside, Vec<MetricRow>)> {
        let told_as = ToldAs { stage: Stage::Unlikelihood, alpha: models.settings.unlikelihood_alpha };
        Box::pin(step_told(k, models, self, batch, told_as))
    }
}

impl<K: Kernels> ShownPairTrainer<K> for PreferredFt<K> {
    /// Nothing: any change starts it over.
    fn configure(&mut self, _settings: &Settings) {}

    fn step_in_full<'a>(
        &'a mut self,
        k: &'a mut K,
        models: &'a mut Models<K>,
        batch: PairBatch,
    ) -> Work<'a, (Inside, Vec<MetricRow>)> {
        // It never pushes the rejected down.
        let told_as = ToldAs { stage: Stage::PreferredFt, alpha: 0.0 };
        Box::pin(step_told(k, models, self, batch, told_as))
    }
}
