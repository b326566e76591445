//! The folder of a sweep: what is in it, and whether it may be gone on with.
//!
//! `run.json` says what the sweep is; the files of a point are named by method, setting, seed and step. A run is
//! finished when its last point is in `frontier.csv`, so no further state is kept.

use std::path::{Path, PathBuf};

use klimb::charts::{Aim, FrontierChart, Look, Trail, frontier_svg};
use klimb::experiments::{Sample, SweepPoint, SweepRun, SweepSettings};
use klimb::metrics::{
    FrontierPoint, LearnedOptimumPoint, Setting, frontier_csv, learned_optimum_csv, optimum_csv, parse_frontier_csv,
};
use klimb::model::Checkpoint;
use klimb::world::World;
use serde::Serialize;
use serde_json::{Value, json};

use super::super::{Failure, files};
use super::optima::{Optima, RewardModels, runs_with_reward_models};
use crate::commands::shard::Shard;

/// The fields of `run.json` in which a folder that is gone on with must agree.
const IDENTITY: [&str; 6] = ["settings", "world", "reference", "backend", "adapter", "shard"];
const RUN: &str = "run.json";
const PART_OF_RUN: &str = "run.json.part";
const FRONTIER: &str = "frontier.csv";
/// The reference's checkpoint in a sweep's folder.
pub const REFERENCE: &str = "checkpoints/reference.safetensors";

/// A sweep's folder and what is done in it.
pub struct Folder {
    path: PathBuf,
    reference: Checkpoint,
    settings: SweepSettings,
    points: Vec<FrontierPoint>,
}

/// One line of `samples/*.jsonl`.
#[derive(Serialize)]
struct SampleLine<'a> {
    /// Prompt and completion.
    tokens: &'a [u32],
    prompt_length: usize,
    text: String,
    /// One number a token of the completion, like the two that follow.
    logprobs: Vec<f32>,
    reference_logprobs: Vec<f32>,
    kl_per_token: Vec<f32>,
    gold_reward: f64,
}

/// What a folder's sweep is, as `run.json` has it.
#[derive(Clone, Copy)]
pub struct Description<'a> {
    pub world: &'a World,
    pub settings: &'a SweepSettings,
    pub reference: &'a Checkpoint,
    /// The backend, and the graphics adapter if there is one.
    pub place: (&'a str, Option<&'a str>),
    /// Which part of the runs the folder is for, if not all.
    pub shard: Option<Shard>,
}

impl Description<'_> {
    fn to_json(self) -> Result<String, Failure> {
        let Self { world, settings, reference, place: (backend, adapter), shard } = self;
        let words: Vec<&str> =
            (0..world.vocabulary().len() as u32).map(|token| world.vocabulary().word(token)).collect();
        let run = json!({
            "program": format!("klimb {}", env!("CARGO_PKG_VERSION")),
            "build": files::build(),
            "backend": backend,
            "adapter": adapter,
            "shard": shard.map(|shard| shard.to_string()),
            "settings": settings,
            "world": world.settings(),
            "reference": {
                "config": reference.config,
                "stage": reference.stage,
                "step": reference.step,
                "fingerprint": reference.fingerprint(),
                "file": REFERENCE,
            },
            "vocabulary": words,
        });
        Ok(serde_json::to_string_pretty(&run)? + "\n")
    }
}

impl Folder {
    /// Makes the folder, or opens one of the same sweep and forgets the points of unfinished runs.
    pub fn open(path: &Path, description: Description<'_>) -> Result<Self, Failure> {
        let text = description.to_json()?;
        // Read back, so that numbers compare as they will when read from the file.
        let run: Value = serde_json::from_str(&text)?;
        if let Some(found) = prepare(path)? {
            if let Some(field) = IDENTITY.iter().find(|&&field| found.get(field) != run.get(field)) {
                let sentence = format!("holds a sweep with other {field}; name another folder, or remove this one");
                return Err(Failure::about(path.display(), sentence));
            }
        } else {
            files::write(&path.join(RUN), text)?;
        }
        // What follows may be missing if the program was killed here before.
        for folder in ["samples", "checkpoints"] {
            std::fs::create_dir_all(path.join(folder)).map_err(|error| Failure::about(path.display(), error))?;
        }
        if !path.join(REFERENCE).is_file() {
            files::write(&path.join(REFERENCE), description.reference.to_bytes())?;
        }
        let Description { settings, reference, .. } = description;
        let mut folder = Self {
            path: path.to_owned(),
            reference: reference.clone(),
            settings: settings.clone(),
            points: Vec::new(),
        };
        folder.points = read_points(path)?;
        let finished: Vec<SweepRun> = settings.runs.iter().filter(|run| folder.is_finished(run)).copied().collect();
        let is_kept =
            |point: &FrontierPoint| point.method == "sft" || finished.iter().any(|run| settings.owns(run, point));
        folder.points.retain(is_kept);
        Ok(folder)
    }

