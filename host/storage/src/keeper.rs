//! The housekeeping thread: checkpoints, snapshots, the sweep of old events, a look at the free space.

use std::sync::Arc;
use std::time::{Duration, Instant};

use parking_lot::{Condvar, Mutex};
use vaxel_core::AlarmLevel;

use crate::StorageError;
use crate::engine::Shared;
use crate::health::chain;
use crate::log::Position;

/// How often the free space is looked at while nobody commits.
const ROUND: Duration = Duration::from_secs(1);
/// How often events past their time are looked for.
const SWEEP_EVERY: Duration = Duration::from_secs(600);

/// Wakes the housekeeping when storage closes.
#[derive(Default)]
pub(crate) struct Bell {
    is_rung: Mutex<bool>,
    rung: Condvar,
}

impl Bell {
    pub(crate) fn ring(&self) {
        *self.is_rung.lock() = true;
        self.rung.notify_all();
    }

    /// Waits; true when the bell was rung.
    fn wait(&self, for_at_most: Duration) -> bool {
        let mut is_rung = self.is_rung.lock();
        if !*is_rung {
            self.rung.wait_for(&mut is_rung, for_at_most);
        }
        *is_rung
    }
}

/// Runs until the bell is rung.
pub(crate) fn run(shared: &Arc<Shared>, bell: &Bell) {
    let interval = Duration::from_millis(shared.checkpoint_interval_ms);
    let mut checkpointed = Instant::now();
    let mut swept = Instant::now();
    let mut last = Position::default();
    while !bell.wait(ROUND.min(interval)) {
        // Raises or withdraws the alarm also when nobody commits.
        shared.health.is_disk_low();
        if checkpointed.elapsed() >= interval {
            checkpointed = Instant::now();
            let position = *shared.applied.lock();
            if position != last {
                last = position;
                let done = shared
                    .checkpoint(false)
                    .and_then(|()| shared.snapshot_if_due());
                report(shared, "storage.checkpoint_failed", done);
            }
        }
        if swept.elapsed() >= SWEEP_EVERY {
            swept = Instant::now();
            report(shared, "storage.sweep_failed", shared.sweep().map(|_| ()));
        }
    }
}

fn report(shared: &Shared, code: &'static str, done: Result<(), StorageError>) {
    match done {
        Ok(()) | Err(StorageError::Closed | StorageError::DiskFull | StorageError::ReadOnly) => {}
        Err(error) => shared
            .health
            .raise(AlarmLevel::Warning, code, &chain(&error)),
    }
}
