//! Backup while serving, and restore: snapshot, log and wrapped keys, read back and compared; manifest last.

use std::fs::{self, File};
use std::io::{Read, Write};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Component, Path, PathBuf};
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use vaxel_core::{AlarmLevel, Alarms};

use crate::blobs::BLOBS_DIR;
use crate::checkpoint::{Checkpoint, boot_id};
use crate::disk::{FILE_MODE, RealDisk, make_dir, make_private, replace_file, sync_dir};
use crate::engine::Shared;
use crate::health::Health;
use crate::layout::{KEYS_DIR, LOG_DIR, SNAPSHOT_DIR, write_format};
use crate::limits::SEGMENT_BYTES_MIN;
use crate::log::{Position, Segments};
use crate::recovery::Opening;
use crate::{StorageError, snapshot};

const MANIFEST_FILE: &str = "MANIFEST.json";
const MANIFEST_FORMAT: u64 = 1;
const COPY_LEN: usize = 1 << 20;
/// How much memory the state may use while it is restored.
const RESTORE_CACHE_BYTES: u64 = 64 << 20;

/// What a backup holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BackupReport {
    /// How many files, without the manifest.
    pub files: usize,
    /// How many bytes they have.
    pub bytes: u64,
}

#[derive(Serialize, Deserialize)]
struct Manifest {
    format: u64,
    /// The history that was backed up, in hex.
    epoch: String,
    created_at: u64,
    segment: u64,
    offset: u64,
    files: Vec<Entry>,
}

#[derive(Serialize, Deserialize)]
struct Entry {
    /// Relative to the backup.
    path: String,
    size: u64,
    sha256: String,
}

impl Shared {
    /// Copies what was acknowledged up to now; commits go on meanwhile.
    pub(crate) fn backup(
        &self,
        dir: &Path,
        progress: &dyn Fn(u64, u64),
    ) -> Result<BackupReport, StorageError> {
        make_empty(dir)?;
        let _retention = self.retention.lock();
        // In this order: a snapshot may hold rows up to the moment when it was finished, so the log must
        // reach at least as far.
        let newest = snapshot::newest_live(&self.dir)?;
        let position = *self.applied.lock();
        let sources = self.sources(position, newest.as_ref())?;
        // Behind the position: a row that is in the backup names a blob that was there before it.
        let mut sources = sources;
        sources.extend(self.blob_sources()?);
        let total = sources.iter().map(|(_, _, size)| size).sum();
        let mut done = 0;
        let mut files = Vec::new();
        for part in [LOG_DIR, SNAPSHOT_DIR] {
            make_folder(&dir.join(part))?;
        }
        for (source, name, size) in sources {
            let before = done;
            let mut step = |bytes| progress(before + bytes, total);
            let target = dir.join(&name);
            if let Some(parent) = target.parent() {
                make_folder(parent)?;
            }
            let sha256 = match copy(&source, &target, size, &mut step) {
                Ok(sha256) => sha256,
                // Deleted meanwhile: no row of the present names it.
                Err(_) if name.starts_with(BLOBS_DIR) && !source.exists() => {
                    let _ = fs::remove_file(&target);
                    continue;
                }
                Err(error) => return Err(error),
            };
            done += size;
            files.push(Entry {
                path: name,
                size,
                sha256,
            });
        }
        // A key is durable before the first record that needs it: copied after the log, none is missing.
        let keys = dir.join(KEYS_DIR);
        make_folder(&keys)?;
        self.keyring.copy_to(&keys)?;
        for entry in fs::read_dir(&keys).map_err(StorageError::io("reading the copied keys"))? {
            let path = entry
                .map_err(StorageError::io("reading the copied keys"))?
                .path();
            let name = path
                .file_name()
                .and_then(|name| name.to_str())
                .unwrap_or_default();
            let (size, sha256) = hash(&path)?;
            files.push(Entry {
                path: format!("{KEYS_DIR}/{name}"),
                size,
                sha256,
            });
        }
        let report = BackupReport {
            files: files.len(),
            bytes: files.iter().map(|entry| entry.size).sum(),
        };
        make_private(dir).map_err(StorageError::io("making the backup private"))?;
        crate::state::sync_tree(dir).map_err(StorageError::io("syncing the backup"))?;
        let manifest = Manifest {
            format: MANIFEST_FORMAT,
            epoch: format!("{:016x}", self.epoch),
            created_at: self.clock.now().0,
            segment: position.segment,
            offset: position.offset,
            files,
        };
        let text = serde_json::to_vec_pretty(&manifest)
            .map_err(|_| StorageError::corrupt("the manifest does not print"))?;
        replace_file(&RealDisk, &dir.join(MANIFEST_FILE), &text)
            .map_err(StorageError::io("writing the manifest"))?;
        Ok(report)
    }