    /// The runs that are not finished.
    pub fn remaining(&self) -> Vec<SweepRun> {
        self.settings.runs.iter().filter(|run| !self.is_finished(run)).copied().collect()
    }

    fn is_finished(&self, run: &SweepRun) -> bool {
        self.points.iter().any(|point| self.settings.is_last(run, point))
    }

    /// Whether the reference's own point is there.
    pub fn has_reference_point(&self) -> bool {
        self.points.iter().any(|point| point.method == "sft")
    }

    /// Takes over what another folder of the same sweep has and this one has not. Answers with the seeds of which both
    /// have a reward model, and not the same: the last digit of a sum differs from machine to machine.
    pub fn take(&mut self, other: &Path) -> Result<Vec<u64>, Failure> {
        for point in read_points(other)? {
            let name = point_name(&point);
            if let Some(found) = self.points.iter().find(|found| point_name(found) == name) {
                if without_seconds(found) != without_seconds(&point) {
                    let sentence = format!("has another {name} than the folders before it; leave one of them out");
                    return Err(Failure::about(other.display(), sentence));
                }
                continue;
            }
            for file in [sample_file(&name), checkpoint_file(&name)] {
                if other.join(&file).is_file() {
                    files::write(&self.path.join(&file), files::read(&other.join(&file))?)?;
                }
            }
            self.insert(point)?;
        }
        self.take_reward_models(other)
    }

    fn take_reward_models(&self, other: &Path) -> Result<Vec<u64>, Failure> {
        let mut differing = Vec::new();
        for SweepRun { seed, .. } in runs_with_reward_models(&self.settings) {
            let [here, there] = [&self.path, other].map(|folder| folder.join(RewardModels::file(seed)));
            match (here.is_file(), there.is_file()) {
                (_, false) => {}
                (false, true) => files::write(&here, files::read(&there)?)?,
                (true, true) if files::read(&here)? == files::read(&there)? => {}
                (true, true) => differing.push(seed),
            }
        }
        Ok(differing)
    }

    /// Writes a point's samples and checkpoint, then the frontier with it.
    pub fn add(&mut self, world: &World, point: SweepPoint) -> Result<(), Failure> {
        let SweepPoint { point, evaluation, parameters } = point;
        let name = point_name(&point);
        let lines: Result<Vec<String>, _> =
            evaluation.samples.iter().map(|sample| serde_json::to_string(&sample_line(world, sample))).collect();
        files::write(&self.path.join(sample_file(&name)), lines?.join("\n") + "\n")?;
        if let Some(parameters) = parameters {
            let (stage, step) = (point.method.clone(), point.step);
            let checkpoint = Checkpoint { stage, step, parameters, ..self.reference.clone() };
            files::write(&self.path.join(checkpoint_file(&name)), checkpoint.to_bytes())?;
        }
        self.insert(point)
    }

    fn insert(&mut self, point: FrontierPoint) -> Result<(), Failure> {
        self.points.push(point);
        let run_of = |point: &FrontierPoint| {
            let position = self.settings.runs.iter().position(|run| self.settings.owns(run, point));
            position.map_or(0, |index| index + 1)
        };
        let number = |point: &FrontierPoint| if let Setting::Number(number) = point.setting { number } else { 0.0 };
        self.points.sort_by(|a, b| (run_of(a), a.step).cmp(&(run_of(b), b.step)).then(number(a).total_cmp(&number(b))));
        files::write(&self.path.join(FRONTIER), frontier_csv(&self.points))
    }

    /// Writes the optima, if they were sampled, and the chart.
    pub fn conclude(&self, optima: Option<&Optima>) -> Result<(), Failure> {
        let nothing = Optima::default();
        let Optima { gold, learned } = optima.unwrap_or(&nothing);
        if !gold.is_empty() {
            files::write(&self.path.join("optimum.csv"), optimum_csv(gold))?;
        }
        if !learned.is_empty() {
            files::write(&self.path.join("optimum_learned.csv"), learned_optimum_csv(learned))?;
        }
        let trails = self.trails();
        let aims = aims(learned);
        let chart = FrontierChart {
            ghosts: &[],
            read_off: &[],
            trails: &trails,
            optimum: gold,
            aims: &aims,
            target: None,
            selected: None,
            guess: None,
            empty: "no point yet",
        };
        let svg = frontier_svg(&chart, &Look::default(), (900, 560))?;
        files::write(&self.path.join("frontier.svg"), svg)
    }

