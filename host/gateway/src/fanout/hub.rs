//! One tenant's sockets by audience: a message is written once and handed to everybody who may see it.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Instant;

use bytes::Bytes;
use parking_lot::Mutex;
use tokio::sync::oneshot;
use vaxel_core::UserId;
use vaxel_storage::{AudienceId, Committed, Event, Stamp};

use super::presence::{Presence, Status};
use crate::socket::frame;
use crate::socket::outbox::{Outbox, Pushed};

/// The fan-out of one tenant.
pub(crate) struct Hub {
    epoch: u64,
    inner: Mutex<Inner>,
}

#[derive(Default)]
struct Inner {
    /// The last commit whose events were handed out.
    applied: u64,
    audiences: HashMap<AudienceId, HashMap<u64, Seat>>,
    people: HashMap<UserId, Person>,
    /// Sockets that wait for their turn to come by, under the audience of the event that is their turn.
    arriving: HashMap<AudienceId, Arriving>,
    presence: Presence,
}

/// A socket that is seated when its turn comes by in the order of commits.
struct Arriving {
    user: UserId,
    outbox: Arc<Outbox>,
    /// Memberships as they were read at some time between the arrival and the turn.
    memberships: HashMap<AudienceId, u64>,
    /// What was handed out of them since the arrival: joined with this commit, or left. It wins over what was read,
    /// because what was read may be older, or newer than the turn is.
    changed: HashMap<AudienceId, Option<u64>>,
    seated: oneshot::Sender<Turn>,
}

/// Where an arriving socket was seated.
#[derive(Debug)]
pub(crate) struct Turn {
    /// The commit behind which it is live.
    pub(crate) at: u64,
    /// What its user was a member of there.
    pub(crate) memberships: Vec<(AudienceId, Stamp)>,
}

/// One socket's place in one audience.
struct Seat {
    /// The first commit whose events it is sent: behind the join, and behind what was replayed.
    since: u64,
    outbox: Arc<Outbox>,
}

/// Somebody with at least one socket here.
#[derive(Default)]
struct Person {
    sockets: Vec<Live>,
    audiences: HashMap<AudienceId, u64>,
}

/// One of their sockets, and the commit behind which it is live.
#[derive(Clone)]
struct Live {
    after: u64,
    outbox: Arc<Outbox>,
}

impl Live {
    /// A place in an audience that was joined with this commit.
    fn seat(&self, joined: u64) -> Seat {
        Seat {
            since: joined.max(self.after + 1),
            outbox: Arc::clone(&self.outbox),
        }
    }
}

/// The hub is already past the point that a socket wants to begin at.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Passed;

/// What one commit cost.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Delivered {
    pub(crate) frames: u64,
    pub(crate) dropped: u64,
}

impl Hub {
    pub(crate) fn new(epoch: u64) -> Self {
        Self {
            epoch,
            inner: Mutex::default(),
        }
    }

    /// Seats a socket whose replay ends with commit `at`: from the next commit on it is live.
    ///
    /// `memberships` were read from the state of commit `at`. Refused when the hub has handed out later commits
    /// already: the caller reads anew.
    pub(crate) fn register(
        &self,
        outbox: &Arc<Outbox>,
        user: UserId,
        memberships: &[(AudienceId, Stamp)],
        at: u64,
        now: Instant,
    ) -> Result<(), Passed> {
        let mut inner = self.inner.lock();
        if inner.applied > at {
            return Err(Passed);
        }
        let joined = memberships.iter().map(|(audience, at)| (*audience, at.seq));
        inner.seat(outbox, user, joined, at, now);
        Ok(())
    }

    /// Begins to note what becomes of a user's memberships, until the event to the audience `turn` comes by: there the
    /// socket is seated. However fast commits follow each other, one of them is its turn.
    ///
    /// The caller reads the memberships after this and publishes the event after [`Self::read`].
    pub(crate) fn arrive(
        &self,
        turn: AudienceId,
        outbox: &Arc<Outbox>,
        user: UserId,
    ) -> oneshot::Receiver<Turn> {
        let (seated, told) = oneshot::channel();
        let arriving = Arriving {
            user,
            outbox: Arc::clone(outbox),
            memberships: HashMap::new(),
            changed: HashMap::new(),
            seated,
        };
        self.inner.lock().arriving.insert(turn, arriving);
        told
    }

