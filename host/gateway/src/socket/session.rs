//! One socket from its handshake to its end: what comes in, what goes out, and why it ends.

mod calling;
mod signing_in;

use std::future::poll_fn;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::task::Poll;
use std::time::{Duration, Instant};

use axum::extract::State;
use futures_util::SinkExt as _;
use http::{Request, header};
use vaxel_core::{Problem, Reason, RequestId, UserId};
use vaxel_identity::{Claims, Tenant, TokenError};
use vaxel_ops::{HealthState, Refusal};
use vaxel_storage::Cursor;
use yawc::close::CloseCode;
use yawc::{Frame, HttpWebSocket, OpCode, UpgradeFut, WebSocketError};

use super::accept::{accept_socket, check_subprotocol, name_subprotocol, socket_options};
use super::close::part_after;
use super::frame::{self, Bye, Inbound};
use super::outbox::{Outbox, Room};
use super::writer::Writer;
use crate::Gateway;
use crate::fanout::hub::Hub;
use crate::http::edge::{Connection, Edge, check_same_origin};
use crate::http::problem::respond;
use crate::http::{Body, Response};

/// How long a handshake's answer may take to be sent.
const UPGRADE_TIMEOUT: Duration = Duration::from_secs(10);
/// How long the last words may take. A reader that was too slow gets no longer than others.
const BYE_TIMEOUT: Duration = Duration::from_secs(1);

/// `GET /api/v1/socket`
pub(crate) async fn handle(State(gateway): State<Gateway>, request: Request<Body>) -> Response {
    let (mut parts, _) = request.into_parts();
    let Some(edge) = parts.extensions.get::<Edge>().cloned() else {
        return respond(
            &Problem::from(Reason::Internal),
            RequestId::new(gateway.now()),
        );
    };
    let id = edge.request;
    match open(&gateway, edge, &mut parts).await {
        Ok(response) => response,
        Err(problem) => respond(&problem, id),
    }
}

async fn open(
    gateway: &Gateway,
    edge: Edge,
    parts: &mut http::request::Parts,
) -> Result<Response, Problem> {
    let tenant = Arc::clone(edge.tenant()?);
    // Browsers always say where a page is from. What says nothing is no browser and holds no cookie of ours;
    // the token in the first frame is what counts.
    if parts.headers.contains_key(header::ORIGIN) {
        check_same_origin(&edge, &parts.headers)
            .inspect_err(|_| gateway.metrics().refused(Refusal::Foreign))?;
    }
    if gateway.health().state() == HealthState::Draining {
        return Err(
            Problem::new(Reason::Unavailable, "This server is about to stop.")
                .retry_after_ms(1_000),
        );
    }
    gateway.rates().anonymous(edge.peer)?;
    let limits = gateway.limits();
    let options = socket_options(limits.frame_bytes_max, gateway.socket_deflate());
    let connection = parts.extensions.get::<Connection>().cloned();
    let (mut response, upgrade) = accept_socket(parts, options).await?;
    check_subprotocol(parts)?;
    name_subprotocol(&mut response);
    let room = Room {
        frames: limits.queue_frames_max,
        bytes: limits.queue_bytes_max,
    };
    let outbox = Outbox::new(gateway.next_socket_id(), room, gateway.up_ms());
    let session = Session {
        gateway: gateway.clone(),
        hub: gateway.fanout().hub(tenant.id),
        origin: edge.origin.as_str().into(),
        peer: edge.peer,
        tenant,
        outbox,
        user: None,
        ready_at: None,
        strikes: 0,
        answering: Arc::default(),
    };
    gateway.tasks().spawn(async move {
        session.run(upgrade).await;
        // The connection's place is free only now.
        drop(connection);
    });
    Ok(response)
}

struct Session {
    gateway: Gateway,
    tenant: Arc<Tenant>,
    hub: Arc<Hub>,
    origin: Arc<str>,
    peer: std::net::IpAddr,
    outbox: Arc<Outbox>,
    user: Option<UserId>,
    ready_at: Option<Cursor>,
    strikes: u32,
    /// Held by each call until its answer is queued, so that a drain can wait for the answers.
    answering: Arc<()>,
}

enum Step {
    Frame(Frame),
    Bye(Bye),
    Broken(WebSocketError),
}

impl Session {
    async fn run(mut self, upgrade: UpgradeFut) {
        let Ok(Ok(mut socket)) = tokio::time::timeout(UPGRADE_TIMEOUT, upgrade).await else {
            return;
        };
        self.gateway.sockets().insert(&self.outbox);
        self.gateway.metrics().sockets_changed(1);
        let mut writer = Writer::default();
        let end = loop {
            match self.step(&mut socket, &mut writer).await {
                Step::Bye(bye) => break Ok(bye),
                Step::Broken(error) => {
                    tracing::debug!(%error, "a socket broke off");
                    break Err(error);
                }
                Step::Frame(received) => {
                    if let Err(bye) = self.received(received, &mut writer).await {
                        self.outbox.say_bye(bye);
                    }
                }
            }
            // Many small frames in one read must not keep others waiting.
            tokio::task::coop::consume_budget().await;
        };
        let last = self.cursor(&writer);
        self.leave();
        if matches!(end, Ok(Bye::Slow)) {
            self.gateway.metrics().refused(Refusal::Slow);
        }
        let parting = Box::pin(async {
            match end {
                Ok(bye) => part(&mut socket, bye, last).await,
                Err(error) => part_after(&mut socket, &error).await,
            }
        });
        let _ = tokio::time::timeout(BYE_TIMEOUT, parting).await;
    }

