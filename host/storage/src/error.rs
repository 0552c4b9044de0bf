//! What can go wrong in storage.

use std::io;

use vaxel_core::Reason;
use vaxel_crypto::CryptoError;

/// A failure of storage. Never carries keys' contents or values.
#[derive(Debug, thiserror::Error)]
pub enum StorageError {
    /// A read met something newer than the transaction's start.
    #[error("read something newer than the start of the transaction")]
    Stale,
    /// Somebody changed what this transaction read.
    #[error("somebody changed what this transaction read")]
    Conflict,
    /// The disk failed under us; nothing is acknowledged any more until an operator has looked.
    #[error("storage is read-only after a failed write")]
    ReadOnly,
    /// Too little space is left on the disk; reads go on.
    #[error("too little space left on the disk")]
    DiskFull,
    /// Something is larger than its named maximum.
    #[error("{what} is larger than {max}")]
    TooLarge {
        /// What is too large.
        what: &'static str,
        /// Its maximum.
        max: usize,
    },
    /// The tenant's quota is used up.
    #[error("the organization's storage quota is used up")]
    Quota,
    /// The collection takes as much as it may.
    #[error("the plugin stores as much as it may")]
    Full,
    /// The input is not of the form it must have.
    #[error("malformed: {what}")]
    Invalid {
        /// What is malformed.
        what: &'static str,
    },
    /// Stored data does not read as it was written.
    #[error("stored data is damaged: {what}")]
    Corrupt {
        /// What is damaged, and where.
        what: String,
    },
    /// The data was written by a version that this one does not know.
    #[error("{what} has the unknown format {found}")]
    UnknownFormat {
        /// Which file or row.
        what: &'static str,
        /// The format it claims.
        found: u64,
    },
    /// Another process has this data open.
    #[error("another process has {dir} open; a server that is starting takes commands in a moment")]
    Locked {
        /// The data directory.
        dir: String,
    },
    /// The target of a backup or restore is not empty.
    #[error("{dir} is not empty")]
    NotEmpty {
        /// The directory.
        dir: String,
    },
    /// A backup does not hold what its manifest says.
    #[error("the backup is damaged: {file}: {what}")]
    DamagedBackup {
        /// The file in question.
        file: String,
        /// What is wrong with it.
        what: &'static str,
    },
    /// A key is missing or a value does not open.
    #[error("keys: {0}")]
    Key(#[from] CryptoError),
    /// The disk answered with an error.
    #[error("{doing}")]
    Io {
        /// What was being done.
        doing: String,
        /// Why it failed.
        #[source]
        source: io::Error,
    },
    /// The state's engine answered with an error.
    #[error("state")]
    State(#[source] sled::Error),
    /// Storage is closing.
    #[error("storage is closed")]
    Closed,
}

impl StorageError {
    /// What it amounts to for a caller.
    pub fn reason(&self) -> Reason {
        match self {
            Self::Stale | Self::Conflict => Reason::Conflict,
            Self::ReadOnly | Self::DiskFull | Self::Closed | Self::Locked { .. } => {
                Reason::Unavailable
            }
            Self::TooLarge { .. } => Reason::TooLarge,
            Self::Quota | Self::Full => Reason::LimitReached,
            Self::Invalid { .. } | Self::NotEmpty { .. } => Reason::Invalid,
            Self::Key(error) => Reason::from(error),
            Self::Corrupt { .. }
            | Self::UnknownFormat { .. }
            | Self::DamagedBackup { .. }
            | Self::Io { .. }
            | Self::State(_) => Reason::Internal,
        }
    }

    /// Whether running the same operation again may succeed.
    pub fn is_conflict(&self) -> bool {
        matches!(self, Self::Stale | Self::Conflict)
    }

    pub(crate) fn corrupt(what: impl Into<String>) -> Self {
        Self::Corrupt { what: what.into() }
    }

    pub(crate) fn io(doing: impl Into<String>) -> impl FnOnce(io::Error) -> Self {
        let doing = doing.into();
        move |source| Self::Io { doing, source }
    }
}

impl From<sled::Error> for StorageError {
    fn from(error: sled::Error) -> Self {
        Self::State(error)
    }
}

impl From<&StorageError> for Reason {
    fn from(error: &StorageError) -> Self {
        error.reason()
    }
}

/// Why events cannot be replayed.
#[derive(Debug, thiserror::Error)]
pub enum ReplayError {
    /// The cursor is older than what is kept, or comes from before a restore: fetch the whole state again.
    #[error("the cursor has expired")]
    Expired,
    /// Storage failed.
    #[error(transparent)]
    Storage(#[from] StorageError),
}

impl ReplayError {
    /// What it amounts to for a caller.
    pub fn reason(&self) -> Reason {
        match self {
            Self::Expired => Reason::Invalid,
            Self::Storage(error) => error.reason(),
        }
    }
}
