//! The folder of a study: `run.json` says what it is, and a folder of another study is refused.

use std::path::{Path, PathBuf};

use klimb::hash::fingerprint;
use klimb::model::Checkpoint;
use klimb::world::World;
use serde::Serialize;
use serde_json::{Value, json};

use super::machine::Machine;
use super::{Failure, files};

/// The fields of `run.json` in which a folder that is gone on with must agree.
const IDENTITY: [&str; 5] = ["study", "world", "models", "backend", "adapter"];

/// A study's folder.
#[derive(Debug)]
pub struct Folder {
    path: PathBuf,
}

/// What a study is: its name with its settings, and the checkpoints it was given, each under a name.
pub struct Study<'a, S> {
    pub name: &'static str,
    pub settings: &'a S,
    pub models: &'a [(&'a str, &'a Checkpoint)],
}

impl Folder {
    /// Makes the folder, or opens one of the same study.
    pub fn open<S: Serialize>(path: &Path, study: Study<S>, world: &World, machine: &Machine) -> Result<Self, Failure> {
        let about = |problem: String| Failure::about(path.display(), problem);
        if path.exists() && !path.is_dir() {
            return Err(about("is not a folder".into()));
        }
        let file = path.join("run.json");
        let is_new = !file.is_file();
        if is_new && path.is_dir() && path.read_dir()?.next().is_some() {
            return Err(about("holds other files and no run.json; name a new or an empty folder".into()));
        }
        std::fs::create_dir_all(path).map_err(|error| about(error.to_string()))?;
        let words: Vec<&str> =
            (0..world.vocabulary().len() as u32).map(|token| world.vocabulary().word(token)).collect();
        let model = |(name, it): &(&str, &Checkpoint)| {
            let (config, stage, step) = (it.config, &it.stage, it.step);
            json!({"name": name, "config": config, "stage": stage, "step": step, "fingerprint": fingerprint(it.to_bytes())})
        };
        let run = json!({
            "program": format!("klimb {}", env!("CARGO_PKG_VERSION")),
            "build": files::build(),
            "backend": machine.name(),
            "adapter": machine.adapter(),
            "study": { "name": study.name, "settings": study.settings },
            "world": world.settings(),
            "models": study.models.iter().map(model).collect::<Vec<_>>(),
            "vocabulary": words,
        });
        let text = serde_json::to_string_pretty(&run)? + "\n";
        if is_new {
            files::write(&file, text)?;
        } else {
            // Read back, so that numbers compare as they will when read from the file.
            let run: Value = serde_json::from_str(&text)?;
            let found: Value =
                serde_json::from_slice(&files::read(&file)?).map_err(|error| Failure::about(file.display(), error))?;
            if let Some(field) = IDENTITY.iter().find(|&&field| found.get(field) != run.get(field)) {
                return Err(about(format!(
                    "holds a run with another {field}; name another folder, or remove this one"
                )));
            }
        }
        Ok(Self { path: path.to_owned() })
    }

    /// Where a file of this name lies.
    pub fn file(&self, name: &str) -> PathBuf {
        self.path.join(name)
    }

    /// Writes a file.
    pub fn write(&self, name: &str, contents: impl AsRef<[u8]>) -> Result<(), Failure> {
        files::write(&self.file(name), contents)
    }
}
