//! `reward-model`: a reward model from preferences, with its report.

use std::fmt::Write;
use std::path::PathBuf;

use clap::Args;
use klimb::ConfigError;
use klimb::algorithms::RewardModelSettings;
use klimb::backend::Kernels;
use klimb::backend::network::Network;
use klimb::experiments::{
    PAIRS_PER_CHUNK, PAIRS_PER_INSTANCE, PairSplit, PreferenceData, PreferenceSettings, RewardModelRecipe,
    RewardModelReport, RewardModelTraining, Share, TrainedRewardModel, instances_by_prompt, reference_completions,
};
use klimb::language::{Schedule, upload};
use klimb::model::{Checkpoint, ModelConfig};
use klimb::world::World;
use klimb::world::preferences::{LabelSettings, Pair};

use super::machine::{BackendArguments, on};
use super::number::number;
use super::pairs::{LabelArguments, chunks_for, read_pairs};
use super::{End, Failure, files, interrupt, progress};

/// Pairs unless said otherwise: a tenth is held back for validation, 20,000 are learned from.
const PAIRS: usize = 116 * PAIRS_PER_CHUNK;

/// Train a reward model on preferences
#[derive(Debug, Args)]
#[command(
    long_about = "Train a reward model on preferences (Ouyang et al. 2022, equation 1).\n\n\
        The SFT model gets a scalar head and learns to score what was preferred higher. A tenth of the prompts' pairs is \
        held back; every so many steps the model is judged on them, against the labels and against the gold order, and \
        the best one is kept. Its scores are then shifted to mean 0 under the reference, and not rescaled, so that β \
        means the same to PPO as to DPO. Ctrl-C writes the best model so far.",
    after_long_help = "Examples:\n  \
        klimb reward-model --out reward-model.safetensors\n  \
        klimb reward-model --preferences labelled.jsonl --epochs 20 --out mine.safetensors\n  \
        klimb score --reward-model reward-model.safetensors \"the plot was not very good .\""
)]
pub struct RewardModel {
    /// The reference [default: the SFT model that ships with the page]
    #[arg(long, value_name = "FILE")]
    from: Option<PathBuf>,
    /// The checkpoint to write
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
    /// Pairs labelled by somebody, as JSON lines with `prompt`, `chosen` and `rejected`, instead of the world's
    #[arg(long, value_name = "FILE", conflicts_with = "pairs")]
    preferences: Option<PathBuf>,
    /// Pairs in all, rounded up to chunks of 192
    #[arg(long, default_value_t = PAIRS)]
    pairs: usize,
    #[command(flatten)]
    labels: LabelArguments,
    /// How often each pair is learned from
    #[arg(long, default_value_t = RewardModelRecipe::default().epochs)]
    epochs: u64,
    /// Largest learning rate, after the warm-up
    #[arg(long, default_value_t = RewardModelSettings::default().schedule.peak, allow_negative_numbers = true)]
    learning_rate: f64,
    /// Pairs a step
    #[arg(long, default_value_t = RewardModelSettings::default().pairs)]
    batch: usize,
    /// Share of the prompts' pairs held back for validation
    #[arg(long, default_value_t = RewardModelRecipe::default().validation_share, allow_negative_numbers = true)]
    validation_share: f64,
    /// Steps between two validations
    #[arg(long, default_value_t = RewardModelRecipe::default().validate_every)]
    validate_every: u64,
    /// Divide scores by their standard deviation under the reference: this changes what β means
    #[arg(long)]
    whiten: bool,
    /// Names the pairs, their order, what is held back, and the first head
    #[arg(long, default_value_t = 1, value_parser = crate::commands::seed)]
    seed: u64,
    #[command(flatten)]
    backend: BackendArguments,
}

impl RewardModel {
    pub fn run(self) -> Result<End, Failure> {
        self.check()?;
        let labels = LabelSettings::from(self.labels);
        let recipe = self.recipe(labels);
        files::check_writable(&self.out)?;
        let world = files::world()?;
        let given = self.preferences.as_deref().map(|path| read_pairs(path, &world, labels, self.seed));
        let given = given.transpose()?.map(instances_by_prompt);
        let from = files::given_or_shipped(self.from.as_deref(), "sft.safetensors")?;
        let reference = files::read_checkpoint(&from, &world)?;
        on!(self.backend.open()?, k => {
            pollster::block_on(self.train(k, &world, &reference, given, labels, recipe))
        })
    }

    /// Refuses settings that cannot be used.
    pub fn check(&self) -> Result<(), ConfigError> {
        let labels = self.labels.into();
        ConfigError::all([self.preferences(labels).validated().map(drop), self.recipe(labels).validated().map(drop)])
    }

    fn preferences(&self, labels: LabelSettings) -> PreferenceSettings {
        PreferenceSettings { chunks: chunks_for(self.pairs), labels, ..PreferenceSettings::default() }
    }

    fn recipe(&self, labels: LabelSettings) -> RewardModelRecipe {
        let defaults = RewardModelRecipe::default();
        let schedule = defaults.training.schedule;
        let schedule = Schedule { peak: self.learning_rate, floor: schedule.floor.min(self.learning_rate), ..schedule };
        RewardModelRecipe {
            training: RewardModelSettings { pairs: self.batch, schedule, ..defaults.training },
            epochs: self.epochs,
            validation_share: self.validation_share,
            validate_every: self.validate_every,
            temperature: labels.temperature,
            whiten: self.whiten,
        }
    }

