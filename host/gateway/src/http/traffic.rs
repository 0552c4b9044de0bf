//! What one connection has under way: requests, answers that still lie here, and since when there is neither.

use std::convert::Infallible;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use bytes::Bytes;
use http_body::{Body as _, Frame, SizeHint};
use parking_lot::Mutex;
use tokio::sync::Notify;

use super::{Body, Response};

/// A request sets this part of the room aside before it runs, so this many of them may make their answers at once.
const ANSWERS_AT_ONCE: usize = 16;
/// Who reads slower than this needs all of the patience: a bad mobile line still does twice as much.
const SLOWEST_BYTES_PER_S: u64 = 32 * 1024;

/// How much room and time a connection has.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Allowance {
    /// Bytes of answers that may lie here unsent.
    pub(crate) unsent_bytes_max: usize,
    /// How long it may take until the first request.
    pub(crate) first: Duration,
    /// How long nothing may be under way, and how long an answer may lie.
    pub(crate) silence: Duration,
}

/// The traffic of one connection. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Traffic(Arc<Inner>);

struct Inner {
    allowance: Allowance,
    state: Mutex<State>,
    room: Notify,
}

struct State {
    unsent_bytes: usize,
    /// When each answer that lies here must have left. A handful, so a list is the fastest map.
    due: Vec<(u64, Instant)>,
    answers: u64,
    in_use: usize,
    has_asked: bool,
    idle_since: Instant,
}

/// What is to be done with a connection.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Look {
    /// Nothing; look again then.
    At(Instant),
    /// It was opened and asks nothing.
    Mute,
    /// It asked and now rests.
    Idle,
    /// An answer lies here longer than anybody who reads would leave it.
    Overdue,
}

impl Traffic {
    pub(crate) fn new(allowance: Allowance) -> Self {
        Self(Arc::new(Inner {
            allowance,
            state: Mutex::new(State {
                unsent_bytes: 0,
                due: Vec::new(),
                answers: 0,
                in_use: 0,
                has_asked: false,
                idle_since: Instant::now(),
            }),
            room: Notify::new(),
        }))
    }

    /// Says that somebody is here; the connection is idle only when all of them are gone.
    pub(crate) fn enter(&self) -> InUse {
        let mut state = self.0.state.lock();
        state.has_asked = true;
        state.in_use += 1;
        InUse(self.clone())
    }

    /// Waits until there is room for one more answer.
    pub(crate) async fn room(&self) -> Room {
        loop {
            if let Some(room) = self.try_room() {
                return room;
            }
            let mut freed = pin!(self.0.room.notified());
            freed.as_mut().enable();
            if let Some(room) = self.try_room() {
                return room;
            }
            freed.await;
        }
    }

    fn try_room(&self) -> Option<Room> {
        let max = self.0.allowance.unsent_bytes_max;
        let bytes = (max / ANSWERS_AT_ONCE).max(1);
        let mut state = self.0.state.lock();
        // One is always let in, whatever the limit.
        if state.unsent_bytes > 0 && state.unsent_bytes + bytes > max {
            return None;
        }
        state.unsent_bytes += bytes;
        Some(Room {
            traffic: self.clone(),
            bytes,
            answer: None,
        })
    }

    /// Judges the connection as of now.
    pub(crate) fn look(&self, now: Instant) -> Look {
        let Allowance { first, silence, .. } = self.0.allowance;
        let state = self.0.state.lock();
        // Whatever begins from now on is not due before this.
        let mut next = now + silence;
        for (_, due) in &state.due {
            if *due <= now {
                return Look::Overdue;
            }
            next = next.min(*due);
        }
        if state.in_use == 0 && state.due.is_empty() {
            let (limit, verdict) = if state.has_asked {
                (silence, Look::Idle)
            } else {
                (first, Look::Mute)
            };
            let end = state.idle_since + limit;
            if end <= now {
                return verdict;
            }
            next = next.min(end);
        }
        Look::At(next)
    }
}

/// One who uses the connection: a request until it is answered, or the socket that it became.
pub(crate) struct InUse(Traffic);

impl Drop for InUse {
    fn drop(&mut self) {
        let mut state = self.0.0.state.lock();
        state.in_use = state.in_use.saturating_sub(1);
        state.idle_since = Instant::now();
    }
}

/// The room of one answer, given back when the last byte of it is gone.
pub(crate) struct Room {
    traffic: Traffic,
    bytes: usize,
    answer: Option<u64>,
}

impl Room {
    /// Puts an answer into its room.
    pub(crate) fn fill(mut self, response: Response) -> http::Response<Answer> {
        let len = response.body().size_hint().lower();
        self.resize(usize::try_from(len).unwrap_or(usize::MAX));
        let room = Arc::new(self);
        response.map(|body| Answer { body, room })
    }

