//! What happened in a tenant, over all audiences: for the host, which asks on nobody's behalf.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::ops::Bound;

use vaxel_core::{TenantId, UnixMs};
use vaxel_crypto::Purpose;

use crate::key::{Space, prefix_end, row_key, within_space};
use crate::stamp::STAMP_LEN;
use crate::tail::parse_event;
use crate::{AudienceId, Event, Stamp, Storage, StorageError, row};

/// Events that one look opens: topics are sealed, so those of other topics are opened too.
const OPENED_MAX: usize = 20_000;

impl Storage {
    /// The newest events since a time, of the topics that are wanted, at most `max`; oldest first, with their times.
    /// Walks the whole tail. Blocks.
    pub fn past_events(
        &self,
        tenant: TenantId,
        since: UnixMs,
        is_wanted: &dyn Fn(&str) -> bool,
        max: usize,
    ) -> Result<Vec<(Event, UnixMs)>, StorageError> {
        let shared = self.shared();
        let prefix = row_key(tenant, Space::TAIL, &[]);
        let end = prefix_end(&prefix).map_or(Bound::Unbounded, Bound::Excluded);
        let mut newest = BinaryHeap::new();
        for found in shared.state.range(&(Bound::Included(prefix), end)) {
            let (key, value) = found?;
            let (header, _) = row::parse(&value)?;
            let at = header.at.unwrap_or_default();
            let stamp = within_space(&key).last_chunk::<STAMP_LEN>();
            let stamp = stamp.ok_or_else(|| StorageError::corrupt("an event's key"))?;
            if at < since {
                continue;
            }
            newest.push(Reverse((Stamp::from_bytes(*stamp), at, key.to_vec())));
            if newest.len() > OPENED_MAX {
                newest.pop();
            }
        }
        let mut events = Vec::new();
        // The newest first: the order of the heap is turned around twice.
        for Reverse((stamp, at, key)) in newest.into_sorted_vec() {
            if events.len() >= max {
                break;
            }
            let Some(value) = shared.state.get(&key)? else {
                continue;
            };
            let plain = row::open(&shared.keyring, tenant, Purpose::Events, &key, &value)?;
            let Some(plain) = plain else {
                continue;
            };
            let (topic, payload) =
                parse_event(plain).ok_or_else(|| StorageError::corrupt("an event"))?;
            let audience = within_space(&key).first_chunk().copied();
            let audience = audience.ok_or_else(|| StorageError::corrupt("an event's key"))?;
            if is_wanted(&topic) {
                let event = Event {
                    audience: AudienceId(audience),
                    stamp,
                    topic,
                    payload,
                };
                events.push((event, at));
            }
        }
        events.reverse();
        Ok(events)
    }
}
