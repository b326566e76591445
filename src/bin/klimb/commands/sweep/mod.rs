//! `sweep`: the frontier over methods, settings and seeds, as files that anyone can recompute.

mod folder;
mod merge;
mod optima;
mod points;

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
    PlannedRun, Reference, Sink, SweepError, SweepPoint, SweepRun, SweepSettings, TrainedRewardModel, reference_point,
    run,
};
use klimb::metrics::MetricRow;
use klimb::model::Checkpoint;
use klimb::world::World;

use super::machine::{BackendArguments, Machine};
use super::number::number;
use super::shard::Shard;
use super::training::{SinkError, loss};
use super::{End, Failure, files, interrupt, progress, seeds};
use folder::{Description, Folder};
pub use merge::Merge;
use optima::{RewardModels, optima};

/// Seeds of each method unless said otherwise.
const SEEDS: u64 = 3;

/// The sweeps that have a name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Preset {
    /// Every method, one seed: minutes on two cores
    Quick,
    /// The runs of Rafailov et al. (2023), Figure 2 left, with its noise-free labels, three seeds
    Paper,
    /// The same with noisy labels, τ = 0.1
    PaperNoisy,
    /// Seconds, and meaningless: for tests
    #[value(hide = true)]
    Smoke,
}

/// Measure the frontier: every method over settings and seeds, beside the closed-form optimum
#[derive(Debug, Args)]
#[command(
    long_about = "Measure the reward-versus-KL frontier: DPO, PPO, PPO-GT, unlikelihood, Preferred-FT and Best-of-N over \
        settings and seeds, with the same data and evaluation for all and the same budget for all that learn from pairs, beside the closed-form optimum.\n\n\
        DIR gets frontier.csv and frontier.svg (every point), optimum.csv (the most reward any policy can have at a KL), \
        optimum_learned.csv (what PPO aims at: the same for the score of each seed's \
        reward model, with its gold reward), run.json (settings, seeds, build, backend, vocabulary), and for each point its samples (samples/*.jsonl) and its \
        policy (checkpoints/*.safetensors; none for Best-of-N, which is the reference's), and for each seed of PPO its reward model (checkpoints/reward-model-SEED.safetensors); files.json has the fingerprints of points' files and reward models, by which a changed one is noticed. A \
        point's kl_per_sequence is \
        the mean over its samples of the sum of kl_per_token, its gold_reward the mean of gold_reward.\n\n\
        Ctrl-C leaves what was done. The same command goes on where it stopped: finished runs are not repeated. A folder \
        of another sweep is refused. With --shard, several machines share the runs, and `klimb merge` puts their folders \
        together and adds the optimum.",
    after_long_help = "Examples:\n  \
        klimb sweep --preset quick --out sweep\n  \
        klimb sweep --preset paper --seeds 1 --out paper\n  \
        klimb sweep --preset paper --reference sft-64.safetensors --backend gpu --shard 1/4 --out part-1"
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
    #[arg(long, default_value_t = 1, value_parser = crate::commands::seed)]
    seed: u64,
    /// Seeds of each method in the paper's presets (Preferred-FT has six at least) [default: 3]
    #[arg(long, value_parser = clap::value_parser!(u64).range(1..=100))]
    seeds: Option<u64>,
    /// Do part I of N of the runs, and leave the optimum to `klimb merge`
    #[arg(long, value_name = "I/N")]
    shard: Option<Shard>,
    /// Runs at once on the CPU backend [default: one a core]; the results do not depend on it
    #[arg(long, value_parser = clap::value_parser!(u16).range(1..))]
    jobs: Option<u16>,
    #[command(flatten)]
    backend: BackendArguments,
}

impl Sweep {
    pub fn run(self) -> Result<End, Failure> {
        let world = files::world()?;
        let settings = self.settings()?.validated()?;
        let file = files::given_or_shipped(self.reference.as_deref(), "sft.safetensors")?;
        let reference = files::read_checkpoint(&file, &world)?;
        let machine = self.backend.open()?;
        let adapter = machine.adapter();
        let place = (machine.name(), adapter.as_deref());
        let description =
            Description { world: &world, settings: &settings, reference: &reference, place, shard: self.shard };
        let folder = Folder::open(&self.out, description)?;
        interrupt::listen()?;
        let is_mine = |(index, _): &(usize, &SweepRun)| self.shard.is_none_or(|shard| shard.holds(*index));
        let mine: Vec<SweepRun> = settings.runs.iter().enumerate().filter(is_mine).map(|(_, run)| *run).collect();
        let mut remaining = folder.remaining();
        remaining.retain(|run| mine.contains(run));
        let work: u64 = remaining.iter().map(|run| settings.plan(run).work(&world)).sum();
        let bar = progress::bar(work, "steps");
        let done = mine.len() - remaining.len();
        if done > 0 {
            progress::say(&bar, &format!("finished before and not repeated: {done} of {} runs", mine.len()));
        }
        let jobs = mine.len();
        let shared = Shared {
            world: &world,
            network: Network::new(reference.config),
            reference: &reference,
            settings: &settings,
            reward_models: folder.reward_models(),
            folder: Mutex::new(folder),
            queue: Mutex::new(remaining.into_iter().rev().collect()),
            bar,
            start: Instant::now(),
            with_optimum: self.shard.is_none(),
        };
        match machine {
            Machine::Cpu(_) => self.on_cores(&shared, jobs)?,
            Machine::Gpu(mut gpu) => pollster::block_on(async {
                shared.measure_reference(&mut *gpu).await?;
                shared.work(&mut *gpu).await?;
                shared.conclude(&mut *gpu).await
            })?,
        }
        shared.bar.finish_and_clear();
        if interrupt::requested() {
            files::print(&format!("{}: interrupted; the same command goes on from here\n", self.out.display()));
            return Ok(End::Interrupted);
        }
        files::print(&format!("{}: done in {:.0} s\n", self.out.display(), shared.start.elapsed().as_secs_f64()));
        Ok(End::Done)
    }

