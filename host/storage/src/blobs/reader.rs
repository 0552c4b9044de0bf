//! Reading any part of a blob.

use std::fs::File;
use std::io::ErrorKind;
use std::os::unix::fs::FileExt as _;
use std::path::Path;
use std::sync::Arc;

use vaxel_core::TenantId;
use vaxel_crypto::{Keyring, Purpose};

use super::{FORMAT, HEADER_LEN, MAGIC, SEGMENT_LEN, bound};
use crate::StorageError;

/// A blob that is open for reading.
pub struct BlobReader {
    file: File,
    keyring: Arc<Keyring>,
    tenant: TenantId,
    id: u128,
    /// Length of a full sealed segment.
    full: u64,
    /// How many segments there are.
    count: u64,
    bytes: u64,
}

impl BlobReader {
    pub(super) fn open(
        path: &Path,
        keyring: Arc<Keyring>,
        tenant: TenantId,
        id: u128,
    ) -> Result<Option<Self>, StorageError> {
        let reading = || StorageError::io("reading a blob");
        let file = match File::open(path) {
            Ok(file) => file,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(reading()(error)),
        };
        let mut header = [0; HEADER_LEN];
        file.read_exact_at(&mut header, 0)
            .map_err(|_| damaged("its head"))?;
        let [m1, m2, m3, m4, format, l1, l2, l3, l4] = header;
        if &[m1, m2, m3, m4] != MAGIC {
            return Err(damaged("its head"));
        }
        if format != FORMAT {
            return Err(StorageError::UnknownFormat {
                what: "a blob",
                found: u64::from(format),
            });
        }
        let full = u64::from(u32::from_be_bytes([l1, l2, l3, l4]));
        let sealed = file
            .metadata()
            .map_err(reading())?
            .len()
            .saturating_sub(HEADER_LEN as u64);
        let added = full
            .checked_sub(SEGMENT_LEN as u64)
            .filter(|added| *added > 0)
            .ok_or_else(|| damaged("its head"))?;
        let count = sealed.div_ceil(full);
        let bytes = sealed
            .checked_sub(count.saturating_mul(added))
            .filter(|_| count > 0)
            .ok_or_else(|| damaged("its length"))?;
        Ok(Some(Self {
            file,
            keyring,
            tenant,
            id,
            full,
            count,
            bytes,
        }))
    }

    /// Its length.
    pub fn len(&self) -> u64 {
        self.bytes
    }

    /// Whether it is empty.
    pub fn is_empty(&self) -> bool {
        self.bytes == 0
    }

    /// At most `len` bytes from `offset` on; fewer only at the end. Blocks.
    pub fn read_at(&self, offset: u64, len: usize) -> Result<Vec<u8>, StorageError> {
        let end = offset.saturating_add(len as u64).min(self.bytes);
        let mut out = Vec::with_capacity(usize::try_from(end.saturating_sub(offset)).unwrap_or(0));
        let mut at = offset;
        while at < end {
            let number = at / SEGMENT_LEN as u64;
            let plain = self.segment(number)?;
            let begin = usize::try_from(at % SEGMENT_LEN as u64).unwrap_or(usize::MAX);
            let wanted = usize::try_from(end - at).unwrap_or(usize::MAX);
            let part = plain
                .get(begin..)
                .filter(|part| !part.is_empty())
                .ok_or_else(|| damaged("a segment"))?;
            let part = part.get(..wanted).unwrap_or(part);
            out.extend_from_slice(part);
            at += part.len() as u64;
        }
        Ok(out)
    }

    fn segment(&self, number: u64) -> Result<Vec<u8>, StorageError> {
        let is_last = number + 1 == self.count;
        let start = HEADER_LEN as u64 + number * self.full;
        let len = if is_last {
            let added = self.full - SEGMENT_LEN as u64;
            self.bytes - number * SEGMENT_LEN as u64 + added
        } else {
            self.full
        };
        let mut sealed = vec![0; usize::try_from(len).map_err(|_| damaged("a segment"))?];
        self.file
            .read_exact_at(&mut sealed, start)
            .map_err(StorageError::io("reading a blob"))?;
        let bound = bound(self.id, number, is_last);
        let bound = bound.each_ref().map(Vec::as_slice);
        Ok(self
            .keyring
            .open_sealed(self.tenant, Purpose::Values, &bound, &sealed)?)
    }
}

impl std::fmt::Debug for BlobReader {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("BlobReader")
            .field("bytes", &self.bytes)
            .finish_non_exhaustive()
    }
}

fn damaged(what: &str) -> StorageError {
    StorageError::corrupt(format!("a blob: {what}"))
}
