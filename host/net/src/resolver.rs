//! Which certificate a handshake gets: one place that can be swapped while connections come in.

use std::sync::Arc;

use arc_swap::ArcSwap;
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;

use crate::certificate::{Expiry, Usable};

/// Answers every handshake with the current certificate, whatever name it asks for.
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

    pub(crate) fn key(&self) -> Arc<CertifiedKey> {
        Arc::clone(&self.0.load().key)
    }
}

impl ResolvesServerCert for CurrentCertificate {
    fn resolve(&self, _hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(self.key())
    }
}
