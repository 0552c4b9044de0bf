//! The queue to the log writer: commits on their way, and the callers that wait for them.

use std::collections::VecDeque;
use std::sync::Arc;

use parking_lot::{Condvar, Mutex};
use tokio::sync::{OwnedSemaphorePermit, oneshot};

use crate::commit::{Answer, Commit};
use crate::log::Position;
use crate::tenant::{Head, Tenant};
use crate::{Committed, StorageError};

/// A commit on its way to the log.
pub(crate) struct Queued {
    /// The framed record; `None` for what is not stored.
    pub(crate) frame: Option<Vec<u8>>,
    pub(crate) tenant: Arc<Tenant>,
    /// Where the tenant stands behind it.
    pub(crate) head: Head,
    pub(crate) committed: Option<Arc<Committed>>,
    pub(crate) done: oneshot::Sender<Answer>,
    /// Room in the queue, held until the caller is answered.
    pub(crate) _slots: OwnedSemaphorePermit,
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
    /// Puts a commit behind those that wait.
    pub(crate) fn push(&self, item: Queued) -> Result<(), StorageError> {
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
