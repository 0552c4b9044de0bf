//! Counting attempts: by login and address together, by login, by address. The sums are pure; counting is a commit.

use std::net::IpAddr;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use tokio::sync::{Mutex, OwnedMutexGuard};
use vaxel_core::{TenantId, UnixMs, UserId};
use vaxel_crypto::ErasureKey;
use vaxel_storage::{Order, Space};

use crate::IdentityError;
use crate::audit::{AuditEntry, Outcome};
use crate::identity::Identity;
use crate::store::{ATTEMPTS, Row, Tx, decode};

/// How one kind of count turns into waiting.
struct Rule {
    /// Attempts without a success that cost nothing.
    free: u32,
    /// The longest wait.
    wait_ms_max: u64,
    /// One attempt is forgotten after so long.
    forget_ms: u64,
}

/// One login from one address: somebody guesses, or somebody forgot. Doubles from one second to a quarter of an hour.
const PAIR: Rule = Rule {
    free: 5,
    wait_ms_max: 15 * 60_000,
    forget_ms: 10 * 60_000,
};
/// One login from everywhere: slows a distributed guess down, but never keeps its owner out for long.
const LOGIN: Rule = Rule {
    free: 20,
    wait_ms_max: 30_000,
    forget_ms: 60_000,
};
/// One address at all logins: a whole office may stand behind it.
const ADDRESS: Rule = Rule {
    free: 100,
    wait_ms_max: 60_000,
    forget_ms: 10_000,
};

/// Who once signed in from an address is not held up by others who guess at the same login.
const TRUSTED_MS: u64 = 90 * 86_400_000;
/// A count that nobody added to for so long says nothing any more.
const KEPT_MS: u64 = 24 * 3_600_000;
/// Rows that one sweep looks at; a transaction takes a thousand changes.
const SWEEP_ROWS: usize = 500;

/// Addresses fall into so many lines; those of different lines never wait for each other.
const TURNS: usize = 64;

/// A count and when it was last added to.
#[derive(Clone, Copy, Default, Serialize, Deserialize)]
struct AttemptRow {
    failures: u32,
    at: UnixMs,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    succeeded_at: Option<UnixMs>,
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
    fn wait_ms(self, rule: &Rule, now: UnixMs) -> u64 {
        let Some(beyond) = self.failures.checked_sub(rule.free) else {
            return 0;
        };
        let wait = 1_000_u64
            .checked_shl(beyond.min(32))
            .unwrap_or(u64::MAX)
            .min(rule.wait_ms_max);
        self.at.plus_ms(wait).since(now)
    }

    fn counted(self, rule: &Rule, now: UnixMs) -> Self {
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

    fn is_stale(self, now: UnixMs) -> bool {
        now.since(self.at) >= KEPT_MS && !self.is_trusted(now)
    }
}

/// Who waits for whom when counting.
pub(crate) struct Turns([Arc<Mutex<()>>; TURNS]);

impl Default for Turns {
    fn default() -> Self {
        Self(std::array::from_fn(|_| Arc::default()))
    }
}

impl Turns {
    fn of(&self, byte: u8) -> &Arc<Mutex<()>> {
        let Self(turns) = self;
        let [first, ..] = turns;
        turns.get(usize::from(byte) % TURNS).unwrap_or(first)
    }
}

/// One attempt, by the blinded names that it counts under.
#[derive(Clone)]
pub(crate) struct Attempt {
    tenant: TenantId,
    pair: [u8; 32],
    login: Option<[u8; 32]>,
    address: Option<[u8; 32]>,
}

impl Attempt {
    /// Signing in. `login` may be anything that somebody typed.
    pub(crate) fn of_login(
        identity: &Identity,
        tenant: TenantId,
        login: &str,
        address: IpAddr,
    ) -> Result<Self, IdentityError> {
        let network = network(address);
        let both = [network.as_slice(), login.as_bytes()].concat();
        let blind = |purpose, data: &[u8]| identity.inner.keyring.blind(tenant, purpose, data);
        Ok(Self {
            tenant,
            pair: blind("attempt-pair", &both)?,
            login: Some(blind("attempt-login", login.as_bytes())?),
            address: Some(blind("attempt-address", &network)?),
        })
    }

    /// Saying one's own password again while signed in.
    pub(crate) fn of_user(
        identity: &Identity,
        tenant: TenantId,
        user: UserId,
    ) -> Result<Self, IdentityError> {
        let pair = identity
            .inner
            .keyring
            .blind(tenant, "attempt-user", &user.to_bytes())?;
        Ok(Self {
            tenant,
            pair,
            login: None,
            address: None,
        })
    }

    /// One after the other for whoever shares an address: an office that comes back at once counts on the same row,
    /// and taking turns is cheaper than conflicts.
    pub(crate) async fn turn(&self, identity: &Identity) -> OwnedMutexGuard<()> {
        let [first, ..] = self.address.unwrap_or(self.pair);
        Arc::clone(identity.inner.turns.of(first))
            .lock_owned()
            .await
    }

