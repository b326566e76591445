//! `files.json`: the fingerprint of every file of a sweep's points and reward models. A file that was changed, or exchanged
//! for that of another point or seed, is noticed by it; folders of earlier versions have none, and a file that is not in it
//! is taken as it is.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard};

use klimb::hash::fingerprint;

use super::super::{Failure, files};

/// Its name in the folder.
const FILE: &str = "files.json";

/// Fingerprints by the file's name in the folder; the runs of a sweep share them.
#[derive(Debug)]
pub struct Fingerprints {
    path: PathBuf,
    known: Mutex<BTreeMap<String, String>>,
}

impl Fingerprints {
    /// What is said of a file that does not fit.
    pub const CHANGED: &str = "is lost (another file lies in its place: files.json knows it)";

    /// Those in a folder.
    pub fn read(folder: &Path) -> Result<Self, Failure> {
        let path = folder.join(FILE);
        if !path.is_file() {
            return Ok(Self { path, known: Mutex::default() });
        }
        let remedy = "delete it and run the same command: the files are then taken as they are";
        let known = serde_json::from_slice(&files::read(&path)?)
            .map_err(|error| Failure::about(path.display(), format!("{error}; {remedy}")))?;
        Ok(Self { path, known: Mutex::new(known) })
    }

    /// Remembers a file.
    pub fn set(&self, name: String, bytes: &[u8]) {
        self.lock().insert(name, fingerprint(bytes.iter().copied()));
    }

    /// Whether a file is as it was written, as far as that is known.
    pub fn fit(&self, name: &str, bytes: &[u8]) -> bool {
        self.lock().get(name).is_none_or(|known| *known == fingerprint(bytes.iter().copied()))
    }

    /// Whether a file of this name is remembered.
    pub fn knows(&self, name: &str) -> bool {
        self.lock().contains_key(name)
    }

    /// Writes all that is remembered, one writer after the other.
    pub fn write(&self) -> Result<(), Failure> {
        let known = self.lock();
        files::write(&self.path, serde_json::to_string_pretty(&*known)? + "\n")
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<String, String>> {
        self.known.lock().expect("nobody panics with it")
    }
}
