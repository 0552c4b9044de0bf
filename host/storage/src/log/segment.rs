//! Log segments as files: a header, then records, then zeros that are already on the disk.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use crate::StorageError;
use crate::codec::Reader;
use crate::disk::{Disk, LogFile, remove_unfinished};

const MAGIC: &[u8; 8] = b"VAXELLOG";
const FORMAT: u8 = 1;
/// Magic, format, padding, epoch, number, checksum, zeros.
pub(crate) const HEADER_LEN: u64 = 64;
const HEADER_SUMMED_LEN: usize = 8 + 8 + 8 + 8;
/// How many zeros one write of a new segment carries.
const ZEROS_LEN: usize = 1024 * 1024;
const SUFFIX: &str = "log";

/// The segments of a log directory, by number.
#[derive(Clone, Debug, Default)]
pub(crate) struct Segments {
    pub(crate) by_number: BTreeMap<u64, PathBuf>,
}

impl Segments {
    /// Lists the segments and removes what a crash left of an unfinished one.
    pub(crate) fn list(disk: &dyn Disk, dir: &Path) -> Result<Self, StorageError> {
        remove_unfinished(disk, dir)
            .map_err(StorageError::io("removing an unfinished log segment"))?;
        Self::list_live(dir)
    }

    /// Lists the segments of a log that is being written.
    pub(crate) fn list_live(dir: &Path) -> Result<Self, StorageError> {
        let mut by_number = BTreeMap::new();
        let listing = || StorageError::io("listing the log");
        for entry in fs::read_dir(dir).map_err(listing())? {
            let path = entry.map_err(listing())?.path();
            if path
                .extension()
                .is_some_and(|extension| extension == SUFFIX)
            {
                let number = path
                    .file_stem()
                    .and_then(|stem| stem.to_str())
                    .and_then(|stem| u64::from_str_radix(stem, 16).ok())
                    .ok_or_else(|| StorageError::corrupt("a log segment without a number"))?;
                by_number.insert(number, path);
            }
        }
        let numbers: Vec<u64> = by_number.keys().copied().collect();
        let dense = numbers
            .iter()
            .zip(numbers.iter().skip(1))
            .all(|(a, b)| a + 1 == *b);
        if !dense {
            return Err(StorageError::corrupt("a log segment is missing"));
        }
        Ok(Self { by_number })
    }

    pub(crate) fn first(&self) -> Option<u64> {
        self.by_number.keys().next().copied()
    }
}

/// The path of a segment.
pub(crate) fn segment_path(dir: &Path, number: u64) -> PathBuf {
    dir.join(format!("{number:016x}.{SUFFIX}"))
}

/// Makes a segment whose every byte is already written, so that later writes change no metadata.
pub(crate) fn create_segment(
    disk: &dyn Disk,
    dir: &Path,
    number: u64,
    epoch: u64,
    len: u64,
) -> Result<Box<dyn LogFile>, StorageError> {
    let path = segment_path(dir, number);
    let temporary = path.with_extension("tmp");
    let make = || {
        let mut file = disk.create(&temporary)?;
        let zeros = vec![0; ZEROS_LEN];
        let mut offset = 0;
        while offset < len {
            let part = usize::try_from(len - offset)
                .unwrap_or(ZEROS_LEN)
                .min(ZEROS_LEN);
            file.write_at(zeros.get(..part).unwrap_or_default(), offset)?;
            offset += part as u64;
        }
        file.write_at(&header(number, epoch), 0)?;
        file.sync()?;
        drop(file);
        disk.rename(&temporary, &path)?;
        disk.sync_dir(dir)?;
        disk.open(&path)
    };
    make().map_err(StorageError::io("making a log segment"))
}

fn header(number: u64, epoch: u64) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(64);
    bytes.extend_from_slice(MAGIC);
    bytes.extend_from_slice(&[FORMAT, 0, 0, 0, 0, 0, 0, 0]);
    bytes.extend_from_slice(&epoch.to_be_bytes());
    bytes.extend_from_slice(&number.to_be_bytes());
    let sum = crc32fast::hash(&bytes);
    bytes.extend_from_slice(&sum.to_be_bytes());
    bytes.resize(64, 0);
    bytes
}

/// Reads a whole segment and checks its header.
pub(crate) fn read_segment(path: &Path, number: u64) -> Result<Vec<u8>, StorageError> {
    let bytes =
        fs::read(path).map_err(StorageError::io(format!("reading log segment {number}")))?;
    let damaged = || StorageError::corrupt(format!("the header of log segment {number}"));
    let mut reader = Reader(&bytes);
    if reader.array() != Some(*MAGIC) {
        return Err(damaged());
    }
    let format = reader.u8().ok_or_else(damaged)?;
    if format != FORMAT {
        return Err(StorageError::UnknownFormat {
            what: "log segment",
            found: format.into(),
        });
    }
    let summed = bytes.get(..HEADER_SUMMED_LEN).ok_or_else(damaged)?;
    let mut rest = Reader(bytes.get(HEADER_SUMMED_LEN - 8..).unwrap_or_default());
    if rest.u64() != Some(number) || rest.u32() != Some(crc32fast::hash(summed)) {
        return Err(damaged());
    }
    Ok(bytes)
}
