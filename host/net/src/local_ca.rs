//! The local authority for development and first steps: made once beside the data, it signs one short-lived leaf.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa,
    Issuer, KeyPair, KeyUsagePurpose,
};
use rustls::crypto::CryptoProvider;
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use time::OffsetDateTime;
use vaxel_core::UnixMs;

use crate::certificate::{self, Origin, Usable};
use crate::{TlsError, files};

/// Names in one leaf: a handshake sends them all, and browsers stop reading very long lists.
pub(crate) const NAMES_MAX: usize = 256;
/// A leaf is renewed long before; short, because its key lives in memory only.
const LEAF_DAYS: u64 = 90;
/// People install this authority on their devices once.
const CA_DAYS: u64 = 3_650;
const DAY_MS: u64 = 86_400_000;
/// Both begin a day early, for devices whose clocks are behind.
const BACKDATED_MS: u64 = DAY_MS;

const KEY_FILE: &str = "ca.key";
const CERTIFICATE_FILE: &str = "ca.pem";
/// What people read in their device's list of authorities. The leaf names its issuer by this, so it never changes.
const COMMON_NAME: &str = "Vaxel local CA";

/// An authority whose key lies in one directory.
pub(crate) struct LocalCa {
    key_path: PathBuf,
    certificate_path: PathBuf,
    certificate_pem: String,
    issuer: Issuer<'static, KeyPair>,
}

impl LocalCa {
    /// Reads the authority in `dir`, or makes it there.
    pub(crate) fn open(
        dir: &Path,
        provider: &CryptoProvider,
        now: UnixMs,
    ) -> Result<Self, TlsError> {
        let key_path = dir.join(KEY_FILE);
        let certificate_path = dir.join(CERTIFICATE_FILE);
        files::private_dir(dir)?;

        // The certificate is written last: without it, a key left by a crash was never trusted by anyone.
        if !certificate_path
            .try_exists()
            .map_err(|e| TlsError::file(&certificate_path, e))?
        {
            create(&key_path, &certificate_path, now)?;
        }

        let key_pem = files::read_private(&key_path)?;
        let certificate_pem =
            String::from_utf8(files::read(&certificate_path)?).map_err(|_| TlsError::Unusable {
                path: certificate_path.clone(),
                wanted: "certificate",
            })?;
        // Read as any other pair, so that a key of another authority is noticed before it signs.
        certificate::from_pem(
            provider,
            certificate_pem.as_bytes(),
            &key_pem,
            Origin {
                certificate: &certificate_path,
                key: &key_path,
            },
        )?;
        let der = PrivateKeyDer::from_pem_slice(&key_pem).map_err(|_| TlsError::Unusable {
            path: key_path.clone(),
            wanted: "private key",
        })?;
        let key = KeyPair::try_from(&der)?;
        Ok(Self {
            key_path,
            certificate_path,
            certificate_pem,
            issuer: Issuer::new(ca_params(now), key),
        })
    }

    /// The authority's certificate, for people to install.
    pub(crate) fn certificate_pem(&self) -> &str {
        &self.certificate_pem
    }

    /// A fresh leaf with a fresh key for these names; the key never touches the disk.
    pub(crate) fn issue(
        &self,
        provider: &CryptoProvider,
        names: &BTreeSet<String>,
        now: UnixMs,
    ) -> Result<Usable, TlsError> {
        if names.len() > NAMES_MAX {
            return Err(TlsError::TooManyNames { max: NAMES_MAX });
        }
        let names: Vec<String> = names.iter().cloned().collect();
        let mut params = CertificateParams::new(names).map_err(|_| TlsError::Name)?;
        params.not_before = date(now.minus_ms(BACKDATED_MS));
        params.not_after = date(now.plus_ms(LEAF_DAYS * DAY_MS));
        params.distinguished_name = named("Vaxel");
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        params.use_authority_key_identifier_extension = true;

        let key = KeyPair::generate()?;
        let leaf = params.signed_by(&key, &self.issuer)?;
        let chain = format!("{}{}", leaf.pem(), self.certificate_pem);
        certificate::from_pem(
            provider,
            chain.as_bytes(),
            key.serialize_pem().as_bytes(),
            Origin {
                certificate: &self.certificate_path,
                key: &self.key_path,
            },
        )
    }
}

fn ca_params(now: UnixMs) -> CertificateParams {
    let mut params = CertificateParams::default();
    params.not_before = date(now.minus_ms(BACKDATED_MS));
    params.not_after = date(now.plus_ms(CA_DAYS * DAY_MS));
    params.distinguished_name = named(COMMON_NAME);
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    params
}

fn create(key_path: &Path, certificate_path: &Path, now: UnixMs) -> Result<(), TlsError> {
    let key = KeyPair::generate()?;
    let certificate = ca_params(now).self_signed(&key)?;
    files::write_durably(key_path, key.serialize_pem().as_bytes(), 0o600)?;
    files::write_durably(certificate_path, certificate.pem().as_bytes(), 0o644)
}

fn named(common_name: &str) -> DistinguishedName {
    let mut name = DistinguishedName::new();
    name.push(DnType::CommonName, common_name);
    name
}

/// X.509 counts in seconds; a time past its calendar becomes the calendar's end.
pub(crate) fn date(at: UnixMs) -> OffsetDateTime {
    i64::try_from(at.as_secs())
        .ok()
        .and_then(|seconds| OffsetDateTime::from_unix_timestamp(seconds).ok())
        .unwrap_or_else(|| rcgen::date_time_ymd(4096, 1, 1))
}

/// The authority's own end, for the alarm: devices must trust a new one by then.
pub(crate) fn ends(certificate_pem: &str) -> Option<crate::Expiry> {
    let der = CertificateDer::from_pem_slice(certificate_pem.as_bytes()).ok()?;
    certificate::expiry(&der)
}
