//! `compare`: RLHF or DPO, as a table of measured cells; it goes on where it stopped, and can be spread over machines.

use std::fmt::Write;
use std::ops::ControlFlow;
use std::path::PathBuf;
use std::time::Instant;

use clap::{Args, ValueEnum};
use klimb::backend::Kernels;
use klimb::backend::network::Network;
use klimb::experiments::{
    COMPARED, ComparedPart, ComparisonPart, ComparisonResult, ComparisonSettings, ComparisonTask, ComparisonWatch,
    RecordedOptimum, Reference, StudyError, compare_part, comparison_cells, optimum_curve, reference_point,
};
use klimb::metrics::{ComparisonCell, Method, OptimumPoint, comparison_csv, optimum_csv, parse_optimum_csv};
use klimb::model::{Checkpoint, Expectation};
use klimb::world::World;

use super::fingerprints::Fingerprints;
use super::machine::{BackendArguments, on};
use super::number::number;
use super::optimum::sampled;
use super::output_folder::OutputFolder;
use super::shard::Shard;
use super::study::Study;
use super::{End, Failure, files, interrupt, part_file, progress, seeds};

/// The optima that ship with the page; each names the reference it is of.
const RECORDED: [&str; 2] = ["optimum.json", "optimum-64.json"];

/// The optimum of the study's reference.
const OPTIMUM: &str = "optimum.csv";

/// The studies that have a name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Preset {
    /// Two leashes, one seed: minutes on one core
    Quick,
    /// Three leashes, three seeds
    Full,
    /// Seconds, and meaningless: for tests
    #[value(hide = true)]
    Smoke,
}

/// Compare RLHF and DPO: what each takes, and what it gives
#[derive(Debug, Args)]
#[command(
    long_about = "Compare RLHF and DPO by what each takes and what it gives, measured on this machine: stages, networks and \
        parameters in memory, tokens through them forward and back, seconds, sensitivity to the learning rate, spread over \
        seeds, the best gold reward within a KL of 2, 5 and 10 nats, and the gap to the closed-form optimum.\n\n\
        Preferred-FT (the floor), DPO, PPO and PPO-GT get the same leashes, seeds and multiples of their default learning \
        rates. Costs count everything but evaluations: the pairs, and PPO's reward model. Trainings go one at a time, so \
        that seconds mean something; run nothing beside it.\n\n\
        DIR gets comparison.csv, optimum.csv, files.json (its fingerprint), run.json and a file for each training (parts/*.json). Ctrl-C keeps every \
        training that is finished, and the same command goes on from there. With --shard 1/3, 2/3 and 3/3 three machines \
        share the work; copy their parts and checkpoints into one of the folders and run the command there without --shard.",
    after_long_help = "Examples:\n  \
        klimb compare --preset quick --out compare\n  \
        klimb compare --preset full --shard 2/4 --out compare"
)]
pub struct Compare {
    /// Which study
    #[arg(long, value_enum)]
    preset: Preset,
    /// The folder to write
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
    /// The reference [default: the SFT model that ships with the page]
    #[arg(long, value_name = "FILE")]
    reference: Option<PathBuf>,
    /// Do this machine's share of the trainings alone, and the table only if all others are there
    #[arg(long, value_name = "I/N")]
    shard: Option<Shard>,
    /// The first seed; further ones count up from it
    #[arg(long, default_value_t = 1, value_parser = crate::commands::seed)]
    seed: u64,
    #[command(flatten)]
    backend: BackendArguments,
}

