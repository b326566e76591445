//! `dpo`: one policy from the reference, with its points.

use std::ops::ControlFlow;
use std::path::PathBuf;
use std::time::Instant;

use clap::{Args, ValueEnum};
use indicatif::ProgressBar;
use klimb::algorithms::{DpoMetrics, DpoSettings};
use klimb::backend::Kernels;
use klimb::backend::network::Network;
use klimb::experiments::{
    EvaluationSettings, PAIRS_PER_CHUNK, PreferenceSettings, RunSettings, Sink, SweepPoint, SweepRun, reference_point,
    run_dpo,
};
use klimb::language::Schedule;
use klimb::model::Checkpoint;
use klimb::objectives::DpoLoss;
use klimb::world::World;
use klimb::world::preferences::LabelSettings;

use super::machine::{BackendArguments, on};
use super::pairs::{LabelArguments, WrittenBy, chunks_for};
use super::{End, Failure, files, interrupt, progress};

/// Align a policy with preferences by DPO
#[derive(Debug, Args)]
#[command(
    long_about = "Align a policy with preferences by direct preference optimisation (Rafailov et al. 2023).\n\n\
        The reference writes four completions a prompt, the world labels all six pairs by gold reward, and the policy \
        learns to prefer what was preferred. A high β is a short leash to the reference. Every so many steps the policy \
        is measured on held-out prompts: mean gold reward, and exact KL in nats a sequence, with 95 % intervals. Ctrl-C \
        writes the policy as it is.",
    after_long_help = "Examples:\n  \
        klimb dpo --beta 0.3 --out dpo.safetensors\n  \
        klimb dpo --from sft-64.safetensors --beta 1 --steps 600 --backend gpu --out dpo-64.safetensors"
)]
pub struct Dpo {
    /// The reference [default: the SFT model that ships with the page]
    #[arg(long, value_name = "FILE")]
    from: Option<PathBuf>,
    /// The checkpoint to write
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
    /// Strength of the leash to the reference
    #[arg(long, default_value_t = DpoSettings::default().beta, allow_negative_numbers = true)]
    beta: f64,
    /// Optimiser steps
    #[arg(long, default_value_t = DpoSettings::default().schedule.steps)]
    steps: u64,
    /// Largest learning rate, after the warm-up
    #[arg(long, default_value_t = DpoSettings::default().schedule.peak, allow_negative_numbers = true)]
    learning_rate: f64,
    /// Pairs a step
    #[arg(long, default_value_t = DpoSettings::default().pairs)]
    batch: usize,
    /// Pairs in all, rounded up to chunks of 192; they repeat when used up
    #[arg(long, default_value_t = PAIRS_PER_CHUNK * PreferenceSettings::default().chunks)]
    pairs: usize,
    /// Probability with which a label is taken to be wrong (cDPO)
    #[arg(long, default_value_t = 0.0, allow_negative_numbers = true)]
    label_smoothing: f64,
    /// How a pair's margin becomes its loss
    #[arg(long, value_enum, default_value = "sigmoid")]
    loss: Loss,
    /// Compare log-probabilities per token, so that length earns nothing
    #[arg(long)]
    length_normalised: bool,
    /// Leave the reference's log-probabilities out: no leash
    #[arg(long)]
    reference_free: bool,
    /// Who writes the completions of the pairs
    #[arg(long, value_enum, default_value = "reference")]
    written_by: WrittenBy,
    #[command(flatten)]
    labels: LabelArguments,
    /// Steps between two points
    #[arg(long, default_value_t = RunSettings::default().evaluate_every)]
    evaluate_every: u64,
    /// Samples a point
    #[arg(long, default_value_t = EvaluationSettings::default().samples)]
    samples: usize,
    /// Names the pairs and their order
    #[arg(long, default_value_t = 1)]
    seed: u64,
    #[command(flatten)]
    backend: BackendArguments,
}

/// The losses, for the command line.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Loss {
    /// DPO (Rafailov et al. 2023)
    Sigmoid,
    /// Hinge, as in SLiC (Zhao et al. 2023)
    Hinge,
    /// IPO (Azar et al. 2023)
    Ipo,
}

impl From<Loss> for DpoLoss {
    fn from(loss: Loss) -> Self {
        match loss {
            Loss::Sigmoid => Self::Sigmoid,
            Loss::Hinge => Self::Hinge,
            Loss::Ipo => Self::Ipo,
        }
    }
}

