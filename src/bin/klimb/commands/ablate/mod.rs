//! `ablate`: what costs a method KL, one factor at a time, as files; it goes on where it stopped.

mod references;
mod summary;

use std::convert::Infallible;
use std::ops::ControlFlow;
use std::path::PathBuf;
use std::sync::Mutex;
use std::time::Instant;

use clap::{Args, ValueEnum};
use indicatif::ProgressBar;
use klimb::backend::Kernels;
use klimb::backend::cpu::Cpu;
use klimb::backend::network::Network;
use klimb::experiments::{
    AblationPart, AblationSettings, PlannedRun, Reference, Sink, SweepError, SweepPoint, SweepRun,
    kl_by_reference_probability, optimal_reward, run, share_with_rare_tokens,
};
use klimb::metrics::{AblationPoint, MetricRow, ablation_csv};
use klimb::world::World;
use serde::{Deserialize, Serialize};

use super::fingerprints::Fingerprints;
use super::machine::{BackendArguments, Machine};
use super::output_folder::OutputFolder;
use super::study::Study;
use super::{End, Failure, files, interrupt, part_file, progress, seeds};
use references::{Start, Starts};
use summary::{chart, is_same, line};

/// Seeds of each run unless said otherwise.
const SEEDS: u64 = 3;

/// The studies that have a name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Preset {
    /// Every factor: half an hour of one core for each seed
    Full,
    /// Seconds, and meaningless: for tests
    #[value(hide = true)]
    Smoke,
}

/// Find out what costs a method KL, one factor at a time
#[derive(Debug, Args)]
#[command(
    long_about = "Find out what costs a method KL, one factor at a time: width, breadth of the reference, length of \
        pre-training, optimiser, learning rate, steps, batch, number and freshness of the pairs, noise of the labels, an \
        unembedding of its own.\n\n\
        Every run differs from the base setting in one factor. A point says how far it lies below the closed-form \
        optimum of its own reference at its KL, and where its KL sits: in tokens that the reference almost never writes, or \
        in ordinary ones. References that are missing are trained first.\n\n\
        DIR gets references/ (checkpoints and their optima), files.json (the checkpoints' fingerprints), parts/ (a file a run), ablation.csv, a chart a factor and \
        run.json. Ctrl-C keeps every run that is finished, and the same command goes on from there; so does one with \
        more seeds in a folder of fewer.",
    after_long_help = "Examples:\n  \
        klimb ablate --preset full --out ablation\n  \
        klimb ablate --preset full --factor width --factor breadth --seeds 1 --out ablation"
)]
pub struct Ablate {
    /// Which study
    #[arg(long, value_enum)]
    preset: Preset,
    /// The folder to write
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
    /// Only this factor, beside the base; may be given again
    #[arg(long, value_name = "FACTOR")]
    factor: Vec<String>,
    /// The first seed; further ones count up from it
    #[arg(long, default_value_t = 1, value_parser = crate::commands::seed)]
    seed: u64,
    /// Seeds of each run [default: 3]
    #[arg(long, value_parser = clap::value_parser!(u64).range(1..=100))]
    seeds: Option<u64>,
    /// Runs at once on the CPU backend [default: one a core]; the results do not depend on it
    #[arg(long, value_parser = clap::value_parser!(u16).range(1..))]
    jobs: Option<u16>,
    #[command(flatten)]
    backend: BackendArguments,
}

/// What a run's file holds.
#[derive(Serialize, Deserialize)]
#[serde(untagged)]
enum PartFile {
    Checked {
        /// Which run it is; an earlier version did not say.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        run: Option<PartIdentity>,
        points: Vec<AblationPoint>,
    },
    /// Of a version whose parts had no checksum.
    SavedSession(Vec<AblationPoint>),
}

/// What a run is: its points do not tell all of it, and one that diverged at once has none.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct PartIdentity {
    factor: String,
    level: String,
    run: SweepRun,
    /// `Checkpoint::fingerprint` of the model that it began from.
    reference: String,
}

