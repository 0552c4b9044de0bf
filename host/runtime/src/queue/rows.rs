//! How work lies in storage: lanes of what happened, jobs and when they are due, tries, counts and dead letters.

use std::borrow::Cow;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use vaxel_core::{PluginId, UnixMs, UserId};
use vaxel_crypto::ErasureKey;
use vaxel_storage::{Order, STAMP_LEN, Space, Stamp, StorageError, Transaction};

use super::every::Every;

/// What happened, in the order in which it did: plugin, lane, stamp.
const LANES: Space = Space::host(0x33);

/// Jobs by plugin and id, and the moments at which they are due.
const JOBS: Space = Space::host(0x34);

/// What is noted about work: tries of the first of a lane, how much waits, dead letters.
const NOTES: Space = Space::host(0x35);

/// Stands in front of a job, and of a moment at which one is due.
const JOB: u8 = b'j';
const DUE: u8 = b'd';

/// Stands in front of tries, counts and dead letters.
const TRIES: u8 = b't';
const COUNT: u8 = b'c';
const DEAD: u8 = b'x';

/// The first byte of each row.
const FORMAT: u8 = 1;

/// Dead letters that are kept for one plugin; the oldest makes room.
const DEAD_MAX: usize = 1_000;

/// Rows of each kind that one transaction deletes.
const ERASED_MAX: usize = 100;

/// In what order things reach a plugin: each lane is one, and jobs have none.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub(crate) enum Lane {
    Events,
    After,
}

impl Lane {
    const fn byte(self) -> u8 {
        match self {
            Self::Events => b'e',
            Self::After => b'a',
        }
    }
}

/// What happened and a plugin is to be told of.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) enum Happened {
    /// An event of the tail. Its contents stay there, where they can be erased.
    Event {
        /// The commit that published it; that of the row itself, if not said.
        seq: Option<u64>,
        ordinal: u16,
        audience: [u8; 16],
        depth: u8,
    },
    /// A method of another plugin was committed.
    After {
        id: String,
        plugin: PluginId,
        method: String,
        user: Option<UserId>,
        at: UnixMs,
        depth: u8,
        params: Vec<u8>,
        answer: Vec<u8>,
    },
}

/// Something to be done at a time.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Job {
    pub(crate) name: String,
    pub(crate) key: String,
    /// When it is to be tried next.
    pub(crate) due: UnixMs,
    /// How often it failed since it last got on.
    pub(crate) failed: u32,
    pub(crate) cursor: Option<Vec<u8>>,
    pub(crate) payload: Vec<u8>,
    pub(crate) depth: u8,
    /// How it repeats.
    pub(crate) every: Option<Every>,
}

/// What names a job among those of its plugin.
pub(crate) type JobId = [u8; 16];

/// Tries of the first in a lane.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub(crate) struct Tries {
    stamp: [u8; STAMP_LEN],
    pub(crate) failed: u32,
    pub(crate) next: UnixMs,
}

/// Work that failed for good, with all that is needed to try it once more.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Dead {
    pub(crate) kind: Cow<'static, str>,
    pub(crate) name: String,
    pub(crate) attempts: u32,
    pub(crate) error: String,
    pub(crate) at: UnixMs,
    pub(crate) was: Was,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) enum Was {
    Happened(Lane, Happened),
    Job(Job),
}

/// The first of a lane.
#[derive(Clone, Debug)]
pub(crate) struct First {
    pub(crate) lane: Lane,
    pub(crate) stamp: Stamp,
    pub(crate) happened: Happened,
    pub(crate) tries: Option<Tries>,
}

pub(crate) fn job_id(name: &str, key: &str) -> JobId {
    id_of(&[b"once", name.as_bytes(), key.as_bytes()])
}

pub(crate) fn repeated_id(name: &str) -> JobId {
    id_of(&[b"every", name.as_bytes()])
}

fn id_of(parts: &[&[u8]]) -> JobId {
    let mut hash = Sha256::new();
    for part in parts {
        hash.update(part.len().to_be_bytes());
        hash.update(part);
    }
    let [a, b, c, d, e, f, g, h, i, j, k, l, m, n, o, p, ..]: [u8; 32] = hash.finalize().into();
    [a, b, c, d, e, f, g, h, i, j, k, l, m, n, o, p]
}

// Ids differ in length and none may be the beginning of another's rows.
fn of(plugin: &PluginId, parts: &[&[u8]]) -> Vec<u8> {
    let id = plugin.as_str().as_bytes();
    let mut key = vec![u8::try_from(id.len()).unwrap_or(u8::MAX)];
    key.extend_from_slice(id);
    for part in parts {
        key.extend_from_slice(part);
    }
    key
}

fn noted(kind: u8, plugin: &PluginId, parts: &[&[u8]]) -> Vec<u8> {
    [&[kind], of(plugin, parts).as_slice()].concat()
}

