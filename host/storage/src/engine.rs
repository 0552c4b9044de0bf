//! What committers, readers, the log writer and the housekeeping share.

use std::path::PathBuf;
use std::sync::Arc;

use parking_lot::Mutex;
use tokio::sync::Semaphore;
use vaxel_core::{Clock, TenantId};
use vaxel_crypto::Keyring;

use crate::disk::Disk;
use crate::follow::Followers;
use crate::health::Health;
use crate::log::Position;
use crate::queue::Queue;
use crate::state::State;
use crate::tenant::Tenants;
use crate::{AudienceId, Space, StorageError};

/// The data directory, opened.
pub(crate) struct Shared {
    pub(crate) dir: PathBuf,
    pub(crate) disk: Arc<dyn Disk>,
    pub(crate) epoch: u64,
    pub(crate) quota_bytes: u64,
    pub(crate) checkpoint_interval_ms: u64,
    pub(crate) snapshot_log_bytes: u64,
    pub(crate) keyring: Arc<Keyring>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) health: Arc<Health>,
    pub(crate) state: State,
    pub(crate) tenants: Tenants,
    pub(crate) queue: Queue,
    /// One permit a slot of the queue.
    pub(crate) slots: Arc<Semaphore>,
    pub(crate) followers: Followers,
    /// Up to where the log is applied.
    pub(crate) applied: Mutex<Position>,
    /// What is known about the files beside the log's end.
    pub(crate) files: Mutex<Files>,
    /// Held while old files are read, copied or removed.
    pub(crate) retention: Mutex<()>,
}

/// What is known about the files beside the log's end.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Files {
    /// The last checkpoint.
    pub(crate) checkpoint: Position,
    /// Where the log goes on behind the newest verified snapshot.
    pub(crate) snapshot: Option<Position>,
}

impl Shared {
    /// The blinded form of an audience's name.
    pub(crate) fn audience_id(
        &self,
        tenant: TenantId,
        space: Space,
        name: &str,
    ) -> Result<AudienceId, StorageError> {
        let data = [space.bytes().as_slice(), name.as_bytes()].concat();
        let [a, b, c, d, e, f, g, h, i, j, k, l, m, n, o, p, ..] =
            self.keyring.blind(tenant, "audience", &data)?;
        Ok(AudienceId([a, b, c, d, e, f, g, h, i, j, k, l, m, n, o, p]))
    }

    pub(crate) fn log_dir(&self) -> PathBuf {
        self.dir.join(crate::layout::LOG_DIR)
    }
}
