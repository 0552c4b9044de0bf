//! How a socket becomes live: seated at a commit, with what it missed before that commit in its hand.

use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use vaxel_core::{Problem, Reason, TenantId, UserId};
use vaxel_storage::{AudienceId, Cursor, ReplayError, Space, Stamp, Storage, StorageError};

use super::hub::{Hub, Turn};
use crate::socket::frame;
use crate::socket::outbox::Outbox;

/// How often a seat is tried for between two commits, before the socket takes its turn among them.
const TRIES_MAX: usize = 4;

/// How long a turn may take: that of a commit and of the fan-out behind it. Longer only where one of them stands still.
const TURN_WAIT: Duration = Duration::from_secs(10);

/// Where turns are published. Nothing is stored here.
const TURNS: Space = Space::host(0x42);

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

/// Seats the socket and answers from where it is live: at once where the tenant is still for a moment, else in turn.
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
        let at = before.stamp.seq;
        if storage.is_newest(tenant, at)
            && hub
                .register(outbox, user, &memberships, at, Instant::now())
                .is_ok()
        {
            return Ok(Seated {
                live: before,
                memberships,
            });
        }
        tokio::task::yield_now().await;
    }
    seat_in_turn(storage, hub, outbox, tenant, user).await
}

/// Seats the socket among the commits: an event of its own goes through the same log and the same line as they do, and
/// where it comes by the hub knows exactly what the user is a member of.
async fn seat_in_turn(
    storage: &Storage,
    hub: &Arc<Hub>,
    outbox: &Arc<Outbox>,
    tenant: TenantId,
    user: UserId,
) -> Result<Seated, Problem> {
    let name = format!("turn/{}", outbox.id());
    let turn = storage
        .audience_id(tenant, TURNS, &name)
        .map_err(|error| fault(&error))?;
    let told = hub.arrive(turn, outbox, user);
    let mut arrival = Arrival {
        hub,
        outbox,
        user,
        turn,
        seated: false,
    };
    let memberships = storage
        .audiences_of(tenant, user)
        .map_err(|error| fault(&error))?;
    hub.read(turn, &memberships);
    let mut tx = storage.begin(tenant);
    tx.publish_ephemeral(TURNS, &name, "turn", Bytes::from_static(b"null"))
        .map_err(|error| fault(&error))?;
    let came = tokio::time::timeout(TURN_WAIT, async {
        storage.commit(tx).await.map_err(|error| fault(&error))?;
        told.await.map_err(|_| Problem::from(Reason::Unavailable))
    });
    let Turn { at, memberships } = came.await.unwrap_or_else(|_| {
        let late = Problem::new(Reason::Unavailable, "Too much is going on; try again.");
        Err(late.retry_after_ms(500))
    })?;
    arrival.seated = true;
    let live = Cursor {
        epoch: storage.cursor(tenant).epoch,
        stamp: Stamp::end_of(at),
    };
    Ok(Seated { live, memberships })
}

/// A socket on its way to its seat; one that goes away meanwhile leaves nothing behind.
struct Arrival<'a> {
    hub: &'a Hub,
    outbox: &'a Arc<Outbox>,
    user: UserId,
    turn: AudienceId,
    seated: bool,
}

impl Drop for Arrival<'_> {
    fn drop(&mut self) {
        if !self.seated {
            self.hub.give_up(self.turn);
            self.hub.remove(self.outbox, self.user, Instant::now());
        }
    }
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

fn fault(error: &StorageError) -> Problem {
    tracing::error!(%error, "cannot read a user's audiences");
    Problem::from(error.reason())
}

#[cfg(test)]
mod tests {
    use std::path::Path;
    use std::sync::atomic::{AtomicBool, Ordering};

    use vaxel_core::{Clock, LogAlarms, SimClock, UnixMs};
    use vaxel_crypto::{Keyring, MasterKey};
    use vaxel_ops::Metrics;
    use vaxel_storage::{ErasureKey, Space, StorageConfig};

    use super::*;
    use crate::fanout::registry::Fanout;
    use crate::socket::outbox::{Out, Room};

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

