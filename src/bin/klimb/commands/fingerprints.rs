//! `files.json` in a folder: the fingerprints of what was made there and will be read again, which is models, the files of
//! points, and an optimum. A file that was changed, or exchanged for that of another point or seed, is noticed by it; folders
//! of earlier versions have none, and a file that is not in it, as one that was copied from a machine which shared the work,
//! is taken as it is.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard};

use klimb::hash::fingerprint;
use klimb::model::{Checkpoint, Expectation};

use super::{Failure, files};

/// Its name in the folder.
const FILE: &str = "files.json";

/// Fingerprints by the file's name in the folder; all that work there share them.
#[derive(Debug)]
pub struct Fingerprints {
    folder: PathBuf,
    known: Mutex<BTreeMap<String, String>>,
}

impl Fingerprints {
    /// What is said of a file that does not fit.
    pub const CHANGED: &str = "is lost (another file lies in its place: files.json knows it)";

    /// Those in a folder.
    pub fn read(folder: &Path) -> Result<Self, Failure> {
        let (path, folder) = (folder.join(FILE), folder.to_owned());
        if !path.is_file() {
            return Ok(Self { folder, known: Mutex::default() });
        }
        let remedy = "delete it and run the same command: the files are then taken as they are";
        let known = serde_json::from_slice(&files::read(&path)?)
            .map_err(|error| Failure::about(path.display(), format!("{error}; {remedy}")))?;
        Ok(Self { folder, known: Mutex::new(known) })
    }

    /// Remembers a file.
    pub fn set(&self, name: String, bytes: &[u8]) {
        self.lock().insert(name, fingerprint(bytes.iter().copied()));
    }

    /// Whether a file is as it was written, as far as that is known.
    pub fn fit(&self, name: &str, bytes: &[u8]) -> bool {
        self.lock().get(name).is_none_or(|known| *known == fingerprint(bytes.iter().copied()))
    }

    /// The model that a study made under this name, if it is as it was written. One that is not known yet, because an
    /// earlier version made it, or the program was killed behind it, or it was copied here, is known from now on.
    pub fn read_model(&self, name: &str, expected: &Expectation) -> Result<Checkpoint, Failure> {
        let path = self.folder.join(name);
        let bytes = files::read(&path)?;
        let model = files::made(&path, &bytes, expected)?;
        if !self.fit(name, &bytes) {
            return Err(Failure::about(path.display(), format!("{}; {}", Self::CHANGED, files::DONE_AGAIN)));
        }
        self.learn(name, &bytes)?;
        Ok(model)
    }

    /// Remembers a file that is not known yet.
    pub fn learn(&self, name: &str, bytes: &[u8]) -> Result<(), Failure> {
        if self.lock().contains_key(name) {
            return Ok(());
        }
        self.set(name.into(), bytes);
        self.write()
    }

    /// Writes a model under this name, and remembers it.
    pub fn write_model(&self, name: &str, model: &Checkpoint) -> Result<(), Failure> {
        files::write_checkpoint(&self.folder.join(name), model)?;
        self.set(name.into(), &model.to_bytes());
        self.write()
    }

    /// Writes all that is remembered, one writer after the other.
    pub fn write(&self) -> Result<(), Failure> {
        let known = self.lock();
        files::write(&self.folder.join(FILE), serde_json::to_string_pretty(&*known)? + "\n")
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<String, String>> {
        self.known.lock().expect("nobody panics with it")
    }
}
