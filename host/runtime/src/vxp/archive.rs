//! The container: a ZIP file of which every byte is either a file's or follows from the files.
//!
//! Any ZIP tool reads it. It is written and read here, and not by a general library, because ZIP says everything
//! twice (before each file and in the directory at the end) and has room for times, comments, links and data outside
//! of both; a package has one reading, so that what was checked and signed is what everybody sees. Deflate itself
//! comes from a library.

use std::collections::BTreeSet;
use std::io::{Read as _, Write as _};

use flate2::Compression;
use flate2::read::DeflateDecoder;
use flate2::write::DeflateEncoder;

use super::PackageError;
use super::contents::{SIGNATURE, bytes_max, check_name};

/// The largest package file.
pub(crate) const ARCHIVE_BYTES_MAX: usize = 36 << 20;

/// What all files together may unpack to.
const UNPACKED_BYTES_MAX: usize = 36 << 20;

/// Files of one package: manifest, component, a few texts, and a language each.
const FILES_MAX: usize = 64;

const LOCAL: [u8; 4] = *b"PK\x03\x04";
const CENTRAL: [u8; 4] = *b"PK\x01\x02";
const END: [u8; 4] = *b"PK\x05\x06";

/// ZIP 2.0, which knows Deflate.
const VERSION: u16 = 20;
/// The same, made on Unix.
const MADE_BY: u16 = 0x0314;
/// 1980-01-01: a package says in its signature when it was made, and nowhere else.
const DATE: u16 = 0x0021;
/// A plain file, mode 0644.
const PLAIN_FILE: u32 = 0o100_644 << 16;
/// Which bits of that say what kind of file it is.
const KIND_OF_FILE: u32 = 0o170_000 << 16;

const STORED: u16 = 0;
const DEFLATED: u16 = 8;

/// Length of an entry's head before its name, and of the directory's entry.
const LOCAL_LEN: usize = 30;
const CENTRAL_LEN: usize = 46;

/// What an archive holds.
#[derive(Debug)]
pub(super) struct Contents<'a> {
    /// Names and contents, in their order; the signature is not among them.
    pub(super) files: Vec<(String, Vec<u8>)>,
    pub(super) signature: Option<Vec<u8>>,
    /// The bytes of all entries before the signature's: what is signed beside the list of files.
    pub(super) body: &'a [u8],
    records: Vec<Record>,
}

#[derive(Debug)]
struct Record {
    name: String,
    method: u16,
    crc: u32,
    packed_len: u32,
    len: u32,
    offset: u32,
}

/// Packs files; the caller has put them in their order.
pub(super) fn pack(files: &[(String, Vec<u8>)]) -> Result<Vec<u8>, PackageError> {
    let (mut bytes, mut records) = (Vec::new(), Vec::new());
    for (name, content) in files {
        let mut encoder = DeflateEncoder::new(Vec::new(), Compression::best());
        let packed = encoder
            .write_all(content)
            .and_then(|()| encoder.finish())
            .map_err(PackageError::io("packing"))?;
        let (method, packed) = if packed.len() < content.len() {
            (DEFLATED, packed.as_slice())
        } else {
            (STORED, content.as_slice())
        };
        records.push(append(&mut bytes, name, method, content, packed)?);
    }
    bytes.extend(directory(&records, bytes.len())?);
    Ok(bytes)
}

impl Contents<'_> {
    /// The same archive with this signature.
    pub(super) fn signed(&self, signature: &[u8]) -> Result<Vec<u8>, PackageError> {
        let mut bytes = self.body.to_vec();
        let added = append(&mut bytes, SIGNATURE, STORED, signature, signature)?;
        let own = self
            .records
            .iter()
            .filter(|record| record.name != SIGNATURE);
        let records: Vec<&Record> = own.chain([&added]).collect();
        let start = bytes.len();
        bytes.extend(directory(records, start)?);
        Ok(bytes)
    }
}

fn append(
    bytes: &mut Vec<u8>,
    name: &str,
    method: u16,
    content: &[u8],
    packed: &[u8],
) -> Result<Record, PackageError> {
    let record = Record {
        name: name.to_owned(),
        method,
        crc: crc32fast::hash(content),
        packed_len: small(packed.len())?,
        len: small(content.len())?,
        offset: small(bytes.len())?,
    };
    bytes.extend(record.head());
    bytes.extend_from_slice(packed);
    Ok(record)
}