fn written(row: &impl Serialize) -> Result<Vec<u8>, StorageError> {
    postcard::to_extend(row, vec![FORMAT]).map_err(|_| damaged())
}

fn read<T: DeserializeOwned>(row: &[u8]) -> Result<T, StorageError> {
    match row.split_first() {
        Some((&FORMAT, row)) => postcard::from_bytes(row).map_err(|_| damaged()),
        Some((found, _)) => Err(StorageError::UnknownFormat {
            what: "queued work",
            found: u64::from(*found),
        }),
        None => Err(damaged()),
    }
}

fn damaged() -> StorageError {
    StorageError::Corrupt {
        what: "queued work".to_owned(),
    }
}

/// How much waits for a plugin, roughly: nobody's commit depends on it.
pub(crate) fn waiting(tx: &Transaction, plugin: &PluginId) -> Result<u64, StorageError> {
    let count = tx.peek(NOTES, &noted(COUNT, plugin, &[]))?;
    let count = count.and_then(|count| count.try_into().ok());
    let count = count.map_or(0, i64::from_be_bytes);
    Ok(u64::try_from(count).unwrap_or(0))
}

fn count(tx: &mut Transaction, plugin: &PluginId, by: i64) -> Result<(), StorageError> {
    tx.increment(NOTES, &noted(COUNT, plugin, &[]), by)
}

/// Puts something behind all that a plugin is to be told of.
pub(crate) fn push(
    tx: &mut Transaction,
    plugin: &PluginId,
    lane: Lane,
    happened: &Happened,
) -> Result<(), StorageError> {
    let (prefix, row) = (of(plugin, &[&[lane.byte()]]), written(happened)?);
    tx.append(LANES, &prefix, row, None, ErasureKey::TENANT)?;
    count(tx, plugin, 1)
}

/// What a plugin is to be told of next.
pub(crate) fn first(
    tx: &mut Transaction,
    plugin: &PluginId,
    lane: Lane,
) -> Result<Option<First>, StorageError> {
    let prefix = of(plugin, &[&[lane.byte()]]);
    let page = tx.scan(LANES, &prefix, None, 1, Order::Ascending)?;
    let Some((key, row)) = page.entries.first() else {
        return Ok(None);
    };
    let stamp = *key.last_chunk::<STAMP_LEN>().ok_or_else(damaged)?;
    let tries = tx.get(NOTES, &noted(TRIES, plugin, &[&[lane.byte()]]))?;
    let tries: Option<Tries> = tries.map(|row| read(&row)).transpose()?;
    Ok(Some(First {
        lane,
        stamp: Stamp::from_bytes(stamp),
        happened: read(row)?,
        tries: tries.filter(|tries| tries.stamp == stamp),
    }))
}

/// Takes the first of a lane away. A conflict where it is gone already.
pub(crate) fn pop(
    tx: &mut Transaction,
    plugin: &PluginId,
    lane: Lane,
    stamp: Stamp,
) -> Result<(), StorageError> {
    let key = of(plugin, &[&[lane.byte()], &stamp.to_bytes()]);
    if tx.get(LANES, &key)?.is_none() {
        return Err(StorageError::Conflict);
    }
    tx.delete(LANES, &key)?;
    let tries = noted(TRIES, plugin, &[&[lane.byte()]]);
    if tx.get(NOTES, &tries)?.is_some() {
        tx.delete(NOTES, &tries)?;
    }
    count(tx, plugin, -1)
}

/// Notes that the first of a lane failed again.
pub(crate) fn note_tries(
    tx: &mut Transaction,
    plugin: &PluginId,
    lane: Lane,
    stamp: Stamp,
    failed: u32,
    next: UnixMs,
) -> Result<(), StorageError> {
    let row = written(&Tries {
        stamp: stamp.to_bytes(),
        failed,
        next,
    })?;
    let key = noted(TRIES, plugin, &[&[lane.byte()]]);
    tx.put(NOTES, &key, row, ErasureKey::TENANT)
}

/// The job of this id.
pub(crate) fn job(
    tx: &mut Transaction,
    plugin: &PluginId,
    id: &JobId,
) -> Result<Option<Job>, StorageError> {
    let row = tx.get(JOBS, &noted(JOB, plugin, &[id]))?;
    row.map(|row| read(&row)).transpose()
}

/// The job of this id as others left it, whatever this transaction wrote.
pub(crate) fn stored_job(
    tx: &Transaction,
    plugin: &PluginId,
    id: &JobId,
) -> Result<Option<Job>, StorageError> {
    let row = tx.peek(JOBS, &noted(JOB, plugin, &[id]))?;
    row.map(|row| read(&row)).transpose()
}