    /// The stamps of the events that wait in this queue.
    fn received(outbox: &Outbox) -> Vec<Stamp> {
        let mut taken = std::collections::VecDeque::new();
        outbox.take(&mut taken);
        taken
            .iter()
            .filter_map(|out| match out {
                Out::Event { stamp, .. } => Some(*stamp),
                _ => None,
            })
            .collect()
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn while_commits_rush_past_everybody_is_seated_and_gets_each_event_once() {
        const SOCKETS: u64 = 60;
        let dir = tempfile::tempdir().unwrap();
        let (tenant, anna) = (TenantId::from_u128(1), UserId::from_u128(1));
        let storage = open(dir.path(), tenant);
        moves(&storage, tenant, anna, "all", true).await;
        let clock: Arc<dyn Clock> = Arc::new(SimClock::at(UnixMs(1_800_000_000_000)));
        let fanout = Fanout::new(storage.clone(), clock, Metrics::new(), 1 << 20);
        let fanout = Arc::new(fanout);
        let hub = fanout.hub(tenant);
        let following = tokio::spawn(Arc::clone(&fanout).follow(fanout.subscribe()));
        let stop = Arc::new(AtomicBool::new(false));
        let writers: Vec<_> = (0..4)
            .map(|writer| {
                let (storage, stop) = (storage.clone(), Arc::clone(&stop));
                tokio::spawn(async move {
                    let own = format!("own-{writer}");
                    let mut joins = true;
                    while !stop.load(Ordering::Relaxed) {
                        // Comes and goes, and speaks where anna always is.
                        let mut tx = storage.begin(tenant);
                        if joins {
                            tx.join(SPACE, &own, anna).unwrap();
                        } else {
                            tx.leave(SPACE, &own, anna).unwrap();
                        }
                        tx.publish(SPACE, "all", "test", b"{}".to_vec(), ErasureKey::TENANT)
                            .unwrap();
                        if storage.commit(tx).await.is_ok() {
                            joins = !joins;
                        }
                    }
                })
            })
            .collect();
        let large = Room {
            frames: 1_000_000,
            bytes: 1 << 30,
        };
        let mut seated = Vec::new();
        for id in 0..SOCKETS {
            let outbox = Outbox::new(id, large, 0);
            // Every second one takes its turn at once, as it would after the tries.
            let place = if id % 2 == 0 {
                seat(&storage, &hub, &outbox, tenant, anna).await
            } else {
                seat_in_turn(&storage, &hub, &outbox, tenant, anna).await
            };
            seated.push((outbox, place.map_err(|problem| problem.detail).unwrap()));
        }
        stop.store(true, Ordering::Relaxed);
        for writer in writers {
            writer.await.unwrap();
        }
        // Whose turn comes last stands behind everything that was handed out.
        let last = Outbox::new(SOCKETS, large, 0);
        let last = seat_in_turn(&storage, &hub, &last, tenant, anna).await;
        let until = last.map_err(|problem| problem.detail).unwrap().live;
        assert_eq!(until.stamp.seq, storage.cursor(tenant).stamp.seq);
        let all = storage.audience_id(tenant, SPACE, "all").unwrap();
        // Each commit has exactly one event, so a socket is owed every commit behind the one that it is live from.
        for (outbox, place) in &seated {
            assert!(
                place
                    .memberships
                    .iter()
                    .any(|(audience, _)| *audience == all)
            );
            let got: Vec<u64> = received(outbox).iter().map(|stamp| stamp.seq).collect();
            let owed: Vec<u64> = (place.live.stamp.seq + 1..=until.stamp.seq).collect();
            assert_eq!(got, owed, "socket {}", outbox.id());
        }
        following.abort();
        storage.close().await;
    }

    #[tokio::test]
    async fn who_goes_away_while_waiting_for_a_turn_leaves_nothing_behind() {
        let dir = tempfile::tempdir().unwrap();
        let (tenant, anna) = (TenantId::from_u128(1), UserId::from_u128(1));
        let storage = open(dir.path(), tenant);
        let hub = Arc::new(Hub::new(storage.cursor(tenant).epoch));
        let outbox = Outbox::new(1, ROOM, 0);
        // Nobody hands out here, so the turn never comes.
        let waiting = seat_in_turn(&storage, &hub, &outbox, tenant, anna);
        let gone = tokio::time::timeout(Duration::from_millis(50), waiting).await;
        assert!(gone.is_err());
        assert!(hub.pass(1), "nobody is here, and nobody is coming");
        storage.close().await;
    }
}