    fn settings(&self) -> Result<SweepSettings, Failure> {
        let seeds = self.seeds.unwrap_or(SEEDS);
        let settings = match self.preset {
            Preset::Quick | Preset::Smoke if self.seeds.is_some() => {
                return Err(Failure::new("--seeds: this preset has one seed; only the paper's presets have several"));
            }
            Preset::Quick => SweepSettings::quick(self.seed),
            Preset::Smoke => SweepSettings::smoke(self.seed),
            Preset::Paper => SweepSettings::paper(self.seed, seeds),
            Preset::PaperNoisy => SweepSettings::paper_noisy(self.seed, seeds),
        };
        // Methods may have more seeds than asked for.
        let most = settings.runs.iter().map(|it| it.seed.wrapping_sub(self.seed)).max().unwrap_or(0);
        seeds::counted(self.seed, most + 1)?;
        Ok(settings)
    }

    /// A backend a core, each taking the next of the `runs` from the queue.
    fn on_cores(&self, shared: &Shared, runs: usize) -> Result<(), Failure> {
        let cores = std::thread::available_parallelism().map_or(1, |cores| cores.get());
        let jobs = self.jobs.map_or(cores, usize::from).min(runs);
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
    reward_models: RewardModels,
    /// Runs to do, the next one last.
    queue: Mutex<Vec<SweepRun>>,
    bar: ProgressBar,
    start: Instant,
    with_optimum: bool,
}

impl Shared<'_> {
    async fn measure_reference<K: Kernels>(&self, k: &mut K) -> Result<(), Failure> {
        if self.lock().has_reference_point() {
            return Ok(());
        }
        let evaluation = self.settings.evaluation;
        let point = reference_point(k, self.world, self.start(), self.reference.step, evaluation).await?;
        self.add(point)
    }

    /// Does runs until there are none left, or Ctrl-C. A run that diverges is reported, and the others go on.
    async fn work<K: Kernels>(&self, k: &mut K) -> Result<(), Failure> {
        while !interrupt::requested() {
            let next = self.queue.lock().expect("no worker panics").pop();
            let Some(next) = next else { break };
            let mut sink = Worker { shared: self, done: 0 };
            let plan = self.settings.plan(&next);
            match run(k, self.world, self.start(), PlannedRun { plan: &plan, seed: next.seed }, &mut sink).await {
                Err(error @ SweepError::Diverged { .. }) => progress::say(&self.bar, &error.to_string()),
                ended => drop(ended?),
            }
        }
        Ok(())
    }

    /// The optima and the chart, or the chart alone of a shard and after Ctrl-C.
    async fn conclude<K: Kernels>(&self, k: &mut K) -> Result<(), Failure> {
        let mut found = None;
        if self.with_optimum && !interrupt::requested() {
            found = optima(k, self.world, self.start(), self.settings, &self.reward_models).await?;
        }
        self.lock().conclude(found.as_ref())
    }

    fn start(&self) -> Reference<'_> {
        Reference { network: &self.network, parameters: &self.reference.parameters }
    }

    fn add(&self, point: SweepPoint) -> Result<(), Failure> {
        let it = &point.point;
        let line = format!(
            "{} {} seed {} step {}: KL {} ± {}, gold reward {} ± {}",
            it.method,
            it.setting,
            it.seed,
            it.step,
            number(it.kl_per_sequence, 3),
            number(it.kl_half_width, 3),
            number(it.gold_reward, 3),
            number(it.gold_reward_half_width, 3)
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
    done: u64,
}

impl Sink for Worker<'_> {
    type Error = SinkError;

    fn seconds(&self) -> f64 {
        self.shared.start.elapsed().as_secs_f64()
    }

    fn stepped(&mut self, done: u64) -> ControlFlow<()> {
        self.shared.bar.inc(done - self.done);
        self.done = done;
        if interrupt::requested() { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    }

    fn metrics(&mut self, metrics: &[MetricRow]) {
        self.shared.bar.set_message(format!("loss {}", loss(metrics.last())));
    }

    fn point(&mut self, point: SweepPoint) -> Result<(), SinkError> {
        Ok(self.shared.add(point)?)
    }

    fn known_reward_model(&self, seed: u64) -> Result<Option<Vec<f32>>, SinkError> {
        Ok(self.shared.reward_models.read(self.shared.world, seed)?)
    }

    fn reward_model(&mut self, seed: u64, trained: &TrainedRewardModel) -> Result<(), SinkError> {
        Ok(self.shared.reward_models.write(seed, trained)?)
    }
}
