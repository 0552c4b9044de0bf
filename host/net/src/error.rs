//! What can go wrong with certificates and handshakes, and what each amounts to for a caller.

use std::io;
use std::path::{Path, PathBuf};

use vaxel_core::Reason;

/// A certificate, a key or a handshake that cannot be used. Names files, never what is in them.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TlsError {
    /// A file cannot be read or written.
    #[error("cannot use {path}: {source}")]
    File {
        /// Which one.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// A file holds no usable PEM of the wanted kind.
    #[error("{path} holds no usable {wanted}")]
    Unusable {
        /// Which one.
        path: PathBuf,
        /// What should be in it.
        wanted: &'static str,
    },
    /// The private key is not the one that the certificate was made for.
    #[error("the private key in {key} does not belong to the certificate in {certificate}")]
    Mismatch {
        /// The certificate's file.
        certificate: PathBuf,
        /// The key's file.
        key: PathBuf,
    },
    /// A private key that others on the machine may read.
    #[error("{path} may be read by others (mode {mode:04o}); chmod 600 it")]
    ExposedKey {
        /// Which one.
        path: PathBuf,
        /// Its permission bits.
        mode: u32,
    },
    /// A name that no certificate can carry.
    #[error("a host name that no certificate can carry")]
    Name,
    /// More names than one certificate should carry.
    #[error("at most {max} names fit into one certificate")]
    TooManyNames {
        /// The maximum.
        max: usize,
    },
    /// The ACME directory or our account there cannot be used; no name gets anywhere until it can.
    #[error("the ACME directory cannot be used: {0}")]
    Directory(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// The ACME directory issued nothing for one name; others may fare better.
    #[error("the ACME directory issued nothing for {name}: {why}")]
    Order {
        /// For which.
        name: String,
        /// What the directory says.
        why: String,
        /// Whether it asks us to come back much later.
        later: bool,
    },
    /// A directory's validator looked at a challenge certificate; there is nothing to serve after that.
    #[error("a challenge was answered")]
    ChallengeAnswered,
    /// Making or signing a certificate failed.
    #[error("the local authority cannot issue: {0}")]
    Issue(#[from] rcgen::Error),
    /// The TLS library refuses the configuration.
    #[error("TLS cannot be set up: {0}")]
    Setup(#[from] rustls::Error),
    /// The peer did not finish its handshake in time.
    #[error("the handshake took too long")]
    Timeout,
    /// Too many handshakes are waiting already.
    #[error("too many handshakes at once")]
    Busy,
    /// The handshake failed: a peer that speaks something else, or went away.
    #[error("the handshake failed: {0}")]
    Handshake(#[source] io::Error),
}

impl TlsError {
    pub(crate) fn file(path: &Path, source: io::Error) -> Self {
        Self::File {
            path: path.to_owned(),
            source,
        }
    }

    /// What it amounts to.
    pub const fn reason(&self) -> Reason {
        match self {
            Self::Name => Reason::Invalid,
            Self::TooManyNames { .. } | Self::Busy => Reason::LimitReached,
            Self::Timeout
            | Self::Handshake(_)
            | Self::ChallengeAnswered
            | Self::Directory(_)
            | Self::Order { .. } => Reason::Unavailable,
            Self::File { .. }
            | Self::Unusable { .. }
            | Self::Mismatch { .. }
            | Self::ExposedKey { .. }
            | Self::Issue(_)
            | Self::Setup(_) => Reason::Internal,
        }
    }
}
