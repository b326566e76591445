//! `scaling`: alignment against size, as files; it goes on where it stopped, and can be spread over machines.

use std::ops::ControlFlow;
use std::path::PathBuf;
use std::sync::Mutex;

use clap::{Args, ValueEnum};
use indicatif::ProgressBar;
use klimb::backend::Kernels;
use klimb::backend::cpu::Cpu;
use klimb::charts::{ChartStyle, Line, LineChart, LinePoint, line_svg};
use klimb::experiments::{Progress, ScalingPart, ScalingSettings, measure_scaling, train_part};
use klimb::metrics::{ScalingPoint, scaling_csv};
use klimb::model::Checkpoint;
use klimb::stats::{half_width, mean};
use klimb::world::World;

use super::fingerprints::Fingerprints;
use super::machine::{BackendArguments, Machine};
use super::number::number;
use super::output_folder::OutputFolder;
use super::shard::Shard;
use super::study::Study;
use super::{End, Failure, files, interrupt, progress, seeds};

/// The experiments that have a name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Preset {
    /// Four sizes, one seed, a fraction of the steps: minutes on two cores
    Quick,
    /// Five sizes, three seeds, the recipes of the shipped models: hours
    Full,
    /// Seconds, and meaningless: for tests
    #[value(hide = true)]
    Smoke,
}

/// Measure alignment against size: does a small aligned model beat a large one that is not?
#[derive(Debug, Args)]
#[command(
    long_about = "Measure alignment against size (Ouyang et al. 2022, Figure 1): does a small aligned model beat a large \
        one that is not?\n\n\
        At each size, from 7 to 820 thousand parameters, a base model, an SFT model, and policies by PPO with the gold \
        reward, without and with demonstrations mixed in (PPO-ptx), are trained from nothing. Each of them, and the base \
        model prompted with the cue \"review :\", then writes to held-out prompts against the largest SFT model; who has \
        the higher gold reward wins, ties count half.\n\n\
        DIR gets checkpoints/*.safetensors, files.json (their fingerprints, by which a changed one is noticed), scaling.csv, scaling.svg and run.json. Ctrl-C keeps every model that is \
        finished, and the same command goes on from there. With --shard 1/3, 2/3 and 3/3 three machines share the work; \
        copy their checkpoints into one of the folders and run the command there without --shard.",
    after_long_help = "Examples:\n  \
        klimb scaling --preset quick --out scaling\n  \
        klimb scaling --preset full --shard 2/15 --out scaling"
)]
pub struct Scaling {
    /// Which experiment
    #[arg(long, value_enum)]
    preset: Preset,
    /// The folder to write
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
    /// Train this machine's share alone, and measure only if all others are there
    #[arg(long, value_name = "I/N")]
    shard: Option<Shard>,
    /// Models at once on the CPU backend [default: one a core]; the results do not depend on it
    #[arg(long, value_parser = clap::value_parser!(u16).range(1..))]
    jobs: Option<u16>,
    /// The first seed; further ones count up from it
    #[arg(long, default_value_t = 1, value_parser = crate::commands::seed)]
    seed: u64,
    #[command(flatten)]
    backend: BackendArguments,
}

impl Scaling {
    pub fn run(self) -> Result<End, Failure> {
        let world = files::world()?;
        let settings = self.settings()?.validated(&world)?;
        let machine = self.backend.open()?;
        let study = Study { name: "scaling", settings: &settings, models: &[] };
        let folder = study.open(&self.out, &world, &machine)?;
        folder.make("checkpoints")?;
        interrupt::listen()?;
        let groups = settings.groups().into_iter().enumerate();
        let own = groups.filter(|(index, _)| self.shard.is_none_or(|shard| shard.holds(*index)));
        let queue: Vec<[ScalingPart; 4]> = own.map(|(_, group)| group).collect();
        let jobs = self.jobs.map_or_else(cores, usize::from).min(queue.len());
        let bar = progress::bar(4 * queue.len() as u64, "models");
        let queue = Mutex::new(queue.into_iter().rev().collect());
        let fingerprints = Fingerprints::read(&self.out)?;
        let work = Work { world: &world, settings: &settings, folder: &folder, fingerprints, queue, bar };
        match machine {
            Machine::Cpu(mut cpu) => {
                std::thread::scope(|scope| {
                    let train = || pollster::block_on(work.train(&mut Cpu::<f32>::new()));
                    let workers: Vec<_> = (0..jobs).map(|_| scope.spawn(train)).collect();
                    workers.into_iter().try_for_each(|worker| worker.join().expect("a worker does not panic"))
                })?;
                pollster::block_on(work.measure(&mut cpu))
            }
            Machine::Gpu(mut gpu) => pollster::block_on(async {
                work.train(&mut *gpu).await?;
                work.measure(&mut *gpu).await
            }),
        }
    }

    fn settings(&self) -> Result<ScalingSettings, Failure> {
        let preset = match self.preset {
            Preset::Quick => ScalingSettings::quick(),
            Preset::Full => ScalingSettings::full(),
            Preset::Smoke => ScalingSettings::smoke(),
        };
        let seeds = seeds::counted(self.seed, preset.seeds.len() as u64)?;
        Ok(ScalingSettings { seeds, ..preset })
    }
}

fn cores() -> usize {
    std::thread::available_parallelism().map_or(1, |cores| cores.get())
}

