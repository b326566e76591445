//! DPO on the reference's pairs, or on those that the policy writes itself.

use super::Work;
use super::pairs::{ShownPairTrainer, seen_step};
use crate::engine::protocol::Inside;
use crate::engine::session::models::{Models, preferences};
use crate::engine::session::reports;
use crate::engine::settings::Settings;
use klimb_align::algorithms::{Dpo, DpoMetrics, DpoSettings, PairBatch};
use klimb_align::language::Schedule;
use klimb_lab::PreferenceData;
use klimb_metrics::MetricRow;
use klimb_network::backend::Kernels;
use klimb_world::MAX_SEQUENCE;

/// DPO's learning rate warms up over so many steps, and decays until the last.
const WARM_UP: u64 = 20;
const DECAY: u64 = 600;

pub(super) fn trainer<K: Kernels>(k: &mut K, models: &Models<K>) -> Box<dyn ShownPairTrainer<K>> {
    let (network, settings) = (models.network.clone(), dpo_settings(&models.settings));
    Box::new(Dpo::new(k, network, &models.sft.parameters, MAX_SEQUENCE - 1, settings))
}

/// No pair yet of those that the policy will write, if it is to write them.
pub(super) fn own_pairs<K: Kernels>(k: &mut K, models: &Models<K>) -> Option<PreferenceData<K>> {
    preferences::online(k, &models.network, &models.settings, models.given.as_deref())
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

impl<K: Kernels> ShownPairTrainer<K> for Dpo<K> {
    fn configure(&mut self, settings: &Settings) {
        self.configure(dpo_settings(settings));
    }

    fn step_in_full<'a>(
        &'a mut self,
        k: &'a mut K,
        models: &'a mut Models<K>,
        batch: PairBatch,
    ) -> Work<'a, (Inside, Vec<MetricRow>)> {
        Box::pin(async move {
            let read = async |k: &mut K, dpo: &mut Self| Ok((dpo.outcomes(k).await?, dpo.metrics(k).await?));
            let (seen, (outcomes, metrics)) = seen_step(k, models, self, &batch, read).await?;
            let told = reports::batch(&models.world, self.settings(), &seen, &outcomes, metrics.last());
            Ok((Inside::Dpo(told), metrics.iter().map(DpoMetrics::row).collect()))
        })
    }
}
