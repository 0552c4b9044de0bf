//! Sealing a transaction into its record: final puts and deletes, numbered, counted and chained.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use vaxel_core::UnixMs;
use vaxel_crypto::{ErasureKey, Purpose};

use crate::engine::Shared;
use crate::key::{Space, plugin_space, row_key};
use crate::limits::{QUOTA_RESERVE_BYTES, RECORD_LEN_MAX};
use crate::record::{FRAME_HEADER_LEN, RecordBuilder};
use crate::row::{self, NewRow};
use crate::sweep::expiry_key;
use crate::tail::event_plaintext;
use crate::tenant::{Head, Tenant};
use crate::transaction::{NewEvent, Write, counter_of};
use crate::usage::size_of;
use crate::window::{Change, Latest};
use crate::{Committed, Event, Stamp, StorageError, Transaction};

/// A transaction on its way to becoming a record.
pub(crate) struct Sealing<'a> {
    shared: &'a Shared,
    tenant: &'a Tenant,
    head: Head,
    record: RecordBuilder,
    changes: Vec<Change>,
    usage: i128,
    /// By how much each plugin's collection grows or shrinks.
    grown: BTreeMap<Space, i128>,
    /// The most bytes that the tenant's rows may take behind it.
    quota: u64,
    committed: Committed,
}

/// The record and everything that follows from it.
pub(crate) struct Sealed {
    pub(crate) frame: Vec<u8>,
    pub(crate) head: Head,
    pub(crate) changes: Vec<Change>,
    pub(crate) committed: Committed,
}

/// What sealing adds to a row: header, key id, nonce, tag, and the operation around it.
const ROW_OVERHEAD: usize = 160;

impl<'a> Sealing<'a> {
    pub(crate) fn begin(
        shared: &'a Shared,
        tenant: &'a Tenant,
        before: &Head,
        tx: &Transaction,
    ) -> Self {
        let seq = before.seq + 1;
        let at = before.at.max(shared.clock.now());
        let capacity = 128 + tx.written_bytes + tx.ops * ROW_OVERHEAD;
        Self {
            shared,
            tenant,
            head: Head { seq, at, ..*before },
            record: RecordBuilder::new(tenant.id, seq, at, &before.chain, capacity),
            changes: Vec::with_capacity(tx.ops),
            usage: i128::from(before.usage),
            grown: BTreeMap::new(),
            quota: if tx.may_use_reserve() {
                shared.quota_bytes.saturating_add(QUOTA_RESERVE_BYTES)
            } else {
                shared.quota_bytes
            },
            committed: Committed {
                tenant: tenant.id,
                seq,
                at,
                joins: Vec::new(),
                leaves: Vec::new(),
                events: Vec::with_capacity(tx.events.len()),
                ephemeral: tx
                    .ephemeral
                    .iter()
                    .map(|event| ephemeral(event, seq))
                    .collect(),
            },
        }
    }

    pub(crate) fn finish(mut self, tx: Transaction) -> Result<Sealed, StorageError> {
        for (key, write) in &tx.writes {
            match write {
                Write::Put {
                    value,
                    erasure,
                    until,
                } => self.put_until(key, value, *erasure, *until)?,
                Write::Delete => self.delete(key)?,
                Write::Increment(by) => self.increment(key, *by)?,
            }
        }
        for (ordinal, append) in tx.appends.iter().enumerate() {
            let stamp = self.stamp(ordinal)?.to_bytes();
            let key = [append.prefix.as_slice(), &stamp].concat();
            let nothing = Latest::default();
            self.write(&key, &append.value, append.erasure, true, None, nothing)?;
            if let Some(alias) = &append.alias {
                let target = crate::key::within_space(&key).to_vec();
                self.put(alias, &target, append.erasure)?;
            }
        }
        for (space, by) in std::mem::take(&mut self.grown) {
            let most = tx.most.filter(|(of, _)| *of == space);
            self.weigh(space, by, most.map(|(_, most)| most))?;
        }
        for ((audience, user), is_member) in &tx.members {
            let there = row_key(
                self.tenant.id,
                Space::MEMBERS,
                &[&audience.0, &user.to_bytes()],
            );
            let back = row_key(
                self.tenant.id,
                Space::AUDIENCES,
                &[&user.to_bytes(), &audience.0],
            );
            let was_member = self.latest(&there)?.size > 0;
            if was_member == *is_member {
                continue;
            }
            for key in [&there, &back] {
                if *is_member {
                    self.put(key, &[], ErasureKey::TENANT)?;
                } else {
                    self.delete(key)?;
                }
            }
            let changed = if *is_member {
                &mut self.committed.joins
            } else {
                &mut self.committed.leaves
            };
            changed.push((*audience, *user));
        }
        let mut plaintext = Vec::new();
        for (ordinal, event) in tx.events.into_iter().enumerate() {
            let stamp = self.stamp(ordinal)?;
            self.event(event, stamp, &mut plaintext)?;
        }
        self.seal()
    }