impl Ablate {
    pub fn run(self) -> Result<End, Failure> {
        let world = files::world()?;
        let settings = match self.preset {
            Preset::Full => {
                let seeds = seeds::counted(self.seed, self.seeds.unwrap_or(SEEDS))?;
                AblationSettings::full(self.seed, seeds.len() as u64)
            }
            Preset::Smoke if self.seeds.is_some() => return Err(Failure::new("--seeds: this preset has one seed")),
            Preset::Smoke => AblationSettings::smoke(self.seed),
        };
        let settings = settings.of_factors(&self.factor)?.validated()?;
        let machine = self.backend.open()?;
        // Factors and seeds may be added to a folder: what its parts have in common is the preset.
        let name = format!("{:?}", self.preset).to_lowercase();
        let study = Study { name: "ablation", settings: &name, models: &[] };
        let folder = study.open(&self.out, &world, &machine)?;
        folder.make("references")?;
        folder.make("parts")?;
        interrupt::listen()?;
        let bar = progress::bar(settings.parts().len() as u64, "runs");
        let (fingerprints, start) = (Fingerprints::read(&self.out)?, Instant::now());
        let work = Work { world: &world, settings: &settings, folder: &folder, fingerprints, bar, start };
        let cores = std::thread::available_parallelism().map_or(1, |cores| cores.get());
        let jobs = self.jobs.map_or(cores, usize::from);
        let starts = match machine {
            Machine::Cpu(_) => {
                work.on_cores(jobs, work.recipes(), async |k, recipe| work.make_reference(k, &recipe).await)?;
                let starts = work.starts()?;
                work.on_cores(jobs, settings.parts(), async |k, part| work.train(k, &starts, part).await)?;
                starts
            }
            Machine::Gpu(mut gpu) => pollster::block_on(async {
                for recipe in work.recipes() {
                    work.make_reference(&mut *gpu, &recipe).await?;
                }
                let starts = work.starts()?;
                for part in settings.parts() {
                    work.train(&mut *gpu, &starts, part).await?;
                }
                Ok::<Starts, Failure>(starts)
            })?,
        };
        work.conclude(&starts)
    }
}

/// What the workers have in common.
struct Work<'a> {
    world: &'a World,
    settings: &'a AblationSettings,
    folder: &'a OutputFolder,
    fingerprints: Fingerprints,
    bar: ProgressBar,
    start: Instant,
}