impl Compare {
    pub fn run(self) -> Result<End, Failure> {
        let world = files::world()?;
        let settings = self.settings()?.validated()?;
        let from = files::given_or_shipped(self.reference.as_deref(), "sft.safetensors")?;
        let reference = files::read_checkpoint(&from, &world)?;
        let machine = self.backend.open()?;
        let models = [("reference", &reference)];
        let study = Study { name: "compare", settings: &settings, models: &models };
        let folder = study.open(&self.out, &world, &machine)?;
        folder.make("parts")?;
        folder.make("checkpoints")?;
        interrupt::listen()?;
        let network = Network::new(reference.config);
        let work =
            Work { world: &world, settings: &settings, reference: &reference, network, folder, shard: self.shard };
        on!(machine, k => pollster::block_on(async {
            work.train(k).await?;
            work.conclude(k).await
        }))
    }

    fn settings(&self) -> Result<ComparisonSettings, Failure> {
        let preset = match self.preset {
            Preset::Quick => ComparisonSettings::quick(),
            Preset::Full => ComparisonSettings::full(),
            Preset::Smoke => ComparisonSettings::smoke(),
        };
        let seeds = seeds::counted(self.seed, preset.seeds.len() as u64)?;
        Ok(ComparisonSettings { seeds, ..preset })
    }
}

/// A study at work.
struct Work<'a> {
    world: &'a World,
    settings: &'a ComparisonSettings,
    reference: &'a Checkpoint,
    network: Network,
    folder: OutputFolder,
    shard: Option<Shard>,
}

