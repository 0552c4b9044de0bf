//! The hubs of all tenants, and the one follower that feeds them in commit order.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use parking_lot::Mutex;
use tokio::sync::mpsc;
use vaxel_core::{Clock, TenantId, UserId};
use vaxel_ops::Metrics;
use vaxel_storage::{Committed, Storage};

use super::hub::{Delivered, Hub};
use crate::socket::outbox::{Awake, Outbox};

/// Commits that may wait for the fan-out before storage waits too.
const TAIL_MAX: usize = 1_024;

/// Commits handed out in one go. Well below a socket's queue, so that no reader that keeps up is ever cut.
const BATCH_MAX: usize = 256;

/// Of a socket's queue, the part that one batch may fill.
const BATCH_PART: usize = 4;

/// How long the fan-out waits for woken sockets to have run. Only a machine that stands still takes so long.
const AWAKE_WAIT: Duration = Duration::from_millis(250);

/// All tenants' fan-out.
pub(crate) struct Fanout {
    storage: Storage,
    clock: Arc<dyn Clock>,
    metrics: Metrics,
    // One small hub per tenant that had a socket or a commit since the start.
    hubs: Mutex<HashMap<TenantId, Arc<Hub>>>,
    awake: Arc<Awake>,
    batch_bytes_max: usize,
}

impl Fanout {
    pub(crate) fn new(
        storage: Storage,
        clock: Arc<dyn Clock>,
        metrics: Metrics,
        queue_bytes_max: usize,
    ) -> Self {
        Self {
            storage,
            clock,
            metrics,
            hubs: Mutex::default(),
            awake: Arc::default(),
            batch_bytes_max: queue_bytes_max / BATCH_PART,
        }
    }

    /// The hub of this tenant.
    pub(crate) fn hub(&self, tenant: TenantId) -> Arc<Hub> {
        let mut hubs = self.hubs.lock();
        Arc::clone(
            hubs.entry(tenant)
                .or_insert_with(|| Arc::new(Hub::new(self.storage.cursor(tenant).epoch))),
        )
    }

    /// Who of the woken sockets has not run yet.
    pub(crate) fn awake(&self) -> &Arc<Awake> {
        &self.awake
    }

    /// Subscribes. From here on [`Self::follow`] must run.
    pub(crate) fn subscribe(&self) -> mpsc::Receiver<Arc<Committed>> {
        let (sender, tail) = mpsc::channel(TAIL_MAX);
        self.storage.subscribe(sender);
        tail
    }

    /// Hands out commits until storage closes.
    ///
    /// After each batch it waits until every socket that it woke has run once. So what comes in meanwhile is handed
    /// out together and written together, and when the machine is at its limit the wait reaches storage and the
    /// senders instead of filling the queues of readers that would have kept up.
    pub(crate) async fn follow(self: Arc<Self>, mut tail: mpsc::Receiver<Arc<Committed>>) {
        let mut batch = Vec::with_capacity(BATCH_MAX);
        let mut wake = Vec::new();
        while tail.recv_many(&mut batch, BATCH_MAX).await > 0 {
            let mut bytes = 0;
            for committed in batch.drain(..) {
                bytes += self.hand_out(&committed, &mut wake);
                if bytes > self.batch_bytes_max {
                    self.let_run(&mut wake).await;
                    bytes = 0;
                }
            }
            self.let_run(&mut wake).await;
        }
    }

    /// Wakes sockets and waits until each has run once.
    async fn let_run(&self, wake: &mut Vec<Arc<Outbox>>) {
        self.wake(wake);
        if tokio::time::timeout(AWAKE_WAIT, self.awake.all_ran())
            .await
            .is_err()
        {
            tracing::warn!("woken sockets did not run in time; the machine is overloaded");
        }
    }

    /// Hands one commit to its tenant's sockets and answers how many bytes one of them may have got.
    fn hand_out(&self, committed: &Committed, wake: &mut Vec<Arc<Outbox>>) -> usize {
        let hub = self.hub(committed.tenant);
        if hub.pass(committed.seq) {
            return 0;
        }
        let (frames, ephemeral) = hub.frames(committed);
        let delivered = hub.deliver(committed, &frames, &ephemeral, wake);
        self.metrics.delivered(delivered.frames);
        self.metrics.ephemeral_dropped(delivered.dropped);
        self.metrics
            .commit_lag(Duration::from_millis(self.clock.now().since(committed.at)));
        frames.iter().chain(&ephemeral).map(bytes::Bytes::len).sum()
    }

    pub(crate) fn wake(&self, wake: &mut Vec<Arc<Outbox>>) {
        for outbox in wake.drain(..) {
            self.awake.wake(&outbox);
        }
    }

    /// Tells each tenant whose presence changed.
    pub(crate) fn announce_presence(&self) {
        let hubs: Vec<_> = self.hubs.lock().values().cloned().collect();
        let now = std::time::Instant::now();
        let mut wake = Vec::new();
        for hub in hubs {
            let delivered = hub.announce_presence(now, &mut wake);
            self.metrics.delivered(delivered.frames);
            self.metrics.ephemeral_dropped(delivered.dropped);
        }
        self.wake(&mut wake);
    }

    /// Tells everybody of a tenant who is here something that is not stored.
    pub(crate) fn tell(&self, tenant: TenantId, frame: &Bytes) {
        let hub = self.hubs.lock().get(&tenant).cloned();
        let Some(hub) = hub else {
            return;
        };
        let mut wake = Vec::new();
        let delivered = hub.tell(frame, &mut wake);
        self.metrics.delivered(delivered.frames);
        self.metrics.ephemeral_dropped(delivered.dropped);
        self.wake(&mut wake);
    }

    /// Tells the administrators of a tenant who are here something that is not stored.
    pub(crate) fn tell_administrators(&self, tenant: TenantId, frame: &Bytes) {
        let mut wake = Vec::new();
        let mut delivered = Delivered::default();
        let all = self.sockets(tenant, None).into_iter();
        for outbox in all.filter(|it| it.claims().is_some_and(|claims| claims.admin)) {
            delivered.count(outbox.push_ephemeral(frame), &outbox, &mut wake);
        }
        self.metrics.delivered(delivered.frames);
        self.metrics.ephemeral_dropped(delivered.dropped);
        self.wake(&mut wake);
    }

    /// The sockets of one tenant, or of one user in it.
    pub(crate) fn sockets(&self, tenant: TenantId, user: Option<UserId>) -> Vec<Arc<Outbox>> {
        let hub = self.hubs.lock().get(&tenant).cloned();
        hub.map(|hub| hub.sockets(user)).unwrap_or_default()
    }
}
