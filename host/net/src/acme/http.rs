//! How we speak to an ACME directory: HTTPS only, one request per connection, bounded in time and size.

use std::error::Error as StdError;
use std::fmt;
use std::path::Path;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::header::HOST;
use http::uri::PathAndQuery;
use http::{HeaderValue, Request, Response, Uri};
use http_body_util::{BodyExt, Full, Limited};
use hyper_util::rt::TokioIo;
use instant_acme::{BodyWrapper, BytesResponse, HttpClient};
use rustls::crypto::CryptoProvider;
use rustls::time_provider::TimeProvider;
use rustls::{ClientConfig, RootCertStore};
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, ServerName, UnixTime};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use vaxel_core::Clock;

use crate::{TlsError, files};

type Failure = Box<dyn StdError + Send + Sync>;

/// Directories answer within seconds; a slower one is down.
const EXCHANGE_TIMEOUT: Duration = Duration::from_secs(30);
/// Answers are small JSON or a chain of certificates.
const ANSWER_BYTES_MAX: usize = 1 << 20;

/// A client for one directory. Clones share the trust and the session tickets.
#[derive(Clone)]
pub(crate) struct Http {
    connector: TlsConnector,
}

impl Http {
    /// Trusts the machine's authorities, and those in `extra` if the directory is a private one.
    pub(crate) fn new(
        provider: Arc<CryptoProvider>,
        extra: Option<&Path>,
        clock: Arc<dyn Clock>,
    ) -> Result<Self, TlsError> {
        let mut roots = RootCertStore::empty();
        let machine = rustls_native_certs::load_native_certs();
        for error in &machine.errors {
            tracing::warn!(%error, "some of this machine's authorities cannot be read");
        }
        roots.add_parsable_certificates(machine.certs);
        if let Some(path) = extra {
            add(&mut roots, path)?;
        }
        let config = ClientConfig::builder_with_details(provider, Arc::new(ByClock(clock)))
            .with_safe_default_protocol_versions()?
            .with_root_certificates(roots)
            .with_no_client_auth();
        Ok(Self {
            connector: TlsConnector::from(Arc::new(config)),
        })
    }

    async fn exchange(
        self,
        request: Request<BodyWrapper<Bytes>>,
    ) -> Result<BytesResponse, Failure> {
        let (host, port) = secure_address(request.uri())?;
        let name = ServerName::try_from(host.clone())?;
        let socket = TcpStream::connect((host.as_str(), port)).await?;
        let stream = self.connector.connect(name, socket).await?;
        let (mut sender, connection) =
            hyper::client::conn::http1::handshake(TokioIo::new(stream)).await?;
        // Ends with the sender, at the end of this function.
        let driving = tokio::spawn(connection);
        let answer = sender.send_request(in_origin_form(request)?).await?;
        let (parts, body) = answer.into_parts();
        let body = Limited::new(body, ANSWER_BYTES_MAX).collect().await?;
        driving.abort();
        let body = Full::new(body.to_bytes());
        Ok(BytesResponse::from(Response::from_parts(parts, body)))
    }
}

impl HttpClient for Http {
    fn request(
        &self,
        request: Request<BodyWrapper<Bytes>>,
    ) -> Pin<Box<dyn Future<Output = Result<BytesResponse, instant_acme::Error>> + Send>> {
        let client = self.clone();
        Box::pin(async move {
            let url = request.uri().clone();
            let told = |failure: Failure| {
                let text = format!("{url}: {}", chain(failure.as_ref()));
                instant_acme::Error::Other(text.into())
            };
            match tokio::time::timeout(EXCHANGE_TIMEOUT, client.exchange(request)).await {
                Ok(done) => done.map_err(told),
                Err(_) => Err(told("no answer in time".into())),
            }
        })
    }
}

/// Host and port of an address that is spoken to over TLS; any other is refused.
pub(crate) fn secure_address(uri: &Uri) -> Result<(String, u16), Failure> {
    match (uri.scheme_str(), uri.host()) {
        (Some("https"), Some(host)) => {
            let host = host.trim_start_matches('[').trim_end_matches(']');
            Ok((host.to_owned(), uri.port_u16().unwrap_or(443)))
        }
        _ => Err("not an https address".into()),
    }
}

/// The request as it goes over a connection to its host.
fn in_origin_form(
    mut request: Request<BodyWrapper<Bytes>>,
) -> Result<Request<BodyWrapper<Bytes>>, Failure> {
    let uri = request.uri();
    let authority = uri.authority().map_or("", |authority| authority.as_str());
    let authority = HeaderValue::from_str(authority)?;
    let path = uri
        .path_and_query()
        .cloned()
        .unwrap_or_else(|| PathAndQuery::from_static("/"));
    *request.uri_mut() = Uri::from(path);
    request.headers_mut().insert(HOST, authority);
    Ok(request)
}

fn add(roots: &mut RootCertStore, path: &Path) -> Result<(), TlsError> {
    let unusable = || TlsError::Unusable {
        path: path.to_owned(),
        wanted: "certificate of an authority",
    };
    let pem = files::read(path)?;
    let before = roots.len();
    for certificate in CertificateDer::pem_slice_iter(&pem) {
        let certificate = certificate.map_err(|_| unusable())?;
        roots.add(certificate).map_err(|_| unusable())?;
    }
    if roots.len() == before {
        return Err(unusable());
    }
    Ok(())
}

/// An error with what lies behind it: an operator needs "connection refused", not "client error".
pub(crate) fn chain(error: &(dyn StdError + 'static)) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(error) = next {
        let behind = error.to_string();
        if !text.contains(&behind) {
            text.push_str(": ");
            text.push_str(&behind);
        }
        next = error.source();
    }
    text
}

/// Certificates are judged by the one clock, too.
struct ByClock(Arc<dyn Clock>);

impl TimeProvider for ByClock {
    fn current_time(&self) -> Option<UnixTime> {
        let since = Duration::from_millis(self.0.now().0);
        Some(UnixTime::since_unix_epoch(since))
    }
}

impl fmt::Debug for ByClock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ByClock")
    }
}
