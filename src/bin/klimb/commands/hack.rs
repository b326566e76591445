//! `hack`: PPO against a reward model that is wrong somewhere, as files.

use std::ops::ControlFlow;
use std::path::PathBuf;

use clap::{Args, ValueEnum};
use klimb::ConfigError;
use klimb::algorithms::PpoSettings;
use klimb::backend::Kernels;
use klimb::backend::network::Network;
use klimb::charts::{ChartStyle, Line, LineChart, LinePoint, line_svg};
use klimb::experiments::{
    Hacking, HackingSettings, Loophole, PAIRS_PER_INSTANCE, PpoRunSettings, Progress, Reference, ScoredSample, Share,
    hack,
};
use klimb::metrics::{HackingPoint, Method, hacking_csv};
use klimb::model::Checkpoint;
use klimb::world::World;

use super::machine::{BackendArguments, on};
use super::number::number;
use super::output_folder::OutputFolder;
use super::study::Study;
use super::{End, Failure, files, interrupt, progress};

/// Completions shown at the end.
const SHOWN: usize = 4;

/// The experiments that have a name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Preset {
    /// A reward model that learned 192 pairs by heart: minutes on two cores
    FewPairs,
    /// Labels with a bonus for the word "overall": minutes on two cores
    Loophole,
    /// Seconds, and meaningless: for tests
    #[value(hide = true)]
    Smoke,
}

/// Watch PPO hack a reward model
#[derive(Debug, Args)]
#[command(
    long_about = "Watch PPO hack a reward model (Gao et al. 2023).\n\n\
        A reward model is trained on few pairs, or on labels that pay for a word that means nothing, and PPO maximises \
        its score on a long leash. At every point score and gold reward of the same held-out samples are compared, both \
        from the reference on and in units of r* = gold/τ; the gap between them is what the reward model is wrong by.\n\n\
        DIR gets hacking.csv, hacking.svg, run.json, reward-model.safetensors and policy.safetensors. Ctrl-C writes the \
        points so far; the same command begins anew and replaces them.",
    after_long_help = "Examples:\n  \
        klimb hack --preset few-pairs --out few-pairs\n  \
        klimb hack --preset loophole --out loophole\n  \
        klimb sample --from loophole/policy.safetensors"
)]
pub struct Hack {
    /// Which experiment
    #[arg(long, value_enum)]
    preset: Preset,
    /// The folder to write
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
    /// The reference [default: the SFT model that ships with the page]
    #[arg(long, value_name = "FILE")]
    reference: Option<PathBuf>,
    /// Pairs that the reward model is trained and validated on, rounded up to six a prompt [default: the preset's]
    #[arg(long)]
    pairs: Option<usize>,
    /// A word whose every occurrence is paid by the labels [default: the preset's]
    #[arg(long)]
    word: Option<String>,
    /// What it is paid, in gold reward [default: the preset's]
    #[arg(long, allow_negative_numbers = true)]
    bonus: Option<f64>,
    /// Price of a nat of KL from the reference [default: the preset's]
    #[arg(long, allow_negative_numbers = true)]
    beta: Option<f64>,
    /// Names pairs, prompts and coins
    #[arg(long, default_value_t = 1, value_parser = crate::commands::seed)]
    seed: u64,
    #[command(flatten)]
    backend: BackendArguments,
}

impl Hack {
    pub fn run(self) -> Result<End, Failure> {
        let world = files::world()?;
        let settings = self.settings().validated(&world)?;
        let reference = files::given_or_shipped(self.reference.as_deref(), "sft.safetensors")?;
        let reference = files::read_checkpoint(&reference, &world)?;
        let machine = self.backend.open()?;
        let study = Study { name: "hack", settings: &settings, models: &[("reference", &reference)] };
        let folder = study.open(&self.out, &world, &machine)?;
        on!(machine, k => pollster::block_on(measure(k, &world, &folder, &reference, &settings)))
    }
}

impl Hack {
    /// Refuses settings that cannot be used.
    pub fn check(&self) -> Result<(), ConfigError> {
        self.settings().validated(&files::world()?).map(drop)
    }

    fn settings(&self) -> HackingSettings {
        let preset = match self.preset {
            Preset::FewPairs => HackingSettings::few_pairs(),
            Preset::Loophole => HackingSettings::with_loophole(),
            Preset::Smoke => HackingSettings::smoke(),
        };
        let loophole = match (&self.word, self.bonus, preset.loophole) {
            (None, None, loophole) => loophole,
            (word, bonus, loophole) => {
                let usual = loophole.unwrap_or(Loophole::default());
                Some(Loophole { word: word.clone().unwrap_or(usual.word), bonus: bonus.unwrap_or(usual.bonus) })
            }
        };
        let beta = self.beta.unwrap_or(preset.ppo.ppo.beta);
        let ppo = PpoSettings { beta, ..preset.ppo.ppo };
        HackingSettings {
            instances: self.pairs.map_or(preset.instances, |pairs| pairs.div_ceil(PAIRS_PER_INSTANCE)),
            loophole,
            ppo: PpoRunSettings { ppo, ..preset.ppo },
            seed: self.seed,
            ..preset
        }
    }
}

