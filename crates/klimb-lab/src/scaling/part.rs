//! One model of the experiment in training, a piece at a time.

use std::ops::ControlFlow;

use super::{ScalingPart, ScalingSettings, Stage};
use crate::likelihood::{LikelihoodStart, LikelihoodText, LikelihoodTraining};
use crate::ppo::{PpoRunSettings, Round, Rounds};
use crate::{Progress, StudyError, TextSource};
use klimb_align::algorithms::{Ppo, PpoStart};
use klimb_network::backend::Kernels;
use klimb_network::model::{Checkpoint, ModelConfig, initial_parameters};
use klimb_world::{MAX_DOCUMENT, MAX_SEQUENCE, World};

/// Episodes of a rollout drawn in one piece.
const EPISODES_PER_PIECE: usize = 64;

/// A part in training. A piece is a step, or some episodes of a rollout.
pub struct PartTraining<K: Kernels> {
    part: ScalingPart,
    config: ModelConfig,
    kind: Kind<K>,
}

enum Kind<K: Kernels> {
    Likelihood(Box<LikelihoodTraining<K>>),
    Ppo(Box<PpoTraining<K>>),
}

struct PpoTraining<K: Kernels> {
    ppo: Ppo<K>,
    settings: PpoRunSettings,
    rounds: Rounds,
    reviews: TextSource,
    learning: Option<Learning>,
}

/// What is learned from a round.
struct Learning {
    round: Round,
    /// The minibatches that are left of it, the next one last.
    minibatches: Vec<Vec<usize>>,
}

impl<K: Kernels> PartTraining<K> {
    /// Begins; `start` is the checkpoint of its stage's start, if it has one.
    ///
    /// # Panics
    /// If the settings were not validated, or the start is missing or of another size.
    pub fn new(
        k: &mut K,
        world: &World,
        settings: &ScalingSettings,
        part: ScalingPart,
        start: Option<&Checkpoint>,
    ) -> Self {
        let config = part.size.config(world).expect("validated sizes");
        assert_eq!(start.is_some(), part.stage.start().is_some(), "PartTraining: the start of {}", part.name());
        assert!(start.is_none_or(|start| start.config == config), "PartTraining: a start of another size");
        let start = start.map_or_else(|| initial_parameters(&config, part.seed), |start| start.parameters.clone());
        let mut likelihood = |stage, settings, text| {
            let start = LikelihoodStart { stage, config, parameters: &start };
            Kind::Likelihood(Box::new(LikelihoodTraining::new(k, start, settings, text)))
        };
        let kind = match part.stage {
            Stage::Base => {
                let text = LikelihoodText { source: TextSource::documents(part.seed), length: MAX_DOCUMENT - 1 };
                likelihood("base", settings.rated(settings.base, part.size.width), text)
            }
            Stage::Sft => {
                let text = LikelihoodText { source: TextSource::reviews(part.seed), length: MAX_SEQUENCE - 1 };
                likelihood("sft", settings.rated(settings.sft, part.size.width), text)
            }
            Stage::Ppo | Stage::PpoPtx => {
                let settings = settings.ppo_settings(&part);
                let start = PpoStart { reference: &start, value_trunk: &start, reward_model: None };
                Kind::Ppo(Box::new(PpoTraining {
                    ppo: Ppo::new(k, config, start, MAX_SEQUENCE, settings.ppo),
                    settings,
                    rounds: Rounds::new(part.seed, &settings),
                    reviews: TextSource::reviews(part.seed),
                    learning: None,
                }))
            }
        };
        Self { part, config, kind }
    }

    /// Which part it is.
    pub fn part(&self) -> ScalingPart {
        self.part
    }

    /// Steps taken, or rollouts learned from, and how many there are in all.
    pub fn progress(&self) -> Progress {
        match &self.kind {
            Kind::Likelihood(training) => training.progress(),
            Kind::Ppo(training) => training.progress(),
        }
    }

    /// Whether all of it is done.
    pub fn is_finished(&self) -> bool {
        let Progress { done, total, .. } = self.progress();
        done == total
    }

    /// One piece.
    ///
    /// # Errors
    /// `Backend` if a read fails, `Diverged` if a loss is not finite.
    pub async fn advance(&mut self, k: &mut K, world: &World) -> Result<(), StudyError> {
        match &mut self.kind {
            Kind::Likelihood(training) => training.advance(k, world).await,
            Kind::Ppo(training) => training.advance(k, world).await,
        }
    }

    /// The model as it is.
    ///
    /// # Errors
    /// `Backend` if the read fails.
    pub async fn checkpoint(&self, k: &mut K, world: &World) -> Result<Checkpoint, StudyError> {
        let (parameters, step) = match &self.kind {
            Kind::Likelihood(training) => (training.parameters(k).await?, training.progress().done),
            Kind::Ppo(training) => (training.ppo.read_policy(k).await?, training.ppo.policy().steps()),
        };
        Ok(Checkpoint {
            config: self.config,
            vocabulary_fingerprint: world.vocabulary().fingerprint(),
            step,
            stage: self.part.stage.name().into(),
            head: false,
            parameters,
        })
    }
}

impl<K: Kernels> PpoTraining<K> {
    fn progress(&self) -> Progress {
        let done = self.rounds.done() - u64::from(self.learning.is_some());
        Progress { stage: "ppo", done, total: self.settings.rollouts }
    }

    async fn advance(&mut self, k: &mut K, world: &World) -> Result<(), StudyError> {
        let Some(Learning { round, minibatches }) = &mut self.learning else {
            let drawn = self.rounds.advance(k, world, &mut self.ppo, EPISODES_PER_PIECE).await?;
            self.learning = drawn.map(|round| {
                let mut minibatches = self.rounds.minibatches(&self.ppo);
                minibatches.reverse();
                Learning { round, minibatches }
            });
            return Ok(());
        };
        let settings = &self.settings.ppo;
        let demonstrations = if settings.ptx_coefficient > 0.0 { settings.minibatch() } else { 0 };
        if let Some(indices) = minibatches.pop() {
            self.ppo.step(k, &round.rollout, &indices, &self.reviews.batch(world, demonstrations));
        }
        if minibatches.is_empty() {
            self.learning = None;
            let metrics = self.ppo.metrics(k).await?;
            if let Some(line) = metrics.iter().find(|line| !line.is_finite()) {
                return Err(StudyError::Diverged { stage: "ppo", step: line.step });
            }
        }
        Ok(())
    }
}

/// Trains a part; `start` is the checkpoint of its stage's start, if it has one. `None` if `report`, asked all along,
/// ended it.
///
/// # Errors
/// `Backend` if a read fails, `Diverged` if a loss is not finite.
///
/// # Panics
/// If the settings were not validated, or the start is missing or of another size.
pub async fn train_part<K: Kernels>(
    k: &mut K,
    world: &World,
    settings: &ScalingSettings,
    part: &ScalingPart,
    start: Option<&Checkpoint>,
    mut report: impl FnMut(Progress) -> ControlFlow<()>,
) -> Result<Option<Checkpoint>, StudyError> {
    let mut training = PartTraining::new(k, world, settings, *part, start);
    while !training.is_finished() {
        training.advance(k, world).await?;
        if report(training.progress()).is_break() {
            return Ok(None);
        }
    }
    training.checkpoint(k, world).await.map(Some)
}
