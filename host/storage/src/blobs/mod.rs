//! Blobs: files of sealed segments beside the log. A blob is durable before any row names it, and whole or not there.
//!
//! A file begins with [`MAGIC`], a format byte and the length of a full sealed segment; then the segments follow. Each
//! is sealed with the blob's id, its own number and whether it is the last, so that none can be moved, dropped or taken
//! from another blob. Any part can be read without the rest.

mod reader;
mod writer;

use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::UNIX_EPOCH;

use sha2::{Digest as _, Sha256};
use vaxel_core::{TenantId, UnixMs};

use crate::disk::sync_dir;
use crate::engine::Shared;
use crate::{Storage, StorageError, Transaction};
pub use reader::BlobReader;
pub use writer::BlobWriter;

/// Plain bytes of a segment.
pub(crate) const SEGMENT_LEN: usize = 64 << 10;

/// The largest blob: recordings of a long day stay below, and a file system's limits are far away.
pub const BLOB_BYTES_MAX: u64 = 16 << 30;

const MAGIC: &[u8; 4] = b"VXBL";
const FORMAT: u8 = 1;
/// Magic, format, and the length of a full sealed segment (four bytes, big-endian).
const HEADER_LEN: usize = 9;

/// Where blobs lie in the data directory.
pub(crate) const BLOBS_DIR: &str = "blobs";

/// While it is written a blob has this ending; nothing names it yet.
const UNFINISHED: &str = "part";

/// What a finished blob holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BlobInfo {
    /// Its length.
    pub bytes: u64,
    /// Of the plain bytes.
    pub sha256: [u8; 32],
}

/// A blob's file as the sweeper finds it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BlobFile {
    /// Its id; none for what was never finished.
    pub id: Option<u128>,
    /// How long nobody has written to it, in milliseconds.
    pub idle_ms: u64,
    path: PathBuf,
}

impl Storage {
    /// Begins to write a blob. Nothing is there until it is finished.
    pub fn write_blob(
        &self,
        tenant: TenantId,
        id: u128,
        erasure: vaxel_crypto::ErasureKey,
    ) -> Result<BlobWriter, StorageError> {
        if self.is_disk_low() {
            return Err(StorageError::DiskFull);
        }
        let dir = self.blobs_of(tenant);
        fs::create_dir_all(&dir).map_err(StorageError::io("making a directory for blobs"))?;
        for made in [self.dir(), &self.dir().join(BLOBS_DIR)] {
            sync_dir(made).map_err(StorageError::io("syncing a directory of blobs"))?;
        }
        let keyring = Arc::clone(&self.shared().keyring);
        BlobWriter::create(&dir, keyring, tenant, id, erasure)
    }

    /// Opens a blob for reading any part of it; none if it is not there.
    pub fn read_blob(
        &self,
        tenant: TenantId,
        id: u128,
    ) -> Result<Option<BlobReader>, StorageError> {
        self.shared().read_blob(tenant, id)
    }

    /// Removes a blob; nothing happens where there is none.
    pub fn delete_blob(&self, tenant: TenantId, id: u128) -> Result<(), StorageError> {
        remove(&path_of(&self.blobs_of(tenant), id))
    }

    /// All files of a tenant's blobs, those that were never finished too.
    pub fn blob_files(&self, tenant: TenantId) -> Result<Vec<BlobFile>, StorageError> {
        let reading = || StorageError::io("listing blobs");
        let entries = match fs::read_dir(self.blobs_of(tenant)) {
            Ok(entries) => entries,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
            Err(error) => return Err(reading()(error)),
        };
        let now = self.shared().clock.now();
        let mut files = Vec::new();
        for entry in entries {
            let path = entry.map_err(reading())?.path();
            let written = fs::metadata(&path).and_then(|meta| meta.modified());
            let Some(written) = written
                .ok()
                .and_then(|at| at.duration_since(UNIX_EPOCH).ok())
            else {
                // Gone meanwhile.
                continue;
            };
            let written = UnixMs(u64::try_from(written.as_millis()).unwrap_or(u64::MAX));
            files.push(BlobFile {
                id: id_of(&path),
                idle_ms: now.since(written),
                path,
            });
        }
        Ok(files)
    }

    /// Removes a file that nothing names.
    pub fn remove_blob_file(&self, file: &BlobFile) -> Result<(), StorageError> {
        remove(&file.path)
    }

    fn blobs_of(&self, tenant: TenantId) -> PathBuf {
        self.shared().blobs_of(tenant)
    }
}

impl Transaction {
    /// Opens a blob of the transaction's tenant; none if it is not there. Blobs never change, so nothing is noted.
    pub fn blob(&self, id: u128) -> Result<Option<BlobReader>, StorageError> {
        self.shared.read_blob(self.tenant(), id)
    }
}

impl Shared {
    fn blobs_of(&self, tenant: TenantId) -> PathBuf {
        let name = u128::from_be_bytes(tenant.to_bytes());
        self.dir.join(BLOBS_DIR).join(format!("{name:032x}"))
    }

    fn read_blob(&self, tenant: TenantId, id: u128) -> Result<Option<BlobReader>, StorageError> {
        let path = path_of(&self.blobs_of(tenant), id);
        BlobReader::open(&path, Arc::clone(&self.keyring), tenant, id)
    }
}

fn remove(path: &Path) -> Result<(), StorageError> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != ErrorKind::NotFound => {
            Err(StorageError::io("removing a blob")(error))
        }
        _ => Ok(()),
    }
}

fn path_of(dir: &Path, id: u128) -> PathBuf {
    dir.join(format!("{id:032x}"))
}

fn id_of(path: &Path) -> Option<u128> {
    let name = path.file_name()?.to_str()?;
    u128::from_str_radix(name, 16)
        .ok()
        .filter(|_| name.len() == 32)
}

/// What a segment is sealed together with.
fn bound(id: u128, number: u64, is_last: bool) -> [Vec<u8>; 4] {
    [
        b"blob".to_vec(),
        id.to_be_bytes().to_vec(),
        number.to_be_bytes().to_vec(),
        vec![u8::from(is_last)],
    ]
}

fn hash_of(sum: Sha256) -> [u8; 32] {
    sum.finalize().into()
}
