//! The key set on disk: wrapped keys beside the data, outside the log and its backups.
//!
//! Keys are added by appending; destroying one rewrites the file without it, so that its bytes are gone
//! and only a tombstone tells that it was there.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use vaxel_core::TenantId;

use crate::CryptoError;
use crate::keydisk::{KeyDisk, RealKeyDisk, make_dir};
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
    disk: Box<dyn KeyDisk>,
    pub(crate) entries: BTreeMap<KeyName, Entry>,
}

impl KeySet {
    /// Opens the key set in `dir`, or makes an empty one. A torn last entry was never acknowledged and is cut.
    pub(crate) fn open(dir: &Path) -> Result<Self, CryptoError> {
        make_dir(dir).map_err(|source| io_error("creating", dir, source))?;
        let path = dir.join(FILE_NAME);
        Self::open_on(Box::new(RealKeyDisk::new(path.clone())), path)
    }

    fn open_on(mut disk: Box<dyn KeyDisk>, path: PathBuf) -> Result<Self, CryptoError> {
        let read = |disk: &dyn KeyDisk| {
            disk.read()
                .map_err(|source| io_error("reading", &path, source))
        };
        let bytes = match read(&*disk)? {
            Some(bytes) => bytes,
            None => {
                rewrite(&mut *disk, &path, &BTreeMap::new())?;
                read(&*disk)?.unwrap_or_default()
            }
        };
        let (entries, whole_len) = parse(&bytes)?;
        if whole_len < bytes.len() {
            disk.cut(whole_len as u64)
                .and_then(|()| disk.sync())
                .map_err(|source| io_error("cutting", &path, source))?;
        }
        Ok(Self {
            path,
            disk,
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
        let written = self.disk.append(&line).and_then(|()| self.disk.sync());
        if let Err(source) = written {
            // Whatever half of the line reached the file must not stand in front of the next one.
            rewrite(&mut *self.disk, &self.path, &self.entries)?;
            return Err(io_error("appending to", &self.path, source));
        }
        self.entries.insert(name, entry);
        Ok(())
    }

    /// Replaces all entries, durably and at once.
    pub(crate) fn replace(&mut self, entries: BTreeMap<KeyName, Entry>) -> Result<(), CryptoError> {
        rewrite(&mut *self.disk, &self.path, &entries)?;
        self.entries = entries;
        Ok(())
    }

    /// Copies the key set into `dir`.
    pub(crate) fn copy_to(&self, dir: &Path) -> Result<(), CryptoError> {
        make_dir(dir).map_err(|source| io_error("creating", dir, source))?;
        let path = dir.join(FILE_NAME);
        rewrite(&mut RealKeyDisk::new(path.clone()), &path, &self.entries)
    }
}

fn rewrite(
    disk: &mut dyn KeyDisk,
    path: &Path,
    entries: &BTreeMap<KeyName, Entry>,
) -> Result<(), CryptoError> {
    let mut bytes = MAGIC.to_vec();
    for (name, entry) in entries {
        bytes.extend_from_slice(&encode(*name, entry));
    }
    disk.write_fresh(&bytes)
        .and_then(|()| disk.swap())
        .and_then(|()| disk.sync_dir())
        .map_err(|source| io_error("writing", path, source))
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

#[cfg(test)]
mod tests {
    use std::io;
    use std::sync::{Arc, Mutex};

    use super::*;

    /// A file's bytes as they are read, and as a power cut leaves them for certain.
    #[derive(Clone, Default)]
    struct Bytes {
        now: Vec<u8>,
        synced: Vec<u8>,
    }

    /// A disk in memory whose power fails after so many steps.
    #[derive(Default)]
    struct Platter {
        main: Option<Bytes>,
        /// What the file's name stood for when the directory was synced last.
        named: Option<Bytes>,
        fresh: Bytes,
        /// The name was changed since then.
        is_renamed: bool,
        steps_left: u64,
        dice: u64,
    }

    impl Platter {
        fn roll(&mut self, sides: usize) -> usize {
            self.dice = self
                .dice
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1_442_695_040_888_963_407);
            (self.dice >> 33) as usize % sides
        }

        fn step(&mut self) -> io::Result<()> {
            if self.steps_left == 0 {
                return Err(io::Error::other("no power"));
            }
            self.steps_left -= 1;
            Ok(())
        }

        /// What was not synced is there, or gone, or there in part or as zeros.
        fn after_cut(&mut self, file: Bytes) -> Bytes {
            let Bytes { mut now, synced } = file;
            if now.len() < synced.len() {
                if self.roll(2) == 0 {
                    now = synced;
                }
            } else {
                let len = synced.len() + self.roll(now.len() - synced.len() + 1);
                now.truncate(len);
                if self.roll(2) == 0 {
                    now[synced.len()..].fill(0);
                }
            }
            Bytes {
                synced: now.clone(),
                now,
            }
        }

        fn cut_power(&mut self) {
            let is_kept = !self.is_renamed || self.roll(2) == 0;
            let left = if is_kept {
                self.main.take()
            } else {
                self.named.take()
            };
            self.main = left.map(|file| self.after_cut(file));
            self.named = self.main.clone();
            (self.is_renamed, self.steps_left) = (false, u64::MAX);
        }
    }

    #[derive(Clone, Default)]
    struct Sim(Arc<Mutex<Platter>>);

    impl Sim {
        fn main(&self, change: impl FnOnce(&mut Platter, &mut Bytes)) -> io::Result<()> {
            let mut platter = self.0.lock().unwrap();
            platter.step()?;
            let mut file = platter.main.take().unwrap();
            change(&mut platter, &mut file);
            if !platter.is_renamed {
                platter.named = Some(file.clone());
            }
            platter.main = Some(file);
            Ok(())
        }

        fn open(&self) -> Result<KeySet, CryptoError> {
            KeySet::open_on(Box::new(self.clone()), PathBuf::from(FILE_NAME))
        }
    }

    impl KeyDisk for Sim {
        fn read(&self) -> io::Result<Option<Vec<u8>>> {
            let platter = self.0.lock().unwrap();
            Ok(platter.main.as_ref().map(|file| file.now.clone()))
        }

        fn append(&mut self, bytes: &[u8]) -> io::Result<()> {
            self.main(|_, file| file.now.extend_from_slice(bytes))
        }

        fn cut(&mut self, len: u64) -> io::Result<()> {
            self.main(|_, file| file.now.truncate(len as usize))
        }

        fn sync(&mut self) -> io::Result<()> {
            self.main(|_, file| file.synced.clone_from(&file.now))
        }

        fn write_fresh(&mut self, bytes: &[u8]) -> io::Result<()> {
            let mut platter = self.0.lock().unwrap();
            platter.step()?;
            platter.fresh = Bytes {
                now: bytes.to_vec(),
                synced: bytes.to_vec(),
            };
            Ok(())
        }

        fn swap(&mut self) -> io::Result<()> {
            let mut platter = self.0.lock().unwrap();
            platter.step()?;
            platter.main = Some(std::mem::take(&mut platter.fresh));
            platter.is_renamed = true;
            Ok(())
        }

        fn sync_dir(&mut self) -> io::Result<()> {
            self.main(|platter, _| platter.is_renamed = false)
        }
    }

    fn name(number: u128) -> KeyName {
        (TenantId::from_u128(1), ErasureKey::named(number))
    }

    /// Adds keys and destroys every third; notes what was acknowledged. Ends when the power fails.
    fn work(disk: &Sim, known: &mut BTreeMap<KeyName, Entry>) -> Result<(), CryptoError> {
        let mut set = disk.open()?;
        for number in 0..12_u8 {
            let wrapped = [number + 1; WRAPPED_LEN];
            set.add(name(number.into()), wrapped)?;
            known.insert(name(number.into()), Entry::Wrapped(wrapped));
            if number % 3 == 2 {
                let doomed = name((number - 1).into());
                let mut entries = set.entries.clone();
                entries.insert(doomed, Entry::Tombstone);
                set.replace(entries)?;
                known.insert(doomed, Entry::Tombstone);
            }
        }
        Ok(())
    }

    #[test]
    fn a_power_cut_takes_no_key_that_was_made_and_brings_none_back_that_was_destroyed() {
        let mut cut = 0;
        for steps in 0..50 {
            for seed in 0..20 {
                let disk = Sim::default();
                (
                    disk.0.lock().unwrap().steps_left,
                    disk.0.lock().unwrap().dice,
                ) = (steps, steps * 100 + seed);
                let mut known = BTreeMap::new();
                cut += u32::from(work(&disk, &mut known).is_err());
                disk.0.lock().unwrap().cut_power();
                let mut set = disk.open().unwrap();
                for (name, entry) in &known {
                    let found = set.entries.get(name);
                    let may_be_destroyed = *entry != Entry::Tombstone
                        && known.len() % 3 == 0
                        && found == Some(&Entry::Tombstone);
                    assert!(
                        found == Some(entry) || may_be_destroyed,
                        "{steps} steps, seed {seed}"
                    );
                }
                assert!(set.entries.len() <= known.len() + 1);
                set.add(name(99), [99; WRAPPED_LEN]).unwrap();
                assert!(disk.open().unwrap().entries == set.entries);
            }
        }
        assert!(cut > 500, "{cut} cuts: no test at all");
    }
}
