//! How a socket becomes live: seated at a commit, with what it missed before that commit in its hand.

use std::sync::Arc;
use std::time::Instant;

use bytes::Bytes;
use vaxel_core::{Problem, Reason, TenantId, UserId};
use vaxel_storage::{Cursor, ReplayError, Stamp, Storage};

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

/// Seats the socket and answers from where it is live.
pub(crate) async fn seat(
    storage: &Storage,
    hub: &Arc<Hub>,
    outbox: &Arc<Outbox>,
    tenant: TenantId,
    user: UserId,
) -> Result<Cursor, Problem> {
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
                return Ok(before);
            }
        }
        tokio::task::yield_now().await;
    }
    Err(Problem::new(Reason::Unavailable, "Too much is going on; try again.").retry_after_ms(500))
}

/// What this user missed between `after` and the commit at which the socket became live.
pub(crate) async fn missed(
    storage: &Storage,
    tenant: TenantId,
    user: UserId,
    after: &str,
    until: Cursor,
    max: usize,
) -> Missed {
    let Ok(after) = after.parse::<Cursor>() else {
        return Missed::Expired;
    };
    let storage = storage.clone();
    // Reads and opens up to a thousand sealed rows: too long for a thread that others wait for.
    let reading = tokio::task::spawn_blocking(move || {
        let events = storage.replay(tenant, user, after, until.stamp, max + 1)?;
        if events.len() > max {
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
