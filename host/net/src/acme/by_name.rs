//! Which certificate a handshake gets when each name has its own: the asked name's, a challenge, or none at all.

use std::collections::BTreeMap;
use std::sync::Arc;

use arc_swap::ArcSwap;
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;

use super::challenge::{self, Challenges};
use crate::certificate::Usable;
use crate::resolver::CurrentCertificate;

/// What is shown for one name.
#[derive(Clone, Debug)]
pub(crate) struct Shown {
    pub(crate) usable: Usable,
    /// From the directory, not from the local authority that stands in.
    pub(crate) ordered: bool,
}

/// The names that are ours. Whoever asks for another is refused: no certificate tells whom else we serve.
#[derive(Debug)]
pub(crate) struct ByName {
    /// For those who ask for no name: health checks, and people who type an address.
    pub(crate) own: Arc<CurrentCertificate>,
    pub(crate) names: ArcSwap<BTreeMap<String, Shown>>,
    pub(crate) challenges: Arc<Challenges>,
}

impl ByName {
    pub(crate) fn new(own: Usable) -> Self {
        Self {
            own: Arc::new(CurrentCertificate::new(own)),
            names: ArcSwap::default(),
            challenges: Arc::default(),
        }
    }

    /// A validator offers its protocol alone; everybody else is a visitor.
    pub(super) fn choose(&self, name: Option<&str>, validator: bool) -> Option<Arc<CertifiedKey>> {
        if validator {
            return self.challenges.answer(name?);
        }
        match name {
            None => Some(self.own.key()),
            Some(name) => Some(Arc::clone(&self.names.load().get(name)?.usable.key)),
        }
    }
}

impl ResolvesServerCert for ByName {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        let validator = hello.alpn().is_some_and(|mut offered| {
            offered.next() == Some(challenge::PROTOCOL) && offered.next().is_none()
        });
        self.choose(hello.server_name(), validator)
    }
}
