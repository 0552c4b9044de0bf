//! Snapshots: all rows of the state in one file, copied while serving; with the log from there on they give
//! the state of any later moment.
//!
//! The copy is fuzzy: rows change while it runs. As records are final puts and deletes, replaying the log from
//! where the copy began makes it exact.

use std::fs::{self, File};
use std::io::{self, BufReader, BufWriter, Read, Write};
use std::path::{Path, PathBuf};

use sha2::{Digest as _, Sha256};
use vaxel_core::AlarmLevel;

use crate::StorageError;
use crate::disk::{Disk, Streaming, remove_unfinished};
use crate::engine::Shared;
use crate::layout::{LOG_DIR, SNAPSHOT_DIR};
use crate::limits::{KEY_LEN_MAX, VALUE_LEN_MAX};
use crate::log::{Position, Segments};
use crate::state::State;
use crate::usage::{Found, Quiet};

const MAGIC: &[u8; 8] = b"VAXELSNP";
const FORMAT: u8 = 1;
const SUFFIX: &str = "snapshot";
const TAG_ROW: u8 = 1;
const TAG_END: u8 = 2;
/// How many rows reach a new state at once.
const LOAD_ROWS: usize = 1_000;
/// The longest row that a snapshot may claim; guards against lengths that damage made up.
const ROW_LEN_MAX: usize = 2 * (KEY_LEN_MAX + VALUE_LEN_MAX);

fn path_of(dir: &Path, position: Position) -> PathBuf {
    let name = format!(
        "{:016x}-{:016x}.{SUFFIX}",
        position.segment, position.offset
    );
    dir.join(SNAPSHOT_DIR).join(name)
}

/// The newest snapshot and where the log goes on behind it. Unfinished ones are removed.
pub(crate) fn newest(
    disk: &dyn Disk,
    dir: &Path,
) -> Result<Option<(Position, PathBuf)>, StorageError> {
    remove_unfinished(disk, &dir.join(SNAPSHOT_DIR))
        .map_err(StorageError::io("removing an unfinished snapshot"))?;
    newest_live(dir)
}

/// The newest snapshot of a directory in which one may just be written.
pub(crate) fn newest_live(dir: &Path) -> Result<Option<(Position, PathBuf)>, StorageError> {
    let listing = || StorageError::io("listing the snapshots");
    let mut newest = None;
    for entry in fs::read_dir(dir.join(SNAPSHOT_DIR)).map_err(listing())? {
        let path = entry.map_err(listing())?.path();
        newest = newest.max(position_of(&path).map(|position| (position, path)));
    }
    Ok(newest)
}

fn position_of(path: &Path) -> Option<Position> {
    if path.extension().is_none_or(|extension| extension != SUFFIX) {
        return None;
    }
    let (segment, offset) = path.file_stem()?.to_str()?.split_once('-')?;
    Some(Position {
        segment: u64::from_str_radix(segment, 16).ok()?,
        offset: u64::from_str_radix(offset, 16).ok()?,
    })
}

/// Writes and hashes.
struct Hashing<W> {
    inner: W,
    hash: Sha256,
}

impl<W: Write> Hashing<W> {
    fn put(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.hash.update(bytes);
        self.inner.write_all(bytes)
    }
}

