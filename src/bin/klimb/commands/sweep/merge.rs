//! `merge`: the shards of a sweep in one folder.

use std::path::PathBuf;

use clap::Args;
use klimb::backend::network::Network;
use klimb::experiments::{Reference, SweepSettings};
use klimb::model::Checkpoint;
use klimb::world::World;
use serde_json::Value;

use super::super::machine::{BackendArguments, on};
use super::super::output_folder::{RUN, build_of, lock_to_read, read_run};
use super::super::{End, Failure, files, interrupt, progress};
use super::folder::{Description, Folder, REFERENCE};
use super::optima::optima;

/// The fields of `run.json` in which folders must agree to be one sweep. Adapters may differ.
const COMMON: [&str; 4] = ["settings", "world", "reference", "backend"];

/// Put the shards of a sweep together
#[derive(Debug, Args)]
#[command(
    long_about = "Put the shards of a sweep together: points, samples, checkpoints and reward models of several folders of \
        one sweep in a new one.\n\n\
        If every run is there, the optima are added, as `sweep` would. If not, the new folder is a sweep that stopped, and \
        the sweep's command without --shard goes on with it.",
    after_long_help = "Example:\n  \
        klimb sweep --preset paper --shard 1/2 --out part-1\n  \
        klimb sweep --preset paper --shard 2/2 --out part-2\n  \
        klimb merge part-1 part-2 --out paper"
)]
pub struct Merge {
    /// The folders
    #[arg(required = true, value_name = "DIR")]
    folders: Vec<PathBuf>,
    /// The folder to write
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
    /// What computes the optima
    #[command(flatten)]
    backend: BackendArguments,
}

impl Merge {
    pub fn run(self) -> Result<End, Failure> {
        // Its own folder it holds alone, below.
        let is_other = |folder: &&PathBuf| match (folder.canonicalize(), self.out.canonicalize()) {
            (Ok(folder), Ok(out)) => folder != out,
            _ => true,
        };
        let _locks = self.folders.iter().filter(is_other).map(|it| lock_to_read(it)).collect::<Result<Vec<_>, _>>()?;
        let runs: Vec<Value> = self.folders.iter().map(|folder| read_run(folder)).collect::<Result<_, _>>()?;
        let (first, path) = (&runs[0], &self.folders[0]);
        for (run, folder) in runs.iter().zip(&self.folders) {
            if let Some(field) = COMMON.iter().find(|&&field| run.get(field) != first.get(field)) {
                let sentence = format!("is a sweep with other {field} than {}", path.display());
                return Err(Failure::about(folder.display(), sentence));
            }
        }
        let settings: SweepSettings = serde_json::from_value(first["settings"].clone())
            .map_err(|error| Failure::about(path.display(), format!("run.json has no settings of a sweep: {error}")))?;
        let settings = settings.validated()?;
        let world = files::world()?;
        if first["world"] != serde_json::to_value(world.settings())? {
            return Err(Failure::about(path.display(), "is a sweep of another world than this program's"));
        }
        self.say_builds(&runs);
        let again = "if it is damaged, delete it and run the sweep in that folder: it is written again";
        let reference = files::read_checkpoint(&path.join(REFERENCE), &world)
            .map_err(|Failure(problem)| Failure(format!("{problem}; {again}")))?;
        let adapter = common_adapter(&runs);
        let backend = first["backend"].as_str().unwrap_or_default();
        let place = (backend, adapter.as_deref());
        let description = Description { world: &world, settings: &settings, reference: &reference, place, shard: None };
        // What is there already counts like a folder that came first.
        let is_there = self.out.join(RUN).is_file();
        let own = is_there.then(|| Folder::open(&self.out, description)).transpose()?;
        let found = Folder::check(description, own.as_ref(), &self.folders)?;
        let mut folder = own.map_or_else(|| Folder::open(&self.out, description), Ok)?;
        for (other, points) in self.folders.iter().zip(found) {
            for seed in folder.take(other, points)? {
                let sentence = "another reward model than the folders before it, from another machine or build";
                let folder = other.display();
                progress::tell(&format!("{folder}: has {sentence}, for seed {seed}; the first one is kept"));
            }
        }
        self.conclude(&world, &settings, &reference, &folder)
    }

    /// Says so where the parts were made by different builds, whose numbers may differ in more than their last digits.
    fn say_builds(&self, runs: &[Value]) {
        if runs.iter().all(|run| build_of(run) == build_of(&runs[0])) {
            return;
        }
        let parts = self.folders.iter().zip(runs);
        let builds: Vec<String> = parts.map(|(it, run)| format!("{}: {}", it.display(), build_of(run))).collect();
        progress::tell(&format!("made by different builds, whose numbers may differ ({})", builds.join(", ")));
    }

    fn conclude(
        &self,
        world: &World,
        settings: &SweepSettings,
        reference: &Checkpoint,
        folder: &Folder,
    ) -> Result<End, Failure> {
        let (missing, all) = (folder.remaining().len(), settings.runs.len());
        if missing > 0 {
            folder.conclude(None)?;
            let sentence = "the sweep's command without --shard goes on from here";
            files::print(&format!("{}: {missing} of {all} runs are missing; {sentence}\n", self.out.display()));
            return Ok(End::Done);
        }
        interrupt::listen()?;
        let start = Reference { network: &Network::new(reference.config), parameters: &reference.parameters };
        let reward_models = folder.reward_models();
        let found = on!(self.backend.open()?, k => {
            pollster::block_on(optima(k, world, start, settings, &reward_models))
        });
        folder.conclude(found?.as_ref())?;
        files::print(&format!("{}: {all} runs\n", self.out.display()));
        Ok(if interrupt::requested() { End::Interrupted } else { End::Done })
    }
}

/// The adapters' names, each once.
fn common_adapter(runs: &[Value]) -> Option<String> {
    let mut names: Vec<&str> = runs.iter().filter_map(|run| run["adapter"].as_str()).collect();
    names.sort_unstable();
    names.dedup();
    (!names.is_empty()).then(|| names.join(" and "))
}
