//! Counts of attempts and the waits that they turn into: by login and address together, by login, by address. Pure.

use std::net::IpAddr;

use serde::{Deserialize, Serialize};
use vaxel_core::UnixMs;
use vaxel_storage::Space;

use crate::store::{ATTEMPTS, Row};

/// How one kind of count turns into waiting.
pub(crate) struct Rule {
    /// Attempts without a success that cost nothing.
    free: u32,
    /// The longest wait.
    wait_ms_max: u64,
    /// One attempt is forgotten after so long.
    forget_ms: u64,
}

/// One login from one address: somebody guesses, or somebody forgot. Doubles from one second to a quarter of an hour.
pub(crate) const PAIR: Rule = Rule {
    free: 5,
    wait_ms_max: 15 * 60_000,
    forget_ms: 10 * 60_000,
};
/// One login from everywhere: slows a distributed guess down, but never keeps its owner out for long.
pub(crate) const LOGIN: Rule = Rule {
    free: 20,
    wait_ms_max: 30_000,
    forget_ms: 60_000,
};
/// One address at all logins: a whole office may stand behind it.
pub(crate) const ADDRESS: Rule = Rule {
    free: 100,
    wait_ms_max: 60_000,
    forget_ms: 10_000,
};

/// Who once signed in from an address is not held up by others who guess at the same login or behind the same address.
const TRUSTED_MS: u64 = 90 * 86_400_000;
/// A count that nobody added to for so long says nothing any more.
const KEPT_MS: u64 = 24 * 3_600_000;
/// A count and when it was last added to.
#[derive(Clone, Copy, Default, Serialize, Deserialize)]
pub(crate) struct AttemptRow {
    pub(crate) failures: u32,
    pub(crate) at: UnixMs,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) succeeded_at: Option<UnixMs>,
}

impl Row for AttemptRow {
    const SPACE: Space = ATTEMPTS;
    const WHAT: &'static str = "count of attempts";
}

impl AttemptRow {
    fn left(self, rule: &Rule, now: UnixMs) -> u32 {
        let forgotten = now.since(self.at) / rule.forget_ms;
        self.failures
            .saturating_sub(u32::try_from(forgotten).unwrap_or(u32::MAX))
    }

    /// How long until the next attempt is looked at.
    pub(crate) fn wait_ms(self, rule: &Rule, now: UnixMs) -> u64 {
        let Some(beyond) = self.failures.checked_sub(rule.free) else {
            return 0;
        };
        let wait = 1_000_u64
            .checked_shl(beyond.min(32))
            .unwrap_or(u64::MAX)
            .min(rule.wait_ms_max);
        self.at.plus_ms(wait).since(now)
    }

    pub(crate) fn counted(self, rule: &Rule, now: UnixMs) -> Self {
        Self {
            failures: self.left(rule, now).saturating_add(1),
            at: now,
            ..self
        }
    }

    fn is_trusted(self, now: UnixMs) -> bool {
        self.succeeded_at
            .is_some_and(|at| now.since(at) < TRUSTED_MS)
    }

    pub(crate) fn is_stale(self, now: UnixMs) -> bool {
        now.since(self.at) >= KEPT_MS && !self.is_trusted(now)
    }
}

/// The three counts that an attempt adds to.
#[derive(Default)]
pub(crate) struct Counts {
    pub(crate) pair: AttemptRow,
    pub(crate) login: AttemptRow,
    pub(crate) address: AttemptRow,
}

impl Counts {
    pub(crate) fn wait_ms(&self, now: UnixMs) -> u64 {
        let own = self.pair.wait_ms(&PAIR, now);
        if self.pair.is_trusted(now) {
            return own;
        }
        own.max(self.login.wait_ms(&LOGIN, now))
            .max(self.address.wait_ms(&ADDRESS, now))
    }
}

/// An IPv4 address, or the /64 that one IPv6 customer has at least.
pub(crate) fn network(address: IpAddr) -> [u8; 8] {
    match address.to_canonical() {
        IpAddr::V4(v4) => {
            let [a, b, c, d] = v4.octets();
            [0, 0, 0, 4, a, b, c, d]
        }
        IpAddr::V6(v6) => {
            let [a, b, c, d, e, f, g, h, ..] = v6.octets();
            [a, b, c, d, e, f, g, h]
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn after(failures: u32, rule: &Rule) -> AttemptRow {
        (0..failures).fold(AttemptRow::default(), |row, _| {
            row.counted(rule, UnixMs(1_000_000))
        })
    }

    #[test]
    fn five_attempts_are_free_and_then_the_wait_doubles_to_its_maximum() {
        let now = UnixMs(1_000_000);
        let waits: Vec<u64> = (0..10)
            .map(|n| after(n, &PAIR).wait_ms(&PAIR, now))
            .collect();
        assert_eq!(waits, [0, 0, 0, 0, 0, 1_000, 2_000, 4_000, 8_000, 16_000]);
        assert_eq!(after(1_000, &PAIR).wait_ms(&PAIR, now), PAIR.wait_ms_max);
        assert_eq!(after(1_000, &LOGIN).wait_ms(&LOGIN, now), 30_000);
    }

    #[test]
    fn attempts_are_forgotten_one_by_one() {
        let now = UnixMs(1_000_000);
        let row = after(7, &PAIR);
        assert_eq!(row.left(&PAIR, now.plus_ms(PAIR.forget_ms * 3)), 4);
        assert_eq!(row.left(&PAIR, UnixMs(u64::MAX)), 0);
    }

    #[test]
    fn a_v6_customer_is_one_address_and_a_mapped_v4_is_its_v4() {
        let a: IpAddr = "2001:db8:1:2::1".parse().unwrap();
        let b: IpAddr = "2001:db8:1:2:ffff::9".parse().unwrap();
        let c: IpAddr = "2001:db8:1:3::1".parse().unwrap();
        assert_eq!(network(a), network(b));
        assert_ne!(network(a), network(c));
        let mapped: IpAddr = "::ffff:192.0.2.7".parse().unwrap();
        assert_eq!(network(mapped), network("192.0.2.7".parse().unwrap()));
    }
}
