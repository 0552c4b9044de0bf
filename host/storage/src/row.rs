//! A stored row: a short open header, then the sealed value bound to its place and its commit.

use vaxel_core::{TenantId, UnixMs};
use vaxel_crypto::{CryptoError, ErasureKey, Keyring, Purpose};

use crate::StorageError;
use crate::codec::Reader;
use crate::key;

/// The format of rows that this version writes.
const FORMAT: u8 = 1;

/// The row came to be by an append: earlier readers skip it instead of conflicting.
pub(crate) const APPENDED: u8 = 1;
/// Sealed under a named erasure key: if that is gone, so is the row.
const NAMED_KEY: u8 = 2;
/// The header carries the time of the commit.
const TIMED: u8 = 4;
/// The header carries the time from which on the row is not there any more.
const EXPIRES: u8 = 8;
const FLAGS_KNOWN: u8 = APPENDED | NAMED_KEY | TIMED | EXPIRES;

/// What a row says in the open.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Header {
    pub(crate) flags: u8,
    /// The commit that wrote it.
    pub(crate) seq: u64,
    /// When, for rows that are swept by age; until when, for rows that expire.
    pub(crate) at: Option<UnixMs>,
}

impl Header {
    /// Until when it is there, if not for good.
    pub(crate) const fn until(&self) -> Option<UnixMs> {
        if self.flags & EXPIRES == 0 {
            None
        } else {
            self.at
        }
    }

    pub(crate) const fn is_appended(&self) -> bool {
        self.flags & APPENDED != 0
    }
}

/// What a row is to become.
pub(crate) struct NewRow<'a> {
    /// Tenant, collection and key.
    pub(crate) key: &'a [u8],
    pub(crate) seq: u64,
    pub(crate) appended: bool,
    /// Given for rows that are swept by age.
    pub(crate) at: Option<UnixMs>,
    /// Given for rows that expire, instead.
    pub(crate) until: Option<UnixMs>,
    pub(crate) erasure: ErasureKey,
    pub(crate) purpose: Purpose,
}

/// Writes the row behind what `out` holds.
pub(crate) fn seal(
    keyring: &Keyring,
    tenant: TenantId,
    row: &NewRow<'_>,
    plaintext: &[u8],
    out: &mut Vec<u8>,
) -> Result<(), StorageError> {
    let mut flags = 0;
    if row.appended {
        flags |= APPENDED;
    }
    if row.erasure != ErasureKey::TENANT {
        flags |= NAMED_KEY;
    }
    if row.at.is_some() {
        flags |= TIMED;
    }
    if row.until.is_some() {
        flags |= EXPIRES;
    }
    let at = row.at.or(row.until);
    out.push(FORMAT);
    out.push(flags);
    out.extend_from_slice(&row.seq.to_be_bytes());
    if let Some(at) = at {
        out.extend_from_slice(&at.0.to_be_bytes());
    }
    let header = Header {
        flags,
        seq: row.seq,
        at,
    };
    with_aad(row.key, header, |aad| {
        keyring.seal_into(tenant, row.erasure, row.purpose, aad, plaintext, out)
    })
}

/// The header and what is sealed behind it.
pub(crate) fn parse(value: &[u8]) -> Result<(Header, &[u8]), StorageError> {
    let short = || StorageError::corrupt("a row is shorter than its header");
    let mut reader = Reader(value);
    let format = reader.u8().ok_or_else(short)?;
    if format != FORMAT {
        return Err(StorageError::UnknownFormat {
            what: "row",
            found: format.into(),
        });
    }
    let flags = reader.u8().ok_or_else(short)?;
    if flags & !FLAGS_KNOWN != 0 {
        return Err(StorageError::UnknownFormat {
            what: "row's flags",
            found: flags.into(),
        });
    }
    let seq = reader.u64().ok_or_else(short)?;
    let at = if flags & (TIMED | EXPIRES) == 0 {
        None
    } else {
        Some(UnixMs(reader.u64().ok_or_else(short)?))
    };
    Ok((Header { flags, seq, at }, reader.0))
}

/// Opens a row; `None` when the key that erases it was destroyed.
pub(crate) fn open(
    keyring: &Keyring,
    tenant: TenantId,
    purpose: Purpose,
    key: &[u8],
    value: &[u8],
) -> Result<Option<Vec<u8>>, StorageError> {
    let (header, sealed) = parse(value)?;
    match with_aad(key, header, |aad| {
        keyring.open_sealed(tenant, purpose, aad, sealed)
    }) {
        Ok(plaintext) => Ok(Some(plaintext)),
        Err(StorageError::Key(CryptoError::KeyMissing)) if header.flags & NAMED_KEY != 0 => {
            Ok(None)
        }
        Err(error) => Err(error),
    }
}

/// What binds a value to its place: tenant, collection, key, commit, format, flags, time.
fn with_aad<T>(
    key: &[u8],
    header: Header,
    use_it: impl FnOnce(&[&[u8]]) -> Result<T, CryptoError>,
) -> Result<T, StorageError> {
    let (tenant, space, key) =
        key::split(key).ok_or_else(|| StorageError::corrupt("a row's key is too short"))?;
    let at = header.at.unwrap_or_default().0.to_be_bytes();
    use_it(&[
        tenant,
        space,
        key,
        &header.seq.to_be_bytes(),
        &[FORMAT, header.flags],
        &at,
    ])
    .map_err(StorageError::Key)
}
