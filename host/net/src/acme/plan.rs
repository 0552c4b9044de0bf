//! When which name is ordered: the ones without a certificate first, and none again before its pause is over.

use std::collections::{BTreeMap, BTreeSet};

use vaxel_core::UnixMs;

use super::by_name::Shown;
use crate::Expiry;

const MINUTE_MS: u64 = 60_000;
const HOUR_MS: u64 = 60 * MINUTE_MS;
/// The first pause after a name failed, doubled each time: directories refuse a name that fails more than about five
/// times an hour.
const NAME_PAUSE_MS: u64 = 5 * MINUTE_MS;
const NAME_PAUSE_MAX_MS: u64 = 12 * HOUR_MS;
/// When the directory says that it was asked too often.
const LATER_PAUSE_MS: u64 = 2 * HOUR_MS;
/// The first pause after the directory itself failed, doubled each time.
const DIRECTORY_PAUSE_MS: u64 = MINUTE_MS;
const DIRECTORY_PAUSE_MAX_MS: u64 = HOUR_MS;
/// A name is never ordered more often, whatever a certificate says of its own life (clocks that differ).
const RENEWED_PAUSE_MS: u64 = HOUR_MS;
/// An order under way is left alone for this long; one that was dropped by a shutdown is begun anew after it.
const UNDER_WAY_MS: u64 = 10 * MINUTE_MS;

/// How an order ended badly.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Failed {
    /// For this name only.
    Name,
    /// For this name, and the directory wants to be left alone with it for longer.
    NameForLong,
    /// For all names.
    Directory,
}

/// Pauses of names and of the directory. Kept in memory: a restart tries everything once more.
#[derive(Debug, Default)]
pub(crate) struct Plan {
    names: BTreeMap<String, Pause>,
    directory: Pause,
}

#[derive(Clone, Copy, Debug, Default)]
struct Pause {
    failures: u32,
    until: UnixMs,
}

impl Plan {
    /// The name to order now, marked as under way.
    pub(crate) fn begin(&mut self, shown: &BTreeMap<String, Shown>, now: UnixMs) -> Option<String> {
        if now < self.directory.until {
            return None;
        }
        let due = |(name, shown): &(&String, &Shown)| {
            let paused = self.names.get(*name).is_some_and(|pause| now < pause.until);
            !paused && orderable(name) && is_due(shown, now)
        };
        let (name, _) = shown
            .iter()
            .filter(due)
            .min_by_key(|(_, shown)| (shown.ordered, shown.usable.expiry.0))?;
        self.names.entry(name.clone()).or_default().until = now.plus_ms(UNDER_WAY_MS);
        Some(name.clone())
    }

    pub(crate) fn succeeded(&mut self, name: &str, now: UnixMs) {
        self.directory = Pause::default();
        let pause = Pause {
            failures: 0,
            until: now.plus_ms(RENEWED_PAUSE_MS),
        };
        self.names.insert(name.to_owned(), pause);
    }

    pub(crate) fn failed(&mut self, name: &str, how: Failed, now: UnixMs) {
        let pause = self.names.entry(name.to_owned()).or_default();
        match how {
            // Nothing was asked for this name: it is due again as soon as the directory is.
            Failed::Directory => {
                pause.until = now;
                let (first, longest) = (DIRECTORY_PAUSE_MS, DIRECTORY_PAUSE_MAX_MS);
                self.directory.lengthen(first, longest, now);
            }
            Failed::Name => pause.lengthen(NAME_PAUSE_MS, NAME_PAUSE_MAX_MS, now),
            Failed::NameForLong => pause.lengthen(LATER_PAUSE_MS, NAME_PAUSE_MAX_MS, now),
        }
    }

    /// Forgets what is not ours any more. A new name is worth asking a directory that just failed.
    pub(crate) fn keep(&mut self, names: &BTreeSet<String>, some_are_new: bool) {
        self.names.retain(|name, _| names.contains(name));
        if some_are_new {
            self.directory.until = UnixMs::default();
        }
    }
}

impl Pause {
    fn lengthen(&mut self, first_ms: u64, longest_ms: u64, now: UnixMs) {
        let doubled = first_ms.saturating_mul(1 << self.failures.min(16));
        self.until = now.plus_ms(doubled.min(longest_ms));
        self.failures = self.failures.saturating_add(1);
    }
}

/// Whether a directory can know this name at all: this machine's own names and plain addresses stay with the local
/// authority.
pub(crate) fn orderable(name: &str) -> bool {
    name != "localhost"
        && !name.ends_with(".localhost")
        && name.parse::<std::net::IpAddr>().is_err()
}

/// A stand-in is due at once, a certificate when one third of its life is left.
fn is_due(shown: &Shown, now: UnixMs) -> bool {
    let Expiry(ends) = shown.usable.expiry;
    let third_ms = ends.since(shown.usable.begins) / 3;
    !shown.ordered || now >= ends.minus_ms(third_ms)
}
