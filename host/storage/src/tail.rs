//! Audiences and the tail of their events: who sees what, and what somebody missed.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::ops::Bound;
use std::sync::atomic::Ordering;

use bytes::Bytes;
use vaxel_core::{TenantId, UnixMs, UserId};
use vaxel_crypto::Purpose;

use crate::codec::Reader;
use crate::engine::Shared;
use crate::key::{Space, prefix_end, row_key, split, within_space};
use crate::{AudienceId, Cursor, Event, ReplayError, Stamp, StorageError, row};

/// The first byte of an event's plaintext.
const EVENT_FORMAT: u8 = 1;

/// Writes topic and payload as they are sealed.
pub(crate) fn event_plaintext(topic: &str, payload: &[u8], out: &mut Vec<u8>) {
    out.clear();
    out.push(EVENT_FORMAT);
    // Topics are bounded far below 256 bytes.
    out.push(u8::try_from(topic.len()).unwrap_or(u8::MAX));
    out.extend_from_slice(topic.as_bytes());
    out.extend_from_slice(payload);
}

pub(crate) fn parse_event(plaintext: Vec<u8>) -> Option<(std::sync::Arc<str>, Bytes)> {
    let mut reader = Reader(&plaintext);
    if reader.u8()? != EVENT_FORMAT {
        return None;
    }
    let topic_len = usize::from(reader.u8()?);
    let topic = std::str::from_utf8(reader.take(topic_len)?).ok()?.into();
    Some((topic, Bytes::from(plaintext).slice(2 + topic_len..)))
}

/// Whether this is the key of an event.
pub(crate) fn is_event(key: &[u8]) -> bool {
    split(key).is_some_and(|(_, space, _)| space == Space::TAIL.bytes())
}

/// The rows of one audience that are still to be delivered.
struct Source {
    rows: sled::Iter,
}

impl Source {
    /// The next event's key and row, with its stamp.
    fn next(&mut self) -> Result<Option<(Stamp, sled::IVec, sled::IVec)>, StorageError> {
        let Some((key, value)) = self.rows.next().transpose()? else {
            return Ok(None);
        };
        let stamp = within_space(&key)
            .last_chunk()
            .map(|bytes| Stamp::from_bytes(*bytes))
            .ok_or_else(|| StorageError::corrupt("an event's key"))?;
        Ok(Some((stamp, key, value)))
    }
}

impl Shared {
    /// Whose events a user sees, and since when.
    pub(crate) fn audiences_of(
        &self,
        tenant: TenantId,
        user: UserId,
    ) -> Result<Vec<(AudienceId, Stamp)>, StorageError> {
        let prefix = row_key(tenant, Space::AUDIENCES, &[&user.to_bytes()]);
        let end = prefix_end(&prefix).map_or(Bound::Unbounded, Bound::Excluded);
        let mut audiences = Vec::new();
        for row in self.state.range(&(Bound::Included(prefix), end)) {
            let (key, value) = row?;
            let audience = within_space(&key)
                .last_chunk()
                .ok_or_else(|| StorageError::corrupt("a membership's key"))?;
            // Opening it proves that nobody but us wrote it there.
            row::open(&self.keyring, tenant, Purpose::Values, &key, &value)?;
            let (header, _) = row::parse(&value)?;
            audiences.push((
                AudienceId(*audience),
                Stamp {
                    seq: header.seq,
                    ordinal: 0,
                },
            ));
        }
        Ok(audiences)
    }

    /// One event and when it was published.
    pub(crate) fn event(
        &self,
        tenant: TenantId,
        audience: AudienceId,
        stamp: Stamp,
    ) -> Result<Option<(Event, UnixMs)>, StorageError> {
        let key = row_key(tenant, Space::TAIL, &[&audience.0, &stamp.to_bytes()]);
        let Some(value) = self.state.get(&key)? else {
            return Ok(None);
        };
        let (header, _) = row::parse(&value)?;
        let Some(plain) = row::open(&self.keyring, tenant, Purpose::Events, &key, &value)? else {
            return Ok(None);
        };
        let (topic, payload) =
            parse_event(plain).ok_or_else(|| StorageError::corrupt("an event"))?;
        let event = Event {
            audience,
            stamp,
            topic,
            payload,
        };
        Ok(Some((event, header.at.unwrap_or_default())))
    }

    pub(crate) fn cursor(&self, tenant: TenantId) -> Cursor {
        let seq = self.tenants.get(tenant).applied.load(Ordering::Acquire);
        Cursor {
            epoch: self.epoch,
            stamp: Stamp::end_of(seq),
        }
    }

    /// What the user may see now and could see then, behind the cursor, up to `until`, oldest first.
    pub(crate) fn replay(
        &self,
        tenant: TenantId,
        user: UserId,
        after: Cursor,
        until: Stamp,
        max: usize,
    ) -> Result<Vec<Event>, ReplayError> {
        let known = self.tenants.get(tenant);
        let applied = known.applied.load(Ordering::Acquire);
        let is_ours = after.epoch == self.epoch
            && after.stamp.seq <= applied
            && after.stamp.seq >= known.tail_floor.load(Ordering::Acquire);
        if !is_ours {
            return Err(ReplayError::Expired);
        }
        // Of a commit that is just being applied, a part may be there already.
        let until = until.min(Stamp::end_of(applied));
        let mut sources = Vec::new();
        let mut heads = BinaryHeap::new();
        for (audience, joined) in self.audiences_of(tenant, user)? {
            let first = after.stamp.max(Stamp {
                seq: joined.seq.saturating_sub(1),
                ordinal: u16::MAX,
            });
            if first >= until {
                continue;
            }
            let bound =
                |stamp: Stamp| row_key(tenant, Space::TAIL, &[&audience.0, &stamp.to_bytes()]);
            let range = (Bound::Excluded(bound(first)), Bound::Included(bound(until)));
            let mut source = Source {
                rows: self.state.range(&range),
            };
            if let Some((stamp, key, value)) = source.next()? {
                heads.push(Reverse((stamp, sources.len(), key, value)));
                sources.push((audience, source));
            }
        }
        let mut events = Vec::new();
        while events.len() < max {
            let Some(Reverse((stamp, index, key, value))) = heads.pop() else {
                break;
            };
            let Some((audience, source)) = sources.get_mut(index) else {
                break;
            };
            if let Some((stamp, key, value)) = source.next()? {
                heads.push(Reverse((stamp, index, key, value)));
            }
            let Some(plain) = row::open(&self.keyring, tenant, Purpose::Events, &key, &value)?
            else {
                continue;
            };
            let (topic, payload) =
                parse_event(plain).ok_or_else(|| StorageError::corrupt("an event"))?;
            events.push(Event {
                audience: *audience,
                stamp,
                topic,
                payload,
            });
        }
        // A sweep may have passed while this read.
        if after.stamp.seq < known.tail_floor.load(Ordering::Acquire) {
            return Err(ReplayError::Expired);
        }
        Ok(events)
    }
}
