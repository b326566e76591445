//! `winrate`: win rates against the grammar's reviews over temperature, as files.

use std::ops::ControlFlow;
use std::path::PathBuf;
use std::str::FromStr;

use clap::Args;
use indicatif::ProgressBar;
use klimb::backend::Kernels;
use klimb::charts::{ChartStyle, Line, LineChart, LinePoint, line_svg};
use klimb::experiments::{BestOf, Contest, ContestSettings, Contestant};
use klimb::metrics::{SeriesStyle, WinRatePoint, win_rate_csv};
use klimb::model::Checkpoint;
use klimb::world::World;
use serde::Serialize;

use super::machine::{BackendArguments, on};
use super::number::number;
use super::output_folder::OutputFolder;
use super::study::Study;
use super::{End, Failure, files, interrupt, progress};

/// Measure win rates against the grammar's own reviews over temperature
#[derive(Debug, Args)]
#[command(
    long_about = "Measure win rates against the grammar's own reviews over temperature (Rafailov et al. 2023, Figure 2 \
        right).\n\n\
        The grammar, whose reviews SFT learned from, and each given policy write to the same held-out prompts. Who has \
        the higher gold reward wins, and ties count half; intervals are 95 % over prompt instances. Best-of-N draws N \
        completions of the reference and keeps the one that the reward model, or else the gold reward, likes most. At \
        temperature 0 every policy takes its likeliest word.\n\n\
        DIR gets winrate.csv, winrate.svg and run.json. Ctrl-C leaves the win rates so far; the same command begins anew \
        and replaces them.",
    after_long_help = "Examples:\n  \
        klimb winrate sft=sft.safetensors dpo=dpo.safetensors ppo=ppo.safetensors --out winrate\n  \
        klimb winrate dpo=dpo.safetensors --best-of 128 --reward-model reward-model.safetensors --out winrate"
)]
pub struct Winrate {
    /// Policies with the names of their methods
    #[arg(required = true, value_name = "METHOD=FILE")]
    policies: Vec<Named>,
    /// The folder to write
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
    /// Completions that Best-of-N draws; 0 leaves it out
    #[arg(long, default_value_t = 64, value_parser = clap::value_parser!(u16).range(0..=1024))]
    best_of: u16,
    /// What Best-of-N draws from [default: the SFT model that ships with the page]
    #[arg(long, value_name = "FILE")]
    reference: Option<PathBuf>,
    /// The reward model whose score decides in Best-of-N [default: the gold reward]
    #[arg(long, value_name = "FILE")]
    reward_model: Option<PathBuf>,
    /// Sampling temperatures
    #[arg(long, value_delimiter = ',', default_value = "0,0.25,0.5,0.75,1", allow_negative_numbers = true)]
    temperatures: Vec<f64>,
    /// Prompt instances; held-out prompts take turns
    #[arg(long, default_value_t = ContestSettings::default().instances)]
    instances: usize,
    /// Names the grammar's reviews and the coins
    #[arg(long, default_value_t = ContestSettings::default().seed, value_parser = crate::commands::seed)]
    seed: u64,
    #[command(flatten)]
    backend: BackendArguments,
}

/// A checkpoint under the name of its method.
#[derive(Debug, Clone)]
struct Named {
    method: String,
    file: PathBuf,
}

impl FromStr for Named {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text.split_once('=') {
            Some((method, file)) if !method.is_empty() && !file.is_empty() => {
                Ok(Self { method: method.into(), file: file.into() })
            }
            _ => Err("write METHOD=FILE, such as dpo=dpo.safetensors".into()),
        }
    }
}

/// Who plays, under the name of its method.
struct Entrant<'a> {
    method: String,
    contestant: Contestant<'a>,
}

/// What `run.json` has of it besides the checkpoints.
#[derive(Serialize)]
struct Settings<'a> {
    contest: ContestSettings,
    temperatures: &'a [f64],
    best_of: usize,
}

