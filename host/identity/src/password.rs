//! Password hashes: few at a time, known and unknown logins alike, renewed when they should cost more, and changing
//! one's own.

use std::sync::Arc;

use serde::{Deserialize, Serialize};
use tokio::sync::Semaphore;
use vaxel_core::{TenantId, UnixMs, UserId};
use vaxel_crypto::password::{self, Cost};
use vaxel_crypto::{Secret, random_bytes};
use vaxel_storage::Space;

use crate::identity::{Identity, blocking};
use crate::store::{PASSWORDS, Row, erasure_of};
use crate::throttle::Attempt;
use crate::token::Claims;
use crate::user::User;
use crate::{IdentityConfig, IdentityError, names};

/// Passwords that may wait for their turn: at some 30 ms each, nobody waits longer than a few seconds.
const WAITING_MAX: usize = 128;

/// The hash of a user's password.
#[derive(Clone, Serialize, Deserialize)]
pub(crate) struct PasswordRow {
    pub(crate) phc: String,
    pub(crate) changed_at: UnixMs,
    /// Another for each password that is set. The same password hashed anew keeps it.
    #[serde(default)]
    mark: u64,
}

impl PasswordRow {
    pub(crate) fn new(phc: String, changed_at: UnixMs) -> Self {
        Self {
            phc,
            changed_at,
            mark: u64::from_be_bytes(random_bytes()),
        }
    }

    /// Whether both are of one password, however often it was hashed.
    pub(crate) fn is_same_password(&self, other: &Self) -> bool {
        self.mark == other.mark && self.changed_at == other.changed_at
    }

    /// Whether it costs what a hash costs today; the cost stands in front of every hash.
    fn costs(&self, cost: Cost) -> bool {
        let (memory_kib, passes) = (cost.memory_kib, cost.passes);
        let begins = format!("$argon2id$v=19$m={memory_kib},t={passes},p=1$");
        self.phc.starts_with(&begins)
    }
}

impl Row for PasswordRow {
    const SPACE: Space = PASSWORDS;
    const WHAT: &'static str = "password";
}

/// Computes hashes, a few at a time.
pub(crate) struct Hasher {
    cost: Cost,
    turns: Arc<Semaphore>,
    waiting: Semaphore,
}

impl Hasher {
    pub(crate) fn new(config: &IdentityConfig) -> Self {
        Self {
            cost: config.password_cost,
            turns: Arc::new(Semaphore::new(config.hashes_at_once.max(1))),
            waiting: Semaphore::new(WAITING_MAX),
        }
    }

    async fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce(Cost) -> Result<T, IdentityError> + Send + 'static,
    ) -> Result<T, IdentityError> {
        let cost = self.cost;
        let turn = {
            let _place = self
                .waiting
                .try_acquire()
                .map_err(|_| IdentityError::Busy)?;
            Arc::clone(&self.turns)
                .acquire_owned()
                .await
                .map_err(|_| IdentityError::Busy)?
        };
        // The turn goes along: if the caller leaves, the work goes on and so must the count of it.
        blocking(move || {
            let _turn = turn;
            work(cost)
        })
        .await
    }

    /// Whether this one should be hashed anew.
    pub(crate) fn is_outdated(&self, row: &PasswordRow) -> bool {
        !row.costs(self.cost)
    }

    pub(crate) async fn hash(&self, password: Secret<String>) -> Result<String, IdentityError> {
        self.run(move |cost| Ok(password::hash(password.expose(), cost)?))
            .await
    }

    /// Whether it is the password. Takes as long where there is none.
    pub(crate) async fn verify(
        &self,
        password: Secret<String>,
        phc: Option<String>,
    ) -> Result<bool, IdentityError> {
        self.run(move |cost| {
            Ok(if let Some(phc) = phc {
                password::verify(password.expose(), &phc)
            } else {
                password::dummy_verify(password.expose(), cost);
                false
            })
        })
        .await
    }
}

impl Identity {
    /// Hashes a password that was just found right at today's cost, unless it was changed meanwhile.
    pub(crate) async fn renew_hash(
        &self,
        tenant: TenantId,
        user: UserId,
        password: Secret<String>,
        found: &PasswordRow,
    ) -> Result<(), IdentityError> {
        let phc = self.inner.hasher.hash(password).await?;
        let key = user.to_bytes();
        self.inner
            .store
            .change(tenant, |tx| {
                let held: Option<PasswordRow> = tx.get(&key)?;
                if let Some(mut row) = held.filter(|held| held.is_same_password(found)) {
                    row.phc.clone_from(&phc);
                    tx.put(&key, &row, erasure_of(user))?;
                }
                Ok(())
            })
            .await
    }

