//! Positions in a tenant's history: stamps, cursors, and the audiences that events are for.

use std::fmt;
use std::str::FromStr;

use bytes::Bytes;

use crate::StorageError;

/// The place of one append or event: which commit, and which one within it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Stamp {
    /// The commit's number; dense per tenant, from 1.
    pub seq: u64,
    /// Which of the commit's appends or events.
    pub ordinal: u16,
}

/// How long a stamp is as bytes.
pub const STAMP_LEN: usize = 10;

impl Stamp {
    /// Behind everything of this commit.
    pub const fn end_of(seq: u64) -> Self {
        Self {
            seq,
            ordinal: u16::MAX,
        }
    }

    /// Big-endian, so key order is commit order.
    pub const fn to_bytes(self) -> [u8; STAMP_LEN] {
        let [a, b, c, d, e, f, g, h] = self.seq.to_be_bytes();
        let [i, j] = self.ordinal.to_be_bytes();
        [a, b, c, d, e, f, g, h, i, j]
    }

    /// The inverse of [`Self::to_bytes`].
    pub const fn from_bytes(bytes: [u8; STAMP_LEN]) -> Self {
        let [a, b, c, d, e, f, g, h, i, j] = bytes;
        Self {
            seq: u64::from_be_bytes([a, b, c, d, e, f, g, h]),
            ordinal: u16::from_be_bytes([i, j]),
        }
    }
}

impl fmt::Display for Stamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:x}.{:x}", self.seq, self.ordinal)
    }
}

impl FromStr for Stamp {
    type Err = StorageError;

    fn from_str(text: &str) -> Result<Self, StorageError> {
        let malformed = || StorageError::Invalid { what: "stamp" };
        let (seq, ordinal) = text.split_once('.').ok_or_else(malformed)?;
        Ok(Self {
            seq: hex(seq, 16).ok_or_else(malformed)?,
            ordinal: hex(ordinal, 4)
                .and_then(|n| u16::try_from(n).ok())
                .ok_or_else(malformed)?,
        })
    }
}

/// Where a reader of events stands. Cursors of before a restore are told apart by their epoch.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Cursor {
    /// Which history; a restore begins a new one.
    pub epoch: u64,
    /// The last event that the reader has.
    pub stamp: Stamp,
}

/// Stands in front of a printed cursor.
const CURSOR_FORMAT: &str = "c1-";

impl fmt::Display for Cursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{CURSOR_FORMAT}{:016x}-{}", self.epoch, self.stamp)
    }
}

impl FromStr for Cursor {
    type Err = StorageError;

    fn from_str(text: &str) -> Result<Self, StorageError> {
        let malformed = || StorageError::Invalid { what: "cursor" };
        let rest = text.strip_prefix(CURSOR_FORMAT).ok_or_else(malformed)?;
        let (epoch, stamp) = rest.split_once('-').ok_or_else(malformed)?;
        Ok(Self {
            epoch: hex(epoch, 16).ok_or_else(malformed)?,
            stamp: stamp.parse().map_err(|_| malformed())?,
        })
    }
}

/// Lower-case hex without sign, at most so many digits.
fn hex(text: &str, digits_max: usize) -> Option<u64> {
    let plain = !text.is_empty()
        && text.len() <= digits_max
        && text.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'));
    if plain {
        u64::from_str_radix(text, 16).ok()
    } else {
        None
    }
}

/// A named set of users, by the blinded form of its name.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct AudienceId(pub [u8; 16]);

impl fmt::Debug for AudienceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "aud_{:032x}", u128::from_be_bytes(self.0))
    }
}

/// Something that happened, for everybody in an audience.
#[derive(Clone, PartialEq, Eq)]
pub struct Event {
    /// Who may see it.
    pub audience: AudienceId,
    /// When, in commit order. Ephemeral events carry the stamp of the state they were made over.
    pub stamp: Stamp,
    /// What kind of event it is.
    pub topic: std::sync::Arc<str>,
    /// What it says.
    pub payload: Bytes,
}

impl fmt::Debug for Event {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Event")
            .field("audience", &self.audience)
            .field("stamp", &self.stamp)
            .field("topic", &self.topic)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stamps_and_cursors_parse_as_they_print() {
        let stamp = Stamp {
            seq: 0xabc,
            ordinal: 7,
        };
        assert_eq!(stamp.to_string().parse::<Stamp>().unwrap(), stamp);
        assert_eq!(Stamp::from_bytes(stamp.to_bytes()), stamp);
        let cursor = Cursor {
            epoch: u64::MAX,
            stamp,
        };
        assert_eq!(cursor.to_string().parse::<Cursor>().unwrap(), cursor);
    }

    #[test]
    fn a_malformed_cursor_is_refused() {
        for bad in [
            "",
            "c1-",
            "c1-1-",
            "c1-1-2",
            "c2-1-2.3",
            "c1-+1-2.3",
            "c1-1-2.10000",
            "c1-X-1.1",
        ] {
            assert!(bad.parse::<Cursor>().is_err(), "{bad}");
        }
    }

    #[test]
    fn the_order_of_bytes_is_the_order_of_stamps() {
        let early = Stamp {
            seq: 255,
            ordinal: 9,
        };
        let late = Stamp {
            seq: 256,
            ordinal: 0,
        };
        assert!(early < late && early.to_bytes() < late.to_bytes());
    }
}