    /// Brings the memberships that were read since the arrival.
    pub(crate) fn read(&self, turn: AudienceId, memberships: &[(AudienceId, Stamp)]) {
        if let Some(arriving) = self.inner.lock().arriving.get_mut(&turn) {
            let joined = memberships.iter().map(|(audience, at)| (*audience, at.seq));
            arriving.memberships.extend(joined);
        }
    }

    /// Forgets an arrival whose turn has not come by.
    pub(crate) fn give_up(&self, turn: AudienceId) {
        self.inner.lock().arriving.remove(&turn);
    }

    /// Forgets a socket.
    pub(crate) fn remove(&self, outbox: &Outbox, user: UserId, now: Instant) {
        let mut inner = self.inner.lock();
        let inner = &mut *inner;
        let Some(person) = inner.people.get_mut(&user) else {
            return;
        };
        let before = person.sockets.len();
        person
            .sockets
            .retain(|live| live.outbox.id() != outbox.id());
        if person.sockets.len() == before {
            return;
        }
        for audience in person.audiences.keys() {
            if let Some(seats) = inner.audiences.get_mut(audience) {
                seats.remove(&outbox.id());
                if seats.is_empty() {
                    inner.audiences.remove(audience);
                }
            }
        }
        if person.sockets.is_empty() {
            inner.people.remove(&user);
        }
        inner.presence.left(user, now);
    }

    /// Hands out one commit: joins, events, ephemeral ones, leaves, in this order. Sockets that must be woken are
    /// added to `wake`; no JSON is touched and nothing is awaited under the lock.
    pub(crate) fn deliver(
        &self,
        committed: &Committed,
        frames: &[Bytes],
        ephemeral: &[Bytes],
        wake: &mut Vec<Arc<Outbox>>,
    ) -> Delivered {
        let mut delivered = Delivered::default();
        let mut inner = self.inner.lock();
        inner.applied = inner.applied.max(committed.seq);
        for (audience, user) in &committed.joins {
            inner.join(*audience, *user, committed.seq);
        }
        for (event, frame) in committed.events.iter().zip(frames) {
            let Some(seats) = inner.audiences.get(&event.audience) else {
                continue;
            };
            for seat in seats.values().filter(|seat| event.stamp.seq >= seat.since) {
                delivered.count(
                    seat.outbox.push_event(frame, event.stamp),
                    &seat.outbox,
                    wake,
                );
            }
        }
        for (event, frame) in committed.ephemeral.iter().zip(ephemeral) {
            if inner.is_turn(event.audience, committed.seq) {
                continue;
            }
            let Some(seats) = inner.audiences.get(&event.audience) else {
                continue;
            };
            for seat in seats.values() {
                delivered.count(seat.outbox.push_ephemeral(frame), &seat.outbox, wake);
            }
        }
        for (audience, user) in &committed.leaves {
            inner.leave(*audience, *user);
        }
        delivered
    }

    /// The frames of a commit's events, each written once for all who receive it.
    pub(crate) fn frames(&self, committed: &Committed) -> (Vec<Bytes>, Vec<Bytes>) {
        let write = |event: &Event| frame::event(self.epoch, event);
        let still = |event: &Event| frame::ephemeral(&event.topic, &event.payload);
        (
            committed.events.iter().map(write).collect(),
            committed.ephemeral.iter().map(still).collect(),
        )
    }

    /// Notes a commit that nobody is here to receive; says no if somebody is.
    pub(crate) fn pass(&self, seq: u64) -> bool {
        let mut inner = self.inner.lock();
        if !inner.people.is_empty() || !inner.arriving.is_empty() {
            return false;
        }
        inner.applied = inner.applied.max(seq);
        true
    }

    /// What people say about themselves.
    pub(crate) fn set_presence(&self, user: UserId, away: bool) {
        self.inner.lock().presence.set_away(user, away);
    }

    /// Who is here.
    pub(crate) fn presence(&self) -> Vec<(UserId, Status)> {
        self.inner.lock().presence.all()
    }

    /// Tells everybody here whose presence changed since the last time.
    pub(crate) fn announce_presence(&self, now: Instant, wake: &mut Vec<Arc<Outbox>>) -> Delivered {
        let mut delivered = Delivered::default();
        let mut inner = self.inner.lock();
        let changes = inner.presence.take_changes(now);
        if changes.is_empty() {
            return delivered;
        }
        for frame in &frame::presence(&changes) {
            inner.tell(frame, &mut delivered, wake);
        }
        delivered
    }

