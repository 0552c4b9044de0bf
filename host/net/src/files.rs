//! Key material on disk: whole files or none, for their owner only, and never larger than they can be.

use std::fs::{self, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::Path;

use crate::TlsError;

/// A certificate file is a few kilobytes; more is a wrong path.
const FILE_BYTES_MAX: u64 = 1 << 20;

/// Makes a directory that only its owner can look into, unless it is there.
pub(crate) fn private_dir(dir: &Path) -> Result<(), TlsError> {
    fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(dir)
        .map_err(|error| TlsError::file(dir, error))
}

/// All of the file or none of it, also after a power loss.
pub(crate) fn write_durably(path: &Path, content: &[u8], mode: u32) -> Result<(), TlsError> {
    let unfinished = path.with_added_extension("new");
    let write = || -> io::Result<()> {
        match fs::remove_file(&unfinished) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        let mut file = OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(mode)
            .open(&unfinished)?;
        file.write_all(content)?;
        file.sync_all()?;
        fs::rename(&unfinished, path)?;
        match path.parent() {
            Some(dir) => fs::File::open(dir)?.sync_all(),
            None => Ok(()),
        }
    };
    write().map_err(|error| TlsError::file(path, error))
}

/// Reads a file that may be any size up to what a certificate can be.
pub(crate) fn read(path: &Path) -> Result<Vec<u8>, TlsError> {
    let length = fs::metadata(path)
        .map_err(|error| TlsError::file(path, error))?
        .len();
    if length > FILE_BYTES_MAX {
        return Err(TlsError::Unusable {
            path: path.to_owned(),
            wanted: "PEM",
        });
    }
    fs::read(path).map_err(|error| TlsError::file(path, error))
}

/// Reads a file that nobody but its owner may read.
pub(crate) fn read_private(path: &Path) -> Result<Vec<u8>, TlsError> {
    refuse_mode(path, 0o077)?;
    read(path)
}

/// Refuses a key whose mode has one of these bits.
pub(crate) fn refuse_mode(path: &Path, bits: u32) -> Result<(), TlsError> {
    let mode = fs::metadata(path)
        .map_err(|error| TlsError::file(path, error))?
        .mode()
        & 0o777;
    if mode & bits != 0 {
        return Err(TlsError::ExposedKey {
            path: path.to_owned(),
            mode,
        });
    }
    Ok(())
}
