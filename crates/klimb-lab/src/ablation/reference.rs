//! References to order: the shipped recipe at another width, on noisier text, of another length, or with an unembedding
//! of its own.

use std::ops::ControlFlow;

use serde::{Deserialize, Serialize};

use crate::likelihood::{LikelihoodStart, LikelihoodText, maximise_likelihood};
use crate::{BASE_STEPS, Progress, SFT_STEPS, StudyError, TextSource, pretrain_settings, sft_settings};
use klimb_network::backend::Kernels;
use klimb_network::model::{Checkpoint, ModelConfig, initial_parameters};
use klimb_text::ConfigError;
use klimb_world::{MAX_DOCUMENT, MAX_SEQUENCE, World, WorldSettings};

/// How a reference is made: pre-training on documents, then SFT on reviews, as the shipped ones are.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct ReferenceRecipe {
    /// Width of the residual stream.
    pub width: usize,
    /// Share of the words of its text that are replaced by random ones: what makes it broad.
    pub noise: f64,
    /// Steps of pre-training.
    pub base_steps: u64,
    /// Steps of SFT.
    pub sft_steps: u64,
    /// Whether the unembedding is a matrix of its own.
    pub own_unembedding: bool,
}

impl Default for ReferenceRecipe {
    /// The recipe of the shipped narrow reference.
    fn default() -> Self {
        let noise = WorldSettings::default().noise;
        Self { width: 32, noise, base_steps: BASE_STEPS, sft_steps: SFT_STEPS, own_unembedding: false }
    }
}

impl ReferenceRecipe {
    /// What its files are called.
    pub fn name(&self) -> String {
        let Self { width, noise, base_steps, sft_steps, own_unembedding } = self;
        let untied = if *own_unembedding { "-untied" } else { "" };
        format!("width-{width}-noise-{noise}-steps-{base_steps}-{sft_steps}{untied}")
    }

    /// The network's sizes in `world`.
    ///
    /// # Errors
    /// The size that cannot be used.
    pub fn config(&self, world: &World) -> Result<ModelConfig, ConfigError> {
        let config = crate::model_config(world, self.width)?;
        Ok(ModelConfig { own_unembedding: self.own_unembedding, ..config })
    }

    /// The world whose text it reads: the prompts, words and rewards are every world's.
    ///
    /// # Errors
    /// `noise` out of range.
    pub fn text(&self) -> Result<World, ConfigError> {
        World::new(WorldSettings { noise: self.noise, ..WorldSettings::default() })
    }
}

/// Trains the reference with the seed of the shipped ones; `None` if `report`, asked all along, ended it.
///
/// # Errors
/// `Config` for a recipe that cannot be used, `Backend` if a read fails, `Diverged` if a loss is not finite.
pub async fn train_reference<K: Kernels>(
    k: &mut K,
    recipe: &ReferenceRecipe,
    mut report: impl FnMut(Progress) -> ControlFlow<()>,
) -> Result<Option<Checkpoint>, StudyError> {
    const SEED: u64 = 1;
    let world = recipe.text()?;
    let config = recipe.config(&world)?;
    let parameters = initial_parameters(&config, SEED);
    let start = LikelihoodStart { stage: "base", config, parameters: &parameters };
    let text = LikelihoodText { source: TextSource::documents(SEED), length: MAX_DOCUMENT - 1 };
    let settings = pretrain_settings(recipe.base_steps);
    let base = maximise_likelihood(k, &world, start, settings, text, &mut report).await?;
    let Some(base) = base else { return Ok(None) };
    let start = LikelihoodStart { stage: "sft", config, parameters: &base };
    let text = LikelihoodText { source: TextSource::reviews(SEED), length: MAX_SEQUENCE - 1 };
    let settings = sft_settings(recipe.sft_steps);
    let sft = maximise_likelihood(k, &world, start, settings, text, &mut report).await?;
    Ok(sft.map(|parameters| Checkpoint {
        config,
        vocabulary_fingerprint: world.vocabulary().fingerprint(),
        step: settings.schedule.steps,
        stage: "sft".into(),
        head: false,
        parameters,
    }))
}
