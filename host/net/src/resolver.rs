//! Which certificate a handshake gets: one place that can be swapped while connections come in.

use std::sync::Arc;

use arc_swap::ArcSwap;
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;

use crate::certificate::{Expiry, Usable};

/// Answers every handshake with the current certificate.
///
/// All names stand in one certificate for now. Certificates per name (ACME) come in behind this same trait, chosen
/// by the name that the client hello asks for; nothing else has to change.
#[derive(Debug)]
pub(crate) struct CurrentCertificate(ArcSwap<Usable>);

impl CurrentCertificate {
    pub(crate) fn new(usable: Usable) -> Self {
        Self(ArcSwap::from_pointee(usable))
    }

    /// From the next handshake on; open connections keep what they have.
    pub(crate) fn replace(&self, usable: Usable) {
        self.0.store(Arc::new(usable));
    }

    pub(crate) fn expiry(&self) -> Expiry {
        self.0.load().expiry
    }
}

impl ResolvesServerCert for CurrentCertificate {
    fn resolve(&self, _hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(Arc::clone(&self.0.load().key))
    }
}
