//! Whom we trust when we call others: the machine's authorities and an operator's extra ones, judged by the one clock.

use std::fmt;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use rustls::crypto::CryptoProvider;
use rustls::time_provider::TimeProvider;
use rustls::{ClientConfig, RootCertStore};
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, UnixTime};
use vaxel_core::Clock;

use crate::{TlsError, files};

/// Trusts the machine's authorities, and those in `extra`.
pub(crate) fn client_config(
    provider: Arc<CryptoProvider>,
    extra: Option<&Path>,
    clock: Arc<dyn Clock>,
) -> Result<ClientConfig, TlsError> {
    let mut roots = RootCertStore::empty();
    let machine = rustls_native_certs::load_native_certs();
    for error in &machine.errors {
        tracing::warn!(%error, "some of this machine's authorities cannot be read");
    }
    roots.add_parsable_certificates(machine.certs);
    if let Some(path) = extra {
        add(&mut roots, path)?;
    }
    Ok(
        ClientConfig::builder_with_details(provider, Arc::new(ByClock(clock)))
            .with_safe_default_protocol_versions()?
            .with_root_certificates(roots)
            .with_no_client_auth(),
    )
}

fn add(roots: &mut RootCertStore, path: &Path) -> Result<(), TlsError> {
    let unusable = || TlsError::Unusable {
        path: path.to_owned(),
        wanted: "certificate of an authority",
    };
    let pem = files::read(path)?;
    let before = roots.len();
    for certificate in CertificateDer::pem_slice_iter(&pem) {
        let certificate = certificate.map_err(|_| unusable())?;
        roots.add(certificate).map_err(|_| unusable())?;
    }
    if roots.len() == before {
        return Err(unusable());
    }
    Ok(())
}

/// Certificates are judged by the one clock, too.
pub(crate) struct ByClock(pub(crate) Arc<dyn Clock>);

impl TimeProvider for ByClock {
    fn current_time(&self) -> Option<UnixTime> {
        let since = Duration::from_millis(self.0.now().0);
        Some(UnixTime::since_unix_epoch(since))
    }
}

impl fmt::Debug for ByClock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ByClock")
    }
}
