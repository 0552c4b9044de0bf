//! What the key set asks of a disk, step by step, so that a test can cut the power between any two of them.

use std::fs::{self, File, OpenOptions};
use std::io::{self, ErrorKind, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

/// One file that grows at its end and is replaced as a whole. Bytes are durable after a sync of the file, its name
/// after one of the directory; nothing else is promised.
pub(crate) trait KeyDisk: Send {
    /// The whole file; `None` where there is none.
    fn read(&self) -> io::Result<Option<Vec<u8>>>;
    /// Writes behind what is there.
    fn append(&mut self, bytes: &[u8]) -> io::Result<()>;
    /// Cuts the file to this length.
    fn cut(&mut self, len: u64) -> io::Result<()>;
    /// Returns when what was appended or cut is durable.
    fn sync(&mut self) -> io::Result<()>;
    /// Writes a new file beside it, durably.
    fn write_fresh(&mut self, bytes: &[u8]) -> io::Result<()>;
    /// Puts the new file in the place of the old one.
    fn swap(&mut self) -> io::Result<()>;
    /// Returns when the file's name is durable.
    fn sync_dir(&mut self) -> io::Result<()>;
}

/// A file on the machine's own disk.
pub(crate) struct RealKeyDisk {
    path: PathBuf,
    /// Opened when something is appended first, and anew after a swap.
    file: Option<File>,
}

impl RealKeyDisk {
    pub(crate) const fn new(path: PathBuf) -> Self {
        Self { path, file: None }
    }

    fn file(&mut self) -> io::Result<&mut File> {
        if self.file.is_none() {
            self.file = Some(OpenOptions::new().append(true).open(&self.path)?);
        }
        self.file
            .as_mut()
            .ok_or_else(|| io::Error::from(ErrorKind::NotFound))
    }

    fn fresh_path(&self) -> PathBuf {
        self.path.with_extension("new")
    }
}

impl KeyDisk for RealKeyDisk {
    fn read(&self) -> io::Result<Option<Vec<u8>>> {
        match fs::read(&self.path) {
            Ok(bytes) => Ok(Some(bytes)),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    fn append(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.file()?.write_all(bytes)
    }

    fn cut(&mut self, len: u64) -> io::Result<()> {
        self.file()?.set_len(len)
    }

    fn sync(&mut self) -> io::Result<()> {
        self.file()?.sync_all()
    }

    fn write_fresh(&mut self, bytes: &[u8]) -> io::Result<()> {
        let mut file = OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(true)
            .mode(0o600)
            .open(self.fresh_path())?;
        file.write_all(bytes)?;
        file.sync_all()
    }

    fn swap(&mut self) -> io::Result<()> {
        fs::rename(self.fresh_path(), &self.path)?;
        self.file = None;
        Ok(())
    }

    fn sync_dir(&mut self) -> io::Result<()> {
        self.path
            .parent()
            .map_or(Ok(()), |dir| File::open(dir)?.sync_all())
    }
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
        match File::open(parent).and_then(|parent| parent.sync_all()) {
            // A directory that we may pass through and not read: nobody but its owner can sync it.
            Err(error) if error.kind() == ErrorKind::PermissionDenied => {}
            synced => synced?,
        }
    }
    Ok(())
}
