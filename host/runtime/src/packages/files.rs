//! Package files: `ID/VERSION.vxp`, each whole or not there; whatever no row names is swept away.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsString;
use std::fs;
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use vaxel_core::PluginId;

use super::rows::Row;
use crate::vxp::{PACKAGE_BYTES_MAX, PackageError};

/// What a file is called until it is whole. No version begins with a dot.
const UNFINISHED: &str = ".new";

pub(super) struct Files {
    dir: PathBuf,
}

impl Files {
    pub(super) fn new(dir: PathBuf) -> Self {
        Self { dir }
    }

    /// Puts a package beside the version that is there. It is whole and durable when this answers.
    pub(super) async fn write(
        &self,
        id: &PluginId,
        version: &str,
        bytes: Vec<u8>,
    ) -> Result<(), PackageError> {
        let (folder, name) = (self.folder(id), file_name(version));
        on_a_thread(move || write(&folder, &name, &bytes))
            .await
            .map_err(PackageError::io("keeping the package"))
    }

    pub(super) async fn read(&self, id: &PluginId, version: &str) -> Result<Vec<u8>, PackageError> {
        let path = self.folder(id).join(file_name(version));
        let limit = PACKAGE_BYTES_MAX as u64 + 1;
        on_a_thread(move || {
            let mut bytes = Vec::new();
            let file = fs::File::open(path)?;
            file.take(limit).read_to_end(&mut bytes)?;
            Ok(bytes)
        })
        .await
        .map_err(|error| PackageError::File {
            what: match error.kind() {
                io::ErrorKind::NotFound => "missing".to_owned(),
                _ => format!("not readable ({error})"),
            },
        })
    }

    /// Removes the versions of a plugin that its row does not name. What stays behind is swept at the next start.
    pub(super) fn keep_only(&self, id: &PluginId, row: &Row) {
        sweep_folder(&self.folder(id), &files_of(Some(row)));
    }

    /// Removes all versions.
    pub(super) fn forget(&self, id: &PluginId) {
        sweep_folder(&self.folder(id), &files_of(None));
    }

    /// Removes what no row names.
    pub(super) fn sweep(&self, rows: &BTreeMap<PluginId, Row>) {
        let Ok(folders) = fs::read_dir(&self.dir) else {
            return;
        };
        for folder in folders.flatten() {
            let name = folder.file_name();
            let row = name
                .to_str()
                .and_then(|id| id.parse::<PluginId>().ok())
                .and_then(|id| rows.get(&id));
            sweep_folder(&folder.path(), &files_of(row));
        }
    }

    fn folder(&self, id: &PluginId) -> PathBuf {
        self.dir.join(id.as_str())
    }
}

fn file_name(version: &str) -> String {
    format!("{version}.vxp")
}

fn files_of(row: Option<&Row>) -> BTreeSet<OsString> {
    let versions = row.into_iter().flat_map(|row| row.versions.keys());
    versions.map(|version| file_name(version).into()).collect()
}

fn sweep_folder(folder: &Path, kept: &BTreeSet<OsString>) {
    let Ok(files) = fs::read_dir(folder) else {
        return;
    };
    for file in files.flatten() {
        if kept.contains(&file.file_name()) {
            continue;
        }
        if let Err(error) = fs::remove_file(file.path()) {
            tracing::warn!(%error, "a left-over package file stays");
        }
    }
    if kept.is_empty() {
        // Not empty only if something stayed, which was said.
        let _ = fs::remove_dir(folder);
    }
}

fn write(folder: &Path, name: &str, bytes: &[u8]) -> io::Result<()> {
    fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(folder)?;
    let unfinished = folder.join(UNFINISHED);
    let mut file = fs::OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(&unfinished)?;
    file.write_all(bytes)?;
    file.sync_all()?;
    fs::rename(&unfinished, folder.join(name))?;
    // The name, the folder's own name, and that of the folder of all.
    let mut at = Some(folder);
    for _ in 0..3 {
        if let Some(folder) = at {
            fs::File::open(folder)?.sync_all()?;
            at = folder.parent();
        }
    }
    Ok(())
}

async fn on_a_thread<T: Send + 'static>(
    act: impl FnOnce() -> io::Result<T> + Send + 'static,
) -> io::Result<T> {
    tokio::task::spawn_blocking(act)
        .await
        .unwrap_or_else(|error| Err(io::Error::other(error)))
}
