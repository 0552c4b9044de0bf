//! What can go wrong with the gateway as a whole; what goes wrong with one request is a problem document.

use vaxel_core::Reason;

/// Why the gateway does not serve.
#[derive(Debug, thiserror::Error)]
pub enum GatewayError {
    /// A host method has a schema that does not compile.
    #[error("the schema of method {0} does not compile")]
    Schema(&'static str),
}

impl GatewayError {
    /// What it amounts to.
    pub const fn reason(&self) -> Reason {
        match self {
            Self::Schema(_) => Reason::Internal,
        }
    }
}
