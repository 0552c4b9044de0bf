//! Checkpoints: from where the log must be replayed after a crash.

use std::fs;
use std::io;
use std::path::Path;

use crate::StorageError;
use crate::codec::Reader;
use crate::disk::{Disk, replace_file};
use crate::engine::Shared;
use crate::layout::CHECKPOINT_FILE;
use crate::log::Position;

const MAGIC: &[u8; 8] = b"VAXELCKP";
const FORMAT: u8 = 1;

/// What the checkpoint file says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Checkpoint {
    /// The state holds everything below, durably.
    pub(crate) position: Position,
    /// Whether storage was closed in order right after.
    pub(crate) is_clean: bool,
    /// Which boot of the machine wrote it: a state that lived through a reboot unclosed is looked through.
    pub(crate) boot_id: [u8; 36],
}

impl Checkpoint {
    fn encode(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(70);
        bytes.extend_from_slice(MAGIC);
        bytes.push(FORMAT);
        bytes.push(u8::from(self.is_clean));
        bytes.extend_from_slice(&self.position.segment.to_be_bytes());
        bytes.extend_from_slice(&self.position.offset.to_be_bytes());
        bytes.extend_from_slice(&self.boot_id);
        let sum = crc32fast::hash(&bytes);
        bytes.extend_from_slice(&sum.to_be_bytes());
        bytes
    }

    /// `None` where it does not read: then the state is rebuilt.
    fn decode(bytes: &[u8]) -> Result<Option<Self>, StorageError> {
        let Some((summed, sum)) = bytes.split_last_chunk::<4>() else {
            return Ok(None);
        };
        if crc32fast::hash(summed).to_be_bytes() != *sum {
            return Ok(None);
        }
        let mut reader = Reader(summed);
        if reader.array() != Some(*MAGIC) {
            return Ok(None);
        }
        match reader.u8() {
            Some(FORMAT) => {}
            found => {
                let found = found.unwrap_or_default().into();
                return Err(StorageError::UnknownFormat {
                    what: "checkpoint",
                    found,
                });
            }
        }
        let mut fields = || {
            Some(Self {
                is_clean: reader.u8()? != 0,
                position: Position {
                    segment: reader.u64()?,
                    offset: reader.u64()?,
                },
                boot_id: reader.array()?,
            })
        };
        Ok(fields())
    }

    pub(crate) fn read(dir: &Path) -> Result<Option<Self>, StorageError> {
        match fs::read(dir.join(CHECKPOINT_FILE)) {
            Ok(bytes) => Self::decode(&bytes),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(source) => Err(StorageError::Io {
                doing: "reading the checkpoint".to_owned(),
                source,
            }),
        }
    }

    pub(crate) fn write(&self, disk: &dyn Disk, dir: &Path) -> Result<(), StorageError> {
        replace_file(disk, &dir.join(CHECKPOINT_FILE), &self.encode())
            .map_err(StorageError::io("writing the checkpoint"))
    }

    /// Withdraws the checkpoint, durably: until there is a new one, the state is not trusted.
    pub(crate) fn remove(disk: &dyn Disk, dir: &Path) -> Result<(), StorageError> {
        match disk.remove(&dir.join(CHECKPOINT_FILE)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(StorageError::Io {
                doing: "removing the checkpoint".to_owned(),
                source: error,
            }),
            _ => disk.sync_dir(dir).map_err(StorageError::io("syncing")),
        }
    }
}

/// This boot of the machine; zeros where the system does not tell.
pub(crate) fn boot_id() -> [u8; 36] {
    fs::read("/proc/sys/kernel/random/boot_id")
        .ok()
        .and_then(|text| text.first_chunk().copied())
        .unwrap_or([0; 36])
}

impl Shared {
    /// Makes the state durable up to what is applied now, and notes that.
    pub(crate) fn checkpoint(&self, is_clean: bool) -> Result<(), StorageError> {
        let position = *self.applied.lock();
        let synced = self.state.sync();
        let mut files = self.files.lock();
        if self.state.is_suspect() {
            // Without a checkpoint the next start rebuilds the state from snapshot and log.
            Checkpoint::remove(&*self.disk, &self.dir)?;
            return synced.and(Err(StorageError::corrupt(
                "the state; it is rebuilt at the next start",
            )));
        }
        synced?;
        Checkpoint {
            position,
            is_clean,
            boot_id: boot_id(),
        }
        .write(&*self.disk, &self.dir)?;
        files.checkpoint = position;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_checkpoint_reads_as_it_was_written_or_not_at_all() {
        let position = Position {
            segment: 3,
            offset: 77,
        };
        let checkpoint = Checkpoint {
            position,
            is_clean: true,
            boot_id: [7; 36],
        };
        let bytes = checkpoint.encode();
        assert_eq!(Checkpoint::decode(&bytes).unwrap(), Some(checkpoint));
        for index in 0..bytes.len() {
            let mut damaged = bytes.clone();
            damaged[index] ^= 1;
            assert_eq!(Checkpoint::decode(&damaged).unwrap(), None);
        }
    }
}
