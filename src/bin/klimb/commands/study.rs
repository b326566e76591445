//! The folder of a study: `run.json` says what it is, and a folder of another study is refused.

use std::path::Path;

use klimb::hash::fingerprint;
use klimb::model::Checkpoint;
use klimb::world::World;
use serde::Serialize;
use serde_json::{Value, json};

use super::machine::Machine;
use super::output_folder::{OpenedFolder, OutputFolder, RUN};
use super::{Failure, files};

/// The fields of `run.json` in which a folder that is gone on with must agree.
const IDENTITY: [&str; 5] = ["study", "world", "models", "backend", "adapter"];

/// What a study is: its name with its settings, and the checkpoints it was given, each under a name.
pub struct Study<'a, S> {
    pub name: &'static str,
    pub settings: &'a S,
    pub models: &'a [(&'a str, &'a Checkpoint)],
}

impl<S: Serialize> Study<'_, S> {
    /// Makes the study's folder, or opens one of the same study.
    pub fn open(self, path: &Path, world: &World, machine: &Machine) -> Result<OutputFolder, Failure> {
        let study = self;
        let OpenedFolder { folder, run: found } = OutputFolder::open(path)?;
        let words: Vec<&str> =
            (0..world.vocabulary().len() as u32).map(|token| world.vocabulary().word(token)).collect();
        let model = |(name, it): &(&str, &Checkpoint)| {
            let (config, stage, step) = (it.config, &it.stage, it.step);
            json!({"name": name, "config": config, "stage": stage, "step": step, "fingerprint": fingerprint(it.to_bytes())})
        };
        let run = json!({
            "program": format!("klimb {}", env!("CARGO_PKG_VERSION")),
            "build": files::BUILD,
            "backend": machine.name(),
            "adapter": machine.adapter(),
            "study": { "name": study.name, "settings": study.settings },
            "world": world.settings(),
            "models": study.models.iter().map(model).collect::<Vec<_>>(),
            "vocabulary": words,
        });
        let text = serde_json::to_string_pretty(&run)? + "\n";
        let Some(found) = found else {
            folder.write(RUN, text)?;
            return Ok(folder);
        };
        // Read back, so that numbers compare as they will when read from the file.
        let run: Value = serde_json::from_str(&text)?;
        if let Some(field) = IDENTITY.iter().find(|&&field| found.get(field) != run.get(field)) {
            let sentence = format!("holds a run with another {field}; name another folder, or remove this one");
            return Err(Failure::about(path.display(), sentence));
        }
        Ok(folder)
    }
}
