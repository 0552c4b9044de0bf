//! Applying durable records to the state, in small slices cut between transactions.

use std::collections::BTreeMap;
use std::sync::atomic::Ordering;
use std::sync::mpsc::Receiver;

use vaxel_core::TenantId;

use crate::StorageError;
use crate::engine::Shared;
use crate::limits::SLICE_ROWS_MAX;
use crate::log::Position;
use crate::queue::{Group, Queued};
use crate::record::{FRAME_HEADER_LEN, RecordView};
use crate::state::{State, encode_position, head_key, position_key};
use crate::tenant::Head;

/// A part of the log on its way into the state, cut between transactions.
///
/// Its rows go in one by one. sled's batches would be atomic, but each holds up every reader of the process;
/// nobody needs them to be: readers tell rows of commits that are not applied yet by their numbers, and what
/// a crash cuts off is replayed from the checkpoint.
pub(crate) struct Slice {
    rows: BTreeMap<Vec<u8>, Option<sled::IVec>>,
    heads: Vec<(TenantId, Head)>,
    end: Option<Position>,
}

impl Slice {
    pub(crate) fn new() -> Self {
        Self {
            rows: BTreeMap::new(),
            heads: Vec::new(),
            end: None,
        }
    }

    /// Adds a record. It needs no key to be applied.
    pub(crate) fn add(
        &mut self,
        record: &RecordView<'_>,
        head: Head,
        end: Position,
    ) -> Result<(), StorageError> {
        let tenant = record.tenant.to_bytes();
        for op in record.ops() {
            let op = op?;
            let key = [tenant.as_slice(), op.key].concat();
            self.rows.insert(key, op.value.map(sled::IVec::from));
        }
        match self
            .heads
            .iter_mut()
            .find(|(tenant, _)| *tenant == record.tenant)
        {
            Some((_, old)) => *old = head,
            None => self.heads.push((record.tenant, head)),
        }
        self.end = Some(end);
        Ok(())
    }

    pub(crate) fn is_full(&self) -> bool {
        self.rows.len() >= SLICE_ROWS_MAX
    }

    /// Puts the slice into the state, with how far each tenant and the log have come.
    pub(crate) fn apply(self, state: &State) -> Result<Option<Position>, StorageError> {
        let Self { rows, heads, end } = self;
        let Some(end) = end else { return Ok(None) };
        for (key, value) in rows {
            match value {
                Some(value) => state.insert(&key, value)?,
                None => state.remove(&key)?,
            }
        }
        for (tenant, head) in heads {
            state.insert(&head_key(tenant), head.encode().into())?;
        }
        // Last: it says that everything before is in.
        state.insert(&position_key(), encode_position(end).into())?;
        Ok(Some(end))
    }
}

/// Applies groups as they become durable, until the log writer is gone.
pub(crate) fn run(shared: &Shared, groups: &Receiver<Group>) {
    while let Ok(group) = groups.recv() {
        if shared.health.is_read_only() {
            Queued::refuse_all(group.items);
            continue;
        }
        apply_group(shared, group);
    }
}

fn apply_group(shared: &Shared, group: Group) {
    let mut slice = Slice::new();
    let mut waiting = Vec::with_capacity(group.items.len());
    let mut items = group.items.into_iter().zip(group.ends);
    while let Some((item, end)) = items.next() {
        let added = add(&mut slice, &item, end);
        waiting.push(item);
        let done = added.and_then(|()| {
            if slice.is_full() {
                finish(
                    shared,
                    std::mem::replace(&mut slice, Slice::new()),
                    &mut waiting,
                )
            } else {
                Ok(())
            }
        });
        if let Err(error) = done {
            shared.health.turn_read_only("applying the log", &error);
            waiting.extend(items.map(|(item, _)| item));
            Queued::refuse_all(waiting);
            return;
        }
    }
    if let Err(error) = finish(shared, slice, &mut waiting) {
        shared.health.turn_read_only("applying the log", &error);
        Queued::refuse_all(waiting);
    }
}

fn add(slice: &mut Slice, item: &Queued, end: Option<Position>) -> Result<(), StorageError> {
    let (Some(frame), Some(end)) = (&item.frame, end) else {
        return Ok(());
    };
    let record = RecordView::parse(frame.get(FRAME_HEADER_LEN..).unwrap_or_default())?;
    slice.add(&record, item.head, end)
}

/// Applies the slice, then lets its callers and followers know, in order.
fn finish(shared: &Shared, slice: Slice, waiting: &mut Vec<Queued>) -> Result<(), StorageError> {
    if let Some(end) = slice.apply(&shared.state)? {
        *shared.applied.lock() = end;
    }
    for item in waiting.iter().filter(|item| item.frame.is_some()) {
        item.tenant.applied.store(item.head.seq, Ordering::Release);
    }
    for mut item in waiting.drain(..) {
        let committed = item.committed.take();
        item.complete();
        if let Some(committed) = committed {
            shared.followers.tell(&committed, &shared.health);
        }
    }
    Ok(())
}
