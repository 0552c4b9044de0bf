//! TLS towards those who call us: material from files or a local authority, and the acceptor that shakes hands.

mod acceptor;
mod certificate;
mod error;
mod local_ca;
mod material;
mod resolver;

pub use acceptor::{AcceptLimits, TlsAcceptor, TlsStream, alpn};
pub use certificate::Expiry;
pub use error::TlsError;
pub use material::{RENEW_BEFORE_DAYS, TlsMaterial};
