//! Calls to one server that knows us by our certificate and that we know by its own authority: mutual TLS to an address
//! that the operator chose, trusting nobody else.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::header::{CONTENT_TYPE, HOST, RETRY_AFTER};
use http::{HeaderValue, Method, Request};
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use rustls::{ClientConfig, RootCertStore};
use rustls_pki_types::pem::PemObject as _;
use rustls_pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio_rustls::TlsConnector;
use url::Url;
use vaxel_core::{Clock, UnixMs};

use crate::material;
use crate::trust::ByClock;

/// Answers of such servers are small; a signature with its certificates has some 30 kB.
const ANSWER_BYTES_MAX: usize = 512 * 1024;

/// A certificate and its key have a few kilobytes.
const PEM_BYTES_MAX: usize = 64 * 1024;

/// Who we are to that server.
#[derive(Clone)]
pub struct ClientIdentity {
    chain: Vec<CertificateDer<'static>>,
    key: Arc<PrivateKeyDer<'static>>,
    ends_at: UnixMs,
    name: String,
}

/// Why a certificate, a key or a call did not do. Says nothing of what was sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum MutualError {
    /// No certificate, no key, or two that do not belong together.
    #[error("a certificate chain in PEM and its private key, without a passphrase, are expected")]
    Unusable,
    /// Not the address of a server.
    #[error("an address begins with https:// and names a host")]
    Address,
    /// Nobody answers, or not as the one we trust.
    #[error("the server could not be reached: {0}")]
    Unreachable(&'static str),
    /// No answer in time.
    #[error("the server did not answer in time")]
    Timeout,
}

impl ClientIdentity {
    /// Reads a chain and a key in PEM, in any order.
    pub fn from_pem(certificate: &[u8], key: &[u8]) -> Result<Self, MutualError> {
        if certificate.len() > PEM_BYTES_MAX || key.len() > PEM_BYTES_MAX {
            return Err(MutualError::Unusable);
        }
        let chain: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(certificate).collect();
        let chain = chain.map_err(|_| MutualError::Unusable)?;
        let key = PrivateKeyDer::from_pem_slice(key).map_err(|_| MutualError::Unusable)?;
        let leaf = chain.first().ok_or(MutualError::Unusable)?;
        let (_, leaf) =
            x509_parser::parse_x509_certificate(leaf).map_err(|_| MutualError::Unusable)?;
        let ends_s = u64::try_from(leaf.validity().not_after.timestamp()).unwrap_or(0);
        let name = leaf.subject().iter_common_name().next();
        let name = name
            .and_then(|name| name.as_str().ok())
            .unwrap_or_default()
            .to_owned();
        let ends_at = UnixMs(ends_s.saturating_mul(1_000));
        let key = Arc::new(key);
        let identity = Self {
            chain,
            key,
            ends_at,
            name,
        };
        identity
            .config(RootCertStore::empty(), &(Arc::new(NoClock) as _))
            .map_err(|_| MutualError::Unusable)?;
        Ok(identity)
    }

    /// When the certificate ends.
    pub const fn ends_at(&self) -> UnixMs {
        self.ends_at
    }

    /// The common name in it.
    pub fn name(&self) -> &str {
        &self.name
    }

    fn config(
        &self,
        roots: RootCertStore,
        clock: &Arc<dyn Clock>,
    ) -> Result<ClientConfig, rustls::Error> {
        let time = Arc::new(ByClock(Arc::clone(clock)));
        ClientConfig::builder_with_details(material::provider(), time)
            .with_safe_default_protocol_versions()?
            .with_root_certificates(roots)
            .with_client_auth_cert(self.chain.clone(), self.key.clone_key())
    }
}

impl fmt::Debug for ClientIdentity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ClientIdentity")
            .field("ends_at", &self.ends_at)
            .finish_non_exhaustive()
    }
}

/// Only for looking at whether key and certificate fit: nothing is judged by it.
#[derive(Debug)]
struct NoClock;

impl Clock for NoClock {
    fn now(&self) -> UnixMs {
        UnixMs(0)
    }
}

/// What came back.
pub struct MutualAnswer {
    /// The status.
    pub status: u16,
    /// How long the server asks us to leave it alone.
    pub retry_after_s: Option<u64>,
    /// The body.
    pub body: Bytes,
}