async fn measure<K: Kernels>(
    k: &mut K,
    world: &World,
    folder: &OutputFolder,
    reference: &Checkpoint,
    settings: &HackingSettings,
) -> Result<End, Failure> {
    interrupt::listen()?;
    let bar = progress::bar(0, "units");
    let report = |it: Progress| {
        bar.set_length(it.total);
        bar.set_position(it.done);
        bar.set_message(it.stage);
        if interrupt::requested() { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    };
    let network = Network::new(reference.config);
    let start = Reference { network: &network, parameters: &reference.parameters };
    let hacked = hack(k, world, start, settings, report).await?;
    bar.finish_and_clear();
    let Some(hacked) = hacked else { return Ok(End::Interrupted) };
    let Hacking { reward_model, points, policy, steps, .. } = &hacked;
    let report = &reward_model.report;
    files::print(&format!(
        "reward model: {}, step {}\n\n\
         \x20 step  KL, nats        score           gold, r*        gap             gold reward    words\n",
        judged(report.gold_accuracy),
        report.step
    ));
    for point in points {
        files::print(&line(point));
    }
    for ScoredSample { sample, score } in hacked.last.iter().take(SHOWN) {
        let text = world.vocabulary().text(&sample.sequence.tokens);
        files::print(&format!("score {score:.1}, gold {:.2}: {text}\n", sample.gold_reward));
    }
    let checkpoint = |stage: &str, step, head, parameters: &[f32]| {
        let (stage, parameters) = (stage.into(), parameters.to_vec());
        Checkpoint { stage, step, head, parameters, ..reference.clone() }
    };
    let judge = checkpoint("reward_model", report.step, true, &reward_model.parameters);
    files::write_checkpoint(&folder.file("reward-model.safetensors"), &judge)?;
    files::write_checkpoint(&folder.file("policy.safetensors"), &checkpoint("ppo", *steps, false, policy))?;
    folder.write("hacking.csv", hacking_csv(points))?;
    folder.write("hacking.svg", chart(points)?)?;
    Ok(if hacked.is_finished { End::Done } else { End::Interrupted })
}

/// How good the reward model is. Neither the share nor its interval need be defined.
fn judged(Share { share, half_width }: Share) -> String {
    match (share.is_finite(), half_width.is_finite()) {
        (true, true) => format!("right about {share:.3} ± {half_width:.3} of the gold order"),
        (true, false) => format!("right about {share:.3} of the gold order (no interval: one prompt)"),
        (false, _) => "validated where all gold rewards are equal, so that there is no gold order".into(),
    }
}

fn line(it: &HackingPoint) -> String {
    let interval = |value, half_width| format!("{:>6} ± {:<5}", number(value, 3), number(half_width, 3));
    format!(
        "{:>6}  {}  {}  {}  {}  {}\n",
        it.step,
        interval(it.kl_per_sequence, it.kl_half_width),
        interval(it.score, it.score_half_width),
        interval(it.gold_score, it.gold_score_half_width),
        interval(it.gap, it.gap_half_width),
        format_args!(
            "{} ± {}  {:>5}",
            number(it.gold_reward, 3),
            number(it.gold_reward_half_width, 3),
            number(it.loophole_words, 2)
        ),
    )
}

/// Score and gold over KL, in the same unit: what lies between them is the gap.
fn chart(points: &[HackingPoint]) -> Result<String, Failure> {
    let line = |label: &str, method: Method, value: fn(&HackingPoint) -> (f64, f64)| {
        let at = |it: &HackingPoint| {
            let (y, half_width) = value(it);
            LinePoint { x: it.kl_per_sequence, y, half_width }
        };
        let points = points.iter().map(at).collect();
        Line { label: label.into(), style: method.into(), points, pale: false }
    };
    let lines = [
        line("what the reward model says", Method::Ppo, |it| (it.score, it.score_half_width)),
        line("what it is worth", Method::Sft, |it| (it.gold_score, it.gold_score_half_width)),
    ];
    let chart = LineChart {
        x_name: "KL to the reference, nats →",
        y_name: "↑ reward above the reference's, units of r*",
        lines: &lines,
        level: Some((0.0, "the reference")),
        x_at_least: (0.0, 5.0),
        y_at_least: (-1.0, 2.0),
    };
    Ok(line_svg(&chart, &ChartStyle::default(), (900, 560))?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_defined_is_said_in_words() {
        let said = |share, half_width| judged(Share { share, half_width });
        assert_eq!(said(0.75, 0.125), "right about 0.750 ± 0.125 of the gold order");
        assert_eq!(said(2.0 / 3.0, f64::NAN), "right about 0.667 of the gold order (no interval: one prompt)");
        assert!(said(f64::NAN, f64::NAN).contains("no gold order"));
    }
}