impl Work<'_> {
    /// A backend a core, each taking the next of the items.
    fn on_cores<T: Send>(
        &self,
        jobs: usize,
        items: Vec<T>,
        work: impl AsyncFn(&mut Cpu<f32>, T) -> Result<(), Failure> + Sync,
    ) -> Result<(), Failure> {
        let queue = Mutex::new(items.into_iter().rev().collect::<Vec<T>>());
        let next = || queue.lock().expect("no worker panics").pop();
        let worker = || {
            let mut k = Cpu::<f32>::new();
            while let Some(item) = next() {
                if interrupt::requested() {
                    break;
                }
                pollster::block_on(work(&mut k, item))?;
            }
            Ok(())
        };
        let jobs = jobs.min(queue.lock().expect("no worker panics").len());
        std::thread::scope(|scope| {
            let workers: Vec<_> = (0..jobs).map(|_| scope.spawn(worker)).collect();
            workers.into_iter().try_for_each(|worker| worker.join().expect("a worker does not panic"))
        })
    }

    fn part_file(&self, part: AblationPart) -> PathBuf {
        self.folder.file(&format!("parts/{}.json", self.settings.name(part)))
    }

    /// The points in a part's file, if it is there; they must be of its run, and of its reference where that is there.
    fn points(&self, part: AblationPart, start: Option<&Start>) -> Result<Option<Vec<AblationPoint>>, Failure> {
        let path = self.part_file(part);
        if !path.is_file() {
            return Ok(None);
        }
        let (identity, points) = match part_file::read(&path)? {
            PartFile::Checked { run, points } => (run, points),
            PartFile::SavedSession(points) => (None, points),
        };
        let about = |problem: String| Failure::about(path.display(), format!("{problem}; {}", files::DONE_AGAIN));
        let (arm, run) = (&self.settings.arms[part.arm], self.settings.run(part));
        let is_arm = |factor: &str, level: &str| factor == arm.factor && level == arm.level;
        let is_its = |it: &AblationPoint| is_arm(&it.factor, &it.level) && arm.sweep.owns(&run, &it.point);
        let is_run = |it: &PartIdentity| is_arm(&it.factor, &it.level) && it.run == run;
        if !points.iter().all(is_its) || !identity.as_ref().is_none_or(is_run) {
            return Err(about("is of another run".into()));
        }
        match (identity, start) {
            (Some(identity), Some(start)) if identity.reference != start.fingerprint => {
                let model = self.model_file(&arm.reference);
                Err(about(format!("was trained from another reference than {}", model.display())))
            }
            _ => Ok(Some(points)),
        }
    }

    /// One run, unless it is there. One that diverges is reported, and the others go on.
    async fn train<K: Kernels>(&self, k: &mut K, starts: &Starts, part: AblationPart) -> Result<(), Failure> {
        let (arm, run_of) = (&self.settings.arms[part.arm], self.settings.run(part));
        let name = self.settings.name(part);
        let Some(start) = starts.get(&arm.reference.name()) else { return Ok(()) };
        let Start { model: reference, fingerprint, optimum } = start;
        // Now, and not when everything else is trained.
        if self.points(part, Some(start))?.is_some() {
            self.bar.inc(1);
            return Ok(());
        }
        self.bar.set_message(name.clone());
        let plan = arm.sweep.plan(&run_of);
        let network = Network::new(reference.config);
        let mut sink = Collected { points: Vec::new(), start: self.start };
        let began = Reference { network: &network, parameters: &reference.parameters };
        match run(k, self.world, began, PlannedRun { plan: &plan, seed: run_of.seed }, &mut sink).await {
            Err(error @ SweepError::Diverged { .. }) => progress::say(&self.bar, &format!("{name}: {error}")),
            Err(SweepError::Backend(error)) => return Err(error.into()),
            Err(SweepError::Sink(never)) => match never {},
            Err(error @ SweepError::NotFinite { .. }) => return Err(error.into()),
            Ok(true) => {}
            // Ctrl-C.
            Ok(false) => return Ok(()),
        }
        let points: Vec<AblationPoint> = sink
            .points
            .into_iter()
            .map(|SweepPoint { point, evaluation, .. }| AblationPoint {
                factor: arm.factor.clone(),
                level: arm.level.clone(),
                // Past the curve's end the most that any policy was seen to have.
                optimal_reward: optimal_reward(optimum, point.kl_per_sequence)
                    .unwrap_or_else(|| optimum.iter().map(|it| it.gold_reward).fold(0.0, f64::max)),
                kl_by_reference_probability: kl_by_reference_probability(&evaluation),
                rare_samples: share_with_rare_tokens(&evaluation),
                point,
            })
            .collect();
        let last = points.last().cloned();
        let identity = PartIdentity {
            factor: arm.factor.clone(),
            level: arm.level.clone(),
            run: run_of,
            reference: fingerprint.clone(),
        };
        part_file::write(&self.part_file(part), &PartFile::Checked { run: Some(identity), points })?;
        if let Some(last) = last {
            let it = &last.point;
            let line = format!(
                "{name}: KL {:.3}, gold reward {:.3}, gap {:+.3}",
                it.kl_per_sequence,
                it.gold_reward,
                last.gap()
            );
            progress::say(&self.bar, &line);
        }
        self.bar.inc(1);
        Ok(())
    }

    /// The table and the charts of what is there.
    fn conclude(&self, starts: &Starts) -> Result<End, Failure> {
        self.bar.finish_and_clear();
        let mut points: Vec<AblationPoint> = Vec::new();
        let mut ends: Vec<Vec<AblationPoint>> = Vec::new();
        for part in self.in_order() {
            let start = starts.get(&self.settings.arms[part.arm].reference.name());
            let Some(of_run) = self.points(part, start)? else { continue };
            let Some(end) = of_run.last().cloned() else { continue };
            points.extend(of_run);
            match ends.last_mut() {
                Some(seeds) if is_same(&seeds[0], &end) => seeds.push(end),
                _ => ends.push(vec![end]),
            }
        }
        self.folder.write("ablation.csv", ablation_csv(&points))?;
        files::print(
            "factor         level                   method  setting  seeds  KL, nats      gold reward    gap            in rare tokens\n",
        );
        ends.iter().for_each(|seeds| files::print(&line(seeds)));
        let mut factors: Vec<&str> = self.settings.arms.iter().map(|arm| arm.factor.as_str()).collect();
        factors.dedup();
        for factor in factors {
            let name = format!("{}.svg", factor.replace(' ', "-"));
            self.folder.write(&name, chart(factor, &ends)?)?;
        }
        Ok(if interrupt::requested() { End::Interrupted } else { End::Done })
    }

    /// Every part, the seeds of a run side by side.
    fn in_order(&self) -> impl Iterator<Item = AblationPart> {
        let runs = |(arm, it): (usize, &klimb::experiments::AblationArm)| {
            (0..it.sweep.runs.len()).map(move |run| AblationPart { arm, run }).collect::<Vec<_>>()
        };
        self.settings.arms.iter().enumerate().flat_map(runs)
    }
}

fn go_on() -> ControlFlow<()> {
    if interrupt::requested() { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
}

/// Keeps the points of a run.
struct Collected {
    points: Vec<SweepPoint>,
    start: Instant,
}

impl Sink for Collected {
    type Error = Infallible;

    fn seconds(&self) -> f64 {
        self.start.elapsed().as_secs_f64()
    }

    fn stepped(&mut self, _: u64) -> ControlFlow<()> {
        go_on()
    }

    fn metrics(&mut self, _: &[MetricRow]) {}

    fn point(&mut self, point: SweepPoint) -> Result<(), Infallible> {
        self.points.push(SweepPoint { parameters: None, ..point });
        Ok(())
    }
}
