//! Where certificates come from: an operator's files, an ACME directory or the local authority, all renewed without a
//! restart.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use rustls::crypto::CryptoProvider;
use vaxel_core::{Alarms, Clock, UnixMs};

use crate::acme::{Acme, AcmeConfig};
use crate::certificate::{self, Expiry, Origin, Usable};
use crate::local_ca::{self, LocalCa};
use crate::resolver::CurrentCertificate;
use crate::{AcceptLimits, TlsAcceptor, TlsError, files};

/// The local authority's leaf is renewed, and an alarm is due for one from files, when this little is left.
pub const RENEW_BEFORE_DAYS: u64 = 30;

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
    Acme(Box<Acme>),
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

    /// One certificate per name from an ACME directory, kept in `dir`. The local authority stands in for names that
    /// have none yet, so nothing is asked of the directory here: [`Self::order_next`] does that.
    pub fn acme<N: AsRef<str>>(
        dir: &Path,
        config: AcmeConfig,
        names: &[N],
        clock: Arc<dyn Clock>,
    ) -> Result<Self, TlsError> {
        let provider = provider();
        let names = normalised(names);
        let acme = Acme::open(
            dir,
            config,
            &names,
            Arc::clone(&provider),
            Arc::clone(&clock),
        )?;
        Ok(Self {
            provider,
            current: Arc::clone(acme.own()),
            clock,
            source: Source::Acme(Box::new(acme)),
        })
    }

    /// Orders the certificate that is due the most, if one is. Answers whether it tried, so that there may be more.
    /// What fails is tried again later, and told when people are about to notice. Material of other kinds needs none.
    pub async fn order_next(&self, alarms: &dyn Alarms) -> bool {
        match &self.source {
            Source::Acme(acme) => acme.order_next(alarms).await,
            Source::Files { .. } | Source::LocalCa { .. } => false,
        }
    }

    /// The names that the leaf must carry from now on, beside localhost. Answers whether a new one was issued.
    /// Material from files carries what its maker put in, so nothing happens then.
    pub fn set_names<N: AsRef<str>>(&self, names: &[N]) -> Result<bool, TlsError> {
        let (ca, held) = match &self.source {
            Source::Files { .. } => return Ok(false),
            Source::Acme(acme) => return acme.set_names(&normalised(names)),
            Source::LocalCa { ca, names } => (ca, names),
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
            Source::Acme(acme) => acme.refresh(),
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
    /// With ACME that of the stand-in: each name's own end is watched where it is renewed.
    pub fn days_left(&self) -> u64 {
        let now = self.clock.now();
        let leaf = self.current.expiry().days_left(now);
        match &self.source {
            Source::Files { .. } | Source::Acme(_) => leaf,
            Source::LocalCa { ca, .. } => local_ca::ends(ca.certificate_pem())
                .map_or(leaf, |authority| leaf.min(authority.days_left(now))),
        }
    }

    /// With ACME, whole days until each name's own certificate ends; nothing for a name that has none yet.
    pub fn days_left_by_name(&self) -> Vec<(String, Option<u64>)> {
        match &self.source {
            Source::Acme(acme) => acme.days_left_by_name(),
            Source::Files { .. } | Source::LocalCa { .. } => Vec::new(),
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
            Source::Acme(acme) => Some(acme.ca_pem()),
        }
    }

    /// What shakes hands with this material, also after it was renewed.
    pub fn acceptor(&self, limits: AcceptLimits) -> Result<TlsAcceptor, TlsError> {
        let provider = Arc::clone(&self.provider);
        match &self.source {
            Source::Acme(acme) => TlsAcceptor::new(provider, acme.resolver(), true, limits),
            Source::Files { .. } | Source::LocalCa { .. } => {
                TlsAcceptor::new(provider, Arc::clone(&self.current) as _, false, limits)
            }
        }
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
pub(crate) fn provider() -> Arc<CryptoProvider> {
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
        certificate: files::read(certificate)?,
        key: files::read(key)?,
    };
    // A group may read it (Debian's ssl-cert); everybody may not.
    files::refuse_mode(key, 0o007)?;
    let origin = Origin { certificate, key };
    let usable = certificate::from_pem(provider, &pair.certificate, &pair.key, origin)?;
    Ok((pair, usable))
}
