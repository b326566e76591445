//! The folder of a sweep: what is in it, and whether it may be gone on with.
//!
//! `run.json` says what the sweep is; the files of a point are named by method, setting, seed and step. A run is
//! finished when its last point is in `frontier.csv`, so no further state is kept.

use std::path::{Path, PathBuf};
use std::process::Command;

use klimb::charts::{FrontierChart, Look, Trail, frontier_svg};
use klimb::experiments::{Sample, SweepPoint, SweepRun, SweepSettings};
use klimb::metrics::{FrontierPoint, OptimumPoint, Setting, frontier_csv, optimum_csv, parse_frontier_csv};
use klimb::model::Checkpoint;
use klimb::world::World;
use serde::Serialize;
use serde_json::{Value, json};

use super::super::{Failure, files};

/// The fields of `run.json` in which a folder that is gone on with must agree.
const IDENTITY: [&str; 5] = ["settings", "world", "reference", "backend", "adapter"];

/// A sweep's folder and what is done in it.
pub struct Folder {
    path: PathBuf,
    reference: Checkpoint,
    runs: Vec<SweepRun>,
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

impl Folder {
    /// Makes the folder, or opens one of the same sweep and forgets the points of unfinished runs.
    pub fn open(
        path: &Path,
        world: &World,
        settings: &SweepSettings,
        reference: Checkpoint,
        (backend, adapter): (&str, Option<String>),
    ) -> Result<Self, Failure> {
        let about = |problem: String| Failure::about(path.display(), problem);
        if path.exists() && !path.is_dir() {
            return Err(about("is not a folder".into()));
        }
        let is_new = !path.join("run.json").is_file();
        if is_new && path.is_dir() && path.read_dir()?.next().is_some() {
            return Err(about("holds other files and no run.json; name a new or an empty folder".into()));
        }
        for folder in ["samples", "checkpoints"] {
            std::fs::create_dir_all(path.join(folder)).map_err(|error| about(error.to_string()))?;
        }
        let words: Vec<&str> =
            (0..world.vocabulary().len() as u32).map(|token| world.vocabulary().word(token)).collect();
        let run = json!({
            "program": format!("klimb {}", env!("CARGO_PKG_VERSION")),
            "build": build(),
            "backend": backend,
            "adapter": adapter,
            "settings": settings,
            "world": world.settings(),
            "reference": {
                "config": reference.config,
                "stage": reference.stage,
                "step": reference.step,
                "fingerprint": reference.fingerprint(),
                "file": "checkpoints/reference.safetensors",
            },
            "vocabulary": words,
        });
        let text = serde_json::to_string_pretty(&run)? + "\n";
        // Read back, so that numbers compare as they will when read from the file.
        let run: Value = serde_json::from_str(&text)?;
        let file = path.join("run.json");
        if is_new {
            files::write(&path.join("checkpoints/reference.safetensors"), reference.to_bytes())?;
            files::write(&file, text)?;
        } else {
            let found: Value =
                serde_json::from_slice(&files::read(&file)?).map_err(|error| Failure::about(file.display(), error))?;
            if let Some(field) = IDENTITY.iter().find(|&&field| found.get(field) != run.get(field)) {
                let sentence = format!("holds a sweep with other {field}; name another folder, or remove this one");
                return Err(about(sentence));
            }
        }
        let mut folder = Self { path: path.to_owned(), reference, runs: settings.runs(), points: Vec::new() };
        let frontier = path.join("frontier.csv");
        if frontier.is_file() {
            let text = String::from_utf8_lossy(&files::read(&frontier)?).into_owned();
            folder.points = parse_frontier_csv(&text).map_err(|error| Failure::about(frontier.display(), error))?;
            let finished: Vec<SweepRun> =
                folder.runs.iter().filter(|run| is_finished(run, &folder.points)).copied().collect();
            let is_kept = |point: &FrontierPoint| point.method == "sft" || finished.iter().any(|run| run.owns(point));
            folder.points.retain(is_kept);
        }
        Ok(folder)
    }

