//! How the shipped models are made: sizes, text and schedules of pre-training and SFT.

use super::preferences::chosen_review;
use klimb_align::algorithms::SftSettings;
use klimb_align::language::{Adamw, Schedule, Sequence};
use klimb_network::model::ModelConfig;
use klimb_numerics::rng::Generator;
use klimb_text::ConfigError;
use klimb_world::World;
use klimb_world::preferences::LabelSettings;

/// Optimiser steps of the shipped base models.
pub const BASE_STEPS: u64 = 4000;
/// Optimiser steps of SFT from the base model.
pub const SFT_STEPS: u64 = 3000;
/// Positions every model can see: the longest document is shorter.
const CONTEXT: usize = 32;

/// A network for `world` of the given width, with two blocks and four heads.
///
/// # Errors
/// `width` outside 16 to 128, or no multiple of 4.
pub fn model_config(world: &World, width: usize) -> Result<ModelConfig, ConfigError> {
    let vocabulary = world.vocabulary().len();
    ModelConfig { vocabulary, context: CONTEXT, width, layers: 2, heads: 4, own_unembedding: false }.validated()
}

/// Pre-training over `steps`: batches of 128 documents, warm-up, cosine.
pub fn pretrain_settings(steps: u64) -> SftSettings {
    let schedule = Schedule { peak: 4e-3, floor: 1e-5, warm_up: 100.min(steps / 4), steps };
    SftSettings { batch: 128, schedule, adamw: Adamw::default() }
}

/// SFT from the base model over `steps`: batches of 128 reviews, a shorter warm-up, the same rates.
pub fn sft_settings(steps: u64) -> SftSettings {
    let schedule = Schedule { peak: 4e-3, floor: 1e-5, warm_up: 50.min(steps / 4), steps };
    SftSettings { batch: 128, schedule, adamw: Adamw::default() }
}

/// An endless, seeded supply of training text.
#[derive(Debug, Clone)]
pub enum TextSource {
    /// Documents of the base model's corpus; every token counts.
    Documents(Generator),
    /// Reviews to training prompts; the completion counts.
    Reviews(Generator),
    /// The chosen of pairs that the grammar wrote and the world labelled; the completion counts.
    Chosen(Generator, LabelSettings),
}

impl TextSource {
    /// The base model's corpus.
    pub fn documents(seed: u64) -> Self {
        Self::Documents(Generator::new(seed, "documents"))
    }

    /// The demonstrations of SFT.
    pub fn reviews(seed: u64) -> Self {
        Self::Reviews(Generator::new(seed, "reviews"))
    }

    /// The chosen completions of grammar-written pairs: a reference is made of them where no SFT model exists, by the
    /// same recipe from the same base model (Rafailov et al. 2023, section 4).
    pub fn chosen(seed: u64, labels: LabelSettings) -> Self {
        Self::Chosen(Generator::new(seed, "chosen reviews"), labels)
    }

    /// The next `count` sequences.
    pub fn batch(&mut self, world: &World, count: usize) -> Vec<Sequence> {
        let sequence = |_| match self {
            Self::Documents(generator) => Sequence { tokens: world.document(generator).tokens, prompt_length: 1 },
            Self::Reviews(generator) => {
                let review = world.review(generator);
                Sequence { tokens: review.tokens, prompt_length: review.prompt_length }
            }
            Self::Chosen(generator, labels) => chosen_review(world, *labels, generator),
        };
        (0..count).map(sequence).collect()
    }
}
