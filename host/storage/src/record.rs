//! The record of one commit: final puts and deletes, sealed, numbered and chained.
//!
//! Frame: length u32, checksum u32, format u8, start of the write it belongs to u32, then the body.
//! Body: tenant 16, seq u64, at u64, chain before 32, usage u64, then operations.
//! Operation: tag u8, key length u16, value length u32, key without tenant, value.

use sha2::{Digest as _, Sha256};
use vaxel_core::{TenantId, UnixMs};

use crate::StorageError;
use crate::codec::{Reader, len_u32, patch};
use crate::key::{TENANT_LEN, without_tenant};

/// The format of records that this version writes.
pub(crate) const RECORD_FORMAT: u8 = 1;
/// Length, checksum, format, group.
pub(crate) const FRAME_HEADER_LEN: usize = 4 + 4 + 1 + 4;

const TAG_PUT: u8 = 1;
const TAG_DELETE: u8 = 2;
const USAGE_OFFSET: usize = FRAME_HEADER_LEN + TENANT_LEN + 8 + 8 + 32;

/// A hash over everything a tenant has committed.
pub(crate) type Chain = [u8; 32];

/// Builds a record in place; the frame's header is left for the log writer to fill.
pub(crate) struct RecordBuilder {
    buffer: Vec<u8>,
}

impl RecordBuilder {
    pub(crate) fn new(
        tenant: TenantId,
        seq: u64,
        at: UnixMs,
        before: &Chain,
        capacity: usize,
    ) -> Self {
        let mut buffer = Vec::with_capacity(capacity);
        buffer.extend_from_slice(&[0; FRAME_HEADER_LEN]);
        buffer.extend_from_slice(&tenant.to_bytes());
        buffer.extend_from_slice(&seq.to_be_bytes());
        buffer.extend_from_slice(&at.0.to_be_bytes());
        buffer.extend_from_slice(before);
        buffer.extend_from_slice(&[0; 8]);
        Self { buffer }
    }

    /// Adds a put whose value `write` appends; answers the length of that value.
    pub(crate) fn put(
        &mut self,
        key: &[u8],
        write: impl FnOnce(&mut Vec<u8>) -> Result<(), StorageError>,
    ) -> Result<usize, StorageError> {
        let at = self.op(TAG_PUT, key);
        let start = self.buffer.len();
        write(&mut self.buffer)?;
        let len = self.buffer.len() - start;
        patch(&mut self.buffer, at, &len_u32(len).to_be_bytes());
        Ok(len)
    }

    pub(crate) fn delete(&mut self, key: &[u8]) {
        self.op(TAG_DELETE, key);
    }

    /// Writes the head of an operation; answers where its value's length stands.
    fn op(&mut self, tag: u8, key: &[u8]) -> usize {
        let key = without_tenant(key);
        self.buffer.push(tag);
        let len = u16::try_from(key.len()).unwrap_or(u16::MAX);
        self.buffer.extend_from_slice(&len.to_be_bytes());
        let at = self.buffer.len();
        self.buffer.extend_from_slice(&[0; 4]);
        self.buffer.extend_from_slice(key);
        at
    }

    pub(crate) fn len(&self) -> usize {
        self.buffer.len()
    }

    /// The framed record and the chain behind it.
    pub(crate) fn finish(mut self, usage: u64) -> (Vec<u8>, Chain) {
        patch(&mut self.buffer, USAGE_OFFSET, &usage.to_be_bytes());
        let chain = chain_of(self.buffer.get(FRAME_HEADER_LEN..).unwrap_or_default());
        (self.buffer, chain)
    }
}

/// The chain behind a record; the record's body carries the chain before it.
pub(crate) fn chain_of(body: &[u8]) -> Chain {
    Sha256::digest(body).into()
}

/// Fills the frame's header, once it is known where the record will lie.
pub(crate) fn seal_frame(frame: &mut [u8], group: u32) {
    let len = len_u32(frame.len().saturating_sub(FRAME_HEADER_LEN));
    patch(frame, 8, &[RECORD_FORMAT]);
    patch(frame, 9, &group.to_be_bytes());
    let sum = crc32fast::hash(frame.get(8..).unwrap_or_default());
    patch(frame, 0, &len.to_be_bytes());
    patch(frame, 4, &sum.to_be_bytes());
}

/// One operation of a record.
pub(crate) struct Op<'a> {
    /// The key without its tenant.
    pub(crate) key: &'a [u8],
    /// The row, or `None` for a delete.
    pub(crate) value: Option<&'a [u8]>,
}

/// A record read back.
#[derive(Clone, Copy)]
pub(crate) struct RecordView<'a> {
    pub(crate) tenant: TenantId,
    pub(crate) seq: u64,
    pub(crate) at: UnixMs,
    /// The chain before this record.
    pub(crate) before: Chain,
    /// What the tenant uses behind this record, in bytes.
    pub(crate) usage: u64,
    ops: &'a [u8],
}

impl<'a> RecordView<'a> {
    pub(crate) fn parse(body: &'a [u8]) -> Result<Self, StorageError> {
        let mut reader = Reader(body);
        let mut view = || {
            Some(Self {
                tenant: TenantId::from_bytes(reader.array()?),
                seq: reader.u64()?,
                at: UnixMs(reader.u64()?),
                before: reader.array()?,
                usage: reader.u64()?,
                ops: reader.0,
            })
        };
        view().ok_or_else(|| StorageError::corrupt("a record is shorter than its header"))
    }

    /// The operations in order; an error where they do not parse.
    pub(crate) fn ops(&self) -> impl Iterator<Item = Result<Op<'a>, StorageError>> + use<'a> {
        let mut reader = Reader(self.ops);
        std::iter::from_fn(move || {
            if reader.0.is_empty() {
                return None;
            }
            let op = op(&mut reader);
            if op.is_none() {
                reader.0 = &[];
            }
            Some(op.ok_or_else(|| StorageError::corrupt("an operation of a record")))
        })
    }
}

fn op<'a>(reader: &mut Reader<'a>) -> Option<Op<'a>> {
    let tag = reader.u8()?;
    let key_len = reader.u16()?;
    let value_len = reader.u32()?;
    let key = reader.take(key_len.into())?;
    let value = reader.take(usize::try_from(value_len).ok()?)?;
    match tag {
        TAG_PUT => Some(Op {
            key,
            value: Some(value),
        }),
        TAG_DELETE => Some(Op { key, value: None }),
        _ => None,
    }
}
