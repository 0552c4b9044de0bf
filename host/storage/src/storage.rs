//! The handle that the rest of the host holds.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::mpsc::sync_channel;
use std::thread::JoinHandle;

use parking_lot::Mutex;
use tokio::sync::{Semaphore, mpsc};
use vaxel_core::{Alarms, Clock, TenantId, UnixMs, UserId};
use vaxel_crypto::Keyring;

use crate::backup::BackupReport;
use crate::disk::{Disk, RealDisk};
use crate::engine::Shared;
use crate::follow::Followers;
use crate::health::Health;
use crate::keeper::Bell;
use crate::limits::{QUEUE_SLOTS, SEGMENT_BYTES_MAX, SEGMENT_BYTES_MIN};
use crate::log::LogWriter;
use crate::queue::Queue;
use crate::recovery::{Opened, Opening};
use crate::tenant::{Tenant, Tenants};
use crate::verify::ChainReport;
use crate::{
    AudienceId, Commit, Committed, Cursor, Event, ReplayError, Space, Stamp, StorageError,
    Transaction, apply, keeper,
};

/// How many groups may be durable and not applied: one in the making, one waiting.
const GROUPS_WAITING_MAX: usize = 2;

/// Where and how to store.
#[derive(Clone)]
pub struct StorageConfig {
    /// The data directory.
    pub dir: PathBuf,
    /// The most bytes that the rows of one tenant may take.
    pub quota_bytes_per_tenant: u64,
    /// The length of a log segment.
    pub segment_bytes: u64,
    /// How often the state is made durable, which bounds how much log a start replays.
    pub checkpoint_interval_ms: u64,
    /// Below this much free space writes are refused, before the state can meet a full disk.
    pub free_bytes_min: u64,
    /// How much log gathers before a snapshot is taken and the log below it goes.
    pub snapshot_log_bytes: u64,
    /// How much memory the state may use to keep pages.
    pub cache_bytes: u64,
    /// The disk under log, checkpoints and snapshots; a test's own, or [`RealDisk`].
    pub disk: Arc<dyn Disk>,
}

impl StorageConfig {
    /// The defaults for a data directory.
    pub fn new(dir: impl Into<PathBuf>) -> Self {
        Self {
            dir: dir.into(),
            quota_bytes_per_tenant: 64 << 30,
            segment_bytes: 64 << 20,
            checkpoint_interval_ms: 30_000,
            free_bytes_min: 512 << 20,
            snapshot_log_bytes: 1 << 30,
            cache_bytes: 256 << 20,
            disk: Arc::new(RealDisk),
        }
    }
}

/// Storage, open. Clones share it; the last one to go closes it.
#[derive(Clone)]
pub struct Storage {
    shared: Arc<Shared>,
    threads: Arc<Threads>,
}

impl Storage {
    /// Opens the data directory, makes it if it is not there, and repairs what a crash left.
    ///
    /// Blocks while the log is replayed; what the state lacks is rebuilt from snapshot and log.
    pub fn open(
        config: StorageConfig,
        keyring: Arc<Keyring>,
        clock: Arc<dyn Clock>,
        alarms: Arc<dyn Alarms>,
    ) -> Result<Self, StorageError> {
        let disk = Arc::clone(&config.disk);
        let health = Health::new(
            config.dir.clone(),
            Arc::clone(&disk),
            alarms,
            config.free_bytes_min,
        );
        let opened = Opening {
            dir: &config.dir,
            segment_bytes: config
                .segment_bytes
                .clamp(SEGMENT_BYTES_MIN, SEGMENT_BYTES_MAX),
            cache_bytes: config.cache_bytes,
            disk,
            health: &health,
        }
        .open()?;
        let Opened {
            lock,
            epoch,
            state,
            applied,
            files,
            writer,
        } = opened;
        let shared = Arc::new(Shared {
            dir: config.dir,
            disk: config.disk,
            epoch,
            quota_bytes: config.quota_bytes_per_tenant,
            checkpoint_interval_ms: config.checkpoint_interval_ms,
            snapshot_log_bytes: config.snapshot_log_bytes,
            keyring,
            clock,
            health: Arc::new(health),
            state,
            tenants: Tenants::default(),
            queue: Queue::default(),
            slots: Arc::new(Semaphore::new(QUEUE_SLOTS)),
            followers: Followers::default(),
            applied: Mutex::new(applied),
            files: Mutex::new(files),
            retention: Mutex::default(),
        });
        for (id, head) in shared.state.heads()? {
            let floor = shared.stored_tail_floor(id)?;
            shared.tenants.insert(Tenant::new(id, head, floor));
        }
        // What was just replayed need not be replayed again, and a checkpoint has to be there from the start.
        shared.checkpoint(false)?;
        let threads = Threads::start(&shared, writer, lock)?;
        Ok(Self {
            shared,
            threads: Arc::new(threads),
        })
    }