    /// Gives the caller another password and ends their other login sessions. Wrong old passwords are counted.
    pub async fn change_password(
        &self,
        claims: &Claims,
        old: Secret<String>,
        new: Secret<String>,
    ) -> Result<(), IdentityError> {
        let (tenant, user_id, session) = (claims.tenant, claims.user, claims.session);
        let key = user_id.to_bytes();
        let (user, row): (Option<User>, Option<PasswordRow>) = self
            .inner
            .store
            .look(tenant, |tx| Ok((tx.get(&key)?, tx.get(&key)?)))?;
        let user = user.ok_or(IdentityError::SessionGone)?;
        names::password(
            new.expose(),
            &user.login,
            self.inner.config.password_chars_min,
        )?;

        let attempt = Attempt::of_user(self, tenant, user_id)?;
        attempt.count(self).await?;
        let phc = row.as_ref().map(|row| row.phc.clone());
        if !self.inner.hasher.verify(old, phc).await? {
            return Err(IdentityError::BadCredentials);
        }
        let phc = self.inner.hasher.hash(new).await?;
        let me = self.clone();
        self.detached(async move {
            let now = me.now();
            let ended = me
                .inner
                .store
                .change_in_reserve(tenant, |tx| {
                    let user: User = tx.get(&key)?.ok_or(IdentityError::SessionGone)?;
                    let current: Option<PasswordRow> = tx.get(&key)?;
                    // Changed meanwhile, by a reset for example: then the old one was no longer the right one.
                    let is_same = current
                        .zip(row.as_ref())
                        .is_some_and(|(current, row)| current.is_same_password(row));
                    if !user.active || !is_same {
                        return Err(IdentityError::BadCredentials);
                    }
                    let fresh = PasswordRow::new(phc.clone(), now);
                    tx.put(&key, &fresh, erasure_of(user_id))?;
                    attempt.forgive(tx, now)?;
                    me.end_sessions(tx, user_id, Some(session), now)
                })
                .await?;
            me.announce(tenant, user_id, &ended, now);
            Ok(())
        })
        .await
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use vaxel_core::{Clock, Locale, LogAlarms, SimClock};
    use vaxel_crypto::{Keyring, MasterKey};
    use vaxel_storage::{Storage, StorageConfig};

    use super::*;
    use crate::{NewTenant, NewUser};

    const PASSWORD: &str = "rätt häst batteri";
    const DEARER: Cost = Cost {
        memory_kib: 16,
        passes: 2,
    };

    async fn open(dir: &Path, master: &MasterKey, cost: Cost) -> (Storage, Identity) {
        let clock: Arc<dyn Clock> = Arc::new(SimClock::at(UnixMs(1_800_000_000_000)));
        let mut config = StorageConfig::new(dir);
        (config.segment_bytes, config.free_bytes_min) = (4 << 20, 0);
        let keyring = Arc::new(Keyring::open(&dir.join("keys"), master.clone()).unwrap());
        let alarms = Arc::new(LogAlarms);
        let storage =
            Storage::open(config, Arc::clone(&keyring), Arc::clone(&clock), alarms).unwrap();
        let config = IdentityConfig {
            password_cost: cost,
            // So that hashes come in the order in which they were asked for.
            hashes_at_once: 1,
            ..IdentityConfig::default()
        };
        let identity = Identity::open(storage.clone(), keyring, clock, config).await;
        (storage, identity.unwrap())
    }

    async fn log_in(
        identity: &Identity,
        tenant: TenantId,
        login: &str,
        password: &str,
    ) -> Result<(), IdentityError> {
        let (password, address) = (Secret::new(password.to_owned()), [192, 0, 2, 1].into());
        let signed_in = identity.login(tenant, login, password, "test", address);
        signed_in.await.map(drop)
    }

    fn row(identity: &Identity, tenant: TenantId, user: UserId) -> PasswordRow {
        let store = &identity.inner.store;
        let row = store.look(tenant, |tx| tx.get::<PasswordRow>(&user.to_bytes()));
        row.unwrap().unwrap()
    }

    /// Ends with the hash renewed, or with the test runner's patience.
    async fn renewed(identity: &Identity, tenant: TenantId, user: UserId) -> PasswordRow {
        loop {
            let row = row(identity, tenant, user);
            if row.costs(DEARER) {
                return row;
            }
            tokio::task::yield_now().await;
        }
    }

    /// Two people whose passwords were hashed cheaply, at a server that now wants more.
    async fn cheap_people(dir: &Path) -> (Identity, TenantId, [UserId; 2]) {
        let master = MasterKey::generate();
        let (storage, identity) = open(dir, &master, Cost::CHEAP).await;
        let new = NewTenant {
            slug: "acme".to_owned(),
            name: "Acme".to_owned(),
            hosts: vec!["acme.example".to_owned()],
            locale: Locale::Sv,
        };
        let tenant = identity.create_tenant(new).await.unwrap().id;
        let mut people = Vec::new();
        for login in ["anna", "bertil"] {
            let new = NewUser {
                login: login.to_owned(),
                display_name: login.to_owned(),
                email: None,
                password: Some(Secret::new(PASSWORD.to_owned())),
                admin: false,
                locale: Locale::Sv,
            };
            people.push(identity.create_user(tenant, new).await.unwrap().id);
        }
        drop(identity);
        storage.close().await;
        let (_, identity) = open(dir, &master, DEARER).await;
        (identity, tenant, people.try_into().unwrap())
    }

    #[tokio::test]
    async fn a_right_password_is_hashed_anew_when_hashes_cost_more_and_a_wrong_one_is_not() {
        let dir = tempfile::tempdir().unwrap();
        let (identity, tenant, [anna, bertil]) = cheap_people(dir.path()).await;
        let before = row(&identity, tenant, bertil);
        assert!(log_in(&identity, tenant, "bertil", "fel").await.is_err());
        log_in(&identity, tenant, "anna", PASSWORD).await.unwrap();
        let after = renewed(&identity, tenant, anna).await;
        // Hashes are computed one after the other: one of Bertil's would be there by now.
        assert_eq!(row(&identity, tenant, bertil).phc, before.phc);
        log_in(&identity, tenant, "anna", PASSWORD).await.unwrap();
        log_in(&identity, tenant, "bertil", PASSWORD).await.unwrap();
        renewed(&identity, tenant, bertil).await;
        let again = row(&identity, tenant, anna);
        assert_eq!(again.phc, after.phc, "what costs enough stays");
        assert!(log_in(&identity, tenant, "anna", "fel").await.is_err());
    }

    #[tokio::test]
    async fn a_login_under_way_still_counts_while_the_hash_is_renewed() {
        let dir = tempfile::tempdir().unwrap();
        let (identity, tenant, [anna, _]) = cheap_people(dir.path()).await;
        let mut devices = tokio::task::JoinSet::new();
        for _ in 0..4 {
            let identity = identity.clone();
            devices.spawn(async move { log_in(&identity, tenant, "anna", PASSWORD).await });
        }
        while let Some(device) = devices.join_next().await {
            device.unwrap().unwrap();
        }
        renewed(&identity, tenant, anna).await;
    }

    #[tokio::test]
    async fn a_password_set_meanwhile_is_not_undone_by_the_former_one() {
        let dir = tempfile::tempdir().unwrap();
        let (identity, tenant, [anna, _]) = cheap_people(dir.path()).await;
        let found = row(&identity, tenant, anna);
        // At the same moment by the clock, so that only the mark tells them apart.
        let newer = PasswordRow::new("another".to_owned(), found.changed_at);
        let store = &identity.inner.store;
        let put = |tx: &mut crate::store::Tx| tx.put(&anna.to_bytes(), &newer, erasure_of(anna));
        store.change(tenant, put).await.unwrap();
        let password = Secret::new(PASSWORD.to_owned());
        let outcome = identity.renew_hash(tenant, anna, password, &found).await;
        outcome.unwrap();
        assert_eq!(row(&identity, tenant, anna).phc, "another");
    }

    #[test]
    fn our_own_hashes_are_seen_as_what_they_cost() {
        for cost in [Cost::CHEAP, DEARER] {
            let row = PasswordRow::new(password::hash(PASSWORD, cost).unwrap(), UnixMs(1));
            assert!(row.costs(cost), "or every login would hash anew");
            assert!(!row.costs(Cost::default()));
        }
    }
}
