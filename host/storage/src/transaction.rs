//! A transaction: what was read, so that it can be checked, and what is to be written, held back until commit.

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;
use std::sync::atomic::Ordering;

use bytes::Bytes;
use vaxel_core::{TenantId, UserId};
use vaxel_crypto::{ErasureKey, Purpose};

use crate::engine::Shared;
use crate::ids::time_ordered_id;
use crate::key::row_key;
use crate::limits::{
    APPLY_YIELDS_MAX, EXTENSIONS_MAX, KEY_LEN_MAX, OPS_MAX, READS_MAX, TOPIC_LEN_MAX,
    VALUE_LEN_MAX, WRITTEN_BYTES_MAX,
};
use crate::stamp::STAMP_LEN;
use crate::tenant::Tenant;
use crate::window::KeyRange;
use crate::{AudienceId, Space, StorageError, row};

/// What a key becomes.
pub(crate) enum Write {
    Put {
        value: Vec<u8>,
        erasure: ErasureKey,
    },
    Delete,
    /// Added to whatever is there when the transaction commits.
    Increment(i64),
}

/// A row that gets its place when the transaction commits.
pub(crate) struct Append {
    /// Tenant, collection and prefix; the stamp follows.
    pub(crate) prefix: Vec<u8>,
    pub(crate) value: Vec<u8>,
    /// The whole key of the row that will point to it.
    pub(crate) alias: Option<Vec<u8>>,
    pub(crate) erasure: ErasureKey,
}

/// An event that gets its stamp when the transaction commits.
pub(crate) struct NewEvent {
    pub(crate) audience: AudienceId,
    pub(crate) topic: Arc<str>,
    pub(crate) payload: Bytes,
    pub(crate) erasure: ErasureKey,
}

/// One unit of work in one tenant. Nothing of it exists until [`crate::Storage::commit`] says so.
pub struct Transaction {
    pub(crate) shared: Arc<Shared>,
    pub(crate) tenant: Arc<Tenant>,
    /// All reads are as of this commit.
    pub(crate) start: u64,
    pub(crate) reads: HashSet<Vec<u8>>,
    pub(crate) ranges: Vec<KeyRange>,
    pub(crate) writes: BTreeMap<Vec<u8>, Write>,
    pub(crate) appends: Vec<Append>,
    pub(crate) members: BTreeMap<(AudienceId, UserId), bool>,
    pub(crate) events: Vec<NewEvent>,
    pub(crate) ephemeral: Vec<NewEvent>,
    pub(crate) ops: usize,
    pub(crate) written_bytes: usize,
}

impl Transaction {
    pub(crate) fn new(shared: Arc<Shared>, tenant: Arc<Tenant>) -> Self {
        let start = tenant.applied.load(Ordering::Acquire);
        Self {
            shared,
            tenant,
            start,
            reads: HashSet::new(),
            ranges: Vec::new(),
            writes: BTreeMap::new(),
            appends: Vec::new(),
            members: BTreeMap::new(),
            events: Vec::new(),
            ephemeral: Vec::new(),
            ops: 0,
            written_bytes: 0,
        }
    }

    /// The tenant that this transaction reads and writes in.
    pub fn tenant(&self) -> TenantId {
        self.tenant.id
    }

    /// Whether nothing would be stored.
    pub fn is_read_only(&self) -> bool {
        self.writes.is_empty()
            && self.appends.is_empty()
            && self.members.is_empty()
            && self.events.is_empty()
    }

    /// The value under a key; what this transaction wrote itself is seen.
    pub fn get(&mut self, space: Space, key: &[u8]) -> Result<Option<Vec<u8>>, StorageError> {
        check_key(key)?;
        let key = row_key(self.tenant.id, space, &[key]);
        let by = match self.writes.get(&key) {
            Some(Write::Put { value, .. }) => return Ok(Some(value.clone())),
            Some(Write::Delete) => return Ok(None),
            Some(Write::Increment(by)) => Some(*by),
            None => None,
        };
        let stored = self.read(key)?;
        match by {
            Some(by) => added(stored.as_deref(), by).map(Some),
            None => Ok(stored),
        }
    }

    /// The values under several keys, in their order.
    pub fn get_many(
        &mut self,
        space: Space,
        keys: &[&[u8]],
    ) -> Result<Vec<Option<Vec<u8>>>, StorageError> {
        keys.iter().map(|key| self.get(space, key)).collect()
    }

    /// Stores a value under a key. Destroying the erasure key later destroys the value.
    pub fn put(
        &mut self,
        space: Space,
        key: &[u8],
        value: Vec<u8>,
        erasure: ErasureKey,
    ) -> Result<(), StorageError> {
        self.charge(key, &value, 1)?;
        let key = row_key(self.tenant.id, space, &[key]);
        self.writes.insert(key, Write::Put { value, erasure });
        Ok(())
    }

