//! Where an output goes: into a file that is replaced as a whole, or into a device or a pipe, which is written to.

use std::fs::{File, Permissions, TryLockError};
use std::io::{ErrorKind, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

use tempfile::NamedTempFile;

use super::Failure;

/// Links that are followed from a name that is not there yet.
const MOST_LINKS: usize = 16;
/// Times that a file which vanished is made again.
const MOST_TRIES: usize = 16;
/// What the name of an unfinished file begins and ends with.
const UNFINISHED: (&str, &str) = (".klimb-", ".part");
/// After which an unfinished file is nobody's, where there are no locks to tell.
const ABANDONED_AFTER: Duration = Duration::from_secs(60);

/// Whether a file of this name is one that a program which was killed left unfinished, this version or an earlier one.
pub fn is_unfinished(name: &str) -> bool {
    name.ends_with(UNFINISHED.1)
}

/// Removes an unfinished file that a program which was killed left behind. One that is being written is held by whoever
/// writes it; where a file system has no locks, it is left alone for a while.
pub fn remove_abandoned(path: &Path) {
    let is_leftover = |name: &str| name.starts_with(UNFINISHED.0) && is_unfinished(name);
    if !path.file_name().and_then(|name| name.to_str()).is_some_and(is_leftover) {
        return;
    }
    let Ok(file) = File::options().write(true).open(path) else { return };
    let is_free = match file.try_lock() {
        Ok(()) => true,
        Err(TryLockError::Error(error)) if error.kind() == ErrorKind::Unsupported => is_old(&file),
        Err(TryLockError::WouldBlock | TryLockError::Error(_)) => false,
    };
    if is_free {
        // What cannot be removed is no more in the way than it was. Held until then: see `beside`.
        let _ = std::fs::remove_file(path);
    }
}

/// Whether nobody has written to a file for longer than any write takes.
fn is_old(file: &File) -> bool {
    let changed = file.metadata().and_then(|found| found.modified());
    changed.is_ok_and(|changed| changed.elapsed().is_ok_and(|passed| passed > ABANDONED_AFTER))
}

/// What stands under the name of an output.
#[derive(Debug)]
pub enum Destination {
    /// A device or a pipe.
    Stream(PathBuf),
    /// A file, perhaps behind a link, with the permissions of the one that is there.
    File(PathBuf, Option<Permissions>),
}

impl Destination {
    /// What `path` names, or why nothing can be written there.
    pub fn of(path: &Path) -> Result<Self, Failure> {
        Self::behind(path, MOST_LINKS)
    }

    fn behind(path: &Path, links: usize) -> Result<Self, Failure> {
        let about = |problem: &str| Failure::about(path.display(), problem);
        let failed = |error: std::io::Error| about(&reason(&error));
        if path.as_os_str().as_encoded_bytes().ends_with(b"/") || path.file_name().is_none() {
            return Err(about("is a folder; name a file"));
        }
        match std::fs::metadata(path) {
            Ok(found) if found.is_dir() => Err(about("is a folder; name a file")),
            Ok(found) if found.is_file() && found.permissions().readonly() => {
                Err(about("may not be written; check its permissions"))
            }
            Ok(found) if found.is_file() => {
                // Its own name and not a link's, so that the link stays one.
                let own = if path.is_symlink() { path.canonicalize().map_err(failed)? } else { path.to_owned() };
                Ok(Self::File(own, Some(found.permissions())))
            }
            Ok(found) if is_disk(&found) => Err(about("is a disk; name a file")),
            Ok(_) => Ok(Self::Stream(path.to_owned())),
            Err(error) if error.kind() == ErrorKind::NotFound => match std::fs::read_link(path) {
                Ok(_) if links == 0 => Err(about("leads through too many links; name a file")),
                Ok(target) => Self::behind(&folder_of(path).join(target), links - 1),
                Err(_) => Ok(Self::File(path.to_owned(), None)),
            },
            Err(error) => Err(failed(error)),
        }
    }

    /// Refuses what could not be written at the end of a long run, before the run; leaves nothing behind.
    pub fn check(&self) -> Result<(), Failure> {
        match self {
            // To open a pipe would wait for its reader.
            Self::Stream(_) => Ok(()),
            Self::File(path, _) => beside(path).map(drop),
        }
    }

    /// Writes everything. A file is there as a whole or as it was before.
    pub fn write(&self, contents: &[u8]) -> Result<(), Failure> {
        match self {
            Self::Stream(path) => {
                let written = File::options().write(true).open(path).and_then(|mut stream| stream.write_all(contents));
                match written {
                    // Whoever read has seen enough.
                    Err(error) if error.kind() == ErrorKind::BrokenPipe => Ok(()),
                    written => written.map_err(|error| Failure::about(path.display(), reason(&error))),
                }
            }
            Self::File(path, permissions) => {
                let failed = |error: std::io::Error| Failure::about(path.display(), reason(&error));
                let mut file = beside(path)?;
                file.write_all(contents).map_err(failed)?;
                if let Some(permissions) = permissions {
                    file.as_file().set_permissions(permissions.clone()).map_err(failed)?;
                }
                file.as_file().sync_all().map_err(failed)?;
                file.persist(path).map_err(|error| failed(error.error))?;
                Ok(())
            }
        }
    }
}

/// A new file in the same folder, which is gone when it is dropped, with the permissions of any new file. It is held, so
/// that nobody takes it for one that was left behind.
#[expect(clippy::wildcard_enum_match_arm, reason = "the system has more kinds than are told apart")]
fn beside(path: &Path) -> Result<NamedTempFile, Failure> {
    let folder = folder_of(path);
    let mut builder = tempfile::Builder::new();
    builder.prefix(UNFINISHED.0).suffix(UNFINISHED.1);
    #[cfg(unix)]
    builder.permissions(std::os::unix::fs::PermissionsExt::from_mode(0o666));
    for _ in 0..MOST_TRIES {
        let file = builder.tempfile_in(folder).map_err(|error| match error.kind() {
            ErrorKind::NotFound if !folder.is_dir() => {
                Failure::about(folder.display(), "there is no such folder; make it first")
            }
            _ => Failure::about(path.display(), format!("no file can be made there ({error}); name another folder")),
        })?;
        // Some file systems have no locks.
        let _ = file.as_file().lock();
        // Somebody may have taken it for abandoned before it was held.
        if file.path().exists() {
            return Ok(file);
        }
    }
    Err(Failure::about(path.display(), "no file can be made there (it vanishes); name another folder"))
}

/// The folder that a file's name lies in.
fn folder_of(path: &Path) -> &Path {
    path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

/// The system's words without its error number.
#[expect(clippy::wildcard_enum_match_arm, reason = "the system has more kinds than are told apart")]
pub fn reason(error: &std::io::Error) -> String {
    match error.kind() {
        ErrorKind::NotFound => "there is no such file".into(),
        ErrorKind::PermissionDenied => "it may not be opened; check its permissions".into(),
        ErrorKind::IsADirectory => "is a folder; name a file".into(),
        _ => error.to_string(),
    }
}

#[cfg(unix)]
fn is_disk(found: &std::fs::Metadata) -> bool {
    std::os::unix::fs::FileTypeExt::is_block_device(&found.file_type())
}

#[cfg(not(unix))]
fn is_disk(_: &std::fs::Metadata) -> bool {
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_unfinished_file_is_removed_unless_somebody_holds_it() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("out");
        let held = beside(&path).unwrap();
        let left = folder.path().join(".klimb-x1Y2z3.part");
        let others = ["out.part", ".klimb-x1Y2z3", "klimb-.part"].map(|name| folder.path().join(name));
        others.iter().chain([&left]).for_each(|path| std::fs::write(path, "half of it").unwrap());
        others.iter().chain([&left]).for_each(|path| remove_abandoned(path));
        remove_abandoned(held.path());
        assert!(!left.exists() && held.path().is_file() && others.iter().all(|path| path.is_file()));
    }

    /// Whatever is written while somebody clears the folder is there afterwards.
    #[test]
    fn who_clears_a_folder_takes_nothing_from_who_writes_there() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("out");
        let is_done = std::sync::atomic::AtomicBool::new(false);
        std::thread::scope(|scope| {
            scope.spawn(|| {
                while !is_done.load(std::sync::atomic::Ordering::Relaxed) {
                    let entries = folder.path().read_dir().unwrap().filter_map(Result::ok);
                    entries.for_each(|entry| remove_abandoned(&entry.path()));
                }
            });
            let written: Result<Vec<()>, Failure> =
                (0..200).map(|i| Destination::of(&path)?.write(format!("{i}").as_bytes())).collect();
            is_done.store(true, std::sync::atomic::Ordering::Relaxed);
            written.expect("nobody takes it away");
        });
        assert_eq!(std::fs::read(&path).unwrap(), b"199");
        assert_eq!(folder.path().read_dir().unwrap().count(), 1, "nothing else is left");
    }
}
