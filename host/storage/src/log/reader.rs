//! Reading the log: frame by frame, telling a torn end from damage in the middle.

use std::path::Path;

use crate::StorageError;
use crate::codec::Reader;
use crate::limits::RECORD_LEN_MAX;
use crate::log::Position;
use crate::log::segment::{HEADER_LEN, Segments, read_segment, segment_path};
use crate::record::{FRAME_HEADER_LEN, RECORD_FORMAT};

/// A frame whose checksum holds.
struct Frame<'a> {
    body: &'a [u8],
    /// Where the write that it belongs to began.
    group: u64,
    len: usize,
}

/// The frame at the beginning of `bytes`, if a whole one is there.
fn frame(bytes: &[u8]) -> Option<Frame<'_>> {
    let mut reader = Reader(bytes);
    let len = usize::try_from(reader.u32()?).ok()?;
    if len == 0 || len > RECORD_LEN_MAX {
        return None;
    }
    let sum = reader.u32()?;
    let summed = reader.0.get(..FRAME_HEADER_LEN - 8 + len)?;
    if crc32fast::hash(summed) != sum || reader.u8()? != RECORD_FORMAT {
        return None;
    }
    let group = u64::from(reader.u32()?);
    Some(Frame {
        body: reader.take(len)?,
        group,
        len: FRAME_HEADER_LEN + len,
    })
}

/// What a walk through the log found at its end.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Replay {
    /// Behind the last record.
    pub(crate) end: Position,
    /// How much of the last segment was written behind that by a write that never finished.
    pub(crate) torn_len: u64,
}

/// Walks all records from `from` on, in order.
///
/// A write that a power cut interrupted leaves a torn end: nothing of it was acknowledged, and it is cut.
/// Anything else that does not read, in front of records of a later write, is damage.
pub(crate) fn replay(
    dir: &Path,
    segments: &Segments,
    from: Position,
    mut visit: impl FnMut(&[u8], Position) -> Result<(), StorageError>,
) -> Result<Replay, StorageError> {
    let mut end = from;
    let mut torn: Option<(Position, u64)> = None;
    for number in segments
        .by_number
        .range(from.segment..)
        .map(|(number, _)| *number)
    {
        let bytes = read_segment(&segment_path(dir, number), number)?;
        let start = if number == from.segment {
            from.offset
        } else {
            HEADER_LEN
        };
        let mut offset = usize::try_from(start).unwrap_or(usize::MAX);
        while let Some(frame) = bytes.get(offset..).and_then(frame) {
            if let Some((position, _)) = torn {
                return Err(damage(position));
            }
            offset += frame.len;
            end = Position {
                segment: number,
                offset: offset as u64,
            };
            visit(frame.body, end)?;
        }
        let rest = bytes.get(offset..).unwrap_or_default();
        let dirty_len = rest
            .iter()
            .rposition(|byte| *byte != 0)
            .map_or(0, |last| last + 1);
        let stop = Position {
            segment: number,
            offset: offset as u64,
        };
        let dirty = rest.get(..dirty_len).unwrap_or_default();
        if dirty_len > 0 && torn.is_some() {
            return Err(damage(stop));
        }
        if has_later_write(dirty, stop.offset) {
            return Err(damage(stop));
        }
        if dirty_len > 0 {
            torn = Some((stop, dirty_len as u64));
            end = stop;
        }
    }
    Ok(Replay {
        end,
        torn_len: torn.map_or(0, |(_, len)| len),
    })
}

/// Walks the records between two positions of a log that may be written meanwhile. Everything in between was
/// durable once, so whatever does not read is damage.
pub(crate) fn walk(
    dir: &Path,
    from: Position,
    until: Position,
    mut visit: impl FnMut(&[u8]) -> Result<(), StorageError>,
) -> Result<(), StorageError> {
    for number in from.segment..=until.segment {
        let bytes = read_segment(&segment_path(dir, number), number)?;
        let is_last = number == until.segment;
        let start = if number == from.segment {
            from.offset
        } else {
            HEADER_LEN
        };
        let end = if is_last {
            until.offset
        } else {
            bytes.len() as u64
        };
        let mut rest = usize::try_from(start)
            .ok()
            .zip(usize::try_from(end).ok())
            .and_then(|(start, end)| bytes.get(start..end))
            .ok_or_else(|| StorageError::corrupt(format!("log segment {number} is too short")))?;
        while let Some(frame) = frame(rest) {
            visit(frame.body)?;
            rest = rest.get(frame.len..).unwrap_or_default();
        }
        let is_whole = if is_last {
            rest.is_empty()
        } else {
            rest.iter().all(|byte| *byte == 0)
        };
        if !is_whole {
            return Err(damage(Position {
                segment: number,
                offset: end - rest.len() as u64,
            }));
        }
    }
    Ok(())
}

fn damage(position: Position) -> StorageError {
    StorageError::corrupt(format!(
        "log segment {} does not read at {}, and later records follow",
        position.segment, position.offset
    ))
}

/// Whether a whole frame of a write that began behind `stop` lies in `bytes`: then the write that `stop`
/// belongs to was durable once, as the next one begins only after that.
fn has_later_write(bytes: &[u8], stop: u64) -> bool {
    (0..bytes.len()).any(|skip| {
        let tail = bytes.get(skip..).unwrap_or_default();
        // Nothing that begins with a length of zero is a frame; this keeps zeros cheap.
        frame(tail).is_some_and(|frame| frame.group > stop)
    })
}
