//! A certificate chain with its key as read from PEM, checked to belong together, whom it names and when it ends.

use std::path::Path;
use std::sync::Arc;

use rustls::crypto::CryptoProvider;
use rustls::server::ParsedCertificate;
use rustls::sign::CertifiedKey;
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use vaxel_core::UnixMs;

use crate::TlsError;

const DAY_MS: u64 = 86_400_000;

/// When a certificate stops to be valid.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Expiry(pub UnixMs);

impl Expiry {
    /// Whole days from `now` on, 0 when it has ended.
    pub const fn days_left(self, now: UnixMs) -> u64 {
        self.0.since(now) / DAY_MS
    }
}

/// A chain and its key, ready for handshakes.
#[derive(Clone, Debug)]
pub(crate) struct Usable {
    pub(crate) key: Arc<CertifiedKey>,
    pub(crate) begins: UnixMs,
    pub(crate) expiry: Expiry,
}

/// Where PEM came from, for the error that says which file to look at.
#[derive(Clone, Copy)]
pub(crate) struct Origin<'a> {
    pub(crate) certificate: &'a Path,
    pub(crate) key: &'a Path,
}

/// Reads chain and key and checks that they belong together.
pub(crate) fn from_pem(
    provider: &CryptoProvider,
    certificate_pem: &[u8],
    key_pem: &[u8],
    origin: Origin<'_>,
) -> Result<Usable, TlsError> {
    let no_chain = || TlsError::Unusable {
        path: origin.certificate.to_owned(),
        wanted: "certificate chain",
    };
    let no_key = || TlsError::Unusable {
        path: origin.key.to_owned(),
        wanted: "private key",
    };

    let chain = CertificateDer::pem_slice_iter(certificate_pem)
        .collect::<Result<Vec<_>, _>>()
        .map_err(|_| no_chain())?;
    let (begins, expiry) = chain.first().and_then(validity).ok_or_else(no_chain)?;
    let key = PrivateKeyDer::from_pem_slice(key_pem).map_err(|_| no_key())?;
    let signer = provider
        .key_provider
        .load_private_key(key)
        .map_err(|_| no_key())?;
    let certified = CertifiedKey::new(chain, signer);
    certified.keys_match().map_err(|_| TlsError::Mismatch {
        certificate: origin.certificate.to_owned(),
        key: origin.key.to_owned(),
    })?;
    Ok(Usable {
        key: Arc::new(certified),
        begins,
        expiry,
    })
}

impl Usable {
    /// Whether it was made for this host name.
    pub(crate) fn names(&self, name: &str) -> bool {
        let (Some(leaf), Ok(name)) = (self.key.cert.first(), ServerName::try_from(name)) else {
            return false;
        };
        ParsedCertificate::try_from(leaf)
            .is_ok_and(|leaf| rustls::client::verify_server_name(&leaf, &name).is_ok())
    }
}

/// When this certificate ends; nothing if it is no certificate.
pub(crate) fn expiry(der: &CertificateDer<'_>) -> Option<Expiry> {
    validity(der).map(|(_, expiry)| expiry)
}

fn validity(der: &CertificateDer<'_>) -> Option<(UnixMs, Expiry)> {
    let (_, certificate) = x509_parser::parse_x509_certificate(der).ok()?;
    let at = |time: x509_parser::time::ASN1Time| {
        let seconds = u64::try_from(time.timestamp()).ok()?;
        Some(UnixMs(seconds.saturating_mul(1_000)))
    };
    let validity = certificate.validity();
    // A beginning before 1970 is as good as the beginning of time.
    let begins = at(validity.not_before).unwrap_or_default();
    Some((begins, Expiry(at(validity.not_after)?)))
}