fn small(len: usize) -> Result<u32, PackageError> {
    let fits = u32::try_from(len).ok().filter(|_| len <= ARCHIVE_BYTES_MAX);
    fits.ok_or_else(|| too_large("the package", ARCHIVE_BYTES_MAX))
}

impl Record {
    fn head(&self) -> Vec<u8> {
        let mut head = LOCAL.to_vec();
        head.extend(VERSION.to_le_bytes());
        self.common(&mut head);
        head.extend_from_slice(self.name.as_bytes());
        head
    }

    // Flags, method, time, date, checksum, lengths, and no extra field.
    fn common(&self, bytes: &mut Vec<u8>) {
        for number in [0, self.method, 0, DATE] {
            bytes.extend(number.to_le_bytes());
        }
        for number in [self.crc, self.packed_len, self.len] {
            bytes.extend(number.to_le_bytes());
        }
        let name_len = u16::try_from(self.name.len()).unwrap_or(u16::MAX);
        bytes.extend(name_len.to_le_bytes());
        bytes.extend([0, 0]);
    }

    fn in_directory(&self) -> Vec<u8> {
        let mut bytes = CENTRAL.to_vec();
        bytes.extend(MADE_BY.to_le_bytes());
        bytes.extend(VERSION.to_le_bytes());
        self.common(&mut bytes);
        // No comment, the first disk, no attributes but the mode.
        bytes.extend([0; 6]);
        bytes.extend(PLAIN_FILE.to_le_bytes());
        bytes.extend(self.offset.to_le_bytes());
        bytes.extend_from_slice(self.name.as_bytes());
        bytes
    }
}

fn directory<'r>(
    records: impl IntoIterator<Item = &'r Record>,
    start: usize,
) -> Result<Vec<u8>, PackageError> {
    let (mut bytes, mut count) = (Vec::new(), 0_u16);
    for record in records {
        bytes.extend(record.in_directory());
        count = count.saturating_add(1);
    }
    let len = small(bytes.len())?;
    bytes.extend(END);
    bytes.extend([0; 4]);
    bytes.extend(count.to_le_bytes());
    bytes.extend(count.to_le_bytes());
    bytes.extend(len.to_le_bytes());
    bytes.extend(small(start)?.to_le_bytes());
    bytes.extend([0, 0]);
    Ok(bytes)
}

/// Reads an archive. Nothing is unpacked before its name and its size were looked at, and never more than it says.
pub(super) fn read(archive: &[u8]) -> Result<Contents<'_>, PackageError> {
    if archive.len() > ARCHIVE_BYTES_MAX {
        return Err(too_large("the package", ARCHIVE_BYTES_MAX));
    }
    let mut contents = Contents {
        files: Vec::new(),
        signature: None,
        body: &[],
        records: Vec::new(),
    };
    let mut names = BTreeSet::new();
    let (mut at, mut unpacked) = (0_usize, 0_usize);
    loop {
        let rest = archive.get(at..).unwrap_or_default();
        match rest.get(..4) {
            Some(mark) if mark == LOCAL.as_slice() => {}
            Some(mark) if mark == CENTRAL.as_slice() => break,
            Some(_) => {
                return Err(layout(
                    "it is no ZIP file, or something stands between its files",
                ));
            }
            None => return Err(PackageError::Truncated),
        }
        if contents.signature.is_some() {
            return Err(layout("something stands behind the signature"));
        }
        if contents.records.len() >= FILES_MAX {
            return Err(PackageError::TooMany { max: FILES_MAX });
        }
        let (record, packed) = entry(rest, at)?;
        if !names.insert(record.name.to_ascii_lowercase()) {
            return Err(PackageError::Duplicate { name: record.name });
        }
        let file_max = bytes_max(&record.name).ok_or_else(|| PackageError::UnknownFile {
            name: record.name.clone(),
        })?;
        let len = usize::try_from(record.len).unwrap_or(usize::MAX);
        if len > file_max {
            return Err(too_large(&record.name, file_max));
        }
        unpacked = unpacked.saturating_add(len);
        if unpacked > UNPACKED_BYTES_MAX {
            return Err(too_large("what the package unpacks to", UNPACKED_BYTES_MAX));
        }
        let content = unpack(&record, packed, len)?;
        let head = record.head();
        if rest.get(..head.len()) != Some(head.as_slice())
            || crc32fast::hash(&content) != record.crc
        {
            return Err(layout("the head of a file says what a package's does not"));
        }
        if record.name == SIGNATURE {
            contents.signature = Some(content);
        } else {
            contents.files.push((record.name.clone(), content));
        }
        let entry_len = head.len().saturating_add(packed.len());
        at = at.saturating_add(entry_len);
        if contents.signature.is_none() {
            contents.body = archive.get(..at).unwrap_or_default();
        }
        contents.records.push(record);
    }
    check_directory(archive.get(at..).unwrap_or_default(), &contents.records, at)?;
    Ok(contents)
}

