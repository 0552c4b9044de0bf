//! TLS towards those who call us (material from files, an ACME directory or a local authority, and the acceptor that
//! shakes hands), and the only way out for what others wrote: HTTPS under an egress policy.

mod acceptor;
mod acme;
mod certificate;
mod egress;
mod error;
mod files;
mod local_ca;
mod material;
mod mutual;
mod resolver;
mod trust;

pub use acceptor::{AcceptLimits, TlsAcceptor, TlsStream, alpn};
pub use acme::AcmeConfig;
pub use certificate::Expiry;
pub use egress::{
    Credential, Egress, EgressConfig, EgressError, Incoming, Outgoing, Resolve, Resolving,
    SystemNames, host_of, reaches,
};
pub use error::TlsError;
pub use material::{RENEW_BEFORE_DAYS, TlsMaterial};
pub use mutual::{ClientIdentity, MutualAnswer, MutualClient, MutualError};