    async fn train<K: Kernels>(
        &self,
        k: &mut K,
        world: &World,
        reference: &Checkpoint,
        given: Option<Vec<Vec<Pair>>>,
        labels: LabelSettings,
        recipe: RewardModelRecipe,
    ) -> Result<End, Failure> {
        interrupt::listen()?;
        let instances = match given {
            Some(instances) => instances,
            None => self.instances(k, world, reference, labels).await?,
        };
        let split = PairSplit::new(instances, recipe.validation_share, self.seed)?;
        let (learned, validated) = (split.train.len(), split.validation_pairs());
        progress::tell(&format!("{learned} pairs to learn from, {validated} to validate on"));
        let mut training =
            RewardModelTraining::new(k, reference.config, &reference.parameters, split, self.seed, recipe);
        let total = training.total_steps();
        let bar = progress::bar(total, "steps");
        files::print("  step    loss  validation  label order     gold order      slope  calibration\n");
        while training.steps() < total && !interrupt::requested() {
            let report = training.advance(k).await?;
            bar.set_position(training.steps());
            if let Some(report) = report {
                let metrics = training.algorithm().metrics(k).await?;
                let loss = metrics.last().map_or(f64::NAN, |last| last.loss);
                let line = line(&report, loss);
                bar.suspend(|| files::print(&line));
            }
        }
        bar.finish_and_clear();
        let end = if training.steps() == total { End::Done } else { End::Interrupted };
        let trained = self.finish(k, world, reference, training).await?;
        files::print(&summary(&trained, self.whiten)?);
        let checkpoint = Checkpoint {
            step: trained.report.step,
            stage: "reward_model".into(),
            head: true,
            parameters: trained.parameters,
            ..reference.clone()
        };
        files::write_checkpoint(&self.out, &checkpoint)?;
        files::print(&format!("{}: reward_model after {} steps\n", self.out.display(), checkpoint.step));
        Ok(end)
    }

    /// The world's pairs about what the reference writes, in prompt instances.
    async fn instances<K: Kernels>(
        &self,
        k: &mut K,
        world: &World,
        reference: &Checkpoint,
        labels: LabelSettings,
    ) -> Result<Vec<Vec<Pair>>, Failure> {
        let parameters = upload(k, &reference.parameters);
        let settings = self.preferences(labels);
        let mut data = PreferenceData::new(k, &Network::new(reference.config), self.seed, settings);
        let bar = progress::bar(data.capacity() as u64, "pairs");
        while data.len() < data.capacity() && !interrupt::requested() {
            data.extend(k, world, &parameters).await?;
            bar.set_position(data.len() as u64);
        }
        bar.finish_and_clear();
        let pairs: Vec<Pair> = data.pairs().cloned().collect();
        Ok(pairs.chunks(PAIRS_PER_INSTANCE).map(<[Pair]>::to_vec).collect())
    }

    async fn finish<K: Kernels>(
        &self,
        k: &mut K,
        world: &World,
        reference: &Checkpoint,
        training: RewardModelTraining<K>,
    ) -> Result<TrainedRewardModel, Failure> {
        let parameters = upload(k, &reference.parameters);
        let config: ModelConfig = reference.config;
        let completions = reference_completions(k, world, &Network::new(config), &parameters, self.seed).await?;
        Ok(training.finish(k, &completions).await?)
    }
}

fn line(report: &RewardModelReport, loss: f64) -> String {
    let RewardModelReport { step, loss: validation, label_accuracy, gold_accuracy, slope, .. } = report;
    format!(
        "{step:>6}  {:>6}  {:>10}  {}  {}  {:>5}  {:>11}\n",
        number(loss, 4),
        number(*validation, 4),
        share(label_accuracy),
        share(gold_accuracy),
        number(*slope, 3),
        number(report.calibration_error, 4)
    )
}

/// A share with its interval. One prompt has none, and where all gold rewards are equal there is no gold order.
fn share(Share { share, half_width }: &Share) -> String {
    let interval = if half_width.is_finite() { format!("± {half_width:<5.3}") } else { String::new() };
    format!("{:>5} {interval:<7}", number(*share, 3))
}

/// The best model's reliability, and where its scores lie.
fn summary(trained: &TrainedRewardModel, whiten: bool) -> Result<String, std::fmt::Error> {
    let TrainedRewardModel { report, reference_mean, reference_deviation, .. } = trained;
    let mut text = format!("best: step {}\n\n  confidence    pairs  mean  right\n", report.step);
    for bin in &report.reliability {
        let high = bin.low + 0.05;
        writeln!(text, "  {:.2} to {high:.2}  {:>5}  {:.3}  {:.3}", bin.low, bin.pairs, bin.confidence, bin.accuracy)?;
    }
    let rescaled = if whiten { "divided by their deviation, which changes what β means" } else { "not rescaled" };
    writeln!(
        text,
        "\nscores shifted by {:+.3} to mean 0 under the reference, deviation {reference_deviation:.3}, {rescaled}",
        -reference_mean
    )?;
    Ok(text)
}
