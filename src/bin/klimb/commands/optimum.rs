//! `optimum`: the closed-form optimum of a reference, as the page's recorded curve.

use std::ops::ControlFlow;
use std::path::PathBuf;

use clap::Args;
use klimb::backend::network::Network;
use klimb::backend::{BackendError, Kernels};
use klimb::experiments::{
    OptimumSamples, OptimumSettings, RecordedOptimum, Reference, Worth, optimum_with_errors, sample_optimum,
};
use klimb::language::Sequence;
use klimb::world::World;

use super::machine::{BackendArguments, on};
use super::number::number;
use super::{End, Failure, files, interrupt, progress};

/// Noise of labels at which r* = gold/τ is a number to compute with.
const LABEL_TEMPERATURES: std::ops::RangeInclusive<f64> = 0.0001..=10.0;
/// Every so many points of the curve one is printed.
const PRINTED: usize = 6;

/// Compute the closed-form optimum of a reference: the most gold reward any policy can have at a KL
#[derive(Debug, Args)]
#[command(
    long_about = "Compute the closed-form optimum π_ref·exp(r*/β)/Z of a reference: the most gold reward any policy can \
        have at a KL.\n\n\
        Policies are fitted to the optimum at lower and lower β (the cross-entropy method), and what they and the \
        reference write is weighed by importance. FILE is JSON with the reference's fingerprint and the curve; the page \
        uses it for exactly that reference.",
    after_long_help = "Examples, the page's own:\n  \
        klimb optimum --effective 300 --out www/assets/optimum.json\n  \
        klimb optimum --from www/assets/sft-64.safetensors --effective 110 --out www/assets/optimum-64.json"
)]
pub struct Optimum {
    /// The reference [default: the SFT model that ships with the page]
    #[arg(long, value_name = "FILE")]
    from: Option<PathBuf>,
    /// The curve to write
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
    /// KL in nats to which it is wanted
    #[arg(long, default_value_t = OptimumSettings::default().goal)]
    kl: f64,
    /// Effective samples wanted at every held-out prompt, up to there
    #[arg(long, default_value_t = OptimumSettings::default().effective)]
    effective: f64,
    /// Noise of the preference labels, τ
    #[arg(long, default_value_t = 0.1)]
    label_temperature: f64,
    /// Names every draw
    #[arg(long, default_value_t = 1, value_parser = crate::commands::seed)]
    seed: u64,
    #[command(flatten)]
    backend: BackendArguments,
}

impl Optimum {
    pub fn run(self) -> Result<End, Failure> {
        let settings =
            OptimumSettings { seed: self.seed, goal: self.kl, effective: self.effective, ..OptimumSettings::default() };
        let settings = settings.validated()?;
        if !LABEL_TEMPERATURES.contains(&self.label_temperature) {
            let (low, high) = (LABEL_TEMPERATURES.start(), LABEL_TEMPERATURES.end());
            let sentence = format!("{} is outside {low} to {high}; choose a number between", self.label_temperature);
            return Err(Failure::about("--label-temperature", sentence));
        }
        files::check_writable(&self.out)?;
        let world = files::world()?;
        let from = files::given_or_shipped(self.from.as_deref(), "sft.safetensors")?;
        let reference = files::read_checkpoint(&from, &world)?;
        interrupt::listen()?;
        let start = Reference { network: &Network::new(reference.config), parameters: &reference.parameters };
        let temperature = self.label_temperature;
        let sampled = on!(self.backend.open()?, k => {
            pollster::block_on(sampled(k, &world, start, temperature, &settings))
        })?;
        let Some(OptimumSamples { samples, rungs, .. }) = sampled else { return Ok(End::Interrupted) };
        let recorded = RecordedOptimum::new(reference.fingerprint(), temperature, settings, &samples);
        files::write(&self.out, recorded.to_json())?;
        let betas: Vec<String> = rungs.iter().map(|rung| format!("{:.3}", rung.beta)).collect();
        files::print(&format!(
            "{}: {} completions of the reference and of policies fitted at β {}\n",
            self.out.display(),
            recorded.samples,
            betas.join(", ")
        ));
        for point in recorded.curve(temperature).iter().step_by(PRINTED) {
            let (point, [kl_error, gold_error]) = optimum_with_errors(&samples, point.beta);
            files::print(&format!(
                "β {:.3}: KL {} ± {} nats, gold reward {} ± {}, {:.0} effective samples at the worst prompt\n",
                point.beta,
                number(point.kl_per_sequence, 3),
                number(1.96 * kl_error, 3),
                number(point.gold_reward, 4),
                number(1.96 * gold_error, 4),
                point.effective_sample_size
            ));
        }
        Ok(End::Done)
    }
}

/// Samples for the optimum of the gold reward on held-out prompts, with a progress bar; `None` after Ctrl-C.
pub async fn sampled<K: Kernels>(
    k: &mut K,
    world: &World,
    reference: Reference<'_>,
    temperature: f64,
    settings: &OptimumSettings,
) -> Result<Option<OptimumSamples>, BackendError> {
    let bar = progress::bar(0, "pieces of the optimum");
    let watch = |done: usize, total: usize| {
        bar.set_length(total as u64);
        bar.set_position(done as u64);
        if interrupt::requested() { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    };
    let judge = async |_: &mut K, sequences: &[Sequence]| {
        let worth = |sequence: &Sequence| Worth::of_gold(world.gold_reward(&sequence.tokens), temperature);
        Ok(sequences.iter().map(worth).collect())
    };
    let prompts = world.held_out_prompts();
    let samples = sample_optimum(k, reference, prompts, judge, settings, watch).await;
    bar.finish_and_clear();
    samples
}
