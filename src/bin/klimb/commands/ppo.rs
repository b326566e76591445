//! `ppo`: one policy from the reference by reinforcement learning, with its points.

use std::ops::ControlFlow;
use std::path::PathBuf;
use std::time::Instant;

use clap::{Args, ValueEnum};
use indicatif::ProgressBar;
use klimb::ConfigError;
use klimb::algorithms::{PpoMetrics, PpoSettings, PpoStart, ValueNetwork};
use klimb::backend::Kernels;
use klimb::backend::network::Network;
use klimb::experiments::{
    EvaluationSettings, PpoRun, PpoRunSettings, PpoSink, Reference, SweepPoint, reference_point, run_ppo,
};
use klimb::language::Schedule;
use klimb::metrics::{Method, MetricRow};
use klimb::model::Checkpoint;
use klimb::world::World;

use super::machine::{BackendArguments, on};
use super::number::{measured, number};
use super::training::SinkError;
use super::{End, Failure, files, interrupt, progress};

const HEADER: &str =
    "  step     score       β  explained  clipped  ratios       KL, nats        gold reward     distinct\n";

/// Align a policy with a reward by PPO
#[derive(Debug, Args)]
#[command(
    long_about = "Align a policy with a reward by proximal policy optimisation (Schulman et al. 2017; Ouyang et al. \
        2022).\n\n\
        The policy writes 256 reviews a rollout; the gold reward or a reward model judges each of them, every token \
        pays β for a nat of KL from the reference, and the policy takes 16 optimiser steps on what it wrote. A high β \
        is a short leash. Every so many rollouts the policy is measured on held-out prompts: mean gold reward, and exact \
        KL in nats a sequence, with 95 % intervals. Ctrl-C writes the policy as it is.",
    after_long_help = "Examples:\n  \
        klimb ppo --beta 0.3 --out ppo-gt.safetensors\n  \
        klimb ppo --reward reward.safetensors --target-kl 3 --out ppo.safetensors"
)]
pub struct Ppo {
    /// The reference [default: the SFT model that ships with the page]
    #[arg(long, value_name = "FILE")]
    from: Option<PathBuf>,
    /// The checkpoint to write
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
    /// What judges a review: `gold`, the world itself (PPO-GT), or the checkpoint of a reward model
    #[arg(long, default_value = "gold", value_name = "gold|FILE")]
    reward: PathBuf,
    /// Price of a nat of KL from the reference; with --target-kl, the first
    #[arg(long, default_value_t = PpoSettings::default().beta, allow_negative_numbers = true)]
    beta: f64,
    /// KL in nats a review that β is adapted to
    #[arg(long, allow_negative_numbers = true)]
    target_kl: Option<f64>,
    /// Episodes over which β would correct an error of 100 %
    #[arg(long, default_value_t = PpoSettings::default().kl_horizon, allow_negative_numbers = true)]
    kl_horizon: f64,
    /// Rollouts
    #[arg(long, default_value_t = PpoRunSettings::default().rollouts)]
    rollouts: u64,
    /// Learning rate at first; it falls to a tenth over the run
    #[arg(long, default_value_t = PpoSettings::default().schedule.peak, allow_negative_numbers = true)]
    learning_rate: f64,
    /// Where values come from
    #[arg(long, value_enum, default_value_t = Value::from(PpoSettings::default().value_network))]
    value: Value,
    /// How far a value may leave its old one in a rollout's steps [default: as far as it likes]
    #[arg(long, allow_negative_numbers = true)]
    value_clip: Option<f64>,
    /// Weight of the entropy bonus
    #[arg(long, default_value_t = PpoSettings::default().entropy_coefficient, allow_negative_numbers = true)]
    entropy: f64,
    /// Weight of the likelihood of reviews that SFT learned from (PPO-ptx)
    #[arg(long, default_value_t = PpoSettings::default().ptx_coefficient, allow_negative_numbers = true)]
    ptx: f64,
    /// Divide rewards by their standard deviation: β then means something else in each rollout
    #[arg(long)]
    whiten_rewards: bool,
    /// τ of the gold reward's scale, (gold − the reference's mean)/τ, the one that labels are drawn with
    #[arg(long, default_value_t = PpoRunSettings::default().temperature, allow_negative_numbers = true)]
    temperature: f64,
    /// Rollouts between two points
    #[arg(long, default_value_t = PpoRunSettings::default().evaluate_every)]
    evaluate_every: u64,
    /// Samples a point
    #[arg(long, default_value_t = EvaluationSettings::default().samples)]
    samples: usize,
    /// Names prompts, coins and the order of minibatches
    #[arg(long, default_value_t = 1, value_parser = crate::commands::seed)]
    seed: u64,
    #[command(flatten)]
    backend: BackendArguments,
}

/// The choices of `--value`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Value {
    /// A network of its own beside the policy
    Own,
    /// A head on the policy
    Shared,
}

impl From<ValueNetwork> for Value {
    fn from(network: ValueNetwork) -> Self {
        match network {
            ValueNetwork::Own => Self::Own,
            ValueNetwork::Shared => Self::Shared,
        }
    }
}

impl From<Value> for ValueNetwork {
    fn from(value: Value) -> Self {
        match value {
            Value::Own => Self::Own,
            Value::Shared => Self::Shared,
        }
    }
}

