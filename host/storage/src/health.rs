//! Whether writes are taken: a failed disk ends them for good, a full one until there is space again.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Instant;

use vaxel_core::{AlarmLevel, Alarms};

use crate::StorageError;
use crate::disk::Disk;
use crate::limits::RESERVE_FLOOR_PART;

/// How old the last look at the free space may be, in milliseconds. A look costs a microsecond; in this time
/// no disk we know takes as much as the space that is kept free.
const FREE_LOOK_MS: u64 = 100;

/// Shared by committers, the log writer and the housekeeping.
pub(crate) struct Health {
    dir: PathBuf,
    disk: Arc<dyn Disk>,
    alarms: Arc<dyn Alarms>,
    free_bytes_min: u64,
    began: Instant,
    /// Milliseconds since `began`, plus one; 0 before the first look.
    looked_at_ms: AtomicU64,
    is_low: AtomicBool,
    is_read_only: AtomicBool,
    is_closed: AtomicBool,
}

/// How much space is left.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Room {
    /// For everything.
    Enough,
    /// Only what is kept free, and of that more than its last part.
    Reserve,
    /// What is left belongs to the state.
    Nothing,
}

impl Health {
    pub(crate) fn new(
        dir: PathBuf,
        disk: Arc<dyn Disk>,
        alarms: Arc<dyn Alarms>,
        free_bytes_min: u64,
    ) -> Self {
        Self {
            dir,
            disk,
            alarms,
            free_bytes_min,
            began: Instant::now(),
            looked_at_ms: AtomicU64::new(0),
            is_low: AtomicBool::new(false),
            is_read_only: AtomicBool::new(false),
            is_closed: AtomicBool::new(false),
        }
    }

    /// Whether a commit may be taken now; `with_reserve` is for the few that go on when the disk counts as full.
    pub(crate) fn admit(&self, with_reserve: bool) -> Result<(), StorageError> {
        if self.is_closed() {
            return Err(StorageError::Closed);
        }
        if self.is_read_only() {
            return Err(StorageError::ReadOnly);
        }
        match self.room() {
            Room::Enough => Ok(()),
            Room::Reserve if with_reserve => Ok(()),
            Room::Reserve | Room::Nothing => Err(StorageError::DiskFull),
        }
    }

    /// Whether too little space is left for ordinary writes.
    pub(crate) fn is_disk_low(&self) -> bool {
        self.room() != Room::Enough
    }

    /// The bytes that may be written before too little is left.
    pub(crate) fn spare_bytes(&self) -> u64 {
        let free = self.disk.free_bytes(&self.dir).unwrap_or(0);
        free.saturating_sub(self.free_bytes_min)
    }

    /// How much space is left. While it is little, every call looks again, so that writes come back at once.
    fn room(&self) -> Room {
        let now = u64::try_from(self.began.elapsed().as_millis()).unwrap_or(u64::MAX) + 1;
        let looked_at = self.looked_at_ms.load(Ordering::Relaxed);
        let was_low = self.is_low.load(Ordering::Relaxed);
        if looked_at != 0 && !was_low && now < looked_at + FREE_LOOK_MS {
            return Room::Enough;
        }
        self.looked_at_ms.store(now, Ordering::Relaxed);
        // A disk that does not even answer has no space that we may count on.
        let free = self.disk.free_bytes(&self.dir).unwrap_or(0);
        let is_low = free < self.free_bytes_min;
        if self.is_low.swap(is_low, Ordering::Relaxed) != is_low {
            let detail = format!("{free} bytes free, {} wanted", self.free_bytes_min);
            if is_low {
                self.alarms
                    .raise(AlarmLevel::Critical, "storage.disk_full", &detail);
            } else {
                self.alarms
                    .raise(AlarmLevel::Info, "storage.disk_back", &detail);
            }
        }
        if !is_low {
            Room::Enough
        } else if free >= self.free_bytes_min / RESERVE_FLOOR_PART {
            Room::Reserve
        } else {
            Room::Nothing
        }
    }

    pub(crate) fn is_read_only(&self) -> bool {
        self.is_read_only.load(Ordering::Acquire)
    }

    /// Ends writing for this run: what the disk holds is unknown until it is read again.
    pub(crate) fn turn_read_only(&self, doing: &str, error: &StorageError) {
        if !self.is_read_only.swap(true, Ordering::AcqRel) {
            let detail = format!(
                "{doing} failed, nothing is acknowledged any more: {}",
                chain(error)
            );
            self.alarms
                .raise(AlarmLevel::Critical, "storage.read_only", &detail);
        }
    }

    pub(crate) fn is_closed(&self) -> bool {
        self.is_closed.load(Ordering::Acquire)
    }

    pub(crate) fn close(&self) {
        self.is_closed.store(true, Ordering::Release);
    }

    pub(crate) fn raise(&self, level: AlarmLevel, code: &'static str, detail: &str) {
        self.alarms.raise(level, code, detail);
    }
}

/// An error with its causes, for an alarm.
pub(crate) fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text.push_str(": ");
        text.push_str(&error.to_string());
        cause = error.source();
    }
    text
}
