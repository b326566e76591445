//! The points that a sweep's folder holds, and the files that belong to each. What no run makes is refused: a point's name
//! becomes that of files.

use std::path::Path;

use klimb::experiments::{PointKey, SweepSettings};
use klimb::metrics::{FrontierPoint, Method, parse_frontier_csv};
use klimb::model::{Checkpoint, Expectation};
use klimb::shorten::shortened;

use super::super::fingerprints::Fingerprints;
use super::super::{Failure, files, progress};

/// What a sweep's points belong to.
#[derive(Clone, Copy)]
pub struct SweepIdentity<'a> {
    pub settings: &'a SweepSettings,
    pub reference: &'a Checkpoint,
}

/// A folder with points, and its files as they were written.
#[derive(Clone, Copy)]
pub struct PointFolder<'a> {
    pub path: &'a Path,
    pub fingerprints: &'a Fingerprints,
}

/// A point, and the folder that has it.
pub struct KnownPoint<'a> {
    pub point: FrontierPoint,
    pub folder: &'a Path,
}

/// The table of all points.
pub const FRONTIER: &str = "frontier.csv";

/// The points in a folder whose files are there as they were written. `otherwise` says what becomes of the others.
///
/// # Errors
/// A table that cannot be read, or that has a point which no run of the sweep makes.
pub fn whole_points(sweep: SweepIdentity, folder: PointFolder, otherwise: &str) -> Result<Vec<FrontierPoint>, Failure> {
    let path = folder.path;
    let mut whole = Vec::new();
    for point in points_of(sweep, path)? {
        let mut problem = None;
        for file in files_of(&point) {
            problem = problem_of(folder, &file, &point, sweep.reference)?.map(|it| (file, it));
            if problem.is_some() {
                break;
            }
        }
        let Some((file, problem)) = problem else {
            whole.push(point);
            continue;
        };
        let (file, name) = (path.join(file), point_name(&point));
        progress::tell(&format!("{}: {problem}, and so is its point {name}; {otherwise}", file.display()));
    }
    Ok(whole)
}

/// Why a point's file cannot be its file.
fn problem_of(
    PointFolder { path, fingerprints }: PointFolder,
    name: &str,
    point: &FrontierPoint,
    reference: &Checkpoint,
) -> Result<Option<String>, Failure> {
    let path = path.join(name);
    if !path.is_file() {
        return Ok(Some("is missing".into()));
    }
    let bytes = files::read(&path)?;
    if name == checkpoint_file(&point_name(point)) {
        let Checkpoint { config, vocabulary_fingerprint, .. } = reference;
        let vocabulary_fingerprint = vocabulary_fingerprint.clone();
        let expected = Expectation { config: Some(*config), vocabulary_fingerprint, head: false };
        match Checkpoint::from_bytes(&bytes, Some(&expected)) {
            Err(error) => return Ok(Some(format!("is lost ({})", error.problem()))),
            Ok(found) if (found.stage.as_str(), found.step) != (point.method.info().file_name, point.step) => {
                let stage = shortened(&found.stage);
                return Ok(Some(format!("is lost (in its place lies {stage} after {} steps)", found.step)));
            }
            Ok(_) => {}
        }
    }
    Ok((!fingerprints.fit(name, &bytes)).then(|| Fingerprints::CHANGED.into()))
}

/// Whether it is the reference's own point.
pub fn is_own_point(SweepIdentity { settings, reference }: SweepIdentity, point: &FrontierPoint) -> bool {
    let (seed, step) = (settings.evaluation.seed, reference.step);
    point.method == Method::Sft && point.setting == PointKey::reference() && (point.seed, point.step) == (seed, step)
}

/// The points of a sweep's folder, which must be those of this sweep.
fn points_of(sweep: SweepIdentity, path: &Path) -> Result<Vec<FrontierPoint>, Failure> {
    let frontier = path.join(FRONTIER);
    if !frontier.is_file() {
        return Ok(Vec::new());
    }
    let about = |problem: String| Failure::about(frontier.display(), problem);
    let unreadable = |problem: String| {
        about(format!("{problem}; put back a copy of it, or delete it and run the sweep: its points are made again"))
    };
    let text =
        String::from_utf8(files::read(&frontier)?).map_err(|error| unreadable(format!("is no text ({error})")))?;
    let points = parse_frontier_csv(&text).map_err(|error| unreadable(error.to_string()))?;
    let settings = sweep.settings;
    let is_ours =
        |point: &FrontierPoint| is_own_point(sweep, point) || settings.runs.iter().any(|run| settings.owns(run, point));
    // The header is line 1, and empty lines were passed over.
    let lines = text.lines().zip(1..).skip(1).filter(|(line, _)| !line.trim().is_empty()).map(|(_, line)| line);
    match points.iter().zip(lines).find(|(point, _)| !is_ours(point)) {
        Some((point, line)) => {
            let name = point_name(point);
            let sentence = format!("line {line}: no run of this sweep makes the point {}", shortened(&name));
            Err(about(sentence + "; remove the line, or name another folder"))
        }
        None => Ok(points),
    }
}

/// Refuses a point in a folder that another folder has with other numbers.
pub fn must_agree(known: &KnownPoint, point: &FrontierPoint, folder: &Path) -> Result<(), Failure> {
    if without_seconds(&known.point) == without_seconds(point) {
        return Ok(());
    }
    let sentence = format!("has another {} than {}", point_name(point), known.folder.display());
    Err(Failure::about(folder.display(), sentence + "; leave one of them out"))
}

/// What must not differ between two machines.
fn without_seconds(point: &FrontierPoint) -> FrontierPoint {
    FrontierPoint { seconds: 0.0, ..point.clone() }
}

/// What a point's files are called.
pub fn point_name(point: &FrontierPoint) -> String {
    format!("{}-{}-{}-{}", point.method, point.setting, point.seed, point.step)
}

/// A point's files in a sweep's folder; Best-of-N has no parameters of its own.
pub fn files_of(point: &FrontierPoint) -> Vec<String> {
    let name = point_name(point);
    let checkpoint = (point.method != Method::BestOfN).then(|| checkpoint_file(&name));
    std::iter::once(sample_file(&name)).chain(checkpoint).collect()
}

/// The file of a point's samples.
pub fn sample_file(name: &str) -> String {
    format!("samples/{name}.jsonl")
}

/// The file of a point's policy.
pub fn checkpoint_file(name: &str) -> String {
    format!("checkpoints/{name}.safetensors")
}