/// What the workers have in common.
struct Work<'a> {
    world: &'a World,
    settings: &'a ScalingSettings,
    folder: &'a OutputFolder,
    fingerprints: Fingerprints,
    /// Sizes to train, the next one last.
    queue: Mutex<Vec<[ScalingPart; 4]>>,
    bar: ProgressBar,
}

impl Work<'_> {
    fn name(part: &ScalingPart) -> String {
        format!("checkpoints/{}.safetensors", part.name())
    }

    fn file(&self, part: &ScalingPart) -> PathBuf {
        self.folder.file(&Self::name(part))
    }

    fn load(&self, part: &ScalingPart) -> Result<Checkpoint, Failure> {
        let found = self.fingerprints.read_model(&Self::name(part), &files::expected(self.world, None, false))?;
        if found.stage == part.stage.name() && Ok(found.config) == part.size.config(self.world) {
            return Ok(found);
        }
        Err(Failure::about(self.file(part).display(), format!("is another model; {}", files::DONE_AGAIN)))
    }

    /// Trains what is not there yet, until the queue is empty, or Ctrl-C.
    async fn train<K: Kernels>(&self, k: &mut K) -> Result<(), Failure> {
        while !interrupt::requested() {
            let next = self.queue.lock().expect("no worker panics").pop();
            let Some(parts) = next else { break };
            for part in &parts {
                if self.file(part).is_file() {
                    // Now, and not when everything else is trained.
                    self.load(part)?;
                    self.bar.inc(1);
                    progress::say(&self.bar, &format!("finished before and not repeated: {}", part.name()));
                    continue;
                }
                let start = part.stage.start().map(|stage| self.load(&ScalingPart { stage, ..*part })).transpose()?;
                let report = |it: Progress| {
                    self.bar.set_message(format!("{}: {}/{}", part.name(), it.done, it.total));
                    go_on()
                };
                let trained = train_part(k, self.world, self.settings, part, start.as_ref(), report).await?;
                let Some(checkpoint) = trained else { return Ok(()) };
                self.fingerprints.write_model(&Self::name(part), &checkpoint)?;
                self.bar.inc(1);
                progress::say(&self.bar, &format!("{}: {} steps", part.name(), checkpoint.step));
            }
        }
        Ok(())
    }

    /// The win rates, if every model is there.
    async fn measure<K: Kernels>(&self, k: &mut K) -> Result<End, Failure> {
        self.bar.finish_and_clear();
        if interrupt::requested() {
            return Ok(End::Interrupted);
        }
        let missing = self.settings.groups().iter().flatten().filter(|part| !self.file(part).is_file()).count();
        if missing > 0 {
            files::print(&format!(
                "{missing} models of other shares are missing: copy their checkpoints here, and run this without --shard\n"
            ));
            return Ok(End::Done);
        }
        let points = measure_scaling(k, self.world, self.settings, |part| self.load(part), go_on).await?;
        let Some(points) = points else { return Ok(End::Interrupted) };
        files::print("parameters  method        seed  win rate       gold reward    ended\n");
        for it in &points {
            files::print(&format!(
                "{:>10}  {:<12}  {:>4}  {} ± {}  {} ± {}  {}\n",
                it.parameters,
                it.method,
                it.seed,
                number(it.result.win_rate, 3),
                number(it.result.win_rate_half_width, 3),
                number(it.result.gold_reward, 3),
                number(it.result.gold_reward_half_width, 3),
                number(it.result.ended, 3)
            ));
        }
        self.folder.write("scaling.csv", scaling_csv(&points))?;
        self.folder.write("scaling.svg", chart(&points)?)?;
        Ok(End::Done)
    }
}

fn go_on() -> ControlFlow<()> {
    if interrupt::requested() { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
}

/// A line a method: over seeds the mean and its interval, for one seed that over instances.
fn chart(points: &[ScalingPoint]) -> Result<String, Failure> {
    let mut sorted: Vec<&ScalingPoint> = points.iter().collect();
    sorted.sort_by_key(|it| (it.method, it.parameters));
    let at = |seeds: &[&ScalingPoint]| {
        let x = (seeds[0].parameters as f64).log10();
        match seeds {
            [one] => LinePoint { x, y: one.result.win_rate, half_width: one.result.win_rate_half_width },
            several => {
                let rates: Vec<f64> = several.iter().map(|it| it.result.win_rate).collect();
                LinePoint { x, y: mean(&rates), half_width: half_width(&rates) }
            }
        }
    };
    let line = |of_method: &[&ScalingPoint]| Line {
        label: of_method[0].method.to_string(),
        // The base model's hue for the base model with the cue.
        style: of_method[0].method.into(),
        points: of_method.chunk_by(|a, b| a.parameters == b.parameters).map(at).collect(),
        pale: false,
    };
    let lines: Vec<Line> = sorted.chunk_by(|a, b| a.method == b.method).map(line).collect();
    let chart = LineChart {
        x_name: "parameters, powers of ten →",
        y_name: "↑ win rate against the largest SFT model",
        lines: &lines,
        level: Some((0.5, "as good as the largest SFT model")),
        x_at_least: (3.75, 6.25),
        y_at_least: (0.0, 1.0),
    };
    Ok(line_svg(&chart, &ChartStyle::default(), (900, 560))?)
}