    /// Removes a key; one that is not there stays so.
    pub fn delete(&mut self, space: Space, key: &[u8]) -> Result<(), StorageError> {
        self.charge(key, &[], 1)?;
        let key = row_key(self.tenant.id, space, &[key]);
        self.writes.insert(key, Write::Delete);
        Ok(())
    }

    /// Adds to a counter, which reads as 8 bytes big-endian. Increments never conflict with each other.
    pub fn increment(&mut self, space: Space, key: &[u8], by: i64) -> Result<(), StorageError> {
        self.charge(key, &[], 1)?;
        let key = row_key(self.tenant.id, space, &[key]);
        let write = match self.writes.get(&key) {
            Some(Write::Put { value, erasure }) => Write::Put {
                value: added(Some(value), by)?,
                erasure: *erasure,
            },
            Some(Write::Delete) => Write::Put {
                value: added(None, by)?,
                erasure: ErasureKey::TENANT,
            },
            Some(Write::Increment(before)) => {
                Write::Increment(before.checked_add(by).ok_or(OVERFLOW)?)
            }
            None => Write::Increment(by),
        };
        self.writes.insert(key, write);
        Ok(())
    }

    /// Stores a value behind everything that was appended under the prefix before, at prefix‖stamp.
    /// The alias, if there is one, then holds that key. Appends never conflict with each other.
    pub fn append(
        &mut self,
        space: Space,
        prefix: &[u8],
        value: Vec<u8>,
        alias: Option<Vec<u8>>,
        erasure: ErasureKey,
    ) -> Result<(), StorageError> {
        if prefix.len() + STAMP_LEN > KEY_LEN_MAX {
            return Err(StorageError::TooLarge {
                what: "key",
                max: KEY_LEN_MAX,
            });
        }
        self.charge(prefix, &value, 1)?;
        let alias = match alias {
            Some(alias) => {
                self.charge(&alias, prefix, 1)?;
                Some(row_key(self.tenant.id, space, &[&alias]))
            }
            None => None,
        };
        let prefix = row_key(self.tenant.id, space, &[prefix]);
        self.appends.push(Append {
            prefix,
            value,
            alias,
            erasure,
        });
        Ok(())
    }

    /// Makes the user a member of the audience: they see its events from this commit on.
    pub fn join(&mut self, space: Space, audience: &str, user: UserId) -> Result<(), StorageError> {
        self.set_member(space, audience, user, true)
    }

    /// Ends the user's membership: they see none of its events any more.
    pub fn leave(
        &mut self,
        space: Space,
        audience: &str,
        user: UserId,
    ) -> Result<(), StorageError> {
        self.set_member(space, audience, user, false)
    }

    fn set_member(
        &mut self,
        space: Space,
        audience: &str,
        user: UserId,
        is_member: bool,
    ) -> Result<(), StorageError> {
        // Two rows: from the audience to the user and back.
        self.charge(&[], &[0; 128], 2)?;
        let audience = self.shared.audience_id(self.tenant.id, space, audience)?;
        self.members.insert((audience, user), is_member);
        Ok(())
    }

    /// Tells the audience, durably: whoever is away gets it when they come back.
    pub fn publish(
        &mut self,
        space: Space,
        audience: &str,
        topic: &str,
        payload: impl Into<Bytes>,
        erasure: ErasureKey,
    ) -> Result<(), StorageError> {
        let event = self.event(space, audience, topic, payload.into(), erasure)?;
        self.events.push(event);
        Ok(())
    }

    /// Tells the audience now, for whoever is there. Never stored.
    pub fn publish_ephemeral(
        &mut self,
        space: Space,
        audience: &str,
        topic: &str,
        payload: impl Into<Bytes>,
    ) -> Result<(), StorageError> {
        let event = self.event(space, audience, topic, payload.into(), ErasureKey::TENANT)?;
        self.ephemeral.push(event);
        Ok(())
    }

    fn event(
        &mut self,
        space: Space,
        audience: &str,
        topic: &str,
        payload: Bytes,
        erasure: ErasureKey,
    ) -> Result<NewEvent, StorageError> {
        if topic.len() > TOPIC_LEN_MAX {
            return Err(StorageError::TooLarge {
                what: "topic",
                max: TOPIC_LEN_MAX,
            });
        }
        self.charge(topic.as_bytes(), &payload, 1)?;
        let audience = self.shared.audience_id(self.tenant.id, space, audience)?;
        Ok(NewEvent {
            audience,
            topic: topic.into(),
            payload,
            erasure,
        })
    }

    /// An id that no other call gets, ordered by time.
    pub fn new_id(&self) -> u128 {
        time_ordered_id(self.shared.clock.now())
    }

