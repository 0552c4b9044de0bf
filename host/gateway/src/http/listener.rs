//! Listeners: accept, shake hands, serve, and end connections one by one when the house closes.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use vaxel_core::AlarmLevel;
use vaxel_net::TlsAcceptor;
use vaxel_ops::Refusal;

use super::edge::{Connection, answer};
use crate::Gateway;

/// Requests that one HTTP/2 connection may have under way.
const STREAMS_MAX: u32 = 128;
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

    /// Serves one connection until it ends, was idle too long, or the house closes.
    async fn connection<S>(
        &self,
        stream: S,
        alpn: Alpn,
        router: axum::Router,
        connection: Connection,
    ) where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let gateway = self.clone();
        let service = service_fn(move |request| {
            let answering = answer(gateway.clone(), router.clone(), connection.clone(), request);
            // Boxed: the answer's state is large and lies in the connection's only while one is made.
            let answering = Box::pin(answering);
            async move { Ok::<_, std::convert::Infallible>(answering.await) }
        });
        let builder = self.protocol(alpn);
        let io = TokioIo::new(stream);
        let mut serving = Box::pin(builder.serve_connection_with_upgrades(io, service));
        let done = tokio::select! {
            done = serving.as_mut() => done,
            () = self.closing().cancelled() => {
                serving.as_mut().graceful_shutdown();
                tokio::select! {
                    done = serving.as_mut() => done,
                    () = self.ending().cancelled() => return,
                }
            }
        };
        if let Err(error) = done {
            tracing::debug!(%error, "a connection ended badly");
        }
    }

    /// One protocol, as the handshake chose it: finding out by reading has no time limit in the library.
    fn protocol(&self, alpn: Alpn) -> auto::Builder<TokioExecutor> {
        let mut builder = auto::Builder::new(TokioExecutor::new());
        builder
            .http1()
            .timer(TokioTimer::new())
            .header_read_timeout(Duration::from_millis(self.limits().header_timeout_ms))
            .max_buf_size(HEAD_BYTES_MAX as usize);
        builder
            .http2()
            .timer(TokioTimer::new())
            .enable_connect_protocol()
            .max_concurrent_streams(STREAMS_MAX)
            .max_header_list_size(HEAD_BYTES_MAX)
            .keep_alive_interval(Some(Duration::from_secs(HTTP2_PING_S)))
            .keep_alive_timeout(Duration::from_secs(HTTP2_PING_S));
        match alpn {
            Alpn::Http1 => builder.http1_only(),
            Alpn::Http2 => builder.http2_only(),
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
