//! `sweep`: the frontier over settings and seeds, as files that anyone can recompute.

mod folder;

use std::ops::ControlFlow;
use std::path::PathBuf;
use std::sync::Mutex;
use std::time::Instant;

use clap::{Args, ValueEnum};
use indicatif::ProgressBar;
use klimb::algorithms::DpoMetrics;
use klimb::backend::Kernels;
use klimb::backend::cpu::Cpu;
use klimb::backend::network::Network;
use klimb::experiments::{
    Sink, SweepError, SweepPoint, SweepRun, SweepSettings, optimum_curve, reference_point, run_dpo,
};
use klimb::model::Checkpoint;
use klimb::world::World;

use super::dpo::SinkError;
use super::machine::{BackendArguments, Machine};
use super::optimum::sampled;
use super::{End, Failure, files, interrupt, progress};
use folder::Folder;

/// The sweeps that have a name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Preset {
    /// β .1, .3 and 1, one seed: minutes on two cores
    Quick,
    /// β .05, .1, 1 and 5 (Rafailov et al. 2023, Figure 2), three seeds
    Paper,
    /// Seconds, and meaningless: for tests
    #[value(hide = true)]
    Smoke,
}

/// Measure the frontier: DPO over settings and seeds, beside the closed-form optimum
#[derive(Debug, Args)]
#[command(
    long_about = "Measure the reward-versus-KL frontier: DPO over settings and seeds, beside the closed-form optimum.\n\n\
        DIR gets frontier.csv and frontier.svg (every point), optimum.csv (the most reward any policy can have at a KL), \
        run.json (settings, seeds, build, backend, vocabulary), and for each point its samples (samples/*.jsonl) and its \
        policy (checkpoints/*.safetensors). A point's kl_per_sequence is the mean over its samples of the sum of \
        kl_per_token, its gold_reward the mean of gold_reward.\n\n\
        Ctrl-C leaves what was done. The same command goes on where it stopped: finished runs are not repeated. A folder \
        of another sweep is refused.",
    after_long_help = "Examples:\n  \
        klimb sweep --preset quick --out sweep\n  \
        klimb sweep --preset paper --reference sft-64.safetensors --backend gpu --out paper"
)]
pub struct Sweep {
    /// Which runs
    #[arg(long, value_enum)]
    preset: Preset,
    /// The folder to write
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
    /// The reference [default: the SFT model that ships with the page]
    #[arg(long, value_name = "FILE")]
    reference: Option<PathBuf>,
    /// The first seed; further ones count up from it
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Runs at once on the CPU backend [default: one a core]; the results do not depend on it
    #[arg(long, value_parser = clap::value_parser!(u16).range(1..))]
    jobs: Option<u16>,
    #[command(flatten)]
    backend: BackendArguments,
}

impl Sweep {
    pub fn run(self) -> Result<End, Failure> {
        let world = files::world()?;
        let settings = self.settings().validated()?;
        let file = files::given_or_shipped(self.reference.as_deref(), "sft.safetensors")?;
        let reference = files::read_checkpoint(&file, &world)?;
        let machine = self.backend.open()?;
        let place = (machine.name(), machine.adapter());
        let folder = Folder::open(&self.out, &world, &settings, reference.clone(), place)?;
        interrupt::listen()?;
        let remaining = folder.remaining();
        let steps: u64 = remaining.iter().map(|run| run.settings.steps()).sum();
        let bar = progress::bar(steps, "steps");
        let done = settings.runs().len() - remaining.len();
        if done > 0 {
            progress::say(&bar, &format!("finished before and not repeated: {done} of {} runs", settings.runs().len()));
        }
        let shared = Shared {
            world: &world,
            network: Network::new(reference.config),
            reference: &reference,
            settings: &settings,
            folder: Mutex::new(folder),
            queue: Mutex::new(remaining.into_iter().rev().collect()),
            bar,
            start: Instant::now(),
        };
        match machine {
            Machine::Cpu(_) => self.on_cores(&shared)?,
            Machine::Gpu(mut gpu) => pollster::block_on(async {
                shared.measure_reference(&mut *gpu).await?;
                shared.work(&mut *gpu).await?;
                shared.conclude(&mut *gpu).await
            })?,
        }
        shared.bar.finish_and_clear();
        if interrupt::requested() {
            files::print(&format!("{}: interrupted; the same command goes on from here\n", self.out.display()))?;
            return Ok(End::Interrupted);
        }
        files::print(&format!("{}: done in {:.0} s\n", self.out.display(), shared.start.elapsed().as_secs_f64()))?;
        Ok(End::Done)
    }

