//! `pairs`: preference data as a file.

use std::path::{Path, PathBuf};

use clap::{Args, ValueEnum};
use klimb::ConfigError;
use klimb::backend::Kernels;
use klimb::backend::network::Network;
use klimb::experiments::{PAIRS_PER_CHUNK, PreferenceData, PreferenceSettings, Writer};
use klimb::language::upload;
use klimb::model::Checkpoint;
use klimb::rng::Generator;
use klimb::text;
use klimb::world::World;
use klimb::world::preferences::{LabelSettings, Pair, from_jsonl, to_jsonl, with_flips};

use super::machine::{BackendArguments, on};
use super::{End, Failure, files, interrupt, progress};

/// How labels are drawn, for every command that makes pairs.
#[derive(Debug, Clone, Copy, Args)]
pub struct LabelArguments {
    /// τ: a label follows σ((gold_A − gold_B)/τ); 0 always prefers the higher gold reward
    #[arg(long, default_value_t = LabelSettings::default().temperature, allow_negative_numbers = true)]
    label_temperature: f64,
    /// Probability that a label is then turned round, 0 to 0.5
    #[arg(long, default_value_t = LabelSettings::default().flip_probability, allow_negative_numbers = true)]
    flip_probability: f64,
}

/// Who writes what is compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum WrittenBy {
    /// The reference
    Reference,
    /// The world's grammar, as if someone else had collected the data
    Grammar,
    /// The policy in training, anew for every batch: online DPO
    Policy,
}

impl From<WrittenBy> for Writer {
    fn from(writer: WrittenBy) -> Self {
        match writer {
            WrittenBy::Reference => Self::Reference,
            WrittenBy::Grammar => Self::Grammar,
            WrittenBy::Policy => Self::Policy,
        }
    }
}

impl From<LabelArguments> for LabelSettings {
    fn from(arguments: LabelArguments) -> Self {
        Self { temperature: arguments.label_temperature, flip_probability: arguments.flip_probability }
    }
}

/// Write preference pairs as JSON lines
#[derive(Debug, Args)]
#[command(
    long_about = "Write preference pairs as JSON lines with `prompt`, `chosen` and `rejected`.\n\n\
        The model, or the grammar, writes four completions of each training prompt at temperature 1, and the world \
        labels all six pairs by the Bradley-Terry model on the gold reward.",
    after_long_help = "Examples:\n  \
        klimb pairs --count 6\n  \
        klimb pairs --from sft.safetensors --count 12288 --label-temperature 0 --out pairs.jsonl"
)]
pub struct Pairs {
    /// The model that writes [default: the SFT model that ships with the page]
    #[arg(long, value_name = "FILE")]
    from: Option<PathBuf>,
    /// Pairs
    #[arg(long, default_value_t = 384)]
    count: usize,
    /// Who writes the completions
    #[arg(long, value_enum, default_value = "reference")]
    written_by: WrittenBy,
    #[command(flatten)]
    labels: LabelArguments,
    /// The file to write [default: the standard output]
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
    /// Names the prompts, the completions and the labels
    #[arg(long, default_value_t = 1, value_parser = crate::commands::seed)]
    seed: u64,
    #[command(flatten)]
    backend: BackendArguments,
}

/// Chunks that hold `pairs` pairs.
pub fn chunks_for(pairs: usize) -> usize {
    pairs.div_ceil(PAIRS_PER_CHUNK)
}

/// The pairs that somebody labelled in a file, as JSON lines; some of them turned round, if `labels` say so.
pub fn read_pairs(path: &Path, world: &World, labels: LabelSettings, seed: u64) -> Result<Vec<Pair>, Failure> {
    let bytes = files::read(path)?;
    let text = text::of_bytes(&bytes).map_err(|error| Failure::about(path.display(), error))?;
    let pairs = from_jsonl(world, &text).map_err(|error| Failure::about(path.display(), error))?;
    Ok(with_flips(pairs, labels.flip_probability, &mut Generator::new(seed, "label flips")))
}

impl Pairs {
    pub fn run(self) -> Result<End, Failure> {
        self.check()?;
        if let Some(out) = &self.out {
            files::check_writable(out)?;
        }
        let world = files::world()?;
        let from = files::given_or_shipped(self.from.as_deref(), "sft.safetensors")?;
        let writer = files::read_checkpoint(&from, &world)?;
        on!(self.backend.open()?, k => pollster::block_on(self.write(k, &world, &writer)))
    }

    /// Refuses settings that cannot be used.
    pub fn check(&self) -> Result<(), ConfigError> {
        self.settings().validated().map(drop)
    }

    fn settings(&self) -> PreferenceSettings {
        PreferenceSettings {
            chunks: chunks_for(self.count),
            labels: self.labels.into(),
            writer: self.written_by.into(),
            ..PreferenceSettings::default()
        }
    }

    async fn write<K: Kernels>(&self, k: &mut K, world: &World, writer: &Checkpoint) -> Result<End, Failure> {
        interrupt::listen()?;
        let network = Network::new(writer.config);
        let parameters = upload(k, &writer.parameters);
        let mut data = PreferenceData::new(k, &network, self.seed, self.settings());
        let bar = progress::bar(self.count as u64, "pairs");
        while data.len() < self.count && !interrupt::requested() {
            data.extend(k, world, &parameters).await?;
            bar.set_position(data.len() as u64);
        }
        bar.finish_and_clear();
        let pairs: Vec<Pair> = data.pairs().take(self.count).cloned().collect();
        let lines = to_jsonl(world, &pairs);
        match &self.out {
            Some(out) => files::write(out, lines)?,
            None => files::print_answer(&lines)?,
        }
        Ok(if pairs.len() == self.count { End::Done } else { End::Interrupted })
    }
}
