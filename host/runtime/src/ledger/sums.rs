//! What was used, added up: over calls in memory, over days in storage.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::manifest::Cap;
use crate::outcome::{Failure, Fault};
use crate::usage::{METRICS_MAX, Usage};

/// How a piece of work ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum How {
    Done,
    Refused,
    Fault(Fault),
    Conflict,
    /// The host could not serve it.
    Host,
}

impl<T> From<&Result<T, Failure>> for How {
    fn from(ran: &Result<T, Failure>) -> Self {
        match ran {
            Ok(_) => Self::Done,
            Err(Failure::Refused(_)) => Self::Refused,
            Err(Failure::Fault(fault)) => Self::Fault(*fault),
            Err(Failure::Conflict) => Self::Conflict,
            Err(Failure::Host(_)) => Self::Host,
        }
    }
}

/// Runs, and what they used up.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct Sums {
    /// All runs, those again after a conflict among them.
    pub(crate) calls: u64,
    /// That the plugin refused in its own words.
    pub(crate) refusals: u64,
    pub(crate) faults: u64,
    /// That were run again, or given up, because somebody else was faster.
    pub(crate) conflicts: u64,
    pub(crate) processor_us: u64,
    pub(crate) wall_us: u64,
    pub(crate) memory_bytes_max: u64,
    pub(crate) storage_ops: u64,
    pub(crate) written_bytes: u64,
}

impl Sums {
    pub(crate) fn of(how: How, usage: &Usage) -> Self {
        let micros = |time: std::time::Duration| u64::try_from(time.as_micros()).unwrap_or(0);
        Self {
            calls: 1,
            refusals: u64::from(how == How::Refused),
            faults: u64::from(matches!(how, How::Fault(_))),
            conflicts: u64::from(how == How::Conflict),
            processor_us: micros(usage.processor),
            wall_us: micros(usage.wall),
            memory_bytes_max: usage.memory_bytes as u64,
            storage_ops: usage.storage_ops as u64,
            written_bytes: usage.written_bytes as u64,
        }
    }

    pub(crate) fn add(&mut self, more: &Self) {
        let pairs = [
            (&mut self.calls, more.calls),
            (&mut self.refusals, more.refusals),
            (&mut self.faults, more.faults),
            (&mut self.conflicts, more.conflicts),
            (&mut self.processor_us, more.processor_us),
            (&mut self.wall_us, more.wall_us),
            (&mut self.storage_ops, more.storage_ops),
            (&mut self.written_bytes, more.written_bytes),
        ];
        for (sum, more) in pairs {
            *sum = sum.saturating_add(more);
        }
        self.memory_bytes_max = self.memory_bytes_max.max(more.memory_bytes_max);
    }
}

/// Uses by the name of the capability: numbers may change from version to version, names do not.
pub(crate) type Uses = BTreeMap<String, u64>;

/// Adds one count to another.
pub(crate) fn add_uses(to: &mut Uses, more: impl IntoIterator<Item = (Cap, u64)>) {
    for (cap, more) in more {
        if more > 0 {
            let sum = to.entry(cap.name().to_owned()).or_default();
            *sum = sum.saturating_add(more);
        }
    }
}

/// A sum of a plugin's own.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Metric {
    /// How often it was added to.
    pub count: u64,
    /// What was added.
    pub sum: f64,
}

impl Metric {
    pub(crate) fn of(value: f64) -> Self {
        Self {
            count: 1,
            sum: value,
        }
    }

    pub(crate) fn add(&mut self, value: f64) {
        self.count = self.count.saturating_add(1);
        self.sum += value;
    }
}

/// Sums of a plugin's own, by name; at most 32.
pub(crate) type Metrics = BTreeMap<String, Metric>;

/// Adds to the sums. Answers false where a name was one too many.
pub(crate) fn add_metric(to: &mut Metrics, name: &str, more: Metric) -> bool {
    if let Some(metric) = to.get_mut(name) {
        metric.count = metric.count.saturating_add(more.count);
        metric.sum += more.sum;
        return true;
    }
    if to.len() >= METRICS_MAX {
        return false;
    }
    to.insert(name.to_owned(), more);
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sums_add_up_and_memory_is_the_largest() {
        let one = Sums {
            calls: 1,
            processor_us: 40,
            memory_bytes_max: 7,
            ..Sums::default()
        };
        let mut sum = one.clone();
        sum.add(&Sums {
            memory_bytes_max: 5,
            faults: 1,
            ..one
        });
        assert_eq!((sum.calls, sum.faults, sum.processor_us), (2, 1, 80));
        assert_eq!(sum.memory_bytes_max, 7);
    }

    #[test]
    fn a_plugin_has_sums_under_thirty_two_names() {
        let mut metrics = Metrics::new();
        let one = Metric { count: 1, sum: 2.5 };
        for n in 0..METRICS_MAX {
            assert!(add_metric(&mut metrics, &format!("m{n}"), one));
        }
        assert!(!add_metric(&mut metrics, "one_more", one));
        assert!(add_metric(&mut metrics, "m0", one));
        assert_eq!(metrics["m0"], Metric { count: 2, sum: 5.0 });
    }
}