    fn settings(&self) -> SweepSettings {
        let preset = match self.preset {
            Preset::Quick => SweepSettings::quick(),
            Preset::Paper => SweepSettings::paper(),
            Preset::Smoke => SweepSettings::smoke(),
        };
        let seeds = (0..preset.seeds.len() as u64).map(|offset| self.seed.wrapping_add(offset)).collect();
        SweepSettings { seeds, ..preset }
    }

    /// A backend a core, each taking the next run from the queue.
    fn on_cores(&self, shared: &Shared) -> Result<(), Failure> {
        let cores = std::thread::available_parallelism().map_or(1, |cores| cores.get());
        let jobs = self.jobs.map_or(cores, usize::from).min(shared.settings.runs().len());
        pollster::block_on(shared.measure_reference(&mut Cpu::<f32>::new()))?;
        std::thread::scope(|scope| {
            let work = || pollster::block_on(shared.work(&mut Cpu::<f32>::new()));
            let workers: Vec<_> = (0..jobs).map(|_| scope.spawn(work)).collect();
            workers.into_iter().try_for_each(|worker| worker.join().expect("a worker does not panic"))
        })?;
        pollster::block_on(shared.conclude(&mut Cpu::<f32>::new()))
    }
}

/// What the workers of a sweep have in common.
struct Shared<'a> {
    world: &'a World,
    network: Network,
    reference: &'a Checkpoint,
    settings: &'a SweepSettings,
    folder: Mutex<Folder>,
    /// Runs to do, the next one last.
    queue: Mutex<Vec<SweepRun>>,
    bar: ProgressBar,
    start: Instant,
}

impl Shared<'_> {
    async fn measure_reference<K: Kernels>(&self, k: &mut K) -> Result<(), Failure> {
        if self.lock().has_reference_point() {
            return Ok(());
        }
        let Checkpoint { parameters, step, .. } = self.reference;
        let evaluation = self.settings.run.evaluation;
        let point = reference_point(k, self.world, &self.network, parameters, *step, evaluation).await?;
        self.add(point)
    }

    /// Does runs until there are none left, or Ctrl-C. A run that diverges is reported, and the others go on.
    async fn work<K: Kernels>(&self, k: &mut K) -> Result<(), Failure> {
        while !interrupt::requested() {
            let next = self.queue.lock().expect("no worker panics").pop();
            let Some(run) = next else { break };
            let mut sink = Worker { shared: self, step: 0 };
            let reference = &self.reference.parameters;
            match run_dpo(k, self.world, &self.network, reference, &run, &mut sink).await {
                Err(error @ SweepError::Diverged { .. }) => progress::say(&self.bar, &error.to_string()),
                ended => drop(ended?),
            }
        }
        Ok(())
    }

    /// The optimum and the chart, or the chart alone after Ctrl-C.
    async fn conclude<K: Kernels>(&self, k: &mut K) -> Result<(), Failure> {
        let mut optimum = None;
        if !interrupt::requested() {
            let parameters = &self.reference.parameters;
            let temperature = self.settings.run.preferences.labels.temperature;
            let settings = &self.settings.optimum;
            let samples = sampled(k, self.world, &self.network, parameters, temperature, settings).await?;
            optimum = samples.map(|samples| optimum_curve(&samples.samples));
        }
        self.lock().conclude(optimum.as_deref())
    }

    fn add(&self, point: SweepPoint) -> Result<(), Failure> {
        let it = &point.point;
        let line = format!(
            "{} {} seed {} step {}: KL {:.3} ± {:.3}, gold reward {:.3} ± {:.3}",
            it.method,
            serde_json::to_string(&it.setting)?,
            it.seed,
            it.step,
            it.kl_per_sequence,
            it.kl_half_width,
            it.gold_reward,
            it.gold_reward_half_width
        );
        self.lock().add(self.world, point)?;
        progress::say(&self.bar, &line);
        Ok(())
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Folder> {
        self.folder.lock().expect("no worker panics")
    }
}

/// One run's results on their way into the folder.
struct Worker<'a> {
    shared: &'a Shared<'a>,
    step: u64,
}

impl Sink for Worker<'_> {
    type Error = SinkError;

    fn seconds(&self) -> f64 {
        self.shared.start.elapsed().as_secs_f64()
    }

    fn stepped(&mut self, step: u64) -> ControlFlow<()> {
        self.shared.bar.inc(step - self.step);
        self.step = step;
        if interrupt::requested() { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    }

    fn metrics(&mut self, metrics: &[DpoMetrics]) {
        if let Some(last) = metrics.last() {
            self.shared.bar.set_message(format!("loss {:.4}", last.loss));
        }
    }

    fn point(&mut self, point: SweepPoint) -> Result<(), SinkError> {
        Ok(self.shared.add(point)?)
    }
}
