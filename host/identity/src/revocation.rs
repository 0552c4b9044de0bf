//! Login sessions that ended while their access tokens may still be around: in memory for every frame, stored for
//! the next start.

use tokio::sync::broadcast;
use vaxel_core::{SessionId, TenantId, UnixMs, UserId};
use vaxel_crypto::ErasureKey;
use vaxel_storage::Order;

use crate::ended::{Ended, KEPT_MS};
use crate::identity::Identity;
use crate::store::{REVOKED, SESSIONS, Store, Tx, pair};
use crate::{IdentityError, TokenError};

/// Announcements that a slow listener may be behind. Whoever lags has to ask `still_valid` for all it holds.
const BEHIND_MAX: usize = 4_096;
/// Outlived rows that go in one transaction; it takes a thousand changes.
const SWEPT_AT_ONCE: usize = 500;

/// Access that ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Revoked {
    /// In which tenant.
    pub tenant: TenantId,
    /// Whose.
    pub user: Option<UserId>,
    /// Which login session.
    pub session: Option<SessionId>,
}

/// What ended lately, and who is told.
pub(crate) struct Revocations {
    ended: Ended,
    tell: broadcast::Sender<Revoked>,
}

impl Revocations {
    pub(crate) fn load(
        store: &Store,
        tenants: impl Iterator<Item = TenantId>,
        now: UnixMs,
    ) -> Result<Self, IdentityError> {
        let ended = Ended::default();
        for tenant in tenants {
            for (key, _) in store.look(tenant, |tx| tx.all(REVOKED, b""))? {
                let (at, session) = split(&key)?;
                if now.since(at) < KEPT_MS {
                    ended.add(session, at, now);
                }
            }
        }
        Ok(Self {
            ended,
            tell: broadcast::channel(BEHIND_MAX).0,
        })
    }

    /// Whether a token of this session still counts. Takes no lock.
    pub(crate) fn check(&self, session: SessionId, issued_at: UnixMs) -> Result<(), TokenError> {
        self.ended.check(session, issued_at)
    }
}

fn split(key: &[u8]) -> Result<(UnixMs, SessionId), IdentityError> {
    let damaged = IdentityError::Damaged { what: "revocation" };
    let Some((at, session)) = key.split_first_chunk::<8>() else {
        return Err(damaged);
    };
    let Ok(session) = <[u8; 16]>::try_from(session) else {
        return Err(damaged);
    };
    Ok((
        UnixMs(u64::from_be_bytes(*at)),
        SessionId::from_bytes(session),
    ))
}

/// Notes in the transaction that a session's tokens no longer count.
pub(crate) fn note(tx: &mut Tx, session: SessionId, now: UnixMs) -> Result<(), IdentityError> {
    let key = [now.0.to_be_bytes().as_slice(), &session.to_bytes()].concat();
    tx.put_raw(REVOKED, &key, vec![1], ErasureKey::TENANT)
}

impl Identity {
    /// Ends a user's login sessions in this transaction, all but one of them. Follow it with [`Self::announce`].
    pub(crate) fn end_sessions(
        &self,
        tx: &mut Tx,
        user: UserId,
        keep: Option<SessionId>,
        now: UnixMs,
    ) -> Result<Vec<SessionId>, IdentityError> {
        let mut ended = Vec::new();
        for (key, _) in tx.all(SESSIONS, &user.to_bytes())? {
            let id = key.get(16..).and_then(|id| <[u8; 16]>::try_from(id).ok());
            let session = id
                .map(SessionId::from_bytes)
                .filter(|session| Some(*session) != keep);
            if let Some(session) = session {
                self.end_session_in(tx, user, session, now)?;
                ended.push(session);
            }
        }
        Ok(ended)
    }

    /// Ends one login session in this transaction.
    pub(crate) fn end_session_in(
        &self,
        tx: &mut Tx,
        user: UserId,
        session: SessionId,
        now: UnixMs,
    ) -> Result<(), IdentityError> {
        tx.delete(SESSIONS, &pair(user.to_bytes(), session.to_bytes()))?;
        note(tx, session, now)
    }

    /// After the commit: from here on no frame of these sessions passes.
    pub(crate) fn announce(
        &self,
        tenant: TenantId,
        user: UserId,
        ended: &[SessionId],
        now: UnixMs,
    ) {
        if ended.is_empty() {
            return;
        }
        // All of them before anybody is told of one.
        for session in ended {
            self.inner.revocations.ended.add(*session, now, now);
        }
        for session in ended {
            // Nobody listening is fine.
            let _ = self.inner.revocations.tell.send(Revoked {
                tenant,
                user: Some(user),
                session: Some(*session),
            });
        }
    }

    /// Forgets stored revocations that say nothing any more; answers how many rows went.
    pub(crate) async fn sweep_revocations(&self, tenant: TenantId) -> Result<usize, IdentityError> {
        self.inner.revocations.ended.forget(self.now());
        let mut swept = 0;
        loop {
            let now = self.now();
            let count = self
                .inner
                .store
                .change(tenant, |tx| {
                    let (rows, _) = tx.page(REVOKED, b"", None, SWEPT_AT_ONCE, Order::Ascending)?;
                    let mut count = 0;
                    for (key, _) in rows {
                        if now.since(split(&key)?.0) >= KEPT_MS {
                            tx.delete(REVOKED, &key)?;
                            count += 1;
                        }
                    }
                    Ok(count)
                })
                .await?;
            swept += count;
            if count < SWEPT_AT_ONCE {
                return Ok(swept);
            }
        }
    }

    /// Tells of every login session that ends, as it ends. Who lags behind asks `still_valid` for all it holds.
    pub fn revocations(&self) -> broadcast::Receiver<Revoked> {
        self.inner.revocations.tell.subscribe()
    }
}
