//! What waits to be written to one socket: bounded, filled by many, emptied by one, and never waited for.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, AtomicUsize, Ordering};

use bytes::Bytes;
use futures_util::task::AtomicWaker;
use parking_lot::Mutex;
use tokio::sync::Notify;
use vaxel_identity::Claims;
use vaxel_storage::Stamp;

use super::frame::Bye;

/// Capacity that an empty queue may keep. An idle socket keeps nothing.
const IDLE_FRAMES: usize = 8;

/// Answers may take so many times the room of events: the client asked for them.
const REPLY_ROOM_FACTOR: usize = 4;

/// One thing to write.
#[derive(Clone, Debug)]
pub(crate) enum Out {
    Event { frame: Bytes, stamp: Stamp },
    Ephemeral(Bytes),
    Reply(Bytes),
    Ping,
}

impl Out {
    fn bytes(&self) -> usize {
        match self {
            Self::Event { frame, .. } | Self::Ephemeral(frame) | Self::Reply(frame) => frame.len(),
            Self::Ping => 0,
        }
    }
}

/// What became of a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Pushed {
    /// Queued behind others; the socket knows.
    Quiet,
    /// Queued, and the socket must be told.
    Wake,
    /// Not queued: it was worth less than the room it takes.
    Dropped,
    /// The reader is too slow; the socket must be told that it ends.
    Cut,
}

/// How much may wait.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Room {
    pub(crate) frames: usize,
    pub(crate) bytes: usize,
}

#[derive(Default)]
struct Queue {
    waiting: VecDeque<Out>,
    bytes: usize,
    bye: Option<Bye>,
    /// The reader was told that something waits and has not looked yet.
    told: bool,
}

/// The sockets that were woken and have not run yet, counted.
///
/// Only those that wait for something to do are counted: one in the middle of signing in looks when it is done.
#[derive(Default)]
pub(crate) struct Awake {
    count: AtomicUsize,
    none: Notify,
}

impl Awake {
    /// Wakes a socket's task.
    pub(crate) fn wake(self: &Arc<Self>, outbox: &Outbox) {
        if outbox.waits.load(Ordering::SeqCst) && !outbox.awake.swap(true, Ordering::SeqCst) {
            self.count.fetch_add(1, Ordering::SeqCst);
            // It may have got something to do in between; then nobody else would count it down.
            if !outbox.waits.load(Ordering::SeqCst) {
                self.ran(outbox);
            }
        }
        outbox.waker.wake();
    }

    /// A socket's task runs.
    pub(crate) fn ran(&self, outbox: &Outbox) {
        if outbox.awake.swap(false, Ordering::SeqCst)
            && self.count.fetch_sub(1, Ordering::SeqCst) == 1
        {
            self.none.notify_waiters();
        }
    }

    /// A socket's task ran and now waits for something to do.
    pub(crate) fn waits(&self, outbox: &Outbox) {
        outbox.waits.store(true, Ordering::SeqCst);
    }

    /// A socket's task has something to do, or has ended.
    pub(crate) fn busy(&self, outbox: &Outbox) {
        outbox.waits.store(false, Ordering::SeqCst);
        self.ran(outbox);
    }

    /// Waits until everybody who was woken has run.
    pub(crate) async fn all_ran(&self) {
        loop {
            let none = self.none.notified();
            if self.count.load(Ordering::SeqCst) == 0 {
                return;
            }
            none.await;
        }
    }
}

/// The shared side of one socket.
pub(crate) struct Outbox {
    id: u64,
    room: Room,
    queue: Mutex<Queue>,
    pub(crate) waker: AtomicWaker,
    awake: AtomicBool,
    waits: AtomicBool,
    claims: Mutex<Option<Arc<Claims>>>,
    pub(crate) open_calls: AtomicU32,
    /// Milliseconds of the gateway's own time: when it opened, was last heard of, and since when a write is stuck.
    pub(crate) opened_ms: u64,
    pub(crate) heard_ms: AtomicU64,
    pub(crate) stuck_since_ms: AtomicU64,
    pub(crate) pinged: AtomicBool,
}

impl Outbox {
    pub(crate) fn new(id: u64, room: Room, now_ms: u64) -> Arc<Self> {
        Arc::new(Self {
            id,
            room,
            queue: Mutex::default(),
            waker: AtomicWaker::new(),
            awake: AtomicBool::new(false),
            waits: AtomicBool::new(false),
            claims: Mutex::new(None),
            open_calls: AtomicU32::new(0),
            opened_ms: now_ms,
            heard_ms: AtomicU64::new(now_ms),
            stuck_since_ms: AtomicU64::new(0),
            pinged: AtomicBool::new(false),
        })
    }

    pub(crate) const fn id(&self) -> u64 {
        self.id
    }

    /// Who this socket is, as of the last auth frame.
    pub(crate) fn claims(&self) -> Option<Arc<Claims>> {
        self.claims.lock().clone()
    }

    pub(crate) fn set_claims(&self, claims: Arc<Claims>) {
        *self.claims.lock() = Some(claims);
    }

    /// Queues a stored event. A queue without room ends the socket: the client resumes from its cursor.
    pub(crate) fn push_event(&self, frame: &Bytes, stamp: Stamp) -> Pushed {
        let mut queue = self.queue.lock();
        if queue.waiting.len() >= self.room.frames || queue.bytes + frame.len() > self.room.bytes {
            return queue.cut();
        }
        queue.push(Out::Event {
            frame: frame.clone(),
            stamp,
        })
    }

    /// Queues an event that is only for whoever is there; it is the first to go when the queue is half full.
    pub(crate) fn push_ephemeral(&self, frame: &Bytes) -> Pushed {
        let mut queue = self.queue.lock();
        let half_full =
            queue.waiting.len() >= self.room.frames / 2 || queue.bytes >= self.room.bytes / 2;
        if half_full {
            return Pushed::Dropped;
        }
        queue.push(Out::Ephemeral(frame.clone()))
    }

