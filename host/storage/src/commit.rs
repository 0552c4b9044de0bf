//! The committer: validates, numbers, seals and queues a transaction under its tenant's lock.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use parking_lot::{Condvar, Mutex};
use tokio::sync::{OwnedSemaphorePermit, oneshot};
use vaxel_core::UnixMs;
use vaxel_crypto::{ErasureKey, Purpose};

use crate::engine::Shared;
use crate::key::{Space, row_key};
use crate::limits::{QUEUE_SLOT_BYTES, QUEUE_SLOTS, RECORD_LEN_MAX};
use crate::log::Position;
use crate::record::{FRAME_HEADER_LEN, RecordBuilder};
use crate::row::{self, NewRow};
use crate::tail::event_plaintext;
use crate::tenant::{Head, Tenant};
use crate::transaction::{NewEvent, Write, counter_of};
use crate::window::{Change, Latest};
use crate::{Committed, Event, Stamp, StorageError, Transaction};

/// What a commit came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Commit {
    /// Its number in the tenant; of a read-only transaction, the commit as of which it read.
    pub seq: u64,
    /// Its time; never before that of an earlier commit.
    pub at: UnixMs,
}

type Answer = Result<Commit, StorageError>;

/// A commit on its way to the log.
pub(crate) struct Queued {
    /// The framed record; `None` for what is not stored.
    pub(crate) frame: Option<Vec<u8>>,
    pub(crate) tenant: Arc<Tenant>,
    /// Where the tenant stands behind it.
    pub(crate) head: Head,
    pub(crate) committed: Option<Arc<Committed>>,
    done: oneshot::Sender<Answer>,
    _slots: OwnedSemaphorePermit,
}

impl Queued {
    /// Tells the waiting caller that the commit stands.
    pub(crate) fn complete(self) {
        // A caller that no longer waits has no use for the answer.
        let _ = self.done.send(Ok(Commit {
            seq: self.head.seq,
            at: self.head.at,
        }));
    }

    pub(crate) fn refuse_all(items: Vec<Self>) {
        for item in items {
            let _ = item.done.send(Err(StorageError::ReadOnly));
        }
    }
}

/// Commits that were made durable together.
pub(crate) struct Group {
    pub(crate) items: Vec<Queued>,
    /// Where each one's record ends.
    pub(crate) ends: Vec<Option<Position>>,
}

/// The queue to the log writer. Its length is bounded by the slots that every commit holds.
#[derive(Default)]
pub(crate) struct Queue {
    inner: Mutex<Waiting>,
    filled: Condvar,
}

#[derive(Default)]
struct Waiting {
    items: VecDeque<Queued>,
    is_closed: bool,
}

impl Queue {
    fn push(&self, item: Queued) -> Result<(), StorageError> {
        let mut waiting = self.inner.lock();
        if waiting.is_closed {
            return Err(StorageError::Closed);
        }
        waiting.items.push_back(item);
        let is_first = waiting.items.len() == 1;
        drop(waiting);
        if is_first {
            self.filled.notify_one();
        }
        Ok(())
    }

    /// Everything that waits, up to so many bytes; `None` when the queue is closed and empty.
    pub(crate) fn take(&self, bytes_max: usize) -> Option<Vec<Queued>> {
        let mut waiting = self.inner.lock();
        while waiting.items.is_empty() {
            if waiting.is_closed {
                return None;
            }
            self.filled.wait(&mut waiting);
        }
        let mut bytes = 0;
        let fitting = waiting
            .items
            .iter()
            .take_while(|item| {
                bytes += item.frame.as_ref().map_or(0, Vec::len);
                bytes <= bytes_max
            })
            .count();
        Some(waiting.items.drain(..fitting.max(1)).collect())
    }

    pub(crate) fn close(&self) {
        self.inner.lock().is_closed = true;
        self.filled.notify_all();
    }
}

impl Shared {
    /// Commits; durable, applied and visible when it returns.
    pub(crate) async fn commit(&self, tx: Transaction) -> Answer {
        if let Some(answer) = self.finish_reader(&tx)? {
            return Ok(answer);
        }
        let slots = Arc::clone(&self.slots)
            .acquire_many_owned(slots_of(&tx))
            .await
            .map_err(|_| StorageError::Closed)?;
        let answer = self.submit(tx, slots)?;
        answer.await.map_err(|_| StorageError::Closed)?
    }

    /// As [`Self::commit`], for threads outside the async runtime.
    pub(crate) fn commit_blocking(&self, tx: Transaction) -> Answer {
        if let Some(answer) = self.finish_reader(&tx)? {
            return Ok(answer);
        }
        // Housekeeping gives way to everybody else: with no slot free it tries again in its next round.
        let slots = Arc::clone(&self.slots)
            .try_acquire_many_owned(slots_of(&tx))
            .map_err(|_| StorageError::Conflict)?;
        let answer = self.submit(tx, slots)?;
        answer.blocking_recv().map_err(|_| StorageError::Closed)?
    }

    /// All reads of a transaction are as of its start, so one that only read has nothing left to validate.
    fn finish_reader(&self, tx: &Transaction) -> Result<Option<Commit>, StorageError> {
        if !tx.is_read_only() || !tx.ephemeral.is_empty() {
            self.health.admit()?;
            return Ok(None);
        }
        Ok(Some(Commit {
            seq: tx.start,
            at: self.clock.now(),
        }))
    }