    /// Every finished blob.
    fn blob_sources(&self) -> Result<Vec<(PathBuf, String, u64)>, StorageError> {
        let listing = || StorageError::io("listing blobs");
        let root = self.dir.join(BLOBS_DIR);
        let mut sources = Vec::new();
        if !root.exists() {
            return Ok(sources);
        }
        for tenant in fs::read_dir(root).map_err(listing())? {
            let tenant = tenant.map_err(listing())?;
            for blob in fs::read_dir(tenant.path()).map_err(listing())? {
                let path = blob.map_err(listing())?.path();
                let (Some(name), Ok(meta)) = (path.file_name(), fs::metadata(&path)) else {
                    continue;
                };
                if path.extension().is_none() {
                    let name = format!(
                        "{BLOBS_DIR}/{}/{}",
                        tenant.file_name().to_string_lossy(),
                        name.to_string_lossy()
                    );
                    sources.push((path, name, meta.len()));
                }
            }
        }
        Ok(sources)
    }

    /// What to copy: from where, under which name, how many bytes of it.
    fn sources(
        &self,
        position: Position,
        newest: Option<&(Position, PathBuf)>,
    ) -> Result<Vec<(PathBuf, String, u64)>, StorageError> {
        let measuring = || StorageError::io("measuring a file");
        let mut sources = Vec::new();
        let mut from = 1;
        if let Some((start, path)) = newest {
            from = start.segment;
            let name = path
                .file_name()
                .and_then(|name| name.to_str())
                .unwrap_or_default();
            let size = fs::metadata(path).map_err(measuring())?.len();
            sources.push((path.clone(), format!("{SNAPSHOT_DIR}/{name}"), size));
        }
        let segments = Segments::list_live(&self.log_dir())?;
        for (number, path) in segments.by_number.range(from..=position.segment) {
            let size = if *number == position.segment {
                position.offset
            } else {
                fs::metadata(path).map_err(measuring())?.len()
            };
            let name = path
                .file_name()
                .and_then(|name| name.to_str())
                .unwrap_or_default();
            sources.push((path.clone(), format!("{LOG_DIR}/{name}"), size));
        }
        Ok(sources)
    }
}

/// Makes a data directory from a backup, with its keys beside it (`into`/keys) and a new epoch.
///
/// A damaged backup and a target with anything in it are refused. The master key comes from elsewhere.
pub fn restore(
    backup: &Path,
    into: &Path,
    progress: &dyn Fn(u64, u64),
) -> Result<BackupReport, StorageError> {
    let manifest = read_manifest(backup)?;
    for entry in &manifest.files {
        check(backup, entry)?;
    }
    make_empty(into)?;
    let total = manifest.files.iter().map(|entry| entry.size).sum();
    let mut done = 0;
    for entry in &manifest.files {
        let target = into.join(&entry.path);
        if let Some(parent) = target.parent() {
            make_folder(parent)?;
        }
        let before = done;
        let mut step = |bytes| progress(before + bytes, total);
        copy(&backup.join(&entry.path), &target, entry.size, &mut step)?;
        done += entry.size;
    }
    crate::state::sync_tree(into).map_err(StorageError::io("syncing the restored data"))?;
    write_format(&RealDisk, into)?;
    let disk = Arc::new(RealDisk);
    let health = Health::new(into.to_owned(), Arc::clone(&disk) as _, Arc::new(Silent), 0);
    let opened = Opening {
        dir: into,
        segment_bytes: SEGMENT_BYTES_MIN,
        cache_bytes: RESTORE_CACHE_BYTES,
        disk,
        health: &health,
    }
    .open()?;
    let wanted = Position {
        segment: manifest.segment,
        offset: manifest.offset,
    };
    if opened.applied != wanted {
        let file = MANIFEST_FILE.to_owned();
        return Err(StorageError::DamagedBackup {
            file,
            what: "the log ends elsewhere",
        });
    }
    opened.state.sync()?;
    Checkpoint {
        position: wanted,
        is_clean: true,
        boot_id: boot_id(),
    }
    .write(&RealDisk, into)?;
    drop(opened);
    make_private(into).map_err(StorageError::io("making the restored data private"))?;
    Ok(BackupReport {
        files: manifest.files.len(),
        bytes: total,
    })
}

/// What a restore finds it tells through its result.
struct Silent;

