//! How we speak to an ACME directory: HTTPS only, one request per connection, bounded in time and size.

use std::error::Error as StdError;
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
use rustls_pki_types::ServerName;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use vaxel_core::Clock;

use crate::{TlsError, trust};

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
        let config = trust::client_config(provider, extra, clock)?;
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