impl Ppo {
    pub fn run(self) -> Result<End, Failure> {
        let settings = self.settings().validated()?;
        files::check_writable(&self.out)?;
        let world = files::world()?;
        let from = files::given_or_shipped(self.from.as_deref(), "sft.safetensors")?;
        let reference = files::read_checkpoint(&from, &world)?;
        let reward_model = match self.reward.to_str() {
            Some("gold") => None,
            _ => Some(files::read_headed_checkpoint(&self.reward, &world, reference.config)?),
        };
        on!(self.backend.open()?, k => {
            pollster::block_on(self.train(k, &world, &reference, reward_model.as_ref(), settings))
        })
    }

    /// Refuses settings that cannot be used.
    pub fn check(&self) -> Result<(), ConfigError> {
        self.settings().validated().map(drop)
    }

    fn settings(&self) -> PpoRunSettings {
        let defaults = PpoRunSettings::default();
        let Schedule { peak, floor, .. } = defaults.ppo.schedule;
        // From the rate asked for down to the same share of it, over the whole run.
        let schedule = Schedule {
            peak: self.learning_rate,
            floor: self.learning_rate * floor / peak,
            warm_up: 0,
            // Too many rollouts are refused when the settings are validated.
            steps: self.rollouts.saturating_mul(defaults.ppo.steps_per_rollout()),
        };
        PpoRunSettings {
            ppo: PpoSettings {
                beta: self.beta,
                target_kl: self.target_kl,
                kl_horizon: self.kl_horizon,
                value_network: self.value.into(),
                value_clip_range: self.value_clip,
                entropy_coefficient: self.entropy,
                ptx_coefficient: self.ptx,
                whiten_rewards: self.whiten_rewards,
                schedule,
                ..defaults.ppo
            },
            rollouts: self.rollouts,
            temperature: self.temperature,
            evaluation: EvaluationSettings { samples: self.samples, ..defaults.evaluation },
            evaluate_every: self.evaluate_every,
        }
    }

    async fn train<K: Kernels>(
        &self,
        k: &mut K,
        world: &World,
        reference: &Checkpoint,
        reward_model: Option<&Checkpoint>,
        settings: PpoRunSettings,
    ) -> Result<End, Failure> {
        interrupt::listen()?;
        let bar = progress::bar(settings.rollouts, "rollouts");
        let mut sink = Terminal { start: Instant::now(), last: None, bar };
        files::print(HEADER);
        let network = Network::new(reference.config);
        let its = Reference { network: &network, parameters: &reference.parameters };
        let first = reference_point(k, world, its, 0, settings.evaluation).await?;
        sink.point(first)?;
        let reward_model = reward_model.map(|checkpoint| checkpoint.parameters.as_slice());
        let start = PpoStart {
            reference: &reference.parameters,
            value_trunk: reward_model.unwrap_or(&reference.parameters),
            reward_model,
        };
        let run = PpoRun { config: reference.config, start, seed: self.seed, settings };
        let end = run_ppo(k, world, run, &mut sink).await;
        sink.bar.finish_and_clear();
        let end = end.map_err(|error| Failure::new(error.to_string()))?;
        let stage = if reward_model.is_some() { Method::Ppo } else { Method::PpoGt };
        let checkpoint =
            Checkpoint { step: end.step, stage: stage.to_string(), parameters: end.parameters, ..reference.clone() };
        files::write_checkpoint(&self.out, &checkpoint)?;
        files::print(&format!("{}: {stage} after {} steps\n", self.out.display(), end.step));
        Ok(if end.is_finished { End::Done } else { End::Interrupted })
    }
}

/// Prints points, and moves a bar.
struct Terminal {
    start: Instant,
    /// The last rollout, and its last step.
    last: Option<(MetricRow, PpoMetrics)>,
    bar: ProgressBar,
}

impl PpoSink for Terminal {
    type Error = SinkError;

    fn seconds(&self) -> f64 {
        self.start.elapsed().as_secs_f64()
    }

    fn learned(&mut self, rollouts: u64, rollout: &MetricRow, steps: &[PpoMetrics]) -> ControlFlow<()> {
        self.bar.set_position(rollouts);
        let shown = |name: &str| number(rollout.values.get(name).copied().unwrap_or(f64::NAN), 2);
        let (score, kl) = (shown("objective/score"), shown("objective/kl"));
        self.bar.set_message(format!("score {score} at KL {kl}"));
        self.last = steps.last().map(|last| (rollout.clone(), *last)).or(self.last.take());
        if interrupt::requested() { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    }

    fn point(&mut self, SweepPoint { point, .. }: SweepPoint) -> Result<(), SinkError> {
        let step = point.step;
        let training = self.last.as_ref().map_or_else(
            || format!("{:>8}  {:>6}  {:>9}  {:>7}  {:>11}", "", "", "", "", ""),
            |(rollout, last)| {
                let value = |name: &str| rollout.values.get(name).copied().unwrap_or(f64::NAN);
                let (score, beta) = (value("objective/score"), value("objective/kl_coefficient"));
                let explained = value("ppo/explained_variance");
                let (low, high) = (value("ppo/ratio_min"), value("ppo/ratio_max"));
                let [score, beta, explained, clipped] =
                    [score, beta, explained, last.clip_fraction].map(|it| number(it, 3));
                let (low, high) = (number(low, 2), number(high, 2));
                format!("{score:>8}  {beta:>6}  {explained:>9}  {clipped:>7}  {low:>5}–{high:<5}")
            },
        );
        let line = format!("{step:>6}  {training}  {}\n", measured(&point));
        self.bar.suspend(|| files::print(&line));
        Ok(())
    }
}
