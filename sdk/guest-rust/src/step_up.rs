//! Proof of who somebody is, made on the host's own pages (a PIN, an eID) and spent here, once.

use crate::Result;

/// What was proven.
#[derive(Clone, PartialEq, Eq)]
pub struct Proof {
    /// `pin`, `bankid`, … (open list).
    pub method: String,
    pub at_ms: u64,
    /// The person under this one purpose; no two purposes can be compared.
    pub pseudonym: Option<String>,
}

/// Spends the proof that came with the call, even if the call fails afterwards. `step-up-required` where none came: the
/// host then asks the person for one, and calls again.
pub fn spend(purpose: &str) -> Result<Proof> {
    crate::host::spend(purpose)
}

impl std::fmt::Debug for Proof {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Proof")
            .field("method", &self.method)
            .field("at_ms", &self.at_ms)
            .finish_non_exhaustive()
    }
}
