//! What the commands of all methods on pairs share: one policy from the reference on preference pairs, with its points.

use std::ops::ControlFlow;
use std::path::PathBuf;
use std::time::Instant;

use clap::Args;
use indicatif::ProgressBar;
use klimb::ConfigError;
use klimb::algorithms::{Budget, PairAlgorithm};
use klimb::backend::Kernels;
use klimb::backend::network::Network;
use klimb::experiments::{
    EvaluationSettings, PAIRS_PER_CHUNK, PreferenceData, PreferenceSettings, Reference, Sink, SweepPoint,
    TrainingSettings, reference_point, train_on,
};
use klimb::language::Schedule;
use klimb::metrics::{METHODS, MetricRow};
use klimb::model::Checkpoint;
use klimb::world::World;
use klimb::world::preferences::Pair;

use super::machine::{BackendArguments, on};
use super::number::{measured, number};
use super::pairs::{LabelArguments, WrittenBy, chunks_for, read_pairs};
use super::{End, Failure, files, interrupt, progress};

/// What every training on pairs is told.
#[derive(Debug, Args)]
pub struct TrainingArguments {
    /// The reference [default: the SFT model that ships with the page]
    #[arg(long, value_name = "FILE")]
    from: Option<PathBuf>,
    /// The checkpoint to write
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
    /// Optimiser steps
    #[arg(long, default_value_t = Budget::default().schedule.steps)]
    steps: u64,
    /// Largest learning rate, after the warm-up
    #[arg(long, default_value_t = Budget::default().schedule.peak, allow_negative_numbers = true)]
    learning_rate: f64,
    /// Pairs a step
    #[arg(long, default_value_t = Budget::default().pairs)]
    batch: usize,
    /// Pairs labelled by somebody, as JSON lines with `prompt`, `chosen` and `rejected`, instead of the world's
    #[arg(long, value_name = "FILE", conflicts_with_all = ["pairs", "written_by", "label_temperature"])]
    preferences: Option<PathBuf>,
    /// Pairs in all, rounded up to chunks of 192; they repeat when used up
    #[arg(long, default_value_t = PAIRS_PER_CHUNK * PreferenceSettings::default().chunks)]
    pairs: usize,
    /// Who writes the completions of the pairs
    #[arg(long, value_enum, default_value = "reference")]
    written_by: WrittenBy,
    #[command(flatten)]
    labels: LabelArguments,
    /// Steps between two points
    #[arg(long, default_value_t = TrainingSettings::EVALUATE_EVERY)]
    evaluate_every: u64,
    /// Samples a point
    #[arg(long, default_value_t = EvaluationSettings::default().samples)]
    samples: usize,
    /// Names the pairs and their order
    #[arg(long, default_value_t = 1, value_parser = crate::commands::seed)]
    seed: u64,
    #[command(flatten)]
    backend: BackendArguments,
}

/// A command that trains by a method on pairs: what is its own is the algorithm.
pub trait PairCommand {
    /// What it is told as every other.
    fn training(&self) -> &TrainingArguments;

    /// The algorithm, with any budget.
    fn algorithm(&self) -> PairAlgorithm;

    /// The settings of the training, or all that cannot be used.
    fn settings(&self) -> Result<TrainingSettings, ConfigError> {
        self.training().settings(self.algorithm().with_budget(self.training().budget()))
    }

    /// Refuses settings that cannot be used.
    fn check(&self) -> Result<(), ConfigError> {
        self.settings().map(drop)
    }

    /// Trains.
    fn run(self) -> Result<End, Failure>
    where
        Self: Sized,
    {
        self.training().run(self.settings()?)
    }
}

impl TrainingArguments {
    /// The settings of a training by `algorithm`, or all that cannot be used.
    fn settings(&self, algorithm: PairAlgorithm) -> Result<TrainingSettings, ConfigError> {
        let settings = TrainingSettings {
            algorithm,
            preferences: PreferenceSettings {
                chunks: chunks_for(self.pairs),
                labels: self.labels.into(),
                writer: self.written_by.into(),
                ..PreferenceSettings::default()
            },
            evaluation: EvaluationSettings { samples: self.samples, ..EvaluationSettings::default() },
            evaluate_every: self.evaluate_every,
        };
        settings.validated()
    }

