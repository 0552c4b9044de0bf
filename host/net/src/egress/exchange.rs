//! One request and its answer over one connection of its own, to the very address that was judged.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use bytes::Bytes;
use http::header::{CONTENT_ENCODING, HOST};
use http::{HeaderMap, HeaderValue, Method, Request, StatusCode, Uri};
use http_body_util::{BodyExt as _, Full, LengthLimitError, Limited};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use rustls_pki_types::ServerName;
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio_rustls::TlsConnector;
use url::Url;

use super::headers::{HEADER_BYTES_MAX, HEADERS_MAX};
use super::{BODY_BYTES_MAX, EgressError};

/// How long one of several addresses may take to answer before the next is tried.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(3);

/// Addresses that are tried for one name.
const ADDRESSES_MAX: usize = 4;

/// What is sent.
pub(super) struct Hop<'a> {
    pub(super) url: &'a Url,
    pub(super) host: &'a str,
    pub(super) port: u16,
    pub(super) method: &'a Method,
    pub(super) headers: HeaderMap,
    pub(super) body: Bytes,
}

/// What came back.
pub(super) struct Answer {
    pub(super) status: StatusCode,
    pub(super) headers: HeaderMap,
    pub(super) body: Bytes,
}

/// Asks at one of these addresses, which were judged, and at no other.
pub(super) async fn ask(
    connector: &TlsConnector,
    addresses: &[IpAddr],
    hop: Hop<'_>,
) -> Result<Answer, EgressError> {
    let unreachable = |why| EgressError::Unreachable {
        host: hop.host.to_owned(),
        why,
    };
    let socket = connect(addresses, hop.port)
        .await
        .ok_or_else(|| unreachable("nobody answers there"))?;
    let name = ServerName::try_from(hop.host.to_owned())
        .map_err(|_| EgressError::Invalid("not the name of a host"))?;
    let stream = connector
        .connect(name, socket)
        .await
        .map_err(|_| unreachable("no TLS that is to be trusted"))?;
    let no_http = |_| unreachable("no HTTP");
    let (mut sender, connection) = http1::Builder::new()
        .max_buf_size(4 * HEADER_BYTES_MAX)
        .max_headers(2 * HEADERS_MAX)
        .handshake(TokioIo::new(stream))
        .await
        .map_err(no_http)?;
    // Ends with this function, also when whoever waits goes away.
    let mut driving = JoinSet::new();
    driving.spawn(connection);
    let answer = sender.send_request(request(&hop)?).await.map_err(no_http)?;
    let (parts, body) = answer.into_parts();
    let is_as_it_is = |value: &HeaderValue| value.as_bytes().eq_ignore_ascii_case(b"identity");
    if !parts
        .headers
        .get_all(CONTENT_ENCODING)
        .iter()
        .all(is_as_it_is)
    {
        return Err(unreachable(
            "an answer in an encoding that nobody asked for",
        ));
    }
    let body = Limited::new(body, BODY_BYTES_MAX).collect().await;
    let body = body.map_err(|error| {
        if error.is::<LengthLimitError>() {
            EgressError::TooLarge {
                what: "the answer",
                max: BODY_BYTES_MAX,
            }
        } else {
            unreachable("the answer broke off")
        }
    })?;
    Ok(Answer {
        status: parts.status,
        headers: parts.headers,
        body: body.to_bytes(),
    })
}

async fn connect(addresses: &[IpAddr], port: u16) -> Option<TcpStream> {
    for address in addresses.iter().take(ADDRESSES_MAX) {
        let connecting = TcpStream::connect(SocketAddr::new(*address, port));
        if let Ok(Ok(socket)) = tokio::time::timeout(CONNECT_TIMEOUT, connecting).await {
            return Some(socket);
        }
    }
    None
}

fn request(hop: &Hop<'_>) -> Result<Request<Full<Bytes>>, EgressError> {
    let invalid = || EgressError::Invalid("not an address to send to");
    let target = match hop.url.query() {
        Some(query) => format!("{}?{query}", hop.url.path()),
        None => hop.url.path().to_owned(),
    };
    let authority = match hop.url.port() {
        Some(port) => format!("{}:{port}", hop.host),
        None => hop.host.to_owned(),
    };
    let mut request = Request::new(Full::new(hop.body.clone()));
    *request.method_mut() = hop.method.clone();
    *request.uri_mut() = target.parse::<Uri>().map_err(|_| invalid())?;
    *request.headers_mut() = hop.headers.clone();
    let authority = HeaderValue::from_str(&authority).map_err(|_| invalid())?;
    request.headers_mut().insert(HOST, authority);
    Ok(request)
}
