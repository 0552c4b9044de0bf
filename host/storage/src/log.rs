//! The commit log: numbered segments of framed records, written by one thread.

mod reader;
mod segment;
mod writer;

pub(crate) use reader::{Replay, replay, walk};
pub(crate) use segment::{HEADER_LEN, Segments, create_segment};
pub(crate) use writer::{LogWriter, WriterStart};

/// A place in the log; everything below it is behind us.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Position {
    pub(crate) segment: u64,
    pub(crate) offset: u64,
}

impl Position {
    /// The first record of a segment.
    pub(crate) const fn start_of(segment: u64) -> Self {
        Self {
            segment,
            offset: HEADER_LEN,
        }
    }
}
