//! Listeners: accept, shake hands, serve, and end connections one by one when the house closes.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures_util::FutureExt as _;
use http::{HeaderValue, Request, header};
use hyper::body::Incoming;
use hyper::server::conn::{http1, http2};
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::sleep_until;
use vaxel_core::AlarmLevel;
use vaxel_net::TlsAcceptor;
use vaxel_ops::Refusal;

use super::edge::{Connection, answer};
use super::framing;
use super::patience::Patient;
use super::traffic::{Allowance, Look, Traffic, answered};
use crate::Gateway;

/// Streams that one HTTP/2 connection may have: the sockets of a person's many tabs, and requests beside them. How many
/// answers lie there at once is bounded by their bytes.
const STREAMS_MAX: u32 = 64;
/// The largest request head. Cookies and one token are all that makes a head long.
const HEAD_BYTES_MAX: u32 = 16 * 1024;
/// How often a silent HTTP/2 connection is asked whether it is still there.
const HTTP2_PING_S: u64 = 20;
/// After an accept that failed for want of descriptors: long enough for some to come back.
const ACCEPT_PAUSE_MS: u64 = 50;

impl Gateway {
    /// Serves plain HTTP from now until the drain. Meant for loopback: development and the demo.
    pub fn serve_http(&self, listener: TcpListener) {
        let gateway = self.clone();
        self.health().set_ready();
        tokio::spawn(async move { gateway.serve(listener, None).await });
    }

    /// Serves HTTPS from now until the drain.
    pub fn serve_https(&self, listener: TcpListener, acceptor: TlsAcceptor) {
        let gateway = self.clone();
        self.health().set_ready();
        tokio::spawn(async move { gateway.serve(listener, Some(acceptor)).await });
    }

    /// Serves metrics and health until the very end, so that a drain can be watched. On a loopback address only.
    pub fn serve_admin(&self, listener: TcpListener) {
        if !listener
            .local_addr()
            .is_ok_and(|own| own.ip().is_loopback())
        {
            self.alarms().raise(
                AlarmLevel::Critical,
                "gateway.admin_not_loopback",
                "The admin listener is not on a loopback address; it is not served.",
            );
            return;
        }
        let gateway = self.clone();
        tokio::spawn(async move { gateway.admin(listener).await });
    }

    async fn serve(&self, listener: TcpListener, acceptor: Option<TlsAcceptor>) {
        let own = listener.local_addr().map_or(0, |own| own.port());
        let port = match acceptor {
            Some(_) => self.https_port().unwrap_or(own),
            None => own,
        };
        let router = super::router::build(self);
        loop {
            let accepted = tokio::select! {
                () = self.closing().cancelled() => return,
                accepted = listener.accept() => accepted,
            };
            let (socket, peer) = match accepted {
                Ok(accepted) => accepted,
                Err(error) => {
                    pause_after(&error).await;
                    continue;
                }
            };
            let Some(place) = self.connections().enter(peer.ip()) else {
                self.metrics().refused(Refusal::Connections);
                continue;
            };
            let connection = Connection {
                peer: peer.ip().to_canonical(),
                https: acceptor.is_some(),
                port,
                _place: Arc::new(place),
                _in_use: None,
            };
            // Small writes are the rule here; waiting to merge them costs 40 ms with delayed acknowledgements.
            if socket.set_nodelay(true).is_err() {
                continue;
            }
            let gateway = self.clone();
            let router = router.clone();
            let acceptor = acceptor.clone();
            self.tasks().spawn(async move {
                match acceptor {
                    None => {
                        gateway
                            .connection(socket, Alpn::Http1, router, connection)
                            .await
                    }
                    Some(acceptor) => gateway.secure(acceptor, socket, router, connection).await,
                }
            });
        }
    }

    async fn secure(
        &self,
        acceptor: TlsAcceptor,
        socket: TcpStream,
        router: axum::Router,
        connection: Connection,
    ) {
        let shaken = tokio::select! {
            () = self.ending().cancelled() => return,
            shaken = acceptor.accept(socket) => shaken,
        };
        match shaken {
            Ok(stream) => {
                let alpn = match vaxel_net::alpn(&stream) {
                    Some(b"h2") => Alpn::Http2,
                    _ => Alpn::Http1,
                };
                self.connection(stream, alpn, router, connection).await;
            }
            Err(error) => tracing::debug!(%error, "a TLS handshake failed"),
        }
    }

