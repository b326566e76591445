//! The folder that a study or a sweep writes: one program at a time, and `run.json` says what is in it.

use std::fs::{File, TryLockError};
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use serde_json::Value;

use super::destination::{is_unfinished, remove_abandoned};
use super::{Failure, files, progress};

/// What the folder's content is.
pub const RUN: &str = "run.json";
/// Held while a program writes in the folder. It stays there: to remove it could let two programs in.
const LOCK: &str = "klimb.lock";

/// A folder that is this program's alone until it is dropped.
#[derive(Debug)]
pub struct OutputFolder {
    path: PathBuf,
    _lock: File,
}

/// A folder, and what it holds.
pub struct OpenedFolder {
    pub folder: OutputFolder,
    /// Its `run.json`, if it has one.
    pub run: Option<Value>,
}

impl OutputFolder {
    /// Makes the folder unless it is there.
    pub fn open(path: &Path) -> Result<OpenedFolder, Failure> {
        let about = |problem: String| Failure::about(path.display(), problem);
        if path.exists() && !path.is_dir() {
            return Err(about("is not a folder".into()));
        }
        let has_run = || path.join(RUN).is_file();
        // A program killed while it wrote its first file leaves the lock, and a part of that file.
        let is_foreign = |entry: std::fs::DirEntry| {
            let name = entry.file_name();
            !name.to_str().is_some_and(|name| name == LOCK || is_unfinished(name))
        };
        if path.is_dir() && !has_run() && path.read_dir()?.filter_map(Result::ok).any(is_foreign) {
            return Err(about(format!("holds other files and no {RUN}; name a new or an empty folder")));
        }
        std::fs::create_dir_all(path).map_err(|error| about(error.to_string()))?;
        let folder = Self { path: path.to_owned(), _lock: lock(path)? };
        clear(path);
        let run = if has_run() { Some(read_run(path)?) } else { None };
        if let Some(run) = &run {
            say_if_another_build(path, run);
        }
        Ok(OpenedFolder { folder, run })
    }

    /// Where a file of this name lies.
    pub fn file(&self, name: &str) -> PathBuf {
        self.path.join(name)
    }

    /// Where it lies.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Makes a folder in it, unless it is there.
    pub fn make(&self, name: &str) -> Result<(), Failure> {
        let path = self.file(name);
        std::fs::create_dir_all(&path).map_err(|error| Failure::about(path.display(), error))?;
        clear(&path);
        Ok(())
    }

    /// Writes a file.
    pub fn write(&self, name: &str, contents: impl AsRef<[u8]>) -> Result<(), Failure> {
        files::write(&self.file(name), contents)
    }
}

/// A folder's `run.json`.
pub fn read_run(path: &Path) -> Result<Value, Failure> {
    let file = path.join(RUN);
    serde_json::from_slice(&files::read(&file)?).map_err(|error| {
        let remedy = "put back a copy of it, or name another folder";
        Failure::about(
            file.display(),
            format!("is damaged, and what the folder holds is not known ({error}); {remedy}"),
        )
    })
}

/// Removes what programs that were killed left unfinished in a folder of this program's making. In folders that
/// merely lie in it, other programs may be at work.
fn clear(path: &Path) {
    let entries = path.read_dir().into_iter().flatten().filter_map(Result::ok);
    entries.for_each(|entry| remove_abandoned(&entry.path()));
}

fn lock(path: &Path) -> Result<File, Failure> {
    let file = path.join(LOCK);
    let failed = |error: std::io::Error| Failure::about(file.display(), format!("the lock cannot be had: {error}"));
    let lock = File::options().create(true).truncate(false).write(true).open(&file).map_err(failed)?;
    held(lock.try_lock(), path)?;
    Ok(lock)
}

/// Holds off programs that would write into a folder while it is read. Nothing where none has ever written.
pub fn lock_to_read(path: &Path) -> Result<Option<File>, Failure> {
    let Ok(lock) = File::open(path.join(LOCK)) else { return Ok(None) };
    held(lock.try_lock_shared(), path)?;
    Ok(Some(lock))
}

fn held(locked: Result<(), TryLockError>, path: &Path) -> Result<(), Failure> {
    match locked {
        Ok(()) => Ok(()),
        Err(TryLockError::WouldBlock) => {
            let sentence = "another klimb is at work in this folder";
            let remedy = "wait until it has ended, or name another folder";
            Err(Failure::about(path.display(), format!("{sentence} (it holds {LOCK}); {remedy}")))
        }
        // A file system without locks.
        Err(TryLockError::Error(error)) if error.kind() == ErrorKind::Unsupported => Ok(()),
        Err(TryLockError::Error(error)) => Err(Failure::about(path.display(), format!("{LOCK}: {error}"))),
    }
}

/// The build that a `run.json` names, in words.
pub fn build_of(run: &Value) -> &str {
    run["build"].as_str().unwrap_or("unknown")
}

fn say_if_another_build(path: &Path, run: &Value) {
    let (then, now) = (build_of(run), files::BUILD.unwrap_or("unknown"));
    if then != now {
        let sentence = format!("begun by build {then} and gone on with by build {now}");
        progress::tell(&format!("{}: {sentence}; their numbers may differ", path.display()));
    }
}
