//! `pretrain` and `sft`: the base model and the reference, by maximum likelihood.

use std::path::PathBuf;

use clap::Args;
use klimb::ConfigError;
use klimb::algorithms::{Sft as Algorithm, SftSettings};
use klimb::backend::network::Network;
use klimb::backend::{Kernels, SequenceSize};
use klimb::experiments::{BASE_STEPS, SFT_STEPS, TextSource, limits, model_config, pretrain_settings, sft_settings};
use klimb::language::{Scorer, Sequence};
use klimb::model::{Checkpoint, ModelConfig, initial_parameters};
use klimb::rng::Generator;
use klimb::stats::{half_width, mean};
use klimb::world::preferences::LabelSettings;
use klimb::world::{MAX_DOCUMENT, MAX_SEQUENCE, World, WorldSettings};

use super::machine::{BackendArguments, on};
use super::number::number;
use super::pairs::LabelArguments;
use super::{End, Failure, files, interrupt, progress};

/// Steps between two looks at the loss.
const LOOK_EVERY: u64 = 20;
/// Steps between two lines of the report.
const REPORT_EVERY: u64 = 500;
/// Held-out reviews that the trained model is compared with the grammar on.
const REVIEWS: usize = 512;

/// Train a base model from nothing on the world's documents
#[derive(Debug, Args)]
#[command(
    long_about = "Train a base model from nothing on the world's documents.\n\n\
        Reviews are only a part of them: given the beginning of a review, the base model often writes something else. \
        The same arguments give the same file. Ctrl-C writes what was learned so far.",
    after_long_help = "Examples:\n  \
        klimb pretrain --out www/assets/base.safetensors\n  \
        klimb pretrain --width 64 --backend gpu --out base-64.safetensors\n  \
        klimb pretrain --noise 0 --out base-noise-0.safetensors"
)]
pub struct Pretrain {
    /// The checkpoint to write
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
    /// Width of the residual stream, 16 to 128, a multiple of 4
    #[arg(long, default_value_t = 32)]
    width: usize,
    /// Blocks, 1 to 4
    #[arg(long, default_value_t = 2)]
    layers: usize,
    /// Attention heads; they divide the width
    #[arg(long, default_value_t = 4)]
    heads: usize,
    /// Optimiser steps of 128 documents
    #[arg(long, default_value_t = BASE_STEPS, value_parser = clap::value_parser!(u64).range(1..=limits::MOST_STEPS))]
    steps: u64,
    /// Share of the text's words replaced by random ones, 0 to 0.5
    #[arg(long, value_name = "P", default_value_t = WorldSettings::default().noise, allow_negative_numbers = true)]
    noise: f64,
    /// Names the first parameters and the documents
    #[arg(long, default_value_t = 1, value_parser = crate::commands::seed)]
    seed: u64,
    #[command(flatten)]
    backend: BackendArguments,
}

/// Fine-tune a base model on reviews: the reference of everything that follows
#[derive(Debug, Args)]
#[command(
    long_about = "Fine-tune a base model on reviews (SFT): the reference of everything that follows.\n\n\
        At the end the model's nats a review are compared with the grammar's own, below which no model can come. The \
        same arguments give the same file. Ctrl-C writes what was learned so far.",
    after_long_help = "Examples:\n  \
        klimb sft --from www/assets/base.safetensors --out www/assets/sft.safetensors\n  \
        klimb sft --noise 0 --from base-noise-0.safetensors --out sft-noise-0.safetensors\n  \
        klimb sft --from-chosen --out reference.safetensors && \\\n  \
        klimb dpo --from reference.safetensors --written-by grammar --out dpo.safetensors"
)]
pub struct Sft {
    /// The base model [default: the one that ships with the page]
    #[arg(long, value_name = "FILE")]
    from: Option<PathBuf>,
    /// The checkpoint to write
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
    /// Optimiser steps of 128 reviews
    #[arg(long, default_value_t = SFT_STEPS, value_parser = clap::value_parser!(u64).range(1..=limits::MOST_STEPS))]
    steps: u64,
    /// Stop after so many steps of that schedule
    #[arg(long, value_name = "STEP", value_parser = clap::value_parser!(u64).range(1..))]
    stop_after: Option<u64>,
    /// Learn from the chosen of pairs that the grammar writes, instead of demonstrations: a reference without SFT
    #[arg(long)]
    from_chosen: bool,
    #[command(flatten)]
    labels: LabelArguments,
    /// Share of the completions' words replaced by random ones, 0 to 0.5: it broadens the reference
    #[arg(long, value_name = "P", default_value_t = WorldSettings::default().noise, allow_negative_numbers = true)]
    noise: f64,
    /// Names the reviews
    #[arg(long, default_value_t = 1, value_parser = crate::commands::seed)]
    seed: u64,
    #[command(flatten)]
    backend: BackendArguments,
}

impl Pretrain {
    pub fn run(self) -> Result<End, Failure> {
        files::check_writable(&self.out)?;
        self.check()?;
        let world = noisy_world(self.noise)?;
        let config = self.config(&world)?;
        let stage = Stage {
            name: "base",
            config,
            parameters: initial_parameters(&config, self.seed),
            settings: pretrain_settings(self.steps),
            steps: self.steps,
            length: MAX_DOCUMENT - 1,
            text: TextSource::documents(self.seed),
        };
        on!(self.backend.open()?, k => pollster::block_on(stage.train(k, &world, &self.out)))
    }
}

