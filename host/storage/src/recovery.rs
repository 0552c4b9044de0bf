//! Opening a data directory: lock, formats, state, replay of the log, and a rebuild whenever the state is in doubt.

use std::collections::HashMap;
use std::fs::{self, File};
use std::path::Path;
use std::sync::Arc;

use vaxel_core::{AlarmLevel, TenantId};

use crate::apply::Slice;
use crate::checkpoint::{Checkpoint, boot_id};
use crate::disk::{Disk, LogFile, make_dir, sync_dir};
use crate::engine::Files;
use crate::health::{Health, chain};
use crate::layout::{DAMAGED_STATE_DIR, LOG_DIR, SNAPSHOT_DIR, STATE_DIR, check_format, lock};
use crate::limits::GROUP_BYTES_MAX;
use crate::log::{HEADER_LEN, Position, Replay, Segments, WriterStart, create_segment, replay};
use crate::record::{RecordView, chain_of};
use crate::state::State;
use crate::tenant::Head;
use crate::{StorageError, snapshot};

/// A data directory, ready to serve.
pub(crate) struct Opened {
    /// Keeps other processes out as long as it lives.
    pub(crate) lock: File,
    pub(crate) epoch: u64,
    pub(crate) state: State,
    pub(crate) applied: Position,
    pub(crate) files: Files,
    pub(crate) writer: WriterStart,
}

/// What opening needs to know.
pub(crate) struct Opening<'a> {
    pub(crate) dir: &'a Path,
    pub(crate) segment_bytes: u64,
    pub(crate) cache_bytes: u64,
    pub(crate) disk: Arc<dyn Disk>,
    pub(crate) health: &'a Health,
}