    /// Trains.
    fn run(&self, settings: TrainingSettings) -> Result<End, Failure> {
        files::check_writable(&self.out)?;
        let world = files::world()?;
        let from = files::given_or_shipped(self.from.as_deref(), "sft.safetensors")?;
        let reference = files::read_checkpoint(&from, &world)?;
        let labels = settings.preferences.labels;
        let given = self.preferences.as_deref().map(|path| read_pairs(path, &world, labels, self.seed)).transpose()?;
        on!(self.backend.open()?, k => pollster::block_on(self.train(k, &world, &reference, given, &settings)))
    }

    /// The budget asked for.
    fn budget(&self) -> Budget {
        let budget = Budget::of_steps(self.steps);
        let schedule = Schedule { peak: self.learning_rate, ..budget.schedule };
        Budget {
            pairs: self.batch,
            schedule: Schedule { floor: schedule.floor.min(schedule.peak), ..schedule },
            ..budget
        }
    }

    async fn train<K: Kernels>(
        &self,
        k: &mut K,
        world: &World,
        reference: &Checkpoint,
        given: Option<Vec<Pair>>,
        settings: &TrainingSettings,
    ) -> Result<End, Failure> {
        interrupt::listen()?;
        let network = Network::new(reference.config);
        let bar = progress::bar(settings.steps(), "steps");
        let mut sink = Terminal { start: Instant::now(), last: None, bar };
        files::print("  step    loss  accuracy  margin  gradient  KL, nats        gold reward     distinct\n");
        let start = Reference { network: &network, parameters: &reference.parameters };
        sink.point(reference_point(k, world, start, 0, settings.evaluation).await?)?;
        let data = match given {
            Some(pairs) => PreferenceData::given(k, &network, self.seed, pairs),
            None => PreferenceData::new(k, &network, self.seed, settings.preferences),
        };
        let end = train_on(k, world, start, data, settings, &mut sink).await;
        sink.bar.finish_and_clear();
        let end = end.map_err(|error| Failure::new(error.to_string()))?;
        let method = settings.algorithm.method();
        let checkpoint =
            Checkpoint { step: end.step, stage: method.to_string(), parameters: end.parameters, ..reference.clone() };
        files::write_checkpoint(&self.out, &checkpoint)?;
        files::print(&format!("{}: {method} after {} steps\n", self.out.display(), end.step));
        Ok(if end.is_finished { End::Done } else { End::Interrupted })
    }
}

/// Prints points, and moves a bar.
struct Terminal {
    start: Instant,
    last: Option<MetricRow>,
    bar: ProgressBar,
}

/// A failure as an error, which a sink's must be.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct SinkError(pub String);

impl From<Failure> for SinkError {
    fn from(Failure(sentence): Failure) -> Self {
        Self(sentence)
    }
}

/// The first of `names` that the row has; blank where it has none.
fn shown(row: Option<&MetricRow>, names: &[&str], width: usize, digits: usize) -> String {
    let value = row.and_then(|row| names.iter().find_map(|&name| row.values.get(name)));
    value.map_or_else(|| " ".repeat(width), |value| format!("{:>width$}", number(*value, digits)))
}

/// The loss of whatever method on pairs it is.
pub fn loss(row: Option<&MetricRow>) -> String {
    let on_pairs = METHODS.iter().filter(|info| info.method.learns_from_pairs());
    shown(row, &on_pairs.filter_map(|info| info.loss).collect::<Vec<_>>(), 6, 4)
}

impl Sink for Terminal {
    type Error = SinkError;

    fn seconds(&self) -> f64 {
        self.start.elapsed().as_secs_f64()
    }

    fn stepped(&mut self, done: u64) -> ControlFlow<()> {
        self.bar.set_position(done);
        if interrupt::requested() { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    }

    fn metrics(&mut self, metrics: &[MetricRow]) {
        self.last = metrics.last().cloned().or(self.last.take());
        self.bar.set_message(format!("loss {}", loss(self.last.as_ref())));
    }

    fn point(&mut self, SweepPoint { point, .. }: SweepPoint) -> Result<(), SinkError> {
        let row = self.last.as_ref();
        let line = format!(
            "{:>6}  {}  {}  {}  {}  {}\n",
            point.step,
            loss(row),
            shown(row, &["rewards/accuracies", "unlikelihood/accuracy"], 8, 3),
            shown(row, &["rewards/margins"], 6, 3),
            shown(row, &["optimiser/gradient_norm"], 8, 3),
            measured(&point)
        );
        self.bar.suspend(|| files::print(&line));
        Ok(())
    }
}
