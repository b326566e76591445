//! `unlikelihood`, `preferred-ft` and `best-of-n`: what the DPO paper compares itself with, besides PPO.

use std::ops::ControlFlow;
use std::path::PathBuf;
use std::time::Instant;

use clap::Args;
use indicatif::ProgressBar;
use klimb::ConfigError;
use klimb::algorithms::{PairAlgorithm, SftSettings, UnlikelihoodSettings, best_of_n_bound};
use klimb::backend::network::Network;
use klimb::experiments::{BestOfNRun, BestOfNSettings, Plan, Reference, Sink, SweepError, SweepPoint, run_best_of_n};
use klimb::metrics::{MetricRow, Setting};

use super::machine::{BackendArguments, on};
use super::number::number;
use super::training::{PairCommand, SinkError, TrainingArguments};
use super::{End, Failure, files, interrupt, progress};

/// Align a policy with preferences by unlikelihood
#[derive(Debug, Args)]
#[command(
    long_about = "Align a policy with preferences by unlikelihood, as the DPO paper compares itself with (Rafailov et al. \
        2023, section 6): the log-probability of the preferred completion goes up, and with weight α that of the other \
        goes down. Nothing weighs the pairs, and nothing ties the policy to the reference.",
    after_long_help = "Example:\n  \
        klimb unlikelihood --alpha 0.1 --out unlikelihood.safetensors"
)]
pub struct Unlikelihood {
    /// Weight of pushing the rejected down, 0 to 1
    #[arg(long, default_value_t = UnlikelihoodSettings::default().alpha, allow_negative_numbers = true)]
    alpha: f64,
    #[command(flatten)]
    training: TrainingArguments,
}

impl PairCommand for Unlikelihood {
    fn training(&self) -> &TrainingArguments {
        &self.training
    }

    fn algorithm(&self) -> PairAlgorithm {
        PairAlgorithm::Unlikelihood(UnlikelihoodSettings { alpha: self.alpha, ..UnlikelihoodSettings::default() })
    }
}

/// Fine-tune a policy on the preferred completions
#[derive(Debug, Args)]
#[command(
    long_about = "Fine-tune a policy on the preferred completions (Preferred-FT; Rafailov et al. 2023, section 6): SFT, as \
        if they were demonstrations. It looks at half of what preferences say. To make a reference from a base model in \
        this way, see `klimb sft --from-chosen`.",
    after_long_help = "Example:\n  \
        klimb preferred-ft --out preferred-ft.safetensors"
)]
pub struct PreferredFt {
    #[command(flatten)]
    training: TrainingArguments,
}

impl PairCommand for PreferredFt {
    fn training(&self) -> &TrainingArguments {
        &self.training
    }

    fn algorithm(&self) -> PairAlgorithm {
        PairAlgorithm::PreferredFt(SftSettings::default())
    }
}

/// Measure Best-of-N: draw N completions, keep the best
#[derive(Debug, Args)]
#[command(
    long_about = "Measure Best-of-N: the reference writes N completions of a prompt, and the one with the highest gold \
        reward is kept, or with --reward the one that a reward model scores highest. Nothing is trained.\n\n\
        N = 2, 4, 8, … up to --largest, on held-out prompts. The KL is the mean of log(π_N/π_ref) over the draws, from \
        the distribution of the scores among at least 4096 completions a prompt; beside it stands the analytic \
        bound log N − (N − 1)/N, which it falls short of where completions score alike.",
    after_long_help = "Example:\n  \
        klimb best-of-n --largest 64\n  \
        klimb best-of-n --reward reward-model.safetensors"
)]
pub struct BestOfN {
    /// The reference [default: the SFT model that ships with the page]
    #[arg(long, value_name = "FILE")]
    from: Option<PathBuf>,
    /// A reward model that picks, of the reference's sizes, instead of the gold reward
    #[arg(long, value_name = "FILE")]
    reward: Option<PathBuf>,
    /// The largest N
    #[arg(long, default_value_t = 128, value_parser = clap::value_parser!(u16).range(1..=1024))]
    largest: u16,
    /// Draws a point
    #[arg(long, default_value_t = BestOfNSettings::default().samples)]
    samples: usize,
    /// Names the completions
    #[arg(long, default_value_t = 1, value_parser = crate::commands::seed)]
    seed: u64,
    #[command(flatten)]
    backend: BackendArguments,
}

impl BestOfN {
    /// Refuses settings that cannot be used.
    pub fn check(&self) -> Result<(), ConfigError> {
        self.settings().validated().map(drop)
    }

    fn settings(&self) -> BestOfNSettings {
        let defaults = BestOfNSettings::default();
        BestOfNSettings { largest: self.largest.into(), samples: self.samples, ..defaults }
    }

    pub fn run(self) -> Result<End, Failure> {
        let settings = self.settings().validated()?;
        let world = files::world()?;
        let from = files::given_or_shipped(self.from.as_deref(), "sft.safetensors")?;
        let reference = files::read_checkpoint(&from, &world)?;
        let reward = self.reward.as_deref().map(|path| files::read_headed_checkpoint(path, &world, reference.config));
        let reward = reward.transpose()?.map(|checkpoint| checkpoint.parameters);
        interrupt::listen()?;
        let work = Plan::BestOfN(settings).work(&world);
        let mut table = Table { start: Instant::now(), bar: progress::bar(work, "pieces") };
        files::print_answer("     N  KL, nats        at most  gold reward     distinct\n")?;
        let network = Network::new(reference.config);
        let start = Reference { network: &network, parameters: &reference.parameters };
        let run = BestOfNRun { settings: &settings, reward_model: reward.as_deref(), seed: self.seed };
        let ended = on!(self.backend.open()?, k => {
            pollster::block_on(run_best_of_n(k, &world, start, run, &mut table))
        });
        table.bar.finish_and_clear();
        ended.map_err(|error: SweepError<SinkError>| Failure::new(error.to_string()))?;
        Ok(if interrupt::requested() { End::Interrupted } else { End::Done })
    }
}

/// Prints a line for each N, and moves a bar.
struct Table {
    start: Instant,
    bar: ProgressBar,
}

impl Sink for Table {
    type Error = SinkError;

    fn seconds(&self) -> f64 {
        self.start.elapsed().as_secs_f64()
    }

    fn stepped(&mut self, done: u64) -> ControlFlow<()> {
        self.bar.set_position(done);
        if interrupt::requested() { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    }

    fn metrics(&mut self, _: &[MetricRow]) {}

    fn point(&mut self, SweepPoint { point, .. }: SweepPoint) -> Result<(), SinkError> {
        let bound = if let Setting::Number(n) = point.setting { best_of_n_bound(n as usize) } else { f64::NAN };
        let line = format!(
            "{:>6}  {:>6} ± {:<5}  {:>7}  {:>5} ± {:<5}  {:>8}\n",
            point.setting,
            number(point.kl_per_sequence, 3),
            number(point.kl_half_width, 3),
            number(bound, 3),
            number(point.gold_reward, 3),
            number(point.gold_reward_half_width, 3),
            number(point.diversity.unwrap_or(f64::NAN), 2)
        );
        self.bar.suspend(|| files::print_answer(&line))?;
        Ok(())
    }
}