    pub(crate) fn shared(&self) -> &Shared {
        &self.shared
    }

    /// Begins a unit of work in a tenant, as of what is applied now.
    pub fn begin(&self, tenant: TenantId) -> Transaction {
        Transaction::new(Arc::clone(&self.shared), self.shared.tenants.get(tenant))
    }

    /// Makes the transaction's writes durable and visible, all of them or none.
    pub async fn commit(&self, tx: Transaction) -> Result<Commit, StorageError> {
        self.shared.commit(tx).await
    }

    /// Follows all commits from now on. A follower that does not keep up holds everybody up.
    pub fn subscribe(&self, tail: mpsc::Sender<Arc<Committed>>) {
        self.shared.followers.add(tail);
    }

    /// The blinded id of an audience.
    pub fn audience_id(
        &self,
        tenant: TenantId,
        space: Space,
        audience: &str,
    ) -> Result<AudienceId, StorageError> {
        self.shared.audience_id(tenant, space, audience)
    }

    /// Whose events a user sees, and since when.
    pub fn audiences_of(
        &self,
        tenant: TenantId,
        user: UserId,
    ) -> Result<Vec<(AudienceId, Stamp)>, StorageError> {
        self.shared.audiences_of(tenant, user)
    }

    /// Where a reader stands that has seen everything applied so far.
    pub fn cursor(&self, tenant: TenantId) -> Cursor {
        self.shared.cursor(tenant)
    }

    /// Whether `seq` is the newest commit that this tenant has given a number to. What was read before this answered
    /// yes is exactly the state of that commit: of a later one nothing can have been applied.
    pub fn is_newest(&self, tenant: TenantId, seq: u64) -> bool {
        self.is_read_only() || self.shared.tenants.get(tenant).committer.lock().seq == seq
    }

    /// The events that a user may see, behind the cursor and up to `until`, oldest first, at most `max`.
    pub fn replay(
        &self,
        tenant: TenantId,
        user: UserId,
        after: Cursor,
        until: Stamp,
        max: usize,
    ) -> Result<Vec<Event>, ReplayError> {
        self.shared.replay(tenant, user, after, until, max)
    }

    /// The time of the newest commit of all; 0 where there is none.
    pub fn newest_commit_at(&self) -> UnixMs {
        let tenants = self.shared.tenants.all();
        let times = tenants.iter().map(|tenant| tenant.committer.lock().at);
        times.max().unwrap_or_default()
    }

    /// The bytes that a tenant's rows take.
    pub fn usage(&self, tenant: TenantId) -> u64 {
        self.shared.tenants.get(tenant).committer.lock().usage
    }

    /// Whether nothing is acknowledged any more after a failed write.
    pub fn is_read_only(&self) -> bool {
        self.shared.health.is_read_only()
    }

    /// Whether writes are refused because too little space is left.
    pub fn is_disk_low(&self) -> bool {
        self.shared.health.is_disk_low()
    }

    /// Makes the applied state durable now, so that the next start has nothing to replay. Blocks.
    pub fn checkpoint(&self) -> Result<(), StorageError> {
        self.shared.checkpoint(false)
    }