    /// Serves one connection until it ends, was idle too long, or the house closes. The handshake chose the protocol:
    /// finding it out by reading has no time limit in the library.
    async fn connection<S>(
        &self,
        stream: S,
        alpn: Alpn,
        router: axum::Router,
        connection: Connection,
    ) where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let limits = self.limits();
        let silence = Duration::from_millis(limits.silence_max_ms);
        let first = Duration::from_millis(limits.header_timeout_ms);
        let traffic = Traffic::new(Allowance {
            unsent_bytes_max: limits.unsent_bytes_max,
            first,
            silence,
        });
        let gateway = self.clone();
        let seen = traffic.clone();
        let service = service_fn(move |request: Request<Incoming>| {
            let connection = Connection {
                _in_use: Some(Arc::new(seen.enter())),
                ..connection.clone()
            };
            let is_last = framing::is_last(&request);
            let answering = answer(gateway.clone(), router.clone(), connection, request);
            let answering = answering.map(move |mut response| {
                if is_last {
                    let close = HeaderValue::from_static("close");
                    response.headers_mut().insert(header::CONNECTION, close);
                }
                response
            });
            // Boxed: the answer's state is large and lies in the connection's only while one is made.
            Box::pin(answered(seen.clone(), answering))
        });
        let io = TokioIo::new(Patient::new(stream, silence));
        match alpn {
            Alpn::Http1 => {
                let serving = http1::Builder::new()
                    .timer(TokioTimer::new())
                    .header_read_timeout(first)
                    .max_buf_size(HEAD_BYTES_MAX as usize)
                    .serve_connection(io, service)
                    .with_upgrades();
                let close = http1::UpgradeableConnection::graceful_shutdown;
                self.attend(Box::pin(serving), close, &traffic, alpn).await;
            }
            Alpn::Http2 => {
                let serving = http2::Builder::new(TokioExecutor::new())
                    .timer(TokioTimer::new())
                    .enable_connect_protocol()
                    .max_concurrent_streams(STREAMS_MAX)
                    .max_header_list_size(HEAD_BYTES_MAX)
                    .keep_alive_interval(Some(Duration::from_secs(HTTP2_PING_S)))
                    .keep_alive_timeout(Duration::from_secs(HTTP2_PING_S))
                    .serve_connection(io, service);
                let close = http2::Connection::graceful_shutdown;
                self.attend(Box::pin(serving), close, &traffic, alpn).await;
            }
        }
    }

    /// Stays with a connection until it ends. Returning cuts it.
    async fn attend<C>(
        &self,
        mut serving: Pin<Box<C>>,
        close: impl Fn(Pin<&mut C>),
        traffic: &Traffic,
        alpn: Alpn,
    ) where
        C: Future<Output = hyper::Result<()>>,
    {
        let mut is_closing = false;
        let mut look_at = Instant::now();
        loop {
            tokio::select! {
                done = serving.as_mut() => {
                    if let Err(error) = done {
                        tracing::debug!(%error, "a connection ended badly");
                    }
                    return;
                }
                () = self.closing().cancelled(), if !is_closing => {
                    is_closing = true;
                    close(serving.as_mut());
                }
                () = self.ending().cancelled() => return,
                () = sleep_until(look_at.into()) => {
                    let now = Instant::now();
                    match (traffic.look(now), alpn) {
                        (Look::At(next), _) => look_at = next,
                        (Look::Overdue, _) => {
                            self.metrics().refused(Refusal::Slow);
                            return;
                        }
                        // The library's own timer ends these, by the same limit.
                        (Look::Mute | Look::Idle, Alpn::Http1) => {
                            look_at = now + Duration::from_millis(self.limits().silence_max_ms);
                        }
                        (Look::Idle, Alpn::Http2) if !is_closing => {
                            is_closing = true;
                            close(serving.as_mut());
                            // Time for the farewell, and for a request that crossed it.
                            look_at = now + Duration::from_millis(self.limits().header_timeout_ms);
                        }
                        (Look::Mute | Look::Idle, Alpn::Http2) => return,
                    }
                }
            }
        }
    }

    async fn admin(&self, listener: TcpListener) {
        loop {
            let (socket, _) = tokio::select! {
                () = self.ending().cancelled() => return,
                accepted = listener.accept() => match accepted {
                    Ok(accepted) => accepted,
                    Err(error) => {
                        pause_after(&error).await;
                        continue;
                    }
                },
            };
            let Ok(permit) = Arc::clone(self.admin_places()).try_acquire_owned() else {
                continue;
            };
            let gateway = self.clone();
            let limit = Duration::from_millis(self.limits().header_timeout_ms);
            tokio::spawn(async move {
                let _permit = permit;
                let ending = gateway.ending().clone();
                let service = service_fn(move |request| {
                    let response = super::admin::answer(&gateway, &request);
                    async move { Ok::<_, std::convert::Infallible>(response) }
                });
                let serving = http1::Builder::new()
                    .timer(TokioTimer::new())
                    .header_read_timeout(limit)
                    .serve_connection(TokioIo::new(socket), service);
                tokio::select! {
                    _ = serving => {}
                    () = ending.cancelled() => {}
                }
            });
        }
    }
}

#[derive(Clone, Copy)]
enum Alpn {
    Http1,
    Http2,
}

/// A peer that left while it waited is no reason to rest; having no descriptors left is.
async fn pause_after(error: &io::Error) {
    use io::ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset};
    if !matches!(
        error.kind(),
        ConnectionAborted | ConnectionRefused | ConnectionReset
    ) {
        tracing::error!(%error, "cannot accept connections");
        tokio::time::sleep(Duration::from_millis(ACCEPT_PAUSE_MS)).await;
    }
}
