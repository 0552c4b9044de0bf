//! A transaction: what was read, so that it can be checked, and what is to be written, held back until commit.

use std::collections::{BTreeMap, HashSet};
use std::sync::atomic::Ordering;
use std::sync::{Arc, OnceLock};

use bytes::Bytes;
use vaxel_core::{TenantId, UnixMs, UserId};
use vaxel_crypto::ErasureKey;

use crate::engine::Shared;
use crate::ids::time_ordered_id;
use crate::key::{is_host, row_key};
use crate::limits::{
    KEY_LEN_MAX, OPS_MAX, RESERVE_WRITTEN_BYTES_MAX, TOPIC_LEN_MAX, VALUE_LEN_MAX,
    WRITTEN_BYTES_MAX,
};
use crate::reads::{OVERFLOW, added};
use crate::stamp::STAMP_LEN;
use crate::tenant::Tenant;
use crate::window::KeyRange;
use crate::{AudienceId, Space, StorageError, row};

/// What a key becomes.
pub(crate) enum Write {
    Put {
        value: Vec<u8>,
        erasure: ErasureKey,
        /// From when on it is not there any more.
        until: Option<UnixMs>,
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
    /// At what time it looks at rows that expire; asked for with the first of them.
    now: OnceLock<UnixMs>,
    wants_reserve: bool,
    /// A plugin's collection, and the most bytes that its rows may take.
    pub(crate) most: Option<(Space, u64)>,
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
            now: OnceLock::new(),
            wants_reserve: false,
            most: None,
        }
    }

    /// The tenant that this transaction reads and writes in.
    pub fn tenant(&self) -> TenantId {
        self.tenant.id
    }

    /// The number of the commit that all reads are as of.
    pub fn as_of(&self) -> u64 {
        self.start
    }

    /// Whether nothing would be stored.
    pub fn is_read_only(&self) -> bool {
        self.writes.is_empty()
            && self.appends.is_empty()
            && self.members.is_empty()
            && self.events.is_empty()
    }

    /// Asks for the part of the free space that is kept back: for the few small writes that must go on when the disk
    /// or the tenant counts as full, such as signing in and out. Granted to a transaction that stays small and writes
    /// only to collections of the host; any other is refused as if it had not asked.
    pub fn use_reserve(&mut self) {
        self.wants_reserve = true;
    }

    /// Lets a plugin's collection take so many bytes: a commit that would make it larger is refused, unless it only
    /// makes it smaller than it was.
    pub fn limit(&mut self, space: Space, bytes: u64) {
        self.most = Some((space, bytes));
    }

    /// Whether it asked for the reserve and is of the kind that gets it.
    pub(crate) fn may_use_reserve(&self) -> bool {
        self.wants_reserve
            && self.written_bytes <= RESERVE_WRITTEN_BYTES_MAX
            && self.members.is_empty()
            && self.events.is_empty()
            && self.writes.keys().all(|key| is_host(key))
            && self.appends.iter().all(|append| {
                is_host(&append.prefix) && append.alias.as_deref().is_none_or(is_host)
            })
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
        let until = None;
        let put = Write::Put {
            value,
            erasure,
            until,
        };
        self.writes.insert(key, put);
        Ok(())
    }

    /// Stores a value that is there until then, for reads and scans alike. A later put makes it stay.
    pub fn put_until(
        &mut self,
        space: Space,
        key: &[u8],
        value: Vec<u8>,
        erasure: ErasureKey,
        until: UnixMs,
    ) -> Result<(), StorageError> {
        // Two rows: the value, and the note on when it goes.
        self.charge(key, &value, 2)?;
        let key = row_key(self.tenant.id, space, &[key]);
        let put = Write::Put {
            value,
            erasure,
            until: Some(until),
        };
        self.writes.insert(key, put);
        Ok(())
    }

    /// Whether a stored row has expired, for this transaction.
    pub(crate) fn is_over(&self, header: row::Header) -> bool {
        header.until().is_some_and(|until| {
            let now = self.now.get_or_init(|| self.shared.clock.now());
            until <= *now
        })
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
            Some(Write::Put { value, erasure, .. }) => Write::Put {
                value: added(Some(value), by)?,
                erasure: *erasure,
                until: None,
            },
            Some(Write::Delete) => Write::Put {
                value: added(None, by)?,
                erasure: ErasureKey::TENANT,
                until: None,
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

pub(crate) fn check_key(key: &[u8]) -> Result<(), StorageError> {
    if key.len() > KEY_LEN_MAX {
        return Err(StorageError::TooLarge {
            what: "key",
            max: KEY_LEN_MAX,
        });
    }
    Ok(())
}

/// A counter's value.
pub(crate) fn counter_of(value: &[u8]) -> Option<i64> {
    value.try_into().ok().map(i64::from_be_bytes)
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
