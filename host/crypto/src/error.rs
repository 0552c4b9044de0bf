//! What can go wrong with keys and sealed values.

use std::io;
use std::path::PathBuf;

use vaxel_core::Reason;

/// A failure around keys. Never carries key bytes or plaintext.
#[derive(Debug, thiserror::Error)]
pub enum CryptoError {
    /// The master key's file, variable or credential is not there.
    #[error("no master key at {place}")]
    MasterMissing {
        /// Where it was looked for.
        place: String,
    },
    /// The master key's file can be read by others.
    #[error("master key {path} can be read by others (mode {mode:03o}); run: chmod 600 {path}", path = .path.display())]
    MasterExposed {
        /// The file.
        path: PathBuf,
        /// Its permission bits.
        mode: u32,
    },
    /// The master key is not 32 bytes in base64.
    #[error("the master key at {place} is not 32 bytes in base64")]
    MasterMalformed {
        /// Where it was read.
        place: String,
    },
    /// The key set was made under another master key.
    #[error("this key set belongs to another master key")]
    WrongMaster,
    /// The key set's file is damaged or of a format this version does not know.
    #[error("key set is damaged or of an unknown format: {what}")]
    KeySet {
        /// What is wrong with it.
        what: &'static str,
    },
    /// The tenant or erasure key does not exist, or was destroyed.
    #[error("the key is not there; it may have been destroyed")]
    KeyMissing,
    /// The sealed value was changed, moved, or is of an unknown format.
    #[error("the sealed value does not open")]
    Unsealable,
    /// A signing key, or a key that signatures are checked with, is not one.
    #[error("{what}")]
    SigningKey {
        /// What is wrong with it.
        what: &'static str,
    },
    /// Hashing a password failed.
    #[error("hashing the password")]
    Password,
    /// Reading or writing a key file failed.
    #[error("{doing} {path}", path = .path.display())]
    Io {
        /// What was being done.
        doing: &'static str,
        /// To which file.
        path: PathBuf,
        /// Why it failed.
        #[source]
        source: io::Error,
    },
}

impl From<&CryptoError> for Reason {
    fn from(error: &CryptoError) -> Self {
        match error {
            CryptoError::KeyMissing => Self::NotFound,
            _ => Self::Internal,
        }
    }
}