    /// Takes a snapshot now and removes the log that nothing needs any more. Blocks.
    pub fn snapshot(&self) -> Result<(), StorageError> {
        self.shared.checkpoint(false)?;
        self.shared.snapshot()
    }

    /// Deletes events past their time; answers how many. Runs by itself every ten minutes. Blocks.
    pub fn sweep(&self) -> Result<usize, StorageError> {
        self.shared.sweep()
    }

    /// Copies everything up to now into an empty directory, keys included, master key excluded. Blocks, while
    /// commits go on.
    pub fn backup(
        &self,
        dir: &Path,
        progress: &dyn Fn(u64, u64),
    ) -> Result<BackupReport, StorageError> {
        self.shared.backup(dir, progress)
    }

    /// Walks the whole log and checks that every tenant's commits are dense and chained. Blocks.
    pub fn verify_chain(&self) -> Result<ChainReport, StorageError> {
        self.shared.verify_chain()
    }

    /// Takes no more commits, finishes those that wait, and makes everything durable.
    pub async fn close(&self) {
        let (shared, threads) = (Arc::clone(&self.shared), Arc::clone(&self.threads));
        // Closing goes on even when nobody waits for it.
        let _ = tokio::task::spawn_blocking(move || threads.stop(&shared)).await;
    }

    /// The data directory.
    pub fn dir(&self) -> &Path {
        &self.shared.dir
    }
}

impl std::fmt::Debug for Storage {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Storage")
            .field("dir", &self.shared.dir)
            .finish_non_exhaustive()
    }
}

/// The threads of an open storage and what they need until they end.
struct Threads {
    running: Mutex<Option<Running>>,
    bell: Arc<Bell>,
    shared: Arc<Shared>,
}

struct Running {
    /// In the order in which they end.
    threads: Vec<JoinHandle<()>>,
    /// Gone only when nothing writes any more.
    _lock: std::fs::File,
}

impl Threads {
    fn start(
        shared: &Arc<Shared>,
        writer: crate::log::WriterStart,
        lock: std::fs::File,
    ) -> Result<Self, StorageError> {
        let (groups, durable) = sync_channel(GROUPS_WAITING_MAX);
        let bell = Arc::new(Bell::default());
        let (writer, preparer) = LogWriter::start(writer, Arc::clone(&shared.health))?;
        let write = {
            let shared = Arc::clone(shared);
            spawn("vaxel-log", move || writer.run(&shared.queue, &groups))?
        };
        let apply = {
            let shared = Arc::clone(shared);
            spawn("vaxel-apply", move || apply::run(&shared, &durable))?
        };
        let keep = {
            let (shared, bell) = (Arc::clone(shared), Arc::clone(&bell));
            spawn("vaxel-keeper", move || keeper::run(&shared, &bell))?
        };
        let threads = vec![keep, write, apply, preparer];
        let running = Mutex::new(Some(Running {
            threads,
            _lock: lock,
        }));
        Ok(Self {
            running,
            bell,
            shared: Arc::clone(shared),
        })
    }

    fn stop(&self, shared: &Shared) {
        let Some(running) = self.running.lock().take() else {
            return;
        };
        shared.health.close();
        shared.queue.close();
        shared.slots.close();
        self.bell.ring();
        for thread in running.threads {
            // A thread that panicked has already said so.
            let _ = thread.join();
        }
        if !shared.health.is_read_only() {
            // What this fails to save, the next start replays.
            let _ = shared.checkpoint(true);
        }
    }
}

impl Drop for Threads {
    fn drop(&mut self) {
        let shared = Arc::clone(&self.shared);
        self.stop(&shared);
    }
}

fn spawn(name: &str, run: impl FnOnce() + Send + 'static) -> Result<JoinHandle<()>, StorageError> {
    std::thread::Builder::new()
        .name(name.to_owned())
        .spawn(run)
        .map_err(StorageError::io("starting a thread"))
}