impl Alarms for Silent {
    fn raise(&self, _: AlarmLevel, _: &'static str, _: &str) {}
}

fn read_manifest(backup: &Path) -> Result<Manifest, StorageError> {
    let damaged = |what| StorageError::DamagedBackup {
        file: MANIFEST_FILE.to_owned(),
        what,
    };
    let text = fs::read(backup.join(MANIFEST_FILE)).map_err(|_| damaged("is missing"))?;
    let format: FormatOnly =
        serde_json::from_slice(&text).map_err(|_| damaged("does not parse"))?;
    if format.format != MANIFEST_FORMAT {
        return Err(StorageError::UnknownFormat {
            what: "backup",
            found: format.format,
        });
    }
    let manifest: Manifest =
        serde_json::from_slice(&text).map_err(|_| damaged("does not parse"))?;
    let is_inside = |path: &str| {
        let mut parts = Path::new(path).components();
        !path.is_empty() && parts.all(|part| matches!(part, Component::Normal(_)))
    };
    if manifest.files.iter().all(|entry| is_inside(&entry.path)) {
        Ok(manifest)
    } else {
        Err(damaged("names a file outside the backup"))
    }
}

/// What any manifest has, whatever its format.
#[derive(Deserialize)]
struct FormatOnly {
    format: u64,
}

fn check(backup: &Path, entry: &Entry) -> Result<(), StorageError> {
    let damaged = |what| StorageError::DamagedBackup {
        file: entry.path.clone(),
        what,
    };
    let (size, sha256) = hash(&backup.join(&entry.path)).map_err(|_| damaged("cannot be read"))?;
    if size != entry.size {
        return Err(damaged("has another length"));
    }
    if sha256 == entry.sha256 {
        Ok(())
    } else {
        Err(damaged("has another content"))
    }
}

/// A folder of a backup or of restored data: keys and sealed values lie in it.
fn make_folder(dir: &Path) -> Result<(), StorageError> {
    fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(dir)
        .map_err(StorageError::io("making a directory"))
}

fn make_empty(dir: &Path) -> Result<(), StorageError> {
    let making = || StorageError::io("making the target directory");
    make_dir(dir).map_err(making())?;
    match fs::read_dir(dir).map_err(making())?.next() {
        None => {
            use std::os::unix::fs::PermissionsExt as _;
            // A directory of somebody else's, such as a mount point, stays as it is: what is written into it is private.
            let _ = fs::set_permissions(dir, fs::Permissions::from_mode(0o700));
            Ok(())
        }
        Some(_) => Err(StorageError::NotEmpty {
            dir: dir.display().to_string(),
        }),
    }
}

/// Copies the first `size` bytes, then reads the copy back from the file and compares.
fn copy(
    from: &Path,
    to: &Path,
    size: u64,
    progress: &mut dyn FnMut(u64),
) -> Result<String, StorageError> {
    let copying = || StorageError::io("copying a file");
    let mut input = File::open(from).map_err(copying())?.take(size);
    let mut output = fs::OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(FILE_MODE)
        .open(to)
        .map_err(copying())?;
    let mut sum = Sha256::new();
    let mut buffer = vec![0; COPY_LEN];
    let mut done = 0;
    loop {
        let len = input.read(&mut buffer).map_err(copying())?;
        let Some(part) = buffer.get(..len).filter(|part| !part.is_empty()) else {
            break;
        };
        sum.update(part);
        output.write_all(part).map_err(copying())?;
        done += len as u64;
        progress(done);
    }
    output.sync_all().map_err(copying())?;
    sync_dir(to.parent().unwrap_or(Path::new("."))).map_err(copying())?;
    let sum = hex(&sum.finalize());
    let file = to
        .file_name()
        .map(|name| name.to_string_lossy().into_owned())
        .unwrap_or_default();
    let damaged = |what| StorageError::DamagedBackup {
        file: file.clone(),
        what,
    };
    match hash(to)? {
        (len, _) if len != size => Err(damaged("the copy has another length")),
        (_, copied) if copied != sum => Err(damaged("the copy reads differently")),
        _ => Ok(sum),
    }
}

fn hash(path: &Path) -> Result<(u64, String), StorageError> {
    let reading = || StorageError::io("reading a file back");
    let mut input = File::open(path).map_err(reading())?;
    let mut sum = Sha256::new();
    let mut buffer = vec![0; COPY_LEN];
    let mut size = 0;
    loop {
        let len = input.read(&mut buffer).map_err(reading())?;
        let Some(part) = buffer.get(..len).filter(|part| !part.is_empty()) else {
            break;
        };
        sum.update(part);
        size += len as u64;
    }
    Ok((size, hex(&sum.finalize())))
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