/// Copies the state into a new snapshot and reads it back; answers where the log goes on.
fn take(shared: &Shared) -> Result<Position, StorageError> {
    let writing = || StorageError::io("writing a snapshot");
    // It must not bring about the full disk that writes are refused for.
    let rows_len: u64 = shared
        .tenants
        .all()
        .iter()
        .map(|tenant| tenant.committer.lock().usage)
        .sum();
    if rows_len > shared.health.spare_bytes() {
        let detail = format!("{rows_len} bytes are wanted; until then no old log is removed");
        let code = "storage.snapshot_postponed";
        shared.health.raise(AlarmLevel::Warning, code, &detail);
        return Err(StorageError::DiskFull);
    }
    let position = *shared.applied.lock();
    let path = path_of(&shared.dir, position);
    let temporary = path.with_extension("tmp");
    let copied = copy(shared, &temporary).and_then(|()| read(&temporary, |_, _| Ok(())));
    if let Err(error) = copied {
        // Nothing needs it, and whether it goes now or at the next start is all the same.
        let _ = shared.disk.remove(&temporary);
        return Err(error);
    }
    shared
        .disk
        .rename(&temporary, &path)
        .and_then(|()| shared.disk.sync_dir(&shared.dir.join(SNAPSHOT_DIR)))
        .map_err(writing())?;
    Ok(position)
}

/// Writes all rows into a file, durably, and looks whether they are all there.
fn copy(shared: &Shared, path: &Path) -> Result<(), StorageError> {
    let writing = || StorageError::io("writing a snapshot");
    let file = shared.disk.create(path).map_err(writing())?;
    let mut out = Hashing {
        inner: BufWriter::with_capacity(1 << 20, Streaming::new(file)),
        hash: Sha256::new(),
    };
    out.put(MAGIC)
        .and_then(|()| out.put(&[FORMAT]))
        .map_err(writing())?;
    let quiet = Quiet::now(shared);
    let mut found = Found::default();
    let mut rows = 0_u64;
    for row in shared.state.all_rows() {
        let (key, value) = row?;
        found.add(&key, &value)?;
        write_row(&mut out, &key, &value).map_err(writing())?;
        rows += 1;
        // A half-done copy is worth nothing, so closing need not wait for it.
        if shared.health.is_closed() {
            return Err(StorageError::Closed);
        }
    }
    quiet.check(shared, found)?;
    out.put(&[TAG_END])
        .and_then(|()| out.put(&rows.to_be_bytes()))
        .map_err(writing())?;
    let sum: [u8; 32] = out.hash.finalize().into();
    let mut file = out.inner;
    file.write_all(&sum).map_err(writing())?;
    file.into_inner()
        .map_err(|error| error.into_error())
        .and_then(|mut file| file.sync())
        .map_err(writing())
}

fn write_row<W: Write>(out: &mut Hashing<W>, key: &[u8], value: &[u8]) -> io::Result<()> {
    let len = |bytes: &[u8]| crate::codec::len_u32(bytes.len()).to_be_bytes();
    out.put(&[TAG_ROW])?;
    out.put(&len(key))?;
    out.put(&len(value))?;
    out.put(key)?;
    out.put(value)
}

/// Reads a snapshot row by row; its checksum is checked at the end, so nothing may be trusted before.
pub(crate) fn read(
    path: &Path,
    mut visit: impl FnMut(&[u8], &[u8]) -> Result<(), StorageError>,
) -> Result<(), StorageError> {
    let reading = || StorageError::io("reading a snapshot");
    let damaged = || StorageError::corrupt("a snapshot");
    let file = File::open(path).map_err(reading())?;
    let mut input = BufReader::with_capacity(1 << 20, file);
    let mut hash = Sha256::new();
    let mut take = |len: usize, hash: &mut Sha256| -> Result<Vec<u8>, StorageError> {
        if len > ROW_LEN_MAX {
            return Err(damaged());
        }
        let mut bytes = vec![0; len];
        input.read_exact(&mut bytes).map_err(reading())?;
        hash.update(&bytes);
        Ok(bytes)
    };
    if take(MAGIC.len(), &mut hash)? != MAGIC {
        return Err(damaged());
    }
    match take(1, &mut hash)?.first() {
        Some(&FORMAT) => {}
        found => {
            let found = found.copied().unwrap_or_default().into();
            return Err(StorageError::UnknownFormat {
                what: "snapshot",
                found,
            });
        }
    }
    let number = |bytes: Vec<u8>| {
        let fixed: Option<[u8; 4]> = bytes.try_into().ok();
        fixed
            .map(u32::from_be_bytes)
            .and_then(|n| usize::try_from(n).ok())
    };
    let mut rows = 0_u64;
    loop {
        match take(1, &mut hash)?.first() {
            Some(&TAG_ROW) => {
                let key_len = number(take(4, &mut hash)?).ok_or_else(damaged)?;
                let value_len = number(take(4, &mut hash)?).ok_or_else(damaged)?;
                let key = take(key_len, &mut hash)?;
                let value = take(value_len, &mut hash)?;
                visit(&key, &value)?;
                rows += 1;
            }
            Some(&TAG_END) => break,
            _ => return Err(damaged()),
        }
    }
    if take(8, &mut hash)? != rows.to_be_bytes() {
        return Err(damaged());
    }
    let sum: [u8; 32] = hash.clone().finalize().into();
    if take(32, &mut hash)? != sum {
        Err(damaged())
    } else {
        Ok(())
    }
}

