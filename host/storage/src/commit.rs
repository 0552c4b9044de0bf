//! The committer: validates a transaction under its tenant's lock and queues what was sealed, in commit order.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use tokio::sync::{OwnedSemaphorePermit, oneshot};
use vaxel_core::UnixMs;

use crate::engine::Shared;
use crate::limits::{QUEUE_SLOT_BYTES, QUEUE_SLOTS};
use crate::queue::Queued;
use crate::sealing::{Sealed, Sealing, ephemeral};
use crate::tenant::Head;
use crate::{Committed, StorageError, Transaction};

/// What a commit came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Commit {
    /// Its number in the tenant; of a read-only transaction, the commit as of which it read.
    pub seq: u64,
    /// Its time; never before that of an earlier commit.
    pub at: UnixMs,
}

/// What a caller is told.
pub(crate) type Answer = Result<Commit, StorageError>;

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
            self.health.admit(tx.may_use_reserve())?;
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
