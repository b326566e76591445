//! The folder of a sweep: what is in it, and whether it may be gone on with.
//!
//! `run.json` says what the sweep is; the files of a point are named by method, setting, seed and step. A run is
//! finished when all of its points are in `frontier.csv` and have their files, as `files.json` knows them, so no further
//! state is kept.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use klimb::charts::{Aim, ChartStyle, FrontierChart, Trail, frontier_svg};
use klimb::experiments::{Sample, SweepPoint, SweepRun, SweepSettings};
use klimb::metrics::{
    FrontierPoint, LearnedOptimumPoint, Method, Setting, frontier_csv, learned_optimum_csv, optimum_csv,
};
use klimb::model::Checkpoint;
use klimb::world::World;
use serde::Serialize;
use serde_json::{Value, json};

use super::super::fingerprints::Fingerprints;
use super::super::output_folder::{OpenedFolder, OutputFolder, RUN};
use super::super::{Failure, files, progress};
use super::optima::{Optima, RewardModels, runs_with_reward_models};
use super::points::{
    FRONTIER, KnownPoint, PointFolder, SweepIdentity, checkpoint_file, files_of, is_own_point, must_agree, point_name,
    sample_file, whole_points,
};
use crate::commands::shard::Shard;

/// The fields of `run.json` in which a folder that is gone on with must agree.
const IDENTITY: [&str; 6] = ["settings", "world", "reference", "backend", "adapter", "shard"];
/// The reference's checkpoint in a sweep's folder.
pub const REFERENCE: &str = "checkpoints/reference.safetensors";

