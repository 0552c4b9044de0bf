//! TLS towards those who call us: material from files, an ACME directory or a local authority, and the acceptor that
//! shakes hands.

mod acceptor;
mod acme;
mod certificate;
mod error;
mod files;
mod local_ca;
mod material;
mod resolver;

pub use acceptor::{AcceptLimits, TlsAcceptor, TlsStream, alpn};
pub use acme::AcmeConfig;
pub use certificate::Expiry;
pub use error::TlsError;
pub use material::{RENEW_BEFORE_DAYS, TlsMaterial};