/// The head of the entry that `rest` begins with, and its packed bytes.
fn entry(rest: &[u8], at: usize) -> Result<(Record, &[u8]), PackageError> {
    let head: &[u8; LOCAL_LEN] = rest.first_chunk().ok_or(PackageError::Truncated)?;
    let [
        ..,
        m0,
        m1,
        _,
        _,
        _,
        _,
        c0,
        c1,
        c2,
        c3,
        p0,
        p1,
        p2,
        p3,
        l0,
        l1,
        l2,
        l3,
        n0,
        n1,
        _,
        _,
    ] = *head;
    let (packed_len, len) = (
        u32::from_le_bytes([p0, p1, p2, p3]),
        u32::from_le_bytes([l0, l1, l2, l3]),
    );
    let name_len = usize::from(u16::from_le_bytes([n0, n1]));
    let rest = rest.get(LOCAL_LEN..).unwrap_or_default();
    let (name, rest) = rest
        .split_at_checked(name_len)
        .ok_or(PackageError::Truncated)?;
    let name = check_name(name)?.to_owned();
    let packed_bytes = usize::try_from(packed_len).unwrap_or(usize::MAX);
    let packed = rest.get(..packed_bytes).ok_or(PackageError::Truncated)?;
    let record = Record {
        name,
        method: u16::from_le_bytes([m0, m1]),
        crc: u32::from_le_bytes([c0, c1, c2, c3]),
        packed_len,
        len,
        offset: small(at)?,
    };
    Ok((record, packed))
}

/// Unpacks `len` bytes and not one more.
fn unpack(record: &Record, packed: &[u8], len: usize) -> Result<Vec<u8>, PackageError> {
    let wrong = |what| PackageError::Unpacked {
        name: record.name.clone(),
        what,
    };
    match record.method {
        STORED if packed.len() == len => Ok(packed.to_vec()),
        STORED => Err(wrong("it is stored as it is, with another size")),
        DEFLATED => {
            let mut decoder = DeflateDecoder::new(packed);
            let mut content = Vec::new();
            let limit = u64::try_from(len).unwrap_or(u64::MAX).saturating_add(1);
            decoder
                .by_ref()
                .take(limit)
                .read_to_end(&mut content)
                .map_err(|_| wrong("its compressed form is damaged"))?;
            match content.len() {
                more if more > len => Err(wrong("it is larger")),
                less if less < len => Err(wrong("it is smaller")),
                _ if decoder.total_in() != packed.len() as u64 => {
                    Err(wrong("something stands behind it"))
                }
                _ => Ok(content),
            }
        }
        _ => Err(wrong("it is compressed in a way that packages are not")),
    }
}

/// The directory must say what the entries said, and be the end.
fn check_directory(found: &[u8], records: &[Record], start: usize) -> Result<(), PackageError> {
    let expected = directory(records, start)?;
    if found == expected.as_slice() {
        return Ok(());
    }
    let mut rest = found;
    for record in records {
        let Some(entry) = rest.get(..CENTRAL_LEN) else {
            return Err(PackageError::Truncated);
        };
        if let Some(&[a, b, c, d]) = entry.get(38..42)
            && !matches!(
                u32::from_le_bytes([a, b, c, d]) & KIND_OF_FILE,
                0 | 0x8000_0000
            )
        {
            return Err(PackageError::Special {
                name: record.name.clone(),
            });
        }
        let len = CENTRAL_LEN.saturating_add(record.name.len());
        rest = rest.get(len..).ok_or(PackageError::Truncated)?;
    }
    if expected.starts_with(found) {
        return Err(PackageError::Truncated);
    }
    Err(layout("its directory does not say what its files say"))
}

fn too_large(what: &str, max: usize) -> PackageError {
    PackageError::TooLarge {
        what: what.to_owned(),
        max,
    }
}

const fn layout(what: &'static str) -> PackageError {
    PackageError::Layout { what }
}

#[cfg(test)]
#[path = "archive_tests.rs"]
mod tests;
