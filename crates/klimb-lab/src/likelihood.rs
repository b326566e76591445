//! Maximum likelihood on a source of text, a step at a time: pre-training and SFT of experiments that make models from
//! nothing.

use std::ops::ControlFlow;

use super::{Progress, StudyError, TextSource};
use klimb_align::algorithms::{Sft, SftSettings};
use klimb_network::backend::Kernels;
use klimb_network::backend::network::Network;
use klimb_network::model::ModelConfig;
use klimb_world::World;

/// Steps between two looks at the loss; the device keeps more lines than that.
const LOOK_EVERY: u64 = 20;

/// A stage of maximum likelihood, and what it starts from.
#[derive(Clone, Copy)]
pub(super) struct LikelihoodStart<'a> {
    /// The stage, such as `sft`.
    pub stage: &'static str,
    pub config: ModelConfig,
    /// The parameters before the first step, flat.
    pub parameters: &'a [f32],
}

/// What a network learns from.
pub(super) struct LikelihoodText {
    pub source: TextSource,
    /// Tokens of the longest text, less one.
    pub length: usize,
}

/// A network that learns a source of text.
pub(super) struct LikelihoodTraining<K: Kernels> {
    stage: &'static str,
    sft: Sft<K>,
    settings: SftSettings,
    text: TextSource,
}

impl<K: Kernels> LikelihoodTraining<K> {
    /// No step taken yet.
    pub fn new(k: &mut K, start: LikelihoodStart<'_>, settings: SftSettings, text: LikelihoodText) -> Self {
        let LikelihoodStart { stage, config, parameters } = start;
        let sft = Sft::new(k, Network::new(config), parameters, text.length, settings);
        Self { stage, sft, settings, text: text.source }
    }

    /// Steps taken and steps in all.
    pub fn progress(&self) -> Progress {
        Progress { stage: self.stage, done: self.sft.learner().steps(), total: self.settings.schedule.steps }
    }

    /// One step.
    ///
    /// # Errors
    /// `Backend` if a read fails, `Diverged` if a loss is not finite.
    pub async fn advance(&mut self, k: &mut K, world: &World) -> Result<(), StudyError> {
        self.sft.step(k, &self.text.batch(world, self.settings.batch));
        let Progress { stage, done, total } = self.progress();
        let metrics =
            if done.is_multiple_of(LOOK_EVERY) || done == total { self.sft.metrics(k).await? } else { Vec::new() };
        match metrics.iter().find(|line| !line.loss.is_finite()) {
            Some(line) => Err(StudyError::Diverged { stage, step: line.step }),
            None => Ok(()),
        }
    }

    /// The parameters as they are.
    ///
    /// # Errors
    /// `Backend` if the read fails.
    pub async fn parameters(&self, k: &mut K) -> Result<Vec<f32>, StudyError> {
        Ok(self.sft.learner().read_parameters(k).await?)
    }
}

/// The parameters after all steps; `None` if `report`, asked behind every step, ended it.
///
/// # Errors
/// As [`LikelihoodTraining::advance`].
pub(super) async fn maximise_likelihood<K: Kernels>(
    k: &mut K,
    world: &World,
    start: LikelihoodStart<'_>,
    settings: SftSettings,
    text: LikelihoodText,
    report: &mut impl FnMut(Progress) -> ControlFlow<()>,
) -> Result<Option<Vec<f32>>, StudyError> {
    let mut training = LikelihoodTraining::new(k, start, settings, text);
    loop {
        let progress = training.progress();
        if progress.done == progress.total {
            return Ok(Some(training.parameters(k).await?));
        }
        training.advance(k, world).await?;
        if report(training.progress()).is_break() {
            return Ok(None);
        }
    }
}
