//! Whether a staged output still matches its inputs, by their content.

use std::fs;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

use crate::shell::root;

/// Folders that hold outputs, never inputs.
const OUTPUT_FOLDERS: &[&str] = &["node_modules", "dist", "target", ".git"];

/// Hashes the files under `inputs` (paths from the root) together with `salt`.
pub(crate) fn of(inputs: &[&str], salt: &str) -> Result<String> {
    let mut files = Vec::new();
    for input in inputs {
        collect(&root().join(input), &mut files)?;
    }
    files.sort();
    let mut hasher = DefaultHasher::new();
    salt.hash(&mut hasher);
    for file in &files {
        file.hash(&mut hasher);
        fs::read(file)
            .with_context(|| format!("reading {}", file.display()))?
            .hash(&mut hasher);
    }
    Ok(format!("{:016x}", hasher.finish()))
}

/// Whether the output `name` was made from this fingerprint.
pub(crate) fn is_current(name: &str, fingerprint: &str) -> bool {
    fs::read_to_string(note(name)).is_ok_and(|noted| noted == fingerprint)
}

/// Notes that the output `name` is made from this fingerprint.
pub(crate) fn note_current(name: &str, fingerprint: &str) -> Result<()> {
    let path = note(name);
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder).context("making stage/")?;
    }
    fs::write(&path, fingerprint).with_context(|| format!("writing {}", path.display()))
}

fn note(name: &str) -> PathBuf {
    root().join("stage/.made-from").join(name)
}

fn collect(path: &Path, files: &mut Vec<PathBuf>) -> Result<()> {
    if path.is_file() {
        files.push(path.to_path_buf());
        return Ok(());
    }
    if !path.is_dir() {
        return Ok(());
    }
    for entry in fs::read_dir(path).with_context(|| format!("listing {}", path.display()))? {
        let entry = entry.with_context(|| format!("listing {}", path.display()))?;
        let name = entry.file_name();
        if !OUTPUT_FOLDERS.iter().any(|output| name == *output) {
            collect(&entry.path(), files)?;
        }
    }
    Ok(())
}