impl Dpo {
    pub fn run(self) -> Result<End, Failure> {
        let settings = self.settings().validated()?;
        files::check_writable(&self.out)?;
        let world = files::world()?;
        let from = files::given_or_shipped(self.from.as_deref(), "sft.safetensors")?;
        let reference = files::read_checkpoint(&from, &world)?;
        let run = SweepRun { seed: self.seed, settings };
        on!(self.backend.open()?, k => pollster::block_on(self.train(k, &world, &reference, &run)))
    }

    fn settings(&self) -> RunSettings {
        let defaults = RunSettings::default();
        let schedule = Schedule { peak: self.learning_rate, steps: self.steps, ..defaults.dpo.schedule };
        let schedule = Schedule { floor: schedule.floor.min(schedule.peak), ..schedule };
        RunSettings {
            dpo: DpoSettings {
                beta: self.beta,
                label_smoothing: self.label_smoothing,
                loss: self.loss.into(),
                length_normalised: self.length_normalised,
                reference_free: self.reference_free,
                pairs: self.batch,
                schedule: Schedule { warm_up: schedule.warm_up.min(self.steps / 4), ..schedule },
                ..defaults.dpo
            },
            preferences: PreferenceSettings {
                chunks: chunks_for(self.pairs),
                labels: LabelSettings::from(self.labels),
                writer: self.written_by.into(),
            },
            evaluation: EvaluationSettings { samples: self.samples, ..defaults.evaluation },
            evaluate_every: self.evaluate_every,
        }
    }

    async fn train<K: Kernels>(
        &self,
        k: &mut K,
        world: &World,
        reference: &Checkpoint,
        run: &SweepRun,
    ) -> Result<End, Failure> {
        interrupt::listen()?;
        let network = Network::new(reference.config);
        let bar = progress::bar(run.settings.steps(), "steps");
        let mut sink = Terminal { start: Instant::now(), last: None, bar };
        files::print("  step    loss  accuracy  margin  gradient  KL, nats        gold reward     distinct\n")?;
        let first = reference_point(k, world, &network, &reference.parameters, 0, run.settings.evaluation).await?;
        sink.point(first)?;
        let end = run_dpo(k, world, &network, &reference.parameters, run, &mut sink).await;
        sink.bar.finish_and_clear();
        let end = end.map_err(|error| Failure::new(error.to_string()))?;
        let checkpoint =
            Checkpoint { step: end.step, stage: "dpo".into(), parameters: end.parameters, ..reference.clone() };
        files::write(&self.out, checkpoint.to_bytes())?;
        files::print(&format!("{}: dpo after {} steps\n", self.out.display(), end.step))?;
        Ok(if end.is_finished { End::Done } else { End::Interrupted })
    }
}

/// Prints points, and moves a bar.
struct Terminal {
    start: Instant,
    last: Option<DpoMetrics>,
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

impl Sink for Terminal {
    type Error = SinkError;

    fn seconds(&self) -> f64 {
        self.start.elapsed().as_secs_f64()
    }

    fn stepped(&mut self, step: u64) -> ControlFlow<()> {
        self.bar.set_position(step);
        if interrupt::requested() { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    }

    fn metrics(&mut self, metrics: &[DpoMetrics]) {
        self.last = metrics.last().copied().or(self.last);
        if let Some(last) = self.last {
            self.bar.set_message(format!("loss {:.4}", last.loss));
        }
    }

    fn point(&mut self, SweepPoint { point, .. }: SweepPoint) -> Result<(), SinkError> {
        let step = point.step;
        let training = self.last.map_or_else(
            || format!("{:>6}  {:>8}  {:>6}  {:>8}", "", "", "", ""),
            |it| {
                let margin = it.chosen_rewards - it.rejected_rewards;
                format!("{:>6.4}  {:>8.3}  {margin:>6.3}  {:>8.3}", it.loss, it.accuracies, it.gradient_norm)
            },
        );
        let line = format!(
            "{step:>6}  {training}  {:>6.3} ± {:<5.3}  {:>5.3} ± {:<5.3}  {:>8.2}\n",
            point.kl_per_sequence,
            point.kl_half_width,
            point.gold_reward,
            point.gold_reward_half_width,
            point.diversity.unwrap_or(f64::NAN)
        );
        self.bar.suspend(|| files::print(&line))?;
        Ok(())
    }
}