    fn stamp(&self, ordinal: usize) -> Result<Stamp, StorageError> {
        let too_many = |_| StorageError::TooLarge {
            what: "changes",
            max: u16::MAX.into(),
        };
        Ok(Stamp {
            seq: self.head.seq,
            ordinal: u16::try_from(ordinal).map_err(too_many)?,
        })
    }

    /// What a key holds now: committed and perhaps not applied yet, or else in the state.
    fn latest(&self, key: &[u8]) -> Result<Latest, StorageError> {
        if let Some(latest) = self.tenant.window.lock().latest(key) {
            return Ok(latest);
        }
        let size = self
            .shared
            .state
            .get(key)?
            .map_or(0, |value| size_of(key, value.len()));
        Ok(Latest {
            size,
            ..Latest::default()
        })
    }

    fn put(&mut self, key: &[u8], value: &[u8], erasure: ErasureKey) -> Result<(), StorageError> {
        self.put_until(key, value, erasure, None)
    }

    fn put_until(
        &mut self,
        key: &[u8],
        value: &[u8],
        erasure: ErasureKey,
        until: Option<UnixMs>,
    ) -> Result<(), StorageError> {
        if let Some(until) = until {
            let note = expiry_key(self.tenant.id, until, key);
            self.put_until(&note, &[], ErasureKey::TENANT, None)?;
        }
        let latest = self.latest(key)?;
        self.write(key, value, erasure, false, until, latest)
    }

    fn write(
        &mut self,
        key: &[u8],
        value: &[u8],
        erasure: ErasureKey,
        appended: bool,
        until: Option<UnixMs>,
        before: Latest,
    ) -> Result<(), StorageError> {
        let (keyring, id, seq) = (&self.shared.keyring, self.tenant.id, self.head.seq);
        let purpose = Purpose::Values;
        let new = NewRow {
            key,
            seq,
            appended,
            at: None,
            until,
            erasure,
            purpose,
        };
        let len = self
            .record
            .put(key, |out| row::seal(keyring, id, &new, value, out))?;
        let size = size_of(key, len);
        self.grows(key, i128::from(size) - i128::from(before.size));
        self.changes.push(Change {
            key: key.into(),
            size,
            // What expires is no counter: others would go on adding to what is gone.
            counter: counter_of(value).filter(|_| until.is_none()),
        });
        Ok(())
    }

    fn delete(&mut self, key: &[u8]) -> Result<(), StorageError> {
        let size = self.latest(key)?.size;
        self.grows(key, -i128::from(size));
        self.record.delete(key);
        // Nobody reads the tail through transactions; sweeping it would only push out what is read.
        if !crate::tail::is_event(key) {
            self.changes.push(Change {
                key: key.into(),
                size: 0,
                counter: None,
            });
        }
        Ok(())
    }

    fn grows(&mut self, key: &[u8], by: i128) {
        self.usage += by;
        if let Some(space) = plugin_space(key) {
            *self.grown.entry(space).or_default() += by;
        }
    }

    /// Keeps the sum of what a plugin's collection takes, and refuses what makes it larger than it may be.
    fn weigh(&mut self, space: Space, by: i128, most: Option<u64>) -> Result<(), StorageError> {
        if by == 0 {
            return Ok(());
        }
        let key = row_key(self.tenant.id, Space::WEIGHTS, &[space.bytes()]);
        let latest = self.latest(&key)?;
        let before = if latest.size > 0 {
            self.counter(&key, latest)?
        } else if self.tenant.applied.load(Ordering::Acquire) + 1 == self.head.seq {
            // The first time, or nothing was left: the state says, because everything before is there.
            let weight = crate::cost::weight(&self.shared.state, self.tenant.id, space)?;
            i64::try_from(weight).unwrap_or(i64::MAX)
        } else {
            // Others are on their way. Whoever finds it quiet begins to count.
            return Ok(());
        };
        let after = (i128::from(before) + by).max(0);
        if by > 0 && most.is_some_and(|most| after > i128::from(most)) {
            return Err(StorageError::Full);
        }
        if after == 0 {
            return self.delete(&key);
        }
        let value = i64::try_from(after).unwrap_or(i64::MAX).to_be_bytes();
        self.write(&key, &value, ErasureKey::TENANT, false, None, latest)
    }

