//! How a socket becomes live: seated at a commit, with what it missed before that commit in its hand.

use std::sync::Arc;
use std::time::Instant;

use bytes::Bytes;
use vaxel_core::{Problem, Reason, TenantId, UserId};
use vaxel_storage::{AudienceId, Cursor, ReplayError, Stamp, Storage};

use super::hub::Hub;
use crate::socket::frame;
use crate::socket::outbox::Outbox;

/// How often a seat is tried for while commits rush past, before the commits are made to wait.
const TRIES_MAX: usize = 16;

/// What a returning socket is sent before it is live.
pub(crate) enum Missed {
    /// It did not ask.
    Unasked,
    /// These frames, oldest first.
    Events(Vec<(Stamp, Bytes)>),
    /// Too much, or too long ago: the client fetches anew.
    Expired,
}

/// A socket's place: from where it is live, and what its user was a member of there.
pub(crate) struct Seated {
    pub(crate) live: Cursor,
    pub(crate) memberships: Vec<(AudienceId, Stamp)>,
}

/// Seats the socket and answers from where it is live.
pub(crate) async fn seat(
    storage: &Storage,
    hub: &Arc<Hub>,
    outbox: &Arc<Outbox>,
    tenant: TenantId,
    user: UserId,
) -> Result<Seated, Problem> {
    for _ in 0..TRIES_MAX {
        let before = storage.cursor(tenant);
        let memberships = storage
            .audiences_of(tenant, user)
            .map_err(|error| fault(&error))?;
        // Read between two equal positions, the memberships are exactly those of that commit.
        let steady = storage.cursor(tenant).stamp.seq == before.stamp.seq;
        if steady {
            let at = before.stamp.seq;
            if hub
                .register(outbox, user, &memberships, at, Instant::now())
                .is_ok()
            {
                return Ok(Seated {
                    live: before,
                    memberships,
                });
            }
        }
        tokio::task::yield_now().await;
    }
    Err(Problem::new(Reason::Unavailable, "Too much is going on; try again.").retry_after_ms(500))
}

/// What this user missed between `after` and the commit at which the socket became live.
///
/// A replay brings what the user may see when it is read. Of an audience that they left since they were seated it
/// brings nothing, while the line brings what happened there up to the leave: a hole, so the client fetches anew.
pub(crate) async fn missed(
    storage: &Storage,
    tenant: TenantId,
    user: UserId,
    after: &str,
    seated: &Seated,
    max: usize,
) -> Missed {
    let Ok(after) = after.parse::<Cursor>() else {
        return Missed::Expired;
    };
    let (storage, until, before) = (storage.clone(), seated.live, seated.memberships.clone());
    // Reads and opens up to a thousand sealed rows: too long for a thread that others wait for.
    let reading = tokio::task::spawn_blocking(move || {
        let events = storage.replay(tenant, user, after, until.stamp, max + 1)?;
        if events.len() > max {
            return Err(ReplayError::Expired);
        }
        // A place that was left and taken again was joined at another stamp.
        let still = storage.audiences_of(tenant, user)?;
        if !before.iter().all(|membership| still.contains(membership)) {
            return Err(ReplayError::Expired);
        }
        Ok(events
            .iter()
            .map(|event| (event.stamp, frame::event(until.epoch, event)))
            .collect::<Vec<_>>())
    });
    match reading.await {
        Ok(Ok(frames)) => Missed::Events(frames),
        Ok(Err(ReplayError::Expired)) => Missed::Expired,
        Ok(Err(error)) => {
            tracing::error!(%error, tenant.id = %tenant, "cannot replay missed events");
            Missed::Expired
        }
        Err(error) => {
            tracing::error!(%error, tenant.id = %tenant, "cannot replay missed events");
            Missed::Expired
        }
    }
}

fn fault(error: &vaxel_storage::StorageError) -> Problem {
    tracing::error!(%error, "cannot read a user's audiences");
    Problem::from(error.reason())
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use vaxel_core::{Clock, LogAlarms, SimClock, UnixMs};
    use vaxel_crypto::{Keyring, MasterKey};
    use vaxel_storage::{ErasureKey, Space, StorageConfig};

    use super::*;
    use crate::socket::outbox::Room;

    const SPACE: Space = Space::host(0x41);
    const ROOM: Room = Room {
        frames: 100,
        bytes: 100_000,
    };

    fn open(dir: &Path, tenant: TenantId) -> Storage {
        let clock: Arc<dyn Clock> = Arc::new(SimClock::at(UnixMs(1_800_000_000_000)));
        let mut config = StorageConfig::new(dir);
        (config.segment_bytes, config.free_bytes_min) = (4 << 20, 0);
        let keyring = Keyring::open(&dir.join("keys"), MasterKey::generate()).unwrap();
        keyring.create_tenant(tenant).unwrap();
        Storage::open(config, Arc::new(keyring), clock, Arc::new(LogAlarms)).unwrap()
    }

    /// Joins or leaves, and says so to the audience in the same commit.
    async fn moves(storage: &Storage, tenant: TenantId, user: UserId, audience: &str, joins: bool) {
        let mut tx = storage.begin(tenant);
        if joins {
            tx.join(SPACE, audience, user).unwrap();
        } else {
            tx.leave(SPACE, audience, user).unwrap();
        }
        tx.publish(SPACE, audience, "test", b"{}".to_vec(), ErasureKey::TENANT)
            .unwrap();
        storage.commit(tx).await.unwrap();
    }

    fn count(missed: &Missed) -> Option<usize> {
        match missed {
            Missed::Events(events) => Some(events.len()),
            Missed::Expired | Missed::Unasked => None,
        }
    }

    #[tokio::test]
    async fn who_leaves_while_being_seated_fetches_anew_instead_of_missing_something() {
        let dir = tempfile::tempdir().unwrap();
        let (tenant, anna) = (TenantId::from_u128(1), UserId::from_u128(1));
        let storage = open(dir.path(), tenant);
        let hub = Arc::new(Hub::new(storage.cursor(tenant).epoch));
        let outbox = Outbox::new(1, ROOM, 0);
        let start = storage.cursor(tenant).to_string();
        moves(&storage, tenant, anna, "one", true).await;
        moves(&storage, tenant, anna, "two", true).await;
        let seated = seat(&storage, &hub, &outbox, tenant, anna).await.unwrap();
        let missed_now = || missed(&storage, tenant, anna, &start, &seated, 100);
        assert_eq!(count(&missed_now().await), Some(2));

        // A join since then is on the line, not in the replay.
        moves(&storage, tenant, anna, "three", true).await;
        assert_eq!(count(&missed_now().await), Some(2));
        moves(&storage, tenant, anna, "one", false).await;
        assert_eq!(count(&missed_now().await), None);
        // Back again is another membership, with nothing of the time between.
        moves(&storage, tenant, anna, "one", true).await;
        assert_eq!(count(&missed_now().await), None);

        let again = Outbox::new(2, ROOM, 0);
        let seated = seat(&storage, &hub, &again, tenant, anna).await.unwrap();
        let replayed = missed(&storage, tenant, anna, &start, &seated, 100).await;
        assert_eq!(
            count(&replayed),
            Some(3),
            "who is seated after it misses nothing"
        );
        storage.close().await;
    }
}
