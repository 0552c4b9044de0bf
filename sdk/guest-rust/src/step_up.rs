//! Proof of who somebody is, made on the host's own pages (a PIN, an eID) and spent here, once.

use crate::Result;

/// What was proven.
#[derive(Clone, PartialEq, Eq)]
pub struct Proof {
    /// `pin`, `bankid`, `anonymous`, … (open list).
    pub method: String,
    /// For `anonymous` the day alone.
    pub at_ms: u64,
    /// The person under this one purpose; no two purposes can be compared.
    pub pseudonym: Option<String>,
}

/// Spends the proof that came with the call, even if the call fails afterwards. `step-up-required` where none came: the
/// host then asks the person for one, and calls again.
///
/// Behind a page whose proof is `anonymous` it is spent with what this call writes, or not at all; `step-up-spent` where
/// it was spent before.
pub fn spend(purpose: &str) -> Result<Proof> {
    crate::host::spend(purpose)
}

/// Closes a purpose for ever, even if this call fails afterwards: nobody's pseudonym under it can be made or compared
/// again, and nothing can be proven for it any more.
pub fn close(purpose: &str) -> Result<()> {
    crate::host::close(purpose)
}

impl std::fmt::Debug for Proof {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Proof")
            .field("method", &self.method)
            .field("at_ms", &self.at_ms)
            .finish_non_exhaustive()
    }
}