    /// Queues the answer to a call, or a word about the socket itself. Who asked for much may have more of it waiting
    /// than of events, and one answer always fits.
    pub(crate) fn push_reply(&self, frame: Bytes) -> Pushed {
        let mut queue = self.queue.lock();
        let full = queue.bytes + frame.len() > self.room.bytes * REPLY_ROOM_FACTOR;
        if queue.waiting.len() >= self.room.frames || (full && queue.bytes > 0) {
            return queue.cut();
        }
        queue.push(Out::Reply(frame))
    }

    pub(crate) fn push_ping(&self) -> Pushed {
        self.queue.lock().push(Out::Ping)
    }

    /// Ends the socket, once what waits is written (or at once, if its reader is too slow for that).
    pub(crate) fn say_bye(&self, bye: Bye) {
        let mut queue = self.queue.lock();
        if queue.bye.is_none() {
            queue.bye = Some(bye);
        }
        queue.told = true;
    }

    /// What ends this socket, if anything does.
    pub(crate) fn bye(&self) -> Option<Bye> {
        self.queue.lock().bye
    }

    /// Takes everything that waits; `into` must be empty.
    pub(crate) fn take(&self, into: &mut VecDeque<Out>) -> Option<Bye> {
        let mut queue = self.queue.lock();
        queue.told = false;
        queue.bytes = 0;
        std::mem::swap(into, &mut queue.waiting);
        if queue.waiting.is_empty() && queue.waiting.capacity() > IDLE_FRAMES {
            queue.waiting = VecDeque::new();
        }
        queue.bye
    }

    /// Nothing reads this any more.
    pub(crate) fn close(&self, awake: &Awake) {
        awake.busy(self);
        *self.queue.lock() = Queue {
            bye: Some(Bye::Refused),
            ..Queue::default()
        };
    }
}

impl Queue {
    fn push(&mut self, out: Out) -> Pushed {
        // A drain lets out what comes until the socket is done; any other end does not.
        if self.bye.is_some_and(|bye| bye != Bye::Draining) {
            return Pushed::Dropped;
        }
        self.bytes += out.bytes();
        self.waiting.push_back(out);
        if std::mem::replace(&mut self.told, true) {
            Pushed::Quiet
        } else {
            Pushed::Wake
        }
    }

    fn cut(&mut self) -> Pushed {
        if self.bye.is_some() {
            return Pushed::Dropped;
        }
        // What it has not read it gets again when it resumes.
        self.waiting = VecDeque::new();
        self.bytes = 0;
        self.bye = Some(Bye::Slow);
        Pushed::Cut
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ROOM: Room = Room {
        frames: 8,
        bytes: 1_000,
    };

    fn stamp(seq: u64) -> Stamp {
        Stamp { seq, ordinal: 0 }
    }

    #[test]
    fn a_socket_is_told_once_until_it_looks() {
        let outbox = Outbox::new(1, ROOM, 0);
        let frame = Bytes::from_static(b"x");
        assert_eq!(outbox.push_event(&frame, stamp(1)), Pushed::Wake);
        assert_eq!(outbox.push_event(&frame, stamp(2)), Pushed::Quiet);
        let mut taken = VecDeque::new();
        assert_eq!(outbox.take(&mut taken), None);
        assert_eq!(taken.len(), 2);
        assert_eq!(outbox.push_event(&frame, stamp(3)), Pushed::Wake);
    }

    #[test]
    fn ephemeral_events_are_the_first_to_go() {
        let outbox = Outbox::new(1, ROOM, 0);
        let frame = Bytes::from_static(b"x");
        for seq in 0..4 {
            outbox.push_event(&frame, stamp(seq));
        }
        assert_eq!(outbox.push_ephemeral(&frame), Pushed::Dropped);
        assert_eq!(outbox.push_event(&frame, stamp(5)), Pushed::Quiet);
    }

    #[test]
    fn a_full_queue_ends_the_socket_and_takes_nothing_more() {
        for frame in [Bytes::from_static(b"x"), Bytes::from(vec![b'x'; 300])] {
            let outbox = Outbox::new(1, ROOM, 0);
            let mut outcome = Pushed::Quiet;
            for seq in 0..9 {
                outcome = outbox.push_event(&frame, stamp(seq));
                if outcome == Pushed::Cut {
                    break;
                }
            }
            assert_eq!(outcome, Pushed::Cut);
            assert_eq!(outbox.push_event(&frame, stamp(9)), Pushed::Dropped);
            let mut taken = VecDeque::new();
            assert_eq!(outbox.take(&mut taken), Some(Bye::Slow));
            assert!(taken.is_empty());
        }
    }

    #[tokio::test]
    async fn the_fan_out_waits_for_all_it_woke_also_for_those_that_end() {
        let awake = Arc::new(Awake::default());
        let runs = Outbox::new(1, ROOM, 0);
        let ends = Outbox::new(2, ROOM, 0);
        let signs_in = Outbox::new(3, ROOM, 0);
        awake.waits(&runs);
        awake.waits(&ends);
        awake.wake(&runs);
        awake.wake(&runs);
        awake.wake(&ends);
        awake.wake(&signs_in);
        ends.close(&awake);
        let waiting = tokio::spawn({
            let awake = Arc::clone(&awake);
            async move { awake.all_ran().await }
        });
        tokio::task::yield_now().await;
        assert!(!waiting.is_finished());
        awake.ran(&runs);
        waiting.await.unwrap();
        awake.wake(&ends);
        awake.all_ran().await;
    }
}