impl Opening<'_> {
    pub(crate) fn open(&self) -> Result<Opened, StorageError> {
        let dir = self.dir;
        make_dir(dir).map_err(StorageError::io("making the data directory"))?;
        let lock = lock(dir)?;
        let epoch = check_format(&*self.disk, dir)?;
        let log_dir = dir.join(LOG_DIR);
        for part in [LOG_DIR, SNAPSHOT_DIR] {
            make_dir(&dir.join(part)).map_err(StorageError::io("making a directory"))?;
        }
        let mut segments = Segments::list(&*self.disk, &log_dir)?;
        let snapshot = snapshot::newest(&*self.disk, dir)?;
        let checkpoint = Checkpoint::read(dir)?;
        if segments.by_number.is_empty() {
            if checkpoint.is_some() || snapshot.is_some() {
                return Err(StorageError::corrupt("the log is gone"));
            }
            create_segment(&*self.disk, &log_dir, 1, epoch, self.segment_bytes)?;
            segments = Segments::list(&*self.disk, &log_dir)?;
        }
        let (state, replayed) = self.state(&segments, checkpoint.as_ref(), snapshot.as_ref())?;
        let writer = self.writer(epoch, &segments, replayed)?;
        let files = Files {
            checkpoint: checkpoint.map_or(Position::default(), |c| c.position),
            snapshot: snapshot.map(|(position, _)| position),
        };
        Ok(Opened {
            lock,
            epoch,
            state,
            applied: replayed.end,
            files,
            writer,
        })
    }

    /// The state with the whole log in it.
    fn state(
        &self,
        segments: &Segments,
        checkpoint: Option<&Checkpoint>,
        snapshot: Option<&(Position, std::path::PathBuf)>,
    ) -> Result<(State, Replay), StorageError> {
        let state_dir = self.dir.join(STATE_DIR);
        let is_new = !state_dir.exists() && checkpoint.is_none() && snapshot.is_none();
        let doubt = match checkpoint {
            Some(checkpoint) => match self.trusted(&state_dir, segments, checkpoint) {
                Ok(opened) => return Ok(opened),
                Err(Doubt::State(error)) => chain(&error),
                Err(Doubt::Log(error)) => return Err(self.alarmed(error)),
            },
            None => "there is no checkpoint".to_owned(),
        };
        let from = match snapshot {
            Some((position, _)) => *position,
            None if segments.first() == Some(1) => Position::start_of(1),
            None => {
                return Err(StorageError::corrupt(
                    "the log's beginning and snapshot are gone",
                ));
            }
        };
        Checkpoint::remove(&*self.disk, self.dir)?;
        self.move_aside(&state_dir)?;
        let state = State::open(&state_dir, self.cache_bytes)?;
        if let Some((_, path)) = snapshot {
            snapshot::load(path, &state)?;
        }
        let replayed = self
            .replay_into(&state, segments, from)
            .map_err(|e| self.alarmed(e))?;
        let is_empty = replayed.end == Position::start_of(1);
        if !(is_new && is_empty) {
            let detail = format!("the state was rebuilt from snapshot and log: {doubt}");
            self.health
                .raise(AlarmLevel::Warning, "storage.rebuilt", &detail);
        }
        let damaged = self.dir.join(DAMAGED_STATE_DIR);
        if damaged.exists() {
            fs::remove_dir_all(&damaged).map_err(StorageError::io("removing the old state"))?;
        }
        Ok((state, replayed))
    }

    /// Opens the state as it is and brings it up to date, if there is nothing against it.
    fn trusted(
        &self,
        state_dir: &Path,
        segments: &Segments,
        checkpoint: &Checkpoint,
    ) -> Result<(State, Replay), Doubt> {
        if !state_dir.exists() {
            return Err(Doubt::State(StorageError::corrupt("the state is gone")));
        }
        let state = State::open(state_dir, self.cache_bytes).map_err(Doubt::State)?;
        let position = state.position().map_err(Doubt::State)?;
        let is_new = checkpoint.position == Position::start_of(1);
        if position.is_none_or(|position| position < checkpoint.position) && !is_new {
            return Err(Doubt::State(StorageError::corrupt(
                "the state lies behind its checkpoint",
            )));
        }
        let replayed = self
            .replay_into(&state, segments, checkpoint.position)
            .map_err(Doubt::Log)?;
        let has_rebooted = !checkpoint.is_clean && checkpoint.boot_id != boot_id();
        if has_rebooted {
            crate::usage::check(&state).map_err(Doubt::State)?;
        }
        Ok((state, replayed))
    }

    /// Replays the log from a position to its end.
    fn replay_into(
        &self,
        state: &State,
        segments: &Segments,
        from: Position,
    ) -> Result<Replay, StorageError> {
        let mut heads: HashMap<TenantId, Head> = HashMap::new();
        let mut slice = Slice::new();
        let replayed = replay(&self.dir.join(LOG_DIR), segments, from, |body, end| {
            let record = RecordView::parse(body)?;
            if let Some(before) = heads.get(&record.tenant)
                && (record.seq != before.seq + 1 || record.before != before.chain)
            {
                return Err(StorageError::corrupt(format!(
                    "commit {} does not follow commit {} in the log",
                    record.seq, before.seq
                )));
            }
            let RecordView {
                tenant,
                seq,
                at,
                usage,
                ..
            } = record;
            let head = Head {
                seq,
                at,
                usage,
                chain: chain_of(body),
            };
            heads.insert(tenant, head);
            slice.add(&record, head, end)?;
            if slice.is_full() {
                std::mem::replace(&mut slice, Slice::new()).apply(state)?;
            }
            Ok(())
        })?;
        slice.apply(state)?;
        Ok(replayed)
    }

    /// Makes the end of the log fit for writing.
    fn writer(
        &self,
        epoch: u64,
        segments: &Segments,
        replayed: Replay,
    ) -> Result<WriterStart, StorageError> {
        let Replay { end, torn_len } = replayed;
        let dir = self.dir.join(LOG_DIR);
        let doing = || StorageError::io("opening the log for writing");
        let open = |number: u64| -> Result<Option<OpenSegment>, StorageError> {
            let Some(path) = segments.by_number.get(&number) else {
                return Ok(None);
            };
            let len = fs::metadata(path).map_err(doing())?.len();
            Ok(Some((self.disk.open(path).map_err(doing())?, len)))
        };
        let (mut file, len) =
            open(end.segment)?.ok_or_else(|| StorageError::corrupt("the log's last segment"))?;
        if torn_len > 0 {
            zero(&mut *file, end.offset, torn_len).map_err(doing())?;
            let detail = format!("{torn_len} bytes of a write that never finished were cut");
            self.health
                .raise(AlarmLevel::Info, "storage.log_tail_cut", &detail);
        }
        // What was read may be in memory only, written by a process that died before its sync: write it
        // once more, so that the sync below is about it.
        let path = segments
            .by_number
            .get(&end.segment)
            .cloned()
            .unwrap_or_default();
        let bytes = fs::read(&path).map_err(doing())?;
        let end_offset = usize::try_from(end.offset).unwrap_or(usize::MAX);
        let start = end_offset.saturating_sub(GROUP_BYTES_MAX);
        if let Some(last) = bytes.get(start..end_offset) {
            file.write_at(last, start as u64).map_err(doing())?;
        }
        // A copied segment ends with its last record; the rest must be written before it is used.
        let len = if len < self.segment_bytes {
            zero(&mut *file, len, self.segment_bytes - len).map_err(doing())?;
            self.segment_bytes
        } else {
            len
        };
        file.sync().map_err(doing())?;
        let mut spare = open(end.segment + 1)?;
        if let Some((file, spare_len)) = &mut spare
            && *spare_len < self.segment_bytes
        {
            zero(
                &mut **file,
                (*spare_len).max(HEADER_LEN),
                self.segment_bytes - *spare_len,
            )
            .and_then(|()| file.sync())
            .map_err(doing())?;
            *spare_len = self.segment_bytes;
        }
        Ok(WriterStart {
            dir,
            disk: Arc::clone(&self.disk),
            epoch,
            segment_bytes: self.segment_bytes,
            file,
            len,
            position: end,
            spare,
        })
    }

    fn move_aside(&self, state_dir: &Path) -> Result<(), StorageError> {
        let moving = || StorageError::io("moving the damaged state aside");
        let damaged = self.dir.join(DAMAGED_STATE_DIR);
        if !state_dir.exists() {
            return Ok(());
        }
        if damaged.exists() {
            fs::remove_dir_all(&damaged).map_err(moving())?;
        }
        fs::rename(state_dir, &damaged)
            .and_then(|()| sync_dir(self.dir))
            .map_err(moving())
    }

    fn alarmed(&self, error: StorageError) -> StorageError {
        self.health
            .raise(AlarmLevel::Critical, "storage.log_damaged", &chain(&error));
        error
    }
}

/// A segment open for writing, and its length.
type OpenSegment = (Box<dyn LogFile>, u64);

/// What does not hold: the state can be rebuilt, the log cannot.
enum Doubt {
    State(StorageError),
    Log(StorageError),
}

fn zero(file: &mut dyn LogFile, mut offset: u64, len: u64) -> std::io::Result<()> {
    let zeros = vec![0; 1024 * 1024];
    let end = offset + len;
    while offset < end {
        let part = usize::try_from(end - offset)
            .unwrap_or(zeros.len())
            .min(zeros.len());
        file.write_at(zeros.get(..part).unwrap_or_default(), offset)?;
        offset += part as u64;
    }
    Ok(())
}
