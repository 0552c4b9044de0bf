//! What one call used: counted while it runs, told to the ledger when it has ended.

use std::time::Duration;

use crate::manifest::Cap;

/// What a call used up.
#[derive(Clone, Debug, Default)]
pub(crate) struct Usage {
    /// Uses of each capability, by its number.
    pub(crate) uses: [u32; Cap::COUNT],
    /// Whether something was refused because the tenant did not grant it.
    pub(crate) was_refused: bool,
    /// Processor time, host functions included.
    pub(crate) processor: Duration,
    /// The largest that its memory became, in bytes.
    pub(crate) memory_bytes: usize,
}

impl Usage {
    pub(crate) fn count(&mut self, cap: Cap) {
        if let Some(uses) = self.uses.get_mut(cap as usize) {
            *uses = uses.saturating_add(1);
        }
    }
}