    /// Writes what waits, then reads one frame. Nothing is read while a write is stuck, so a client that does not
    /// read cannot make us owe it more.
    async fn step(&self, socket: &mut HttpWebSocket, writer: &mut Writer) -> Step {
        let awake = self.gateway.fanout().awake();
        let step = poll_fn(|cx| {
            self.outbox.waker.register(cx.waker());
            awake.waits(&self.outbox);
            awake.ran(&self.outbox);
            match writer.poll(socket, &self.outbox, || self.still_valid(), cx) {
                Poll::Ready(Err(error)) => return Poll::Ready(Step::Broken(error)),
                // A drain takes no new calls and waits for the answers of those that are open.
                Poll::Ready(Ok(Some(Bye::Draining))) if Arc::strong_count(&self.answering) > 1 => {
                    return Poll::Pending;
                }
                Poll::Ready(Ok(Some(bye))) => return Poll::Ready(Step::Bye(bye)),
                Poll::Ready(Ok(None)) => self.outbox.stuck_since_ms.store(0, Ordering::Relaxed),
                Poll::Pending => {
                    let now_ms = self.gateway.up_ms().max(1);
                    let _ = self.outbox.stuck_since_ms.compare_exchange(
                        0,
                        now_ms,
                        Ordering::Relaxed,
                        Ordering::Relaxed,
                    );
                    return match self.outbox.bye() {
                        Some(bye) if bye != Bye::Draining => Poll::Ready(Step::Bye(bye)),
                        _ => Poll::Pending,
                    };
                }
            }
            socket.poll_next_frame(cx).map(|read| match read {
                Ok(frame) => Step::Frame(frame),
                Err(error) => Step::Broken(error),
            })
        })
        .await;
        awake.busy(&self.outbox);
        step
    }

    fn still_valid(&self) -> Result<(), Bye> {
        match self.outbox.claims() {
            Some(claims) => self.check(&claims),
            None => Ok(()),
        }
    }

    fn check(&self, claims: &Claims) -> Result<(), Bye> {
        check_token(&self.gateway, claims)
    }

    async fn received(&mut self, received: Frame, writer: &mut Writer) -> Result<(), Bye> {
        self.outbox
            .heard_ms
            .store(self.gateway.up_ms(), Ordering::Relaxed);
        self.outbox.pinged.store(false, Ordering::Relaxed);
        match received.opcode() {
            OpCode::Text => {}
            OpCode::Binary => return self.refuse(None, "Frames are text."),
            _ => return Ok(()),
        }
        match frame::parse(received.payload()) {
            Err(malformed) => self.refuse(malformed.id, malformed.why),
            // Boxed: seldom, and large beside what an idle socket holds.
            Ok(Inbound::Auth { token, resume }) => {
                Box::pin(self.auth(&token, resume, writer)).await
            }
            Ok(Inbound::Call {
                id,
                method,
                params,
                idempotency_key,
                proof,
            }) => self.call(id, method, params, idempotency_key, proof),
        }
    }

    /// Answers garbage, a few times.
    fn refuse(&mut self, id: Option<u64>, why: &'static str) -> Result<(), Bye> {
        self.gateway.metrics().refused(Refusal::Malformed);
        self.say_error(
            id,
            &Problem::new(Reason::Invalid, why).with_code("malformed_frame"),
        );
        self.strike()
    }

    /// Counts a frame that should not have come: garbage, a token that does not hold. A few are forgiven.
    fn strike(&mut self) -> Result<(), Bye> {
        self.strikes += 1;
        if self.strikes >= self.gateway.limits().malformed_frames_max {
            return Err(Bye::Refused);
        }
        Ok(())
    }

    fn say_error(&self, id: Option<u64>, problem: &Problem) {
        self.push(frame::error(
            id,
            problem,
            RequestId::new(self.gateway.now()),
        ));
    }

    /// Queues a word about this socket. Its own task looks before it waits, so nobody is woken.
    fn push(&self, frame: bytes::Bytes) {
        let _ = self.outbox.push_reply(frame);
    }

    /// From where the client would resume.
    fn cursor(&self, writer: &Writer) -> Option<Cursor> {
        let ready = self.ready_at?;
        Some(writer.last.map_or(ready, |stamp| Cursor {
            epoch: ready.epoch,
            stamp,
        }))
    }

    fn leave(&self) {
        if let Some(user) = self.user {
            self.hub.remove(&self.outbox, user, Instant::now());
        }
        if self.gateway.sockets().remove(&self.outbox) {
            self.gateway.metrics().sockets_changed(-1);
        }
        self.outbox.close(self.gateway.fanout().awake());
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        // Also when the task is dropped in the middle of something.
        self.leave();
    }
}

/// Whether a token still counts, as what would end the socket.
pub(crate) fn check_token(gateway: &Gateway, claims: &Claims) -> Result<(), Bye> {
    gateway
        .identity()
        .still_valid(claims)
        .map_err(|error| match error {
            TokenError::Expired => Bye::Expired,
            _ => Bye::Revoked,
        })
}

/// Says bye and closes.
async fn part(
    socket: &mut HttpWebSocket,
    bye: Bye,
    last: Option<Cursor>,
) -> Result<(), WebSocketError> {
    let code = match bye {
        Bye::Draining => CloseCode::Restart,
        Bye::Slow => CloseCode::Again,
        Bye::Revoked | Bye::Expired | Bye::Refused => CloseCode::Policy,
    };
    socket.send(Frame::text(frame::bye(bye, last))).await?;
    socket.send(Frame::close(code, bye.code())).await?;
    // Until the other side closes too, or the time for it is over.
    while socket.next_frame().await.is_ok() {}
    socket.close().await
}
