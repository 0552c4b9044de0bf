//! What log, checkpoints and snapshots ask of a disk, so that tests can put a failing or forgetful one in its place.
//!
//! Bytes are durable after [`LogFile::sync`], names after [`Disk::sync_dir`]; nothing else is promised.

use std::fs::{self, File, OpenOptions};
use std::io::{self, ErrorKind};
use std::os::unix::fs::{FileExt as _, OpenOptionsExt as _, PermissionsExt as _};
use std::path::Path;

/// Only their owner reads and writes the files.
pub(crate) const FILE_MODE: u32 = 0o600;
/// Only their owner looks into the directories.
const DIR_MODE: u32 = 0o700;

/// A file open for writing.
pub trait LogFile: Send {
    /// Writes all bytes at the offset.
    fn write_at(&mut self, bytes: &[u8], offset: u64) -> io::Result<()>;
    /// Returns when everything written is durable.
    fn sync(&mut self) -> io::Result<()>;
}

/// The disk under the data directory.
pub trait Disk: Send + Sync + 'static {
    /// Makes a new, empty file, replacing what was there.
    fn create(&self, path: &Path) -> io::Result<Box<dyn LogFile>>;
    /// Opens a file for writing in place.
    fn open(&self, path: &Path) -> io::Result<Box<dyn LogFile>>;
    /// Gives a file another name, replacing what was there.
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        fs::rename(from, to)
    }
    /// Removes a file.
    fn remove(&self, path: &Path) -> io::Result<()> {
        fs::remove_file(path)
    }
    /// Returns when the names in a directory are durable.
    fn sync_dir(&self, dir: &Path) -> io::Result<()> {
        sync_dir(dir)
    }
    /// The bytes that may still be written under the directory.
    fn free_bytes(&self, dir: &Path) -> io::Result<u64>;
}

/// The machine's own disk.
#[derive(Clone, Copy, Debug, Default)]
pub struct RealDisk;

struct RealFile(File);

impl LogFile for RealFile {
    fn write_at(&mut self, bytes: &[u8], offset: u64) -> io::Result<()> {
        self.0.write_all_at(bytes, offset)
    }

    fn sync(&mut self) -> io::Result<()> {
        self.0.sync_data()
    }
}

impl Disk for RealDisk {
    fn create(&self, path: &Path) -> io::Result<Box<dyn LogFile>> {
        let file = OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(true)
            .mode(FILE_MODE)
            .open(path)?;
        Ok(Box::new(RealFile(file)))
    }

    fn open(&self, path: &Path) -> io::Result<Box<dyn LogFile>> {
        Ok(Box::new(RealFile(
            OpenOptions::new().write(true).open(path)?,
        )))
    }

    fn free_bytes(&self, dir: &Path) -> io::Result<u64> {
        fs4::available_space(dir)
    }
}

/// Writes a whole file so that either the old or the new one is there after a crash.
pub(crate) fn replace_file(disk: &dyn Disk, path: &Path, bytes: &[u8]) -> io::Result<()> {
    let temporary = path.with_extension("tmp");
    let mut file = disk.create(&temporary)?;
    file.write_at(bytes, 0)?;
    file.sync()?;
    drop(file);
    disk.rename(&temporary, path)?;
    disk.sync_dir(path.parent().unwrap_or(Path::new(".")))
}

/// Removes what a crash left of unfinished files in a directory.
pub(crate) fn remove_unfinished(disk: &dyn Disk, dir: &Path) -> io::Result<()> {
    for entry in fs::read_dir(dir)? {
        let path = entry?.path();
        if path.extension().is_some_and(|extension| extension == "tmp") {
            disk.remove(&path)?;
        }
    }
    Ok(())
}

/// Makes a directory, durably also in the one that it lies in.
pub(crate) fn make_dir(dir: &Path) -> io::Result<()> {
    let missing: Vec<&Path> = dir.ancestors().take_while(|dir| !dir.exists()).collect();
    fs::create_dir_all(dir)?;
    let made = if missing.is_empty() {
        vec![dir]
    } else {
        missing
    };
    for parent in made.iter().filter_map(|dir| dir.parent()) {
        let parent = if parent.as_os_str().is_empty() {
            Path::new(".")
        } else {
            parent
        };
        match sync_dir(parent) {
            // A directory that we may pass through and not read: nobody but its owner can sync it.
            Err(error) if error.kind() == ErrorKind::PermissionDenied => {}
            synced => synced?,
        }
    }
    Ok(())
}

/// Takes everything inside a directory away from all but its owner: also what other libraries and older versions wrote.
pub(crate) fn make_private(dir: &Path) -> io::Result<()> {
    for entry in fs::read_dir(dir)? {
        let entry = entry?;
        let (path, kind) = (entry.path(), entry.file_type()?);
        if kind.is_symlink() {
            continue;
        }
        let mode = if kind.is_dir() { DIR_MODE } else { FILE_MODE };
        match fs::set_permissions(&path, fs::Permissions::from_mode(mode)) {
            // sled removes its old files while we look.
            Err(error) if error.kind() == ErrorKind::NotFound => continue,
            set => set?,
        }
        if kind.is_dir() {
            make_private(&path)?;
        }
    }
    Ok(())
}

pub(crate) fn sync_dir(dir: &Path) -> io::Result<()> {
    File::open(dir)?.sync_all()
}

/// Writes to a file from its beginning on, for whoever wants to stream.
pub(crate) struct Streaming {
    file: Box<dyn LogFile>,
    len: u64,
}

impl Streaming {
    pub(crate) fn new(file: Box<dyn LogFile>) -> Self {
        Self { file, len: 0 }
    }

    pub(crate) fn sync(&mut self) -> io::Result<()> {
        self.file.sync()
    }
}

impl io::Write for Streaming {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.file.write_at(bytes, self.len)?;
        self.len += bytes.len() as u64;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
