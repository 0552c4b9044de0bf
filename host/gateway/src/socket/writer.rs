//! Writing to one socket: all that waits goes out in one write, as long as its token is good.

use std::collections::VecDeque;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use futures_util::Sink;
use vaxel_storage::Stamp;
use yawc::{Frame, HttpWebSocket, WebSocketError};

use super::frame::Bye;
use super::outbox::{Out, Outbox};

/// The frames of one socket on their way out.
#[derive(Default)]
pub(crate) struct Writer {
    taken: VecDeque<Out>,
    unflushed: bool,
    /// The last event that went out: from here the client resumes.
    pub(crate) last: Option<Stamp>,
}

impl Writer {
    /// Puts frames before everything that waits.
    pub(crate) fn first(&mut self, frames: impl IntoIterator<Item = Out>) {
        self.taken.extend(frames);
    }

    /// Writes all that waits. Ready with nothing when it is done, with a bye when the socket ends.
    pub(crate) fn poll(
        &mut self,
        socket: &mut HttpWebSocket,
        outbox: &Outbox,
        still_valid: impl Fn() -> Result<(), Bye>,
        cx: &mut Context<'_>,
    ) -> Poll<Result<Option<Bye>, WebSocketError>> {
        loop {
            // More is taken only when all of this is gone: what a slow reader has not taken stays bounded in one place.
            let bye = if self.taken.is_empty() {
                outbox.take(&mut self.taken)
            } else {
                outbox.bye()
            };
            match bye {
                // What these would still be sent is not theirs any more, or more than they can take.
                Some(bye @ (Bye::Revoked | Bye::Expired | Bye::Slow)) => {
                    return Poll::Ready(Ok(Some(bye)));
                }
                Some(Bye::Draining | Bye::Refused) | None => {}
            }
            if self.taken.is_empty() {
                if self.unflushed {
                    ready!(Pin::new(&mut *socket).poll_flush(cx))?;
                    self.unflushed = false;
                } else {
                    // Pongs and close frames that the library owes.
                    ready!(Pin::new(&mut *socket).poll_ready(cx))?;
                }
                return Poll::Ready(Ok(bye));
            }
            if let Err(bye) = still_valid() {
                return Poll::Ready(Ok(Some(bye)));
            }
            while !self.taken.is_empty() {
                ready!(Pin::new(&mut *socket).poll_ready(cx))?;
                let Some(out) = self.taken.pop_front() else {
                    break;
                };
                let frame = match out {
                    Out::Event { frame, stamp } => {
                        self.last = Some(stamp);
                        Frame::text(frame)
                    }
                    Out::Ephemeral(frame) | Out::Reply(frame) => Frame::text(frame),
                    Out::Ping => Frame::ping(Bytes::new()),
                };
                Pin::new(&mut *socket).start_send(frame)?;
                self.unflushed = true;
            }
        }
    }
}
