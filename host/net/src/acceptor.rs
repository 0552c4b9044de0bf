//! The handshake: TLS 1.3 and 1.2, bounded in number and time, with little memory left per connection.

use std::sync::Arc;
use std::time::Duration;

use rustls::ServerConfig;
use rustls::crypto::CryptoProvider;
use rustls::crypto::aws_lc_rs::Ticketer;
use rustls::server::{NoServerSessionStorage, ResolvesServerCert};
use rustls::version::{TLS12, TLS13};
use tokio::net::TcpStream;
use tokio::sync::Semaphore;

use crate::TlsError;
use crate::acme::challenge;

/// A connection after its handshake.
pub type TlsStream = tokio_rustls::server::TlsStream<TcpStream>;

/// What a listener allows before it knows whom it talks to.
#[derive(Clone, Copy, Debug)]
pub struct AcceptLimits {
    /// Handshakes going on at once; each costs about a millisecond of a core and some 20 KiB.
    pub handshakes_max: usize,
    /// Sockets that may wait for their handshake; after a restart everybody comes back at once.
    pub waiting_max: usize,
    /// How long one handshake may take once it began.
    pub handshake_timeout_ms: u64,
}

impl Default for AcceptLimits {
    fn default() -> Self {
        Self {
            handshakes_max: 512,
            waiting_max: 8_192,
            handshake_timeout_ms: 10_000,
        }
    }
}

/// Plaintext that rustls may hold for a peer that reads slowly; the rest waits with whoever writes.
const UNSENT_BYTES_MAX: usize = 32 * 1024;

/// Turns sockets into TLS streams. Clones share the limits.
#[derive(Clone)]
pub struct TlsAcceptor {
    inner: tokio_rustls::TlsAcceptor,
    limits: AcceptLimits,
    shaking: Arc<Semaphore>,
    waiting: Arc<Semaphore>,
}

impl TlsAcceptor {
    pub(crate) fn new(
        provider: Arc<CryptoProvider>,
        resolver: Arc<dyn ResolvesServerCert>,
        challenges: bool,
        limits: AcceptLimits,
    ) -> Result<Self, TlsError> {
        let mut config = ServerConfig::builder_with_provider(provider)
            .with_protocol_versions(&[&TLS13, &TLS12])?
            .with_no_client_auth()
            .with_cert_resolver(resolver);
        config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        if challenges {
            config.alpn_protocols.push(challenge::PROTOCOL.to_vec());
        }
        // Sessions live in tickets that the client keeps, not in our memory. One is enough to come back with;
        // each more is another record to encrypt in every handshake.
        config.session_storage = Arc::new(NoServerSessionStorage {});
        config.ticketer = Ticketer::new()?;
        config.send_tls13_tickets = 1;
        Ok(Self {
            inner: tokio_rustls::TlsAcceptor::from(Arc::new(config)),
            limits,
            shaking: Arc::new(Semaphore::new(limits.handshakes_max)),
            waiting: Arc::new(Semaphore::new(limits.waiting_max)),
        })
    }

    /// Shakes hands. Call it in a task of its own: a slow peer holds up nobody else.
    pub async fn accept(&self, socket: TcpStream) -> Result<TlsStream, TlsError> {
        let permit = {
            let _place = self.waiting.try_acquire().map_err(|_| TlsError::Busy)?;
            self.shaking.acquire().await.map_err(|_| TlsError::Busy)?
        };
        // Boxed: the handshake's state is large and would otherwise stay part of the connection's task for good.
        let handshake = Box::pin(self.inner.accept_with(socket, |connection| {
            connection.set_buffer_limit(Some(UNSENT_BYTES_MAX));
        }));
        let limit = Duration::from_millis(self.limits.handshake_timeout_ms);
        let done = tokio::time::timeout(limit, handshake)
            .await
            .map_err(|_| TlsError::Timeout)?;
        drop(permit);
        let stream = done.map_err(TlsError::Handshake)?;
        if alpn(&stream) == Some(challenge::PROTOCOL) {
            return Err(TlsError::ChallengeAnswered);
        }
        Ok(stream)
    }
}

impl std::fmt::Debug for TlsAcceptor {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("TlsAcceptor")
            .field("limits", &self.limits)
            .finish_non_exhaustive()
    }
}

/// The application protocol that the handshake agreed on: `h2`, `http/1.1` or none.
pub fn alpn(stream: &TlsStream) -> Option<&[u8]> {
    stream.get_ref().1.alpn_protocol()
}