/// Fills an empty state from a snapshot.
pub(crate) fn load(path: &Path, state: &State) -> Result<(), StorageError> {
    let mut batch = sled::Batch::default();
    let mut rows = 0;
    read(path, |key, value| {
        batch.insert(key, value);
        rows += 1;
        if rows % LOAD_ROWS == 0 {
            state.apply(std::mem::take(&mut batch))?;
        }
        Ok(())
    })?;
    state.apply(batch)
}

impl Shared {
    /// Takes a snapshot when enough log has gathered, and removes the log and the snapshots that nothing
    /// needs any more.
    pub(crate) fn snapshot_if_due(&self) -> Result<(), StorageError> {
        let known = *self.files.lock();
        let from = known.snapshot.unwrap_or(Position::start_of(1));
        if self.log_bytes(from, known.checkpoint)? >= self.snapshot_log_bytes {
            self.snapshot()?;
        }
        Ok(())
    }

    /// Takes a snapshot now.
    pub(crate) fn snapshot(&self) -> Result<(), StorageError> {
        let position = take(self)?;
        let _retention = self.retention.lock();
        let mut files = self.files.lock();
        files.snapshot = Some(position);
        let needed = files.checkpoint.min(position);
        drop(files);
        self.remove_unneeded(needed, position)
    }

    /// How many bytes of log lie between two positions, by the lengths of the segments.
    fn log_bytes(&self, from: Position, to: Position) -> Result<u64, StorageError> {
        let segments = Segments::list_live(&self.log_dir())?;
        let mut bytes = 0;
        for path in segments
            .by_number
            .range(from.segment..to.segment.max(from.segment))
        {
            bytes += fs::metadata(path.1)
                .map_err(StorageError::io("measuring the log"))?
                .len();
        }
        Ok((bytes + to.offset).saturating_sub(from.offset))
    }

    /// Removes segments that end below `needed`, and all snapshots but the one at `newest`.
    fn remove_unneeded(&self, needed: Position, newest: Position) -> Result<(), StorageError> {
        let removing = || StorageError::io("removing old log and snapshots");
        let log_dir = self.dir.join(LOG_DIR);
        let segments = Segments::list_live(&log_dir)?;
        // From the oldest on, so that what remains after a crash has no hole.
        for (_, path) in segments.by_number.range(..needed.segment) {
            self.disk.remove(path).map_err(removing())?;
            self.disk.sync_dir(&log_dir).map_err(removing())?;
        }
        let snapshot_dir = self.dir.join(SNAPSHOT_DIR);
        for entry in fs::read_dir(&snapshot_dir).map_err(removing())? {
            let path = entry.map_err(removing())?.path();
            if position_of(&path).is_some_and(|position| position < newest) {
                self.disk.remove(&path).map_err(removing())?;
            }
        }
        self.disk.sync_dir(&snapshot_dir).map_err(removing())
    }
}