impl Winrate {
    pub fn run(self) -> Result<End, Failure> {
        let contest = ContestSettings { instances: self.instances, seed: self.seed }.validated()?;
        if let Some(bad) = self.temperatures.iter().find(|it| !(0.0..=10.0).contains(*it)) {
            return Err(Failure::new(format!("--temperatures: {bad} is outside 0 to 10")));
        }
        for (index, Named { method, .. }) in self.policies.iter().enumerate() {
            if self.policies[..index].iter().any(|earlier| earlier.method == *method) {
                return Err(Failure::about(method, "is the name of two policies; give each its own"));
            }
        }
        let world = files::world()?;
        let policies: Result<Vec<(String, Checkpoint)>, Failure> = self
            .policies
            .iter()
            .map(|named| Ok((named.method.clone(), files::read_checkpoint(&named.file, &world)?)))
            .collect();
        let policies = policies?;
        let reference = files::given_or_shipped(self.reference.as_deref(), "sft.safetensors")?;
        let reference = files::read_checkpoint(&reference, &world)?;
        let reward_model =
            self.reward_model.as_deref().map(|path| files::read_reward_model(path, &world)).transpose()?;
        let reward_model = reward_model.as_ref().filter(|_| self.best_of > 0);
        let mut entrants: Vec<Entrant> = policies
            .iter()
            .map(|(method, policy)| Entrant { method: method.clone(), contestant: Contestant::new(policy) })
            .collect();
        let mut models: Vec<(&str, &Checkpoint)> =
            policies.iter().map(|(method, policy)| (method.as_str(), policy)).collect();
        if self.best_of > 0 {
            let best_of = Some(BestOf { n: self.best_of.into(), reward_model });
            let judge = if reward_model.is_some() { "" } else { "-gold" };
            let contestant = Contestant { best_of, ..Contestant::new(&reference) };
            entrants.push(Entrant { method: format!("best-of-{}{judge}", self.best_of), contestant });
            models.push(("reference", &reference));
        }
        models.extend(reward_model.map(|it| ("reward_model", it)));
        let settings = Settings { contest, temperatures: &self.temperatures, best_of: self.best_of.into() };
        let machine = self.backend.open()?;
        let study = Study { name: "winrate", settings: &settings, models: &models };
        let folder = study.open(&self.out, &world, &machine)?;
        on!(machine, k => pollster::block_on(self.measure(k, &world, &folder, &entrants, contest)))
    }

    async fn measure<K: Kernels>(
        &self,
        k: &mut K,
        world: &World,
        folder: &OutputFolder,
        entrants: &[Entrant<'_>],
        settings: ContestSettings,
    ) -> Result<End, Failure> {
        interrupt::listen()?;
        let contest = Contest::against_reviews(world, settings);
        let bar = progress::bar((entrants.len() * self.temperatures.len()) as u64, "win rates");
        let mut points = Vec::new();
        files::print("method            temperature  win rate       gold reward    ended\n");
        for Entrant { method, contestant } in entrants {
            for &temperature in &self.temperatures {
                let Some(result) = contest.play(k, world, contestant, temperature, go_on).await? else {
                    bar.finish_and_clear();
                    return Ok(End::Interrupted);
                };
                let point = WinRatePoint { method: method.clone(), temperature, result };
                bar.inc(1);
                print(&bar, &point);
                points.push(point);
                folder.write("winrate.csv", win_rate_csv(&points))?;
            }
        }
        bar.finish_and_clear();
        folder.write("winrate.svg", chart(&points)?)?;
        Ok(End::Done)
    }
}

fn go_on() -> ControlFlow<()> {
    if interrupt::requested() { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
}

fn print(bar: &ProgressBar, WinRatePoint { method, temperature, result }: &WinRatePoint) {
    let line = format!(
        "{method:<16}  {temperature:>11}  {} ± {}  {} ± {}  {}\n",
        number(result.win_rate, 3),
        number(result.win_rate_half_width, 3),
        number(result.gold_reward, 3),
        number(result.gold_reward_half_width, 3),
        number(result.ended, 3)
    );
    bar.suspend(|| files::print(&line));
}

/// A line a method, in the order of the methods.
fn chart(points: &[WinRatePoint]) -> Result<String, Failure> {
    let line = |points: &[WinRatePoint]| {
        let at = |it: &WinRatePoint| LinePoint {
            x: it.temperature,
            y: it.result.win_rate,
            half_width: it.result.win_rate_half_width,
        };
        let mut line = Line {
            label: points[0].method.clone(),
            style: SeriesStyle::of_contestant(&points[0].method),
            points: points.iter().map(at).collect(),
            pale: false,
        };
        line.points.sort_by(|a, b| a.x.total_cmp(&b.x));
        line
    };
    let lines: Vec<Line> = points.chunk_by(|a, b| a.method == b.method).map(line).collect();
    let chart = LineChart {
        x_name: "sampling temperature →",
        y_name: "↑ win rate against the grammar's reviews",
        lines: &lines,
        level: Some((0.5, "as good as the grammar")),
        x_at_least: (0.0, 1.0),
        y_at_least: (0.3, 1.0),
    };
    Ok(line_svg(&chart, &ChartStyle::default(), (900, 560))?)
}