    /// Counts the attempt before it is looked at, so that many at once cannot all slip through. Commits on its own.
    pub(crate) async fn count(&self, identity: &Identity) -> Result<(), IdentityError> {
        let now = identity.now();
        // Already waiting: answered without touching the disk, however often it is asked.
        let waits = identity
            .inner
            .store
            .look(self.tenant, |tx| Ok(self.read(tx)?.wait_ms(now)))?;
        if waits > 0 {
            return Err(throttled(waits));
        }
        let _turn = self.turn(identity).await;
        let waits = identity
            .inner
            .store
            .change(self.tenant, |tx| {
                let counts = self.read(tx)?;
                let waits = counts.wait_ms(now);
                if waits == 0 {
                    let began = self.add(tx, &counts, now)?;
                    if began {
                        tx.append(&AuditEntry::anonymous(
                            now,
                            "session.login",
                            Outcome::Throttled,
                        ))?;
                    }
                }
                Ok(waits)
            })
            .await?;
        if waits > 0 {
            Err(throttled(waits))
        } else {
            Ok(())
        }
    }

    /// The attempt was a success: its own count is over, and what it added to the others is taken back.
    pub(crate) fn forgive(&self, tx: &mut Tx, now: UnixMs) -> Result<(), IdentityError> {
        let pair = AttemptRow {
            failures: 0,
            at: now,
            succeeded_at: Some(now),
        };
        tx.put(&self.pair, &pair, ErasureKey::TENANT)?;
        for key in [self.login, self.address].into_iter().flatten() {
            if let Some(mut row) = tx.get::<AttemptRow>(&key)? {
                row.failures = row.failures.saturating_sub(1);
                tx.put(&key, &row, ErasureKey::TENANT)?;
            }
        }
        Ok(())
    }

    fn read(&self, tx: &mut Tx) -> Result<Counts, IdentityError> {
        let mut row = |key: Option<[u8; 32]>| match key {
            Some(key) => Ok::<_, IdentityError>(tx.get(&key)?.unwrap_or_default()),
            None => Ok(AttemptRow::default()),
        };
        Ok(Counts {
            pair: row(Some(self.pair))?,
            login: row(self.login)?,
            address: row(self.address)?,
        })
    }

    /// Answers whether the next attempt will have to wait.
    fn add(&self, tx: &mut Tx, counts: &Counts, now: UnixMs) -> Result<bool, IdentityError> {
        let after = Counts {
            pair: counts.pair.counted(&PAIR, now),
            login: counts.login.counted(&LOGIN, now),
            address: counts.address.counted(&ADDRESS, now),
        };
        tx.put(&self.pair, &after.pair, ErasureKey::TENANT)?;
        if let Some(key) = self.login {
            tx.put(&key, &after.login, ErasureKey::TENANT)?;
        }
        if let Some(key) = self.address {
            tx.put(&key, &after.address, ErasureKey::TENANT)?;
        }
        Ok(after.wait_ms(now) > 0)
    }
}

struct Counts {
    pair: AttemptRow,
    login: AttemptRow,
    address: AttemptRow,
}

impl Counts {
    fn wait_ms(&self, now: UnixMs) -> u64 {
        let by_login = if self.pair.is_trusted(now) {
            0
        } else {
            self.login.wait_ms(&LOGIN, now)
        };
        self.pair
            .wait_ms(&PAIR, now)
            .max(by_login)
            .max(self.address.wait_ms(&ADDRESS, now))
    }
}

fn throttled(ms: u64) -> IdentityError {
    IdentityError::Throttled {
        retry_after_ms: u32::try_from(ms).unwrap_or(u32::MAX),
    }
}

/// An IPv4 address, or the /64 that one IPv6 customer has at least.
fn network(address: IpAddr) -> [u8; 8] {
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

impl Identity {
    /// Forgets counts that say nothing any more; answers how many rows went.
    pub(crate) async fn sweep_attempts(&self, tenant: TenantId) -> Result<usize, IdentityError> {
        let mut swept = 0;
        let mut after: Option<Vec<u8>> = None;
        loop {
            let now = self.now();
            let (count, next) = self
                .inner
                .store
                .change(tenant, |tx| {
                    let (rows, next) = tx.page(
                        ATTEMPTS,
                        b"",
                        after.as_deref(),
                        SWEEP_ROWS,
                        Order::Ascending,
                    )?;
                    let mut count = 0;
                    for (key, bytes) in rows {
                        if decode::<AttemptRow>(&bytes, AttemptRow::WHAT)?.is_stale(now) {
                            tx.delete(ATTEMPTS, &key)?;
                            count += 1;
                        }
                    }
                    Ok((count, next))
                })
                .await?;
            swept += count;
            match next {
                Some(key) => after = Some(key),
                None => return Ok(swept),
            }
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
