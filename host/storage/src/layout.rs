//! What lies where in a data directory, who has it open, and which format it has.

use std::fs::{self, File, TryLockError};
use std::path::Path;

use vaxel_crypto::random_bytes;

use crate::StorageError;
use crate::disk::{Disk, replace_file};

/// Says which format the directory has.
pub(crate) const FORMAT_FILE: &str = "FORMAT";
/// What the format file holds; the number is the format that this version writes.
pub(crate) const FORMAT_PREFIX: &str = "vaxel-storage ";
pub(crate) const FORMAT: u64 = 1;
/// Which history this is: a restore begins a new one.
pub(crate) const EPOCH_FILE: &str = "EPOCH";
/// Locked by the process that has the directory open.
pub(crate) const LOCK_FILE: &str = "LOCK";
/// Up to where the state is durable.
pub(crate) const CHECKPOINT_FILE: &str = "CHECKPOINT";
pub(crate) const LOG_DIR: &str = "log";
pub(crate) const STATE_DIR: &str = "state";
/// A state that was found damaged, until its successor stands.
pub(crate) const DAMAGED_STATE_DIR: &str = "state.damaged";
pub(crate) const SNAPSHOT_DIR: &str = "snapshots";
/// Where the key set lies unless the configuration says otherwise, and where backups put it.
pub(crate) const KEYS_DIR: &str = "keys";

/// Keeps other processes out of the directory as long as the file lives.
pub(crate) fn lock(dir: &Path) -> Result<File, StorageError> {
    let file = File::create(dir.join(LOCK_FILE)).map_err(StorageError::io("making the lock"))?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(StorageError::Locked {
            dir: dir.display().to_string(),
        }),
        Err(TryLockError::Error(source)) => Err(StorageError::Io {
            doing: "locking the data directory".to_owned(),
            source,
        }),
    }
}

/// Checks the directory's format, or gives an empty directory one; answers its epoch.
pub(crate) fn check_format(disk: &dyn Disk, dir: &Path) -> Result<u64, StorageError> {
    let format_path = dir.join(FORMAT_FILE);
    if !format_path.exists() {
        let has_data = [LOG_DIR, STATE_DIR, SNAPSHOT_DIR]
            .iter()
            .any(|part| dir.join(part).exists());
        if has_data {
            return Err(StorageError::corrupt(
                "the data directory does not say its format",
            ));
        }
        write_format(disk, dir)?;
    }
    let text = fs::read_to_string(&format_path).map_err(StorageError::io("reading the format"))?;
    let found = text
        .strip_prefix(FORMAT_PREFIX)
        .and_then(|n| n.trim().parse::<u64>().ok());
    match found {
        Some(FORMAT) => {}
        found => {
            let found = found.unwrap_or_default();
            return Err(StorageError::UnknownFormat {
                what: "data directory",
                found,
            });
        }
    }
    let text =
        fs::read_to_string(dir.join(EPOCH_FILE)).map_err(StorageError::io("reading the epoch"))?;
    u64::from_str_radix(text.trim(), 16).map_err(|_| StorageError::corrupt("the epoch"))
}

/// Begins a new history in the directory. The format comes last: without it nothing else counts.
pub(crate) fn write_format(disk: &dyn Disk, dir: &Path) -> Result<(), StorageError> {
    let epoch = u64::from_be_bytes(random_bytes());
    replace_file(
        disk,
        &dir.join(EPOCH_FILE),
        format!("{epoch:016x}\n").as_bytes(),
    )
    .and_then(|()| {
        replace_file(
            disk,
            &dir.join(FORMAT_FILE),
            format!("{FORMAT_PREFIX}{FORMAT}\n").as_bytes(),
        )
    })
    .map_err(StorageError::io("writing the format"))
}
