//! Password hashes: few at a time, known and unknown logins alike, and changing one's own.

use std::sync::Arc;

use serde::{Deserialize, Serialize};
use tokio::sync::Semaphore;
use vaxel_core::UnixMs;
use vaxel_crypto::Secret;
use vaxel_crypto::password::{self, Cost};
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
#[derive(Serialize, Deserialize)]
pub(crate) struct PasswordRow {
    pub(crate) phc: String,
    pub(crate) changed_at: UnixMs,
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
        let held = row.map(|row| row.phc);
        if !self.inner.hasher.verify(old, held.clone()).await? {
            return Err(IdentityError::BadCredentials);
        }
        let phc = self.inner.hasher.hash(new).await?;
        let me = self.clone();
        self.detached(async move {
            let now = me.now();
            let ended = me
                .inner
                .store
                .change(tenant, |tx| {
                    let user: User = tx.get(&key)?.ok_or(IdentityError::SessionGone)?;
                    let current: Option<PasswordRow> = tx.get(&key)?;
                    // Changed meanwhile, by a reset for example: then the old one was no longer the right one.
                    if !user.active || current.map(|row| row.phc) != held {
                        return Err(IdentityError::BadCredentials);
                    }
                    let row = PasswordRow {
                        phc: phc.clone(),
                        changed_at: now,
                    };
                    tx.put(&key, &row, erasure_of(user_id))?;
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
