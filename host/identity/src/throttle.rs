//! Counting attempts before they are looked at: each count is a commit of its own, taken in turns.

use std::net::IpAddr;
use std::sync::Arc;

use tokio::sync::{Mutex, OwnedMutexGuard};
use vaxel_core::{TenantId, UnixMs, UserId};
use vaxel_crypto::ErasureKey;
use vaxel_storage::Order;

use crate::IdentityError;
use crate::attempts::{ADDRESS, AttemptRow, Counts, LOGIN, PAIR, network};
use crate::audit::{AuditEntry, Outcome};
use crate::identity::Identity;
use crate::store::{ATTEMPTS, Row as _, Tx, decode};

/// Rows that one sweep looks at; a transaction takes a thousand changes.
const SWEEP_ROWS: usize = 500;

/// Addresses fall into so many lines; those of different lines never wait for each other.
const TURNS: usize = 64;

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
            .change_in_reserve(self.tenant, |tx| {
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

fn throttled(ms: u64) -> IdentityError {
    IdentityError::Throttled {
        retry_after_ms: u32::try_from(ms).unwrap_or(u32::MAX),
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
