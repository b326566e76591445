//! Preferred-FT (Rafailov et al. 2023, section 6): SFT on the preferred completions, as if they were demonstrations. It
//! looks at half of what preferences say. From a base model it is the paper's road to π_ref where no SFT model exists.

use std::any::Any;
use std::future::Future;

use super::pairs::PairBatch;
use super::sft::{Sft, SftMetrics, SftSettings};
use super::trainer::{Budget, LossTerms, PairSettings, PairTrainer, pair_trainer};
use crate::language::Learner;
use klimb_metrics::{Method, Setting};
use klimb_network::backend::network::Network;
use klimb_network::backend::{BackendError, Kernels};
use klimb_text::ConfigError;

/// SFT's settings as those of Preferred-FT: a batch is so many pairs.
impl PairSettings for SftSettings {
    const METHOD: Method = Method::PreferredFt;

    fn budget(&self) -> Budget {
        let Self { batch: pairs, schedule, adamw } = *self;
        Budget { pairs, schedule, adamw }
    }

    fn with_budget(self, Budget { pairs, schedule, adamw }: Budget) -> Self {
        Self { batch: pairs, schedule, adamw }
    }

    fn setting(&self) -> Setting {
        Setting::Label("chosen".into())
    }

    /// There is none to set.
    fn with_setting(self, _number: f64) -> Self {
        self
    }

    fn check(&self) -> Result<(), ConfigError> {
        Ok(())
    }

    fn start<K: Kernels>(
        self,
        k: &mut K,
        network: Network,
        parameters: &[f32],
        length: usize,
    ) -> Box<dyn PairTrainer<K>> {
        Box::new(PreferredFt::new(k, network, parameters, length, self))
    }
}

/// A policy in Preferred-FT. Its settings and metrics are SFT's, of batches of chosen completions.
pub struct PreferredFt<K: Kernels>(Sft<K>);

impl<K: Kernels> PreferredFt<K> {
    /// Starts from `parameters`; sequences have at most `length` + 1 tokens; a step takes `settings.batch` pairs.
    pub fn new(k: &mut K, network: Network, parameters: &[f32], length: usize, settings: SftSettings) -> Self {
        Self(Sft::new(k, network, parameters, length, settings))
    }

    /// The policy and its optimiser.
    pub fn learner(&self) -> &Learner<K> {
        self.0.learner()
    }

    /// Goes on from the policy of another run after its `steps` steps, with new moments. No step may have been taken.
    pub fn resume(&mut self, k: &mut K, parameters: &[f32], steps: u64) {
        self.0.resume(k, parameters, steps);
    }

    /// One update on exactly `settings.batch` pairs: log π(y_w|x) goes up. The rejected play no part.
    ///
    /// # Panics
    /// If there are not exactly that many pairs, or a chosen sequence is too long.
    pub fn step(&mut self, k: &mut K, pairs: &PairBatch) {
        self.0.step(k, &pairs.chosen);
    }

    /// The metrics of the steps since the last call (see [`Learner::read_metrics`]).
    ///
    /// # Errors
    /// As any read of the backend: `DeviceLost` or `Readback`.
    pub fn metrics(
        &mut self,
        k: &mut K,
    ) -> impl Future<Output = Result<Vec<SftMetrics>, BackendError>> + 'static + use<K> {
        self.0.metrics(k)
    }

    /// log π of each token of each chosen completion of the last step, as it was before the update.
    ///
    /// # Errors
    /// As any read of the backend: `DeviceLost` or `Readback`.
    pub fn outcomes(&self, k: &mut K) -> impl Future<Output = Result<Vec<Vec<f64>>, BackendError>> + 'static + use<K> {
        self.0.outcomes(k)
    }
}

pair_trainer!(
    PreferredFt,
    SftMetrics,
    fn loss_terms(&self) -> LossTerms<'_, K> {
        LossTerms::Likelihood { alpha: 0.0 }
    },
    fn configure(&mut self, _settings: &dyn Any) {}
);
