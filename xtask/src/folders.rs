//! Files of folders: listed, and copied.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result};

/// Every file below `folder`, as an address relative to it, in a fixed order.
pub fn files_below(folder: &Path) -> Result<Vec<String>> {
    let mut files = Vec::new();
    let mut folders = vec![folder.to_path_buf()];
    while let Some(next) = folders.pop() {
        for entry in fs::read_dir(&next).with_context(|| format!("cannot read {}", next.display()))? {
            let path = entry?.path();
            if path.is_dir() {
                folders.push(path);
            } else {
                files.push(path.strip_prefix(folder)?.to_string_lossy().replace('\\', "/"));
            }
        }
    }
    files.sort();
    Ok(files)
}

/// Copies a file.
pub fn copy(from: &Path, to: &Path) -> Result<()> {
    fs::copy(from, to).map(drop).with_context(|| format!("cannot copy {} to {}", from.display(), to.display()))
}

/// Copies a folder with everything below it.
pub fn copy_folder(from: &Path, to: &Path) -> Result<()> {
    fs::create_dir_all(to)?;
    for entry in fs::read_dir(from).with_context(|| format!("cannot read {}", from.display()))? {
        let entry = entry?;
        let (from, to) = (entry.path(), to.join(entry.file_name()));
        if from.is_dir() { copy_folder(&from, &to)? } else { copy(&from, &to)? }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn folders_are_copied_whole_and_a_missing_one_is_named() {
        let base = std::env::temp_dir().join(format!("klimb-copy-{}", std::process::id()));
        fs::create_dir_all(base.join("from/deep")).unwrap();
        fs::write(base.join("from/deep/file"), "content").unwrap();
        copy_folder(&base.join("from"), &base.join("to")).unwrap();
        assert_eq!(fs::read_to_string(base.join("to/deep/file")).unwrap(), "content");
        let error = copy_folder(&base.join("absent"), &base.join("to")).unwrap_err();
        assert!(error.to_string().contains("absent"), "{error}");
        fs::remove_dir_all(&base).unwrap();
    }
}