impl Work<'_> {
    fn file(&self, part: &ComparisonPart) -> PathBuf {
        self.folder.file(&format!("parts/{}.json", part.name()))
    }

    fn reward_model(&self, seed: u64) -> PathBuf {
        self.folder.file(&format!("checkpoints/reward-model-{seed}.safetensors"))
    }

    /// The result in a part's file, if it is there.
    fn result(&self, part: &ComparisonPart) -> Result<Option<ComparisonResult>, Failure> {
        let path = self.file(part);
        if !path.is_file() {
            return Ok(None);
        }
        let result: ComparisonResult = part_file::read(&path)?;
        if result.part != *part {
            return Err(Failure::about(path.display(), format!("is of another training; {}", files::DONE_AGAIN)));
        }
        if let ComparisonPart::Policy { method: Method::Ppo, seed, .. } = *part {
            let its = self.result(&ComparisonPart::RewardModel { seed })?.and_then(|it| it.reward_model);
            if let (Some(its), Some(judge)) = (its, &result.reward_model)
                && its != *judge
            {
                let model = self.reward_model(seed);
                let sentence =
                    format!("was judged by another reward model than {}; {}", model.display(), files::DONE_AGAIN);
                return Err(Failure::about(path.display(), sentence));
            }
        }
        Ok(Some(result))
    }

    /// What the model in a reward model's file must be.
    fn expected_reward_model(&self) -> Expectation {
        files::expected(self.world, Some(self.reference.config), true)
    }

    /// What is wrong with the file of the reward model that a result is of.
    fn reward_model_problem(&self, seed: u64, result: &ComparisonResult) -> Result<Option<&'static str>, Failure> {
        let path = self.reward_model(seed);
        if !path.is_file() {
            return Ok(Some("is missing"));
        }
        let found = files::read_made(&path, &self.expected_reward_model())?;
        // Parts of an earlier version name none.
        let is_its = result.reward_model.as_ref().is_none_or(|known| *known == found.fingerprint());
        Ok((!is_its).then_some("is another reward model than the one that was trained"))
    }

    /// Whether a training has its whole result. One that lacks a point, as an earlier version could leave it, or its reward
    /// model, is done again.
    fn is_done(&self, part: &ComparisonPart) -> Result<bool, Failure> {
        let Some(result) = self.result(part)? else { return Ok(false) };
        let problem = match part {
            ComparisonPart::RewardModel { seed } => {
                let problem = self.reward_model_problem(*seed, &result)?;
                problem.map(|problem| format!("{}: {problem}", self.reward_model(*seed).display()))
            }
            ComparisonPart::Policy { .. } => {
                let is_whole = self.settings.is_whole(&result);
                (!is_whole).then(|| format!("{}: is not complete", self.file(part).display()))
            }
        };
        if let Some(problem) = &problem {
            progress::tell(&format!("{problem}; the training is done again"));
        }
        Ok(problem.is_none())
    }

    /// Does the share's trainings that are not there yet, until Ctrl-C.
    async fn train<K: Kernels>(&self, k: &mut K) -> Result<(), Failure> {
        let is_mine = |index: &usize| self.shard.is_none_or(|shard| shard.holds(*index));
        let groups = self.settings.groups().into_iter().enumerate();
        let parts: Vec<ComparisonPart> = groups.filter(|(index, _)| is_mine(index)).flat_map(|(_, it)| it).collect();
        let bar = progress::bar(parts.len() as u64, "trainings");
        let start = Instant::now();
        for part in parts {
            if interrupt::requested() {
                break;
            }
            if self.is_done(&part)? {
                progress::say(&bar, &format!("finished before and not repeated: {}", part.name()));
            } else if let Some(result) = self.train_part(k, part, start).await? {
                progress::say(&bar, &said(&result));
            }
            bar.inc(1);
        }
        bar.finish_and_clear();
        Ok(())
    }

    /// What every policy starts from.
    fn start(&self) -> Reference<'_> {
        Reference { network: &self.network, parameters: &self.reference.parameters }
    }

    /// One training with its files, or `None` after Ctrl-C.
    async fn train_part<K: Kernels>(
        &self,
        k: &mut K,
        part: ComparisonPart,
        start: Instant,
    ) -> Result<Option<ComparisonResult>, Failure> {
        let judge = match part {
            ComparisonPart::Policy { method: Method::Ppo, seed, .. } => {
                let path = self.reward_model(seed);
                Some(files::read_made(&path, &self.expected_reward_model())?)
            }
            ComparisonPart::Policy { .. } | ComparisonPart::RewardModel { .. } => None,
        };
        let reward_model = judge.as_ref().map(|judge| &judge.parameters[..]);
        let task = ComparisonTask { settings: self.settings, part, reward_model };
        let watch = ComparisonWatch { clock: || start.elapsed().as_secs_f64(), watch: go_on };
        let done: Result<_, StudyError> = compare_part(k, self.world, self.start(), task, watch).await;
        let Some(ComparedPart { mut result, reward_model }) = done? else { return Ok(None) };
        result.reward_model = judge.map(|judge| judge.fingerprint());
        if let (ComparisonPart::RewardModel { seed }, Some(parameters)) = (part, reward_model) {
            let stage = "reward_model".into();
            let checkpoint = Checkpoint { stage, step: 0, head: true, parameters, ..self.reference.clone() };
            files::write_checkpoint(&self.reward_model(seed), &checkpoint)?;
            result.reward_model = Some(checkpoint.fingerprint());
        }
        part_file::write(&self.file(&part), &result)?;
        Ok(Some(result))
    }

    /// The table, if every training is there.
    async fn conclude<K: Kernels>(&self, k: &mut K) -> Result<End, Failure> {
        if interrupt::requested() {
            return Ok(End::Interrupted);
        }
        let parts = self.settings.groups().concat();
        let results: Vec<Option<ComparisonResult>> =
            parts.iter().map(|part| self.result(part)).collect::<Result<_, _>>()?;
        let missing = results.iter().filter(|result| result.is_none()).count();
        if missing > 0 {
            let sentence = "copy their parts and checkpoints here, and run this without --shard";
            files::print(&format!("{missing} trainings of other shares are missing: {sentence}\n"));
            return Ok(End::Done);
        }
        let results: Vec<ComparisonResult> = results.into_iter().flatten().collect();
        let Some(optimum) = self.optimum(k).await? else { return Ok(End::Interrupted) };
        let evaluation = self.settings.sweep.evaluation;
        let reference = reference_point(k, self.world, self.start(), self.reference.step, evaluation).await?.point;
        let cells = comparison_cells(self.settings, &self.reference.config, &results, &reference, &optimum);
        self.folder.write("comparison.csv", comparison_csv(&cells))?;
        files::print(&table(&cells)?);
        Ok(End::Done)
    }

    /// The closed-form optimum: the recorded one of this reference, what was sampled before, or new samples.
    async fn optimum<K: Kernels>(&self, k: &mut K) -> Result<Option<Vec<OptimumPoint>>, Failure> {
        let (path, fingerprints) = (self.folder.file(OPTIMUM), Fingerprints::read(self.folder.path())?);
        if path.is_file() {
            let bytes = files::read(&path)?;
            let again = "delete the file and run the same command: the optimum is sampled again";
            let about = |problem: String| Failure::about(path.display(), format!("{problem}; {again}"));
            let points =
                parse_optimum_csv(&String::from_utf8_lossy(&bytes)).map_err(|error| about(error.to_string()))?;
            if !fingerprints.fit(OPTIMUM, &bytes) {
                return Err(about(Fingerprints::CHANGED.into()));
            }
            fingerprints.learn(OPTIMUM, &bytes)?;
            return Ok(Some(points));
        }
        let temperature = self.settings.sweep.preferences.labels.temperature;
        let fingerprint = self.reference.fingerprint();
        let recorded = |name: &str| {
            let path = files::given_or_shipped(None, name).ok()?;
            let recorded = RecordedOptimum::from_bytes(&std::fs::read(path).ok()?).ok()?;
            (recorded.reference == fingerprint).then(|| recorded.curve(temperature))
        };
        let curve = match RECORDED.into_iter().find_map(recorded) {
            Some(curve) => curve,
            None => {
                let settings = &self.settings.sweep.optimum;
                let drawn = sampled(k, self.world, self.start(), temperature, settings).await?;
                let Some(drawn) = drawn else { return Ok(None) };
                optimum_curve(&drawn.samples)
            }
        };
        let text = optimum_csv(&curve);
        files::write(&path, &text)?;
        fingerprints.set(OPTIMUM.into(), text.as_bytes());
        fingerprints.write()?;
        Ok(Some(curve))
    }
}

