//! `files.json`: the fingerprint of every file of a sweep's points. A file that was changed, or exchanged for that of another
//! point, is noticed by it; folders of earlier versions have none, and a file that is not in it is taken as it is.

use std::collections::BTreeMap;
use std::path::Path;

use klimb::hash::fingerprint;

use super::super::{Failure, files};

/// Its name in the folder.
pub const FILE: &str = "files.json";

/// Fingerprints by the file's name in the folder.
#[derive(Debug, Default)]
pub struct Fingerprints(BTreeMap<String, String>);

impl Fingerprints {
    /// Those in a folder.
    pub fn read(folder: &Path) -> Result<Self, Failure> {
        let path = folder.join(FILE);
        if !path.is_file() {
            return Ok(Self::default());
        }
        let remedy = "delete it and run the same command: the files are then taken as they are";
        let found = serde_json::from_slice(&files::read(&path)?);
        Ok(Self(found.map_err(|error| Failure::about(path.display(), format!("{error}; {remedy}")))?))
    }

    /// Remembers a file.
    pub fn set(&mut self, name: String, bytes: &[u8]) {
        self.0.insert(name, fingerprint(bytes.iter().copied()));
    }

    /// Whether a file is as it was written, as far as that is known.
    pub fn fit(&self, name: &str, bytes: &[u8]) -> bool {
        self.0.get(name).is_none_or(|known| *known == fingerprint(bytes.iter().copied()))
    }

    pub fn to_text(&self) -> Result<String, Failure> {
        Ok(serde_json::to_string_pretty(&self.0)? + "\n")
    }
}