/// Calls as one identity. It resumes TLS sessions of its own and shares none with another identity.
#[derive(Clone)]
pub struct MutualClient {
    connector: TlsConnector,
    base: Url,
}

impl MutualClient {
    /// Calls at `base` and below, trusting only the authorities in `roots` (PEM).
    pub fn new(
        base: &str,
        roots: &[u8],
        identity: &ClientIdentity,
        clock: &Arc<dyn Clock>,
    ) -> Result<Self, MutualError> {
        let base = Url::parse(base).map_err(|_| MutualError::Address)?;
        if base.scheme() != "https" || base.host_str().is_none() || base.cannot_be_a_base() {
            return Err(MutualError::Address);
        }
        let mut store = RootCertStore::empty();
        for root in CertificateDer::pem_slice_iter(roots) {
            let root = root.map_err(|_| MutualError::Unusable)?;
            store.add(root).map_err(|_| MutualError::Unusable)?;
        }
        if store.is_empty() {
            return Err(MutualError::Unusable);
        }
        let mut config = identity
            .config(store, clock)
            .map_err(|_| MutualError::Unusable)?;
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        Ok(Self {
            connector: TlsConnector::from(Arc::new(config)),
            base,
        })
    }

    /// Posts JSON to a path below the base.
    pub async fn post_json(
        &self,
        path: &str,
        json: Vec<u8>,
        timeout: Duration,
    ) -> Result<MutualAnswer, MutualError> {
        // Boxed: the handshake's state is large.
        let posting = Box::pin(self.post(path, json));
        tokio::time::timeout(timeout, posting)
            .await
            .unwrap_or(Err(MutualError::Timeout))
    }

    async fn post(&self, path: &str, json: Vec<u8>) -> Result<MutualAnswer, MutualError> {
        let host = self.base.host_str().ok_or(MutualError::Address)?;
        let port = self.base.port_or_known_default().unwrap_or(443);
        let unreachable = MutualError::Unreachable;
        let socket = TcpStream::connect((host.trim_matches(['[', ']']), port))
            .await
            .map_err(|_| unreachable("nobody answers there"))?;
        let name = ServerName::try_from(host.trim_matches(['[', ']']).to_owned())
            .map_err(|_| MutualError::Address)?;
        let stream = self
            .connector
            .connect(name, socket)
            .await
            .map_err(|_| unreachable("no TLS that is to be trusted, or ours is not"))?;
        let no_http = |_| unreachable("no HTTP, or our certificate was refused");
        let (mut sender, connection) = http1::handshake(TokioIo::new(stream))
            .await
            .map_err(no_http)?;
        // Ends with this function, also when whoever waits goes away.
        let mut driving = JoinSet::new();
        driving.spawn(connection);
        let sent = sender.send_request(self.request(path, json)?).await;
        let (parts, body) = sent.map_err(no_http)?.into_parts();
        let body = Limited::new(body, ANSWER_BYTES_MAX).collect().await;
        let body = body.map_err(|_| unreachable("the answer broke off"))?;
        let retry_after = parts
            .headers
            .get(RETRY_AFTER)
            .and_then(|after| after.to_str().ok());
        Ok(MutualAnswer {
            status: parts.status.as_u16(),
            retry_after_s: retry_after.and_then(|after| after.parse().ok()),
            body: body.to_bytes(),
        })
    }

    fn request(&self, path: &str, json: Vec<u8>) -> Result<Request<Full<Bytes>>, MutualError> {
        let target = format!("{}/{path}", self.base.path().trim_end_matches('/'));
        let host = self.base.host_str().ok_or(MutualError::Address)?;
        let authority = match self.base.port() {
            Some(port) => format!("{host}:{port}"),
            None => host.to_owned(),
        };
        let authority = HeaderValue::from_str(&authority).map_err(|_| MutualError::Address)?;
        let mut request = Request::new(Full::new(Bytes::from(json)));
        *request.method_mut() = Method::POST;
        *request.uri_mut() = target.parse().map_err(|_| MutualError::Address)?;
        let headers = request.headers_mut();
        headers.insert(HOST, authority);
        // Exactly this, without a charset: the server takes nothing else.
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        Ok(request)
    }
}

impl fmt::Debug for MutualClient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MutualClient")
            .field("base", &self.base.as_str())
            .finish_non_exhaustive()
    }
}