    fn counter(&self, key: &[u8], latest: Latest) -> Result<i64, StorageError> {
        match latest {
            Latest { size: 0, .. } => Ok(0),
            Latest {
                counter: Some(counter),
                ..
            } => Ok(counter),
            // Remembered, and not a counter; or only in the state.
            Latest { seq: 0, .. } => self.stored_counter(key),
            _ => Err(StorageError::Invalid {
                what: "not a counter",
            }),
        }
    }

    fn increment(&mut self, key: &[u8], by: i64) -> Result<(), StorageError> {
        let latest = self.latest(key)?;
        let base = self.counter(key, latest)?;
        let value = base.checked_add(by).ok_or(StorageError::Invalid {
            what: "a counter leaves its range",
        })?;
        let (value, erasure) = (value.to_be_bytes(), ErasureKey::TENANT);
        self.write(key, &value, erasure, false, None, latest)
    }

    fn stored_counter(&self, key: &[u8]) -> Result<i64, StorageError> {
        let Some(value) = self.shared.state.get(key)? else {
            return Ok(0);
        };
        let (header, _) = row::parse(&value)?;
        if let Some(until) = header.until() {
            return if until <= self.head.at {
                Ok(0)
            } else {
                Err(StorageError::Invalid {
                    what: "not a counter",
                })
            };
        }
        let (keyring, id) = (&self.shared.keyring, self.tenant.id);
        match row::open(keyring, id, Purpose::Values, key, &value)? {
            Some(plain) => counter_of(&plain).ok_or(StorageError::Invalid {
                what: "not a counter",
            }),
            None => Ok(0),
        }
    }

    fn event(
        &mut self,
        event: NewEvent,
        stamp: Stamp,
        plaintext: &mut Vec<u8>,
    ) -> Result<(), StorageError> {
        let NewEvent {
            audience,
            topic,
            payload,
            erasure,
        } = event;
        let (keyring, id, seq) = (&self.shared.keyring, self.tenant.id, self.head.seq);
        let key = row_key(id, Space::TAIL, &[&audience.0, &stamp.to_bytes()]);
        event_plaintext(&topic, &payload, plaintext);
        let at = Some(self.head.at);
        let new = NewRow {
            key: &key,
            seq,
            appended: true,
            at,
            until: None,
            erasure,
            purpose: Purpose::Events,
        };
        let len = self
            .record
            .put(&key, |out| row::seal(keyring, id, &new, plaintext, out))?;
        self.usage += i128::from(size_of(&key, len));
        self.committed.events.push(Event {
            audience,
            stamp,
            topic,
            payload,
        });
        Ok(())
    }

    fn seal(mut self) -> Result<Sealed, StorageError> {
        if self.record.len() - FRAME_HEADER_LEN > RECORD_LEN_MAX {
            return Err(StorageError::TooLarge {
                what: "record",
                max: RECORD_LEN_MAX,
            });
        }
        let usage = u64::try_from(self.usage.max(0)).unwrap_or(u64::MAX);
        if usage > self.quota && usage > self.head.usage {
            return Err(StorageError::Quota);
        }
        self.head.usage = usage;
        let (frame, chain) = self.record.finish(usage);
        self.head.chain = chain;
        Ok(Sealed {
            frame,
            head: self.head,
            changes: self.changes,
            committed: self.committed,
        })
    }
}

/// An event that is not stored; it stands behind the commit with this number.
pub(crate) fn ephemeral(event: &NewEvent, seq: u64) -> Event {
    Event {
        audience: event.audience,
        stamp: Stamp { seq, ordinal: 0 },
        topic: Arc::clone(&event.topic),
        payload: event.payload.clone(),
    }
}