    fn trails(&self) -> Vec<Trail> {
        let runs = &self.settings.runs;
        let seeds = runs.iter().any(|run| run.seed != runs[0].seed);
        let of = |points: Vec<&FrontierPoint>| points.into_iter().cloned().collect();
        let reference = self.points.iter().filter(|point| point.method == "sft").collect();
        let reference = Trail { label: "SFT".into(), method: "sft".into(), live: true, points: of(reference) };
        let trails = runs.iter().map(|run| {
            let seed = if seeds { format!(", seed {}", run.seed) } else { String::new() };
            let label = format!("{}{seed}", run.method.label());
            let points: Vec<FrontierPoint> =
                self.points.iter().filter(|point| self.settings.owns(run, point)).cloned().collect();
            let method = points.first().map_or_else(String::new, |point| point.method.clone());
            Trail { label, method, live: true, points }
        });
        std::iter::once(reference).chain(trails).filter(|trail| !trail.points.is_empty()).collect()
    }
}

/// What the PPO of each seed aims at.
fn aims(learned: &[LearnedOptimumPoint]) -> Vec<Aim> {
    let of_seeds: Vec<&[LearnedOptimumPoint]> = learned.chunk_by(|a, b| a.seed == b.seed).collect();
    let aim = |points: &&[LearnedOptimumPoint]| {
        let seed = if of_seeds.len() > 1 { format!(", seed {}", points[0].seed) } else { String::new() };
        let label = format!("optimum of the learned reward{seed}");
        Aim { label, method: "ppo".into(), points: points.iter().map(|point| point.optimum).collect() }
    };
    of_seeds.iter().map(aim).collect()
}

/// Makes the folder unless it is there; answers with its `run.json` if it is a sweep's.
fn prepare(path: &Path) -> Result<Option<Value>, Failure> {
    let about = |problem: String| Failure::about(path.display(), problem);
    if path.exists() && !path.is_dir() {
        return Err(about("is not a folder".into()));
    }
    if path.join(RUN).is_file() {
        return read_run(path).map(Some);
    }
    std::fs::create_dir_all(path).map_err(|error| about(error.to_string()))?;
    // A program killed while it wrote its first file leaves a part of that alone.
    let is_foreign = |entry: std::fs::DirEntry| entry.file_name().to_str() != Some(PART_OF_RUN);
    if path.read_dir()?.filter_map(Result::ok).any(is_foreign) {
        return Err(about(format!("holds other files and no {RUN}; name a new or an empty folder")));
    }
    Ok(None)
}

/// A sweep folder's `run.json`.
pub fn read_run(path: &Path) -> Result<Value, Failure> {
    let file = path.join(RUN);
    serde_json::from_slice(&files::read(&file)?).map_err(|error| Failure::about(file.display(), error))
}

fn read_points(path: &Path) -> Result<Vec<FrontierPoint>, Failure> {
    let frontier = path.join(FRONTIER);
    if !frontier.is_file() {
        return Ok(Vec::new());
    }
    let text = String::from_utf8_lossy(&files::read(&frontier)?).into_owned();
    parse_frontier_csv(&text).map_err(|error| Failure::about(frontier.display(), error))
}

/// What must not differ between two machines.
fn without_seconds(point: &FrontierPoint) -> FrontierPoint {
    FrontierPoint { seconds: 0.0, ..point.clone() }
}

/// What a point's files are called.
fn point_name(point: &FrontierPoint) -> String {
    format!("{}-{}-{}-{}", point.method, point.setting, point.seed, point.step)
}

fn sample_file(name: &str) -> String {
    format!("samples/{name}.jsonl")
}

fn checkpoint_file(name: &str) -> String {
    format!("checkpoints/{name}.safetensors")
}

fn sample_line<'a>(world: &World, sample: &'a Sample) -> SampleLine<'a> {
    // The engine computed them in f32, so nothing is lost.
    let short = |values: &[f64]| values.iter().map(|&value| value as f32).collect();
    SampleLine {
        tokens: &sample.sequence.tokens,
        prompt_length: sample.sequence.prompt_length,
        text: world.vocabulary().text(&sample.sequence.tokens),
        logprobs: short(&sample.tokens.logprobs),
        reference_logprobs: short(&sample.tokens.reference_logprobs),
        kl_per_token: short(&sample.tokens.kl_per_token),
        gold_reward: sample.gold_reward,
    }
}