/// Plans a job, in the place of the one that has its id.
pub(crate) fn put_job(
    tx: &mut Transaction,
    plugin: &PluginId,
    id: &JobId,
    new: &Job,
) -> Result<(), StorageError> {
    match job(tx, plugin, id)? {
        Some(old) => tx.delete(JOBS, &due_key(plugin, old.due, id))?,
        None => count(tx, plugin, 1)?,
    }
    let key = noted(JOB, plugin, &[id]);
    tx.put(JOBS, &key, written(new)?, ErasureKey::TENANT)?;
    let due = due_key(plugin, new.due, id);
    tx.put(JOBS, &due, Vec::new(), ErasureKey::TENANT)
}

/// Takes a job away; nothing happens where there is none.
pub(crate) fn remove_job(
    tx: &mut Transaction,
    plugin: &PluginId,
    id: &JobId,
) -> Result<(), StorageError> {
    let Some(old) = job(tx, plugin, id)? else {
        return Ok(());
    };
    tx.delete(JOBS, &due_key(plugin, old.due, id))?;
    tx.delete(JOBS, &noted(JOB, plugin, &[id]))?;
    count(tx, plugin, -1)
}

fn due_key(plugin: &PluginId, due: UnixMs, id: &JobId) -> Vec<u8> {
    noted(DUE, plugin, &[&due.0.to_be_bytes(), id])
}

/// The jobs of a plugin that are due first, with their times.
pub(crate) fn first_due(
    tx: &mut Transaction,
    plugin: &PluginId,
    limit: usize,
) -> Result<Vec<(UnixMs, JobId)>, StorageError> {
    let page = tx.scan(
        JOBS,
        &noted(DUE, plugin, &[]),
        None,
        limit,
        Order::Ascending,
    )?;
    let parsed = page.entries.iter().map(|(key, _)| {
        let (rest, id) = key.split_last_chunk::<16>().ok_or_else(damaged)?;
        let due = rest.last_chunk::<8>().ok_or_else(damaged)?;
        Ok((UnixMs(u64::from_be_bytes(*due)), *id))
    });
    parsed.collect()
}

/// Keeps what failed for good.
pub(crate) fn bury(
    tx: &mut Transaction,
    plugin: &PluginId,
    dead: &Dead,
) -> Result<(), StorageError> {
    let prefix = noted(DEAD, plugin, &[]);
    let page = tx.scan(NOTES, &prefix, None, DEAD_MAX, Order::Ascending)?;
    if let (DEAD_MAX.., Some((oldest, _))) = (page.entries.len(), page.entries.first()) {
        tx.delete(NOTES, oldest)?;
    }
    let id = tx.new_id().to_be_bytes();
    let key = noted(DEAD, plugin, &[&id]);
    tx.put(NOTES, &key, written(dead)?, ErasureKey::TENANT)
}

/// What failed for good, oldest first.
pub(crate) fn dead(
    tx: &mut Transaction,
    plugin: &PluginId,
) -> Result<Vec<(u128, Dead)>, StorageError> {
    let prefix = noted(DEAD, plugin, &[]);
    let mut found = Vec::new();
    let mut after: Option<Vec<u8>> = None;
    loop {
        let page = tx.scan(NOTES, &prefix, after.as_deref(), DEAD_MAX, Order::Ascending)?;
        for (key, row) in &page.entries {
            let id = key.last_chunk::<16>().ok_or_else(damaged)?;
            found.push((u128::from_be_bytes(*id), read(row)?));
        }
        match page.next {
            Some(next) => after = Some(next),
            None => return Ok(found),
        }
    }
}

/// Takes a dead letter away and answers what it was.
pub(crate) fn exhume(
    tx: &mut Transaction,
    plugin: &PluginId,
    id: u128,
) -> Result<Option<Dead>, StorageError> {
    let key = noted(DEAD, plugin, &[&id.to_be_bytes()]);
    let Some(row) = tx.get(NOTES, &key)? else {
        return Ok(None);
    };
    tx.delete(NOTES, &key)?;
    read(&row).map(Some)
}

/// Deletes some of what waits for a plugin, and of what it left; whether there may be more.
pub(crate) fn erase_some(tx: &mut Transaction, plugin: &PluginId) -> Result<bool, StorageError> {
    let everything = [
        (LANES, of(plugin, &[])),
        (JOBS, noted(JOB, plugin, &[])),
        (JOBS, noted(DUE, plugin, &[])),
        (NOTES, noted(TRIES, plugin, &[])),
        (NOTES, noted(DEAD, plugin, &[])),
        (NOTES, noted(COUNT, plugin, &[])),
    ];
    let mut is_more = false;
    for (space, prefix) in everything {
        is_more |= tx.clear(space, &prefix, ERASED_MAX)?;
    }
    Ok(is_more)
}