    /// Reads a stored value as of the start and notes that it was read.
    fn read(&mut self, key: Vec<u8>) -> Result<Option<Vec<u8>>, StorageError> {
        for _ in 0..EXTENSIONS_MAX {
            let seen = match self.shared.state.get(&key)? {
                Some(value) => {
                    let (header, _) = row::parse(&value)?;
                    if header.seq <= self.start {
                        let (keyring, id) = (&self.shared.keyring, self.tenant.id);
                        let plain = row::open(keyring, id, Purpose::Values, &key, &value)?;
                        self.note_read(key)?;
                        return Ok(plain);
                    }
                    header.seq
                }
                None => {
                    let window = self.tenant.window.lock();
                    if !window.may_be_deleted_since(self.start, &key) {
                        drop(window);
                        self.note_read(key)?;
                        return Ok(None);
                    }
                    self.start
                }
            };
            self.extend(seen)?;
        }
        Err(StorageError::Stale)
    }

    /// Moves the start forward to the applied state, if nothing that was read has changed since.
    ///
    /// `seen` is the newest commit that was met in the state. Its rows go in one by one, so it counts only
    /// when all of them are there, which takes a moment.
    pub(crate) fn extend(&mut self, seen: u64) -> Result<(), StorageError> {
        let mut now = self.tenant.applied.load(Ordering::Acquire);
        for _ in 0..APPLY_YIELDS_MAX {
            if now >= seen {
                break;
            }
            std::thread::yield_now();
            now = self.tenant.applied.load(Ordering::Acquire);
        }
        if now < seen {
            return Err(StorageError::Stale);
        }
        if !self.is_still_valid() {
            return Err(StorageError::Stale);
        }
        self.start = now;
        Ok(())
    }

    /// Whether nothing that was read has changed since the start.
    pub(crate) fn is_still_valid(&self) -> bool {
        let has_read = !self.reads.is_empty() || !self.ranges.is_empty();
        // What never read depends on nothing, however old it is.
        !has_read || {
            let window = self.tenant.window.lock();
            window.is_unchanged(self.start, self.reads.iter(), self.ranges.iter())
        }
    }

    fn note_read(&mut self, key: Vec<u8>) -> Result<(), StorageError> {
        self.reads.insert(key);
        self.check_reads()
    }

    pub(crate) fn note_range(&mut self, range: KeyRange) -> Result<(), StorageError> {
        self.ranges.push(range);
        self.check_reads()
    }

    fn check_reads(&self) -> Result<(), StorageError> {
        if self.reads.len() + self.ranges.len() > READS_MAX {
            return Err(StorageError::TooLarge {
                what: "reads",
                max: READS_MAX,
            });
        }
        Ok(())
    }

    fn charge(&mut self, key: &[u8], value: &[u8], ops: usize) -> Result<(), StorageError> {
        check_key(key)?;
        if value.len() > VALUE_LEN_MAX {
            return Err(StorageError::TooLarge {
                what: "value",
                max: VALUE_LEN_MAX,
            });
        }
        self.ops += ops;
        if self.ops > OPS_MAX {
            return Err(StorageError::TooLarge {
                what: "changes",
                max: OPS_MAX,
            });
        }
        self.written_bytes += key.len() + value.len();
        if self.written_bytes > WRITTEN_BYTES_MAX {
            return Err(StorageError::TooLarge {
                what: "written bytes",
                max: WRITTEN_BYTES_MAX,
            });
        }
        Ok(())
    }
}

fn check_key(key: &[u8]) -> Result<(), StorageError> {
    if key.len() > KEY_LEN_MAX {
        return Err(StorageError::TooLarge {
            what: "key",
            max: KEY_LEN_MAX,
        });
    }
    Ok(())
}

const OVERFLOW: StorageError = StorageError::Invalid {
    what: "a counter leaves its range",
};

/// A counter's value.
pub(crate) fn counter_of(value: &[u8]) -> Option<i64> {
    value.try_into().ok().map(i64::from_be_bytes)
}

/// A counter's bytes after adding; a missing one counts from 0.
fn added(value: Option<&[u8]>, by: i64) -> Result<Vec<u8>, StorageError> {
    let base = match value {
        Some(value) => counter_of(value).ok_or(StorageError::Invalid {
            what: "not a counter",
        })?,
        None => 0,
    };
    Ok(base.checked_add(by).ok_or(OVERFLOW)?.to_be_bytes().to_vec())
}

/// The value of an entry of the overlay, given what is stored under it.
pub(crate) fn overlaid(
    write: &Write,
    stored: Option<&[u8]>,
) -> Result<Option<Vec<u8>>, StorageError> {
    match write {
        Write::Put { value, .. } => Ok(Some(value.clone())),
        Write::Delete => Ok(None),
        Write::Increment(by) => added(stored, *by).map(Some),
    }
}

impl std::fmt::Debug for Transaction {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Transaction")
            .field("tenant", &self.tenant.id)
            .field("start", &self.start)
            .field("ops", &self.ops)
            .finish_non_exhaustive()
    }
}