fn go_on() -> ControlFlow<()> {
    if interrupt::requested() { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
}

/// A line about a finished training.
fn said(result: &ComparisonResult) -> String {
    let (name, seconds) = (result.part.name(), result.spent.seconds);
    match result.points.last() {
        _ if result.is_diverged => format!("{name}: a number was not finite, which is a result"),
        Some(it) => {
            format!("{name}: KL {:.3}, gold reward {:.3}, {seconds:.1} s", it.kl_per_sequence, it.gold_reward)
        }
        None => format!("{name}: {seconds:.1} s"),
    }
}

/// A line a quantity, a column a method.
fn table(cells: &[ComparisonCell]) -> Result<String, Failure> {
    let mut quantities: Vec<&ComparisonCell> = Vec::new();
    for cell in cells {
        if quantities.iter().all(|it| it.quantity != cell.quantity) {
            quantities.push(cell);
        }
    }
    let mut text = format!("{:<29}", "");
    for method in COMPARED {
        write!(text, "  {:>16}", method)?;
    }
    for first in quantities {
        write!(text, "\n{:<29}", first.quantity)?;
        for method in COMPARED {
            let cell = cells.iter().find(|it| it.method == method && it.quantity == first.quantity);
            write!(text, "  {:>16}", cell.map_or_else(String::new, shown))?;
        }
        write!(text, "  {}", first.unit)?;
    }
    Ok(text + "\n")
}

fn shown(cell: &ComparisonCell) -> String {
    let digits = match cell.unit.as_str() {
        "gold reward" | "nats" => 3,
        "s" => 1,
        _ => 0,
    };
    let value = number(cell.value, digits);
    if cell.half_width > 0.0 { format!("{value} ± {:.digits$}", cell.half_width) } else { value }
}