    fn submit(
        &self,
        tx: Transaction,
        slots: OwnedSemaphorePermit,
    ) -> Result<oneshot::Receiver<Answer>, StorageError> {
        let (done, answer) = oneshot::channel();
        let tenant = Arc::clone(&tx.tenant);
        let mut committer = tenant.committer.lock();
        if tx.is_read_only() {
            let committed = ephemeral_only(&tx, &committer);
            let item = Queued {
                frame: None,
                tenant: Arc::clone(&tenant),
                head: *committer,
                committed: Some(Arc::new(committed)),
                done,
                _slots: slots,
            };
            self.queue.push(item)?;
            return Ok(answer);
        }
        if !tx.is_still_valid() {
            return Err(StorageError::Conflict);
        }
        let sealed = Sealing::begin(self, &tenant, &committer, &tx).finish(tx)?;
        let Sealed {
            frame,
            head,
            changes,
            committed,
        } = sealed;
        let item = Queued {
            frame: Some(frame),
            tenant: Arc::clone(&tenant),
            head,
            committed: (!committed.is_empty()).then(|| Arc::new(committed)),
            done,
            _slots: slots,
        };
        // Readers rely on this order: whatever they meet in the state is in the window already. A push fails
        // only when storage closes, and then nothing comes behind it.
        let applied = tenant.applied.load(Ordering::Acquire);
        tenant.window.lock().note(head.seq, changes, applied);
        *committer = head;
        self.queue.push(item)?;
        Ok(answer)
    }
}

fn slots_of(tx: &Transaction) -> u32 {
    let slots = tx
        .written_bytes
        .div_ceil(QUEUE_SLOT_BYTES)
        .clamp(1, QUEUE_SLOTS);
    u32::try_from(slots).unwrap_or(1)
}

fn ephemeral_only(tx: &Transaction, head: &Head) -> Committed {
    Committed {
        tenant: tx.tenant.id,
        seq: head.seq,
        at: head.at,
        joins: Vec::new(),
        leaves: Vec::new(),
        events: Vec::new(),
        ephemeral: tx
            .ephemeral
            .iter()
            .map(|event| ephemeral(event, head.seq))
            .collect(),
    }
}

fn ephemeral(event: &NewEvent, seq: u64) -> Event {
    Event {
        audience: event.audience,
        stamp: Stamp { seq, ordinal: 0 },
        topic: Arc::clone(&event.topic),
        payload: event.payload.clone(),
    }
}

/// A transaction on its way to becoming a record.
struct Sealing<'a> {
    shared: &'a Shared,
    tenant: &'a Tenant,
    head: Head,
    record: RecordBuilder,
    changes: Vec<Change>,
    usage: i128,
    committed: Committed,
}

/// The record and everything that follows from it.
struct Sealed {
    frame: Vec<u8>,
    head: Head,
    changes: Vec<Change>,
    committed: Committed,
}

/// What sealing adds to a row: header, key id, nonce, tag, and the operation around it.
const ROW_OVERHEAD: usize = 160;

impl<'a> Sealing<'a> {
    fn begin(shared: &'a Shared, tenant: &'a Tenant, before: &Head, tx: &Transaction) -> Self {
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

    fn finish(mut self, tx: Transaction) -> Result<Sealed, StorageError> {
        for (key, write) in &tx.writes {
            match write {
                Write::Put { value, erasure } => self.put(key, value, *erasure)?,
                Write::Delete => self.delete(key)?,
                Write::Increment(by) => self.increment(key, *by)?,
            }
        }
        for (ordinal, append) in tx.appends.iter().enumerate() {
            let stamp = self.stamp(ordinal)?.to_bytes();
            let key = [append.prefix.as_slice(), &stamp].concat();
            self.write(&key, &append.value, append.erasure, true, Latest::default())?;
            if let Some(alias) = &append.alias {
                let target = crate::key::within_space(&key).to_vec();
                self.put(alias, &target, append.erasure)?;
            }
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
        let latest = self.latest(key)?;
        self.write(key, value, erasure, false, latest)
    }

    fn write(
        &mut self,
        key: &[u8],
        value: &[u8],
        erasure: ErasureKey,
        appended: bool,
        before: Latest,
    ) -> Result<(), StorageError> {
        let (keyring, id, seq) = (&self.shared.keyring, self.tenant.id, self.head.seq);
        let purpose = Purpose::Values;
        let new = NewRow {
            key,
            seq,
            appended,
            at: None,
            erasure,
            purpose,
        };
        let len = self
            .record
            .put(key, |out| row::seal(keyring, id, &new, value, out))?;
        let size = size_of(key, len);
        self.usage += i128::from(size) - i128::from(before.size);
        self.changes.push(Change {
            key: key.into(),
            size,
            counter: counter_of(value),
        });
        Ok(())
    }

    fn delete(&mut self, key: &[u8]) -> Result<(), StorageError> {
        self.usage -= i128::from(self.latest(key)?.size);
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

    fn increment(&mut self, key: &[u8], by: i64) -> Result<(), StorageError> {
        let latest = self.latest(key)?;
        let base = match latest {
            Latest { size: 0, .. } => 0,
            Latest {
                counter: Some(counter),
                ..
            } => counter,
            // Remembered, and not a counter; or only in the state.
            Latest { seq: 0, .. } => self.stored_counter(key)?,
            _ => {
                return Err(StorageError::Invalid {
                    what: "not a counter",
                });
            }
        };
        let value = base.checked_add(by).ok_or(StorageError::Invalid {
            what: "a counter leaves its range",
        })?;
        self.write(key, &value.to_be_bytes(), ErasureKey::TENANT, false, latest)
    }

    fn stored_counter(&self, key: &[u8]) -> Result<i64, StorageError> {
        let Some(value) = self.shared.state.get(key)? else {
            return Ok(0);
        };
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
        if usage > self.shared.quota_bytes && usage > self.head.usage {
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

/// What a row counts for in its tenant's quota.
pub(crate) fn size_of(key: &[u8], value_len: usize) -> u64 {
    (key.len() + value_len) as u64
}