    /// Tells everybody here something that is not stored.
    pub(crate) fn tell(&self, frame: &Bytes, wake: &mut Vec<Arc<Outbox>>) -> Delivered {
        let mut delivered = Delivered::default();
        self.inner.lock().tell(frame, &mut delivered, wake);
        delivered
    }

    /// The sockets of one user, or of everybody.
    pub(crate) fn sockets(&self, user: Option<UserId>) -> Vec<Arc<Outbox>> {
        let inner = self.inner.lock();
        let of = |person: &Person| -> Vec<_> {
            person
                .sockets
                .iter()
                .map(|live| Arc::clone(&live.outbox))
                .collect()
        };
        match user {
            Some(user) => inner.people.get(&user).map(of).unwrap_or_default(),
            None => inner.people.values().flat_map(of).collect(),
        }
    }
}

impl Inner {
    fn tell(&self, frame: &Bytes, delivered: &mut Delivered, wake: &mut Vec<Arc<Outbox>>) {
        for live in self.people.values().flat_map(|person| &person.sockets) {
            delivered.count(live.outbox.push_ephemeral(frame), &live.outbox, wake);
        }
    }

    fn seat(
        &mut self,
        outbox: &Arc<Outbox>,
        user: UserId,
        joined: impl IntoIterator<Item = (AudienceId, u64)>,
        at: u64,
        now: Instant,
    ) {
        let person = self.people.entry(user).or_default();
        let live = Live {
            after: at,
            outbox: Arc::clone(outbox),
        };
        // What the state has and the hub has not is a join still to come; their other sockets learn of it then. What the
        // hub has and the state has not was left before this socket is live, or is another's join still to come.
        for (audience, seq) in joined {
            person.audiences.entry(audience).or_insert(seq);
            self.audiences
                .entry(audience)
                .or_default()
                .insert(outbox.id(), live.seat(seq));
        }
        person.sockets.push(live);
        self.presence.arrived(user, now);
    }

    /// Seats the socket whose turn this event is, if it is one.
    fn is_turn(&mut self, audience: AudienceId, at: u64) -> bool {
        let Some(arriving) = self.arriving.remove(&audience) else {
            return false;
        };
        let mut joined = arriving.memberships;
        for (audience, change) in arriving.changed {
            match change {
                Some(seq) => joined.insert(audience, seq),
                None => joined.remove(&audience),
            };
        }
        let memberships = joined
            .iter()
            .map(|(audience, seq)| {
                (
                    *audience,
                    Stamp {
                        seq: *seq,
                        ordinal: 0,
                    },
                )
            })
            .collect();
        // Told first: a task that has gone is not seated.
        if arriving.seated.send(Turn { at, memberships }).is_ok() {
            self.seat(&arriving.outbox, arriving.user, joined, at, Instant::now());
        }
        true
    }

    /// Notes a change for the sockets of this user that wait for their turn.
    fn note(&mut self, audience: AudienceId, user: UserId, change: Option<u64>) {
        for arriving in self.arriving.values_mut() {
            if arriving.user == user {
                arriving.changed.insert(audience, change);
            }
        }
    }

    fn join(&mut self, audience: AudienceId, user: UserId, seq: u64) {
        self.note(audience, user, Some(seq));
        let Some(person) = self.people.get_mut(&user) else {
            return;
        };
        // A later membership may be known already, from the state that another socket of theirs began with.
        person.audiences.insert(audience, seq);
        let seats = self.audiences.entry(audience).or_default();
        for live in &person.sockets {
            seats
                .entry(live.outbox.id())
                .or_insert_with(|| live.seat(seq));
        }
    }

    fn leave(&mut self, audience: AudienceId, user: UserId) {
        self.note(audience, user, None);
        let Some(person) = self.people.get_mut(&user) else {
            return;
        };
        person.audiences.remove(&audience);
        let Some(seats) = self.audiences.get_mut(&audience) else {
            return;
        };
        for live in &person.sockets {
            seats.remove(&live.outbox.id());
        }
        if seats.is_empty() {
            self.audiences.remove(&audience);
        }
    }
}

impl Delivered {
    pub(crate) fn count(
        &mut self,
        pushed: Pushed,
        outbox: &Arc<Outbox>,
        wake: &mut Vec<Arc<Outbox>>,
    ) {
        match pushed {
            Pushed::Quiet => self.frames += 1,
            Pushed::Wake => {
                self.frames += 1;
                wake.push(Arc::clone(outbox));
            }
            Pushed::Cut => wake.push(Arc::clone(outbox)),
            Pushed::Dropped => self.dropped += 1,
        }
    }
}
