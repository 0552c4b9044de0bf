//! What one call used: counted while it runs, told to the ledger when it has ended.

use std::time::Duration;

use crate::ledger::Metric;
use crate::manifest::Cap;

/// Uses of one call that are written down one by one; what is more is counted.
const ACTS_MAX: usize = 64;

/// Sums that one call may add to: as many as a plugin has names for.
pub(crate) const METRICS_MAX: usize = 32;

/// What a call used up.
#[derive(Clone, Debug, Default)]
pub(crate) struct Usage {
    /// Uses of each capability, by its number.
    pub(crate) uses: [u32; Cap::COUNT],
    /// Uses that an audit names one by one, in their order.
    pub(crate) acts: Vec<Act>,
    /// Whether something was refused because the tenant did not grant it.
    pub(crate) was_refused: bool,
    /// Processor time, host functions included.
    pub(crate) processor: Duration,
    /// From the first instruction to the last, waiting for the host's answers included.
    pub(crate) wall: Duration,
    /// The largest that its memory became, in bytes.
    pub(crate) memory_bytes: usize,
    /// Operations of storage and events.
    pub(crate) storage_ops: usize,
    /// Keys and values that it wrote, in bytes, whether or not they were committed.
    pub(crate) written_bytes: usize,
    /// What it added to sums of its own.
    pub(crate) metrics: Vec<(String, Metric)>,
}

/// A use that an audit names.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Act {
    pub(crate) cap: Cap,
    /// With what: a host, a method; never data of people.
    pub(crate) what: String,
    pub(crate) is_refused: bool,
}

impl Usage {
    pub(crate) fn count(&mut self, cap: Cap) {
        if let Some(uses) = self.uses.get_mut(cap as usize) {
            *uses = uses.saturating_add(1);
        }
    }

    /// Has a use that was counted written down by itself.
    pub(crate) fn note(&mut self, cap: Cap, what: &str, is_refused: bool) {
        if self.acts.len() < ACTS_MAX {
            let what = what.to_owned();
            self.acts.push(Act {
                cap,
                what,
                is_refused,
            });
        }
    }
}