impl Pretrain {
    /// Refuses settings that cannot be used.
    pub fn check(&self) -> Result<(), ConfigError> {
        let noise = noisy_world(self.noise).map(drop);
        ConfigError::all([noise, self.config(&files::world()?)?.validated().map(drop)])
    }

    fn config(&self, world: &World) -> Result<ModelConfig, ConfigError> {
        let config = model_config(world, self.width.clamp(16, 128))?;
        Ok(ModelConfig { width: self.width, layers: self.layers, heads: self.heads, ..config })
    }
}

impl Sft {
    /// Refuses settings that cannot be used.
    pub fn check(&self) -> Result<(), ConfigError> {
        let labels = LabelSettings::from(self.labels).validated().map(drop);
        ConfigError::all([labels, noisy_world(self.noise).map(drop)])
    }

    pub fn run(self) -> Result<End, Failure> {
        files::check_writable(&self.out)?;
        self.check()?;
        let labels = LabelSettings::from(self.labels);
        let world = noisy_world(self.noise)?;
        let from = files::given_or_shipped(self.from.as_deref(), "base.safetensors")?;
        let Checkpoint { config, parameters, .. } = files::read_checkpoint(&from, &world)?;
        let stage = Stage {
            name: if self.from_chosen { "preferred_ft" } else { "sft" },
            config,
            parameters,
            settings: sft_settings(self.steps),
            steps: self.stop_after.unwrap_or(self.steps).min(self.steps),
            length: MAX_SEQUENCE - 1,
            text: if self.from_chosen { TextSource::chosen(self.seed, labels) } else { TextSource::reviews(self.seed) },
        };
        on!(self.backend.open()?, k => pollster::block_on(stage.train(k, &world, &self.out)))
    }
}

/// The world of the shipped models with this share of the words of its text replaced, or why it cannot be.
fn noisy_world(noise: f64) -> Result<World, ConfigError> {
    World::new(WorldSettings { noise, ..WorldSettings::default() })
}

/// A stage of training by maximum likelihood.
struct Stage {
    name: &'static str,
    config: ModelConfig,
    parameters: Vec<f32>,
    settings: SftSettings,
    /// Steps to take of the schedule's.
    steps: u64,
    /// Longest text less one token.
    length: usize,
    text: TextSource,
}

impl Stage {
    async fn train<K: Kernels>(mut self, k: &mut K, world: &World, out: &std::path::Path) -> Result<End, Failure> {
        interrupt::listen()?;
        let network = Network::new(self.config);
        let steps = self.steps;
        progress::tell(&format!("{}: {} parameters, {steps} steps", self.name, network.layout().len));
        let bar = progress::bar(steps, "steps");
        let mut sft = Algorithm::new(k, network.clone(), &self.parameters, self.length, self.settings);
        while sft.learner().steps() < steps && !interrupt::requested() {
            sft.step(k, &self.text.batch(world, self.settings.batch));
            let step = sft.learner().steps();
            bar.set_position(step);
            if step.is_multiple_of(LOOK_EVERY) || step == steps {
                let metrics = sft.metrics(k).await?;
                let Some(last) = metrics.last() else { continue };
                if !last.loss.is_finite() {
                    return Err(Failure::new(format!("the loss was not a finite number at step {}", last.step)));
                }
                let line = format!("loss {:.4} nats a token, gradient norm {:.3}", last.loss, last.gradient_norm);
                if step.is_multiple_of(REPORT_EVERY) {
                    progress::say(&bar, &format!("step {step}: {line}"));
                }
                bar.set_message(line);
            }
        }
        bar.finish_and_clear();
        let step = sft.learner().steps();
        let parameters = sft.learner().read_parameters(k).await?;
        let checkpoint = Checkpoint {
            config: self.config,
            vocabulary_fingerprint: world.vocabulary().fingerprint(),
            step,
            stage: self.name.into(),
            head: false,
            parameters,
        };
        files::write_checkpoint(out, &checkpoint)?;
        files::print(&format!("{}: {} after {step} steps\n", out.display(), self.name));
        if self.name == "sft" {
            files::print(&compare_with_grammar(k, world, network, &sft.learner().parameters).await?);
        }
        Ok(if step == steps { End::Done } else { End::Interrupted })
    }
}

/// The model's and the grammar's nats a review, on reviews neither was fitted to.
async fn compare_with_grammar<K: Kernels>(
    k: &mut K,
    world: &World,
    network: Network,
    parameters: &K::Floats,
) -> Result<String, Failure> {
    let mut generator = Generator::new(0, "held-out reviews");
    let reviews: Vec<Sequence> = (0..REVIEWS)
        .map(|_| {
            let review = world.review(&mut generator);
            Sequence { tokens: review.tokens, prompt_length: review.prompt_length }
        })
        .collect();
    let mut scorer = Scorer::new(k, network, SequenceSize { batch: 128, length: MAX_SEQUENCE - 1 });
    let model = scorer.sequence_logprobs(k, parameters, &reviews).await?;
    let grammar = reviews.iter().map(|review| {
        let likelihood = world.log_likelihood(review.prompt(), review.completion());
        likelihood.expect("the review was written to one of the world's prompts")
    });
    let excess: Vec<f64> = grammar.zip(&model).map(|(grammar, model)| grammar - model).collect();
    Ok(format!(
        "{} nats a review, {} ± {} above the grammar's own\n",
        number(-mean(&model), 3),
        number(mean(&excess), 3),
        number(half_width(&excess), 3)
    ))
}
