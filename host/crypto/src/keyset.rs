//! The key set on disk: wrapped keys beside the data, outside the log and its backups.
//!
//! Keys are added by appending; destroying one rewrites the file without it, so that its bytes are gone
//! and only a tombstone tells that it was there.

use std::collections::BTreeMap;
use std::fs::{self, File, OpenOptions};
use std::io::{Read as _, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use vaxel_core::TenantId;

use crate::CryptoError;
use crate::keyring::ErasureKey;

const FILE_NAME: &str = "keyset";
const MAGIC: &[u8; 8] = b"VXKEYS\0\x01";
/// Nonce, 32 bytes of key, tag.
pub(crate) const WRAPPED_LEN: usize = 24 + 32 + 16;

/// Which key of which tenant; the tenant's own key is [`ErasureKey::TENANT`].
pub(crate) type KeyName = (TenantId, ErasureKey);

/// One line of the file.
#[derive(Clone, PartialEq, Eq)]
pub(crate) enum Entry {
    /// A key, wrapped.
    Wrapped([u8; WRAPPED_LEN]),
    /// The key was destroyed.
    Tombstone,
}

const TAG_WRAPPED: u8 = 1;
const TAG_TOMBSTONE: u8 = 2;
/// Tag, tenant, key id, wrapped key (zeros in a tombstone), checksum.
const ENTRY_LEN: usize = 1 + 16 + 16 + WRAPPED_LEN + 4;

/// The file and what it holds.
pub(crate) struct KeySet {
    path: PathBuf,
    file: File,
    pub(crate) entries: BTreeMap<KeyName, Entry>,
}

impl KeySet {
    /// Opens the key set in `dir`, or makes an empty one. A torn last entry was never acknowledged and is cut.
    pub(crate) fn open(dir: &Path) -> Result<Self, CryptoError> {
        let path = dir.join(FILE_NAME);
        fs::create_dir_all(dir).map_err(|source| io_error("creating", dir, source))?;
        if !path.exists() {
            rewrite(&path, &BTreeMap::new())?;
        }
        let mut bytes = Vec::new();
        let mut file = OpenOptions::new()
            .read(true)
            .append(true)
            .open(&path)
            .map_err(|source| io_error("opening", &path, source))?;
        file.read_to_end(&mut bytes)
            .map_err(|source| io_error("reading", &path, source))?;
        let (entries, whole_len) = parse(&bytes)?;
        if whole_len < bytes.len() {
            file.set_len(whole_len as u64)
                .and_then(|()| file.sync_all())
                .map_err(|source| io_error("cutting", &path, source))?;
        }
        Ok(Self {
            path,
            file,
            entries,
        })
    }

    /// Adds a key; it is durable when this returns.
    pub(crate) fn add(
        &mut self,
        name: KeyName,
        wrapped: [u8; WRAPPED_LEN],
    ) -> Result<(), CryptoError> {
        let entry = Entry::Wrapped(wrapped);
        let line = encode(name, &entry);
        let written = self
            .file
            .write_all(&line)
            .and_then(|()| self.file.sync_data());
        if let Err(source) = written {
            // Whatever half of the line reached the file must not stand in front of the next one.
            rewrite(&self.path, &self.entries)?;
            self.reopen()?;
            return Err(io_error("appending to", &self.path, source));
        }
        self.entries.insert(name, entry);
        Ok(())
    }

    /// Replaces all entries, durably and at once.
    pub(crate) fn replace(&mut self, entries: BTreeMap<KeyName, Entry>) -> Result<(), CryptoError> {
        rewrite(&self.path, &entries)?;
        self.reopen()?;
        self.entries = entries;
        Ok(())
    }

    /// Copies the key set into `dir`.
    pub(crate) fn copy_to(&self, dir: &Path) -> Result<(), CryptoError> {
        fs::create_dir_all(dir).map_err(|source| io_error("creating", dir, source))?;
        rewrite(&dir.join(FILE_NAME), &self.entries)
    }

    fn reopen(&mut self) -> Result<(), CryptoError> {
        self.file = OpenOptions::new()
            .append(true)
            .open(&self.path)
            .map_err(|source| io_error("opening", &self.path, source))?;
        Ok(())
    }
}

fn rewrite(path: &Path, entries: &BTreeMap<KeyName, Entry>) -> Result<(), CryptoError> {
    let fresh = path.with_extension("new");
    let mut bytes = MAGIC.to_vec();
    for (name, entry) in entries {
        bytes.extend_from_slice(&encode(*name, entry));
    }
    let write = || {
        let mut file = OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(true)
            .mode(0o600)
            .open(&fresh)?;
        file.write_all(&bytes)?;
        file.sync_all()?;
        fs::rename(&fresh, path)?;
        path.parent()
            .map_or(Ok(()), |dir| File::open(dir)?.sync_all())
    };
    write().map_err(|source| io_error("writing", path, source))
}

fn encode(name: KeyName, entry: &Entry) -> [u8; ENTRY_LEN] {
    let (tag, wrapped) = match entry {
        Entry::Wrapped(wrapped) => (TAG_WRAPPED, *wrapped),
        Entry::Tombstone => (TAG_TOMBSTONE, [0; WRAPPED_LEN]),
    };
    let body: Vec<u8> = [tag]
        .into_iter()
        .chain(name.0.to_bytes())
        .chain(name.1.to_bytes())
        .chain(wrapped)
        .collect();
    let sum = crc32fast::hash(&body).to_be_bytes();
    let mut line = [0_u8; ENTRY_LEN];
    for (to, from) in line.iter_mut().zip(body.into_iter().chain(sum)) {
        *to = from;
    }
    line
}

fn parse(bytes: &[u8]) -> Result<(BTreeMap<KeyName, Entry>, usize), CryptoError> {
    let rest = bytes
        .strip_prefix(MAGIC.as_slice())
        .ok_or(CryptoError::KeySet {
            what: "its first bytes are not a key set's",
        })?;
    let mut entries = BTreeMap::new();
    let lines = rest.chunks_exact(ENTRY_LEN);
    let count = rest.len() / ENTRY_LEN;
    for (index, line) in lines.enumerate() {
        match decode(line) {
            Some((name, entry)) => {
                entries.insert(name, entry);
            }
            // A whole last line of garbage is a torn write too: the file system may have grown the file first.
            None if index + 1 == count => {
                return Ok((entries, MAGIC.len() + index * ENTRY_LEN));
            }
            None => {
                return Err(CryptoError::KeySet {
                    what: "an entry's checksum is wrong",
                });
            }
        }
    }
    Ok((entries, MAGIC.len() + count * ENTRY_LEN))
}

fn decode(line: &[u8]) -> Option<(KeyName, Entry)> {
    let (body, sum) = line.split_last_chunk::<4>()?;
    if crc32fast::hash(body).to_be_bytes() != *sum {
        return None;
    }
    let (tag, rest) = body.split_first()?;
    let (tenant, rest) = rest.split_first_chunk::<16>()?;
    let (key, wrapped) = rest.split_first_chunk::<16>()?;
    let name = (TenantId::from_bytes(*tenant), ErasureKey::from_bytes(*key));
    match *tag {
        TAG_WRAPPED => Some((name, Entry::Wrapped(wrapped.try_into().ok()?))),
        TAG_TOMBSTONE => Some((name, Entry::Tombstone)),
        _ => None,
    }
}

fn io_error(doing: &'static str, path: &Path, source: std::io::Error) -> CryptoError {
    CryptoError::Io {
        doing,
        path: path.to_owned(),
        source,
    }
}
