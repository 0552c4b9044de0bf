//! Ordered key-value storage of this plugin in the caller's tenant, raw or as JSON.

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::host;
use crate::{Error, Result};

/// Direction of a scan.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Order {
    Ascending,
    Descending,
}

/// Part of a scan.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Page<T> {
    pub entries: Vec<(Vec<u8>, T)>,
    /// Pass as `after` for what follows; `None` at the end.
    pub next: Option<Vec<u8>>,
}

/// Length of what [`append`] puts behind the prefix.
pub const STAMP_LEN: usize = 10;

/// The value at `key`, this call's own writes included.
pub fn get(key: impl AsRef<[u8]>) -> Result<Option<Vec<u8>>> {
    host::get(key.as_ref())
}

/// The values at `keys`, in order; one host call instead of many.
pub fn get_many(keys: &[Vec<u8>]) -> Result<Vec<Option<Vec<u8>>>> {
    host::get_many(keys)
}

/// The JSON value at `key`.
pub fn get_json<T: DeserializeOwned>(key: impl AsRef<[u8]>) -> Result<Option<T>> {
    get(key)?.as_deref().map(decode).transpose()
}

/// The JSON values at `keys`, in order.
pub fn get_many_json<T: DeserializeOwned>(keys: &[Vec<u8>]) -> Result<Vec<Option<T>>> {
    get_many(keys)?
        .into_iter()
        .map(|value| value.as_deref().map(decode).transpose())
        .collect()
}

/// Writes `value` at `key`.
pub fn put(key: impl AsRef<[u8]>, value: &[u8]) -> Result<()> {
    host::put(key.as_ref(), value, None)
}

/// Writes a value that becomes unreadable when `subject` (a person, a conversation) is erased.
pub fn put_about(key: impl AsRef<[u8]>, value: &[u8], subject: &str) -> Result<()> {
    host::put(key.as_ref(), value, Some(subject))
}

/// Writes `value` as JSON.
pub fn put_json<T: Serialize + ?Sized>(key: impl AsRef<[u8]>, value: &T) -> Result<()> {
    put(key, &encode(value)?)
}

/// Writes `value` as JSON under the erasure key of `subject`.
pub fn put_json_about<T: Serialize + ?Sized>(
    key: impl AsRef<[u8]>,
    value: &T,
    subject: &str,
) -> Result<()> {
    put_about(key, &encode(value)?, subject)
}

/// Writes a value that is there no more `ttl_ms` after the commit. A later [`put`] makes it stay.
pub fn put_for(key: impl AsRef<[u8]>, value: &[u8], ttl_ms: u64) -> Result<()> {
    host::put_for(key.as_ref(), value, ttl_ms, None)
}

/// [`put_for`] under the erasure key of `subject`.
pub fn put_for_about(
    key: impl AsRef<[u8]>,
    value: &[u8],
    ttl_ms: u64,
    subject: &str,
) -> Result<()> {
    host::put_for(key.as_ref(), value, ttl_ms, Some(subject))
}

/// [`put_for`] of JSON.
pub fn put_json_for<T: Serialize + ?Sized>(
    key: impl AsRef<[u8]>,
    value: &T,
    ttl_ms: u64,
) -> Result<()> {
    put_for(key, &encode(value)?, ttl_ms)
}

/// [`put_for_about`] of JSON.
pub fn put_json_for_about<T: Serialize + ?Sized>(
    key: impl AsRef<[u8]>,
    value: &T,
    ttl_ms: u64,
    subject: &str,
) -> Result<()> {
    put_for_about(key, &encode(value)?, ttl_ms, subject)
}

/// Sixteen bytes to build a key from, where the name itself (an address, a login) must not lie on disk: the same for
/// the same plugin, tenant, purpose and name, and for nobody else.
pub fn blind(purpose: &str, name: impl AsRef<[u8]>) -> Result<Vec<u8>> {
    host::blind(purpose, name.as_ref())
}

/// Removes the value at `key`, if there is one.
pub fn delete(key: impl AsRef<[u8]>) -> Result<()> {
    host::delete(key.as_ref())
}

/// The entries whose key begins with `prefix`, from `after` (exclusive, in the direction of `order`). Keys come whole.
pub fn scan(
    prefix: impl AsRef<[u8]>,
    after: Option<&[u8]>,
    limit: u32,
    order: Order,
) -> Result<Page<Vec<u8>>> {
    host::scan(prefix.as_ref(), after, limit, order)
}

/// Like [`scan`], with JSON values.
pub fn scan_json<T: DeserializeOwned>(
    prefix: impl AsRef<[u8]>,
    after: Option<&[u8]>,
    limit: u32,
    order: Order,
) -> Result<Page<T>> {
    let page = scan(prefix, after, limit, order)?;
    let entries = page
        .entries
        .into_iter()
        .map(|(key, value)| Ok((key, decode(&value)?)))
        .collect::<Result<_>>()?;
    Ok(Page {
        entries,
        next: page.next,
    })
}

/// Adds to the counter at `key`. Never conflicts; read it with [`counter`].
pub fn increment(key: impl AsRef<[u8]>, by: i64) -> Result<()> {
    host::increment(key.as_ref(), by)
}

/// The counter at `key`; 0 where nothing was counted. Reading it makes the call conflict with those who count.
pub fn counter(key: impl AsRef<[u8]>) -> Result<i64> {
    match get(key)? {
        None => Ok(0),
        Some(bytes) => <[u8; 8]>::try_from(bytes.as_slice())
            .map(i64::from_be_bytes)
            .map_err(|_| Error::internal("the stored value is not a counter")),
    }
}

/// Stores at `prefix` followed by the commit position ([`STAMP_LEN`] bytes, ascending); `alias` then holds the whole
/// key. Never conflicts. Not visible to this call.
pub fn append(prefix: impl AsRef<[u8]>, value: &[u8], alias: Option<&[u8]>) -> Result<()> {
    host::append(prefix.as_ref(), value, alias, None)
}

/// [`append`] under the erasure key of `subject`.
pub fn append_about(
    prefix: impl AsRef<[u8]>,
    value: &[u8],
    alias: Option<&[u8]>,
    subject: &str,
) -> Result<()> {
    host::append(prefix.as_ref(), value, alias, Some(subject))
}

/// [`append`] of JSON.
pub fn append_json<T: Serialize + ?Sized>(
    prefix: impl AsRef<[u8]>,
    value: &T,
    alias: Option<&[u8]>,
) -> Result<()> {
    append(prefix, &encode(value)?, alias)
}

/// [`append`] of JSON under the erasure key of `subject`.
pub fn append_json_about<T: Serialize + ?Sized>(
    prefix: impl AsRef<[u8]>,
    value: &T,
    alias: Option<&[u8]>,
    subject: &str,
) -> Result<()> {
    append_about(prefix, &encode(value)?, alias, subject)
}

/// A new id such as `msg_0192…`: unique in the tenant, ordered by time.
pub fn new_id(prefix: &str) -> String {
    format!("{prefix}_{}", host::new_id())
}

fn encode<T: Serialize + ?Sized>(value: &T) -> Result<Vec<u8>> {
    serde_json::to_vec(value).map_err(|error| Error::internal(format!("value: {error}")))
}

// Says where the JSON broke, not what stood there: messages of `internal` reach the operator's log.
fn decode<T: DeserializeOwned>(bytes: &[u8]) -> Result<T> {
    serde_json::from_slice(bytes).map_err(|error| {
        Error::internal(format!(
            "a stored value is not what this version expects (line {}, column {})",
            error.line(),
            error.column()
        ))
    })
}