    fn resize(&mut self, bytes: usize) {
        let inner = &self.traffic.0;
        let mut state = inner.state.lock();
        state.unsent_bytes = state
            .unsent_bytes
            .saturating_sub(self.bytes)
            .saturating_add(bytes);
        if bytes > 0 {
            // It leaves after what was here before, so all of that counts.
            let ahead_ms = (state.unsent_bytes as u64).saturating_mul(1_000) / SLOWEST_BYTES_PER_S;
            let due = Instant::now() + inner.allowance.silence + Duration::from_millis(ahead_ms);
            let answer = state.answers;
            state.answers += 1;
            state.due.push((answer, due));
            self.answer = Some(answer);
        }
        let gave_back = bytes < self.bytes;
        self.bytes = bytes;
        drop(state);
        if gave_back {
            inner.room.notify_waiters();
        }
    }
}

impl Drop for Room {
    fn drop(&mut self) {
        let inner = &self.traffic.0;
        let mut state = inner.state.lock();
        state.unsent_bytes = state.unsent_bytes.saturating_sub(self.bytes);
        if let Some(answer) = self.answer {
            state.due.retain(|(id, _)| *id != answer);
        }
        state.idle_since = Instant::now();
        drop(state);
        inner.room.notify_waiters();
    }
}

/// An answer's body whose room is held by the bytes themselves, wherever the protocol keeps them.
pub(crate) struct Answer {
    body: Body,
    room: Arc<Room>,
}

/// Bytes of an answer and the room they take.
struct Kept {
    bytes: Bytes,
    _room: Arc<Room>,
}

impl AsRef<[u8]> for Kept {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

impl http_body::Body for Answer {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        let polled = Pin::new(&mut self.body).poll_frame(cx);
        polled.map_ok(|frame| {
            frame.map_data(|bytes| {
                Bytes::from_owner(Kept {
                    bytes,
                    _room: Arc::clone(&self.room),
                })
            })
        })
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

/// Runs `answer` once there is room, and puts what it makes there.
pub(crate) async fn answered(
    traffic: Traffic,
    answer: impl Future<Output = Response>,
) -> Result<http::Response<Answer>, Infallible> {
    let room = traffic.room().await;
    Ok(room.fill(answer.await))
}

#[cfg(test)]
mod tests {
    use http_body_util::BodyExt as _;

    use super::*;

    fn traffic(unsent_bytes_max: usize) -> Traffic {
        Traffic::new(Allowance {
            unsent_bytes_max,
            first: Duration::from_secs(10),
            silence: Duration::from_secs(75),
        })
    }

    fn response(len: usize) -> Response {
        Response::new(Body::from(vec![b'x'; len]))
    }

    #[tokio::test]
    async fn an_answer_takes_its_room_until_the_last_of_its_bytes_is_gone() {
        let traffic = traffic(1_600);
        let answer = traffic.room().await.fill(response(1_550));
        assert!(traffic.try_room().is_none());
        let mut bytes = answer.into_body().collect().await.unwrap().to_bytes();
        assert!(traffic.try_room().is_none(), "the protocol holds it still");
        let rest = bytes.split_off(1_549);
        drop(bytes);
        assert!(traffic.try_room().is_none(), "one byte of it is left");
        let waiting = tokio::spawn({
            let traffic = traffic.clone();
            async move { traffic.room().await.bytes }
        });
        tokio::task::yield_now().await;
        drop(rest);
        assert_eq!(waiting.await.unwrap(), 100);
    }

    #[tokio::test]
    async fn so_many_answers_are_made_at_once_and_one_always() {
        let traffic_of = traffic(1_600);
        let made: Vec<_> = std::iter::from_fn(|| traffic_of.try_room()).collect();
        assert_eq!(made.len(), ANSWERS_AT_ONCE);
        let tiny = traffic(0);
        let one = tiny.try_room();
        assert!(one.is_some() && tiny.try_room().is_none());
    }

    #[tokio::test]
    async fn a_connection_is_mute_then_in_use_then_idle() {
        let (s10, s75) = (Duration::from_secs(10), Duration::from_secs(75));
        let traffic = traffic(1_600);
        let opened = traffic.0.state.lock().idle_since;
        assert_eq!(traffic.look(opened), Look::At(opened + s10));
        assert_eq!(traffic.look(opened + s10), Look::Mute);
        let used = traffic.enter();
        assert_eq!(traffic.look(opened + s75), Look::At(opened + s75 + s75));
        drop(used);
        let left = traffic.0.state.lock().idle_since;
        assert_eq!(traffic.look(left), Look::At(left + s75));
        assert_eq!(traffic.look(left + s75), Look::Idle);
    }

    #[tokio::test]
    async fn an_answer_that_nobody_reads_is_overdue_and_one_that_was_read_never() {
        let traffic = traffic(1_600);
        let begun = Instant::now();
        let answer = traffic.room().await.fill(response(1_000));
        let late = begun + Duration::from_secs(80);
        assert!(matches!(
            traffic.look(begun + Duration::from_secs(70)),
            Look::At(_)
        ));
        assert_eq!(traffic.look(late), Look::Overdue);
        drop(answer);
        assert!(matches!(traffic.look(begun), Look::At(_)));
        let empty = traffic.room().await.fill(response(0));
        assert_ne!(traffic.look(late), Look::Overdue, "nothing is owed");
        drop(empty);
    }
}
