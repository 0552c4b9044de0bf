//! A disk that remembers what a power cut may take back: bytes that were not synced, and names whose directory was
//! not.

use std::collections::HashMap;
use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use parking_lot::Mutex;
use tokio::sync::Notify;
use vaxel_storage::{Disk, LogFile, RealDisk};

use super::Dice;

/// What a disk writes whole or not at all.
const SECTOR: u64 = 512;

#[derive(Default)]
struct Memory {
    /// By path: what a cut may take back of the bytes.
    bytes: HashMap<PathBuf, Unsynced>,
    /// In their order: what it may take back of the names.
    names: Vec<NameChange>,
    /// How many syncs go well before the power fails, in the middle of one. `None`: it does not.
    syncs_left: Option<u64>,
    is_dark: bool,
}

#[derive(Default)]
struct Unsynced {
    synced_len: u64,
    /// What the sectors held before.
    sectors: HashMap<u64, Vec<u8>>,
}

enum NameChange {
    Created(PathBuf),
    Renamed {
        from: PathBuf,
        to: PathBuf,
        replaced: Option<Vec<u8>>,
    },
    Removed(PathBuf, Vec<u8>),
}

impl NameChange {
    fn dir(&self) -> &Path {
        let (Self::Created(path) | Self::Renamed { to: path, .. } | Self::Removed(path, _)) = self;
        path.parent().unwrap()
    }

    fn undo(self) {
        match self {
            Self::Created(path) => fs::remove_file(path).unwrap(),
            Self::Renamed { from, to, replaced } => {
                fs::rename(&to, from).unwrap();
                if let Some(bytes) = replaced {
                    fs::write(to, bytes).unwrap();
                }
            }
            Self::Removed(path, bytes) => fs::write(path, bytes).unwrap(),
        }
    }
}

impl Memory {
    fn check_power(&self) -> io::Result<()> {
        if self.is_dark {
            return Err(io::Error::other("no power"));
        }
        Ok(())
    }

    /// One more sync; true when the power fails in it.
    fn fails_now(&mut self) -> bool {
        if let Some(left) = &mut self.syncs_left {
            *left = left.saturating_sub(1);
            self.is_dark = *left == 0;
        }
        self.is_dark
    }
}

/// What a power cut took back.
#[derive(Clone, Copy, Debug, Default)]
pub struct Lost {
    pub files: usize,
    pub names: usize,
}

#[derive(Default)]
pub struct Forgetful {
    memory: Arc<Mutex<Memory>>,
    /// Told when the power fails.
    pub dark: Arc<Notify>,
}

impl Forgetful {
    /// From here on so many syncs go well.
    pub fn fail_after(&self, syncs: u64) {
        self.memory.lock().syncs_left = Some(syncs);
    }

    pub fn is_dark(&self) -> bool {
        self.memory.lock().is_dark
    }

    /// Takes back what was never synced: each sector and length by chance, and of each directory's changes of names
    /// any number of the last ones.
    pub fn cut_power(&self, dice: &mut Dice) -> Lost {
        let mut memory = self.memory.lock();
        memory.is_dark = true;
        let mut lost = Lost::default();
        for (path, unsynced) in memory.bytes.drain() {
            let Ok(file) = OpenOptions::new().write(true).open(path) else {
                continue;
            };
            for (sector, old) in unsynced.sectors {
                if dice.roll(2) == 0 {
                    file.write_all_at(&old, sector * SECTOR).unwrap();
                }
            }
            if file.metadata().unwrap().len() > unsynced.synced_len && dice.roll(2) == 0 {
                file.set_len(unsynced.synced_len).unwrap();
            }
            lost.files += 1;
        }
        let mut by_dir: HashMap<PathBuf, Vec<NameChange>> = HashMap::new();
        for change in memory.names.drain(..) {
            by_dir
                .entry(change.dir().to_owned())
                .or_default()
                .push(change);
        }
        for mut changes in by_dir.into_values() {
            for _ in 0..dice.roll(changes.len() as u64 + 1) {
                changes.pop().unwrap().undo();
                lost.names += 1;
            }
        }
        lost
    }

    fn changing(&self) -> io::Result<parking_lot::MutexGuard<'_, Memory>> {
        let memory = self.memory.lock();
        memory.check_power()?;
        Ok(memory)
    }

    fn file(&self, path: &Path, options: &mut OpenOptions) -> io::Result<Box<dyn LogFile>> {
        Ok(Box::new(ForgetfulFile {
            path: path.to_owned(),
            file: options.read(true).write(true).open(path)?,
            memory: Arc::clone(&self.memory),
            dark: Arc::clone(&self.dark),
        }))
    }
}

impl Disk for Forgetful {
    fn create(&self, path: &Path) -> io::Result<Box<dyn LogFile>> {
        let mut memory = self.changing()?;
        if !path.exists() {
            memory.names.push(NameChange::Created(path.to_owned()));
        }
        memory.bytes.insert(path.to_owned(), Unsynced::default());
        self.file(path, OpenOptions::new().create(true).truncate(true))
    }

    fn open(&self, path: &Path) -> io::Result<Box<dyn LogFile>> {
        drop(self.changing()?);
        self.file(path, &mut OpenOptions::new())
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        let mut memory = self.changing()?;
        let replaced = fs::read(to).ok();
        fs::rename(from, to)?;
        memory.bytes.remove(to);
        if let Some(unsynced) = memory.bytes.remove(from) {
            memory.bytes.insert(to.to_owned(), unsynced);
        }
        memory.names.push(NameChange::Renamed {
            from: from.to_owned(),
            to: to.to_owned(),
            replaced,
        });
        Ok(())
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        let mut memory = self.changing()?;
        let bytes = fs::read(path)?;
        fs::remove_file(path)?;
        memory.bytes.remove(path);
        memory
            .names
            .push(NameChange::Removed(path.to_owned(), bytes));
        Ok(())
    }

    fn sync_dir(&self, dir: &Path) -> io::Result<()> {
        let mut memory = self.changing()?;
        if memory.fails_now() {
            self.dark.notify_one();
            return Err(io::Error::other("the power fails"));
        }
        memory.names.retain(|change| change.dir() != dir);
        Ok(())
    }

    fn free_bytes(&self, dir: &Path) -> io::Result<u64> {
        RealDisk.free_bytes(dir)
    }
}

struct ForgetfulFile {
    path: PathBuf,
    file: File,
    memory: Arc<Mutex<Memory>>,
    dark: Arc<Notify>,
}

impl LogFile for ForgetfulFile {
    fn write_at(&mut self, bytes: &[u8], offset: u64) -> io::Result<()> {
        let mut memory = self.memory.lock();
        memory.check_power()?;
        let len = self.file.metadata()?.len();
        let unsynced = memory
            .bytes
            .entry(self.path.clone())
            .or_insert_with(|| Unsynced {
                synced_len: len,
                sectors: HashMap::new(),
            });
        for sector in offset / SECTOR..=(offset + bytes.len() as u64 - 1) / SECTOR {
            unsynced.sectors.entry(sector).or_insert_with(|| {
                let mut old = vec![0; SECTOR as usize];
                if sector * SECTOR < len {
                    let _ = self.file.read_at(&mut old, sector * SECTOR);
                }
                old
            });
        }
        self.file.write_all_at(bytes, offset)
    }

    fn sync(&mut self) -> io::Result<()> {
        let mut memory = self.memory.lock();
        memory.check_power()?;
        if memory.fails_now() {
            self.dark.notify_one();
            return Err(io::Error::other("the power fails"));
        }
        memory.bytes.remove(&self.path);
        Ok(())
    }
}
