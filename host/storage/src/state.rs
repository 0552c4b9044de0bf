//! The one door to sled: the applied state, rebuilt from the log whenever in doubt.

use std::fs::{self, File};
use std::ops::Bound;
use std::panic::AssertUnwindSafe;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use vaxel_core::TenantId;

use crate::StorageError;
use crate::codec::Reader;
use crate::key::{Space, TENANT_LEN, row_key};
use crate::log::Position;
use crate::tenant::Head;
use crate::window::KeyRange;

/// The key of a tenant's head within its own notes.
const HEAD_KEY: &[u8] = b"head";
/// The key of the applied position within the system's notes.
const POSITION_KEY: &[u8] = b"position";
const POSITION_FORMAT: u8 = 1;

/// How often a state that its former owner is just letting go of is asked again.
const LOCK_TRIES: u32 = 100;
const LOCK_PAUSE: Duration = Duration::from_millis(20);

pub(crate) type Row = Result<(sled::IVec, sled::IVec), sled::Error>;

/// The state: one tree of sealed rows.
pub(crate) struct State {
    db: sled::Db,
    dir: PathBuf,
    /// The engine has answered with an error: the next start had better rebuild.
    is_suspect: AtomicBool,
}

impl State {
    /// Opens the state. sled panics on some damage: that is an error like any other here.
    pub(crate) fn open(dir: &Path, cache_bytes: u64) -> Result<Self, StorageError> {
        let config = sled::Config::new()
            .path(dir)
            .cache_capacity(cache_bytes)
            .flush_every_ms(None)
            .mode(sled::Mode::HighThroughput);
        let mut tries = 0;
        loop {
            let opened = std::panic::catch_unwind(AssertUnwindSafe(|| config.open()))
                .map_err(|_| StorageError::corrupt("the state does not open"))?;
            match opened {
                Ok(db) => {
                    return Ok(Self {
                        db,
                        dir: dir.to_owned(),
                        is_suspect: AtomicBool::new(false),
                    });
                }
                // Nobody else can hold it, as we hold the data directory: a former self is closing.
                Err(sled::Error::Io(error)) if is_lock(&error) && tries < LOCK_TRIES => {
                    tries += 1;
                    std::thread::sleep(LOCK_PAUSE);
                }
                Err(error) => return Err(error.into()),
            }
        }
    }

    fn suspect(&self, error: sled::Error) -> StorageError {
        self.distrust();
        error.into()
    }

    /// Something is wrong with what it holds.
    pub(crate) fn distrust(&self) {
        self.is_suspect.store(true, Ordering::Release);
    }

    /// Whether the engine has ever answered with an error, or with less than it was given.
    pub(crate) fn is_suspect(&self) -> bool {
        self.is_suspect.load(Ordering::Acquire)
    }

    pub(crate) fn get(&self, key: &[u8]) -> Result<Option<sled::IVec>, StorageError> {
        self.db.get(key).map_err(|error| self.suspect(error))
    }

    /// The rows of a range, in order.
    pub(crate) fn range(&self, (low, high): &KeyRange) -> sled::Iter {
        let bounds = (
            low.as_ref().map(Vec::as_slice),
            high.as_ref().map(Vec::as_slice),
        );
        self.db.range::<&[u8], _>(bounds)
    }

    /// The first row behind `key`.
    pub(crate) fn next_row(
        &self,
        key: Bound<Vec<u8>>,
    ) -> Result<Option<(sled::IVec, sled::IVec)>, StorageError> {
        let first = self.range(&(key, Bound::Unbounded)).next();
        first.transpose().map_err(|error| self.suspect(error))
    }

    pub(crate) fn all_rows(&self) -> sled::Iter {
        self.db.iter()
    }

    pub(crate) fn apply(&self, batch: sled::Batch) -> Result<(), StorageError> {
        self.db
            .apply_batch(batch)
            .map_err(|error| self.suspect(error))
    }

    pub(crate) fn insert(&self, key: &[u8], value: sled::IVec) -> Result<(), StorageError> {
        self.db
            .insert(key, value)
            .map(|_| ())
            .map_err(|error| self.suspect(error))
    }

    pub(crate) fn remove(&self, key: &[u8]) -> Result<(), StorageError> {
        self.db
            .remove(key)
            .map(|_| ())
            .map_err(|error| self.suspect(error))
    }

    /// Makes everything applied so far durable. sled's own flush is not: it never calls fsync.
    pub(crate) fn sync(&self) -> Result<(), StorageError> {
        self.db.flush().map_err(|error| self.suspect(error))?;
        sync_tree(&self.dir).map_err(StorageError::io("syncing the state"))
    }

    /// Up to where the log is applied.
    pub(crate) fn position(&self) -> Result<Option<Position>, StorageError> {
        let Some(bytes) = self.get(&position_key())? else {
            return Ok(None);
        };
        let mut reader = Reader(&bytes);
        match reader.u8() {
            Some(POSITION_FORMAT) => {}
            found => {
                let found = found.unwrap_or_default().into();
                return Err(StorageError::UnknownFormat {
                    what: "state",
                    found,
                });
            }
        }
        let mut position = || {
            Some(Position {
                segment: reader.u64()?,
                offset: reader.u64()?,
            })
        };
        position()
            .map(Some)
            .ok_or_else(|| StorageError::corrupt("the state's position"))
    }

    /// The heads of all tenants, found by skipping from tenant to tenant.
    pub(crate) fn heads(&self) -> Result<Vec<(TenantId, Head)>, StorageError> {
        let mut heads = Vec::new();
        let mut from = Bound::Unbounded;
        while let Some((key, _)) = self.next_row(from)? {
            let Some(id) = key.first_chunk::<TENANT_LEN>() else {
                return Err(StorageError::corrupt("a key without a tenant"));
            };
            let tenant = TenantId::from_bytes(*id);
            let head = head_key(tenant);
            if let Some(bytes) = self.get(&head)? {
                heads.push((tenant, Head::decode(&bytes)?));
            }
            // Behind the tenant's notes, which lie behind everything else it has.
            from = match crate::key::prefix_end(id) {
                Some(end) => Bound::Included(end),
                None => break,
            };
        }
        Ok(heads)
    }
}

/// Where a tenant's head lies.
pub(crate) fn head_key(tenant: TenantId) -> Vec<u8> {
    row_key(tenant, Space::META, &[HEAD_KEY])
}

/// Where the applied position lies.
pub(crate) fn position_key() -> Vec<u8> {
    row_key(TenantId::SYSTEM, Space::META, &[POSITION_KEY])
}

pub(crate) fn encode_position(position: Position) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(17);
    bytes.push(POSITION_FORMAT);
    bytes.extend_from_slice(&position.segment.to_be_bytes());
    bytes.extend_from_slice(&position.offset.to_be_bytes());
    bytes
}

fn is_lock(error: &std::io::Error) -> bool {
    error.kind() == std::io::ErrorKind::WouldBlock
        || error.to_string().contains("could not acquire lock")
}

/// Syncs every file under `dir`, and the directories themselves.
pub(crate) fn sync_tree(dir: &Path) -> std::io::Result<()> {
    for entry in fs::read_dir(dir)? {
        let entry = entry?;
        let synced = match entry.file_type() {
            Ok(kind) if kind.is_dir() => sync_tree(&entry.path()),
            Ok(_) => File::open(entry.path()).and_then(|file| file.sync_all()),
            Err(error) => Err(error),
        };
        match synced {
            // sled removes its old files while we look.
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
            other => other?,
        }
    }
    File::open(dir)?.sync_all()
}
