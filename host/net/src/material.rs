//! Where certificates come from: an operator's files or the local authority, renewed without a restart.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use rustls::crypto::CryptoProvider;
use vaxel_core::{Clock, UnixMs};

use crate::certificate::{self, Expiry, Origin, Usable};
use crate::local_ca::{self, LocalCa};
use crate::resolver::CurrentCertificate;
use crate::{AcceptLimits, TlsAcceptor, TlsError};

/// The local authority's leaf is renewed, and an alarm is due for one from files, when this little is left.
pub const RENEW_BEFORE_DAYS: u64 = 30;
/// A certificate file is a few kilobytes; more is a wrong path.
const FILE_BYTES_MAX: u64 = 1 << 20;

/// The certificate that this server shows, and how to get its next one.
pub struct TlsMaterial {
    provider: Arc<CryptoProvider>,
    current: Arc<CurrentCertificate>,
    clock: Arc<dyn Clock>,
    source: Source,
}

enum Source {
    Files {
        certificate: PathBuf,
        key: PathBuf,
        loaded: Mutex<FilePair>,
    },
    LocalCa {
        ca: Box<LocalCa>,
        names: Mutex<BTreeSet<String>>,
    },
}

#[derive(PartialEq, Eq)]
struct FilePair {
    certificate: Vec<u8>,
    key: Vec<u8>,
}

impl TlsMaterial {
    /// A chain and a key in PEM files, as certbot and others keep them.
    pub fn from_files(
        certificate: impl Into<PathBuf>,
        key: impl Into<PathBuf>,
        clock: Arc<dyn Clock>,
    ) -> Result<Self, TlsError> {
        let (certificate, key) = (certificate.into(), key.into());
        let provider = provider();
        let (pair, usable) = load(&provider, &certificate, &key)?;
        Ok(Self {
            provider,
            current: Arc::new(CurrentCertificate::new(usable)),
            clock,
            source: Source::Files {
                certificate,
                key,
                loaded: Mutex::new(pair),
            },
        })
    }

    /// The local authority in `dir`, made there if there is none, and a leaf for `names` (host names and addresses).
    pub fn local_ca<N: AsRef<str>>(
        dir: &Path,
        names: &[N],
        clock: Arc<dyn Clock>,
    ) -> Result<Self, TlsError> {
        let provider = provider();
        let ca = LocalCa::open(dir, &provider, clock.now())?;
        let names = normalised(names);
        let leaf = ca.issue(&provider, &names, clock.now())?;
        Ok(Self {
            provider,
            current: Arc::new(CurrentCertificate::new(leaf)),
            clock,
            source: Source::LocalCa {
                ca: Box::new(ca),
                names: Mutex::new(names),
            },
        })
    }

    /// The names that the leaf must carry from now on, beside localhost. Answers whether a new one was issued.
    /// Material from files carries what its maker put in, so nothing happens then.
    pub fn set_names<N: AsRef<str>>(&self, names: &[N]) -> Result<bool, TlsError> {
        let Source::LocalCa { ca, names: held } = &self.source else {
            return Ok(false);
        };
        let names = normalised(names);
        let mut held = held.lock().unwrap_or_else(PoisonError::into_inner);
        if *held == names {
            return Ok(false);
        }
        self.current
            .replace(ca.issue(&self.provider, &names, self.clock.now())?);
        *held = names;
        Ok(true)
    }

    /// Takes changed files into use, or renews the local leaf when its end is near. Answers whether anything changed.
    /// On an error the certificate that worked stays in use.
    pub fn refresh(&self) -> Result<bool, TlsError> {
        match &self.source {
            Source::Files {
                certificate,
                key,
                loaded,
            } => {
                let (pair, usable) = load(&self.provider, certificate, key)?;
                let mut loaded = loaded.lock().unwrap_or_else(PoisonError::into_inner);
                if *loaded == pair {
                    return Ok(false);
                }
                self.current.replace(usable);
                *loaded = pair;
                Ok(true)
            }
            Source::LocalCa { ca, names } => {
                if self.days_left() >= RENEW_BEFORE_DAYS {
                    return Ok(false);
                }
                let names = names.lock().unwrap_or_else(PoisonError::into_inner);
                self.current
                    .replace(ca.issue(&self.provider, &names, self.clock.now())?);
                Ok(true)
            }
        }
    }

    /// Whole days until people's devices refuse what we show: the leaf, or the authority behind it if that ends first.
    pub fn days_left(&self) -> u64 {
        let now = self.clock.now();
        let leaf = self.current.expiry().days_left(now);
        match &self.source {
            Source::Files { .. } => leaf,
            Source::LocalCa { ca, .. } => local_ca::ends(ca.certificate_pem())
                .map_or(leaf, |authority| leaf.min(authority.days_left(now))),
        }
    }

    /// When the certificate in use ends.
    pub fn expires_at(&self) -> UnixMs {
        let Expiry(at) = self.current.expiry();
        at
    }

    /// The local authority's certificate, for people to install on their devices.
    pub fn ca_pem(&self) -> Option<&str> {
        match &self.source {
            Source::Files { .. } => None,
            Source::LocalCa { ca, .. } => Some(ca.certificate_pem()),
        }
    }

    /// What shakes hands with this material, also after it was renewed.
    pub fn acceptor(&self, limits: AcceptLimits) -> Result<TlsAcceptor, TlsError> {
        let resolver = Arc::clone(&self.current);
        TlsAcceptor::new(Arc::clone(&self.provider), resolver, limits)
    }
}

impl std::fmt::Debug for TlsMaterial {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("TlsMaterial")
            .field("expires_at", &self.expires_at())
            .finish_non_exhaustive()
    }
}

/// The one crypto backend of the process, named instead of taken from a global.
fn provider() -> Arc<CryptoProvider> {
    Arc::new(rustls::crypto::aws_lc_rs::default_provider())
}

/// Lower case, each once, always with the machine's own names, so that the demo and health checks work too.
fn normalised<N: AsRef<str>>(names: &[N]) -> BTreeSet<String> {
    let own = ["localhost", "127.0.0.1", "::1"];
    names
        .iter()
        .map(AsRef::as_ref)
        .chain(own)
        .map(|name| name.trim().trim_end_matches('.').to_ascii_lowercase())
        .collect()
}

fn load(
    provider: &CryptoProvider,
    certificate: &Path,
    key: &Path,
) -> Result<(FilePair, Usable), TlsError> {
    let pair = FilePair {
        certificate: read(certificate)?,
        key: read(key)?,
    };
    // A group may read it (Debian's ssl-cert); everybody may not.
    let mode = fs::metadata(key)
        .map_err(|error| TlsError::file(key, error))?
        .mode()
        & 0o777;
    if mode & 0o007 != 0 {
        return Err(TlsError::ExposedKey {
            path: key.to_owned(),
            mode,
        });
    }
    let origin = Origin { certificate, key };
    let usable = certificate::from_pem(provider, &pair.certificate, &pair.key, origin)?;
    Ok((pair, usable))
}

fn read(path: &Path) -> Result<Vec<u8>, TlsError> {
    let length = fs::metadata(path)
        .map_err(|error| TlsError::file(path, error))?
        .len();
    if length > FILE_BYTES_MAX {
        return Err(TlsError::Unusable {
            path: path.to_owned(),
            wanted: "PEM",
        });
    }
    fs::read(path).map_err(|error| TlsError::file(path, error))
}