/// A sweep's folder and what is done in it.
pub struct Folder {
    output: OutputFolder,
    reference: Checkpoint,
    settings: SweepSettings,
    points: Vec<FrontierPoint>,
    fingerprints: Arc<Fingerprints>,
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
            "build": files::BUILD,
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
        let OpenedFolder { folder: output, run: found } = OutputFolder::open(path)?;
        if let Some(found) = found {
            if let Some(field) = IDENTITY.iter().find(|&&field| found.get(field) != run.get(field)) {
                let sentence = format!("holds a sweep with other {field}; name another folder, or remove this one");
                return Err(Failure::about(path.display(), sentence));
            }
        } else {
            output.write(RUN, text)?;
        }
        // What follows may be missing if the program was killed here before.
        output.make("samples")?;
        output.make("checkpoints")?;
        let Description { settings, reference, .. } = description;
        let file = output.file(REFERENCE);
        if !file.is_file() {
            files::write_checkpoint(&file, reference)?;
        } else if files::read(&file)? != reference.to_bytes() {
            let sentence = "is another reference than the sweep's; once the file is gone it is written again";
            return Err(Failure::about(file.display(), sentence));
        }
        let fingerprints = Arc::new(Fingerprints::read(path)?);
        let identity = SweepIdentity { settings, reference };
        let folder = PointFolder { path, fingerprints: &fingerprints };
        let mut whole = whole_points(identity, folder, "it is made again")?;
        let finished: Vec<SweepRun> =
            settings.runs.iter().filter(|run| settings.is_finished(run, &whole)).copied().collect();
        let is_kept = |point: &FrontierPoint| {
            is_own_point(identity, point) || finished.iter().any(|run| settings.owns(run, point))
        };
        whole.retain(is_kept);
        let (reference, settings) = (reference.clone(), settings.clone());
        Ok(Self { output, reference, settings, points: whole, fingerprints })
    }

    /// What each of the folders has that can be taken from it. Refuses, before anything is written, points that no run of
    /// the sweep makes, and those that contradict each other or `own`, a folder's points that is there already.
    pub fn check(
        description: Description<'_>,
        own: Option<&Self>,
        folders: &[PathBuf],
    ) -> Result<Vec<Vec<FrontierPoint>>, Failure> {
        let Description { settings, reference, .. } = description;
        let mut known: Vec<KnownPoint> = Vec::new();
        if let Some(Self { points, output, .. }) = own {
            known.extend(points.iter().map(|point| KnownPoint { point: point.clone(), folder: output.path() }));
        }
        let mut found = Vec::with_capacity(folders.len());
        for folder in folders {
            let fingerprints = Fingerprints::read(folder)?;
            let place = PointFolder { path: folder, fingerprints: &fingerprints };
            let points = whole_points(SweepIdentity { settings, reference }, place, "it is left out")?;
            for point in &points {
                match known.iter().find(|known| point_name(&known.point) == point_name(point)) {
                    Some(known) => must_agree(known, point, folder)?,
                    None => known.push(KnownPoint { point: point.clone(), folder }),
                }
            }
            found.push(points);
        }
        Ok(found)
    }

    /// The reward models that lie in it.
    pub fn reward_models(&self) -> RewardModels {
        RewardModels::new(self.output.path(), &self.reference, self.fingerprints.clone())
    }

    /// The runs that are not finished.
    pub fn remaining(&self) -> Vec<SweepRun> {
        let is_finished = |run: &&SweepRun| self.settings.is_finished(run, &self.points);
        self.settings.runs.iter().filter(|run| !is_finished(run)).copied().collect()
    }

    /// Whether the reference's own point is there.
    pub fn has_reference_point(&self) -> bool {
        let identity = SweepIdentity { settings: &self.settings, reference: &self.reference };
        self.points.iter().any(|point| is_own_point(identity, point))
    }

    /// Takes over those of another folder's checked points that this one has not, and its reward models. Answers with the
    /// seeds of which both have a reward model, and not the same: the last digit of a sum differs from machine to machine.
    pub fn take(&mut self, other: &Path, points: Vec<FrontierPoint>) -> Result<Vec<u64>, Failure> {
        for point in points {
            if self.points.iter().any(|found| point_name(found) == point_name(&point)) {
                continue;
            }
            for file in files_of(&point) {
                self.write(file.clone(), &files::read(&other.join(&file))?)?;
            }
            self.insert(point)?;
        }
        self.take_reward_models(other)
    }

    fn take_reward_models(&self, other: &Path) -> Result<Vec<u64>, Failure> {
        let (mut differing, fingerprints) = (Vec::new(), Fingerprints::read(other)?);
        for SweepRun { seed, .. } in runs_with_reward_models(&self.settings) {
            let file = RewardModels::file(seed);
            let (here, there) = (self.output.file(&file), other.join(&file));
            if !there.is_file() {
                continue;
            }
            let bytes = files::read(&there)?;
            if !fingerprints.fit(&file, &bytes) {
                progress::tell(&format!("{}: {}; it is left out", there.display(), Fingerprints::CHANGED));
            } else if !here.is_file() {
                self.write(file, &bytes)?;
            } else if files::read(&here)? != bytes {
                differing.push(seed);
            }
        }
        self.fingerprints.write()?;
        Ok(differing)
    }

    /// Writes a point's samples and checkpoint, then the frontier with it.
    pub fn add(&mut self, world: &World, point: SweepPoint) -> Result<(), Failure> {
        let SweepPoint { point, evaluation, parameters } = point;
        let name = point_name(&point);
        let lines: Result<Vec<String>, _> =
            evaluation.samples.iter().map(|sample| serde_json::to_string(&sample_line(world, sample))).collect();
        self.write(sample_file(&name), (lines?.join("\n") + "\n").as_bytes())?;
        if let Some(parameters) = parameters {
            let (stage, step) = (point.method.to_string(), point.step);
            let checkpoint = Checkpoint { stage, step, parameters, ..self.reference.clone() };
            let file = checkpoint_file(&name);
            files::write_checkpoint(&self.output.file(&file), &checkpoint)?;
            self.fingerprints.set(file, &checkpoint.to_bytes());
        }
        self.insert(point)
    }

    fn write(&self, name: String, bytes: &[u8]) -> Result<(), Failure> {
        self.output.write(&name, bytes)?;
        self.fingerprints.set(name, bytes);
        Ok(())
    }

    fn insert(&mut self, point: FrontierPoint) -> Result<(), Failure> {
        self.fingerprints.write()?;
        self.points.push(point);
        let run_of = |point: &FrontierPoint| {
            let position = self.settings.runs.iter().position(|run| self.settings.owns(run, point));
            position.map_or(0, |index| index + 1)
        };
        let number = |point: &FrontierPoint| if let Setting::Number(number) = point.setting { number } else { 0.0 };
        self.points.sort_by(|a, b| (run_of(a), a.step).cmp(&(run_of(b), b.step)).then(number(a).total_cmp(&number(b))));
        self.output.write(FRONTIER, frontier_csv(&self.points))
    }

    /// Writes the optima, if they were sampled, and the chart.
    pub fn conclude(&self, optima: Option<&Optima>) -> Result<(), Failure> {
        let nothing = Optima::default();
        let Optima { gold, learned } = optima.unwrap_or(&nothing);
        if !gold.is_empty() {
            self.output.write("optimum.csv", optimum_csv(gold))?;
        }
        if !learned.is_empty() {
            self.output.write("optimum_learned.csv", learned_optimum_csv(learned))?;
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
        let svg = frontier_svg(&chart, &ChartStyle::default(), (900, 560))?;
        self.output.write("frontier.svg", svg)
    }

    fn trails(&self) -> Vec<Trail> {
        let runs = &self.settings.runs;
        let seeds = runs.iter().any(|run| run.seed != runs[0].seed);
        let of = |points: Vec<&FrontierPoint>| points.into_iter().cloned().collect();
        let reference = self.points.iter().filter(|point| point.method == Method::Sft).collect();
        let reference = Trail { label: "SFT".into(), method: Method::Sft, live: true, points: of(reference) };
        let trails = runs.iter().map(|run| {
            let seed = if seeds { format!(", seed {}", run.seed) } else { String::new() };
            let label = format!("{}{seed}", run.method.label());
            let points: Vec<FrontierPoint> =
                self.points.iter().filter(|point| self.settings.owns(run, point)).cloned().collect();
            let method = run.method.method();
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
        Aim { label, method: Method::Ppo, points: points.iter().map(|point| point.optimum).collect() }
    };
    of_seeds.iter().map(aim).collect()
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
