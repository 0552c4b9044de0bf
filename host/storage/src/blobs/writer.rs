//! Writing a blob from front to back.

use std::fs::{self, File, OpenOptions};
use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use sha2::{Digest as _, Sha256};
use vaxel_core::TenantId;
use vaxel_crypto::{ErasureKey, Keyring, Purpose};

use super::{
    BLOB_BYTES_MAX, BlobInfo, FORMAT, MAGIC, SEGMENT_LEN, UNFINISHED, bound, hash_of, path_of,
};
use crate::StorageError;
use crate::disk::sync_dir;

/// A blob that is being written. Dropped unfinished, it leaves nothing.
pub struct BlobWriter {
    file: Option<File>,
    unfinished: PathBuf,
    path: PathBuf,
    keyring: Arc<Keyring>,
    tenant: TenantId,
    id: u128,
    erasure: ErasureKey,
    /// What is not sealed yet: at most a segment, for the last one is sealed as such.
    rest: Vec<u8>,
    number: u64,
    bytes: u64,
    sum: Sha256,
}

impl BlobWriter {
    pub(super) fn create(
        dir: &Path,
        keyring: Arc<Keyring>,
        tenant: TenantId,
        id: u128,
        erasure: ErasureKey,
    ) -> Result<Self, StorageError> {
        let path = path_of(dir, id);
        let unfinished = path.with_extension(UNFINISHED);
        let mut file = OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(true)
            .mode(0o600)
            .open(&unfinished)
            .map_err(StorageError::io("making a blob"))?;
        // Sealing adds the same to every segment, and what it adds tells where each of them begins.
        let full = keyring
            .seal(tenant, erasure, Purpose::Values, &[], &[])
            .map(|nothing| SEGMENT_LEN + nothing.len())?;
        let full = u32::try_from(full).map_err(|_| StorageError::corrupt("a segment's length"))?;
        let header = [MAGIC.as_slice(), &[FORMAT], &full.to_be_bytes()].concat();
        file.write_all(&header)
            .map_err(StorageError::io("writing a blob"))?;
        Ok(Self {
            file: Some(file),
            unfinished,
            path,
            keyring,
            tenant,
            id,
            erasure,
            rest: Vec::with_capacity(SEGMENT_LEN),
            number: 0,
            bytes: 0,
            sum: Sha256::new(),
        })
    }

    /// How much was written so far.
    pub fn len(&self) -> u64 {
        self.bytes
    }

    /// Whether nothing was written so far.
    pub fn is_empty(&self) -> bool {
        self.bytes == 0
    }

    /// Adds to the end. Blocks.
    pub fn write(&mut self, mut bytes: &[u8]) -> Result<(), StorageError> {
        self.bytes = self.bytes.saturating_add(bytes.len() as u64);
        if self.bytes > BLOB_BYTES_MAX {
            return Err(StorageError::TooLarge {
                what: "a blob",
                max: usize::try_from(BLOB_BYTES_MAX).unwrap_or(usize::MAX),
            });
        }
        self.sum.update(bytes);
        while !bytes.is_empty() {
            if self.rest.len() == SEGMENT_LEN {
                self.seal(false)?;
            }
            let room = SEGMENT_LEN.saturating_sub(self.rest.len());
            let (now, later) = bytes.split_at(room.min(bytes.len()));
            self.rest.extend_from_slice(now);
            bytes = later;
        }
        Ok(())
    }

    /// Makes it durable and gives it its name. Blocks.
    pub fn finish(mut self) -> Result<BlobInfo, StorageError> {
        self.seal(true)?;
        let finishing = || StorageError::io("finishing a blob");
        if let Some(file) = self.file.take() {
            file.sync_all().map_err(finishing())?;
        }
        fs::rename(&self.unfinished, &self.path).map_err(finishing())?;
        let dir = self.path.parent().unwrap_or(Path::new("."));
        sync_dir(dir).map_err(finishing())?;
        Ok(BlobInfo {
            bytes: self.bytes,
            sha256: hash_of(std::mem::take(&mut self.sum)),
        })
    }

    fn seal(&mut self, is_last: bool) -> Result<(), StorageError> {
        let bound = bound(self.id, self.number, is_last);
        let sealed = self.keyring.seal(
            self.tenant,
            self.erasure,
            Purpose::Values,
            &bound.each_ref().map(Vec::as_slice),
            &self.rest,
        )?;
        if let Some(file) = &mut self.file {
            file.write_all(&sealed)
                .map_err(StorageError::io("writing a blob"))?;
        }
        self.rest.clear();
        self.number += 1;
        Ok(())
    }
}

impl Drop for BlobWriter {
    fn drop(&mut self) {
        // Named already, if it was finished.
        let _ = fs::remove_file(&self.unfinished);
    }
}

impl std::fmt::Debug for BlobWriter {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("BlobWriter")
            .field("bytes", &self.bytes)
            .finish_non_exhaustive()
    }
}
