//! The one log writer: takes all that waits, writes it at once, syncs once, hands it on to be applied.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread::JoinHandle;
use std::time::Duration;

use vaxel_core::AlarmLevel;

use crate::StorageError;
use crate::disk::{Disk, LogFile};
use crate::health::{Health, chain};
use crate::limits::GROUP_BYTES_MAX;
use crate::log::segment::create_segment;
use crate::log::{HEADER_LEN, Position};
use crate::queue::{Group, Queue, Queued};
use crate::record::seal_frame;

/// Where the writer goes on.
pub(crate) struct WriterStart {
    pub(crate) dir: PathBuf,
    pub(crate) disk: Arc<dyn Disk>,
    pub(crate) epoch: u64,
    pub(crate) segment_bytes: u64,
    /// The open segment, its length, and where its next record goes.
    pub(crate) file: Box<dyn LogFile>,
    pub(crate) len: u64,
    pub(crate) position: Position,
    /// The next segment, if it is there already.
    pub(crate) spare: Option<(Box<dyn LogFile>, u64)>,
}

/// A segment that lies ready, and its length.
type Prepared = (Box<dyn LogFile>, u64);

/// How long to wait before a segment that could not be made is tried again.
const RETRY_PAUSE: Duration = Duration::from_millis(250);

/// Owns the open segment.
pub(crate) struct LogWriter {
    file: Box<dyn LogFile>,
    len: u64,
    position: Position,
    prepared: Receiver<Prepared>,
    wanted: SyncSender<u64>,
    health: Arc<Health>,
    buffer: Vec<u8>,
}

impl LogWriter {
    /// The writer, and the thread that prepares its segments. That one ends when the writer is dropped.
    pub(crate) fn start(
        start: WriterStart,
        health: Arc<Health>,
    ) -> Result<(Self, JoinHandle<()>), StorageError> {
        let WriterStart {
            dir,
            disk,
            epoch,
            segment_bytes,
            file,
            len,
            position,
            spare,
        } = start;
        let (wanted, wishes) = sync_channel::<u64>(1);
        let (ready, prepared) = sync_channel::<Prepared>(1);
        let next = position.segment + 1;
        let minding = Arc::clone(&health);
        let has_spare = spare.is_some();
        if let Some(spare) = spare {
            // The channel is empty and has room for one.
            let _ = ready.try_send(spare);
        }
        let thread = std::thread::Builder::new()
            .name("vaxel-log-prepare".to_owned())
            .spawn(move || {
                for number in wishes {
                    let Some(file) = insist(&minding, || {
                        create_segment(&*disk, &dir, number, epoch, segment_bytes)
                    }) else {
                        return;
                    };
                    if ready.send((file, segment_bytes)).is_err() {
                        return;
                    }
                }
            })
            .map_err(StorageError::io("starting a thread"))?;
        if !has_spare {
            let _ = wanted.try_send(next);
        }
        let writer = Self {
            file,
            len,
            position,
            prepared,
            wanted,
            health,
            buffer: Vec::new(),
        };
        Ok((writer, thread))
    }

    /// Serves the queue until it is closed and empty.
    pub(crate) fn run(mut self, queue: &Queue, apply: &SyncSender<Group>) {
        while let Some(items) = queue.take(GROUP_BYTES_MAX) {
            if self.health.is_read_only() {
                Queued::refuse_all(items);
                continue;
            }
            match self.write(items) {
                Ok(group) => {
                    if let Err(refused) = apply.send(group) {
                        Queued::refuse_all(refused.0.items);
                    }
                }
                Err((items, error)) => {
                    self.health.turn_read_only("writing the log", &error);
                    Queued::refuse_all(items);
                }
            }
        }
    }

    /// Makes the records durable; answers where each ends.
    fn write(&mut self, mut items: Vec<Queued>) -> Result<Group, (Vec<Queued>, StorageError)> {
        let mut ends = Vec::with_capacity(items.len());
        self.buffer.clear();
        let mut group = self.position.offset;
        for index in 0..items.len() {
            let Some(Some(frame)) = items.get_mut(index).map(|item| item.frame.as_mut()) else {
                ends.push(None);
                continue;
            };
            let frame_len = frame.len() as u64;
            if group + self.buffer.len() as u64 + frame_len > self.len {
                if let Err(error) = self.flush(group).and_then(|()| self.rotate()) {
                    return Err((items, error));
                }
                group = self.position.offset;
            }
            seal_frame(frame, u32::try_from(group).unwrap_or(u32::MAX));
            self.buffer.extend_from_slice(frame);
            let offset = group + self.buffer.len() as u64;
            ends.push(Some(Position {
                segment: self.position.segment,
                offset,
            }));
        }
        match self.flush(group) {
            Ok(()) => Ok(Group { items, ends }),
            Err(error) => Err((items, error)),
        }
    }

    fn flush(&mut self, group: u64) -> Result<(), StorageError> {
        if self.buffer.is_empty() {
            return Ok(());
        }
        self.file
            .write_at(&self.buffer, group)
            .and_then(|()| self.file.sync())
            .map_err(StorageError::io("writing the log"))?;
        self.position.offset = group + self.buffer.len() as u64;
        self.buffer.clear();
        Ok(())
    }

    /// Goes on in the segment that lies ready, and asks for the one behind it.
    fn rotate(&mut self) -> Result<(), StorageError> {
        let (file, len) = self.prepared.recv().map_err(|_| StorageError::Closed)?;
        self.file = file;
        self.len = len;
        self.position = Position {
            segment: self.position.segment + 1,
            offset: HEADER_LEN,
        };
        let _ = self.wanted.try_send(self.position.segment + 1);
        Ok(())
    }
}

/// Makes a segment, again and again until it succeeds: commits wait, nothing is lost. `None` at close.
fn insist(
    health: &Health,
    make: impl Fn() -> Result<Box<dyn LogFile>, StorageError>,
) -> Option<Box<dyn LogFile>> {
    let mut has_said_so = false;
    loop {
        match make() {
            Ok(file) => return Some(file),
            Err(_) if health.is_closed() => return None,
            Err(error) => {
                if !has_said_so {
                    health.raise(AlarmLevel::Critical, "storage.no_segment", &chain(&error));
                    has_said_so = true;
                }
                std::thread::sleep(RETRY_PAUSE);
            }
        }
    }
}