    /// The runs that are not finished.
    pub fn remaining(&self) -> Vec<SweepRun> {
        self.runs.iter().filter(|run| !is_finished(run, &self.points)).copied().collect()
    }

    /// Whether the reference's own point is there.
    pub fn has_reference_point(&self) -> bool {
        self.points.iter().any(|point| point.method == "sft")
    }

    /// Writes a point's samples and checkpoint, then the frontier with it.
    pub fn add(&mut self, world: &World, point: SweepPoint) -> Result<(), Failure> {
        let SweepPoint { point, evaluation, parameters } = point;
        let name = point_name(&point);
        let lines: Result<Vec<String>, _> =
            evaluation.samples.iter().map(|sample| serde_json::to_string(&sample_line(world, sample))).collect();
        files::write(&self.path.join(format!("samples/{name}.jsonl")), lines?.join("\n") + "\n")?;
        let step = point.step;
        let checkpoint = Checkpoint { stage: point.method.clone(), step, parameters, ..self.reference.clone() };
        files::write(&self.path.join(format!("checkpoints/{name}.safetensors")), checkpoint.to_bytes())?;
        self.points.push(point);
        let rank = |point: &FrontierPoint| {
            (self.runs.iter().position(|run| run.owns(point)).map_or(0, |index| index + 1), point.step)
        };
        self.points.sort_by_key(rank);
        files::write(&self.path.join("frontier.csv"), frontier_csv(&self.points))
    }

    /// Writes the optimum, if it was sampled, and the chart.
    pub fn conclude(&self, optimum: Option<&[OptimumPoint]>) -> Result<(), Failure> {
        if let Some(points) = optimum {
            files::write(&self.path.join("optimum.csv"), optimum_csv(points))?;
        }
        let trails = self.trails();
        let optimum = optimum.unwrap_or_default();
        let chart = FrontierChart { trails: &trails, optimum, target: None, selected: None, empty: "no point yet" };
        let svg = frontier_svg(&chart, &Look::default(), (900, 560))?;
        files::write(&self.path.join("frontier.svg"), svg)
    }

    fn trails(&self) -> Vec<Trail> {
        let seeds = self.runs.iter().any(|run| run.seed != self.runs[0].seed);
        let of = |points: Vec<&FrontierPoint>| points.into_iter().cloned().collect();
        let reference = self.points.iter().filter(|point| point.method == "sft").collect();
        let reference = Trail { label: "SFT".into(), method: "sft".into(), live: true, points: of(reference) };
        let runs = self.runs.iter().map(|run| {
            let seed = if seeds { format!(", seed {}", run.seed) } else { String::new() };
            let label = format!("DPO, β {}{seed}", run.settings.dpo.beta);
            let points = self.points.iter().filter(|point| run.owns(point)).collect();
            Trail { label, method: "dpo".into(), live: true, points: of(points) }
        });
        std::iter::once(reference).chain(runs).filter(|trail| !trail.points.is_empty()).collect()
    }
}

fn is_finished(run: &SweepRun, points: &[FrontierPoint]) -> bool {
    points.iter().any(|point| run.owns(point) && point.step == run.settings.steps())
}

/// What a point's files are called.
fn point_name(point: &FrontierPoint) -> String {
    let setting = match &point.setting {
        Setting::Number(number) => number.to_string(),
        Setting::Label(label) => label.clone(),
    };
    format!("{}-{setting}-{}-{}", point.method, point.seed, point.step)
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

/// The commit of the sources this program was built from, where they and git are still there.
fn build() -> Option<String> {
    let arguments = ["-C", env!("CARGO_MANIFEST_DIR"), "describe", "--always", "--dirty", "--tags"];
    let output = Command::new("git").args(arguments).output().ok().filter(|output| output.status.success())?;
    Some(String::from_utf8_lossy(&output.stdout).trim().to_owned())
}
